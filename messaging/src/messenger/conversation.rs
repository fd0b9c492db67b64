//! Conversations: entries said and received, and what of them still waits to be delivered.

use serde::{Deserialize, Serialize};

use super::{
    ContactId, ContactState, Direction, EntryState, EntryView, MailAnswer, MailRow, Notice, RefusedBecause,
    Timestamp,
    contact::Contact,
    contact_turn::ContactTurn,
    context::CommandResult,
    row::{Key, unpack},
};
use crate::payload::{Payload, PayloadRange, Text};

/// How long a message is tried, seconds: as long as relays keep frames.
pub const MESSAGE_TTL: u64 = 21 * 24 * 60 * 60;
/// Entries kept of a conversation; beyond it the oldest go. Of a typical 200 B they are 2 MB.
pub const MAX_ENTRIES: u64 = 10_000;
/// Entries in one answer.
pub const MAX_LISTED: u32 = 200;
/// Parts of the outbox that are left for cards when messages have filled it.
const RESERVED_FOR_CARDS: u64 = 16;

/// One entry of a conversation, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) direction: Direction,
    pub(super) at: Timestamp,
    pub(super) state: EntryState,
    pub(super) payload: Vec<u8>,
}

impl Entry {
    /// What people see of it: none where it is none of theirs. A payload of a session is shown only where no session took
    /// it in: then a newer program of the contact sent it.
    fn shown(&self) -> Option<Payload> {
        let payload = Payload::parse(&self.payload).ok()?;
        let is_shown = match payload.range() {
            PayloadRange::Conversation => true,
            PayloadRange::Control => false,
            PayloadRange::Application => self.direction == Direction::Incoming,
        };
        is_shown.then_some(payload)
    }

    fn view(&self, number: u64) -> Option<EntryView> {
        let payload = self.shown()?;
        Some(EntryView { number, direction: self.direction, at: self.at, state: self.state, payload })
    }
}

/// A message in the outbox: when it was queued (none once it was given up), and the outbox's record of it.
pub(super) type QueuedRow = (Option<Timestamp>, Vec<u8>);

impl Contact {
    /// When the oldest message is given up.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.queued_at.first_key_value().map(|(_, at)| at.saturating_add(MESSAGE_TTL + 1))
    }

    /// The first entry that may still be kept.
    pub(super) fn first_kept_entry(&self) -> u64 {
        self.thread.next_entry.saturating_sub(MAX_ENTRIES)
    }

    pub(super) fn has_room_for_card(&self) -> bool {
        self.outbox.queued_parts() < crate::outbox::MAX_QUEUED_PARTS
    }

    fn has_room_for_message(&self) -> bool {
        self.outbox.queued_parts() + RESERVED_FOR_CARDS < crate::outbox::MAX_QUEUED_PARTS
    }
}

impl MailRow {
    /// The entry of a conversation that this row writes, and whose; none for any other row. What an owner is shown
    /// changes by these and nothing else.
    #[must_use]
    pub fn entry(&self) -> Option<(ContactId, EntryView)> {
        let Key::Entry(contact, number) = Key::parse(&self.key)? else { return None };
        let entry: Entry = unpack(self.value.as_ref()?).ok()?;
        Some((contact, entry.view(number)?))
    }
}

impl ContactTurn<'_, '_> {
    pub(super) fn send(&mut self, text: Text) -> CommandResult {
        self.check_can_send()?;
        let number = self.queue_payload(&Payload::Text(text));
        number
            .map(MailAnswer::Queued)
            .ok_or_else(|| RefusedBecause::Conflict("the message cannot be queued".into()))
    }

    /// Whether something can be said to this contact now.
    pub(super) fn check_can_send(&mut self) -> Result<(), RefusedBecause> {
        let contact = &mut *self.contact;
        match contact.record.state() {
            ContactState::Active => {}
            ContactState::Joining => {
                let why = "the inviter has not confirmed you yet; it works once they have";
                return Err(RefusedBecause::Conflict(why.into()));
            }
            ContactState::Asking => {
                return Err(RefusedBecause::Conflict("confirm this contact first".into()));
            }
            ContactState::Blocked => {
                return Err(RefusedBecause::Conflict("this contact is blocked; unblock it first".into()));
            }
            ContactState::Known => {
                return Err(RefusedBecause::Conflict(
                    "this person is known only by a card; invite them first".into(),
                ));
            }
        }
        if !contact.has_room_for_message() {
            let remedy = "wait until some are delivered";
            let limit = crate::outbox::MAX_QUEUED_PARTS as usize;
            return Err(RefusedBecause::Full {
                what: "parts of messages that wait for this contact",
                limit,
                remedy,
            });
        }
        Ok(())
    }

    /// Puts a payload into the conversation and the outbox.
    pub(super) fn queue_payload(&mut self, payload: &Payload) -> Option<u64> {
        let bytes = payload.to_bytes().to_vec();
        let now = self.cx.now;
        let contact = &mut *self.contact;
        let number = contact.thread.next_entry;
        contact.outbox.queue(number, u32::try_from(bytes.len()).ok()?).ok()?;
        contact.queued_at.insert(number, now);
        let entry =
            Entry { direction: Direction::Outgoing, at: now, state: EntryState::Queued, payload: bytes };
        self.write_entry(number, &entry);
        self.keep_queued(number);
        self.next_entry();
        Some(number)
    }

    /// An incoming payload becomes an entry.
    pub(super) fn receive_entry(&mut self, payload: Vec<u8>) {
        let contact = &mut *self.contact;
        let number = contact.thread.next_entry;
        contact.thread.unread += 1;
        let entry =
            Entry { direction: Direction::Incoming, at: self.cx.now, state: EntryState::Received, payload };
        self.write_entry(number, &entry);
        self.next_entry();
        self.cx.notify(Notice::Received(self.id, number));
    }

    fn next_entry(&mut self) {
        let contact = &mut *self.contact;
        contact.thread.next_entry += 1;
        let surplus = contact.thread.next_entry.checked_sub(MAX_ENTRIES + 1);
        let waits = surplus.is_some_and(|number| contact.queued_at.contains_key(&number));
        if let Some(number) = surplus.filter(|_| !waits) {
            self.cx.remove(Key::Entry(self.id, number));
        }
        self.thread_changed();
    }

    fn write_entry(&mut self, number: u64, entry: &Entry) {
        self.cx.put(Key::Entry(self.id, number), entry);
    }

    /// Writes down how a message stands in the outbox.
    pub(super) fn keep_queued(&mut self, number: u64) {
        let contact = &*self.contact;
        let Some(record) = contact.outbox.record(number) else { return };
        let row: QueuedRow = (contact.queued_at.get(&number).copied(), record);
        self.cx.put(Key::Queued(self.id, number), &row);
    }

    /// A message left the outbox.
    pub(super) fn settle(&mut self, number: u64, state: EntryState) {
        self.cx.remove(Key::Queued(self.id, number));
        self.contact.queued_at.remove(&number);
        let Some(entry) = self.cx.read::<Entry>(Key::Entry(self.id, number)) else { return };
        let entry = Entry { state, ..entry };
        if entry.shown().is_none() {
            self.cx.remove(Key::Entry(self.id, number));
            return self.hidden_settled(number, &entry);
        }
        self.write_entry(number, &entry);
        self.cx.notify(match state {
            EntryState::Expired(_) => Notice::Expired(self.id, number),
            _ => Notice::Delivered(self.id, number),
        });
    }

    /// What is no part of the conversation that people see left the outbox.
    fn hidden_settled(&mut self, number: u64, entry: &Entry) {
        match Payload::parse(&entry.payload) {
            Ok(Payload::Card(card)) if matches!(entry.state, EntryState::Expired(_)) => {
                self.card_was_given_up(&card);
            }
            Ok(payload) => self.settle_application(number, entry, &payload),
            Err(_) => {}
        }
    }

    /// Gives up messages that waited too long.
    pub(super) fn expire(&mut self) {
        let now = self.cx.now;
        while let Some((number, at)) =
            self.contact.queued_at.first_key_value().map(|(number, at)| (*number, *at))
            && now > at.saturating_add(MESSAGE_TTL)
        {
            self.contact.outbox.void(number);
            self.settle(number, EntryState::Expired(now));
            // It keeps its place in the order until the contact has seen that nothing comes there.
            self.keep_queued(number);
            self.thread_changed();
        }
    }

    pub(super) fn messages(&mut self, before: Option<u64>, limit: u32) -> CommandResult {
        let contact = &mut *self.contact;
        let end = before.unwrap_or(u64::MAX).min(contact.thread.next_entry);
        let first = contact.first_kept_entry();
        let mut entries = Vec::new();
        for number in (first..end).rev() {
            if entries.len() >= limit.min(MAX_LISTED) as usize {
                break;
            }
            let Some(entry) = self.cx.read::<Entry>(Key::Entry(self.id, number)) else { continue };
            entries.extend(entry.view(number));
        }
        entries.reverse();
        Ok(MailAnswer::Messages(entries))
    }

    pub(super) fn mark_read(&mut self, up_to: u64) -> CommandResult {
        let contact = &mut *self.contact;
        let (from, end) = (contact.thread.read_to, up_to.saturating_add(1).min(contact.thread.next_entry));
        if end > from {
            let incoming = |number: &u64| {
                let entry = self.cx.read::<Entry>(Key::Entry(self.id, *number));
                entry.is_some_and(|entry| entry.direction == Direction::Incoming)
            };
            let read = (from..end).filter(incoming).count() as u32;
            let contact = &mut *self.contact;
            contact.thread.read_to = end;
            contact.thread.unread = contact.thread.unread.saturating_sub(read);
            self.thread_changed();
        }
        Ok(MailAnswer::Done)
    }
}
