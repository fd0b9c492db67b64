//! Frames in: opened, taken apart, put in order, acted on.

use std::ops::Range;

use super::{
    ContactId, EntryState, RefusalReason, own_queue::OwnQueue, relays::RelayEvent, row::Key, turn::Turn,
};
use crate::{
    courier::RelayAudit,
    envelope::{Envelope, Ratchet},
    frame::Blob,
    inbox::{PartShape, PartVerdict},
    outbox::Settled,
    packet::{Acks, Item, Packet, Part},
    part::Origin,
    payload::Payload,
    place::QueueId,
    ratchet::OpenError,
};

/// Frames in a row that cannot be opened before the group counts as broken, and the least time that takes, seconds:
/// late frames of an earlier group, or some that came before their commit, must not cause a new one.
const BROKEN_FRAMES: u32 = 3;
const BROKEN_AFTER: u64 = 10 * 60;

impl Turn<'_> {
    /// A frame in a contact's queue.
    pub(super) fn arrived(&mut self, id: ContactId, queue: QueueId, blob: &Blob) {
        let now = self.now;
        let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
        let Some(keys) = contact.record.keys.as_ref() else { return };
        let Some(content) = keys.opens().open(&queue, blob) else {
            self.cx.refuse(RefusalReason::Foreign);
            return;
        };
        if let Some(watch) = contact.volatile.audits.get_mut(&queue) {
            watch.collected(now);
            self.thread_changed_quietly(id);
        }
        match Envelope::parse(&content) {
            Ok(Envelope::Ratchet(Ratchet { commit, message })) => {
                self.open_message(id, commit.as_deref(), &message)
            }
            Ok(Envelope::Reset(reset)) => self.reset_arrived(id, &reset),
            Ok(Envelope::Hello(_)) | Err(_) => self.cx.refuse(RefusalReason::Malformed),
        }
    }

    fn open_message(&mut self, id: ContactId, commit: Option<&[u8]>, message: &[u8]) {
        let Some(mut session) = self.take_session(id) else {
            self.cx.refuse(RefusalReason::Unreadable);
            return self.group_is_lost(id);
        };
        let opened = session.open(commit, message);
        self.keep_session(id, session);
        match opened {
            Ok(plaintext) => self.packet(id, &plaintext),
            Err(OpenError::Repeat) => self.cx.refuse(RefusalReason::Repeat),
            Err(OpenError::Malformed) => self.cx.refuse(RefusalReason::Malformed),
            Err(OpenError::TooOld) => self.cx.refuse(RefusalReason::Unreadable),
            Err(OpenError::Ahead | OpenError::Foreign) => {
                self.cx.refuse(RefusalReason::Unreadable);
                self.note_unreadable(id);
            }
        }
    }

    /// Their frames cannot be opened: where that goes on, the group is broken and a new one is made.
    fn note_unreadable(&mut self, id: ContactId) {
        let now = self.now;
        let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
        let (since, count) = contact.volatile.unreadable.unwrap_or((now, 0));
        contact.volatile.unreadable = Some((since, count + 1));
        if count + 1 >= BROKEN_FRAMES && now >= since + BROKEN_AFTER {
            self.start_reset(id);
        }
    }

    /// What a contact said, decrypted.
    pub(super) fn packet(&mut self, id: ContactId, plaintext: &[u8]) {
        let Ok(packet) = Packet::parse(plaintext) else {
            self.cx.refuse(RefusalReason::Malformed);
            return;
        };
        self.heard(id);
        self.receipts(id, &packet.acks);
        for item in packet.items {
            match item {
                Item::Part(part) => self.part(id, part),
                Item::Chunk(chunk) => self.chunk_arrived(id, &chunk),
            }
        }
    }

    /// A sign of life in the present group.
    fn heard(&mut self, id: ContactId) {
        let now = self.now;
        let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
        contact.volatile.unreadable = None;
        contact.volatile.courier.heard_from(now);
        contact.thread.heard_at = Some(now);
        self.group_is_known(id);
        self.thread_changed(id);
        self.redeemer_was_heard(id);
    }

    /// They have the present group: a reset that made it was answered.
    pub(super) fn group_is_known(&mut self, id: ContactId) {
        let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
        if contact.record.pending_reset.take().is_some() {
            self.record_changed(id);
            self.touch(id);
        }
    }

    fn receipts(&mut self, id: ContactId, acks: &Acks) {
        let now = self.now;
        let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
        if acks.incarnation.0 == contact.outbox.incarnation() {
            match contact.outbox.acknowledge(&acks.messages) {
                Ok(settled) => {
                    for Settled { log, void } in settled {
                        if void {
                            self.remove(Key::Queued(id, log))
                        } else {
                            self.settle(id, log, EntryState::Delivered(now))
                        }
                    }
                }
                Err(_) => self.cx.refuse(RefusalReason::ForgedReceipt),
            }
        }
        self.adopt_card_version(id, acks.card);
        self.file_receipts(id, &acks.transfers);
        self.audit_deposits(id, acks);
    }

    /// The contact has a newer card of ours than we know of: this pod was restored from a backup. The next card is numbered
    /// above it, and is sent at once.
    fn adopt_card_version(&mut self, id: ContactId, version: u32) {
        let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
        if version > contact.record.card_version {
            contact.record.card_version = version;
            contact.record.card_digest = [0; 32];
            self.record_changed(id);
        }
    }

    /// Holds what they say our relays took against what we collected there.
    fn audit_deposits(&mut self, id: ContactId, acks: &Acks) {
        let now = self.now;
        let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
        if acks.card != contact.record.card_version {
            return;
        }
        let open = contact.record.queues.iter().filter(|queue| queue.is_open());
        for (queue, claimed) in open.zip(&acks.deposited) {
            if let Some(watch) = contact.volatile.audits.get_mut(&queue.id()) {
                watch.claimed(*claimed, now);
            }
        }
        self.check_relay_audits(id);
    }

    /// Looks whether one of our relays took frames of theirs and keeps them to itself.
    pub(super) fn check_relay_audits(&mut self, id: ContactId) {
        let Some(contact) = self.messenger.contacts.get(&id) else { return };
        let suspect = |queue: &&OwnQueue| {
            contact.volatile.audits.get(&queue.id()).is_some_and(|watch| watch.is_suspect(self.now))
        };
        if let Some(place) = contact.record.queues.iter().find(suspect).map(|queue| queue.place) {
            self.relay_event(RelayEvent::Withholds(place));
        }
    }

    /// When that is to be looked at again.
    pub(super) fn next_suspicion(&self, id: ContactId) -> Option<u64> {
        let audits = self.messenger.contacts.get(&id)?.volatile.audits.values();
        audits.filter_map(RelayAudit::suspect_at).filter(|at| *at > self.now).min()
    }

    fn part(&mut self, id: ContactId, part: Part) {
        let now = self.now;
        let Part { seq, first, last, origin, bytes } = part;
        let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
        let origin = origin.map(|(incarnation, last)| Origin { incarnation: incarnation.0, last });
        let shape = PartShape { first, last, len: u32::try_from(bytes.len()).unwrap_or(u32::MAX), origin };
        let accepted = contact.inbox.accept(seq, shape);
        match accepted.verdict {
            PartVerdict::New => contact.volatile.courier.owe_receipt(now, false),
            PartVerdict::Repeat => contact.volatile.courier.owe_receipt(now, true),
            PartVerdict::Malformed => {
                contact.volatile.courier.owe_receipt(now, false);
                self.cx.refuse(RefusalReason::Malformed);
            }
            PartVerdict::TooFar => {}
        }
        if accepted.verdict == PartVerdict::Repeat {
            self.cx.refuse(RefusalReason::Repeat);
            return;
        }
        let mut in_hand = Some((seq, bytes));
        if accepted.keep
            && let Some((seq, bytes)) = in_hand.take()
        {
            self.put(Key::Part(id, seq), &bytes);
        }
        let messages: Vec<Vec<u8>> = accepted
            .released
            .iter()
            .filter_map(|message| self.assemble(id, &message.seqs, in_hand.as_ref()))
            .collect();
        accepted.forget.into_iter().for_each(|seq| self.remove(Key::Part(id, seq)));
        self.thread_changed(id);
        messages.into_iter().for_each(|payload| self.payload(id, payload));
    }

    /// The bytes of a message from its parts, the last of which may be in hand.
    fn assemble(
        &self,
        id: ContactId,
        seqs: &Range<u64>,
        in_hand: Option<&(u64, Vec<u8>)>,
    ) -> Option<Vec<u8>> {
        let mut message = Vec::new();
        for seq in seqs.clone() {
            match in_hand.filter(|(number, _)| *number == seq) {
                Some((_, bytes)) => message.extend_from_slice(bytes),
                None => message.extend_from_slice(&self.read::<Vec<u8>>(Key::Part(id, seq))?),
            }
        }
        Some(message)
    }

    fn payload(&mut self, id: ContactId, bytes: Vec<u8>) {
        match Payload::parse(&bytes) {
            Ok(Payload::Card(card)) => self.card(id, &card),
            Ok(Payload::FileCancel(transfer)) => self.file_cancelled(id, transfer),
            Ok(Payload::FileOffer(offer)) => {
                self.receive_entry(id, bytes);
                self.file_offered(id, offer);
            }
            Ok(Payload::ApplicationOffer(offer)) => self.application_offered(id, &offer),
            Ok(Payload::Application(application)) => self.application_arrived(id, application, bytes),
            Ok(Payload::Text(_) | Payload::Unknown(_)) => self.receive_entry(id, bytes),
            Err(_) => self.cx.refuse(RefusalReason::Malformed),
        }
    }
}
