//! Pauses between attempts: longer each time, and random, so that pods do not reconnect in step.

use std::time::Duration;

use rand_core::{OsRng, RngCore as _};

/// The longest first pause.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause of all.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// An attempt that worked for this long was a success: the next one follows at once.
const SUCCESS: Duration = Duration::from_secs(30);

/// The next pause; it doubles from [`FIRST`] to [`LONGEST`].
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    /// As before the first attempt.
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The pause after an attempt that worked for `lasted`: a random time between half and all of
    /// the step.
    pub(super) fn pause(&mut self, lasted: Duration) -> Duration {
        if lasted >= SUCCESS {
            self.next = FIRST;
            return Duration::ZERO;
        }
        let step = self.next;
        self.next = (step * 2).min(LONGEST);
        step / 2 + (step / 2).mul_f64(f64::from(OsRng.next_u32()) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_reset_on_success() {
        let mut backoff = Backoff::new();
        let mut step = FIRST;
        for _ in 0..20 {
            let pause = backoff.pause(Duration::ZERO);
            assert!(step / 2 <= pause && pause <= step, "{pause:?} of {step:?}");
            step = (step * 2).min(LONGEST);
        }
        assert_eq!(backoff.pause(SUCCESS), Duration::ZERO);
        assert!(backoff.pause(Duration::from_secs(1)) <= FIRST);
    }
}
