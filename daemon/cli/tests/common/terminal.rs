//! A command at a terminal of its own, as a person sees and answers it.

use std::{
    io::{Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A command that runs at a terminal.
pub(crate) struct Terminal {
    /// `script`, of which the command is a child.
    pub(crate) child: Child,
    typed: ChildStdin,
    shown: ChildStdout,
    /// All that was shown so far.
    pub(crate) said: String,
}

impl Terminal {
    /// Runs a shell's line; `script` is a command that has the environment, and no arguments.
    pub(crate) fn run(mut script: Command, line: &str) -> Self {
        script.args(["-qefc", line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = script.spawn().unwrap();
        let (typed, shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, typed, shown, said: String::new() }
    }

    /// Reads until `text` is shown; says whether it was before the command ended.
    pub(crate) fn shows(&mut self, text: &str) -> bool {
        let (mut byte, mut bytes) = ([0], Vec::new());
        let mut found = false;
        while !found && self.shown.read(&mut byte).unwrap() == 1 {
            bytes.push(byte[0]);
            found = bytes.ends_with(text.as_bytes());
        }
        self.said.push_str(&String::from_utf8_lossy(&bytes));
        found
    }

    pub(crate) fn types(&mut self, keys: &[u8]) {
        self.typed.write_all(keys).unwrap();
        self.typed.flush().unwrap();
    }

    /// The exit status, and all that was shown.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut rest = Vec::new();
        self.shown.read_to_end(&mut rest).unwrap();
        self.said.push_str(&String::from_utf8_lossy(&rest));
        (self.child.wait().unwrap().code(), self.said)
    }
}
