//! When a certificate holds.

use crate::CertificateError;

/// How far a clock may be behind the one that set `not_before`: one day. A pod whose clock is off by more has
/// other troubles first (Tor does not start), and its certificate names the times.
pub const CLOCK_SKEW: u64 = 86_400;

/// From when to when a certificate holds: seconds since 1970 (UTC), both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Validity {
    /// First second.
    not_before: u64,
    /// Last second.
    not_after: u64,
}

/// The end lies before the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a certificate cannot end before it begins")]
pub struct EmptyValidity;

impl Validity {
    /// From `not_before` to `not_after`, both included.
    ///
    /// # Errors
    /// [`EmptyValidity`] if it would end before it begins.
    pub fn new(not_before: u64, not_after: u64) -> Result<Self, EmptyValidity> {
        if not_after < not_before {
            return Err(EmptyValidity);
        }
        Ok(Self { not_before, not_after })
    }

    /// From `now` on, for so many seconds.
    ///
    /// At the end of time it lasts no longer.
    #[must_use]
    pub fn lasting(now: u64, seconds: u64) -> Self {
        Self { not_before: now, not_after: now.saturating_add(seconds) }
    }

    /// First second.
    #[must_use]
    pub fn not_before(&self) -> u64 {
        self.not_before
    }

    /// Last second.
    #[must_use]
    pub fn not_after(&self) -> u64 {
        self.not_after
    }

    /// Whether `now` lies within, with [`CLOCK_SKEW`] granted to a clock that is behind.
    ///
    /// # Errors
    /// [`CertificateError::Expired`] after the last second, [`CertificateError::NotYetValid`] more than
    /// [`CLOCK_SKEW`] before the first. No skew is granted at the end: whoever wants a key to last longer certifies
    /// it again.
    pub(crate) fn check(&self, now: u64) -> Result<(), CertificateError> {
        let Self { not_before, not_after } = *self;
        if now > not_after {
            return Err(CertificateError::Expired { not_after, now });
        }
        if now.saturating_add(CLOCK_SKEW) < not_before {
            return Err(CertificateError::NotYetValid { not_before, now });
        }
        Ok(())
    }
}
