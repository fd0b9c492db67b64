//! A queue of our own at a place: its name, the rights to it, and whether the place has it.
//!
//! A queue at the pod's own place needs no making: it is served from memory. One at a relay is asked for until the
//! relay has it.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::ids::InviteId;
use crate::{
    frame::QueueKey,
    lane::{Lane, LaneRole},
    place::{Capability, PLACE_LEN, Place, QueueAddress, QueueId},
    wire::{QueueNotice, Request, Ticket},
};

/// A queue of ours for one contact at one place. The rights to it are wiped when it is dropped, and never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct OwnQueue {
    /// Where it lies.
    #[zeroize(skip)]
    #[serde(with = "place_bytes")]
    pub(super) place: Place,
    /// Its name, known to the place and to whoever may deposit.
    #[zeroize(skip)]
    id: [u8; 32],
    /// The right to deposit: on the contact's card, or in the invite.
    deposit: [u8; 32],
    /// The right to collect and to close; never leaves the pod.
    collect: [u8; 32],
    #[zeroize(skip)]
    pub(super) state: QueueState,
}

/// Whether a place has made a queue of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum QueueState {
    /// Not yet.
    New,
    /// It has, and gives out what comes.
    Open,
    /// It had, until the contact had been blocked for long. The queue is made again under its name: so the address that
    /// the contact knows leads to us again, whatever became of theirs meanwhile. What the place took before is not held
    /// against it.
    Closed,
}

impl OwnQueue {
    /// A queue under a name that is drawn anew.
    pub(super) fn generate(place: Place, at_home: bool, rng: &mut dyn rand_core::CryptoRngCore) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut_slice());
        Self::derive(&seed, place, at_home)
    }

    /// The queue of one contact at a place: the same whenever it is made. A relay that comes back into use, and a pod that
    /// comes back from a backup, have it under the name that the contact knows.
    pub(super) fn derive(seed: &[u8; 32], place: Place, at_home: bool) -> Self {
        let at = HEXLOWER.encode(&place.to_bytes());
        let draw = |what: &str| *QueueKey::derive(seed, &format!("{what} at {at}")).as_bytes();
        let state = if at_home { QueueState::Open } else { QueueState::New };
        Self { place, id: draw("queue"), deposit: draw("deposit"), collect: draw("collect"), state }
    }

    /// Whether its place has it, as far as we know.
    pub(super) fn is_open(&self) -> bool {
        self.state == QueueState::Open
    }

    /// Its name.
    pub(super) fn id(&self) -> QueueId {
        QueueId::from_bytes(self.id)
    }

    /// The right to deposit.
    pub(super) fn deposit(&self) -> Capability {
        Capability::from_bytes(self.deposit)
    }

    /// The right to collect and to close.
    pub(super) fn collect(&self) -> Capability {
        Capability::from_bytes(self.collect)
    }

    /// What a contact needs to leave frames in it.
    pub(super) fn address(&self) -> QueueAddress {
        QueueAddress { place: self.place, queue: self.id(), deposit: self.deposit() }
    }

    /// Asks its place to make it.
    ///
    /// The place gets the hashes of both rights, never the secrets.
    pub(super) fn open_request(&self, ticket: Ticket, notice: Option<QueueNotice>) -> Request {
        Request::Open {
            queue: self.id(),
            deposit: self.deposit().hash(),
            collect: self.collect().hash(),
            ticket,
            notice,
        }
    }
}

impl fmt::Debug for OwnQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnQueue")
            .field("place", &self.place)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// The connection of an invite, which is nobody else's.
pub(super) fn invite_lane(id: InviteId) -> Lane {
    let mut party = [0; 16];
    party[..8].copy_from_slice(&id.0);
    Lane { role: LaneRole::Collect, party }
}

/// A place within a row.
pub(super) mod place_bytes {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    use super::{PLACE_LEN, Place};

    pub(crate) fn serialize<S: Serializer>(place: &Place, serializer: S) -> Result<S::Ok, S::Error> {
        place.to_bytes().as_slice().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Place, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        let bytes: &[u8; PLACE_LEN] =
            bytes.as_slice().try_into().map_err(|_| D::Error::custom("a place has 64 bytes"))?;
        Place::from_bytes(bytes).ok_or_else(|| D::Error::custom("not a place"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PublicKey, SigningKey};

    fn wiped<T: ZeroizeOnDrop>(_: &T) {}

    #[test]
    fn own_queue_is_printed_without_its_rights_and_wiped() {
        let place = Place::new([1; 32], PublicKey::from(&SigningKey::from_bytes(&[2; 32])));
        let queue = OwnQueue::derive(&[3; 32], place, true);
        wiped(&queue);
        assert_eq!(format!("{queue:?}"), format!("OwnQueue {{ place: {place:?}, state: Open, .. }}"));
    }
}
