//! The rules of a queue at a place: who may leave a frame, who may take it, how many, and for how long.
//!
//! Pure: a place stores a [`QueueRecord`] beside the frames, asks it, stores it again, and carries out what it said.
//! Relays, pods (for their own queues) and simulated places keep the same rules.
//!
//! ```text
//! open ──▶ deposits number the frames ──▶ the owner collects and acknowledges ──▶ the oldest go
//!   └──▶ 90 days without its owner: gone      └──▶ 21 days without being collected: the frame goes
//! ```
//!
//! Numbers only grow, also over a queue that is lost and made again, so an acknowledgement can never remove a frame
//! that its owner has not seen. A deposit under a name that was stored lately is answered without storing it again.

mod days;
mod pressure;

pub use pressure::{Pressure, work_bits};

use std::ops::Range;

use autonomy_codec::Reader;

use crate::frame::DepositId;
use crate::place::{Capability, CapabilityHash};
use crate::wire::PlaceRefusal;
use days::Days;

/// Seconds.
const DAY: u64 = 86_400;

/// What a place takes at most.
///
/// For each relay its operator's choice; the defaults suit a small machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Frames in one queue.
    pub frames_per_queue: u32,
    /// Seconds after which a queue is forgotten whose owner did not come.
    pub queue_age: u64,
    /// Seconds after which a frame is forgotten that nobody collected; whole days, 21 at most. It may lie a day longer.
    pub frame_age: u64,
    /// Queues in all.
    pub max_queues: u64,
    /// Frames in all.
    pub max_frames: u64,
}

impl Default for QueueLimits {
    /// What a relay takes unless its operator says otherwise.
    fn default() -> Self {
        Self {
            // 256 frames of 16 KiB are 4 MiB a queue, or some thousand messages while their reader is away.
            frames_per_queue: 256,
            // A pod comes by every day; one that did not for a quarter of a year was given up, or opens again.
            queue_age: 90 * DAY,
            // As long as the pods themselves keep what was not acknowledged: they send it again until then.
            frame_age: days::MAX_DAYS * DAY,
            // A record and its key are below 360 bytes: a million are 360 MB of disk.
            max_queues: 1_000_000,
            // A frame takes four pages of the store, 16 KiB: 250,000 are 4.1 GB of disk.
            max_frames: 250_000,
        }
    }
}

/// Deposits remembered by name: as many as a sender has on the way to one queue at once. An older repeat is stored
/// again, and its reader drops it.
const RECENT: usize = 8;

/// Bytes of an encoded [`QueueRecord`]: version (1), hashes (64), flags (1), opened and used (16), first and next (16),
/// recent deposits (1 + 8 · 16), counts by day.
pub const QUEUE_RECORD_LEN: usize = 1 + 2 * 32 + 1 + 4 * 8 + 1 + RECENT * 16 + days::LEN;

const _: () = assert!(QUEUE_RECORD_LEN <= 300);

const VERSION: u8 = 1;

/// What a place knows about one queue. Its frames have consecutive numbers, `first` to `next - 1`.
///
/// The place keeps it beside the frames and writes both in one transaction: a count that differs from the frames is
/// found by nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRecord {
    /// Whoever shows the secret may leave frames and read the notice.
    deposit: CapabilityHash,
    /// Whoever shows the secret may take frames, and close the queue.
    collect: CapabilityHash,
    /// Whether a notice lies beside the frames.
    has_notice: bool,
    /// When it was made, seconds since 1970.
    opened: u64,
    /// When its owner was last here, seconds since 1970, to a day.
    used: u64,
    /// Number of the oldest frame that is kept.
    first: u64,
    /// Number of the next frame.
    next: u64,
    /// The oldest first.
    recent: Vec<DepositId>,
    /// How many of the kept frames came on which day.
    days: Days,
}

/// What became of a deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deposited {
    /// Store the blob under this number, then say that it is done.
    ///
    /// Numbers of one queue follow each other without a gap.
    New(u64),
    /// It was stored before (and may have been collected since): say that it is done.
    Repeat,
}

/// What is too old.
///
/// Frames before queues: a queue that nobody owns any more goes as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expired {
    /// Nothing is.
    Nothing,
    /// The frames with these numbers: remove them.
    Frames(Range<u64>),
    /// All of the queue: remove it, its notice, and its frames.
    Queue,
}

impl QueueRecord {
    /// A new queue. Its numbers begin at a million for each second since 1970: if a queue of the same name is made
    /// again, nothing that was said about its earlier frames is true of the new ones.
    ///
    /// A million numbers a second is more than any place can store, so the numbers of two lives of one name never
    /// overlap, unless the clock of the place is set back.
    #[must_use]
    pub fn open(deposit: CapabilityHash, collect: CapabilityHash, has_notice: bool, now: u64) -> Self {
        let first = now.min(u64::MAX >> 21) << 20;
        let (next, recent, days) = (first, Vec::new(), Days::new(now));
        Self { deposit, collect, has_notice, opened: now, used: now, first, next, recent, days }
    }

    /// Somebody asks to make this queue again: its owner, after a lost answer, is answered the same; anybody else hears
    /// what a wrong capability hears. A notice stays what it was, or goes where its owner asks without one, and then
    /// does not come back: remove it where [`has_notice`](Self::has_notice) says no afterwards.
    ///
    /// # Errors
    /// [`PlaceRefusal::UnknownQueue`] where the hashes are others: the name is taken. Nothing changed.
    pub fn reopen(
        &mut self,
        deposit: &CapabilityHash,
        collect: &CapabilityHash,
        with_notice: bool,
        now: u64,
    ) -> Result<(), PlaceRefusal> {
        if self.deposit != *deposit || self.collect != *collect {
            return Err(PlaceRefusal::UnknownQueue);
        }
        self.has_notice &= with_notice;
        self.touch(now);
        Ok(())
    }

    /// Whether this is the capability to deposit.
    #[must_use]
    pub fn may_deposit(&self, capability: &Capability) -> bool {
        self.deposit.admits(capability)
    }

    /// Whether this is the capability to collect.
    #[must_use]
    pub fn may_collect(&self, capability: &Capability) -> bool {
        self.collect.admits(capability)
    }

    /// Whether something is to be read here.
    #[must_use]
    pub fn has_notice(&self) -> bool {
        self.has_notice
    }

    /// When the queue was made.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// When its owner was last here, to a day.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used
    }

    /// The numbers of the frames that are kept.
    #[must_use]
    pub fn kept(&self) -> Range<u64> {
        self.first..self.next
    }

    /// Takes note of the owner's presence. Says whether the record changed: it does once a day at most, so that being
    /// here costs no writing.
    pub fn touch(&mut self, now: u64) -> bool {
        let late = now.saturating_sub(self.used) >= DAY;
        if late {
            self.used = now;
        }
        late
    }

    /// Somebody leaves a frame. `frames_at_place` are those kept in all queues. A refusal changes nothing.
    ///
    /// # Errors
    /// [`PlaceRefusal::UnknownQueue`] with another capability, [`PlaceRefusal::QueueFull`] and [`PlaceRefusal::PlaceFull`] at the
    /// limits. The order matters: only who may deposit learns how full the place is, and a repeat succeeds in a full
    /// queue.
    pub fn deposit(
        &mut self,
        now: u64,
        capability: &Capability,
        id: DepositId,
        limits: &QueueLimits,
        frames_at_place: u64,
    ) -> Result<Deposited, PlaceRefusal> {
        if !self.may_deposit(capability) {
            return Err(PlaceRefusal::UnknownQueue);
        }
        if self.recent.contains(&id) {
            return Ok(Deposited::Repeat);
        }
        if self.next - self.first >= u64::from(limits.frames_per_queue.min(days::MAX_COUNT)) {
            return Err(PlaceRefusal::QueueFull);
        }
        if frames_at_place >= limits.max_frames {
            return Err(PlaceRefusal::PlaceFull);
        }
        if self.recent.len() == RECENT {
            self.recent.remove(0);
        }
        self.recent.push(id);
        let number = self.next;
        self.next += 1;
        self.days.add(now);
        Ok(Deposited::New(number))
    }

    /// The owner has everything up to this number: gives the numbers to be removed. A number that was never pushed
    /// belongs to another queue, and removes nothing.
    ///
    /// # Errors
    /// [`PlaceRefusal::UnknownQueue`] with another capability. A number that is not kept is no error.
    pub fn ack(&mut self, now: u64, capability: &Capability, up_to: u64) -> Result<Range<u64>, PlaceRefusal> {
        if !self.may_collect(capability) {
            return Err(PlaceRefusal::UnknownQueue);
        }
        self.touch(now);
        if !self.kept().contains(&up_to) {
            return Ok(self.first..self.first);
        }
        Ok(self.forget(up_to - self.first + 1))
    }

    /// What is too old by now. Frames are gone from the record at once.
    ///
    /// To be asked now and then for each queue; the caller removes what it names in the same transaction.
    pub fn expire(&mut self, now: u64, limits: &QueueLimits) -> Expired {
        if now.saturating_sub(self.used) > limits.queue_age {
            return Expired::Queue;
        }
        let old = self.days.older_than(now, limits.frame_age);
        if old == 0 {
            return Expired::Nothing;
        }
        Expired::Frames(self.forget(u64::from(old)))
    }

    /// The oldest `count` frames leave; gives their numbers.
    fn forget(&mut self, count: u64) -> Range<u64> {
        self.days.remove_oldest(u32::try_from(count).unwrap_or(u32::MAX));
        let from = self.first;
        self.first += count;
        from..self.first
    }

    /// The canonical bytes.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "at most eight deposits are remembered, and the fields add up to the length that the record is padded to"
    )]
    pub fn to_bytes(&self) -> [u8; QUEUE_RECORD_LEN] {
        let mut out = Vec::with_capacity(QUEUE_RECORD_LEN);
        out.push(VERSION);
        out.extend_from_slice(self.deposit.as_bytes());
        out.extend_from_slice(self.collect.as_bytes());
        out.push(u8::from(self.has_notice));
        for number in [self.opened, self.used, self.first, self.next] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.push(u8::try_from(self.recent.len()).expect("at most eight"));
        self.recent.iter().for_each(|id| out.extend_from_slice(id.as_bytes()));
        out.resize(QUEUE_RECORD_LEN - days::LEN, 0);
        self.days.write(&mut out);
        out.try_into().expect("the fields add up to the length")
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. `None` for anything else: the store was changed.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        reader.u8().filter(|version| *version == VERSION)?;
        let record = Self {
            deposit: CapabilityHash::from_bytes(reader.array()?),
            collect: CapabilityHash::from_bytes(reader.array()?),
            has_notice: reader.u8().filter(|flags| *flags <= 1)? == 1,
            opened: reader.u64()?,
            used: reader.u64()?,
            first: reader.u64()?,
            next: reader.u64()?,
            recent: read_recent(&mut reader)?,
            days: Days::read(&mut reader)?,
        };
        let counted = record.next.checked_sub(record.first)? == u64::from(record.days.sum());
        // Far enough from the end for any frames that may still come.
        let sound = counted && record.next < u64::MAX >> 1 && reader.is_empty();
        sound.then_some(record)
    }
}

/// Remembered deposits, padded with zeros: the padding must be zero, so that one record has one encoding.
fn read_recent(reader: &mut Reader<'_>) -> Option<Vec<DepositId>> {
    let count = usize::from(reader.u8()?);
    let (ids, rest) = reader.take(RECENT * 16)?.split_at_checked(count * 16)?;
    rest.iter().all(|byte| *byte == 0).then_some(())?;
    Some(ids.as_chunks::<16>().0.iter().map(|id| DepositId::from_bytes(*id)).collect())
}
