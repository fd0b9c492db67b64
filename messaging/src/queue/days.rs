//! How many frames of a queue came on which day: enough to know which are too old, and it fits the queue's record.
//!
//! A place must know how old each frame is without keeping a time for each: 16 bits a day are enough, since frames
//! leave in the order in which they came, and an age to the day is enough.

use autonomy_codec::Reader;

/// Seconds.
const DAY: u64 = 86_400;

/// Longest age that can be distinguished, in days.
pub(super) const MAX_DAYS: u64 = 21;

/// Most frames that can be counted.
pub(super) const MAX_COUNT: u32 = u16::MAX as u32;

/// Today, the 21 days before, and one for all that is older still.
const SLOTS: usize = MAX_DAYS as usize + 2;

/// Bytes of an encoded [`Days`]: the newest day (4), and a count for each slot (2).
pub(super) const LEN: usize = 4 + 2 * SLOTS;

/// Counts of frames by day. Frames leave in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Days {
    /// Days since 1970.
    newest: u32,
    /// How many came on the day `newest - i`; in the last slot, then or earlier.
    counts: [u16; SLOTS],
}

impl Days {
    /// No frames yet; the newest day is today.
    pub(super) fn new(now: u64) -> Self {
        Self { newest: day(now), counts: [0; SLOTS] }
    }

    /// One more came. A clock that was set back does not make it older than those before it.
    ///
    /// At most [`MAX_COUNT`] are ever counted: a queue holds no more.
    pub(super) fn add(&mut self, now: u64) {
        self.advance(day(now));
        self.counts[0] = self.counts[0].saturating_add(1);
    }

    /// All that are counted.
    pub(super) fn sum(&self) -> u32 {
        self.counts.iter().map(|count| u32::from(*count)).sum()
    }

    /// How many came `age` seconds ago or earlier, for certain: their day ended then. At most [`MAX_DAYS`] are looked back.
    pub(super) fn older_than(&self, now: u64, age: u64) -> u32 {
        let Some(then) = now.checked_sub(age.min(MAX_DAYS * DAY)) else { return 0 };
        // Every frame of the slot came before this second.
        let end = |slot: usize| u64::from(self.newest).saturating_sub(slot as u64).saturating_add(1) * DAY;
        let slots = self.counts.iter().enumerate().filter(|(slot, _)| end(*slot) <= then);
        slots.map(|(_, count)| u32::from(*count)).sum()
    }

    /// So many left, the oldest first.
    ///
    /// More than are counted empty all slots.
    pub(super) fn remove_oldest(&mut self, mut count: u32) {
        for slot in self.counts.iter_mut().rev() {
            let gone = (*slot).min(u16::try_from(count).unwrap_or(u16::MAX));
            *slot -= gone;
            count -= u32::from(gone);
        }
    }

    /// The newest day (4 bytes), then the slots from the newest on (2 bytes each).
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.newest.to_be_bytes());
        self.counts.iter().for_each(|count| out.extend_from_slice(&count.to_be_bytes()));
    }

    /// `None` when more are counted than can be.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let newest = reader.u32()?;
        let mut counts = [0; SLOTS];
        for count in &mut counts {
            *count = reader.u16()?;
        }
        let days = Self { newest, counts };
        (days.sum() <= MAX_COUNT).then_some(days)
    }

    /// A new day: counts move to older slots, and what is older than all of them adds up in the last.
    fn advance(&mut self, today: u32) {
        let by = usize::try_from(today.saturating_sub(self.newest)).unwrap_or(SLOTS);
        let mut moved = [0_u16; SLOTS];
        for (slot, count) in self.counts.iter().enumerate() {
            let to = slot.saturating_add(by).min(SLOTS - 1);
            moved[to] = moved[to].saturating_add(*count);
        }
        self.counts = moved;
        self.newest = self.newest.max(today);
    }
}

/// Days since 1970; a time beyond 32 bits of days counts as the last.
fn day(now: u64) -> u32 {
    u32::try_from(now / DAY).unwrap_or(u32::MAX)
}
