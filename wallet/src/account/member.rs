//! Members: who holds the keys of an account.

use serde::{Deserialize, Serialize};

use super::{AccountError, MemberLabel};
use crate::keys::MemberKey;

/// One member of an account: what it is called, and the keys that sign for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// What it is called; no two members of an account share a label.
    pub label: MemberLabel,
    /// What signs for it.
    pub keys: MemberKeys,
}

/// What signs for a member.
///
/// Everything past the account map (the checker, signatures, who has signed) works on [`Member::keys`] and
/// [`Member::threshold`] and does not tell the two apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum MemberKeys {
    /// One key: a device, a pod, the recovery key.
    Key(MemberKey),
    /// A person, who signs by a quorum of keys of their own. For joint accounts, such as
    /// `wsh(and_v(v:multi(2,P,R,G),multi(2,P',R',G')))`; no [`MapKind`](super::MapKind) takes one yet.
    Person {
        /// How many of the keys must sign for the person.
        threshold: u8,
        /// The person's keys, in the order of the descriptor.
        keys: Vec<MemberKey>,
    },
}

impl Member {
    /// A member of one key.
    #[must_use]
    pub fn new(label: MemberLabel, key: MemberKey) -> Self {
        Self { label, keys: MemberKeys::Key(key) }
    }

    /// All keys of the member, in the order of the descriptor.
    #[must_use]
    pub fn keys(&self) -> &[MemberKey] {
        match &self.keys {
            MemberKeys::Key(key) => std::slice::from_ref(key),
            MemberKeys::Person { keys, .. } => keys,
        }
    }

    /// How many of its keys must sign for the member.
    #[must_use]
    pub fn threshold(&self) -> usize {
        match &self.keys {
            MemberKeys::Key(_) => 1,
            MemberKeys::Person { threshold, .. } => usize::from(*threshold),
        }
    }

    /// The only key of the member.
    ///
    /// # Errors
    /// [`AccountError::PersonMember`] when the member is a quorum of keys.
    pub fn key(&self) -> Result<&MemberKey, AccountError> {
        match &self.keys {
            MemberKeys::Key(key) => Ok(key),
            MemberKeys::Person { .. } => Err(AccountError::PersonMember(self.label.clone())),
        }
    }
}
