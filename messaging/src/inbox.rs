//! Parts that come from one contact, and the messages that they make: each once, in order.
//!
//! A part is *arrived*, then *held* (its bytes are a row of the owner's), then *released* with its message or
//! *forgotten*. The order of messages is that of their numbers, and a gap stops everything behind it until the gap is
//! filled: a sender that gives up a message fills its place with a void part.
//!
//! The inbox never sees bytes. It says which to keep, which make a message, and which can go; the owner must do all
//! three in one transaction with the [`record`](Inbox::record), or a restart shows a message twice or never.

use std::collections::BTreeMap;
use std::ops::Range;

use autonomy_codec::Reader;

use crate::part::{BadRecord, MAX_MESSAGE_LEN, MAX_PART, MAX_PARTS, Origin};
use crate::window::{Arrival, WINDOW_BYTES, WINDOW_LEN, Window};

/// Runs of numbers of which it is remembered how far their messages were released: at most 64 × 24 B. One is remembered
/// only if a message was first numbered in it, and each message sent again keeps its own alive: to forget one that
/// still matters, a contact would have to start sixty-four times, get new messages through each time, and never see a
/// receipt.
pub const MAX_INCARNATIONS: usize = 64;

/// Parts that can be held: the window ahead, and a message that is not whole yet.
const MAX_HELD: u64 = WINDOW_LEN + MAX_PARTS;

/// Flag in a record: a message starts with this part.
const FIRST: u8 = 1;
/// Flag in a record: a message ends with this part.
const LAST: u8 = 2;
/// Flag in a record: an origin of 24 bytes follows.
const ORIGIN: u8 = 4;

/// What came from one contact in the present incarnation, and how far earlier ones got. Bytes of parts stay with the owner of the rows,
/// under their numbers: this says which to keep, and when a message is whole and its turn has come.
///
/// **Memory is bounded** by the window: 262 parts of 40 B. **Nothing that a peer sends stops the order**: a part that
/// makes no sense counts as arrived and is worth nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    /// The group in which the numbers count.
    incarnation: [u8; 16],
    /// Which numbers have arrived: the receipt, as it is sent.
    arrived: Window,
    /// First number of the message whose beginning is here and whose turn it is: all from there to `arrived.next()`
    /// are held.
    open: Option<u64>,
    /// Parts whose bytes are kept as rows. Of what arrived beyond `arrived.next()`, the rest was worth nothing.
    held: BTreeMap<u64, PartShape>,
    /// For each incarnation the last message released of those first numbered there; the most recently used last.
    released: Vec<Origin>,
}

/// A part without its bytes and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartShape {
    /// A message starts here.
    pub first: bool,
    /// A message ends here.
    pub last: bool,
    /// How many bytes it has.
    pub len: u32,
    /// On a last part: where the message was first numbered, if not here.
    pub origin: Option<Origin>,
}

/// What became of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartVerdict {
    /// It counts.
    New,
    /// It was here before. The sender missed our receipt: it wants another.
    Repeat,
    /// Too far ahead: not taken; it will come again.
    /// Only a sender that ignores receipts, or whose receipts were lost, sends it.
    TooFar,
    /// It cannot be a part. Its number counts as arrived, its bytes do not.
    /// Were it refused instead, its number would stay missing, and one bad part would stop the conversation for good.
    Malformed,
}

/// What follows from one part. Rows first, then what they release.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What became of it.
    pub verdict: PartVerdict,
    /// Keep its bytes under its number: they are needed later.
    pub keep: bool,
    /// Messages that are whole and whose turn has come, in order. Their bytes are kept, or in hand.
    pub released: Vec<Released>,
    /// Numbers whose kept bytes can go, after the released messages were read from them.
    pub forget: Vec<u64>,
    /// Messages that the contact sent again and that were released in an earlier incarnation.
    /// They are not shown again: the contact had not heard of our receipt when its group was lost.
    pub known: u32,
    /// Parts that belonged to no message, and are gone. A contact who gives up a message half sent causes some.
    pub stray: u32,
}

/// A message, whole and in its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// Numbers of its parts.
    pub seqs: Range<u64>,
    /// Its name for good: the same as [`crate::Outbox::origin`] gives at its sender.
    pub origin: Origin,
}

impl PartShape {
    /// Takes the place of a message that was given up.
    ///
    /// A sender that gives up a message which was numbered already sends this, so that the numbers behind it can have
    /// their turn.
    #[must_use]
    pub fn is_void(&self) -> bool {
        self.first && self.last && self.len == 0 && self.origin.is_none()
    }

    /// Every part but the last is full; the last has something, and only it may have an origin, of another incarnation.
    ///
    /// Anything else would let a peer make messages of more bytes than were counted, or name as first incarnation the
    /// present one, whose numbers are given out here.
    fn is_sound(&self, incarnation: &[u8; 16]) -> bool {
        match (self.last, &self.origin) {
            (false, None) => self.len == MAX_PART,
            (false, Some(_)) => false,
            (true, origin) => {
                (1..=MAX_PART).contains(&self.len)
                    && origin.is_none_or(|o| o.incarnation != *incarnation && o.last < 1 << 62)
            }
        }
    }
}

impl Accepted {
    /// Nothing follows but the verdict.
    fn new(verdict: PartVerdict) -> Self {
        Self { verdict, keep: false, released: Vec::new(), forget: Vec::new(), known: 0, stray: 0 }
    }
}

impl Inbox {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(incarnation: [u8; 16]) -> Self {
        Self { incarnation, arrived: Window::new(), open: None, held: BTreeMap::new(), released: Vec::new() }
    }

    /// Takes one part of the present incarnation.
    ///
    /// Each call costs at most one pass over the parts that become free, 262 of them. The caller keeps the bytes if
    /// [`Accepted::keep`] says so, reads the released messages from the kept bytes and those in hand, then removes
    /// what is to be forgotten.
    pub fn accept(&mut self, seq: u64, part: PartShape) -> Accepted {
        let from = self.arrived.next();
        match self.arrived.insert(seq) {
            Arrival::Repeat => return Accepted::new(PartVerdict::Repeat),
            Arrival::TooFar => return Accepted::new(PartVerdict::TooFar),
            Arrival::New => {}
        }
        let sound = part.is_sound(&self.incarnation);
        let verdict = if sound || part.is_void() { PartVerdict::New } else { PartVerdict::Malformed };
        let mut accepted = Accepted::new(verdict);
        if sound {
            self.held.insert(seq, part);
        }
        for turn in from..self.arrived.next() {
            self.take_turn(turn, &mut accepted);
        }
        accepted.keep = self.held.contains_key(&seq);
        accepted.forget.retain(|gone| *gone != seq);
        accepted
    }

    /// What has arrived: the receipt for the contact.
    #[must_use]
    pub fn receipt(&self) -> &Window {
        &self.arrived
    }

    /// Numbers of the parts whose bytes are kept as rows.
    pub fn kept(&self) -> impl Iterator<Item = u64> + '_ {
        self.held.keys().copied()
    }

    /// The present incarnation.
    #[must_use]
    pub fn incarnation(&self) -> [u8; 16] {
        self.incarnation
    }

    /// Begins a new incarnation at number 0; gives the numbers whose kept bytes can go, since the contact sends them
    /// again. Nothing happens when the incarnation is the present one.
    ///
    /// Messages released before stay known by their [`Origin`], so that what the contact sends again is shown once.
    pub fn restart(&mut self, incarnation: [u8; 16]) -> Vec<u64> {
        if incarnation == self.incarnation {
            return Vec::new();
        }
        let released = std::mem::take(&mut self.released);
        let old = std::mem::replace(self, Self { released, ..Self::new(incarnation) });
        old.held.into_keys().collect()
    }

    /// All before `seq` had their turn, and it has arrived.
    ///
    /// A part that is not held was void or malformed: whatever message was open ends there unfinished, and is given
    /// up.
    fn take_turn(&mut self, seq: u64, accepted: &mut Accepted) {
        let Some(part) = self.held.get(&seq).copied() else { return self.give_up(seq, accepted) };
        if part.first {
            self.give_up(seq, accepted);
            self.open = Some(seq);
        }
        let whole = |start: u64| {
            let before = (seq - start) * u64::from(MAX_PART);
            before + u64::from(part.len) <= u64::from(MAX_MESSAGE_LEN)
        };
        match self.open {
            Some(start) if whole(start) => {
                if part.last {
                    self.release(start..seq + 1, part.origin, accepted);
                }
            }
            _ => self.give_up(seq + 1, accepted),
        }
    }

    /// What is held before `end` will never be a message.
    fn give_up(&mut self, end: u64, accepted: &mut Accepted) {
        self.open = None;
        let before = accepted.forget.len();
        self.forget_below(end, accepted);
        accepted.stray += u32::try_from(accepted.forget.len() - before).unwrap_or(u32::MAX);
    }

    /// The message of these numbers is whole: shown, unless its origin says that it was released before.
    fn release(&mut self, seqs: Range<u64>, origin: Option<Origin>, accepted: &mut Accepted) {
        self.open = None;
        self.forget_below(seqs.end, accepted);
        let origin = origin.unwrap_or(Origin { incarnation: self.incarnation, last: seqs.end - 1 });
        if self.note_release(origin) {
            accepted.released.push(Released { seqs, origin });
        } else {
            accepted.known += 1;
        }
    }

    /// Lets the kept bytes below `end` go.
    fn forget_below(&mut self, end: u64, accepted: &mut Accepted) {
        while let Some(entry) = self.held.first_entry().filter(|entry| *entry.key() < end) {
            accepted.forget.push(entry.remove_entry().0);
        }
    }

    /// Whether this message was not released before; now it is.
    ///
    /// One mark an incarnation is enough. A sender repeats messages in the order in which they were first numbered, and
    /// all that wait; so when this one has its turn, those numbered before it had theirs.
    fn note_release(&mut self, origin: Origin) -> bool {
        let at = self.released.iter().position(|mark| mark.incarnation == origin.incarnation);
        let mark = at.map(|at| self.released.remove(at));
        let new = mark.is_none_or(|mark| mark.last < origin.last);
        self.released.push(mark.filter(|_| !new).unwrap_or(origin));
        if self.released.len() > MAX_INCARNATIONS {
            self.released.remove(0);
        }
        new
    }

    /// Everything as one record: 66 B, 24 B for each incarnation remembered, 5 or 29 B for each part held.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "at most 64 runs of numbers are remembered, held parts lie within the window, and a sound part has at most 11,500 bytes"
    )]
    pub fn record(&self) -> Vec<u8> {
        let mut out = self.incarnation.to_vec();
        out.extend_from_slice(&self.arrived.to_bytes());
        out.extend_from_slice(&self.open.unwrap_or(u64::MAX).to_be_bytes());
        out.push(u8::try_from(self.released.len()).expect("at most 64"));
        self.released.iter().for_each(|mark| mark.put(&mut out));
        for (seq, part) in &self.held {
            let ahead = u16::try_from(seq - self.base()).expect("held parts lie within the window");
            out.extend_from_slice(&ahead.to_be_bytes());
            let flag = |set: bool, bit: u8| if set { bit } else { 0 };
            out.push(flag(part.first, FIRST) | flag(part.last, LAST) | flag(part.origin.is_some(), ORIGIN));
            out.extend_from_slice(&u16::try_from(part.len).expect("at most 11,500").to_be_bytes());
            if let Some(origin) = &part.origin {
                origin.put(&mut out);
            }
        }
        out
    }

    /// The inbox that this record was taken from.
    ///
    /// # Errors
    /// The record is not one that [`record`](Self::record) gives: cut, changed, or of an inbox that cannot be.
    pub fn restore(record: &[u8]) -> Result<Self, BadRecord> {
        read(record).filter(Self::holds_together).ok_or(BadRecord("inbox"))
    }

    /// No part below is held.
    fn base(&self) -> u64 {
        self.open.unwrap_or(self.arrived.next())
    }

    /// Whether a record that was read could have been written: held parts arrived, lie in the window and are sound,
    /// and those of an open message follow each other without a gap.
    fn holds_together(&self) -> bool {
        let next = self.arrived.next();
        let is_open_part =
            |(seq, part): (&u64, &PartShape)| part.first == (self.open == Some(*seq)) && !part.last;
        let opened = match self.open {
            None => true,
            Some(open) => {
                open < next
                    && next - open < MAX_PARTS
                    && self.held.range(open..next).count() as u64 == next - open
                    && self.held.range(open..next).all(is_open_part)
            }
        };
        let sound = |part: &PartShape| part.is_sound(&self.incarnation);
        opened
            && self.held.keys().all(|seq| *seq >= self.base() && self.arrived.contains(*seq))
            && self.held.values().all(sound)
            && self.released.len() <= MAX_INCARNATIONS
    }
}

/// The fields of a record; whether they fit each other is looked at by `holds_together`.
fn read(record: &[u8]) -> Option<Inbox> {
    let mut reader = Reader::new(record);
    let mut inbox = Inbox::new(reader.array()?);
    inbox.arrived = Window::from_bytes(&reader.array::<WINDOW_BYTES>()?)?;
    inbox.open = reader.u64().map(|open| (open != u64::MAX).then_some(open))?;
    for _ in 0..reader.u8()? {
        inbox.released.push(Origin::take(&mut reader)?);
    }
    let base = inbox.base();
    let mut least = 0;
    while !reader.is_empty() {
        let ahead = reader.array().map(u16::from_be_bytes).map(u64::from)?;
        if ahead < least || ahead >= MAX_HELD {
            return None;
        }
        least = ahead + 1;
        inbox.held.insert(base.checked_add(ahead)?, read_shape(&mut reader)?);
    }
    Some(inbox)
}

/// One held part; unknown flags are refused, so that one state has one record.
fn read_shape(reader: &mut Reader<'_>) -> Option<PartShape> {
    let flags = reader.u8().filter(|flags| flags & !(FIRST | LAST | ORIGIN) == 0)?;
    let len = reader.array().map(u16::from_be_bytes).map(u32::from)?;
    let origin = if flags & ORIGIN == 0 { None } else { Some(Origin::take(reader)?) };
    Some(PartShape { first: flags & FIRST != 0, last: flags & LAST != 0, len, origin })
}
