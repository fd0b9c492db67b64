//! Invites of our own: made, published at a place, redeemed by somebody, confirmed or not.

use serde::{Deserialize, Serialize};

use super::{
    InviteView, MailAnswer, Messenger, Notice, Reach, RefusedBecause, Timestamp,
    contact::OwnQueue,
    input::MAX_INVITE_VALIDITY,
    places::QueueOwner,
    publish::invite_lane,
    redemption::CONFIRM_WAIT,
    row::Key,
    turn::{CommandResult, Turn},
};
use crate::{Name, invite::Invite, place::Place, ratchet::OwnKeyPackage};

/// Most invites that are open at a time.
pub const MAX_INVITES: usize = 64;

/// Names an invite: random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InviteId(pub [u8; 8]);

/// How an invite stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InviteState {
    /// Its place does not have it yet.
    Publishing,
    /// It can be redeemed.
    Ready,
    /// Somebody redeemed it and was confirmed.
    Used,
    /// Its time is over.
    Expired,
    /// Its owner took it back.
    Cancelled,
    /// Its place does not take it.
    Failed,
    /// Somebody redeemed it and was confirmed, and was not heard from since. Nobody else can redeem it; they may still
    /// say where they are, should all the places be gone that they named.
    Confirmed,
}

/// What is remembered of an invite.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct InviteRecord {
    /// The invite as it is handed over.
    pub(super) bytes: Vec<u8>,
    pub(super) note: Option<String>,
    pub(super) state: InviteState,
    pub(super) created_at: Timestamp,
    /// Its last second. In the invite too, but to read that checks its keys, and this is looked at with every input.
    pub(super) expires_at: Timestamp,
    pub(super) queue: OwnQueue,
    /// The key package that waits at the place, with its private parts.
    pub(super) package: Vec<u8>,
}

impl InviteRecord {
    pub(super) fn invite(&self) -> Invite {
        Invite::from_bytes(&self.bytes).expect("checked when the record was made or read")
    }

    /// Whether it can be redeemed.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, InviteState::Publishing | InviteState::Ready)
    }

    /// Whether its queue is read.
    pub(super) fn is_read(&self) -> bool {
        self.is_open() || self.state == InviteState::Confirmed
    }

    /// The last second of its queue.
    fn ends_at(&self) -> Timestamp {
        if self.is_open() { self.expires_at } else { self.expires_at.saturating_add(CONFIRM_WAIT) }
    }
}

impl Messenger {
    /// When an invite is to be looked at next.
    pub(super) fn next_invite(&self) -> Option<Timestamp> {
        self.invites.iter().filter_map(|(id, record)| self.next_of_invite(id, record)).min()
    }

    fn next_of_invite(&self, id: &InviteId, record: &InviteRecord) -> Option<Timestamp> {
        let end = record.is_read().then(|| record.ends_at().saturating_add(1));
        let flight = self.volatile.publishing.get(id).copied();
        let flight = match record.state {
            InviteState::Publishing => Some(flight.unwrap_or_default()),
            InviteState::Confirmed => flight,
            _ => None,
        };
        let due = flight.filter(|flight| flight.in_flight == 0).map(|flight| flight.due);
        end.into_iter().chain(due).min()
    }

    pub(super) fn invite_list(&self) -> Vec<InviteView> {
        self.invites.iter().map(|(id, record)| view(*id, record)).collect()
    }

    pub(super) fn invite_view(&self, id: &InviteId) -> Result<InviteView, RefusedBecause> {
        self.invites.get(id).map(|record| view(*id, record)).ok_or(RefusedBecause::Unknown("invite"))
    }
}

fn view(id: InviteId, record: &InviteRecord) -> InviteView {
    InviteView {
        id,
        invite: record.invite(),
        note: record.note.as_deref().and_then(|note| Name::new(note).ok()),
        state: record.state,
        created_at: record.created_at,
    }
}

impl Turn<'_> {
    pub(super) fn invite(&mut self, note: Option<Name>, valid_for: u64) -> CommandResult {
        let own = self.own()?;
        if valid_for == 0 || valid_for > MAX_INVITE_VALIDITY {
            let rule = format!("1 to {MAX_INVITE_VALIDITY} seconds");
            return Err(RefusedBecause::Invalid { field: "valid_for", rule });
        }
        self.make_room_for_invite()?;
        let package = OwnKeyPackage::generate(self.rng, own.root.as_bytes())
            .map_err(|error| RefusedBecause::Conflict(error.to_string()))?;
        let place = self.messenger.best_relay().unwrap_or(own.place);
        let at_home = place == own.place;
        let queue = OwnQueue::generate(place, at_home, self.rng);
        let mut psk = [0; 32];
        self.rng.fill_bytes(&mut psk);
        let invite = Invite::new(self.now + valid_for, own.root, psk, package.hash(), queue.address());
        let mut id = InviteId([0; 8]);
        self.rng.fill_bytes(&mut id.0);
        let record = InviteRecord {
            bytes: invite.to_bytes().to_vec(),
            note: note.map(|note| note.as_str().to_owned()),
            state: if at_home { InviteState::Ready } else { InviteState::Publishing },
            created_at: self.now,
            expires_at: invite.expires(),
            queue,
            package: package.to_bytes().to_vec(),
        };
        self.messenger.volatile.queues.insert(record.queue.id(), QueueOwner::Invite(id));
        self.messenger.volatile.queues_changed = true;
        let answer = view(id, &record);
        self.put(Key::Invite(id), &record);
        self.messenger.invites.insert(id, record);
        Ok(MailAnswer::Invite(Box::new(answer)))
    }

    /// Lets the oldest invite that is over go, where there are too many.
    fn make_room_for_invite(&mut self) -> Result<(), RefusedBecause> {
        if self.messenger.invites.len() < MAX_INVITES {
            return Ok(());
        }
        let over = self.messenger.invites.iter().filter(|(_, record)| !record.is_open());
        let oldest = over.min_by_key(|(_, record)| (record.is_read(), record.created_at)).map(|(id, _)| *id);
        let remedy = "cancel one that is no longer needed";
        let oldest =
            oldest.ok_or(RefusedBecause::Full { what: "open invites", limit: MAX_INVITES, remedy })?;
        self.close_confirmed_invite(oldest);
        self.messenger.invites.remove(&oldest);
        self.remove(Key::Invite(oldest));
        Ok(())
    }

    pub(super) fn cancel_invite(&mut self, id: InviteId) -> CommandResult {
        let record = self.messenger.invites.get(&id).ok_or(RefusedBecause::Unknown("invite"))?;
        if record.is_open() {
            self.end_invite(id, InviteState::Cancelled);
        }
        Ok(MailAnswer::Done)
    }

    /// Whether queues of ours may lie there.
    fn is_ours(&self, place: &Place) -> bool {
        let at_home = self.messenger.own.as_ref().is_some_and(|own| own.place == *place);
        let direct = self.messenger.reach == Reach::Direct;
        (direct && at_home) || self.messenger.relays.contains_key(place)
    }

    /// Ends invites at places that are ours no more: nobody can redeem them.
    pub(super) fn expire_orphaned_invites(&mut self) {
        let read = self.messenger.invites.iter().filter(|(_, record)| record.is_read());
        let homeless = read.filter(|(_, record)| !self.is_ours(&record.queue.place));
        let homeless: Vec<_> = homeless.map(|(id, record)| (*id, record.is_open())).collect();
        for (id, was_open) in homeless {
            if was_open {
                self.end_invite(id, InviteState::Failed);
                let why = "its place is no longer one of ours: make another".into();
                self.notify(Notice::InviteFailed(id, why));
            } else {
                self.end_invite(id, InviteState::Used);
            }
        }
    }

    /// Closes the queue of an invite; it can be redeemed no more.
    pub(super) fn end_invite(&mut self, id: InviteId, state: InviteState) {
        let Some(record) = self.messenger.invites.get_mut(&id) else { return };
        record.state = state;
        let record = record.clone();
        self.messenger.volatile.publishing.remove(&id);
        self.messenger.volatile.queues.remove(&record.queue.id());
        self.messenger.volatile.acks.remove(&record.queue.id());
        self.messenger.volatile.queues_changed = true;
        self.put(Key::Invite(id), &record);
        self.close_queue(&record.queue, invite_lane(id));
    }

    /// Its redeemer was confirmed: it can be redeemed no more, and its queue is theirs alone. One that ran out or was
    /// taken back meanwhile gets its queue again for that, if its place is still ours.
    pub(super) fn invite_confirmed(&mut self, id: InviteId) {
        let Some(record) = self.messenger.invites.get(&id) else { return };
        if record.state == InviteState::Failed || !self.is_ours(&record.queue.place) {
            return self.end_invite(id, InviteState::Used);
        }
        let Some(record) = self.messenger.invites.get_mut(&id) else { return };
        record.state = InviteState::Confirmed;
        let record = record.clone();
        self.messenger.volatile.queues.insert(record.queue.id(), QueueOwner::Invite(id));
        self.messenger.volatile.queues_changed = true;
        self.put(Key::Invite(id), &record);
        self.take_notice_away(id);
    }

    /// Whoever redeemed this invite spoke in the conversation, or is waited for no longer.
    pub(super) fn close_confirmed_invite(&mut self, id: InviteId) {
        if self.messenger.invites.get(&id).is_some_and(|record| record.state == InviteState::Confirmed) {
            self.end_invite(id, InviteState::Used);
        }
    }

    pub(super) fn drive_invites(&mut self) {
        let now = self.now;
        let messenger = &*self.messenger;
        let due = messenger
            .invites
            .iter()
            .filter(|(id, record)| messenger.next_of_invite(id, record).is_some_and(|at| at <= now));
        let due: Vec<InviteId> = due.map(|(id, _)| *id).collect();
        for id in due {
            let record = &self.messenger.invites[&id];
            let (over, was_open) = (self.now > record.ends_at(), record.is_open());
            match (over, was_open) {
                (true, true) => self.end_invite(id, InviteState::Expired),
                (true, false) => self.end_invite(id, InviteState::Used),
                (false, _) => self.publish(id),
            }
        }
    }
}

impl std::fmt::Debug for InviteRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InviteRecord")
            .field("state", &self.state)
            .field("note", &self.note)
            .finish_non_exhaustive()
    }
}
