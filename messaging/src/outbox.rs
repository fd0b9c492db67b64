//! Messages of mine that one contact has not acknowledged yet, as numbered parts.
//!
//! A *log number* names a message for its sender (the number of its entry in the conversation); a *sequence number*
//! names a part on the wire, and belongs to one incarnation. The outbox maps the one to the other, and owns no bytes.
//!
//! What is given to [`queue`](Outbox::queue) leaves in one of two ways: the contact acknowledges it and all before
//! it, or it is made [void](Outbox::void) and leaves when its place in the order has been acknowledged. Nothing is
//! dropped silently.

use std::collections::VecDeque;
use std::ops::Range;

use autonomy_codec::Reader;

use crate::part::{BadRecord, Forged, MAX_MESSAGE_LEN, MAX_PART, ORIGIN_BYTES, Origin};
use crate::window::{WINDOW_BYTES, WINDOW_LEN, Window};

/// Most parts that wait for one contact: four windows. In memory 1,024 × 56 B = 57 kB, so 57 MB for 1,000 contacts who
/// are all away with full queues; on disk at most 1,024 × 11,500 B = 11.8 MB a contact.
pub const MAX_QUEUED_PARTS: u64 = 4 * WINDOW_LEN;

/// Flag in a record: the message was given up.
const VOID: u8 = 1;
/// Flag in a record: an origin of 24 bytes follows.
const ORIGIN: u8 = 2;
/// Flag in a record: what it was numbered in the run before follows, 24 bytes.
const BEFORE: u8 = 4;

/// What waits for one contact. Bodies stay with the owner of the rows, under the log numbers of their messages: this says which bytes of
/// which message every part is, which parts the contact has, and which messages are thereby *delivered*.
///
/// A message counts as delivered when the contact has it **and all before it**: only then was it shown. So what a
/// contact holds out of order and loses in a reset is still here.
///
/// Numbers belong to an incarnation (one group of the ratchet). [`restart`](Self::restart) numbers everything anew for
/// the next one, and each message keeps the [`Origin`] of its first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbox {
    incarnation: [u8; 16],
    /// Number of the next part to be queued.
    next: u64,
    /// All parts from here on were never sent.
    sent: u64,
    /// What the contact has, by its receipts in this incarnation.
    acked: Window,
    /// In order, with numbers that follow each other up to `next` and log numbers that ascend.
    queue: VecDeque<Queued>,
}

/// One message that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Queued {
    /// Its number in the conversation.
    log: u64,
    /// Number of its first part.
    first: u64,
    /// Bytes of the message, 1 to [`MAX_MESSAGE_LEN`]; a void one keeps its length, and with it its numbers.
    len: u32,
    /// Where it was numbered first, if not in this incarnation.
    origin: Option<Origin>,
    /// What it was numbered in the one before this, if that was not the first.
    before: Option<Origin>,
    /// Its parts carry nothing any more.
    void: bool,
}

/// Which bytes a part is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartRef {
    /// Log number of its message.
    pub log: u64,
    /// Where it starts in the message.
    pub offset: u32,
    /// Its bytes; 0 when it is void.
    pub len: u32,
    /// The message starts here.
    pub first: bool,
    /// The message ends here.
    pub last: bool,
    /// On the last part of a message that was numbered in an earlier incarnation.
    pub origin: Option<Origin>,
}

/// A message that left the outbox: its row can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Its log number.
    pub log: u64,
    /// It had been made void before: it was reported as expired, and stays so.
    pub void: bool,
}

/// A message cannot be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// Too much waits already; try again when something was delivered.
    #[error("{queued} parts wait for this contact, and {MAX_QUEUED_PARTS} are the most")]
    Full {
        /// Parts that wait.
        queued: u64,
    },
    /// A message has 1 to [`MAX_MESSAGE_LEN`] bytes.
    #[error("a message has 1 to {MAX_MESSAGE_LEN} bytes, this has {0}")]
    Length(u32),
    /// Log numbers ascend.
    #[error("log number {log} does not follow {latest}")]
    Log {
        /// The number given.
        log: u64,
        /// The highest in the queue.
        latest: u64,
    },
}

impl Queued {
    /// The number after its last part.
    fn end(&self) -> u64 {
        self.first + u64::from(self.len.div_ceil(MAX_PART))
    }

    /// The part of this message under `seq`, which must lie within it. Every part but the last is full.
    #[expect(clippy::expect_used, reason = "`seq` lies within the message, which has six parts at most")]
    fn part(&self, seq: u64) -> PartRef {
        if self.void {
            return PartRef { log: self.log, offset: 0, len: 0, first: true, last: true, origin: None };
        }
        let offset = u32::try_from(seq - self.first).expect("a message has 6 parts") * MAX_PART;
        let (first, last) = (seq == self.first, seq + 1 == self.end());
        let len = MAX_PART.min(self.len - offset);
        PartRef { log: self.log, offset, len, first, last, origin: self.origin.filter(|_| last) }
    }
}

impl Outbox {
    /// Nothing waits yet.
    #[must_use]
    pub fn new(incarnation: [u8; 16]) -> Self {
        Self { incarnation, next: 0, sent: 0, acked: Window::new(), queue: VecDeque::new() }
    }

    /// Queues a message of `len` bytes, and says which numbers its parts got. Nothing changed on an error.
    ///
    /// # Errors
    /// [`QueueError::Length`] for an empty or too long message, [`QueueError::Log`] for a log number that is not
    /// higher than all before, [`QueueError::Full`] when more than [`MAX_QUEUED_PARTS`] parts would wait.
    pub fn queue(&mut self, log: u64, len: u32) -> Result<Range<u64>, QueueError> {
        if !(1..=MAX_MESSAGE_LEN).contains(&len) {
            return Err(QueueError::Length(len));
        }
        if let Some(latest) = self.queue.back().map(|queued| queued.log).filter(|latest| *latest >= log) {
            return Err(QueueError::Log { log, latest });
        }
        let message = Queued { log, first: self.next, len, origin: None, before: None, void: false };
        let queued = self.queued_parts();
        if queued + (message.end() - message.first) > MAX_QUEUED_PARTS {
            return Err(QueueError::Full { queued });
        }
        self.queue.push_back(message);
        self.next = message.end();
        Ok(message.first..message.end())
    }

    /// Parts of all messages that wait.
    #[must_use]
    pub fn queued_parts(&self) -> u64 {
        self.next - self.queue.front().map_or(self.next, |front| front.first)
    }

    /// Log numbers of the messages that wait, in order, void ones too.
    pub fn logs(&self) -> impl Iterator<Item = u64> + '_ {
        self.queue.iter().map(|queued| queued.log)
    }

    /// The part under this number, unless its message left.
    #[must_use]
    pub fn part(&self, seq: u64) -> Option<PartRef> {
        let after = self.queue.partition_point(|queued| queued.first <= seq);
        let message = self.queue.get(after.checked_sub(1)?)?;
        (seq < message.end()).then(|| message.part(seq))
    }

    /// Numbers that the contact does not have and would take now, in order: at most [`WINDOW_LEN`].
    ///
    /// What lies beyond the window would not be taken by the contact, so it is not offered before the gaps close.
    pub fn unacknowledged(&self) -> impl Iterator<Item = u64> + '_ {
        let end = self.next.min(self.acked.next() + WINDOW_LEN);
        (self.acked.next()..end).filter(|seq| !self.acked.contains(*seq))
    }

    /// Takes note, **before** it leaves, that this part is sent. Says whether the [`head`](Self::head) changed.
    ///
    /// A receipt for a part that was never marked is taken for forged, so the mark must be safe before the part
    /// leaves.
    pub fn mark_sent(&mut self, seq: u64) -> bool {
        let sent = self.sent.max(seq.saturating_add(1).min(self.next));
        std::mem::replace(&mut self.sent, sent) != sent
    }

    /// Takes a receipt of this incarnation; gives the messages that are thereby settled, each once, in order. A receipt
    /// for what was never sent is refused whole.
    ///
    /// # Errors
    /// [`Forged`] when the receipt names a part that was not sent: either the contact breaks the rules, or this state
    /// comes from a backup that is older than what was sent. Nothing changed.
    pub fn acknowledge(&mut self, receipt: &Window) -> Result<Vec<Settled>, Forged> {
        if receipt.end() > self.sent {
            return Err(Forged { claimed: receipt.end() - 1, sent: self.sent });
        }
        self.acked.merge(receipt);
        let mut settled = Vec::new();
        while let Some(front) = self.queue.front().filter(|front| front.end() <= self.acked.next()) {
            settled.push(Settled { log: front.log, void: front.void });
            self.queue.pop_front();
        }
        Ok(settled)
    }

    /// Takes a receipt of an earlier incarnation: it came while this one had begun. What it settles keeps its numbers here as
    /// void parts, since nothing may be missing in the order. Gives the messages that are thereby delivered, each once,
    /// in order. A receipt of an incarnation that no message was numbered in settles nothing.
    pub fn acknowledge_earlier(&mut self, incarnation: [u8; 16], receipt: &Window) -> Vec<u64> {
        let is_shown = |name: &Origin| name.incarnation == incarnation && name.last < receipt.next();
        let mut delivered = Vec::new();
        for message in self.queue.iter_mut().filter(|message| !message.void) {
            if message.origin.iter().chain(&message.before).any(is_shown) {
                message.void = true;
                delivered.push(message.log);
            }
        }
        delivered
    }

    /// All parts below this number were acknowledged.
    #[must_use]
    pub fn acknowledged_below(&self) -> u64 {
        self.acked.next()
    }

    /// The contact began anew, perhaps from an older disk: what it acknowledged beyond a gap it may have lost, and it says again
    /// what it has.
    pub fn forget_ahead(&mut self) {
        self.acked = Window::below(self.acked.next());
    }

    /// Gives a message up: its parts carry nothing from now on, and only keep the order. Says whether it waited. What
    /// was sent of it before may still arrive.
    ///
    /// False if it does not wait, or was void before.
    pub fn void(&mut self, log: u64) -> bool {
        let Ok(at) = self.queue.binary_search_by_key(&log, |queued| queued.log) else { return false };
        !std::mem::replace(&mut self.queue[at].void, true)
    }

    /// Numbers all that waits anew, from 0 in order, for a new incarnation; void messages leave and are returned.
    /// All records change. Nothing happens when the incarnation is the present one.
    ///
    /// A pod that came back from a backup calls this **before** it queues anything: numbers given out since the backup
    /// are taken already. While no new group exists, any random incarnation will do.
    pub fn restart(&mut self, incarnation: [u8; 16]) -> Vec<u64> {
        if incarnation == self.incarnation {
            return Vec::new();
        }
        let old = std::mem::replace(self, Self::new(incarnation));
        let mut left = Vec::new();
        for mut message in old.queue {
            if message.void {
                left.push(message.log);
                continue;
            }
            let here = Origin { incarnation: old.incarnation, last: message.end() - 1 };
            message.before = message.origin.is_some().then_some(here);
            message.origin.get_or_insert(here);
            message.first = self.next;
            self.next = message.end();
            self.queue.push_back(message);
        }
        left
    }

    /// The present incarnation.
    #[must_use]
    pub fn incarnation(&self) -> [u8; 16] {
        self.incarnation
    }

    /// How a message is named for good; `None` when it does not wait.
    #[must_use]
    pub fn origin(&self, log: u64) -> Option<Origin> {
        let at = self.queue.binary_search_by_key(&log, |queued| queued.log).ok()?;
        let message = &self.queue[at];
        Some(message.origin.unwrap_or(Origin { incarnation: self.incarnation, last: message.end() - 1 }))
    }

    /// Everything but the messages, as one record of 72 B.
    #[must_use]
    pub fn head(&self) -> Vec<u8> {
        let mut out = self.incarnation.to_vec();
        out.extend_from_slice(&self.next.to_be_bytes());
        out.extend_from_slice(&self.sent.to_be_bytes());
        out.extend_from_slice(&self.acked.to_bytes());
        out
    }

    /// One message as a record of 13, 37 or 61 B, to be kept under its log number; `None` when it does not wait.
    #[must_use]
    pub fn record(&self, log: u64) -> Option<Vec<u8>> {
        let at = self.queue.binary_search_by_key(&log, |queued| queued.log).ok()?;
        let message = &self.queue[at];
        let mut out = Vec::with_capacity(13 + 2 * ORIGIN_BYTES);
        out.extend_from_slice(&message.first.to_be_bytes());
        out.extend_from_slice(&message.len.to_be_bytes());
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let names = flag(message.origin.is_some(), ORIGIN) | flag(message.before.is_some(), BEFORE);
        out.push(flag(message.void, VOID) | names);
        message.origin.iter().chain(&message.before).for_each(|name| name.put(&mut out));
        Some(out)
    }

    /// The outbox that these records were taken from; messages come in any order.
    ///
    /// # Errors
    /// A record is malformed, or they do not fit each other: numbers with a gap, one log number twice, receipts
    /// beyond what was sent.
    pub fn restore<'a>(
        head: &[u8],
        messages: impl IntoIterator<Item = (u64, &'a [u8])>,
    ) -> Result<Self, BadRecord> {
        let bad = BadRecord("outbox");
        let mut outbox = read_head(head).ok_or(bad)?;
        for (log, record) in messages {
            outbox.queue.push_back(read_message(log, record).ok_or(bad)?);
        }
        outbox.queue.make_contiguous().sort_unstable_by_key(|queued| queued.log);
        if outbox.holds_together() { Ok(outbox) } else { Err(bad) }
    }

    /// Whether the records that were read could have been written together.
    fn holds_together(&self) -> bool {
        let mut next = self.queue.front().map_or(self.next, |front| front.first);
        let unsettled = self.queue.front().is_none_or(|front| front.end() > self.acked.next());
        let followed =
            self.queue.iter().all(|queued| std::mem::replace(&mut next, queued.end()) == queued.first);
        let foreign = |origin: Origin| origin.incarnation != self.incarnation;
        let ascending = self.queue.iter().zip(self.queue.iter().skip(1)).all(|(a, b)| a.log < b.log);
        followed
            && ascending
            && next == self.next
            && unsettled
            && self.next - self.queued_parts() <= self.acked.next()
            && self.queued_parts() <= MAX_QUEUED_PARTS
            && self.acked.end() <= self.sent
            && self.sent <= self.next
            && self.queue.iter().filter_map(|queued| queued.origin).all(foreign)
    }
}

/// The fields of a head, in the order of [`head`](Outbox::head).
fn read_head(head: &[u8]) -> Option<Outbox> {
    let mut reader = Reader::new(head);
    let (incarnation, next, sent) = (reader.array()?, reader.u64()?, reader.u64()?);
    let acked = Window::from_bytes(&reader.array::<WINDOW_BYTES>()?)?;
    reader.is_empty().then_some(Outbox { incarnation, next, sent, acked, queue: VecDeque::new() })
}

/// The fields of a message's record. Numbers stay below 2^62, so that no sum overflows; unknown flags are refused.
fn read_message(log: u64, record: &[u8]) -> Option<Queued> {
    let mut reader = Reader::new(record);
    let first = reader.u64().filter(|first| *first < 1 << 62)?;
    let len = reader.array().map(u32::from_be_bytes)?;
    let flags = reader.u8().filter(|flags| flags & !(VOID | ORIGIN | BEFORE) == 0)?;
    let origin = if flags & ORIGIN == 0 { None } else { Some(Origin::take(&mut reader)?) };
    let before = if flags & BEFORE == 0 { None } else { Some(Origin::take(&mut reader)?) };
    let sane = reader.is_empty() && (1..=MAX_MESSAGE_LEN).contains(&len);
    sane.then_some(Queued { log, first, len, origin, before, void: flags & VOID != 0 })
}
