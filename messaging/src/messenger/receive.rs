//! Frames in: opened, taken apart, put in order, acted on.
//!
//! A frame passes four checks, each of which ends in a counter if it fails: the outer seal (who may have left it),
//! the envelope (what it is), the ratchet (whether the contact wrote it, and whether it is new), and the packet and
//! payloads in it.

use super::{
    cards::LAST_CARD_VERSION,
    contact_turn::ContactTurn,
    conversation::{PartTaken, Run},
    files::FileEvent,
    own_queue::OwnQueue,
    refusals::RefusalReason,
    stage::OurCard,
    work::FollowUp,
};
use crate::{
    courier::RelayAudit,
    envelope::{Envelope, Ratchet},
    frame::Blob,
    packet::{Acks, Item, Packet, Part},
    payload::Payload,
    place::QueueId,
    ratchet::OpenError,
};

/// Frames in a row that cannot be opened before the group counts as broken, and the least time that takes, seconds:
/// late frames of an earlier group, or some that came before their commit, must not cause a new one.
const BROKEN_FRAMES: u32 = 3;
/// The least time that such frames must have gone on, seconds.
const BROKEN_AFTER: u64 = 10 * 60;
/// Frames in a row that were opened before, after which a receipt is owed: more than a message has copies.
const STALE_FRAMES: u32 = 12;
/// Pause between two repetitions of a card that a contact does not take, seconds.
const CARD_REPEAT: u64 = 60 * 60;

impl ContactTurn<'_, '_> {
    /// A frame in a contact's queue.
    ///
    /// Its queue says from which contact it is; the seal must agree.
    pub(super) fn arrived(&mut self, queue: QueueId, blob: &Blob) {
        let now = self.cx.now;
        let contact = &mut *self.contact;
        let Some(pair) = contact.record().pair() else {
            return self.cx.refuse(RefusalReason::Unreadable);
        };
        let Some(content) = pair.opens().open(&queue, blob) else {
            self.cx.refuse(RefusalReason::Foreign);
            return;
        };
        if let Some(audit) = contact.volatile.audits.get_mut(&queue) {
            audit.collected(now);
            self.thread_changed_quietly();
        }
        match Envelope::parse(&content) {
            Ok(Envelope::Ratchet(Ratchet { commit, message })) => {
                self.open_message(commit.as_deref(), &message)
            }
            Ok(Envelope::Reset(reset)) => self.reset_arrived(&reset),
            Ok(Envelope::Hello(_)) | Err(_) => self.cx.refuse(RefusalReason::Malformed),
        }
    }

    /// A message of the running group. The group is written back whether or not it opened.
    fn open_message(&mut self, commit: Option<&[u8]>, message: &[u8]) {
        let Some(mut session) = self.take_session() else {
            self.cx.refuse(RefusalReason::Unreadable);
            return self.group_is_lost();
        };
        let opened = session.open(commit, message);
        self.keep_session(session);
        match opened {
            Ok(plaintext) => self.packet(&plaintext),
            Err(OpenError::Malformed) => self.cx.refuse(RefusalReason::Malformed),
            Err(OpenError::Repeat) => {
                self.cx.refuse(RefusalReason::Repeat);
                self.note_stale();
            }
            Err(OpenError::TooOld) => {
                self.cx.refuse(RefusalReason::Unreadable);
                self.note_stale();
            }
            Err(OpenError::Ahead | OpenError::Foreign) => {
                self.cx.refuse(RefusalReason::Unreadable);
                self.note_unreadable();
            }
        }
    }

    /// Their frames cannot be opened: where that goes on, the group is broken and a new one is made.
    fn note_unreadable(&mut self) {
        let now = self.cx.now;
        let contact = &mut *self.contact;
        let (since, count) = contact.volatile.unreadable.unwrap_or((now, 0));
        contact.volatile.unreadable = Some((since, count + 1));
        if count + 1 >= BROKEN_FRAMES && now >= since + BROKEN_AFTER {
            self.start_reset();
        }
    }

    /// Their frames were opened before: copies are, and replays. Where nothing else comes, their disk may be an older one: a
    /// receipt tells them.
    fn note_stale(&mut self) {
        let stale = &mut self.contact.volatile.stale_frames;
        *stale += 1;
        if *stale >= STALE_FRAMES {
            *stale = 0;
            self.owe_receipt(true);
            self.touch();
        }
    }

    /// What a contact said, decrypted.
    pub(super) fn packet(&mut self, plaintext: &[u8]) {
        let Ok(packet) = Packet::parse(plaintext) else {
            self.cx.refuse(RefusalReason::Malformed);
            return;
        };
        self.heard();
        let run = self.contact.conversation.hear(self.cx, self.id, packet.numbering);
        if run == Run::Later {
            // Chunks that they had acknowledged they may have lost: they say in this packet what they have.
            self.file_event(FileEvent::GroupBegan);
        }
        if run == Run::Earlier {
            // Late, or of a disk that went back: our receipt tells them.
            self.cx.refuse(RefusalReason::Superseded);
            self.owe_receipt(true);
        } else {
            self.receipts(&packet.acks);
            if !self.contact.conversation.has_all_below(packet.acknowledged) {
                self.went_back();
            }
        }
        for item in packet.items {
            match item {
                Item::Part(part) if run != Run::Earlier => self.part(part),
                Item::Part(_) => {}
                Item::Chunk(chunk) => self.chunk(&chunk),
            }
        }
    }

    /// A sign of life in the present group.
    fn heard(&mut self) {
        let now = self.cx.now;
        let contact = &mut *self.contact;
        contact.volatile.unreadable = None;
        contact.volatile.stale_frames = 0;
        contact.volatile.courier.heard_from(now);
        contact.conversation.heard(now);
        self.group_is_known();
        self.thread_changed();
        self.redeemer_was_heard();
    }

    /// They have the present group: a reset that made it was answered.
    pub(super) fn group_is_known(&mut self) {
        let active = self.contact.record_mut().active_mut();
        if active.is_some_and(|active| active.pending_reset.take().is_some()) {
            self.record_changed();
            self.touch();
        }
    }

    /// What they have of ours. The order does not matter: each is state.
    fn receipts(&mut self, acks: &Acks) {
        self.messages_acknowledged(acks);
        self.adopt_card_version(acks.card);
        self.repeat_card(acks.card);
        self.file_event(FileEvent::Receipts(&acks.transfers));
        self.audit_deposits(acks);
    }

    /// The contact has a newer card of ours than we know of: this pod was restored from a backup. The next card is numbered
    /// above it, and is sent at once. A number far above all that a clock gives is not believed: there may be no room
    /// for another above it.
    fn adopt_card_version(&mut self, version: u32) {
        if version > LAST_CARD_VERSION {
            return self.cx.refuse(RefusalReason::ForgedReceipt);
        }
        if let Some(ours) = self.contact.record_mut().our_card_mut()
            && version > ours.version
        {
            *ours = OurCard { version, digest: [0; 32] };
            self.record_changed();
        }
    }

    /// The contact has an older card of ours although nothing waits for them: the newer one was lost on its way or refused,
    /// by the clock of a pod that was off, for example. It is made again, not more often than each [`CARD_REPEAT`].
    fn repeat_card(&mut self, version: u32) {
        let now = self.cx.now;
        let contact = &mut *self.contact;
        let is_older = version < contact.record().our_card().version;
        // A clock that was set back must not hold it up for as long.
        let due = contact.volatile.card_repeat_at.min(now.saturating_add(CARD_REPEAT));
        contact.volatile.card_repeat_at = due;
        if is_older && contact.conversation.queued_parts() == 0 && due <= now {
            contact.volatile.card_repeat_at = now.saturating_add(CARD_REPEAT);
            self.card_is_needed();
        }
    }

    /// Holds what they say our relays took against what we collected there.
    ///
    /// Only where they count by the card that names these queues in this order.
    fn audit_deposits(&mut self, acks: &Acks) {
        let now = self.cx.now;
        let contact = &mut *self.contact;
        if acks.card != contact.record().our_card().version {
            return;
        }
        let named: Vec<QueueId> = contact.card_queues(self.own).map(OwnQueue::id).collect();
        for (queue, claimed) in named.iter().zip(&acks.deposited) {
            if let Some(audit) = contact.volatile.audits.get_mut(queue) {
                audit.claimed(*claimed, now);
            }
        }
        self.check_relay_audits();
    }

    /// Looks whether one of our relays took frames of theirs and keeps them to itself.
    pub(super) fn check_relay_audits(&mut self) {
        self.contact.volatile.audits.values_mut().for_each(|audit| audit.look_again(self.cx.now));
        let contact = &*self.contact;
        let suspect = |queue: &&OwnQueue| {
            contact.volatile.audits.get(&queue.id()).is_some_and(|audit| audit.is_suspect(self.cx.now))
        };
        if let Some(place) = contact.record().queues().iter().find(suspect).map(|queue| queue.place) {
            self.follow_up(FollowUp::RelayWithholds(place));
        }
    }

    /// When that is to be looked at again.
    pub(super) fn next_suspicion(&self) -> Option<u64> {
        let audits = self.contact.volatile.audits.values();
        audits.filter_map(RelayAudit::suspect_at).filter(|at| *at > self.cx.now).min()
    }

    /// A part: a receipt is owed, and messages that are whole now are acted on.
    fn part(&mut self, part: Part) {
        let PartTaken { owes_receipt, payloads } = self.contact.conversation.accept(self.cx, self.id, part);
        if let Some(repeated) = owes_receipt {
            self.owe_receipt(repeated);
        }
        self.thread_changed();
        payloads.into_iter().for_each(|payload| self.payload(payload));
    }

    /// A whole message. Each kind has one owner; what no rule names is shown to the owner as it came.
    fn payload(&mut self, bytes: Vec<u8>) {
        match Payload::parse(&bytes) {
            Ok(Payload::Card(card)) => self.card(&card),
            Ok(Payload::FileCancel(transfer)) => self.file_event(FileEvent::Cancelled(transfer)),
            Ok(Payload::FileOffer(offer)) => {
                self.receive_entry(bytes);
                self.file_event(FileEvent::Offered(offer, self.room_for_file()));
            }
            Ok(Payload::ApplicationOffer(offer)) => {
                let served = self.served_kinds.contains(offer.kind);
                self.file_event(FileEvent::PayloadOffered(&offer, served));
            }
            Ok(Payload::Application(application)) => self.application_arrived(application, bytes),
            Ok(Payload::Text(_) | Payload::Unknown(_)) => self.receive_entry(bytes),
            Err(_) => self.cx.refuse(RefusalReason::Malformed),
        }
    }
}
