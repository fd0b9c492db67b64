//! Which connection carries what.

use std::fmt;

/// Names a call in flight. Not kept over a restart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

/// A connection to a place: what it is for, and on whose behalf. Two lanes never share a connection, a libp2p identity
/// or a Tor circuit, so a place cannot tell that they are one pod's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// What it is for.
    pub role: LaneRole,
    /// For whom: a contact, an invite, or a group of queues.
    pub party: [u8; 16],
}

/// What a lane is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LaneRole {
    /// Leaving frames for a contact.
    Deposit,
    /// Collecting own frames; opening and closing own queues.
    Collect,
}

/// A place was not reached, or gave no answer in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Unreached {
    /// What went wrong, for the owner.
    pub detail: String,
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lane({:?} {:02x}{:02x}…)", self.role, self.party[0], self.party[1])
    }
}
