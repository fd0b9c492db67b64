//! A process that may be killed and started again, while others hold on to its slot.

use std::sync::{PoisonError, RwLock};

use super::{Process, SpawnError};

/// The current process of one part of a world.
#[derive(Debug)]
pub(crate) struct ProcessSlot(RwLock<Process>);

impl ProcessSlot {
    /// A slot with a running process.
    pub(crate) fn new(process: Process) -> Self {
        Self(RwLock::new(process))
    }

    /// Runs `act` on the current process. A restart waits until it is done.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&Process) -> T) -> T {
        act(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Kills the current process, if it runs, and replaces it by the one that `start` returns.
    ///
    /// # Errors
    /// `start` failed; the slot then holds the killed process.
    pub(crate) fn restart(
        &self,
        start: impl FnOnce() -> Result<Process, SpawnError>,
    ) -> Result<(), SpawnError> {
        let mut slot = self.0.write().unwrap_or_else(PoisonError::into_inner);
        slot.kill();
        *slot = start()?;
        Ok(())
    }
}
