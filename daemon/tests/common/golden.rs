//! Golden files: what each release wrote, committed, so that every later release is known to open it.
//!
//! A folder of `daemon/tests/golden` is one release. Each file in it has a list of facts beside it: what the release's
//! own program said about the file. A later program must find every one of them in it; facts of its own that the list
//! does not have are no difference, so lists of earlier releases stay as they are.
//!
//! The files of the present release are written anew with [`WRITE`] set, see `CONTRIBUTING.md`.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use tempfile::TempDir;

/// Set to write the files of this release anew:
/// `AUTONOMY_WRITE_GOLDEN=1 cargo test --workspace --locked --test node --test device --test relay golden`.
const WRITE: &str = "AUTONOMY_WRITE_GOLDEN";

/// A golden file, of whichever release.
pub(crate) struct Golden {
    /// Name of the file in the folder of each release.
    pub(crate) name: &'static str,
    /// Makes the file of this release at a path where nothing is, and gives the facts about it.
    pub(crate) make: fn(&Path) -> Vec<String>,
    pub(crate) written: OnceLock<()>,
}

impl Golden {
    pub(crate) const fn new(name: &'static str, make: fn(&Path) -> Vec<String>) -> Self {
        Self { name, make, written: OnceLock::new() }
    }

    /// Copies of the file of each release, oldest first, with the name of the release. Opening a database may change it,
    /// and what is committed must not change.
    pub(crate) fn copies(&self) -> Vec<(String, TempDir, PathBuf)> {
        self.written.get_or_init(|| self.write());
        let releases = releases();
        assert!(
            releases.iter().any(|(name, _)| *name == present()),
            "no golden files of {}: {WRITE}",
            present()
        );
        releases
            .into_iter()
            .map(|(release, folder)| {
                let home = tempfile::tempdir().unwrap();
                let copy = home.path().join(self.name);
                fs::copy(folder.join(self.name), &copy).unwrap();
                fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
                (release, home, copy)
            })
            .collect()
    }

    /// Fails if a fact that a release told about its file is not among `facts`.
    pub(crate) fn compare(&self, release: &str, facts: &[String]) {
        let told = fs::read_to_string(self.facts_file(release)).unwrap();
        assert!(!told.is_empty(), "{release} told nothing about its {}", self.name);
        let missing: Vec<&str> = told.lines().filter(|told| facts.iter().all(|fact| fact != told)).collect();
        assert!(
            missing.is_empty(),
            "{} of {release} is read differently: {missing:#?} in {facts:#?}",
            self.name
        );
    }

    fn write(&self) {
        if std::env::var_os(WRITE).is_none() {
            return;
        }
        let folder = root().join(present());
        fs::create_dir_all(&folder).unwrap();
        let home = tempfile::tempdir().unwrap();
        let made = home.path().join(self.name);
        let facts = (self.make)(&made);
        fs::copy(&made, folder.join(self.name)).unwrap();
        fs::write(self.facts_file(&present()), facts.join("\n") + "\n").unwrap();
    }

    fn facts_file(&self, release: &str) -> PathBuf {
        root().join(release).join(self.name).with_extension("facts")
    }
}

fn root() -> PathBuf {
    // From the folder of the crate whose test this is part of.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let daemon = here.ancestors().find(|folder| folder.ends_with("daemon")).unwrap();
    daemon.join("tests/golden")
}

/// The folder of the present release: `v0.1` for all of 0.1.x, whose formats are the same.
fn present() -> String {
    format!("v{}.{}", env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"))
}

/// All releases with their folders, oldest first.
fn releases() -> Vec<(String, PathBuf)> {
    let folders =
        fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let number = |path: &PathBuf| -> Vec<u32> {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.trim_start_matches('v').split('.').map(|part| part.parse().unwrap()).collect()
    };
    let mut folders: Vec<PathBuf> = folders.collect();
    folders.sort_by_key(number);
    folders.into_iter().map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path)).collect()
}
