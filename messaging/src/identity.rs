//! A person as keys: the auth seed, the root key, and what else is derived from the seed.
//!
//! ```text
//! auth seed ──HKDF──▶ root key             certifies pod and devices; contacts pin its public half
//!           ──HKDF──▶ onion seeds          app and peer onion service, by epoch: the addresses outlive the pod
//!           ──HKDF──▶ spare descriptor keys  public halves known to the pod in advance
//! ```
//!
//! Everything is derived, so whoever makes the seed whole again (from decks) has all of it again. Nothing here
//! reaches the pod but the onion seeds and public halves.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey};
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use crate::keys::derive_key;
use crate::{BadKey, Certificate, CertificateRole, DescriptorSecret, PublicKey, Validity};

/// What a person is, in 32 bytes: the root key and the addresses of their pod are derived from it.
///
/// Lives on devices only, and sharded in decks. Whoever has it *is* that person; it does not give their coins.
/// Every key comes from HKDF-SHA256(salt "autonomy auth seed v1", seed, purpose), so none tells of another.
pub struct AuthSeed(Zeroizing<[u8; 32]>);

/// The Ed25519 key that is a person's identity: it certifies the pod key and each device key.
pub struct RootKey(SigningKey);

/// The public half of a [`RootKey`]: what contacts pin. Printed as `did:key:z6Mk…` (W3C did:key, Ed25519).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RootPublic(PublicKey);

/// The seed of an onion service's identity key: 32 bytes, expanded as any Ed25519 seed (RFC 8032).
///
/// Derived, so that the address outlives the pod; the epoch lets the owner move to a new address.
#[derive(Clone)]
pub struct OnionSeed(Zeroizing<[u8; 32]>);

/// The two onion services of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnionService {
    /// Where the owner's devices enter.
    App,
    /// Where the pods of contacts come.
    ///
    /// Its address is on cards and in invites, unless contacts are to come through relays only.
    Peer,
}

/// The text is no `did:key` of an Ed25519 key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the identity of a person: expected did:key:z6Mk… of an Ed25519 key")]
pub struct BadDid;

impl AuthSeed {
    /// Takes the 32 bytes, from a store or made whole from shards.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// Draws a new person.
    ///
    /// `rng` must be the operating system's: the person is as secret as these 32 bytes.
    #[must_use]
    pub fn generate(rng: &mut dyn CryptoRngCore) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut_slice());
        Self(bytes)
    }

    /// The 32 bytes, to be stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The identity key.
    #[must_use]
    pub fn root_key(&self) -> RootKey {
        RootKey(SigningKey::from_bytes(&self.derive(&[b"root"])))
    }

    /// The key of one of the pod's onion services, in its `epoch`-th life.
    #[must_use]
    pub fn onion_seed(&self, service: OnionService, epoch: u64) -> OnionSeed {
        let name: &[u8] = match service {
            OnionService::App => b"onion app",
            OnionService::Peer => b"onion peer",
        };
        OnionSeed(self.derive(&[name, b" ", &epoch.to_be_bytes()]))
    }

    /// The `index`-th spare descriptor key. The pod knows the public halves of some in advance, so that a
    /// further device can be let in before the pod hears of it.
    #[must_use]
    pub fn spare_descriptor_key(&self, index: u32) -> DescriptorSecret {
        DescriptorSecret::from_bytes(&self.derive(&[b"descriptor spare ", &index.to_be_bytes()]))
    }

    /// The key for one purpose. Labels must never change: addresses and identities would.
    fn derive(&self, purpose: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        derive_key(b"autonomy auth seed v1", &self.0, purpose)
    }
}

impl RootKey {
    /// The public half.
    #[must_use]
    pub fn public(&self) -> RootPublic {
        RootPublic(PublicKey::from(&self.0))
    }

    /// Certifies that `subject` is this person's pod or device. A higher `epoch` replaces a lower one.
    #[must_use]
    pub fn certify(
        &self,
        role: CertificateRole,
        subject: &PublicKey,
        epoch: u64,
        validity: Validity,
    ) -> Certificate {
        Certificate::issue(self, role, subject, epoch, validity)
    }

    /// Signs bytes that begin with a domain of their own.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl RootPublic {
    /// Takes 32 bytes as they came from outside.
    ///
    /// # Errors
    /// [`BadKey`] if they are not an Ed25519 key in its canonical form, or one of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadKey> {
        PublicKey::from_bytes(bytes).map(Self)
    }

    /// The 32 bytes of RFC 8032.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Whether this root signed these bytes.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.signed(message, signature)
    }
}

/// What the text of every root begins with: the method, and `z` for base58 (multibase).
const DID_PREFIX: &str = "did:key:z";
/// Multicodec `ed25519-pub` (0xed) as an unsigned varint.
const ED25519_PUB: [u8; 2] = [0xed, 0x01];
/// 34 bytes in base58 take 47 characters at most (34 · log 256 / log 58 = 46.4).
const MAX_DID_LEN: usize = DID_PREFIX.len() + 47;

impl fmt::Display for RootPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [ED25519_PUB.as_slice(), self.as_bytes()].concat();
        write!(f, "{DID_PREFIX}{}", bs58::encode(bytes).into_string())
    }
}

impl FromStr for RootPublic {
    type Err = BadDid;

    ///
    /// One root has one text, and only this is taken.
    fn from_str(text: &str) -> Result<Self, BadDid> {
        if text.len() > MAX_DID_LEN {
            return Err(BadDid);
        }
        let encoded = text.strip_prefix(DID_PREFIX).ok_or(BadDid)?;
        let bytes = bs58::decode(encoded).into_vec().map_err(|_| BadDid)?;
        let key = bytes.strip_prefix(&ED25519_PUB).and_then(|key| key.try_into().ok()).ok_or(BadDid)?;
        Self::from_bytes(key).map_err(|_| BadDid)
    }
}

impl OnionSeed {
    /// Takes the 32 bytes, from a store.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// The 32 bytes, for the onion service.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key of the same service after it moved so often: at first its own. Whoever has the first can make each of them;
    /// of the others none leads to another.
    #[must_use]
    pub fn moved(&self, moves: u64) -> Self {
        match moves {
            0 => self.clone(),
            moves => Self(derive_key(b"autonomy moved onion v1", &self.0, &[&moves.to_be_bytes()])),
        }
    }

    /// The key in the onion address (rend-spec-v3: the first 32 bytes of the decoded address).
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::from(&SigningKey::from_bytes(&self.0))
    }
}

/// By the public halves: no secret is compared byte by byte.
impl PartialEq for OnionSeed {
    fn eq(&self, other: &Self) -> bool {
        self.public() == other.public()
    }
}

impl fmt::Debug for AuthSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthSeed(..)")
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootKey").field("public", &self.public()).finish_non_exhaustive()
    }
}

impl fmt::Debug for RootPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootPublic({self})")
    }
}

impl fmt::Debug for OnionSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnionSeed(..)")
    }
}
