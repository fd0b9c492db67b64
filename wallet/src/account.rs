//! Account maps: the one thing that must not be lost.
//!
//! An [`AccountMap`] is a descriptor with its members, network, birthday and version. It holds no secret, but
//! without it the keys are useless numbers; so every device, the pod and every deck keep a copy.
//!
//! A map is never taken on trust. Each member **rebuilds** it ([`AccountMap::rebuild`]) from the keys that
//! the members announced, finds its own key in it, and compares the result with the others
//! ([`AccountMap::confirm`]). A map read from a file or a wire goes through the same checks, and its
//! descriptor and id are compared with those it claims.
//!
//! A map is a list of [`Member`]s and a threshold. Which members an account may have, and what else may spend
//! from it, is its [`MapKind`]:
//!
//! | kind | members | descriptor (BIP-380, BIP-389) |
//! |---|---|---|
//! | [`MapKind::Personal`] | P, R, G | `wsh(sortedmulti(2,P/<0;1>/*,R/account/<0;1>/*,G/<0;1>/*))` |
//! | [`MapKind::PersonalOrRecovery`] | P, R, G | `wsh(or_d(multi(2,…),and_v(v:pkh(R/account/<2;3>/*),older(blocks))))` |
//! | [`MapKind::Shared`] | 2 to [`MAX_KEYS`] of one key each | `wsh(sortedmulti(m,A/<0;1>/*,B/<0;1>/*,…))` |
//!
//! A member may also be a *person* ([`MemberKeys::Person`]), a quorum of that person's own keys. The types and
//! everything that signs are ready for it; no kind of account takes one yet.

mod descriptor;
mod error;
mod id;
mod import;
mod label;
mod map;
mod member;
mod parse;
mod rules;
mod wire;

pub use error::AccountError;
pub use id::AccountId;
pub use import::CORE_IMPORT_RANGE;
pub use label::{LabelError, MAX_LABEL_LEN, MemberLabel};
pub use map::{AccountMap, Confirmation, Plan};
pub use member::{Member, MemberKeys};
pub use wire::{MAX_MAP_BYTES, MapBytesError};

use core::fmt;
use serde::{Deserialize, Serialize};

/// How far past the last used address any address of an account may lie (BIP-44's gap limit). Wallets that
/// restore from the map look this far and no further: coins beyond it would seem lost.
pub const GAP_LIMIT: u32 = 20;

/// Longest account name, in characters, of at most four bytes each: it is shown on one line.
pub const MAX_NAME_LEN: usize = 64;

/// Signatures that a personal account needs: two of P, R and G.
pub const PERSONAL_THRESHOLD: u8 = 2;

/// Fewest members of a shared account.
pub const MIN_MEMBERS: usize = 2;

/// Most keys of an account, all members together.
///
/// Consensus allows 20 in one `multi` (`MAX_PUBKEYS_PER_MULTISIG`); their script has 20 · 34 + 5 = 685 bytes
/// and their witness 22 items, far below the 3,600 bytes and 100 items that nodes relay in P2WSH. Hardware
/// signers stop at 15, the number that fits P2SH's 520 bytes (15 · 34 + 3 = 513), and so does this wallet: a
/// map must be usable on all of them, and fit [`MAX_MAP_BYTES`].
pub const MAX_KEYS: usize = 15;

/// Longest descriptor text that is parsed, in bytes. [`MAX_KEYS`] and the recovery branch are 16 key
/// expressions of at most 153 bytes (see [`MAX_KEY_TEXT`](crate::keys::MAX_KEY_TEXT)) + 8 bytes of steps and a
/// comma; 60 of script words and 9 of checksum: 2,661. Twice that is refused unparsed.
pub const MAX_DESCRIPTOR_LEN: usize = 5322;

/// Longest relative lock of the recovery branch, in blocks: BIP-68 has 16 bits for it (455 days).
pub const MAX_LOCK_BLOCKS: u32 = 65_535;

/// Which members an account has, and what may spend from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MapKind {
    /// One person's account: any two of P, R and G.
    Personal,
    /// Any two of P, R and G; or R alone when a coin has not moved for this many blocks.
    PersonalOrRecovery {
        /// BIP-68 relative lock, 1 to [`MAX_LOCK_BLOCKS`].
        blocks: u32,
    },
    /// An account of several members with one key each, as many of whom as the threshold says.
    Shared,
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
    #[must_use]
    pub fn step(self) -> u32 {
        match self {
            Self::External => 0,
            Self::Internal => 1,
        }
    }

    /// The keychain with this step.
    #[must_use]
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

/// When the account was made: nothing before it needs to be searched for coins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Birthday {
    /// Height of the chain's tip at that time.
    pub height: u32,
    /// Seconds since 1970, UTC.
    pub time: u64,
}
