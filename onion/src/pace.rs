//! How long dials on this network usually take, learnt from those that succeeded.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A dial that takes this many times as long as usual is slow.
const SLOW: u32 = 3;
/// Never called slow before this: below it a second attempt gains nothing.
const LEAST: Duration = Duration::from_millis(1500);
/// Weight of the newest dial: 1/8, so that one odd dial does not count for much.
const WEIGHT: u64 = 8;

/// The usual time of a dial on fresh circuits, in milliseconds; 0 until there was one.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicU64);

impl Pace {
    /// Learns from a dial on fresh circuits.
    pub(crate) fn learn(&self, took: Duration) {
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX / WEIGHT).max(1);
        let usual = match self.0.load(Ordering::Relaxed) {
            0 => took,
            usual => usual - usual / WEIGHT + took / WEIGHT,
        };
        self.0.store(usual.max(1), Ordering::Relaxed);
    }

    /// After how long a dial is slow: at most `longest`.
    pub(crate) fn slow_after(&self, longest: Duration) -> Duration {
        match self.0.load(Ordering::Relaxed) {
            0 => longest,
            usual => longest.min(LEAST.max(Duration::from_millis(usual).saturating_mul(SLOW))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LONGEST: Duration = Duration::from_secs(6);

    #[test]
    fn a_network_one_knows_nothing_of_is_given_time() {
        assert_eq!(Pace::default().slow_after(LONGEST), LONGEST);
    }

    #[test]
    fn a_quick_network_makes_impatient_and_a_slow_one_patient() {
        let pace = Pace::default();
        pace.learn(Duration::from_millis(400));
        assert_eq!(pace.slow_after(LONGEST), LEAST);
        for _ in 0..50 {
            pace.learn(Duration::from_secs(4));
        }
        assert_eq!(pace.slow_after(LONGEST), LONGEST);
    }

    #[test]
    fn one_odd_dial_counts_for_little() {
        let pace = Pace::default();
        pace.learn(Duration::from_secs(1));
        pace.learn(Duration::from_secs(5));
        assert!(pace.slow_after(LONGEST) < Duration::from_secs(5));
    }

    proptest! {
        #[test]
        fn always_within_bounds(dials in proptest::collection::vec(any::<u64>(), 1..50)) {
            let pace = Pace::default();
            for ms in dials {
                pace.learn(Duration::from_millis(ms));
                let slow = pace.slow_after(LONGEST);
                prop_assert!(LEAST <= slow && slow <= LONGEST);
            }
        }
    }
}
