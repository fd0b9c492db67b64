//! A device: commands that reach the pod through Tor. Its agent, which stays between commands, ends with
//! the world.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::settings::{Home, PartyKind};
use super::{Autonomy, CommandError, Done, PartyError, command};
use crate::world::World;

/// A command over Tor: the first one starts Tor, and a new descriptor may take a minute to be found.
const TOR_LIMIT: Duration = Duration::from_secs(180);

/// A device of a world.
#[derive(Debug)]
pub struct Device {
    name: String,
    home: Home,
}

impl Device {
    /// Sets up the folder of device `name`, with this world's Tor network.
    ///
    /// # Errors
    /// When a part of the world does not start or the folder cannot be written.
    pub fn new(world: &World, autonomy: &Autonomy, name: &str) -> Result<Self, PartyError> {
        let home = Home::set_up(world, autonomy, name, &PartyKind::Device)?;
        Ok(Self { name: name.to_owned(), home })
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.home.dir
    }

    /// A script by which a person runs commands as this device.
    #[must_use]
    pub fn script(&self) -> PathBuf {
        self.home.dir.join("autonomy")
    }

    /// Runs `autonomy --json ARGS…` with this device's settings.
    ///
    /// # Errors
    /// When the command fails.
    pub fn cli(&self, args: &[&str]) -> Result<Done, CommandError> {
        self.cli_within(args, TOR_LIMIT)
    }

    /// The same for a command that may take longer.
    ///
    /// # Errors
    /// When the command fails, or does not end within `limit`.
    pub fn cli_within(&self, args: &[&str], limit: Duration) -> Result<Done, CommandError> {
        command::run(&self.home.launch, &self.home.dir, args, limit)
    }
}
