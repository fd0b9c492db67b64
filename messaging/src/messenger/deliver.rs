//! Frames out: what the courier of a contact finds due, sealed and handed to places.
//!
//! Nothing here decides when: the courier does. What is decided here is what goes into a frame, and that it is
//! encrypted once however many places get it.

use super::{
    contact::Contact,
    contact_turn::ContactTurn,
    ids::ContactId,
    item_key::{Due, ItemKey},
    network::Purpose,
    refusals::RefusalReason,
    stage::Stage,
    states::{Reach, Timestamp},
};
use crate::{
    MAX_EARLY_CHUNKS,
    courier::{ACK_DELAY, CallOutcome, Pending},
    envelope::{Envelope, Ratchet},
    frame::{DepositId, Frame},
    lane::{FILE_LANES, Lane, LaneRole, Unreached},
    packet::{Acks, Item, MAX_ITEMS, Packet},
    place::QueueAddress,
    ratchet::Session,
    wire::{PlaceRefusal, Request, Response},
};

/// The epoch in which a group begins.
const FIRST_EPOCH: u64 = 1;
/// Receipts alone begin a new epoch no more often than this, seconds.
const RENEW_AFTER: u64 = 60 * 60;
/// A receipt alone of a pod that is reached through relays only leaves within this time, seconds: one for all that came
/// meanwhile.
const QUIET_RECEIPTS: u64 = 10 * 60;

impl Contact {
    /// Everything of this contact that is unacknowledged: messages first, then chunks.
    pub(super) fn pending(&self) -> Vec<Pending<ItemKey>> {
        self.conversation.pending().chain(self.files.pending()).collect()
    }

    /// Frames leave only for a contact whose card we have, and who has answered the last reset: before that they
    /// could not be read.
    fn can_ship(&self) -> bool {
        matches!(&self.record().stage, Stage::Active(active) if active.pending_reset.is_none())
            && self.card().is_some()
    }

    /// Where their `place`-th queue is. None beyond their card.
    pub(super) fn address(&self, place: usize) -> Option<QueueAddress> {
        Some(self.card()?.places().get(place)?.address.clone())
    }
}

impl ContactTurn<'_, '_> {
    /// Asks for a turn to send, if anything is due for this contact.
    pub(super) fn pump(&mut self) {
        let due = self.shipments();
        let budget = &mut self.work.budget;
        for shipment in &due {
            budget.ask(self.id, shipment.probe);
        }
        if !due.is_empty() {
            self.work.due.insert(self.id, due);
        }
    }

    /// What is due for this contact now, as its courier sees it.
    pub(super) fn shipments(&mut self) -> Vec<Due> {
        let now = self.cx.now;
        if !self.contact.can_ship() {
            return Vec::new();
        }
        let pending = self.contact.pending();
        self.contact.volatile.courier.next(now, &mut *self.cx.rng, &pending)
    }

    /// When something is due for this contact again.
    pub(super) fn next_delivery(&self) -> Option<Timestamp> {
        if !self.contact.can_ship() {
            return None;
        }
        let expiry = self.contact.conversation.next_expiry().filter(|_| self.cx.clock_is_right);
        self.contact.volatile.courier.next_wake(self.cx.now).into_iter().chain(expiry).min()
    }

    /// Seals one shipment and sends it. Says whether it left.
    ///
    /// One that did not is counted, and is due again.
    pub(super) fn ship(&mut self, shipment: &Due) -> bool {
        let left = self.seal_and_send(shipment).is_some();
        if !left {
            self.cx.refuse(RefusalReason::NotSent);
        }
        left
    }

    /// None where the card, the keys or the group are missing, or the packet cannot be sealed.
    fn seal_and_send(&mut self, shipment: &Due) -> Option<()> {
        let address = self.contact.address(shipment.place)?;
        let keys = &shipment.keys[..shipment.keys.len().min(MAX_ITEMS)];
        let content = self.sealed_once(keys)?;
        let contact = &mut *self.contact;
        let seals = contact.record().pair()?.seals();
        let blob = seals.seal(&address.queue, &content, self.cx.rng).ok()?;
        let frame = Frame {
            deposit: DepositId::generate(self.cx.rng),
            queue: address.queue,
            capability: address.deposit,
            blob,
        };
        let what = Purpose::Deposit { contact: self.id, probe: shipment.probe };
        let call = self.call(address.place, lane_for(self.id, keys), Request::Deposit(frame), what);
        let now = self.cx.now;
        let contact = &mut *self.contact;
        contact.volatile.courier.sent(call.0, shipment.place, keys.to_vec(), now);
        if contact.files.owes_receipts() {
            // They leave when this call has ended at the latest.
            contact.volatile.courier.owe_receipt(now, false);
            contact.volatile.courier.hurry_receipt(now);
        }
        Some(())
    }

    /// A packet with these things, encrypted for this contact. Copies that leave in one turn for several places are the
    /// same within: the ratchet turns once, and whoever gets two of them sees at a glance that it has one. No place can
    /// tell, since each frame is sealed anew for its queue.
    fn sealed_once(&mut self, keys: &[ItemKey]) -> Option<Vec<u8>> {
        let name = (self.id, keys.to_vec());
        if let Some(content) = self.work.sealed.get(&name) {
            return Some(content.clone());
        }
        let items: Vec<Item> = keys.iter().filter_map(|key| self.item(*key)).collect();
        let content = self.seal_packet(items)?;
        self.work.sealed.insert(name, content.clone());
        Some(content)
    }

    /// The part or chunk of this name, read from its rows. None where it is settled by now, or its row is lost, which
    /// is counted.
    pub(super) fn item(&mut self, key: ItemKey) -> Option<Item> {
        match key {
            ItemKey::Chunk(transfer, index) => {
                self.contact.files.chunk(self.cx, self.id, transfer, index).map(Item::Chunk)
            }
            ItemKey::Part(seq) => {
                let (part, is_first) = self.contact.conversation.part(self.cx, self.id, seq)?;
                if is_first {
                    self.thread_changed_quietly();
                }
                Some(Item::Part(part))
            }
        }
    }

    /// These items and the receipts of the moment.
    pub(super) fn packet_of(&self, items: Vec<Item>) -> Packet {
        let conversation = &self.contact.conversation;
        let (numbering, acknowledged) = (conversation.numbering(), conversation.acknowledged_below());
        Packet { numbering, acknowledged, acks: self.acks(), items }
    }

    /// Whether a receipt alone is to begin a new epoch: the first epoch is open to every backup, and one who only reads would
    /// never leave an epoch. The commit rides along with all that follows until they answer in the new epoch, so it
    /// may be lost with the receipt.
    fn renews(&mut self, session: &Session) -> bool {
        let volatile = &mut self.contact.volatile;
        let due =
            session.epoch() == FIRST_EPOCH || self.cx.now >= volatile.renewed_at.saturating_add(RENEW_AFTER);
        // A clock that was set back must not hold it up for as long.
        let due = due || volatile.renewed_at > self.cx.now;
        if due && session.is_our_turn() {
            volatile.renewed_at = self.cx.now;
        }
        due
    }

    /// A packet with these items and the receipts of the moment, encrypted for this contact.
    pub(super) fn seal_packet(&mut self, items: Vec<Item>) -> Option<Vec<u8>> {
        let carries_items = !items.is_empty();
        let packet = self.packet_of(items).to_bytes().ok()?;
        let mut session = self.take_session()?;
        let may_commit = carries_items || self.renews(&session);
        let sealed = session.seal(self.cx.rng, &packet, may_commit);
        self.keep_session(session);
        let sealed = sealed.ok()?;
        self.contact.files.receipts_left();
        Envelope::Ratchet(Ratchet { commit: sealed.commit, message: sealed.message }).to_bytes().ok()
    }

    /// What we have of this contact's.
    pub(super) fn acks(&self) -> Acks {
        let contact = &*self.contact;
        let (numbering, messages) = contact.conversation.receipt();
        let card = contact.card();
        let places = card.map_or(0, |card| card.places().len());
        Acks {
            numbering,
            messages,
            transfers: contact.files.receipts(),
            deposited: (0..places).map(|place| contact.volatile.courier.accepted(place)).collect(),
            card: card.map_or(0, |card| card.version()),
        }
    }

    /// Something of theirs wants a receipt. One alone would tell when the pod runs: where contacts are not to learn that,
    /// it leaves at a moment of its own.
    pub(super) fn owe_receipt(&mut self, repeated: bool) {
        let now = self.cx.now;
        let courier = &mut self.contact.volatile.courier;
        match self.places.reach {
            Reach::Direct => courier.owe_receipt(now, repeated),
            Reach::Relays => {
                let at = now + ACK_DELAY + self.cx.rng.next_u64() % QUIET_RECEIPTS;
                courier.owe_receipt_at(now, at, repeated);
            }
        }
    }

    /// What became of a shipment.
    ///
    /// The courier decides what follows; here only the answer of the place is put into its words.
    pub(super) fn deposited(&mut self, call: u64, outcome: &Result<Response, Unreached>) {
        self.touch();
        let ending = match outcome {
            Ok(Response::Done) => CallOutcome::Accepted,
            Ok(Response::Refused(PlaceRefusal::Busy { retry_after })) => {
                CallOutcome::Refused { wait: u64::from(*retry_after) }
            }
            Ok(_) => CallOutcome::Refused { wait: 0 },
            Err(_) => CallOutcome::Unreached,
        };
        let now = self.cx.now;
        self.contact.volatile.courier.outcome(call, ending, now, &mut *self.cx.rng);
    }
}

/// The connection on which a frame with these things leaves. The first chunks of a file go with messages, over the
/// connection that is there: a short file would be longer on its way if it waited for another.
fn lane_for(id: ContactId, keys: &[ItemKey]) -> Lane {
    match keys.first() {
        Some(ItemKey::Chunk(_, index)) if *index as usize >= MAX_EARLY_CHUNKS => {
            let number = index.to_be_bytes()[3] % FILE_LANES;
            Lane { role: LaneRole::Files(number), party: id.0 }
        }
        _ => deposit_lane(id),
    }
}

/// The connection on which frames for a contact leave.
pub(super) fn deposit_lane(id: ContactId) -> Lane {
    Lane { role: LaneRole::Deposit, party: id.0 }
}
