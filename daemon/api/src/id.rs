//! Names of things: fixed-size byte strings that read and print as lower-case hexadecimal.

use std::{fmt, str::FromStr};

use autonomy_messaging::{
    TransferId,
    messenger::{ContactId, InviteId},
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// `N` bytes that name something. Ordered and printed by their bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id<const N: usize>(pub [u8; N]);

/// A device: its Ed25519 key.
pub type DeviceKey = Id<32>;
/// A payment: drawn at random.
pub type PaymentId = Id<16>;
/// The making of an account: drawn at random.
pub type CeremonyId = Id<16>;

/// Not the hexadecimal text of an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id: expected {expected} lower-case hexadecimal characters")]
pub struct IdError {
    text: String,
    expected: usize,
}

impl<const N: usize> Id<N> {
    /// Draws an id.
    pub fn draw(rng: &mut dyn rand_core::CryptoRngCore) -> Self {
        let mut bytes = [0; N];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

/// The messenger's names of things, which have no text of their own.
macro_rules! names {
    ($($name:ident of $len:literal),*) => {$(
        impl From<Id<$len>> for $name {
            fn from(id: Id<$len>) -> Self {
                Self(id.0)
            }
        }

        impl From<$name> for Id<$len> {
            fn from(name: $name) -> Self {
                Self(name.0)
            }
        }
    )*};
}

names!(ContactId of 16, TransferId of 16, InviteId of 8);

impl<const N: usize> fmt::Display for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl<const N: usize> fmt::Debug for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> FromStr for Id<N> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let refused = || IdError { text: text.chars().take(80).collect(), expected: 2 * N };
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| refused())?;
        bytes.try_into().map(Self).map_err(|_| refused())
    }
}

impl<const N: usize> Serialize for Id<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Id<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
