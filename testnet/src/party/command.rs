//! One command of `autonomy`, run to its end, its JSON read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::clock::{self, NotYet};
use crate::process::{Launch, SpawnError};

/// What a command that succeeded printed, and how long it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Its JSON object.
    pub value: Value,
    /// From start to end of the process.
    pub took: Duration,
}

/// Why a command gave no result.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be run.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// It did not end.
    #[error("`autonomy {command}` did not end: {cause}; its output is in {output}")]
    Endless {
        /// Verb and arguments.
        command: String,
        /// Why the wait ended.
        cause: NotYet,
        /// File with what it wrote so far.
        output: PathBuf,
    },
    /// It ended with an error.
    #[error("`autonomy {command}` failed with status {code}, {kind}: {detail}")]
    Failed {
        /// Verb and arguments.
        command: String,
        /// Exit status; -1 when a signal ended it.
        code: i32,
        /// The program's word for what went wrong; empty where it gave none.
        kind: String,
        /// Its explanation, or all it wrote to standard error.
        detail: String,
    },
    /// It succeeded and printed something else than JSON.
    #[error("`autonomy {command}` printed no JSON object: {printed}")]
    NotJson {
        /// Verb and arguments.
        command: String,
        /// The beginning of what it printed.
        printed: String,
    },
}

impl CommandError {
    /// Exit status and the program's word for the error, where the program itself said no.
    #[must_use]
    pub fn refusal(&self) -> Option<(i32, &str)> {
        match self {
            Self::Failed { code, kind, .. } => Some((*code, kind)),
            _ => None,
        }
    }
}

/// Commands of this process, to number their output files.
static COMMANDS: AtomicU32 = AtomicU32::new(0);

/// Runs `launch` with `--json` and `args`, its output kept in `dir/commands`.
pub(super) fn run(launch: &Launch, dir: &Path, args: &[&str], limit: Duration) -> Result<Done, CommandError> {
    let number = COMMANDS.fetch_add(1, Ordering::Relaxed);
    let file = |kind: &str| dir.join(format!("commands/{number}.{kind}"));
    let (out, err) = (file("out"), file("err"));
    let command = args.join(" ");
    let started = clock::now();
    let launch = launch.clone().named("autonomy", &err).stdout_to(&out).arg("--json").args(args);
    let process = launch.spawn()?;
    let status = clock::wait_for(limit, || Ok::<_, SpawnError>(process.exit_status()))?;
    let took = started.elapsed();
    let text = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    match status {
        Err(cause) => Err(CommandError::Endless { command, cause, output: out }),
        Ok(status) if status.success() => Ok(Done { value: object(command, &text(&out))?, took }),
        Ok(status) => Err(failure(command, status.code().unwrap_or(-1), &text(&err))),
    }
}

/// A verb prints one object; one that prints a line for each event gives an array of them.
fn object(command: String, printed: &str) -> Result<Value, CommandError> {
    if let Ok(value) = serde_json::from_str(printed) {
        return Ok(value);
    }
    let lines: Result<Vec<Value>, _> = printed.lines().map(serde_json::from_str).collect();
    match lines {
        Ok(lines) if !lines.is_empty() => Ok(Value::Array(lines)),
        _ => Err(CommandError::NotJson { command, printed: printed.chars().take(200).collect() }),
    }
}

/// Reads `{"error": {"kind", "detail"}}`, the last such line, else takes all that was written.
fn failure(command: String, code: i32, written: &str) -> CommandError {
    let errors = written.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let error = errors.map(|mut line| line["error"].take()).find(|error| !error.is_null());
    let word = |name: &str| error.as_ref().and_then(|error| error[name].as_str()).map(str::to_owned);
    CommandError::Failed {
        command,
        code,
        kind: word("kind").unwrap_or_default(),
        detail: word("detail").unwrap_or_else(|| written.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provision::Program;
    use std::os::unix::fs::PermissionsExt;

    /// Runs a script in the place of `autonomy`.
    fn run_script(script: &str) -> Result<Done, CommandError> {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("commands")).unwrap();
        let program = dir.path().join("autonomy");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let launch = Launch::new("test", &Program::new(&program), dir.path().join("log"));
        run(&launch, dir.path(), &["status"], Duration::from_secs(2))
    }

    #[test]
    fn json_is_read_despite_output_on_standard_error() {
        let done = run_script(r#"echo starting Tor >&2; echo '{"args": "'"$*"'"}'"#).unwrap();
        assert_eq!(done.value["args"], "--json status");
        let done = run_script("echo '{\"id\": 1}'; echo '{\"id\": 2}'").unwrap();
        assert_eq!(done.value[1]["id"], 2);
    }

    #[test]
    fn refusal_keeps_status_kind_and_detail() {
        let script = r#"echo noise >&2; echo '{"error":{"kind":"revoked","detail":"shut out"}}' >&2; exit 5"#;
        let error = run_script(script).unwrap_err();
        assert_eq!(error.refusal(), Some((5, "revoked")));
        assert!(error.to_string().contains("shut out"), "{error}");
    }

    #[test]
    fn crash_garbage_and_endless_command_have_own_errors() {
        let crash = run_script("echo out of memory >&2; kill -9 $$").unwrap_err();
        assert_eq!(crash.refusal(), Some((-1, "")));
        assert!(crash.to_string().contains("out of memory"));
        assert!(matches!(run_script("echo hello"), Err(CommandError::NotJson { .. })));
        assert!(matches!(run_script("true"), Err(CommandError::NotJson { .. })));
        assert!(matches!(run_script("sleep 60"), Err(CommandError::Endless { .. })));
    }
}
