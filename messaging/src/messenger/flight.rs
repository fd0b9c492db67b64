//! The repeated sending of what stands at the beginning: an invite, a hello, a reset.

use super::states::Timestamp;

/// How often it was sent, and when it is due again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FirstFlight {
    /// Calls on their way.
    pub(super) in_flight: u32,
    /// When it is sent again.
    pub(super) due: Timestamp,
    pub(super) tries: u32,
    /// Whether a place took it this time.
    pub(super) left: bool,
}

/// Pause before a place that did not answer is asked again, seconds; doubled each time.
const FIRST_PAUSE: u64 = 2;
const LONGEST_PAUSE: u64 = 300;

impl FirstFlight {
    /// No place took it: later again.
    pub(super) fn put_off(&mut self, now: Timestamp) {
        self.due = now + (FIRST_PAUSE << self.tries.min(8)).min(LONGEST_PAUSE);
        self.tries += 1;
    }
}
