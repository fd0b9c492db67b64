//! Frames out: what the courier of a contact finds due, sealed and handed to places.

use super::{
    ContactId, ContactState, Timestamp, contact::Contact, conversation::Entry, network::Purpose, row::Key,
    turn::Turn,
};
use crate::{
    TransferId,
    courier::{CallOutcome, Pending, Shipment},
    envelope::{Envelope, Ratchet},
    frame::{DepositId, Frame},
    lane::{Lane, LaneRole, Unreached},
    packet::{Acks, Item, MAX_ITEMS, Packet, Part},
    place::QueueAddress,
    ratchet::{Incarnation, OwnKeyPackage, Session},
    wire::{Refusal, Request, Response},
};

/// Groups held in memory for contacts that are being talked to: 32 of some 200 kB are 6 MB. The others are read from
/// their rows when they are needed.
const LIVE_SESSIONS: usize = 32;

/// Names a thing that waits to be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ItemKey {
    /// A part of a message.
    Part(u64),
    /// A chunk of a file.
    Chunk(TransferId, u32),
}

/// A shipment that was found due.
pub(super) type Due = Shipment<ItemKey>;

impl Contact {
    pub(super) fn pending(&self) -> Vec<Pending<ItemKey>> {
        let part = |seq| {
            let len = self.outbox.part(seq).map_or(0, |part| part.len as usize);
            Pending { key: ItemKey::Part(seq), len, bulk: false }
        };
        self.outbox.unacknowledged().map(part).chain(self.pending_chunks()).collect()
    }

    fn can_ship(&self) -> bool {
        self.record.state == ContactState::Active
            && self.record.pending_reset.is_none()
            && self.card.is_some()
    }

    pub(super) fn address(&self, place: usize) -> Option<QueueAddress> {
        Some(self.card.as_ref()?.places().get(place)?.address.clone())
    }
}

impl Turn<'_> {
    /// Asks for a turn to send, if anything is due for this contact.
    pub(super) fn pump(&mut self, id: ContactId) {
        let due = self.shipments(id);
        let budget = &mut self.messenger.volatile.budget;
        for shipment in &due {
            budget.ask(id, shipment.probe);
        }
        if !due.is_empty() {
            self.due.insert(id, due);
        }
    }

    /// Sends for all contacts that asked, one call each in turn, as far as calls in flight allow.
    pub(super) fn ship_in_turn(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        while let Some((id, probe)) = self.messenger.volatile.budget.grant() {
            let shipments = due.entry(id).or_insert_with(|| self.shipments(id));
            let next = shipments.iter().position(|shipment| shipment.probe == probe);
            let shipped = next.is_some_and(|next| self.ship(id, &shipments.remove(next)).is_some());
            if !shipped {
                self.messenger.volatile.budget.release(probe);
            }
            for shipment in shipments {
                self.messenger.volatile.budget.ask(id, shipment.probe);
            }
        }
        due.into_keys().for_each(|id| self.set_wake(id));
    }

    fn shipments(&mut self, id: ContactId) -> Vec<Due> {
        let now = self.now;
        let Some(contact) = self.messenger.contacts.get_mut(&id).filter(|contact| contact.can_ship()) else {
            return Vec::new();
        };
        let pending = contact.pending();
        contact.volatile.courier.next(now, &mut *self.cx.rng, &pending)
    }

    /// When something is due for this contact again.
    pub(super) fn next_delivery(&self, id: ContactId) -> Option<Timestamp> {
        let contact = self.messenger.contacts.get(&id).filter(|contact| contact.can_ship())?;
        let expiry = contact.next_expiry();
        contact.volatile.courier.next_wake(self.now).into_iter().chain(expiry).min()
    }

    /// Seals one shipment and sends it.
    fn ship(&mut self, id: ContactId, shipment: &Due) -> Option<()> {
        let address = self.messenger.contacts.get(&id)?.address(shipment.place)?;
        let keys = &shipment.keys[..shipment.keys.len().min(MAX_ITEMS)];
        let content = self.sealed_once(id, keys)?;
        let contact = self.messenger.contacts.get_mut(&id)?;
        let seals = contact.record.keys.as_ref()?.seals();
        let blob = seals.seal(&address.queue, &content, self.cx.rng).ok()?;
        let frame = Frame {
            deposit: DepositId::generate(self.cx.rng),
            queue: address.queue,
            capability: address.deposit,
            blob,
        };
        let what = Purpose::Deposit { contact: id, probe: shipment.probe };
        let call = self.call(address.place, deposit_lane(id), Request::Deposit(frame), what);
        let now = self.now;
        let contact = self.messenger.contacts.get_mut(&id)?;
        contact.volatile.courier.sent(call.0, shipment.place, keys.to_vec(), now);
        Some(())
    }

    /// A packet with these things, encrypted for this contact. Copies that leave in one turn for several places are the
    /// same within: the ratchet turns once, and whoever gets two of them sees at a glance that it has one. No place can
    /// tell, since each frame is sealed anew for its queue.
    fn sealed_once(&mut self, id: ContactId, keys: &[ItemKey]) -> Option<Vec<u8>> {
        let name = (id, keys.to_vec());
        if let Some(content) = self.sealed.get(&name) {
            return Some(content.clone());
        }
        let items: Vec<Item> = keys.iter().filter_map(|key| self.item(id, *key)).collect();
        let content = self.seal_packet(id, items)?;
        self.sealed.insert(name, content.clone());
        Some(content)
    }

    pub(super) fn item(&mut self, id: ContactId, key: ItemKey) -> Option<Item> {
        let seq = match key {
            ItemKey::Part(seq) => seq,
            ItemKey::Chunk(transfer, index) => return self.chunk(id, transfer, index),
        };
        let contact = self.messenger.contacts.get_mut(&id)?;
        let part = contact.outbox.part(seq)?;
        if contact.outbox.mark_sent(seq) {
            self.thread_changed_quietly(id);
        }
        let bytes = if part.len == 0 {
            Vec::new()
        } else {
            let entry = self.read::<Entry>(Key::Entry(id, part.log))?;
            let from = part.offset as usize;
            entry.payload.get(from..from + part.len as usize)?.to_vec()
        };
        let origin = part.origin.map(|origin| (Incarnation(origin.incarnation), origin.last));
        Some(Item::Part(Part { seq, first: part.first, last: part.last, origin, bytes }))
    }

    /// A packet with these items and the receipts of the moment, encrypted for this contact.
    pub(super) fn seal_packet(&mut self, id: ContactId, items: Vec<Item>) -> Option<Vec<u8>> {
        let may_commit = !items.is_empty();
        let acks = self.acks(id)?;
        let packet = Packet { acks, items }.to_bytes().ok()?;
        let mut session = self.take_session(id)?;
        let sealed = session.seal(self.cx.rng, &packet, may_commit);
        self.keep_session(id, session);
        let sealed = sealed.ok()?;
        Envelope::Ratchet(Ratchet { commit: sealed.commit, message: sealed.message }).to_bytes().ok()
    }

    /// What we have of this contact's.
    pub(super) fn acks(&self, id: ContactId) -> Option<Acks> {
        let contact = self.messenger.contacts.get(&id)?;
        let card = contact.card.as_ref();
        let places = card.map_or(0, |card| card.places().len());
        Some(Acks {
            incarnation: Incarnation(contact.inbox.incarnation()),
            messages: *contact.inbox.receipt(),
            transfers: contact.chunk_receipts(),
            deposited: (0..places).map(|place| contact.volatile.courier.accepted(place)).collect(),
            card: card.map_or(0, |card| card.version()),
        })
    }

    /// The group of a contact, to be given back with [`Turn::keep_session`].
    pub(super) fn take_session(&mut self, id: ContactId) -> Option<Box<Session>> {
        let contact = self.messenger.contacts.get_mut(&id)?;
        if let Some(session) = contact.volatile.session.take() {
            return Some(session);
        }
        let own = OwnKeyPackage::from_bytes(&contact.record.own_package).ok()?;
        let mut read = |page: &[u8]| self.page(id, page);
        Session::load(&mut read, &own).ok().map(Box::new)
    }

    /// Lets go of groups that were not used lately; their rows have everything.
    pub(super) fn note_session_use(&mut self, id: ContactId) {
        let live = &mut self.messenger.volatile.live;
        live.retain(|other| *other != id);
        live.push_back(id);
        if live.len() > LIVE_SESSIONS
            && let Some(oldest) = live.pop_front()
            && let Some(contact) = self.messenger.contacts.get_mut(&oldest)
        {
            contact.volatile.session = None;
        }
    }

    /// Removes the group of a contact, in memory and in its rows.
    pub(super) fn drop_session(&mut self, id: ContactId) {
        if let Some(session) = self.take_session(id) {
            self.remove_pages(id, session.row_keys());
        }
    }

    /// What became of a shipment.
    pub(super) fn deposited(
        &mut self,
        id: ContactId,
        call: u64,
        probe: bool,
        outcome: &Result<Response, Unreached>,
    ) {
        self.messenger.volatile.budget.release(probe);
        self.touch(id);
        let ending = match outcome {
            Ok(Response::Done) => CallOutcome::Accepted,
            Ok(Response::Refused(Refusal::Busy { retry_after })) => {
                CallOutcome::Refused { wait: u64::from(*retry_after) }
            }
            Ok(_) => CallOutcome::Refused { wait: 0 },
            Err(_) => CallOutcome::Unreached,
        };
        let now = self.now;
        if let Some(contact) = self.messenger.contacts.get_mut(&id) {
            contact.volatile.courier.outcome(call, ending, now, &mut *self.cx.rng);
        }
    }
}

/// The connection on which frames for a contact leave.
pub(super) fn deposit_lane(id: ContactId) -> Lane {
    Lane { role: LaneRole::Deposit, party: id.0 }
}
