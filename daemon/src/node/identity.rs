//! The pod's own secrets: drawn once, kept in one row, never shown.

use std::fmt;

use rand_core::CryptoRngCore;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Timestamp;

/// What a pod is born with.
#[derive(Clone, PartialEq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Identity {
    /// Bitcoin network, as `bitcoin` names it.
    pub(super) network: String,
    /// Seed of the Ed25519 pod key.
    pub(super) pod_seed: [u8; 32],
    /// Seed of the x25519 key that bundles are sealed to.
    pub(super) sealing_seed: [u8; 32],
    /// Entropy of G's BIP-39 words.
    pub(super) gordian_entropy: [u8; 32],
    /// Randomness in the pod request, for the device to mix into what it draws.
    pub(super) request_entropy: [u8; 32],
    /// When the pod was made.
    pub(super) created_at: Timestamp,
}

impl Identity {
    /// Draws the secrets of a new pod. G gets a draw of its own: no two keys come from one draw.
    #[must_use]
    pub fn draw(network: &str, rng: &mut dyn CryptoRngCore, now: Timestamp) -> Self {
        let mut draw = || {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            bytes
        };
        Self {
            network: network.to_owned(),
            pod_seed: draw(),
            sealing_seed: draw(),
            gordian_entropy: draw(),
            request_entropy: draw(),
            created_at: now,
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("network", &self.network)
            .field("pod_seed", &"[secret]")
            .field("sealing_seed", &"[secret]")
            .field("gordian_entropy", &"[secret]")
            .field("request_entropy", &"[secret]")
            .field("created_at", &self.created_at)
            .finish()
    }
}
