//! The keys of an account, and what others may know of them.
//!
//! * A device, a pod or a hardware signer holds a BIP-39 [`Seed`], which gives one BIP-48 key for each account
//!   (`m/48h/coin/accounth/2h`). In a personal account these are P (device) and G (pod).
//! * The recovery key R of a personal account is drawn once, split at once by verifiable secret sharing, and
//!   erased: a scalar and a chain code ([`RecoveryKey`]), so that the split's first commitment *is* the public
//!   key in its xpub. It sits at depth 0 and is derived without hardening, `/account/<0;1>/*`.
//!
//! What leaves the owner is a [`MemberKey`]: an extended public key with its origin, and nothing else. A key
//! does not know what its member is called or who else is in the account: that is the
//! [account map](crate::account)'s business.
//!
//! Secrets are wiped when dropped and never printed. `secp256k1` and `bip39` copy them on the stack while
//! they work; those copies cannot be reached from here.

mod entropy;
mod error;
mod member;
mod origin;
mod recovery;
mod seed;

pub use entropy::{EntropyError, MAX_CONTRIBUTION_LEN, MAX_CONTRIBUTIONS, mix_entropy};
pub use error::KeyError;
pub use member::{MAX_KEY_TEXT, MemberKey};
pub use origin::KeyForm;
pub use recovery::RecoveryKey;
pub use seed::{AccountKey, Seed, SeedError};

use crate::bitcoin::NetworkKind;
use crate::bitcoin::bip32::ChildNumber;

/// Which account of a seed: 0 to 2³¹ − 1, the range BIP-32 leaves for one step.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "u32", into = "u32")]
pub struct AccountIndex(u32);

impl AccountIndex {
    /// The first account, the one `account create` makes unless another is named.
    pub const FIRST: Self = Self(0);

    /// Takes an index below 2³¹.
    ///
    /// # Errors
    /// [`KeyError::AccountIndex`] for anything higher.
    pub fn new(index: u32) -> Result<Self, KeyError> {
        if index < (1 << 31) { Ok(Self(index)) } else { Err(KeyError::AccountIndex(index)) }
    }

    /// The number itself.
    #[must_use]
    pub fn to_u32(self) -> u32 {
        self.0
    }

    /// The next account.
    ///
    /// # Errors
    /// [`KeyError::AccountIndex`] after the last.
    pub fn next(self) -> Result<Self, KeyError> {
        Self::new(self.0 + 1)
    }

    /// As a hardened step, below a seed.
    fn hardened(self) -> ChildNumber {
        ChildNumber::Hardened { index: self.0 }
    }

    /// As an unhardened step, below a key at depth 0.
    fn normal(self) -> ChildNumber {
        ChildNumber::Normal { index: self.0 }
    }
}

impl TryFrom<u32> for AccountIndex {
    type Error = KeyError;
    fn try_from(index: u32) -> Result<Self, KeyError> {
        Self::new(index)
    }
}

impl From<AccountIndex> for u32 {
    fn from(index: AccountIndex) -> u32 {
        index.0
    }
}

impl core::fmt::Display for AccountIndex {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// BIP-44 coin type: 0 for bitcoin, 1 for every test network.
fn coin_type(kind: NetworkKind) -> u32 {
    if kind.is_mainnet() { 0 } else { 1 }
}
