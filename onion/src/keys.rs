//! The secrets of an onion service and of those who may find it. They come from the caller's
//! encrypted rows at each start and are never written to disk here.

use std::{fmt, str::FromStr};

use tor_hscrypto::pk::{HsClientDescEncKey, HsClientDescEncSecretKey, HsIdKeypair};
use tor_llcrypto::pk::{curve25519, ed25519};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::OnionAddress;

/// The identity key of an onion service: a 32-byte Ed25519 seed (RFC 8032). Whoever holds it holds the
/// address.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct OnionKey([u8; 32]);

impl OnionKey {
    /// The key with this seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    /// The address that this key gives its service. It needs no running Tor.
    #[must_use]
    pub fn address(&self) -> OnionAddress {
        OnionAddress::from_public_key(ed25519::Keypair::from_bytes(&self.0).verifying_key().to_bytes())
    }

    /// The key pair in Arti's form.
    pub(crate) fn hs_keypair(&self) -> HsIdKeypair {
        let keypair = ed25519::Keypair::from_bytes(&self.0);
        ed25519::ExpandedKeypair::from(&keypair).into()
    }
}

impl fmt::Debug for OnionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnionKey").field("seed", &"[secret]").field("address", &self.address()).finish()
    }
}

/// The x25519 secret by which one client reads the descriptor of a service with restricted discovery.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DescriptorSecret([u8; 32]);

impl DescriptorSecret {
    /// The secret with these bytes (clamped when used, RFC 7748 section 5).
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new secret.
    pub fn generate(rng: &mut (impl rand_core::CryptoRng + rand_core::RngCore + ?Sized)) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The bytes, for the caller's encrypted store.
    #[must_use]
    pub fn to_bytes(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0)
    }

    /// The public half, which the service must know.
    #[must_use]
    pub fn public(&self) -> DescriptorPublicKey {
        let secret = curve25519::StaticSecret::from(self.0);
        DescriptorPublicKey(curve25519::PublicKey::from(&secret).to_bytes())
    }

    /// The secret in Arti's form.
    pub(crate) fn hs_secret(&self) -> HsClientDescEncSecretKey {
        curve25519::StaticSecret::from(self.0).into()
    }
}

impl fmt::Debug for DescriptorSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DescriptorSecret").field("secret", &"[secret]").finish()
    }
}

/// The x25519 public key of one client that may find a service with restricted discovery.
///
/// Its text is C Tor's and Arti's: `descriptor:x25519:<52 base32 characters>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DescriptorPublicKey([u8; 32]);

/// Why a text is not a descriptor key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a descriptor key reads \"descriptor:x25519:<52 base32 characters>\": {0}")]
pub struct DescriptorKeyError(String);

/// `descriptor:x25519:` and 52 base32 characters (32 bytes × 8 / 5, rounded up).
const DESCRIPTOR_TEXT_LEN: usize = 18 + 52;

impl DescriptorPublicKey {
    /// The key with these bytes. Any 32 bytes are accepted; a key nobody holds lets nobody in.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key in Arti's form.
    pub(crate) fn hs_key(&self) -> HsClientDescEncKey {
        curve25519::PublicKey::from(self.0).into()
    }
}

impl FromStr for DescriptorPublicKey {
    type Err = DescriptorKeyError;

    fn from_str(text: &str) -> Result<Self, DescriptorKeyError> {
        if text.len() != DESCRIPTOR_TEXT_LEN {
            return Err(DescriptorKeyError(format!("it has {} characters", text.len())));
        }
        let key: HsClientDescEncKey = text
            .parse()
            .map_err(|e: tor_hscrypto::pk::HsClientDescEncKeyParseError| DescriptorKeyError(e.to_string()))?;
        let key: curve25519::PublicKey = key.into();
        Ok(Self(key.to_bytes()))
    }
}

impl fmt::Display for DescriptorPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hs_key().fmt(f)
    }
}

impl fmt::Debug for DescriptorPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DescriptorPublicKey({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seed_determines_the_address() {
        // Seed and public key of RFC 8032 section 7.1, test 1.
        let seed = data_encoding::HEXLOWER
            .decode(b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
            .unwrap();
        let public = data_encoding::HEXLOWER
            .decode(b"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
            .unwrap();
        let key = OnionKey::from_seed(seed.try_into().unwrap());
        assert_eq!(key.address().as_bytes().as_slice(), public);
    }

    #[test]
    fn debug_shows_no_secret() {
        let onion = format!("{:?}", OnionKey::from_seed([7; 32]));
        let descriptor = format!("{:?}", DescriptorSecret::from_bytes([7; 32]));
        assert!(onion.contains("[secret]") && !onion.contains("7, 7"), "{onion}");
        assert!(descriptor.contains("[secret]") && !descriptor.contains("7, 7"), "{descriptor}");
    }

    #[test]
    fn wrong_texts_are_refused() {
        let good = DescriptorSecret::from_bytes([1; 32]).public().to_string();
        for bad in
            ["", "descriptor:x25519:", &good[1..], &good.replace("x25519", "x25518"), &good.replace(':', "!")]
        {
            assert!(bad.parse::<DescriptorPublicKey>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn descriptor_keys_round_trip_as_text(secret: [u8; 32]) {
            let public = DescriptorSecret::from_bytes(secret).public();
            prop_assert_eq!(public.to_string().parse::<DescriptorPublicKey>().unwrap(), public);
        }

        #[test]
        fn parsing_never_panics(text in "descriptor:x25519:\\PC{0,60}") {
            let _ = text.parse::<DescriptorPublicKey>();
        }
    }
}
