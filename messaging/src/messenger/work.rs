//! Which contacts have something to do: in this turn, and later.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    ids::{ContactId, InviteId},
    item_key::{Due, ItemKey},
    states::Timestamp,
};
use crate::{
    courier::{Budget, MAX_CALLS},
    place::Place,
    wire::PlaceRefusal,
};

/// What follows for others from what a contact did. Carried out once the contact has been served.
#[derive(Debug)]
pub(super) enum FollowUp {
    /// Nothing came of an invite: the contact is forgotten, unless it was on record before.
    ForgetAttempt(ContactId),
    /// The queue of this invite is needed no more.
    CloseInvite(InviteId),
    /// A relay of ours took frames and does not give them out.
    RelayWithholds(Place),
    /// A relay of ours does not make a queue.
    RelayRefused(Place, PlaceRefusal),
}

/// Learnt anew after a start.
///
/// Nothing here is in a row: after a start every contact is touched once, and the rest follows.
#[derive(Debug)]
pub(super) struct Work {
    /// Contacts whose record changed in this turn, and those whose conversation did.
    pub(super) changed: BTreeSet<ContactId>,
    /// Contacts whose conversation did: their thread row is written when the turn ends.
    pub(super) moved: BTreeSet<ContactId>,
    /// Contacts to be looked at before the turn ends.
    pub(super) touched: BTreeSet<ContactId>,
    /// What was found due for them.
    pub(super) due: BTreeMap<ContactId, Vec<Due>>,
    /// Packets that were sealed in this turn, by what is in them.
    pub(super) sealed: BTreeMap<(ContactId, Vec<ItemKey>), Vec<u8>>,
    /// What is to be carried out for others.
    pub(super) follow_ups: VecDeque<FollowUp>,
    /// When to look at which contact next.
    pub(super) wakes: BTreeSet<(Timestamp, ContactId)>,
    /// Bytes of files that contacts may fill: those that came and those on their way. Counted anew at a start.
    pub(super) taken_bytes: u64,
    /// The disk is nearly full, as the shell last said: no chunk is taken.
    pub(super) disk_is_low: bool,
    /// Calls with frames, shared out among contacts.
    pub(super) budget: Budget<ContactId>,
    /// Contacts whose group is in memory, the one used last at the end.
    pub(super) live: VecDeque<ContactId>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            changed: BTreeSet::new(),
            moved: BTreeSet::new(),
            touched: BTreeSet::new(),
            due: BTreeMap::new(),
            sealed: BTreeMap::new(),
            follow_ups: VecDeque::new(),
            wakes: BTreeSet::new(),
            taken_bytes: 0,
            disk_is_low: false,
            budget: Budget::new(MAX_CALLS),
            live: VecDeque::new(),
        }
    }
}

impl Work {
    /// Contacts whose time has come are to be looked at.
    ///
    /// A clock that jumps ahead wakes all of them in one turn.
    pub(super) fn wake(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.wakes.first().copied().filter(|(at, _)| *at <= now) {
            self.wakes.remove(&(at, id));
            self.touched.insert(id);
        }
    }

    /// The group of a contact was used.
    ///
    /// The list has each contact once.
    pub(super) fn used_session(&mut self, id: ContactId) {
        self.live.retain(|other| *other != id);
        self.live.push_back(id);
    }
}
