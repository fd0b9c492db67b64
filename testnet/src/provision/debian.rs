//! A package of Debian's, with everything it needs, in a folder of ours.
//!
//! The package comes from suite `sid` and needs a newer C library than stable has, so all its libraries
//! come along, the loader included. `apt-get` gets its own lists, its own archive folder and an **empty**
//! record of installed packages (so that it fetches every dependency), but the system's proxy settings,
//! and Debian's keyring.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::program::successful;
use super::{Program, ProvisionError};
use crate::clock::Progress;

/// Debian's keys, against which apt verifies the packages.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Dependencies of dependencies that no program run from a folder has a use for: the service manager and
/// the dialogue of package configuration. Together 70 MB unpacked.
const LEFT_OUT: [&str; 4] = ["systemd", "libsystemd-shared", "debconf", "adduser"];

/// What to copy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Package {
    /// Debian's name for it.
    pub(super) name: &'static str,
    /// The program people know it by.
    pub(super) program: &'static str,
    /// What to do where no copy can be made.
    pub(super) remedy: &'static str,
}

/// An unpacked package with its libraries.
#[derive(Debug)]
pub(super) struct Copy {
    /// The folder that stands in for `/`.
    root: PathBuf,
}

impl Copy {
    /// The program at `path` (relative to the root), run by the copy's own loader.
    pub(super) fn program(&self, path: &str) -> Program {
        let (triplet, loader) = architecture().unwrap_or_default();
        let libraries = self.root.join("usr/lib").join(triplet);
        Program::with_loader(&libraries.join(loader), &libraries, &self.root.join(path))
    }
}

/// Where this machine's libraries lie and what its loader is called.
fn architecture() -> Option<(&'static str, &'static str)> {
    match env::consts::ARCH {
        "x86_64" => Some(("x86_64-linux-gnu", "ld-linux-x86-64.so.2")),
        "aarch64" => Some(("aarch64-linux-gnu", "ld-linux-aarch64.so.1")),
        _ => None,
    }
}

/// The copy of `package` in the cache folder; made now if it is not there.
///
/// # Errors
/// The system lacks what a copy needs, or a step failed; the error says what to do.
pub(super) fn private_copy(package: Package, progress: Progress<'_>) -> Result<Copy, ProvisionError> {
    let cache = cache_folder()?;
    let root = cache.join(package.name);
    // Two that start at once would both download: the second waits and finds the first one's copy.
    let _lock = lock(&cache, package.name)?;
    if !root.exists() {
        possible().map_err(|why| {
            let Package { program, remedy, .. } = package;
            ProvisionError::Missing { program, why, remedy }
        })?;
        let work = cache.join(format!("{}.partial", package.name));
        Making { package, work: &work, progress }.run(&root)?;
    }
    Ok(Copy { root })
}

/// `AUTONOMY_TESTNET_CACHE`, else the user's cache folder. Created if needed.
fn cache_folder() -> Result<PathBuf, ProvisionError> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("AUTONOMY_TESTNET_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("autonomy-testnet")))
        .or_else(|| Some(set("HOME")?.join(".cache/autonomy-testnet")))
        .ok_or(ProvisionError::NoCache)?;
    fs::create_dir_all(&folder).map_err(cache_error(&folder))?;
    folder.canonicalize().map_err(cache_error(&folder))
}

/// An error about a file in the cache, for `map_err`.
fn cache_error(path: &Path) -> impl FnOnce(io::Error) -> ProvisionError {
    let path = path.to_owned();
    move |source| ProvisionError::Cache { path, source }
}

/// The lock of one package's copy, held until dropped.
fn lock(cache: &Path, name: &str) -> Result<File, ProvisionError> {
    let path = cache.join(format!("{name}.lock"));
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).open(&path).map_err(cache_error(&path))?;
    file.lock().map_err(cache_error(&path))?;
    Ok(file)
}

/// Checks that this system has what a private copy needs.
///
/// # Errors
/// What it lacks.
fn possible() -> Result<(), String> {
    architecture().ok_or_else(|| format!("no packages for {}", env::consts::ARCH))?;
    for tool in ["apt-get", "dpkg-deb"] {
        Program::on_path(tool).ok_or_else(|| format!("no {tool}"))?;
    }
    if Path::new(KEYRING).exists() { Ok(()) } else { Err(format!("no {KEYRING}")) }
}

/// The making of one copy in a folder of its own, which is renamed at the end.
struct Making<'a> {
    /// What is copied.
    package: Package,
    /// The folder that is renamed when the copy is complete.
    work: &'a Path,
    /// Called with the share that is done.
    progress: Progress<'a>,
}

impl Making<'_> {
    /// Downloads, unpacks, and renames. What an interrupted run left is removed first.
    ///
    /// A failure leaves the work folder, which the next run removes, and never a half-finished
    /// copy.
    fn run(&self, root: &Path) -> Result<(), ProvisionError> {
        if self.work.exists() {
            fs::remove_dir_all(self.work).map_err(cache_error(self.work))?;
        }
        self.prepare().map_err(cache_error(self.work))?;
        let name = self.package.name;
        self.apt("apt-get update", &["update"], (0.0, 0.3))?;
        let install = ["install", "--yes", "--no-install-recommends", "--download-only", name];
        self.apt("the download", &install, (0.3, 0.6))?;
        self.unpack().map_err(|why| self.step("unpacking", why))?;
        fs::rename(self.work.join("root"), root).map_err(cache_error(root))?;
        // The copy is whole; what it was made from is of no more use, and harmless if it stays.
        let _ = fs::remove_dir_all(self.work);
        (self.progress)(1.0, "unpacked");
        Ok(())
    }

    /// The error of a step.
    fn step(&self, step: &'static str, why: String) -> ProvisionError {
        ProvisionError::Step { package: self.package.name, step, why }
    }

    /// Writes the folders, lists and configuration that apt needs to work here and nowhere else.
    ///
    /// Nothing outside the work folder is read but the machine's apt configuration and keyring.
    fn prepare(&self) -> io::Result<()> {
        for folder in ["lists/partial", "archives/partial", "root"] {
            fs::create_dir_all(self.work.join(folder))?;
        }
        fs::write(self.work.join("status"), "")?;
        let source = format!("deb [signed-by={KEYRING}] {} sid main\n", mirror()?);
        fs::write(self.work.join("sources.list"), source)?;
        fs::write(self.work.join("apt.conf"), self.configuration())
    }

    /// apt's configuration, read after the machine's own, so that proxies and certificates are as
    /// elsewhere.
    fn configuration(&self) -> String {
        let work = self.work.display();
        format!(
            "Dir::Etc::sourcelist \"{work}/sources.list\";\n\
             Dir::Etc::sourceparts \"-\";\n\
             Dir::State \"{work}\";\n\
             Dir::State::lists \"{work}/lists\";\n\
             Dir::State::status \"{work}/status\";\n\
             Dir::Cache \"{work}\";\n\
             Dir::Cache::archives \"{work}/archives\";\n\
             APT::Sandbox::User \"\";\n\
             APT::Status-Fd \"1\";\n\
             Acquire::Languages \"none\";\n"
        )
    }

    /// Runs apt-get; its reports move the progress from `from` to `to`.
    fn apt(&self, step: &'static str, args: &[&str], (from, to): (f32, f32)) -> Result<(), ProvisionError> {
        (self.progress)(from, step);
        let mut command = Command::new("apt-get");
        command.env("APT_CONFIG", self.work.join("apt.conf")).env("LC_ALL", "C").args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| self.step(step, e.to_string()))?;
        let reports = child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines());
        // Complaints are few lines, far below what a pipe holds, so they can wait until the end.
        for percent in reports.map_while(Result::ok).filter_map(|line| percent(&line)) {
            (self.progress)(from + (to - from) * percent / 100.0, step);
        }
        let output = child.wait_with_output().map_err(|e| self.step(step, e.to_string()))?;
        successful(output).map(drop).map_err(|why| self.step(step, why))
    }

    /// Unpacks the downloaded packages, without those of [`LEFT_OUT`].
    fn unpack(&self) -> Result<(), String> {
        let archives = fs::read_dir(self.work.join("archives")).map_err(|e| e.to_string())?;
        let archives: Vec<PathBuf> =
            archives.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_wanted(path)).collect();
        for (index, archive) in archives.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a few dozen packages")]
            (self.progress)(0.6 + 0.4 * index as f32 / archives.len() as f32, "unpacking");
            let mut command = Command::new("dpkg-deb");
            command.arg("--extract").arg(archive).arg(self.work.join("root"));
            successful(command.output().map_err(|e| e.to_string())?)?;
        }
        Ok(())
    }
}

/// Whether a package file (`NAME_VERSION_ARCH.deb`) is not left out.
fn is_wanted(archive: &Path) -> bool {
    let file = archive.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = file.split('_').next().unwrap_or_default();
    file.ends_with(".deb") && !LEFT_OUT.contains(&name)
}

/// The percentage in a report of apt's such as `dlstatus:3:41.7:Retrieving file 3 of 34`.
fn percent(report: &str) -> Option<f32> {
    report.strip_prefix("dlstatus:")?.split(':').nth(1)?.parse().ok()
}

/// The mirror of Debian's main archive that this machine's apt uses.
fn mirror() -> io::Result<String> {
    let output = Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]).output();
    let known = output.ok().and_then(|output| successful(output).ok()).unwrap_or_default();
    let main = known.lines().find(|uri| uri.trim_end_matches('/').ends_with("/debian"));
    main.map(str::to_owned).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "apt's sources name no mirror of Debian's main archive: add one",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_parses_apt_reports_and_ignores_other_lines() {
        assert_eq!(percent("dlstatus:3:41.7:Retrieving file 3 of 34"), Some(41.7));
        for line in ["", "dlstatus:", "dlstatus:1", "dlstatus:1:x:", "Reading package lists..."] {
            assert_eq!(percent(line), None, "{line:?}");
        }
    }

    #[test]
    fn left_out_packages_are_not_unpacked() {
        assert!(is_wanted(Path::new("a/libc6_2.42-1_amd64.deb")));
        assert!(!is_wanted(Path::new("a/systemd_258-1_amd64.deb")));
        assert!(!is_wanted(Path::new("a/lock")));
    }
}
