//! Names of contacts and invites.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::RootPublic;

/// Names a contact: the first 16 bytes of SHA-256 of a label and their root key. One person, one contact.
///
/// It follows from the root alone, so a person who comes twice, by invite or address book, is one contact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContactId(pub [u8; 16]);

/// Names an invite: random.
///
/// It is local: neither the invite nor its place has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

impl fmt::Debug for ContactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContactId({:02x}{:02x}{:02x}{:02x}…)", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}
