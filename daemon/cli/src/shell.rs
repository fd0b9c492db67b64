//! Shell completions and manual pages, generated from the definitions of the command line.

use std::{io, path::Path};

use clap::CommandFactory;
use serde_json::json;

use super::{
    Failure,
    args::Cli,
    manual,
    output::{Report, path},
};

/// Prints the completion script of a shell.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn completions(shell: clap_complete::Shell) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "autonomy", &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script)
}

/// Writes a manual page for each verb into `dir`, which is created if needed.
///
/// # Errors
/// The folder cannot be created or written.
pub(super) fn man(dir: &Path) -> Result<Report, Failure> {
    let failed =
        |error: io::Error| Failure::other("file", format!("cannot write to {}: {error}", dir.display()));
    std::fs::create_dir_all(dir).map_err(failed)?;
    manual::write(dir).map_err(failed)?;
    let text = format!("manual pages are in {0}; read one with `man -l {0}/autonomy.1`", dir.display());
    Ok(Report::new(&json!({ "dir": path(dir) }), text))
}
