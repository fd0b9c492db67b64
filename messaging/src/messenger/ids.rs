//! Names of contacts, invites and files, and how they are written: in lower-case hexadecimal.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};

use crate::{RootPublic, TransferId};

/// Names a contact: the first 16 bytes of SHA-256 of a label and their root key. One person, one contact.
///
/// It follows from the root alone, so a person who comes twice, by invite or address book, is one contact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContactId(pub [u8; 16]);

/// Names an invite: random.
///
/// It is local: neither the invite nor its place has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InviteId(pub [u8; 8]);

impl ContactId {
    /// The contact that this person is.
    #[must_use]
    pub fn of(root: &RootPublic) -> Self {
        let digest =
            Sha256::new().chain_update("autonomy contact v1\0").chain_update(root.as_bytes()).finalize();
        Self(std::array::from_fn(|at| digest[at]))
    }
}

/// A text that is not the hexadecimal form of an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: expected {digits} lower-case hexadecimal characters")]
pub struct BadId {
    what: &'static str,
    /// The text, cut to [`MAX_REPEATED`] characters.
    text: String,
    digits: usize,
}

/// Characters of a refused text that its error repeats: more than the longest id has.
const MAX_REPEATED: usize = 80;

/// Reads the `N` bytes of an id from lower-case hexadecimal; `what` names the kind of id in the error.
///
/// # Errors
/// Another length, or a character that is no lower-case hexadecimal digit: one id has one text.
pub fn parse_id<const N: usize>(what: &'static str, text: &str) -> Result<[u8; N], BadId> {
    let refused = || BadId { what, text: text.chars().take(MAX_REPEATED).collect(), digits: 2 * N };
    let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| refused())?;
    bytes.try_into().map_err(|_| refused())
}

/// Gives ids their text. Formats for people (JSON) carry the text, others (rows) the bytes.
macro_rules! written_ids {
    ($($name:ident: $len:literal, $what:literal;)+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                parse_id($what, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
                } else {
                    <[u8; $len]>::deserialize(deserializer).map(Self)
                }
            }
        }
    )+};
}

written_ids! {
    ContactId: 16, "contact id";
    InviteId: 8, "invite id";
    TransferId: 16, "file id";
}

impl fmt::Debug for ContactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContactId({:02x}{:02x}{:02x}{:02x}…)", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}
