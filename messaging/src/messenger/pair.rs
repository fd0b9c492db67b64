//! What two pods have in common from their first group on, but for the group itself.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::frame::QueueKey;

/// Resets of a contact that are remembered: it makes one when its pod was restored from a backup, so these are years.
const MAX_RESETS: usize = 16;

/// What two pods have in common from their first group on. It is in backups.
#[derive(Clone, PartialEq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Pair {
    /// Own key package for this contact, with its private parts.
    pub(super) own_package: Vec<u8>,
    pub(super) keys: PairKeys,
    /// The newest generation of the group that was accepted or made.
    pub(super) generation: u64,
    /// The certificate of their pod in the newest reset; the one in their card may be newer. Empty if there was none.
    pub(super) certificate: Vec<u8>,
    /// Generations of their resets that had an effect, the newest last, at most [`MAX_RESETS`]: a replay has none.
    resets: Vec<u64>,
}

/// Keys that last as long as the contact: they come from the first group.
#[derive(Clone, PartialEq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct PairKeys {
    pub(super) seal_in: [u8; 32],
    pub(super) seal_out: [u8; 32],
    pub(super) reset_psk: [u8; 32],
}

impl Pair {
    /// From the first group.
    pub(super) fn new(own_package: Vec<u8>, keys: PairKeys) -> Self {
        Self { own_package, keys, generation: 0, certificate: Vec::new(), resets: Vec::new() }
    }

    /// Whether a reset of theirs of this generation had an effect.
    pub(super) fn knows_reset(&self, generation: u64) -> bool {
        self.resets.contains(&generation)
    }

    /// A reset of theirs had an effect.
    pub(super) fn note_reset(&mut self, generation: u64) {
        if self.resets.len() == MAX_RESETS {
            self.resets.remove(0);
        }
        self.resets.push(generation);
    }
}

impl PairKeys {
    pub(super) fn opens(&self) -> QueueKey {
        QueueKey::from_bytes(self.seal_in)
    }

    pub(super) fn seals(&self) -> QueueKey {
        QueueKey::from_bytes(self.seal_out)
    }
}
