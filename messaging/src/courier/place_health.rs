//! How one place of a contact has been lately: how many calls may go there at once, and when one that failed is tried
//! again.
//!
//! The number of calls is learnt as by TCP's slow start (RFC 5681): it begins at [`FIRST_CALLS`], grows by one with
//! each success up to [`MAX_IN_FLIGHT`], and begins anew after a failure. The back-off doubles from one second up to
//! five minutes for a pod and fifteen for a relay, with up to half as much jitter on top.

use rand_core::RngCore;

use super::delivery_state::DIRECT_WAIT;
use super::later;

/// Most calls on their way to one place for one contact. Three quarters are for files: 48 × 16 KiB = 786 kB, which is more
/// than two Tor streams take without an answer (500 cells of 498 B each, 249 kB), so both are always full.
pub const MAX_IN_FLIGHT: usize = 64;

/// Longest wait between two tries of a contact's own pod that does not answer, in seconds (jitter comes on top).
pub const BACK_OFF_DIRECT: u64 = 5 * 60;

/// The same for a relay.
pub const BACK_OFF_RELAY: u64 = 15 * 60;

/// Calls that a place gets before it has answered any; each success allows one more.
const FIRST_CALLS: usize = 4;

/// After a sign of life of the contact a place is tried again so many seconds after it failed.
const RETRY_WHEN_HEARD: u64 = 10;

/// One place of a contact, and how it has been lately.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlaceHealth {
    /// It is the contact's own pod, and no relay.
    own: bool,
    /// Calls on their way.
    in_flight: usize,
    /// Calls that may be on their way at once while the place is up.
    slots: usize,
    /// Failures in a row, those of calls that left together counted once; 0 means that it is up.
    failures: u32,
    /// When it last failed, seconds.
    failed_at: u64,
    /// It is not tried before this moment, seconds; counts only while it is down.
    not_before: u64,
    /// Frames that it accepted since the card named it: what the contact's audit compares with what it collects.
    accepted: u32,
    /// When the oldest call on its way left.
    pub(super) oldest: Option<u64>,
}

impl PlaceHealth {
    /// A place of which nothing is known yet counts as up.
    pub(super) fn new(own: bool, accepted: u32) -> Self {
        Self {
            own,
            in_flight: 0,
            slots: FIRST_CALLS,
            failures: 0,
            failed_at: 0,
            not_before: 0,
            accepted,
            oldest: None,
        }
    }

    /// The same place on a newer card, which may call it a relay where the older said pod.
    pub(super) fn with_own(self, own: bool) -> Self {
        Self { own, ..self }
    }

    pub(super) fn is_own(&self) -> bool {
        self.own
    }

    /// Whether the last call that ended went well, or none has ended yet.
    pub(super) fn is_up(&self) -> bool {
        self.failures == 0
    }

    /// Frames that it accepted.
    pub(super) fn count(&self) -> u32 {
        self.accepted
    }

    /// How many calls may start now: one at a time to a place that failed, and not too soon.
    pub(super) fn free(&self, now: u64) -> usize {
        let most = match self.is_up() {
            true => self.slots,
            false => usize::from(now >= self.not_before),
        };
        most.saturating_sub(self.in_flight)
    }

    /// Whether it makes sense to turn to it now; one that is up may have to wait for a free call.
    pub(super) fn can_take(&self, now: u64) -> bool {
        self.is_up() || self.free(now) > 0
    }

    /// Calls that files may start: a quarter is kept for messages.
    pub(super) fn room_for_bulk(&self) -> usize {
        if self.is_up() { (self.slots - self.slots / 4).saturating_sub(self.in_flight) } else { 1 }
    }

    /// It answers, and without delay.
    pub(super) fn is_well(&self, now: u64) -> bool {
        self.is_up() && !self.is_stalled(now)
    }

    /// A call has been on its way for longer than one should take.
    ///
    /// A broken circuit is noticed by its time-out only, minutes later; this is how messages get around it at
    /// once.
    pub(super) fn is_stalled(&self, now: u64) -> bool {
        self.oldest.is_some_and(|at| now >= at + DIRECT_WAIT)
    }

    /// When it may be tried again, and when its oldest call counts as hanging.
    pub(super) fn wakes(&self) -> impl Iterator<Item = u64> + use<> {
        let probe = (!self.is_up() && self.in_flight == 0).then_some(self.not_before);
        let stall = self.oldest.map(|at| at + DIRECT_WAIT);
        [probe, stall].into_iter().flatten()
    }

    /// A call left for it.
    pub(super) fn sent(&mut self, now: u64) {
        self.in_flight += 1;
        self.oldest.get_or_insert(now);
    }

    /// A call ended well: the place is up, and may take one more at a time.
    pub(super) fn accepted(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.accepted = self.accepted.saturating_add(1);
        let slots = if self.is_up() { self.slots + 1 } else { FIRST_CALLS };
        self.slots = slots.min(MAX_IN_FLIGHT);
        self.failures = 0;
    }

    /// A call that left at `at` failed. Those that were on their way together fail together, and count once.
    ///
    /// `wait` is what the place asked for, seconds; longer than its longest back-off it is not believed, so that no
    /// place can silence a contact for good.
    pub(super) fn failed(&mut self, at: u64, now: u64, wait: u64, rng: &mut dyn RngCore) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if !self.is_up() && at <= self.failed_at {
            return;
        }
        let most = if self.own { BACK_OFF_DIRECT } else { BACK_OFF_RELAY };
        let back_off = 1_u64.checked_shl(self.failures.min(32)).map_or(most, |s| s.min(most));
        self.failures = self.failures.saturating_add(1);
        self.failed_at = now;
        self.not_before = later(now, back_off, rng).max(now.saturating_add(wait.min(most)));
    }

    /// The clock was set back: both moments move with it.
    pub(super) fn set_back(&mut self, seconds: u64) {
        for time in [&mut self.failed_at, &mut self.not_before] {
            *time = time.saturating_sub(seconds);
        }
    }

    /// The contact showed a sign of life: the place is tried again [`RETRY_WHEN_HEARD`] seconds after it failed, and
    /// not only when its back-off is over.
    pub(super) fn heard_from(&mut self) {
        self.not_before = self.not_before.min(self.failed_at.saturating_add(RETRY_WHEN_HEARD));
    }
}

/// Up to half of `seconds`.
///
/// Evenly spread; a slight bias of the remainder does no harm here.
pub(super) fn jitter(seconds: u64, rng: &mut dyn RngCore) -> u64 {
    rng.next_u64() % (seconds / 2 + 1)
}
