//! The pod's own secrets: kept in one row, never shown.

use std::fmt;

use autonomy_messaging::{Network as PodNetwork, SealingSecret, SigningKey, provision::PodRequest};
use autonomy_wallet::{
    bitcoin::Network,
    keys::{AccountIndex, AccountKey, Seed},
};
use ed25519_dalek::Signer as _;
use rand_core::CryptoRngCore;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Refusal, Timestamp, row::tag, table::Table};

/// The pod's own secrets.
pub(crate) static IDENTITY: Table<(), Identity> = Table::new(tag::IDENTITY);

/// What a pod is born with, and what its owner has certified since.
#[derive(Clone, PartialEq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Identity {
    /// Bitcoin network: no secret, and fixed for the life of the pod.
    #[zeroize(skip)]
    network: Network,
    /// Seed of the Ed25519 pod key.
    pod_seed: [u8; 32],
    /// Seed of the x25519 key that bundles are sealed to.
    sealing_seed: [u8; 32],
    /// Entropy of G's BIP-39 words.
    gordian_entropy: [u8; 32],
    /// Randomness in the pod request, for the device to mix into what it draws.
    request_entropy: [u8; 32],
    /// When the pod was made.
    created_at: Timestamp,
    /// What is to take the place of the pod key, the sealing key and the randomness, once the owner has certified it.
    #[serde(default)]
    next: Option<NextKeys>,
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
    pub fn draw(network: Network, rng: &mut dyn CryptoRngCore, now: Timestamp) -> Self {
        Self {
            network,
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

    /// The Bitcoin network.
    pub(super) fn network(&self) -> Network {
        self.network
    }

    /// The Ed25519 pod key.
    pub(super) fn pod_key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.pod_seed)
    }

    /// Its seed: wipe it after use.
    pub(super) fn pod_seed(&self) -> [u8; 32] {
        self.pod_seed
    }

    /// What opens bundles that answer [`Identity::request`].
    pub(super) fn sealing_secret(&self) -> SealingSecret {
        SealingSecret::from_bytes(&self.sealing_seed)
    }

    /// The request that these keys make to a device.
    pub(super) fn request(&self) -> PodRequest {
        let network = match self.network {
            Network::Bitcoin => PodNetwork::Bitcoin,
            Network::Signet => PodNetwork::Signet,
            Network::Regtest => PodNetwork::Regtest,
            _ => PodNetwork::Testnet,
        };
        PodRequest::new(network, &self.pod_key(), self.sealing_secret().public(), self.request_entropy)
    }

    /// A signature by the pod key.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pod_key().sign(message).to_bytes()
    }

    /// G of one account.
    ///
    /// # Errors
    /// None in practice: BIP-39 takes 32 bytes of entropy, which these are by their type.
    pub(super) fn gordian_key(&self, index: AccountIndex) -> Result<AccountKey, Refusal> {
        let seed = Seed::from_entropy(&self.gordian_entropy);
        let seed = seed.map_err(|error| Refusal::Conflict(error.to_string()))?;
        Ok(seed.account_key(self.network, index))
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
