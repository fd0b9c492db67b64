//! A place for a process that may be killed and started again while others hold on to the place.

use std::sync::{PoisonError, RwLock};

use super::{Process, SpawnError};

/// The present process of some part of a world.
#[derive(Debug)]
pub(crate) struct Seat(RwLock<Process>);

impl Seat {
    pub(crate) fn new(process: Process) -> Self {
        Self(RwLock::new(process))
    }

    /// Acts on the present process.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&Process) -> T) -> T {
        act(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Kills the present process, if it runs, and puts the one that `start` gives in its place.
    pub(crate) fn restart(
        &self,
        start: impl FnOnce() -> Result<Process, SpawnError>,
    ) -> Result<(), SpawnError> {
        let mut seat = self.0.write().unwrap_or_else(PoisonError::into_inner);
        seat.kill();
        *seat = start()?;
        Ok(())
    }
}
