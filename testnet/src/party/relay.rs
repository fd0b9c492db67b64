//! A relay that runs by itself: `autonomy relay run` in a folder of its own.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::settings::{Home, PartyKind};
use super::{AskError, Autonomy, CommandError, Done, PartyError, PodError, command, socket};
use crate::clock;
use crate::process::Process;
use crate::world::World;

/// A command on the relay's own machine.
const LOCAL_LIMIT: Duration = Duration::from_secs(60);

/// A relay of a world. Dropping it ends its process.
#[derive(Debug)]
pub struct Relay {
    name: String,
    home: Home,
    process: Mutex<Option<Process>>,
}

impl Relay {
    /// Sets up the folder of relay `name`, with this world's Tor network.
    ///
    /// # Errors
    /// When a part of the world does not start or the folder cannot be written.
    pub fn new(world: &World, autonomy: &Autonomy, name: &str) -> Result<Self, PartyError> {
        let home = Home::set_up(world, autonomy, name, &PartyKind::Relay)?;
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

    /// Runs `autonomy --json ARGS…` with this relay's settings.
    ///
    /// # Errors
    /// When the command fails.
    pub fn cli(&self, args: &[&str]) -> Result<Done, CommandError> {
        command::run(&self.home.launch, &self.home.dir, args, LOCAL_LIMIT)
    }

    /// Starts `autonomy relay run`. One that runs is killed first.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self) -> Result<(), PodError> {
        self.kill();
        let launch = self.home.launch.clone().stdout_to(self.events());
        *self.slot() = Some(launch.args(["--json", "relay", "run"]).spawn()?);
        Ok(())
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.slot().as_ref().filter(|process| process.is_running()).map(Process::pid)
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.pid().is_some()
    }

    /// Kills it as a power cut would.
    pub fn kill(&self) {
        self.slot().take();
    }

    /// Waits until the relay has dialled itself through its onion service, and returns its address.
    ///
    /// # Errors
    /// It ends, or is not reachable within `limit`.
    pub fn reachable(&self, limit: Duration) -> Result<String, PodError> {
        let mut last = Value::Null;
        let outcome = clock::wait_for(limit, || {
            if !self.is_running() {
                return Err(PodError::Ended { name: self.name.clone(), log: self.home.log_tail() });
            }
            let events = std::fs::read_to_string(self.events()).unwrap_or_default();
            let events: Vec<Value> =
                events.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            last = events.last().cloned().unwrap_or_default();
            let reachable = events.iter().any(|event| event["state"] == "reachable");
            let place = events.iter().find_map(|event| event["place"].as_str());
            Ok(place.filter(|_| reachable).map(str::to_owned))
        })?;
        outcome.map_err(|cause| PodError::NotReady {
            name: self.name.clone(),
            what: "it is reachable".to_owned(),
            cause,
            status: last.to_string(),
            log: self.home.log_tail(),
        })
    }

    /// Its counters.
    ///
    /// # Errors
    /// It does not run.
    pub fn counted(&self) -> Result<Value, AskError> {
        socket::ask(&self.home.dir.join("data/relay.sock"), "GET /v1/relay", None, &socket::fresh_key())
    }

    /// The file with its events, one JSON object per line.
    fn events(&self) -> std::path::PathBuf {
        self.home.dir.join("events")
    }

    /// The process, locked.
    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
