//! The pod's own secrets: kept in one row, never shown.

use std::fmt;

use rand_core::CryptoRngCore;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Timestamp, row::tag, table::Table};

/// The pod's own secrets.
pub(crate) static IDENTITY: Table<(), Identity> = Table::new(tag::IDENTITY);

/// What a pod is born with, and what its owner has certified since.
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
    /// What is to take the place of the first three of these, once the owner has certified it.
    #[serde(default)]
    pub(super) next: Option<NextKeys>,
}

/// Keys that were drawn and are not in use yet.
#[derive(Clone, PartialEq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct NextKeys {
    pod_seed: [u8; 32],
    sealing_seed: [u8; 32],
    request_entropy: [u8; 32],
}

impl Identity {
    /// Draws the secrets of a new pod. G gets a draw of its own: no two keys come from one draw.
    #[must_use]
    pub fn draw(network: &str, rng: &mut dyn CryptoRngCore, now: Timestamp) -> Self {
        Self {
            network: network.to_owned(),
            pod_seed: draw(rng),
            sealing_seed: draw(rng),
            gordian_entropy: draw(rng),
            request_entropy: draw(rng),
            created_at: now,
            next: None,
        }
    }

    /// The same with new keys in waiting; those that waited before are forgotten. G stays: accounts rest on it.
    pub(super) fn with_next(&self, rng: &mut dyn CryptoRngCore) -> Self {
        let next = NextKeys { pod_seed: draw(rng), sealing_seed: draw(rng), request_entropy: draw(rng) };
        let mut waiting = self.clone();
        waiting.next = Some(next);
        waiting
    }

    /// The same with the keys in waiting put to use, where there are any.
    pub(super) fn renewed(&self) -> Option<Self> {
        let NextKeys { pod_seed, sealing_seed, request_entropy } = *self.next.as_ref()?;
        let mut renewed = self.clone();
        (renewed.pod_seed, renewed.sealing_seed) = (pod_seed, sealing_seed);
        (renewed.request_entropy, renewed.next) = (request_entropy, None);
        Some(renewed)
    }
}

fn draw(rng: &mut dyn CryptoRngCore) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
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
            .field("next", &self.next.as_ref().map(|_| "[secret]"))
            .finish()
    }
}
