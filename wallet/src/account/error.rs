//! Why an account map is refused.

use super::{MAX_LOCK_BLOCKS, MAX_NAME_LEN, MemberLabel};
use crate::bitcoin::Network;
use crate::keys::{KeyError, KeyForm};

/// Why an account is refused. On any of these the offered child keys are burnt: ask every member for a fresh
/// key and start again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// A member's key is foreign or at the wrong place.
    #[error("key {member}: {error}")]
    Key {
        /// Whose key.
        member: MemberLabel,
        /// What is wrong with it.
        error: KeyError,
    },
    /// A key in a descriptor is malformed.
    #[error("a key of the descriptor is refused: {0}")]
    DescriptorKey(#[from] KeyError),
    /// A key that this member cannot have in an account of this kind.
    #[error("key {member} must have the form {expected} in this kind of account")]
    KeyForm {
        /// Whose key.
        member: MemberLabel,
        /// The form it must have.
        expected: KeyForm,
    },
    /// Too few or too many members.
    #[error("{found} members, this kind of account has {least} to {most}")]
    Members {
        /// How many were announced.
        found: usize,
        /// The fewest possible.
        least: usize,
        /// The most possible.
        most: usize,
    },
    /// A member that is missing, or a label that stands for two.
    #[error("key {label} was announced {count} times, an account has exactly one")]
    Label {
        /// Which member.
        label: MemberLabel,
        /// How many carry the label.
        count: usize,
    },
    /// A label that no member of this kind of account has.
    #[error("no member of this kind of account is called {0}; P, R and G are those of personal accounts")]
    UnexpectedLabel(MemberLabel),
    /// A person where a single key is needed.
    #[error("member {0} is a quorum of keys; only accounts whose members hold one key each can be built yet")]
    PersonMember(MemberLabel),
    /// Two members with one key, or with keys of one seed.
    #[error("keys {0} and {1} are the same or come from one seed; two signatures would be one person's")]
    DuplicateKey(MemberLabel, MemberLabel),
    /// The member's own key is not among the announced.
    #[error("our own key {0} is not in the account under this label; it was replaced on the way")]
    OwnKeyMissing(MemberLabel),
    /// No member has this label.
    #[error("the account has no member {0}")]
    NoSuchMember(MemberLabel),
    /// A number of signatures that this account cannot have.
    #[error("{found} signatures announced, this account can need {least} to {most}")]
    Threshold {
        /// What was announced.
        found: u8,
        /// The fewest possible.
        least: u8,
        /// The most possible.
        most: u8,
    },
    /// The relative lock is zero or too long.
    #[error("a lock of {0} blocks; it must be 1 to {MAX_LOCK_BLOCKS}")]
    Lock(u32),
    /// The name is empty, too long or holds control characters.
    #[error("the account name must have 1 to {MAX_NAME_LEN} characters and no control characters")]
    Name,
    /// Not 32 hexadecimal digits.
    #[error("an account id is 32 hexadecimal digits")]
    Id,
    /// The descriptor text cannot be read.
    #[error("the descriptor cannot be read: {0}")]
    Descriptor(String),
    /// A valid descriptor, but not one that this wallet writes.
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
