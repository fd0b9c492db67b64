//! How long dials on this network usually take, measured on those that succeeded.
//!
//! One number serves the whole client: most of a dial's time is the network's, not the peer's. It
//! is kept in memory only, so a client that has just started waits the full time of its policy.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A dial that takes this many times the usual time is slow.
const SLOW: u32 = 3;
/// No dial is called slow before this time: below it a second attempt gains nothing.
const LEAST: Duration = Duration::from_millis(1500);
/// Weight of the newest dial: 1/8, so that one unusual dial changes the average little.
const WEIGHT: u64 = 8;

/// Moving average of the time of a dial on fresh circuits, in milliseconds; 0 until there was one.
/// Updates from several threads may lose one another: the average is an estimate.
#[derive(Debug, Default)]
pub(crate) struct DialRtt(AtomicU64);

impl DialRtt {
    /// Adds the time of a successful dial on fresh circuits. Dials on kept circuits take one round
    /// trip and would make the average too small.
    pub(crate) fn record(&self, took: Duration) {
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX / WEIGHT).max(1);
        let usual = match self.0.load(Ordering::Relaxed) {
            0 => took,
            usual => usual - usual / WEIGHT + took / WEIGHT,
        };
        self.0.store(usual.max(1), Ordering::Relaxed);
    }

    /// After how long a dial counts as slow: at most `longest`, which is also the answer before the
    /// first measurement.
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
    fn without_measurements_the_longest_time_applies() {
        assert_eq!(DialRtt::default().slow_after(LONGEST), LONGEST);
    }

    #[test]
    fn slow_after_follows_measured_dials() {
        let dial_rtt = DialRtt::default();
        dial_rtt.record(Duration::from_millis(400));
        assert_eq!(dial_rtt.slow_after(LONGEST), LEAST);
        for _ in 0..50 {
            dial_rtt.record(Duration::from_secs(4));
        }
        assert_eq!(dial_rtt.slow_after(LONGEST), LONGEST);
    }

    #[test]
    fn one_unusual_dial_changes_little() {
        let dial_rtt = DialRtt::default();
        dial_rtt.record(Duration::from_secs(1));
        dial_rtt.record(Duration::from_secs(5));
        assert!(dial_rtt.slow_after(LONGEST) < Duration::from_secs(5));
    }

    proptest! {
        #[test]
        fn slow_after_stays_within_bounds(dials in proptest::collection::vec(any::<u64>(), 1..50)) {
            let dial_rtt = DialRtt::default();
            for ms in dials {
                dial_rtt.record(Duration::from_millis(ms));
                let slow = dial_rtt.slow_after(LONGEST);
                prop_assert!(LEAST <= slow && slow <= LONGEST);
            }
        }
    }
}
