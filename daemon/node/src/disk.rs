//! How types of the API lie on disk: by numbers of their own, so that a change of the API's words changes no row.
//!
//! A number is never used for something else again. A variant that is added must get one here: the match is exhaustive.
//! One that is removed from the API keeps its number, and rows that have it are read by the upgrade function of their table.
//!
//! A number that this program does not know is refused by the name of the type: a newer program wrote it.

use autonomy_api::{Access, AccountKind, PaymentState};

/// Gives a type a number for each of its variants, as serde functions for `#[serde(with = "…")]`.
macro_rules! codes {
    ($name:ident: $type:ty { $($variant:ident = $code:literal),+ $(,)? }) => {
        pub(crate) mod $name {
            use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

            pub(crate) fn serialize<S: Serializer>(value: &$type, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u8(match value { $(<$type>::$variant => $code),+ })
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                match u8::deserialize(deserializer)? {
                    $($code => Ok(<$type>::$variant),)+
                    code => Err(D::Error::custom(format!("{code} is no {}", stringify!($name)))),
                }
            }
        }
    };
}

/// Bytes that may hold a secret, as one byte string.
pub(crate) mod secret_bytes {
    use serde::{Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(crate) fn serialize<S: Serializer>(
        bytes: &Zeroizing<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Zeroizing<Vec<u8>>, D::Error> {
        serde_bytes::deserialize::<Vec<u8>, D>(deserializer).map(Zeroizing::new)
    }
}

codes!(access: super::Access { Minimal = 1, Limited = 2, Full = 3 });
codes!(account_kind: super::AccountKind { TwoOfThree = 1, TwoOfThreeOrRecovery = 2, Shared = 3 });
codes!(payment_state: super::PaymentState {
    Draft = 1,
    Signed = 2,
    Seen = 3,
    Confirmed = 4,
    Failed = 5,
    Cancelled = 6,
});
