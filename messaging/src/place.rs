//! Where frames are left and fetched: places, the queues in them, and the secrets that open those.
//!
//! A place is named by two keys. The onion key is its address, and Tor proves it; the peer key is what its libp2p
//! identity must prove within the connection. So an address that is taken over later does not pass for the place
//! without the peer key.

use std::fmt;

use rand_core::CryptoRngCore;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::PublicKey;

/// The virtual port of every peer service and relay.
pub const PLACE_PORT: u16 = 4001;

/// Bytes of an encoded [`Place`].
pub const PLACE_LEN: usize = 32 + 32;

/// An address that holds queues: the peer service of a pod, or a relay. Never special to any protocol which of the two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Not checked to be a usable key: Tor refuses the address where it is none.
    onion: [u8; 32],
    peer: PublicKey,
}

/// Names a queue at a place. Random, so it tells nothing.
///
/// It says neither whose it is nor which contact it is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId([u8; 32]);

/// A bearer secret: whoever shows it may deposit in a queue, or collect from it.
///
/// Wiped when dropped, never printed, compared in constant time.
#[derive(Clone)]
pub struct Capability(Zeroizing<[u8; 32]>);

/// SHA-256 of a [`Capability`]: all that the place keeps of it.
///
/// A plain hash suffices: the secret has 32 random bytes, so nobody can search for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CapabilityHash([u8; 32]);

/// All that a contact needs to leave frames for me at one place.
///
/// Secret: whoever has it may deposit, and fill the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueAddress {
    /// Where the queue is.
    pub place: Place,
    /// Which queue.
    pub queue: QueueId,
    /// The right to deposit in it.
    pub deposit: Capability,
}

impl Place {
    /// The place behind this onion service (its Ed25519 public key, the first 32 bytes of the decoded address,
    /// rend-spec-v3) that proves to be `peer` (the Ed25519 key of its libp2p identity).
    #[must_use]
    pub fn new(onion: [u8; 32], peer: PublicKey) -> Self {
        Self { onion, peer }
    }

    /// Public key of the onion service.
    #[must_use]
    pub fn onion(&self) -> &[u8; 32] {
        &self.onion
    }

    /// Key of the libp2p identity behind it.
    #[must_use]
    pub fn peer(&self) -> &PublicKey {
        &self.peer
    }

    /// Onion key and peer key.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PLACE_LEN] {
        let mut bytes = [0; PLACE_LEN];
        bytes[..32].copy_from_slice(&self.onion);
        bytes[32..].copy_from_slice(self.peer.as_bytes());
        bytes
    }

    /// Reads [`Place::to_bytes`]. None if the peer key is no usable key.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; PLACE_LEN]) -> Option<Self> {
        let (onion, peer) = bytes.split_first_chunk::<32>()?;
        let peer = PublicKey::from_bytes(peer.try_into().ok()?).ok()?;
        Some(Self { onion: *onion, peer })
    }
}

impl QueueId {
    /// Takes 32 bytes as they came.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Draws a new name.
    #[must_use]
    pub fn generate(rng: &mut dyn CryptoRngCore) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Capability {
    /// Takes 32 bytes as they came.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Draws a new one.
    #[must_use]
    pub fn generate(rng: &mut dyn CryptoRngCore) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut_slice());
        Self(bytes)
    }

    /// The 32 bytes, to be stored or handed over.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the place keeps.
    #[must_use]
    pub fn hash(&self) -> CapabilityHash {
        CapabilityHash(Sha256::digest(self.0.as_slice()).into())
    }
}

impl CapabilityHash {
    /// Takes 32 bytes as they came.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this is the hash of `capability`. Takes the same time either way.
    #[must_use]
    pub fn admits(&self, capability: &Capability) -> bool {
        self.0.ct_eq(&capability.hash().0).into()
    }
}

impl PartialEq for Capability {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for Capability {}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Capability(..)")
    }
}

/// The first bytes tell queues and hashes apart; the rest would only fill the line.
fn fmt_short(f: &mut fmt::Formatter<'_>, name: &str, bytes: &[u8; 32]) -> fmt::Result {
    write!(f, "{name}({:02x}{:02x}{:02x}{:02x}…)", bytes[0], bytes[1], bytes[2], bytes[3])
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_short(f, "Place", &self.onion)
    }
}

impl fmt::Debug for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_short(f, "QueueId", &self.0)
    }
}

impl fmt::Debug for CapabilityHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_short(f, "CapabilityHash", &self.0)
    }
}
