//! The repeated sending of what stands at the beginning: an invite, a hello, a reset.
//!
//! None of these can be acknowledged by the ratchet, for there is no conversation yet; so they are repeated with
//! growing pauses until something comes of them.

use super::states::Timestamp;

/// How often it was sent, and when it is due again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FirstFlight {
    /// Calls on their way.
    pub(super) in_flight: u32,
    /// When it is sent again.
    pub(super) due: Timestamp,
    /// How often no place took it, in a row.
    pub(super) tries: u32,
    /// Whether a place took it this time.
    pub(super) left: bool,
}

/// Pause before a place that did not answer is asked again, seconds; doubled each time.
const FIRST_PAUSE: u64 = 2;
/// The pause grows no further, seconds.
const LONGEST_PAUSE: u64 = 300;

impl FirstFlight {
    /// The clock went back: a pause that was measured by it is over.
    pub(super) fn clock_went_back(&mut self) {
        self.due = 0;
    }

    /// No place took it: later again.
    ///
    /// The pause doubles from [`FIRST_PAUSE`] to [`LONGEST_PAUSE`].
    pub(super) fn put_off(&mut self, now: Timestamp) {
        self.due = now + (FIRST_PAUSE << self.tries.min(8)).min(LONGEST_PAUSE);
        self.tries += 1;
    }
}
