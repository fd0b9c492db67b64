//! A conversation: entries said and received, and what of them still waits to be delivered or put in order.
//!
//! ```text
//!   outgoing   Queued ──▶ Delivered   the contact's pod has it, and all before it
//!                 └─────▶ Expired     it waited too long; it may or may not have arrived
//!   incoming   Received
//! ```
//!
//! Each entry is a row, written when it is said or arrives and when its state changes; the outbox has a row for each
//! message in it; everything else is one small row. So a message writes two or three rows, however long the
//! conversation is.

mod entry;
mod record;

use std::collections::BTreeMap;

pub(super) use self::entry::Entry;
use self::entry::{assemble, read_part};
pub(super) use self::record::{AuditCount, HiddenSettled, PartTaken, QueuedRow, Run, ThreadRecord, WentBack};
use super::{
    answer::EntryView,
    context::Context,
    effect::Notice,
    ids::ContactId,
    item_key::ItemKey,
    refusals::RefusalReason,
    row::Key,
    states::{Direction, EntryState, Timestamp},
};
use crate::{
    Arrival, Window,
    courier::Pending,
    inbox::{Inbox, PartShape, PartVerdict},
    outbox::{MAX_QUEUED_PARTS, Outbox, Settled},
    packet::{Acks, Part},
    part::Numbering,
    payload::Payload,
};

/// How long a message is tried, seconds: as long as relays keep frames.
pub const MESSAGE_TTL: u64 = 21 * 24 * 60 * 60;
/// When a message was queued, if the clock was not known to be right: later than any other moment, so it is not given up.
const UNDATED: Timestamp = Timestamp::MAX;
/// Entries kept of a conversation; beyond it the oldest go, unless they were not read yet. Of a typical 200 B they are
/// 2 MB. While the oldest is not read, nothing more is taken from the contact, but for what had arrived before its turn:
/// [`WINDOW_LEN`](crate::WINDOW_LEN) entries more at most.
pub const MAX_ENTRIES: u64 = 10_000;
/// Entries with which the owner, too, must read before more is said.
const MAX_UNREAD_ENTRIES: u64 = 2 * MAX_ENTRIES;
/// Entries in one answer.
pub const MAX_LISTED: u32 = 200;
/// Parts of the outbox that are left for cards when messages have filled it.
///
/// A contact who is away for long must still get the card that says where we are.
const RESERVED_FOR_CARDS: u64 = 16;

/// The conversation with one contact.
#[derive(Debug, PartialEq)]
pub(super) struct Conversation {
    /// What the row holds; inbox, outbox and counts of it are as they were when it was last written.
    thread: ThreadRecord,
    inbox: Inbox,
    outbox: Outbox,
    /// When the messages in the outbox were queued, but for those given up.
    queued_at: BTreeMap<u64, Timestamp>,
}

impl Default for Conversation {
    fn default() -> Self {
        Self {
            thread: ThreadRecord::default(),
            inbox: Inbox::new([0; 16]),
            outbox: Outbox::new([0; 16]),
            queued_at: BTreeMap::new(),
        }
    }
}

impl Conversation {
    /// A conversation from its rows.
    ///
    /// # Errors
    /// The record of the inbox or outbox is damaged, or they do not fit each other.
    pub(super) fn restore(
        thread: ThreadRecord,
        queued: BTreeMap<u64, QueuedRow>,
    ) -> Result<Self, &'static str> {
        let inbox = Inbox::restore(&thread.inbox).map_err(|_| "the inbox is damaged")?;
        let messages = queued.iter().map(|(number, (_, record))| (*number, record.as_slice()));
        let outbox = Outbox::restore(&thread.outbox, messages).map_err(|_| "the outbox is damaged")?;
        let queued_at = queued.into_iter().filter_map(|(number, (at, _))| Some((number, at?))).collect();
        Ok(Self { thread, inbox, outbox, queued_at })
    }

    /// How it stands, for its row.
    pub(super) fn record(&mut self, counts: Vec<AuditCount>) -> &ThreadRecord {
        self.thread.inbox = self.inbox.record();
        self.thread.outbox = self.outbox.head();
        self.thread.counts = counts;
        &self.thread
    }

    /// The counts in the row that was read.
    pub(super) fn counts(&self) -> &[AuditCount] {
        &self.thread.counts
    }

    /// When something last arrived.
    pub(super) fn heard_at(&self) -> Option<Timestamp> {
        self.thread.heard_at
    }

    /// Something arrived.
    pub(super) fn heard(&mut self, now: Timestamp) {
        self.thread.heard_at = Some(now);
    }

    /// Messages not yet known to be delivered.
    pub(super) fn queued(&self) -> u32 {
        u32::try_from(self.queued_at.len()).unwrap_or(u32::MAX)
    }

    /// Entries not read yet.
    pub(super) fn unread(&self) -> u32 {
        self.thread.unread
    }

    /// The number after the last entry.
    pub(super) fn next_entry(&self) -> u64 {
        self.thread.next_entry
    }

    /// When the oldest message is given up, if the clock is right.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.queued_at.first_key_value().map(|(_, at)| at.saturating_add(MESSAGE_TTL + 1))
    }

    /// Parts that wait to be sent or acknowledged.
    pub(super) fn queued_parts(&self) -> u64 {
        self.outbox.queued_parts()
    }

    /// Whether one more card may be queued.
    pub(super) fn has_room_for_card(&self) -> bool {
        self.outbox.queued_parts() < MAX_QUEUED_PARTS
    }

    /// Whether one more entry would push out one that was not read. Then nothing is taken from the contact: they keep
    /// what they say, and see that it is not delivered.
    pub(super) fn is_full_of_unread(&self) -> bool {
        self.since_unread() >= MAX_ENTRIES
    }

    /// Whether the owner must read before more is said.
    pub(super) fn must_be_read(&self) -> bool {
        self.since_unread() >= MAX_UNREAD_ENTRIES
    }

    /// Entries from the first one that may not be read yet to the last; 0 where all are.
    fn since_unread(&self) -> u64 {
        if self.thread.unread == 0 { 0 } else { self.thread.next_entry - self.thread.read_to }
    }

    /// Whether one more text or payload may be queued; some room is kept for cards.
    pub(super) fn has_room_for_message(&self) -> bool {
        self.outbox.queued_parts() + RESERVED_FOR_CARDS < MAX_QUEUED_PARTS
    }

    /// What has arrived, and in which run of numbers of the contact.
    pub(super) fn receipt(&self) -> (Numbering, Window) {
        let numbering = Numbering { since: self.thread.inbox_since, id: self.inbox.incarnation() };
        (numbering, *self.inbox.receipt())
    }

    /// The run of numbers that our parts have now.
    pub(super) fn numbering(&self) -> Numbering {
        Numbering { since: self.thread.outbox_since, id: self.outbox.incarnation() }
    }

    /// All our parts below this number were acknowledged.
    pub(super) fn acknowledged_below(&self) -> u64 {
        self.outbox.acknowledged_below()
    }

    /// Parts that wait to be acknowledged.
    pub(super) fn pending(&self) -> impl Iterator<Item = Pending<ItemKey>> + '_ {
        self.outbox.unacknowledged().map(|seq| {
            let len = self.outbox.part(seq).map_or(0, |part| part.len as usize);
            Pending { key: ItemKey::Part(seq), len, bulk: false }
        })
    }

    /// Puts a payload into the conversation and the outbox. None if the outbox is full.
    /// Written before anything is sent of it, so its number is never given out twice.
    pub(super) fn queue(&mut self, cx: &mut Context<'_>, id: ContactId, payload: &Payload) -> Option<u64> {
        let payload = payload.to_bytes().to_vec();
        let number = self.thread.next_entry;
        self.outbox.queue(number, u32::try_from(payload.len()).ok()?).ok()?;
        self.queued_at.insert(number, if cx.clock_is_right { cx.now } else { UNDATED });
        let entry = Entry { direction: Direction::Outgoing, at: cx.now, state: EntryState::Queued, payload };
        cx.put(Key::Entry(id, number), &entry);
        self.keep_queued(cx, id, number);
        let before = self.first_kept();
        self.thread.next_entry += 1;
        self.remove_oldest(cx, id, before);
        Some(number)
    }

    /// An incoming payload becomes an entry.
    pub(super) fn receive(&mut self, cx: &mut Context<'_>, id: ContactId, payload: Vec<u8>) {
        let (number, before) = (self.thread.next_entry, self.first_kept());
        if self.thread.unread == 0 {
            // All before it were read.
            self.thread.read_to = number;
        }
        self.thread.unread += 1;
        let entry =
            Entry { direction: Direction::Incoming, at: cx.now, state: EntryState::Received, payload };
        cx.put(Key::Entry(id, number), &entry);
        self.thread.next_entry += 1;
        self.remove_oldest(cx, id, before);
        cx.notify(Notice::Received(id, number));
    }

    /// Removes entries that are kept no more and were `before`. One that still waits goes when it is settled.
    fn remove_oldest(&self, cx: &mut Context<'_>, id: ContactId, before: u64) {
        let gone = before..self.first_kept();
        for number in gone.filter(|number| !self.queued_at.contains_key(number)) {
            cx.remove(Key::Entry(id, number));
        }
    }

    /// Writes down how a message stands in the outbox.
    fn keep_queued(&self, cx: &mut Context<'_>, id: ContactId, number: u64) {
        if let Some(record) = self.outbox.record(number) {
            let row: QueuedRow = (self.queued_at.get(&number).copied(), record);
            cx.put(Key::Queued(id, number), &row);
        }
    }

    /// A part to be sent, and whether it is for the first time.
    pub(super) fn part(&mut self, cx: &mut Context<'_>, id: ContactId, seq: u64) -> Option<(Part, bool)> {
        let part = self.outbox.part(seq)?;
        let is_first = self.outbox.mark_sent(seq);
        let bytes = if part.len == 0 { Some(Vec::new()) } else { read_part(cx, id, &part) };
        let Some(bytes) = bytes else {
            cx.refuse(RefusalReason::LostRow);
            return None;
        };
        Some((Part { seq, first: part.first, last: part.last, origin: part.origin, bytes }, is_first))
    }

    /// Takes the contact's receipts. Gives what people do not see of what is settled thereby.
    ///
    /// # Errors
    /// [`WentBack`] where they tell of something that this pod did and does not know of.
    pub(super) fn acknowledged(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        acks: &Acks,
    ) -> Result<Vec<HiddenSettled>, WentBack> {
        let (theirs, ours) = (acks.numbering, self.numbering());
        if theirs.id != ours.id {
            // There was no run after the one before this: such a one was begun by a disk that is gone.
            let is_earlier = theirs.since <= self.thread.outbox_before;
            return if is_earlier { Ok(self.acknowledged_earlier(cx, id, acks)) } else { Err(WentBack) };
        }
        let settled = self.outbox.acknowledge(&acks.messages).map_err(|_| WentBack)?;
        let mut hidden = Vec::new();
        for Settled { log, void } in settled {
            if void {
                cx.remove(Key::Queued(id, log));
            } else {
                hidden.extend(self.settle(cx, id, log, EntryState::Delivered(cx.now)));
            }
        }
        Ok(hidden)
    }

    /// Takes receipts of a run that ended: two pods that are never on together hear of nothing else. What they settle keeps
    /// its place in the order.
    fn acknowledged_earlier(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        acks: &Acks,
    ) -> Vec<HiddenSettled> {
        let delivered = self.outbox.acknowledge_earlier(acks.numbering.id, &acks.messages);
        let mut hidden = Vec::new();
        for number in delivered {
            hidden.extend(self.settle(cx, id, number, EntryState::Delivered(cx.now)));
            self.keep_queued(cx, id, number);
        }
        hidden
    }

    /// Messages that were queued by a clock that was not known to be right, or ahead of today, count as queued now.
    pub(super) fn date_anew(&mut self, cx: &mut Context<'_>, id: ContactId) {
        let wrong = self.queued_at.iter().filter(|(_, at)| **at > cx.now).map(|(number, _)| *number);
        for number in wrong.collect::<Vec<_>>() {
            self.queued_at.insert(number, cx.now);
            self.keep_queued(cx, id, number);
        }
    }

    /// Gives up messages that waited too long, if the clock is right. Gives what people do not see of them; none where nothing was given up.
    pub(super) fn expire(&mut self, cx: &mut Context<'_>, id: ContactId) -> Option<Vec<HiddenSettled>> {
        let mut hidden = None;
        while cx.clock_is_right
            && let Some((number, at)) = self.queued_at.first_key_value().map(|(number, at)| (*number, *at))
            && cx.now > at.saturating_add(MESSAGE_TTL)
        {
            self.outbox.void(number);
            let settled = self.settle(cx, id, number, EntryState::Expired(cx.now));
            hidden.get_or_insert_with(Vec::new).extend(settled);
            // It keeps its place in the order until the contact has seen that nothing comes there.
            self.keep_queued(cx, id, number);
        }
        hidden
    }

    /// A message left the outbox.
    ///
    /// What people do not see is removed, and given to whoever it concerns: also what cannot be read any more, since
    /// somebody may wait for it.
    fn settle(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        number: u64,
        state: EntryState,
    ) -> Option<HiddenSettled> {
        cx.remove(Key::Queued(id, number));
        self.queued_at.remove(&number);
        let delivered = matches!(state, EntryState::Delivered(_));
        let Some(entry) = cx.read::<Entry>(Key::Entry(id, number)) else {
            cx.refuse(RefusalReason::LostRow);
            return Some(HiddenSettled { number, delivered, payload: None });
        };
        let entry = Entry { state, ..entry };
        if entry.shown().is_none() {
            cx.remove(Key::Entry(id, number));
            let payload = Payload::parse(&entry.payload).ok();
            if payload.is_none() {
                cx.refuse(RefusalReason::DamagedRow);
            }
            return Some(HiddenSettled { number, delivered, payload });
        }
        if number < self.first_kept() {
            // Its turn to go had come while it waited.
            cx.remove(Key::Entry(id, number));
        } else {
            cx.put(Key::Entry(id, number), &entry);
        }
        cx.notify(match state {
            EntryState::Expired(_) => Notice::Expired(id, number),
            _ => Notice::Delivered(id, number),
        });
        None
    }

    /// Takes a part, and puts together what is whole.
    pub(super) fn accept(&mut self, cx: &mut Context<'_>, id: ContactId, part: Part) -> PartTaken {
        let Part { seq, first, last, origin, bytes } = part;
        if self.is_full_of_unread() && self.inbox.receipt().expect(seq) == Arrival::New {
            cx.refuse(RefusalReason::Full);
            return PartTaken { owes_receipt: None, payloads: Vec::new() };
        }
        let shape = PartShape { first, last, len: u32::try_from(bytes.len()).unwrap_or(u32::MAX), origin };
        let accepted = self.inbox.accept(seq, shape);
        let owes_receipt = match accepted.verdict {
            PartVerdict::New | PartVerdict::Malformed => Some(false),
            PartVerdict::Repeat => Some(true),
            PartVerdict::TooFar => None,
        };
        match accepted.verdict {
            PartVerdict::Malformed => cx.refuse(RefusalReason::Malformed),
            PartVerdict::Repeat => cx.refuse(RefusalReason::Repeat),
            PartVerdict::TooFar => cx.refuse(RefusalReason::TooFar),
            PartVerdict::New => {}
        }
        if accepted.keep {
            cx.put(Key::Part(id, seq), &bytes);
        }
        let in_hand = (!accepted.keep).then_some((seq, bytes));
        let whole = accepted.released.iter();
        let payloads =
            whole.filter_map(|message| assemble(cx, id, &message.seqs, in_hand.as_ref())).collect();
        accepted.forget.into_iter().for_each(|seq| cx.remove(Key::Part(id, seq)));
        PartTaken { owes_receipt, payloads }
    }

    /// A new group begins: everything that waits is numbered anew, and so is all that the contact has.
    pub(super) fn restart(&mut self, cx: &mut Context<'_>, id: ContactId) {
        self.hear_anew(cx, id, Numbering::default());
        self.number_anew(cx, id);
    }

    /// Begins a run of numbers: everything that waits is numbered anew in it.
    ///
    /// To be done with every group, and at every start before anything is queued or said: the disk may be an older one, and
    /// numbers that it does not know of may be taken.
    pub(super) fn number_anew(&mut self, cx: &mut Context<'_>, id: ContactId) {
        let mut name = [0; 16];
        cx.rng.fill_bytes(&mut name);
        self.thread.outbox_before = self.thread.outbox_since;
        self.thread.outbox_since = cx.now.max(self.thread.outbox_since.saturating_add(1));
        let given_up = self.outbox.restart(name);
        given_up.into_iter().for_each(|number| cx.remove(Key::Queued(id, number)));
        self.outbox.logs().for_each(|number| self.keep_queued(cx, id, number));
    }

    /// A packet of the contact numbers its parts in this run. Where that is a later one than before, they began anew: what they
    /// had sent in part comes again, and what they had acknowledged beyond a gap they say again, or have lost.
    pub(super) fn hear(&mut self, cx: &mut Context<'_>, id: ContactId, theirs: Numbering) -> Run {
        if theirs.id == self.inbox.incarnation() {
            return Run::Present;
        }
        if theirs.since <= self.thread.inbox_since {
            return Run::Earlier;
        }
        self.hear_anew(cx, id, theirs);
        self.outbox.forget_ahead();
        Run::Later
    }

    /// The inbox counts in this run from now on.
    fn hear_anew(&mut self, cx: &mut Context<'_>, id: ContactId, theirs: Numbering) {
        self.thread.inbox_since = theirs.since;
        let parts = self.inbox.restart(theirs.id);
        parts.into_iter().for_each(|seq| cx.remove(Key::Part(id, seq)));
    }

    /// Whether all parts below this number have arrived. If the contact says that they were acknowledged and they have not,
    /// this pod has forgotten what it said.
    pub(super) fn has_all_below(&self, number: u64) -> bool {
        number <= self.inbox.receipt().next()
    }

    /// The first entry that may still be kept: none is removed before it was read.
    pub(super) fn first_kept(&self) -> u64 {
        let surplus = self.thread.next_entry.saturating_sub(MAX_ENTRIES);
        if self.thread.unread == 0 { surplus } else { surplus.min(self.thread.read_to) }
    }

    /// Entries that people see, at most `limit` of those before a number, newest last.
    pub(super) fn list(
        &self,
        cx: &Context<'_>,
        id: ContactId,
        before: Option<u64>,
        limit: u32,
    ) -> Vec<EntryView> {
        let end = before.unwrap_or(u64::MAX).min(self.thread.next_entry);
        let kept = (self.first_kept()..end).rev();
        let shown = kept.filter_map(|number| cx.read::<Entry>(Key::Entry(id, number))?.view(number));
        let mut entries: Vec<EntryView> = shown.take(limit.min(MAX_LISTED) as usize).collect();
        entries.reverse();
        entries
    }

    /// All entries up to this one were read. Whether that is news.
    pub(super) fn mark_read(&mut self, cx: &mut Context<'_>, id: ContactId, up_to: u64) -> bool {
        let before = self.first_kept();
        let (from, end) = (self.thread.read_to, up_to.saturating_add(1).min(self.thread.next_entry));
        if end <= from {
            return false;
        }
        let incoming = |number: &u64| {
            let entry = cx.read::<Entry>(Key::Entry(id, *number));
            entry.is_some_and(|entry| entry.direction == Direction::Incoming)
        };
        let read = (from..end).filter(incoming).count() as u32;
        self.thread.read_to = end;
        // Never more than there are entries: an earlier version counted some that it had removed.
        let rest = u32::try_from(self.thread.next_entry - end).unwrap_or(u32::MAX);
        self.thread.unread = self.thread.unread.saturating_sub(read).min(rest);
        self.remove_oldest(cx, id, before);
        true
    }

    /// Removes all rows: the contact is forgotten.
    pub(super) fn remove_all(&self, cx: &mut Context<'_>, id: ContactId) {
        for number in self.first_kept()..self.thread.next_entry {
            cx.remove(Key::Entry(id, number));
        }
        for number in self.outbox.logs() {
            cx.remove(Key::Queued(id, number));
            if number < self.first_kept() {
                cx.remove(Key::Entry(id, number));
            }
        }
        self.inbox.kept().for_each(|seq| cx.remove(Key::Part(id, seq)));
        cx.remove(Key::Thread(id));
    }
}

#[cfg(test)]
mod tests;
