//! Names of things, and other bytes of a fixed size: they read and print as lower-case hexadecimal.
//!
//! Each kind of thing has a type for its name, so that none can be asked for by the name of another. Contacts, invites
//! and files are named by the messenger's types, accounts by the wallet's.

use std::{fmt, str::FromStr};

use autonomy_messaging::{PublicKey, messenger::parse_id};
pub use autonomy_messaging::{
    TransferId,
    messenger::{BadId, ContactId, InviteId},
};
pub use autonomy_wallet::account::AccountId;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Declares types of `N` bytes whose text is lower-case hexadecimal, in every format of serde.
macro_rules! hexadecimal {
    ($($(#[$doc:meta])+ $name:ident $(<const $n:ident>)?: $len:tt, $what:literal;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name $(<const $n: usize>)? (pub [u8; $len]);

        impl $(<const $n: usize>)? fmt::Display for $name $(<$n>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl $(<const $n: usize>)? fmt::Debug for $name $(<$n>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl $(<const $n: usize>)? FromStr for $name $(<$n>)? {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                parse_id($what, text).map(Self)
            }
        }

        impl $(<const $n: usize>)? Serialize for $name $(<$n>)? {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de $(, const $n: usize)?> Deserialize<'de> for $name $(<$n>)? {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )+};
}

hexadecimal! {
    /// A device: its Ed25519 key.
    DeviceKey: 32, "device id";
    /// A payment: drawn at random.
    PaymentId: 16, "payment id";
    /// The making of an account: drawn at random.
    CeremonyId: 16, "ceremony id";
    /// Bytes that name nothing: a hash, a key, a signature.
    Hex<const N>: N, "hexadecimal text of that length";
}

impl PaymentId {
    /// Draws an id.
    pub fn draw(rng: &mut dyn rand_core::CryptoRngCore) -> Self {
        Self(drawn(rng))
    }
}

impl CeremonyId {
    /// Draws an id.
    pub fn draw(rng: &mut dyn rand_core::CryptoRngCore) -> Self {
        Self(drawn(rng))
    }
}

fn drawn(rng: &mut dyn rand_core::CryptoRngCore) -> [u8; 16] {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    bytes
}

impl From<&PublicKey> for DeviceKey {
    fn from(key: &PublicKey) -> Self {
        Self(*key.as_bytes())
    }
}
