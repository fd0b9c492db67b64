//! Pauses between attempts: longer each time, and never in step with others'.

use std::time::Duration;

use rand_core::{OsRng, RngCore as _};

/// The first pause, at most.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// What stood for this long was a success: the next attempt is made at once.
const SUCCESS: Duration = Duration::from_secs(30);

/// Doubles from [`FIRST`] to [`LONGEST`].
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The pause after an attempt that stood for `lasted`: a random half to whole of the step.
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
    fn pauses_grow_to_a_limit_and_success_ends_them() {
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
