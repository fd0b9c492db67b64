//! A row as it lies in the store, and what its tag says of how it is kept.
//!
//! On disk a row is `(key, value)`: the key is a tag byte and the entity's name, the value a version byte and CBOR.
//! Memory and disk change by the same row, so there is no log to replay or compact. Rows of the wallet and of the
//! messenger are opaque: what stands behind the tag (and the account) is theirs.
//!
//! Most rows are held in memory too. Cold ones are large and many, and are read when they are needed:
//!
//! | row | held in memory | in backups |
//! |---|---|---|
//! | ratchet pages | no | no: a ratchet that went back would use a key twice |
//! | cold mail | no | yes |
//! | all others | yes | yes |

use std::fmt;

use zeroize::Zeroizing;

/// Tags of all tables. A tag is never used for something else again.
pub(crate) mod tag {
    pub(crate) const IDENTITY: u8 = 0;
    pub(crate) const OWNER: u8 = 1;
    pub(crate) const COUNTERS: u8 = 2;
    pub(crate) const CHAIN: u8 = 3;
    pub(crate) const DEVICE: u8 = 4;
    pub(crate) const CEREMONY: u8 = 5;
    pub(crate) const ACCOUNT: u8 = 6;
    pub(crate) const LEDGER: u8 = 7;
    pub(crate) const PAYMENT: u8 = 8;
    pub(crate) const EVENT: u8 = 9;
    pub(crate) const REPLY: u8 = 10;
    pub(crate) const MAIL: u8 = 11;
    pub(crate) const RATCHET: u8 = 12;
    pub(crate) const COLD_MAIL: u8 = 13;
}

/// One entity's new state under its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// The tag of its table, and the entity's name.
    pub key: Vec<u8>,
    /// The state as the store keeps it; `None` removes it. It may hold a secret, and is wiped when it is dropped.
    pub value: Option<Zeroizing<Vec<u8>>>,
}

/// What to do about rows that cannot be read. A backup is the last resort: it costs what happened since, and a new group
/// with each contact.
pub(crate) const REMEDY: &str = "start the newest version of the program that has run this pod; if this is it, restore the pod from a backup";

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a row of kind {tag} cannot be read: {why}; {REMEDY}")]
pub struct RowError {
    /// First byte of the key.
    pub tag: u8,
    /// What is wrong with it.
    pub why: String,
}

impl Row {
    /// A row as it was found in a store, unread.
    pub fn found(key: impl Into<Vec<u8>>, value: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        Self { key: key.into(), value: Some(value.into()) }
    }

    /// The tag of its table.
    ///
    /// # Errors
    /// The key is empty.
    pub fn tag(&self) -> Result<u8, RowError> {
        self.key.first().copied().ok_or(RowError { tag: u8::MAX, why: "its key is empty".into() })
    }

    /// Whether the row is large and one of many, so that it is read when it is needed and not held.
    #[must_use]
    pub fn is_cold(&self) -> bool {
        Self::is_cold_key(&self.key)
    }

    /// Whether a key is that of a cold row: such rows need not be read when a pod starts.
    #[must_use]
    pub fn is_cold_key(key: &[u8]) -> bool {
        matches!(key.first(), Some(&(tag::RATCHET | tag::COLD_MAIL)))
    }

    /// Whether the row under a key belongs into a backup. A ratchet does not: restored to an older state it would
    /// encrypt two messages with one key.
    #[must_use]
    pub fn is_in_backup(key: &[u8]) -> bool {
        key.first() != Some(&tag::RATCHET)
    }
}

/// Without the value, which may be a secret.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("tag", &self.key.first())
            .field("key_bytes", &self.key.len())
            .field("value_bytes", &self.value.as_ref().map(|value| value.len()))
            .finish()
    }
}
