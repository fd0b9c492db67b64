//! What time it is, as far as a machine can know: its clock, held against what comes from outside.
//!
//! The clock of a machine may be off by years: a dead battery, a virtual machine that was paused, a mistake. Two things from
//! outside tell: Tor's consensus, which is signed by the directory authorities and says from when until when it is valid
//! (Tor directory protocol, version 3, section 3.4.1), and the header time of the last block of the chain. Between two of
//! them time is counted by a clock that nobody can set.
//!
//! One rule for the whole pod: where the clock contradicts the consensus by more than [`TOLERANCE`], the pod goes by the
//! consensus, says so, and goes on. While nothing has told since the start, nothing ends for good: no message expires, no
//! invite closes, no draft, reply or queue is dropped.

use crate::Timestamp;

/// By how much a clock may be off, seconds: two hours. A consensus is valid for three, and the time of a block may be two hours
/// ahead of the network's.
pub const TOLERANCE: u64 = 2 * 60 * 60;

/// What time it is, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970: by the machine's clock, or by the outside where that contradicts it.
    pub now: Timestamp,
    /// Whether something outside confirms it. If not, nothing may end for good by it.
    pub is_right: bool,
    /// By how many seconds the machine's clock is ahead of the outside, or behind if negative. None where the two agree, or where
    /// the outside has not told.
    pub off_by: Option<i64>,
}

impl Moment {
    /// What the owner of the machine should know of its clock, where it is wrong.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let by = self.off_by?;
        let (size, side) = (by.unsigned_abs() / 3_600, if by > 0 { "ahead" } else { "behind" });
        let outside = if self.is_right { "Tor's consensus" } else { "the last block" };
        Some(format!(
            "this machine's clock is {size} hours {side} of {outside}, which is used instead: set the clock"
        ))
    }
}

/// What the outside has told. Steady seconds are those of a clock that only goes forward from the start of the process and is
/// never set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clock {
    consensus: Option<Span>,
    /// Whether it came from the network since the start. The first may have been kept on the disk, for days.
    is_fresh: bool,
    tip: Option<Span>,
}

/// The time was within these two at a steady second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: Timestamp,
    until: Timestamp,
    steady: u64,
}

impl Span {
    /// Where the time lies at a later steady second.
    fn at(self, steady: u64) -> Self {
        let passed = steady.saturating_sub(self.steady);
        Self { from: self.from.saturating_add(passed), until: self.until.saturating_add(passed), steady }
    }

    /// Whether a clock that shows this is right, or nearly.
    fn allows(self, wall: Timestamp) -> bool {
        (self.from.saturating_sub(TOLERANCE)..=self.until.saturating_add(TOLERANCE)).contains(&wall)
    }
}

impl Clock {
    /// Nothing was told yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tor works with a consensus of this validity at this steady second. The first that is told may come from the disk, so
    /// it can confirm a clock, and say that it is behind, and not that it is ahead. One that does not begin later than the
    /// last says nothing new.
    pub fn consensus(&mut self, valid_after: Timestamp, valid_until: Timestamp, steady: u64) {
        let told = Span { from: valid_after, until: valid_until, steady };
        let (is_first, is_later) = match self.consensus {
            None => (true, false),
            Some(known) => (false, valid_after > known.from),
        };
        if (is_first || is_later) && valid_after <= valid_until {
            self.is_fresh = is_later;
            self.consensus = Some(told);
        }
    }

    /// The chain that is followed has got a last block of this time at this steady second. It may be an old one, so it only says
    /// that the time is not earlier; a clock that is near to it is right.
    pub fn tip(&mut self, time: Timestamp, steady: u64) {
        self.tip = Some(Span { from: time, until: time, steady });
    }

    /// What time it is at this steady second where the machine's clock shows `wall`.
    #[must_use]
    pub fn read(&self, wall: Timestamp, steady: u64) -> Moment {
        let by_wall = |is_right| Moment { now: wall, is_right, off_by: None };
        let by_outside = |now, is_right| Moment { now, is_right, off_by: Some(difference(wall, now)) };
        match self.consensus.map(|consensus| consensus.at(steady)) {
            Some(consensus) if consensus.allows(wall) => return by_wall(true),
            Some(consensus) if self.is_fresh => return by_outside(consensus.from, true),
            Some(consensus) if wall < consensus.from => return by_outside(consensus.from, false),
            _ => {}
        }
        match self.tip.map(|tip| tip.at(steady)) {
            Some(tip) if tip.allows(wall) => by_wall(true),
            Some(tip) if wall < tip.from => by_outside(tip.from, false),
            _ => by_wall(false),
        }
    }
}

/// By how many seconds one is ahead of the other.
fn difference(wall: Timestamp, right: Timestamp) -> i64 {
    let by = i64::try_from(wall.abs_diff(right)).unwrap_or(i64::MAX);
    if wall >= right { by } else { -by }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: u64 = 3_600;
    const TODAY: u64 = 1_795_392_000;
    const YEAR: u64 = 366 * 86_400;

    /// A consensus that was kept, and one of the present hour that came a minute after the start.
    fn informed() -> Clock {
        let mut clock = Clock::new();
        clock.consensus(TODAY - 2 * HOUR, TODAY + HOUR, 0);
        clock.consensus(TODAY - HOUR / 2, TODAY + 5 * HOUR / 2, 60);
        clock
    }

    #[test]
    fn clock_is_not_right_before_anything_told() {
        assert_eq!(Clock::new().read(5, 0), Moment { now: 5, is_right: false, off_by: None });
    }

    #[test]
    fn clock_that_agrees_with_the_consensus_counts() {
        for wall in [TODAY, TODAY - TOLERANCE, TODAY + 2 * HOUR + TOLERANCE] {
            assert_eq!(informed().read(wall, 60), Moment { now: wall, is_right: true, off_by: None });
        }
    }

    #[test]
    fn clock_that_jumps_is_passed_over_and_the_jump_is_said() {
        for wall in [0, TODAY - YEAR, TODAY + 20 * 86_400, TODAY + 5 * YEAR, u64::MAX] {
            let Moment { now, is_right, off_by } = informed().read(wall, 60 + 600);
            assert!(now.abs_diff(TODAY + 600) <= HOUR, "{now}");
            assert!(is_right && off_by.is_some_and(|by| (by > 0) == (wall > TODAY)));
        }
    }

    #[test]
    fn machine_that_slept_is_right_again_with_the_next_consensus() {
        let mut clock = informed();
        let awake = TODAY + 30 * 86_400;
        assert!(clock.read(awake, 100).off_by.is_some(), "nothing outside says so yet");
        clock.consensus(awake - HOUR, awake + 2 * HOUR, 200);
        assert_eq!(clock.read(awake, 200), Moment { now: awake, is_right: true, off_by: None });
    }

    #[test]
    fn consensus_that_lags_changes_nothing() {
        let mut clock = informed();
        clock.consensus(TODAY - 86_400, TODAY - 86_400 + 3 * HOUR, 120);
        assert_eq!(clock.read(TODAY, 120).off_by, None);
    }

    #[test]
    fn consensus_that_was_kept_for_days_calls_no_clock_ahead() {
        let mut clock = Clock::new();
        clock.consensus(TODAY - 48 * HOUR, TODAY - 45 * HOUR, 0);
        assert_eq!(clock.read(TODAY, 5), Moment { now: TODAY, is_right: false, off_by: None });
        assert!(clock.read(TODAY - 60 * HOUR, 5).off_by.is_some(), "earlier than it began it is not");
        clock.consensus(TODAY - HOUR, TODAY + 2 * HOUR, 30);
        assert!(clock.read(TODAY, 30).is_right);
    }

    #[test]
    fn block_confirms_a_clock_near_it_and_lifts_one_behind_it() {
        let mut clock = Clock::new();
        clock.tip(TODAY, 0);
        assert!(clock.read(TODAY + HOUR, 10).is_right);
        let behind = clock.read(TODAY - YEAR, 10);
        assert_eq!((behind.now, behind.is_right), (TODAY + 10, false));
        let ahead = clock.read(TODAY + YEAR, 10);
        assert_eq!((ahead.now, ahead.is_right), (TODAY + YEAR, false), "the block may be old");
    }

    proptest! {
        /// Whatever the machine's clock does: once the outside told, the time is right within the tolerance.
        #[test]
        fn time_is_right_whatever_the_clock_does(
            walls in proptest::collection::vec(any::<u64>(), 1..20),
            pauses in proptest::collection::vec(0..7_200_u64, 20),
        ) {
            let (mut clock, mut steady) = (Clock::new(), 0);
            clock.consensus(TODAY - 3 * HOUR, TODAY, 0);
            for (wall, pause) in walls.into_iter().zip(pauses) {
                steady += pause;
                let right = TODAY + steady;
                clock.consensus(right - right % HOUR, right - right % HOUR + 3 * HOUR, steady);
                let Moment { now, is_right, .. } = clock.read(wall, steady);
                prop_assert!(is_right && now.abs_diff(right) <= 3 * HOUR + TOLERANCE);
            }
        }
    }
}
