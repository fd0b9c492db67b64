//! Finds relays that take frames and keep them: what the contact says it left there is held against what came out.
//!
//! A relay that only loses frames now and then is found in the same way, and deserves the same: another takes its
//! place. The audit needs no help of the relay and no clock but ours.

/// Frames that may be missing without a word.
pub const SUSPECT_MISSING: u32 = 3;

/// Seconds a relay has, while it is connected, to hand over what it accepted. It pushes at once; 10 min leave room for
/// any number of broken circuits.
pub const SUSPECT_AFTER: u64 = 600;

/// A look at it that comes so many seconds after it was due proves nothing: the machine slept, or its clock jumped.
const LATE: u64 = 120;

/// A relay that we did not see for so long (20 days) may have dropped frames by their age.
const FRAMES_AGE: u64 = 20 * 86_400;

/// Compares what a contact says one of our relays accepted with what we collected there.
///
/// All frames of the queue must count on our side, from its first; a contact whose count falls back only weakens the
/// watch. (A pod that came back from a backup has not counted all: it counts for queues that it opens from then on.)
///
/// A claim is held against the relay if it stayed connected and did not catch up **with that claim**: however many
/// frames are on their way, and in whatever order, one that delivers is never suspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayAudit {
    /// The highest count that the contact named so far.
    claimed: u32,
    /// Frames of theirs that came out of the queue, each once.
    collected: u32,
    /// Since when the subscription has been up without a break; none while it is down.
    up_since: Option<u64>,
    /// When it was last known to be connected.
    seen: u64,
    /// We were away for so long that frames may have been dropped by their age: nothing can be held against the relay
    /// any more.
    blind: bool,
    /// What the relay is given time for at present; none while too little is missing.
    claim: Option<Claim>,
}

/// From then on the relay should have handed over so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    /// So many frames, of those claimed.
    count: u32,
    /// When the claim was set up, seconds.
    since: u64,
}

impl RelayAudit {
    /// Of a queue that was opened now.
    #[must_use]
    pub fn new(now: u64) -> Self {
        Self { claimed: 0, collected: 0, up_since: None, seen: now, blind: false, claim: None }
    }

    /// After a restart: so many frames were claimed and collected, and the relay was last connected at `seen`.
    #[must_use]
    pub fn resume(claimed: u32, collected: u32, seen: u64) -> Self {
        Self { claimed, collected, ..Self::new(seen) }
    }

    /// The contact says that so many of its frames were accepted at the relay so far. Claims come in any order.
    ///
    /// A contact who claims too much makes a relay suspect that is not: it costs us a move to another relay, and the
    /// contact cannot choose which.
    pub fn claimed(&mut self, count: u32, now: u64) {
        self.claimed = self.claimed.max(count);
        self.look(now);
    }

    /// We have collected one more of its frames there, for the first time.
    pub fn collected(&mut self, now: u64) {
        self.collected = self.collected.saturating_add(1);
        self.look(now);
    }

    /// Our subscription at the relay came up or broke.
    pub fn connected(&mut self, up: bool, now: u64) {
        if self.up_since.is_some() {
            self.seen = now;
        } else if up {
            self.blind |= now.saturating_sub(self.seen) >= FRAMES_AGE;
            self.seen = now;
        }
        self.up_since = up.then_some(self.up_since.unwrap_or(now));
        self.look(now);
    }

    /// The clock went back: the relay has its time from now on.
    pub fn clock_went_back(&mut self, now: u64) {
        self.up_since = self.up_since.map(|up| up.min(now));
        self.seen = self.seen.min(now);
        if let Some(claim) = &mut self.claim {
            claim.since = claim.since.min(now);
        }
    }

    /// Looks whether time is up. If that was some while ago and nobody looked, the relay has its time once more: there may have
    /// been less of it than the clock says.
    pub fn look_again(&mut self, now: u64) {
        if self.suspect_at().is_some_and(|at| now > at.saturating_add(LATE))
            && let Some(claim) = &mut self.claim
        {
            claim.since = now;
        }
    }

    /// Whether the relay accepted frames and kept them to itself.
    ///
    /// Only while it is connected: what cannot be collected may still be there.
    #[must_use]
    pub fn is_suspect(&self, now: u64) -> bool {
        self.suspect_at().is_some_and(|at| now >= at)
    }

    /// When it will be suspect if it gives out nothing until then.
    ///
    /// None while nothing is missing, while the relay is not connected, or where the audit is blind.
    #[must_use]
    pub fn suspect_at(&self) -> Option<u64> {
        let (Some(claim), Some(up), false) = (self.claim, self.up_since, self.blind) else { return None };
        Some(claim.since.max(up).saturating_add(SUSPECT_AFTER))
    }

    /// Frames claimed and collected.
    #[must_use]
    pub fn counts(&self) -> (u32, u32) {
        (self.claimed, self.collected)
    }

    /// Sets up the next claim when the last one is met.
    ///
    /// A claim that is not met yet stays as it is: newer ones do not move its deadline, or a contact that keeps
    /// sending would keep a bad relay in use.
    fn look(&mut self, now: u64) {
        let missing = |count: u32| count.saturating_sub(self.collected) >= SUSPECT_MISSING;
        if self.claim.is_none_or(|claim| !missing(claim.count)) {
            self.claim = missing(self.claimed).then_some(Claim { count: self.claimed, since: now });
        }
    }
}
