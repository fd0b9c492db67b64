//! A pod: a process that runs, and commands on the machine it runs on.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::settings::{Home, PartyKind};
use super::{AskError, Autonomy, CommandError, Done, PartyError, command, socket};
use crate::clock::{self, NotYet};
use crate::process::{Process, SpawnError};
use crate::world::World;

/// A command on the pod's own machine: files, and a socket; no Tor. Argon2 takes a second unoptimised.
const LOCAL_LIMIT: Duration = Duration::from_secs(60);
/// To finish what it is doing and close its stores.
const STOP_GRACE: Duration = Duration::from_secs(15);

/// Why a pod is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// It could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// It ended by itself.
    #[error("pod {name} ended; the end of its log:\n{log}")]
    Ended {
        /// Its name.
        name: String,
        /// The end of its log.
        log: String,
    },
    /// It does not get there.
    #[error(
        "pod {name}, waiting until {what}: {cause}; its last status was {status}; the end of its log:\n{log}"
    )]
    NotReady {
        /// Its name.
        name: String,
        /// What was waited for.
        what: String,
        /// Why the wait ended.
        cause: NotYet,
        /// What it said of itself.
        status: String,
        /// The end of its log.
        log: String,
    },
}

/// A pod of a world. Dropping it ends its process.
#[derive(Debug)]
pub struct Pod {
    name: String,
    home: Home,
    process: Mutex<Option<Process>>,
}

impl Pod {
    /// Sets up the folder of pod `name`, with this world's Tor network and bitcoind. Nothing runs yet.
    ///
    /// # Errors
    /// When a part of the world does not start or the folder cannot be written.
    pub fn new(world: &World, autonomy: &Autonomy, name: &str) -> Result<Self, PartyError> {
        let home = Home::set_up(world, autonomy, name, &PartyKind::Pod)?;
        Ok(Self { name: name.to_owned(), home, process: Mutex::default() })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.home.dir
    }

    /// A script by which a person runs commands as this pod.
    pub fn script(&self) -> PathBuf {
        self.home.dir.join("autonomy")
    }

    /// Runs `autonomy --json ARGS…` with this pod's settings.
    ///
    /// # Errors
    /// When the command fails.
    pub fn cli(&self, args: &[&str]) -> Result<Done, CommandError> {
        self.cli_within(args, LOCAL_LIMIT)
    }

    /// The same, with so much time: for what moves a lot of data.
    ///
    /// # Errors
    /// When the command fails or takes longer.
    pub fn cli_within(&self, args: &[&str], limit: Duration) -> Result<Done, CommandError> {
        command::run(&self.home.launch, &self.home.dir, args, limit)
    }

    /// Starts `autonomy pod run`. One that runs is killed first.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self) -> Result<(), PodError> {
        self.kill();
        let process = self.home.launch.clone().args(["pod", "run"]).spawn()?;
        *self.slot() = Some(process);
        Ok(())
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.slot().as_ref().filter(|process| process.is_running()).map(Process::pid)
    }

    /// Kills it as a power cut would.
    pub fn kill(&self) {
        self.slot().take();
    }

    /// Asks it to end and says whether it did so by itself.
    pub fn stop(&self) -> bool {
        let process = self.slot().take();
        process.is_some_and(|process| process.stop(STOP_GRACE))
    }

    /// Waits until what the pod says of itself (`pod status`) is as `ready` wants it; gives that status.
    ///
    /// # Errors
    /// When the pod ends, or does not get there within `limit`.
    pub fn wait(
        &self,
        what: &str,
        limit: Duration,
        mut ready: impl FnMut(&Value) -> bool,
    ) -> Result<Value, PodError> {
        let mut last = Value::Null;
        let outcome = clock::wait_for(limit, || {
            if self.pid().is_none() {
                return Err(PodError::Ended { name: self.name.clone(), log: self.log_tail() });
            }
            // Between start and open socket the command has no one to ask.
            if let Ok(status) = self.cli(&["pod", "status"]) {
                last = status.value;
            }
            Ok(ready(&last).then_some(()))
        })?;
        match outcome {
            Ok(()) => Ok(last),
            Err(cause) => Err(PodError::NotReady {
                name: self.name.clone(),
                what: what.to_owned(),
                cause,
                status: last.to_string(),
                log: self.log_tail(),
            }),
        }
    }

    /// Asks it by its own socket, as its command line does: `request` is method and path.
    ///
    /// # Errors
    /// When it does not run, or says no.
    pub fn ask(&self, request: &str, body: Option<&Value>) -> Result<Value, AskError> {
        self.ask_once(request, body, &socket::fresh_key())
    }

    /// [`ask`](Self::ask) with a key, by which the pod knows a repeat.
    ///
    /// # Errors
    /// Those of `ask`.
    pub fn ask_once(&self, request: &str, body: Option<&Value>, key: &str) -> Result<Value, AskError> {
        socket::ask(&self.home.dir.join("data/pod.sock"), request, body, key)
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        self.home.log_tail()
    }

    /// The process, locked.
    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
