//! Account maps: the one thing that must not be lost.
//!
//! An [`AccountMap`] is a descriptor with its members, network, birthday and version. It holds no secret, but
//! without it three keys are three useless numbers; so every device, the pod and every deck keep a copy.
//!
//! A map is never taken on trust. Each member **rebuilds** it ([`AccountMap::rebuild`]) from the keys that
//! the members announced, finds its own key in it, and compares the result with the others
//! ([`AccountMap::confirm`]). A map read from a file or a wire goes through the same checks, and its
//! descriptor and id are compared with those it claims.
//!
//! | kind | descriptor (BIP-380, BIP-389) |
//! |---|---|
//! | [`Kind::TwoOfThree`] | `wsh(sortedmulti(2,P/<0;1>/*,R/account/<0;1>/*,G/<0;1>/*))` |
//! | [`Kind::TwoOfThreeOrRecovery`] | `wsh(or_d(multi(2,…),and_v(v:pkh(R/account/<2;3>/*),older(blocks))))` |

mod descriptor;
mod import;
mod map;
mod wire;

pub use import::CORE_IMPORT_RANGE;
pub use map::{AccountMap, Confirmation, Plan};
pub use wire::{MAX_MAP_BYTES, MapBytesError};

use core::fmt;
use serde::{Deserialize, Serialize};

use crate::bitcoin::Network;
use crate::keys::{KeyError, Role};

/// How far past the last used address any address of an account may lie (BIP-44's gap limit). Wallets that
/// restore from the map look this far and no further: coins beyond it would seem lost.
pub const GAP_LIMIT: u32 = 20;

/// Longest account name, in bytes of UTF-8: it is shown on one line.
pub const MAX_NAME_LEN: usize = 64;

/// Longest descriptor text that is parsed, in bytes. The time-locked kind has four key expressions of at most
/// 153 bytes (see [`MAX_KEY_TEXT`](crate::keys::MAX_KEY_TEXT)) + 8 bytes of steps each, 60 of script words
/// and 9 of checksum: 713. Twice that is refused unparsed.
pub const MAX_DESCRIPTOR_LEN: usize = 1426;

/// Longest relative lock of the recovery branch, in blocks: BIP-68 has 16 bits for it (455 days).
pub const MAX_LOCK_BLOCKS: u32 = 65_535;

/// Signatures needed in both kinds.
pub const THRESHOLD: u8 = 2;

/// What may spend from the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Kind {
    /// Any two of P, R and G.
    TwoOfThree,
    /// Any two of P, R and G; or R alone when a coin has not moved for this many blocks.
    TwoOfThreeOrRecovery {
        /// BIP-68 relative lock, 1 to [`MAX_LOCK_BLOCKS`].
        blocks: u32,
    },
}

/// Which of an account's two chains of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keychain {
    /// Step 0: addresses given to others.
    External,
    /// Step 1: change.
    Internal,
}

impl Keychain {
    /// Both, in the order of their steps.
    pub const ALL: [Self; 2] = [Self::External, Self::Internal];

    /// The step below the account key: 0 or 1.
    pub fn step(self) -> u32 {
        match self {
            Self::External => 0,
            Self::Internal => 1,
        }
    }

    /// The keychain with this step.
    pub fn from_step(step: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|keychain| keychain.step() == step)
    }
}

impl fmt::Display for Keychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::External => "receiving",
            Self::Internal => "change",
        })
    }
}

/// When the account was born: nothing before it needs to be searched for coins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Birthday {
    /// Height of the chain's tip at birth.
    pub height: u32,
    /// Seconds since 1970, UTC.
    pub time: u64,
}

/// First 16 bytes of SHA-256 over the descriptor with its checksum. Two maps with one id have the same
/// addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId([u8; 16]);

impl AccountId {
    pub(crate) fn of(descriptor: &str) -> Self {
        use sha2::{Digest, Sha256};
        let hash: [u8; 32] = Sha256::digest(descriptor.as_bytes()).into();
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        Self(id)
    }

    /// Takes an id as [`AccountId::to_bytes`] gave it.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl core::str::FromStr for AccountId {
    type Err = AccountError;
    fn from_str(text: &str) -> Result<Self, AccountError> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes());
        bytes.ok().and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(AccountError::Id)
    }
}

impl Serialize for AccountId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why an account is refused. On any of these the offered child keys are burnt: ask every member for the next
/// account index and start again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// A key is malformed, foreign or at the wrong place.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not exactly one key for each of P, R, G.
    #[error("key {role} was announced {count} times, an account has exactly one")]
    Roles {
        /// Which role.
        role: Role,
        /// How many keys with that role came.
        count: usize,
    },
    /// Two members with one key, or with keys of one seed.
    #[error("keys {0} and {1} are the same or come from one seed; two signatures would be one person's")]
    DuplicateKey(Role, Role),
    /// The member's own key is not among the announced.
    #[error("our own key {0} is not in the account; somebody replaced it")]
    OwnKeyMissing(Role),
    /// Another number of signatures than agreed.
    #[error("{found} signatures announced, an account of this kind needs {THRESHOLD}")]
    Threshold {
        /// What was announced.
        found: u32,
    },
    /// The relative lock is zero or too long.
    #[error("a lock of {0} blocks; it must be 1 to {MAX_LOCK_BLOCKS}")]
    Lock(u32),
    /// The name is empty, too long or holds control characters.
    #[error("the account name must have 1 to {MAX_NAME_LEN} bytes and no control characters")]
    Name,
    /// Not 32 hexadecimal digits.
    #[error("an account id is 32 hexadecimal digits")]
    Id,
    /// The descriptor text cannot be read.
    #[error("the descriptor cannot be read: {0}")]
    Descriptor(String),
    /// A valid descriptor, but not one of the two kinds.
    #[error("the descriptor is not one this wallet writes ({0}); it may be safe, but it is not checked here")]
    Foreign(&'static str),
    /// Another member came to another result.
    #[error("the members disagree on the {field}: ours is {ours}, theirs {theirs}; do not use this account")]
    Disagreement {
        /// What differs.
        field: &'static str,
        /// Our value.
        ours: String,
        /// Theirs.
        theirs: String,
    },
    /// An address index of 2³¹ or more.
    #[error("address {0} is out of range, addresses go from 0 to 2147483647")]
    AddressIndex(u32),
    /// A map made for another network.
    #[error("the account is on {found}, this node on {expected}")]
    Network {
        /// The map's network.
        found: Network,
        /// The node's.
        expected: Network,
    },
}
