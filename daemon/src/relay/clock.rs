//! What time it is for a relay: this machine's clock, held against Tor's consensus.

use std::sync::{Arc, Mutex, PoisonError};

use autonomy_node::{
    Timestamp,
    clock::{Clock as Outside, Moment},
};
use tokio::time::Instant;

/// Gives the time, and whether anything outside confirms it: while nothing does, nothing is too old. Called from several
/// threads.
pub type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// This machine's clock, and the consensus that it is held against. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CheckedClock {
    outside: Arc<Mutex<Outside>>,
    started: Instant,
    wall: fn() -> Timestamp,
}

impl CheckedClock {
    /// Without a consensus, and so not confirmed. `wall` gives what this machine's clock shows.
    #[must_use]
    pub fn new(wall: fn() -> Timestamp) -> Self {
        Self { outside: Arc::default(), started: Instant::now(), wall }
    }

    /// Tor works with a consensus of this validity.
    pub fn consensus(&self, valid_after: Timestamp, valid_until: Timestamp) {
        self.outside().consensus(valid_after, valid_until, self.steady());
    }

    /// What time it is.
    #[must_use]
    pub fn read(&self) -> Moment {
        self.outside().read((self.wall)(), self.steady())
    }

    /// As a relay wants it.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let checked = self.clone();
        Arc::new(move || checked.read())
    }

    fn outside(&self) -> std::sync::MutexGuard<'_, Outside> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn steady(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Timestamp = 1_795_392_000;
    const HOUR: Timestamp = 3_600;

    #[test]
    fn clock_years_ahead_is_passed_over_once_tor_has_a_fresh_consensus() {
        let checked = CheckedClock::new(|| TODAY + 5 * 366 * 24 * HOUR);
        let relay = checked.clock();
        assert!(!relay().is_right);
        // What was kept on the disk may be old; the next one comes from the network.
        checked.consensus(TODAY - 3 * HOUR, TODAY);
        assert!(!relay().is_right);
        checked.consensus(TODAY - HOUR, TODAY + 2 * HOUR);
        let moment = relay();
        assert!(
            moment.is_right && moment.now.abs_diff(TODAY) <= HOUR && moment.off_by.is_some(),
            "{moment:?}"
        );
    }

    #[test]
    fn clock_that_tor_confirms_counts() {
        let checked = CheckedClock::new(|| TODAY);
        checked.consensus(TODAY - HOUR, TODAY + 2 * HOUR);
        assert_eq!(checked.read(), Moment { now: TODAY, is_right: true, off_by: None });
    }
}
