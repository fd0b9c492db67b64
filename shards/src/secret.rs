//! The secret that is split: a private key of secp256k1.

use std::fmt;

use frost_secp256k1::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

/// A compressed secp256k1 public key (SEC 1, 33 bytes): what stands in an xpub.
pub type PublicKey = [u8; 33];

/// A secp256k1 private key: 32 bytes, big-endian, not zero and below the order of the curve.
///
/// Wiped when dropped and never printed. It is not comparable on purpose: compare public keys.
pub struct Secret(Zeroizing<[u8; 32]>);

/// The bytes are zero, or not below the order of secp256k1: no private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "these 32 bytes are not a secp256k1 private key (zero, or not below the order of the curve): draw new ones"
)]
pub struct NotASecret;

impl Secret {
    /// Takes the big-endian bytes of a private key. The caller's copy stays the caller's to wipe.
    ///
    /// # Errors
    /// [`NotASecret`] for zero and for numbers that are not below the order of the curve.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, NotASecret> {
        SigningKey::deserialize(bytes).map_err(|_| NotASecret)?;
        Ok(Self(Zeroizing::new(*bytes)))
    }

    /// The big-endian bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public key: the one that any shard of this secret can be checked against.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a scalar other than zero has a public key, whose compressed form has 33 bytes"
    )]
    pub fn public_key(&self) -> PublicKey {
        let point = VerifyingKey::from(&self.signing_key());
        let bytes = point.serialize().expect("a non-zero scalar has a public key");
        bytes.try_into().expect("a compressed point has 33 bytes")
    }

    /// As the type that the library computes with.
    #[expect(clippy::expect_used, reason = "the constructor takes scalars only")]
    pub(crate) fn signing_key(&self) -> SigningKey {
        SigningKey::deserialize(self.0.as_slice()).expect("checked in the constructor")
    }

    /// # Errors
    /// [`NotASecret`] where the library's key has another form.
    pub(crate) fn from_signing_key(key: &SigningKey) -> Result<Self, NotASecret> {
        let bytes = Zeroizing::new(key.serialize());
        let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| NotASecret)?;
        Self::from_bytes(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
