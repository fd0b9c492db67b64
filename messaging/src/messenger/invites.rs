//! Invites of our own: made, published at a place, redeemed by somebody, confirmed or not.
//!
//! ```text
//!   Publishing ──▶ Ready ──▶ Confirmed ──▶ Used        the redeemer was confirmed, and then heard from
//!       │            │ ▲
//!       ▼            │ └──── the place lost it: Publishing again
//!     Failed         ├─────▶ Expired                   its time is over
//!                    └─────▶ Cancelled                 by its owner
//! ```
//!
//! Each part of an invite has one home: the line that is handed over and our private key package are in its record,
//! the sealed notice is at its place. A record whose invite and queue do not agree is not restored.

mod introduction;
mod publication;

pub(super) use self::introduction::{Introduction, Opened};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    answer::{InviteView, MailAnswer, RefusedBecause},
    context::{CommandResult, Context},
    effect::Notice,
    flight::FirstFlight,
    ids::InviteId,
    input::MAX_INVITE_VALIDITY,
    network::{Network, QueueOwner},
    own_places::OwnPlaces,
    own_queue::{OwnQueue, invite_lane},
    refusals::RefusalReason,
    row::{Kept, Key},
    states::{InviteState, Timestamp},
    stored::{StoredInvite, StoredName},
};
use crate::{Name, invite::Invite, lane::Lane, ratchet::OwnKeyPackage};

/// Most invites that are open at a time.
pub const MAX_INVITES: usize = 64;
/// How long the queue of a confirmed invite is kept for its redeemer after it ran out, seconds: 30 days, as long as they
/// wait to be confirmed.
const CONFIRMED_TTL: u64 = 30 * 24 * 60 * 60;

/// What is remembered of an invite.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct InviteRecord {
    /// The invite as it is handed over.
    invite: StoredInvite,
    /// For the owner, to remember whom it was for.
    note: Option<StoredName>,
    state: InviteStage,
    created_at: Timestamp,
    /// Its last second. In the invite too, but to read that checks its keys, and this is looked at with every input.
    expires_at: Timestamp,
    /// The one named in the invite; read while the invite is open, and until its redeemer was heard from.
    queue: OwnQueue,
    /// The key package that waits at the place, with its private parts; empty once nobody can redeem it any more.
    package: Zeroizing<Vec<u8>>,
}

impl Kept for InviteRecord {}

/// Where an invite stands: its states in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum InviteStage {
    Publishing,
    Ready,
    Used,
    Expired,
    Cancelled,
    Failed,
    /// Somebody redeemed it and was confirmed, and was not heard from since. Nobody else can redeem it; they may still
    /// say where they are, should all the places be gone that they named.
    Confirmed,
}

impl InviteStage {
    /// What its owner is shown. Of one who was confirmed and not heard from since, the owner can do nothing.
    fn shown(self) -> InviteState {
        match self {
            Self::Publishing => InviteState::Publishing,
            Self::Ready => InviteState::Ready,
            Self::Used | Self::Confirmed => InviteState::Used,
            Self::Expired => InviteState::Expired,
            Self::Cancelled => InviteState::Cancelled,
            Self::Failed => InviteState::Failed,
        }
    }
}

/// All invites of the pod, and those on their way to their places.
#[derive(Debug, Default)]
pub(super) struct Invites {
    records: BTreeMap<InviteId, InviteRecord>,
    /// Calls to places, learnt anew after a start.
    flights: BTreeMap<InviteId, FirstFlight>,
}

impl InviteRecord {
    /// The invite as it was handed over.
    fn invite(&self) -> Invite {
        self.invite.invite()
    }

    /// Whether it can be redeemed.
    fn is_open(&self) -> bool {
        matches!(self.state, InviteStage::Publishing | InviteStage::Ready)
    }

    /// Whether its queue is read.
    fn is_read(&self) -> bool {
        self.is_open() || self.state == InviteStage::Confirmed
    }

    /// The last second of its queue.
    fn ends_at(&self) -> Timestamp {
        if self.is_open() { self.expires_at } else { self.expires_at.saturating_add(CONFIRMED_TTL) }
    }

    /// Drops what opens introductions by it. Of a used invite nobody needs that, and it would open what was said to whoever
    /// finds it later.
    fn wipe(&mut self) {
        self.invite = StoredInvite::new(&self.invite().without_secret());
        self.package = Zeroizing::default();
    }

    /// The invite as its owner sees it.
    fn view(&self, id: InviteId) -> InviteView {
        InviteView {
            id,
            invite: self.invite(),
            note: self.note.clone().map(|note| note.0),
            state: self.state.shown(),
            created_at: self.created_at,
        }
    }
}

impl Invites {
    /// An invite from its row.
    ///
    /// # Errors
    /// The queue is not the one that the invite names.
    pub(super) fn restore(&mut self, id: InviteId, record: InviteRecord) -> Result<(), &'static str> {
        if record.invite().address().queue != record.queue.id() {
            return Err("its invite names another queue");
        }
        self.records.insert(id, record);
        Ok(())
    }

    /// When an invite is to be looked at next.
    pub(super) fn next_wake(&self, clock_is_right: bool) -> Option<Timestamp> {
        self.records.iter().filter_map(|(id, record)| self.next_of(id, record, clock_is_right)).min()
    }

    /// The end of its queue, unless the clock may be wrong; or its next try to be published, whichever is earlier.
    fn next_of(&self, id: &InviteId, record: &InviteRecord, clock_is_right: bool) -> Option<Timestamp> {
        let end = (clock_is_right && record.is_read()).then(|| record.ends_at().saturating_add(1));
        let flight = self.flights.get(id).copied();
        let flight = match record.state {
            InviteStage::Publishing => Some(flight.unwrap_or_default()),
            InviteStage::Confirmed => flight,
            _ => None,
        };
        let due = flight.filter(|flight| flight.in_flight == 0).map(|flight| flight.due);
        end.into_iter().chain(due).min()
    }

    /// All invites as their owner sees them.
    pub(super) fn list(&self) -> Vec<InviteView> {
        self.records.iter().map(|(id, record)| record.view(*id)).collect()
    }

    /// One invite as its owner sees it.
    /// # Errors
    /// [`RefusedBecause::Unknown`].
    pub(super) fn view(&self, id: &InviteId) -> Result<InviteView, RefusedBecause> {
        self.records.get(id).map(|record| record.view(*id)).ok_or(RefusedBecause::Unknown("invite"))
    }

    /// Queues that are read, with the connection for each.
    pub(super) fn queues(&self) -> impl Iterator<Item = (InviteId, &OwnQueue, Lane)> {
        let read = self.records.iter().filter(|(_, record)| record.is_read());
        read.map(|(id, record)| (*id, &record.queue, invite_lane(*id)))
    }

    /// The queue of an invite.
    pub(super) fn queue(&self, id: &InviteId) -> Option<&OwnQueue> {
        Some(&self.records.get(id)?.queue)
    }

    /// Whether one invite was made after another, or with it. One that is forgotten is older than all.
    pub(super) fn is_later(&self, invite: &InviteId, than: Option<&InviteId>) -> bool {
        let made = |id: &InviteId| self.records.get(id).map(|record| record.created_at);
        than.and_then(made) <= made(invite)
    }

    /// Whether it can be redeemed: none if there is no such invite.
    pub(super) fn is_open(&self, id: &InviteId) -> Option<bool> {
        Some(self.records.get(id)?.is_open())
    }

    /// Makes an invite and begins to publish it, at a relay if there is one. At the pod itself it is ready at once.
    /// # Errors
    /// [`RefusedBecause::Invalid`] for a time that is out of range, [`RefusedBecause::Full`] where too many are open,
    /// [`RefusedBecause::Conflict`] where no key package can be made.
    pub(super) fn create(
        &mut self,
        cx: &mut Context<'_>,
        network: &mut Network,
        places: OwnPlaces<'_>,
        note: Option<Name>,
        valid_for: u64,
    ) -> CommandResult {
        if valid_for == 0 || valid_for > MAX_INVITE_VALIDITY {
            let rule = format!("1 to {MAX_INVITE_VALIDITY} seconds");
            return Err(RefusedBecause::Invalid { field: "valid_for", rule });
        }
        self.make_room(cx, network)?;
        let package = OwnKeyPackage::generate(cx.rng, places.own.root.as_bytes())
            .map_err(|error| RefusedBecause::Conflict(error.to_string()))?;
        let place = places.relays.best().unwrap_or(places.own.place);
        let at_home = place == places.own.place;
        let queue = OwnQueue::generate(place, at_home, cx.rng);
        let mut psk = Zeroizing::new([0; 32]);
        cx.rng.fill_bytes(psk.as_mut_slice());
        let invite = Invite::new(cx.now + valid_for, places.own.root, *psk, package.hash(), queue.address());
        let mut id = InviteId([0; 8]);
        cx.rng.fill_bytes(&mut id.0);
        let record = InviteRecord {
            invite: StoredInvite::new(&invite),
            note: note.map(StoredName),
            state: if at_home { InviteStage::Ready } else { InviteStage::Publishing },
            created_at: cx.now,
            expires_at: invite.expires(),
            queue,
            package: package.to_bytes(),
        };
        network.lead(record.queue.id(), QueueOwner::Invite(id));
        let answer = record.view(id);
        self.keep(cx, id, record);
        Ok(MailAnswer::Invite(Box::new(answer)))
    }

    /// Writes a record and keeps it.
    fn keep(&mut self, cx: &mut Context<'_>, id: InviteId, record: InviteRecord) {
        cx.put(Key::Invite(id), &record);
        self.records.insert(id, record);
    }

    /// Lets the oldest invite that is over go, where there are too many.
    ///
    /// # Errors
    /// [`RefusedBecause::Full`] where all are open.
    fn make_room(&mut self, cx: &mut Context<'_>, network: &mut Network) -> Result<(), RefusedBecause> {
        if self.records.len() < MAX_INVITES {
            return Ok(());
        }
        let over = self.records.iter().filter(|(_, record)| !record.is_open());
        let oldest = over.min_by_key(|(_, record)| (record.is_read(), record.created_at)).map(|(id, _)| *id);
        let remedy = "cancel one that is no longer needed";
        let oldest =
            oldest.ok_or(RefusedBecause::Full { what: "open invites", limit: MAX_INVITES, remedy })?;
        self.close_confirmed(cx, network, oldest);
        self.records.remove(&oldest);
        cx.remove(Key::Invite(oldest));
        Ok(())
    }

    /// The clock went back: none waits for a moment of the old time.
    pub(super) fn clock_went_back(&mut self) {
        self.flights.values_mut().for_each(FirstFlight::clock_went_back);
    }

    /// Ends an invite that is open; one that is over stays what it is.
    /// # Errors
    /// [`RefusedBecause::Unknown`].
    pub(super) fn cancel(
        &mut self,
        cx: &mut Context<'_>,
        network: &mut Network,
        id: InviteId,
    ) -> CommandResult {
        let record = self.records.get(&id).ok_or(RefusedBecause::Unknown("invite"))?;
        if record.is_open() {
            self.end(cx, network, id, InviteStage::Cancelled);
        }
        Ok(MailAnswer::Done)
    }

    /// Ends invites at places that are ours no more: nobody can redeem them.
    pub(super) fn expire_orphaned(
        &mut self,
        cx: &mut Context<'_>,
        network: &mut Network,
        places: OwnPlaces<'_>,
    ) {
        let read = self.records.iter().filter(|(_, record)| record.is_read());
        let orphaned = read.filter(|(_, record)| !places.is_ours(&record.queue.place));
        let orphaned: Vec<_> = orphaned.map(|(id, record)| (*id, record.is_open())).collect();
        for (id, was_open) in orphaned {
            if was_open {
                self.end(cx, network, id, InviteStage::Failed);
                let why = "its place is no longer one of ours: make another".into();
                cx.notify(Notice::InviteFailed(id, why));
            } else {
                self.end(cx, network, id, InviteStage::Used);
            }
        }
    }

    /// Closes the queue of an invite; it can be redeemed no more.
    fn end(&mut self, cx: &mut Context<'_>, network: &mut Network, id: InviteId, state: InviteStage) {
        if let Some(record) = self.records.get_mut(&id) {
            record.state = state;
            // Who asked before it ran out or was taken back may still be confirmed by it.
            if matches!(state, InviteStage::Used | InviteStage::Failed) {
                record.wipe();
            }
            self.flights.remove(&id);
            cx.put(Key::Invite(id), record);
            network.drop_queue(cx, &record.queue, invite_lane(id));
        }
    }

    /// Its redeemer was confirmed: it can be redeemed no more, and its queue is theirs alone. One that ran out or was
    /// taken back meanwhile gets its queue again for that, if its place is still ours.
    pub(super) fn confirmed(
        &mut self,
        cx: &mut Context<'_>,
        network: &mut Network,
        places: OwnPlaces<'_>,
        id: InviteId,
    ) {
        let is_over = |state| matches!(state, InviteStage::Used | InviteStage::Failed);
        match self.records.get_mut(&id) {
            Some(record) if !is_over(record.state) && places.is_ours(&record.queue.place) => {
                record.state = InviteStage::Confirmed;
                network.lead(record.queue.id(), QueueOwner::Invite(id));
                cx.put(Key::Invite(id), record);
                self.take_notice_away(network, id);
            }
            _ => self.end(cx, network, id, InviteStage::Used),
        }
    }

    /// Whoever redeemed this invite spoke in the conversation, or is waited for no longer.
    pub(super) fn close_confirmed(&mut self, cx: &mut Context<'_>, network: &mut Network, id: InviteId) {
        if self.records.get(&id).is_some_and(|record| record.state == InviteStage::Confirmed) {
            self.end(cx, network, id, InviteStage::Used);
        }
    }

    /// Does what is due: ends invites whose time is over, and publishes the others.
    pub(super) fn wake(&mut self, cx: &mut Context<'_>, network: &mut Network, places: OwnPlaces<'_>) {
        let right = cx.clock_is_right;
        let due = self
            .records
            .iter()
            .filter(|(id, record)| self.next_of(id, record, right).is_some_and(|at| at <= cx.now));
        let due: Vec<_> =
            due.map(|(id, record)| (*id, right && cx.now > record.ends_at(), record.is_open())).collect();
        for (id, over, was_open) in due {
            match (over, was_open) {
                (true, true) => self.end(cx, network, id, InviteStage::Expired),
                (true, false) => self.end(cx, network, id, InviteStage::Used),
                (false, _) => self.publish(cx, network, places, id),
            }
        }
    }
}

/// Equal in what rows hold.
impl PartialEq for Invites {
    fn eq(&self, other: &Self) -> bool {
        self.records == other.records
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
