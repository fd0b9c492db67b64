//! Public keys that were checked when they came in, and x25519 pairs that cannot be taken for each other.
//!
//! A key from outside is checked once, in its constructor; from then on the type says that it is usable. Small-order
//! points are refused everywhere: with them one signature fits many messages, and a shared secret is known to all.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;
use ed25519_dalek::{Signature, VerifyingKey};
use hkdf::Hkdf;
use rand_core::CryptoRngCore;
use sha2::Sha256;
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

/// The Ed25519 public key of a root, a pod or a device.
///
/// Checked when made: a point of the curve in its one canonical form (RFC 8032, section 5.1.3) and not one of
/// the few of small order, for which one signature fits many messages. Printed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// The bytes or digits are no usable public key.
///
/// No reason is given: what is not a key of its kind was mistyped, cut or made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not a usable public key: expected 32 bytes (64 hexadecimal digits) that are a key of its kind"
)]
pub struct BadKey;

impl PublicKey {
    /// Takes 32 bytes as they came from outside.
    ///
    /// # Errors
    /// [`BadKey`] if they are no point of the curve, not its canonical form, or a point of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadKey> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| BadKey)?;
        if key.is_weak() || key.to_edwards().compress().as_bytes() != bytes {
            return Err(BadKey);
        }
        Ok(Self(*bytes))
    }

    /// The 32 bytes of RFC 8032.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `signature` was made over `message` with this key (strict: no small-order points).
    #[expect(clippy::expect_used, reason = "the constructor takes usable keys only")]
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let key = VerifyingKey::from_bytes(&self.0).expect("checked in the constructor");
        key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl From<&ed25519_dalek::SigningKey> for PublicKey {
    fn from(key: &ed25519_dalek::SigningKey) -> Self {
        Self(key.verifying_key().to_bytes())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER_PERMISSIVE.encode(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        Self::from_bytes(&hex32(text)?)
    }
}

/// 64 hexadecimal digits in either case, and nothing else.
fn hex32(text: &str) -> Result<[u8; 32], BadKey> {
    let mut bytes = [0; 32];
    let fits = HEXLOWER_PERMISSIVE.decode_len(text.len()) == Ok(bytes.len());
    if !fits || HEXLOWER_PERMISSIVE.decode_mut(text.as_bytes(), &mut bytes).is_err() {
        return Err(BadKey);
    }
    Ok(bytes)
}

/// A key for one purpose: HKDF-SHA256 (RFC 5869) of a secret, with a salt that names the kind of secret and an info that names
/// the purpose, given in pieces. Keys of different salts or infos tell nothing of each other or of the secret.
#[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8,160 bytes, and 32 are asked for")]
pub(crate) fn derive_key(salt: &[u8], secret: &[u8; 32], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand_multi_info(info, key.as_mut_slice())
        .expect("32 bytes are within what HKDF gives");
    key
}

/// Makes a pair of types for one use of x25519, so that keys of different uses cannot be taken for each other.
macro_rules! x25519_pair {
    ($(#[$of_secret:meta])* $secret:ident, $(#[$of_public:meta])* $public:ident) => {
        $(#[$of_secret])*
        ///
        /// Wiped when dropped, never printed.
        #[derive(Clone)]
        pub struct $secret(StaticSecret);

        $(#[$of_public])*
        ///
        /// Checked when made: not one of the few of small order, with which anybody could compute the shared
        /// secret. Printed as 64 hexadecimal digits.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $public(x25519_dalek::PublicKey);

        impl $secret {
            /// Takes 32 random bytes.
            #[must_use]
            pub fn from_bytes(bytes: &[u8; 32]) -> Self {
                Self(StaticSecret::from(*bytes))
            }

            /// Draws a new key.
            #[must_use]
            pub fn generate(rng: &mut dyn CryptoRngCore) -> Self {
                let mut bytes = Zeroizing::new([0; 32]);
                rng.fill_bytes(bytes.as_mut_slice());
                Self::from_bytes(&bytes)
            }

            /// The 32 bytes, to be stored.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                self.0.as_bytes()
            }

            /// The half that others may know.
            #[must_use]
            pub fn public(&self) -> $public {
                $public(x25519_dalek::PublicKey::from(&self.0))
            }
        }

        impl fmt::Debug for $secret {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($secret), "(..)"))
            }
        }

        impl $public {
            /// Takes 32 bytes as they came from outside.
            ///
            /// # Errors
            /// [`BadKey`] for a key of small order, and for another form of a key than its canonical one.
            pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadKey> {
                let key = x25519_dalek::PublicKey::from(*bytes);
                // Any secret does: with a key of small order every shared secret is zero (RFC 7748, section 6.1).
                let contributes = StaticSecret::from([1; 32]).diffie_hellman(&key).was_contributory();
                // The top bit does not count in x25519: one key, one form.
                if !contributes || bytes[31] & 0x80 != 0 {
                    return Err(BadKey);
                }
                Ok(Self(key))
            }

            /// The 32 bytes of RFC 7748.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $public {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER_PERMISSIVE.encode(self.as_bytes()))
            }
        }

        impl fmt::Debug for $public {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($public), "({})"), self)
            }
        }

        impl FromStr for $public {
            type Err = BadKey;

            fn from_str(text: &str) -> Result<Self, BadKey> {
                Self::from_bytes(&hex32(text)?)
            }
        }
    };
}

x25519_pair! {
    /// Opens what was sealed to a pod or device that asks to be let in.
    SealingSecret,
    /// What a bundle or a grant is sealed to.
    SealingPublic
}

x25519_pair! {
    /// A device's key to the descriptor of its pod's app onion service (Tor restricted discovery).
    DescriptorSecret,
    /// What the pod encrypts the descriptor of its app onion service to, one for each device.
    DescriptorPublic
}
