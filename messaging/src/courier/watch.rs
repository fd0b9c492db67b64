/// Frames that may be missing without a word: the last ones of a shipment that is still on its way.
pub const SUSPECT_MISSING: u32 = 3;

/// Seconds a relay has, while it is connected, to hand over what it accepted. It pushes at once; 10 min leave room for
/// any number of broken circuits.
pub const SUSPECT_AFTER: u64 = 600;

/// A relay that was away for so long (20 days) may have dropped frames by their age.
const FRAMES_AGE: u64 = 20 * 86_400;

/// Compares what a contact says one of our relays accepted with what we collected there.
///
/// Counts are compared with those of a moment when both were known, so either side may begin again from 0. A claim is
/// held against the relay only if it stayed connected and did not catch up **with that claim**: however many frames
/// are on their way, and in whatever order, one that delivers is never suspected.
#[derive(Debug, Clone, Copy, Default)]
pub struct Watch {
    claimed: Option<u32>,
    collected: u32,
    /// What `collected` was when `claimed` was 0, give or take a restart of the contact.
    base: i64,
    up_since: Option<u64>,
    down_since: Option<u64>,
    claim: Option<Claim>,
}

/// By then the relay should have handed over so many.
#[derive(Debug, Clone, Copy)]
struct Claim {
    collected: i64,
    since: u64,
}

impl Watch {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The contact says that so many of its frames were accepted at the relay so far.
    pub fn claimed(&mut self, count: u32, now: u64) {
        if self.claimed.is_none_or(|before| count < before) {
            self.base = i64::from(self.collected) - i64::from(count);
            self.claim = None;
        }
        self.claimed = Some(count);
        self.look(now);
    }

    /// We have collected one more of its frames there, for the first time.
    pub fn collected(&mut self, now: u64) {
        self.collected = self.collected.saturating_add(1);
        self.look(now);
    }

    /// Our subscription at the relay came up or broke.
    pub fn connected(&mut self, up: bool, now: u64) {
        match (up, self.up_since) {
            (true, None) => {
                let away = self.down_since.take().map_or(0, |since| now.saturating_sub(since));
                if away >= FRAMES_AGE {
                    self.claimed = None;
                    self.claim = None;
                }
                self.up_since = Some(now);
            }
            (false, Some(_)) => {
                self.up_since = None;
                self.down_since = Some(now);
            }
            _ => {}
        }
    }

    /// Whether the relay accepted frames and kept them to itself.
    #[must_use]
    pub fn is_suspect(&self, now: u64) -> bool {
        let (Some(claim), Some(up)) = (self.claim, self.up_since) else { return false };
        now >= claim.since.max(up) + SUSPECT_AFTER
    }

    /// Sets up the next claim when the last one is met.
    fn look(&mut self, now: u64) {
        let met = |expected: i64| expected - i64::from(self.collected) < i64::from(SUSPECT_MISSING);
        if self.claim.is_some_and(|claim| met(claim.collected)) {
            self.claim = None;
        }
        let expected = self.base + self.claimed.map_or(0, i64::from);
        if self.claim.is_none() && self.claimed.is_some() && !met(expected) {
            self.claim = Some(Claim { collected: expected, since: now });
        }
    }
}
