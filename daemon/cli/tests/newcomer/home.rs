//! A home of its own, with nothing in it.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::terminal::Terminal;

pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn profile(&self) -> PathBuf {
        self.path().join(".local/share/autonomy/device/profile.redb")
    }

    fn command(&self, program: &str) -> Command {
        let programs = Path::new(env!("CARGO_BIN_EXE_autonomy")).parent().unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", path)
            .env("SHELL", "/bin/bash")
            .current_dir(self.path());
        command.env("AUTONOMY_PASSPHRASE", "correct horse").stdin(Stdio::null());
        command
    }

    /// Runs a line as a shell does.
    pub(crate) fn shell(&self, line: &str) -> Output {
        self.command("bash").args(["-c", line]).output().unwrap()
    }

    /// The same, with something to read.
    pub(crate) fn shell_with(&self, line: &str, input: &str) -> Output {
        let mut command = self.command("bash");
        command.args(["-c", line]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who does not read all of it has seen enough.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// The same, at a terminal.
    pub(crate) fn terminal(&self, line: &str) -> Terminal {
        Terminal::run(self.command("script"), line)
    }

    /// The one object that a line prints, which succeeds.
    pub(crate) fn json(&self, line: &str) -> Value {
        let output = self.shell(&format!("autonomy --json {line}"));
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Exit status, kind and detail of a line that fails.
    pub(crate) fn failure(&self, line: &str) -> (i32, String, String) {
        let output = self.shell(&format!("autonomy --json {line}"));
        assert_eq!(text(&output.stdout), "", "{line}");
        let error: Value = serde_json::from_slice(&output.stderr)
            .unwrap_or_else(|_| panic!("{line}: {}", text(&output.stderr)));
        let field = |name: &str| error["error"][name].as_str().unwrap().to_owned();
        (output.status.code().unwrap(), field("kind"), field("detail"))
    }
}

impl Terminal {
    /// Reads until `text` is shown, and gives all that was shown.
    pub(crate) fn until(&mut self, text: &str) -> &str {
        assert!(self.shows(text), "`{text}` was not shown:\n{}", self.said);
        &self.said
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
