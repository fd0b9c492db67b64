//! Child processes that cannot outlive this process.
//!
//! Every child is started with a *parent death signal*: the kernel kills it when the thread that
//! started it ends, for whatever reason. Since the signal follows the **thread**, not the process,
//! all children are started by one thread that runs as long as the process (`spawner`): a test that
//! ends takes nothing of a shared world with it. Setting the signal needs a system call between
//! fork and exec, which safe Rust does not offer; `setpriv` of util-linux makes it. A shell then
//! checks that this process is still its parent, which closes the gap between fork and `setpriv`,
//! and becomes the program. What such a child starts in turn is left to the reaper of its world
//! (`reaper`).

mod identity;
mod reaper;
mod slot;
mod spawner;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;

use crate::clock;
use crate::folder::Folder;
use crate::provision::Program;
pub use identity::Identity;
pub(crate) use reaper::{MARK, Reaper};
pub(crate) use slot::ProcessSlot;

/// How long a killed process may take to disappear: the kernel's work alone.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The log file could not be written.
    #[error("cannot write {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program could not be run.
    #[error("cannot start {program} by way of setpriv (package util-linux): {source}")]
    Spawn {
        /// The program that was to run.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What to run: the program, its arguments, where its output goes.
#[derive(Debug, Clone)]
pub struct Launch {
    /// For people, in errors and reports.
    name: String,
    /// What runs.
    program: Program,
    /// Its arguments, without those that the program's loader needs.
    args: Vec<std::ffi::OsString>,
    /// Environment variables to set.
    env: Vec<(String, std::ffi::OsString)>,
    /// Where standard error goes, and standard output unless `stdout` names another file.
    log: PathBuf,
    /// A file for standard output alone.
    stdout: Option<PathBuf>,
}

impl Launch {
    /// A launch of `program`. `name` is for people; standard output and error are appended to
    /// `log`.
    #[must_use]
    pub fn new(name: impl Into<String>, program: &Program, log: impl Into<PathBuf>) -> Self {
        let (name, program, log) = (name.into(), program.clone(), log.into());
        Self { name, program, args: Vec::new(), env: Vec::new(), log, stdout: None }
    }

    /// The same under another name, with its output elsewhere.
    #[must_use]
    pub fn named(self, name: impl Into<String>, log: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), log: log.into(), ..self }
    }

    /// Appends standard output to a file of its own; the log keeps standard error.
    #[must_use]
    pub fn stdout_to(self, path: impl Into<PathBuf>) -> Self {
        Self { stdout: Some(path.into()), ..self }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<std::ffi::OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<std::ffi::OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<std::ffi::OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Makes the process, and all that it starts, one of the world in `folder`: they end with that world.
    #[must_use]
    pub fn of_world(self, folder: &Folder) -> Self {
        self.env(MARK, folder.path())
    }

    /// The command that sets the death signal, checks the parent, and becomes the program.
    ///
    /// Settings of `autonomy` in our own environment are a person's, meant for another pod: none is passed on.
    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        let names = std::env::vars_os().map(|(name, _)| name);
        for foreign in names.filter(|name| name.as_encoded_bytes().starts_with(b"AUTONOMY_")) {
            command.env_remove(foreign);
        }
        command
            .args(["--pdeathsig", "KILL", "--", "sh", "-c"])
            .arg(r#"[ "$PPID" = "$0" ] && exec "$@""#)
            .arg(std::process::id().to_string())
            .arg(self.program.executable())
            .args(self.program.leading_args())
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            // Ctrl-C at a terminal goes to a whole process group; who stops when is ours to decide.
            .process_group(0);
        command
    }

    /// Starts the process. It ends when the [`Process`] is dropped or this program ends, however it ends.
    ///
    /// # Errors
    /// When the log cannot be written or the program cannot be run.
    pub fn spawn(&self) -> Result<Process, SpawnError> {
        let output = append(self.stdout.as_ref().unwrap_or(&self.log))?;
        let errors = append(&self.log)?;
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = spawner::spawn(command)
            .map_err(|source| SpawnError::Spawn { program: self.program.executable().to_owned(), source })?;
        let identity = Identity::of(child.id());
        Ok(Process { name: self.name.clone(), log: self.log.clone(), identity, child: Mutex::new(child) })
    }
}

/// Opens a file for appending.
fn append(path: &Path) -> Result<File, SpawnError> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.map_err(|source| SpawnError::File { path: path.to_owned(), source })
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    /// Tells it from a later process with the same id.
    identity: Identity,
    /// The child; locked while it is waited for or killed.
    child: Mutex<Child>,
}

impl Process {
    /// The name given at the launch.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.identity.pid()
    }

    /// Process id and start time, which tell this process from a later one with the same id.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last `lines` lines of its output, for error messages.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// How it ended, or `None` while it runs.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child().try_wait().ok().flatten()
    }

    /// Whether it still runs. A frozen process runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.exit_status().is_none()
    }

    /// Kills it at once, as a power cut would, and waits until it is gone. Harmless when it is gone already.
    pub fn kill(&self) {
        let mut child = self.child();
        // Fails only if the child has ended already.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Asks it to end (SIGTERM), waits up to `grace`, then kills it. Returns whether it ended by
    /// itself.
    pub fn stop(&self, grace: Duration) -> bool {
        self.signal(Signal::TERM);
        let ended = clock::wait_until(grace, || !self.is_running()).is_ok();
        self.kill();
        ended
    }

    /// Holds it without ending it (SIGSTOP): its connections stay open and silent.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to read its configuration again (SIGHUP).
    pub fn reload(&self) {
        self.signal(Signal::HUP);
    }

    /// Sends `signal` unless the process has ended; the lock keeps its number from being reused meanwhile.
    fn signal(&self, signal: Signal) {
        let mut child = self.child();
        if let Ok(None) = child.try_wait() {
            self.identity.signal(signal);
        }
    }

    /// The child, locked.
    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
