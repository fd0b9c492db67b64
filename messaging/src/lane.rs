//! Which connection carries what.
//!
//! What a place can link decides what it can learn: two requests over one connection are known to come from one pod.
//! So each party has a lane of its own to each place, and the shell keeps every lane on a connection, a libp2p
//! identity and Tor circuits that no other lane uses.

use std::fmt;

/// Names a call in flight. Not kept over a restart.
///
/// Numbers are given out from 0 at each start, so an outcome that comes across a restart could be taken for
/// another's: the shell must not deliver any.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

/// A connection to a place: what it is for, and on whose behalf. Two lanes never share a connection, a libp2p identity
/// or a Tor circuit, so a place cannot tell that they are one pod's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// What it is for.
    pub role: LaneRole,
    /// For whom: a contact, an invite or a step of redeeming one, or queues.
    pub party: [u8; 16],
}

/// Lanes for the chunks of long files to one place of a contact. Beside frames of 16 KiB with 11.5 kB of a file in each
/// (70 %), two streams carry 1.4 times what one carries of bare bytes.
pub const FILE_LANES: u8 = 2;

/// What a lane is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LaneRole {
    /// Leaving frames for a contact.
    ///
    /// The party is the contact: its frames may be known to belong together, those of two contacts not.
    Deposit,
    /// Leaving chunks of a long file for a contact: one of [`FILE_LANES`], by number.
    ///
    /// One Tor stream carries so much and no more on its way without an answer, whatever its circuit could carry. So a
    /// long file has streams of its own, and messages do not wait behind it. The party is the contact: the place
    /// knows by the queue that these frames belong with those of [`Deposit`](Self::Deposit).
    Files(u8),
    /// Collecting own frames; opening and closing own queues.
    ///
    /// The party is a queue, or an invite; at a place with more queues than lanes, several queues.
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
    /// The role and two bytes of the party: enough to tell lanes apart in a log, too little to name a contact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lane({:?} {:02x}{:02x}…)", self.role, self.party[0], self.party[1])
    }
}
