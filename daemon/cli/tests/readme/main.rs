//! The README's first session, run as it stands there: each line is given to a shell, and each line that the README shows
//! must be among what comes of it.
//!
//! Beside this test's own program it needs `testnet`, which `./check` builds first.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod session;
mod shell;
#[path = "../common/terminal.rs"]
mod terminal;

use std::{fs, path::Path};

use session::{Line, lines_of, shows};
use shell::Shell;

/// The section that is run.
const SECTION: &str = "## A first session by hand";

fn readme() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    fs::read_to_string(file).unwrap()
}

#[test]
fn first_session_of_the_readme_runs_line_by_line() {
    let lines = lines_of(&readme(), SECTION);
    assert!(lines.len() > 12, "{lines:?}");
    let mut shell = Shell::new();
    for Line { command, shown } in lines {
        match command.split_whitespace().next().unwrap() {
            // The programs are built: this test runs them.
            "cargo" => assert!(
                command.contains("-p autonomy-cli") && command.contains("-p autonomy-testnet"),
                "{command}"
            ),
            "export" => assert!(command.contains("target/release"), "{command}"),
            _ if ["testnet up", "autonomy pod run"].contains(&command.as_str()) => {
                let said = shell.begin(&command, shown.last().unwrap());
                check(&command, &shown, &said);
            }
            _ => {
                let said = shell.run(&command, &shown);
                check(&command, &shown, &said);
            }
        }
    }
}

/// Each line that the README shows is among what was said.
fn check(command: &str, shown: &[String], said: &str) {
    for line in shown {
        assert!(said.lines().any(|said| shows(line, said)), "`{command}` does not say `{line}`:\n{said}");
    }
}
