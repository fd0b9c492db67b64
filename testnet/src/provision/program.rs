//! A program and how to run it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A program that may need a loader of its own: a private copy does not run with the system's libraries.
#[derive(Debug, Clone)]
pub struct Program {
    /// What the operating system executes: the program, or its loader.
    executable: PathBuf,
    /// Arguments before the program's own.
    leading: Vec<OsString>,
}

impl Program {
    /// A program that runs with the system's libraries.
    #[must_use]
    pub fn new(executable: impl Into<PathBuf>) -> Self {
        Self { executable: executable.into(), leading: Vec::new() }
    }

    /// A program run by `loader` (a dynamic linker) with the libraries in `libraries`.
    pub(super) fn with_loader(loader: &Path, libraries: &Path, program: &Path) -> Self {
        let leading = vec!["--library-path".into(), libraries.into(), program.into()];
        Self { executable: loader.into(), leading }
    }

    /// The program `name` on the PATH, else where system programs are (which is not on every user's
    /// PATH).
    #[must_use]
    pub fn on_path(name: &str) -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let system = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
        let files = env::split_paths(&path).chain(system).map(|folder| folder.join(name));
        files.into_iter().find(|file| file.is_file()).map(Self::new)
    }

    /// What the operating system executes.
    #[must_use]
    pub fn executable(&self) -> &Path {
        &self.executable
    }

    /// The arguments before the program's own.
    #[must_use]
    pub fn leading_args(&self) -> &[OsString] {
        &self.leading
    }

    /// A command that runs it, to which arguments are added.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(&self.leading);
        command
    }

    /// The first line that it prints for `--version`, which every program here knows.
    ///
    /// # Errors
    /// It does not run, or fails.
    pub(super) fn version(&self) -> Result<String, String> {
        let output = self.command().arg("--version").output().map_err(|e| e.to_string())?;
        successful(output).map(|text| text.lines().next().unwrap_or_default().to_owned())
    }
}

/// What a finished tool printed.
///
/// # Errors
/// Its exit status and what it wrote to standard error.
pub(super) fn successful(output: Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{}: {}", output.status, text(&output.stderr)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_path_finds_existing_programs_only() {
        assert!(Program::on_path("sh").is_some());
        assert!(Program::on_path("no-program-has-this-name").is_none());
    }

    #[test]
    fn output_of_a_failing_tool_is_quoted() {
        let output = Command::new("sh").args(["-c", "echo so sorry >&2; exit 3"]).output().unwrap();
        let complaint = successful(output).unwrap_err();
        assert!(complaint.contains("so sorry") && complaint.contains('3'), "{complaint}");
    }
}
