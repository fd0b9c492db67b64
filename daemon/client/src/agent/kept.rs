//! The passphrase of the profile, held for a time that the owner has set, so that not every command asks for it.
//!
//! It is off unless the settings say otherwise: whoever can act as the user then opens the profile for so long. It is held
//! in memory only, and gone with the agent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use zeroize::Zeroizing;

/// Longest passphrase that is held, bytes: the longest that a store takes.
pub(super) const MAX_KEPT: usize = 4096;

/// The longest time for which it is held, seconds: a working day.
const MAX_SECONDS: u64 = 12 * 60 * 60;

/// What is held, if anything. Clones hold the same.
#[derive(Clone, Default)]
pub struct Kept(Arc<Mutex<Option<Secret>>>);

struct Secret {
    bytes: Zeroizing<Vec<u8>>,
    until: Instant,
}

impl Kept {
    /// Holds a passphrase for so many seconds, in place of what was held before.
    pub fn hold(&self, bytes: Zeroizing<Vec<u8>>, seconds: u64) {
        let until = Instant::now() + Duration::from_secs(seconds.min(MAX_SECONDS));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Secret { bytes, until });
    }

    /// The passphrase, while its time is not over; after that it is wiped.
    #[must_use]
    pub fn give(&self) -> Option<Zeroizing<Vec<u8>>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|secret| secret.until <= Instant::now()) {
            *held = None;
        }
        held.as_ref().map(|secret| secret.bytes.clone())
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept([secret])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn passphrase_is_held_until_its_time_is_over() {
        let kept = Kept::default();
        assert!(kept.give().is_none());
        kept.hold(Zeroizing::new(b"correct horse".to_vec()), 60);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(kept.give().unwrap().as_slice(), b"correct horse");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(kept.give().is_none(), "its time does not begin anew when it is asked for");
        kept.hold(Zeroizing::new(b"x".to_vec()), u64::MAX);
        tokio::time::advance(Duration::from_secs(MAX_SECONDS)).await;
        assert!(kept.give().is_none());
        assert!(!format!("{kept:?}").contains("horse"));
    }
}
