//! Which numbers of a sequence have arrived.
//!
//! Windows are receipts, so two properties carry the protocol: a window only grows, and merging windows in any order,
//! any number of times, gives the same window. Receipts can therefore be lost, repeated and overtaken without harm.

use autonomy_codec::Reader;

/// How far ahead of the first missing number one may still arrive. 256 parts of 11,500 B are 2.9 MB: what a peer can
/// make us hold for it out of order, and what it may have on the way without an answer.
pub const WINDOW_LEN: u64 = 256;

/// Bytes of an encoded [`Window`]: the first missing number (8), and a map (32).
pub const WINDOW_BYTES: usize = 40;

/// No sequence gets that far (10^18 numbers); beyond it nothing is accepted, so that no sum overflows.
const MAX_NEXT: u64 = 1 << 62;

/// Words of the map: 256 numbers.
const WORDS: usize = 4;

/// Which numbers of a sequence have arrived: all below [`next`](Self::next), and some of the [`WINDOW_LEN`] from there
/// on. It only ever grows, and it is what a receipt says.
///
/// The number `next` itself is missing, always: that is what makes its encoding canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Window {
    next: u64,
    /// Bit `i` of all (word `i / 64`) stands for the number `next + i`; bit 0 is never set.
    map: [u64; WORDS],
}

/// What [`Window::insert`] made of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It had not arrived; now it has.
    New,
    /// It had arrived before.
    Repeat,
    /// [`WINDOW_LEN`] or more ahead of the first missing one. Nothing changed: the sender may try again later.
    TooFar,
}

impl Window {
    /// Nothing has arrived.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything below `next` has arrived, and nothing else.
    #[must_use]
    pub fn below(next: u64) -> Self {
        Self { next: next.min(MAX_NEXT), map: [0; WORDS] }
    }

    /// Takes note that `seq` arrived.
    ///
    /// Where the first missing number arrives, the window moves to the next one that is missing. The result is the
    /// same as that of [`expect`](Self::expect) before.
    pub fn insert(&mut self, seq: u64) -> Arrival {
        let arrival = self.expect(seq);
        if arrival == Arrival::New {
            let (word, bit) = place(seq - self.next);
            self.map[word] |= bit;
            self.advance();
        }
        arrival
    }

    /// What [`insert`](Self::insert) would say; changes nothing.
    ///
    /// A number of 2^62 or more is always [`Arrival::TooFar`].
    #[must_use]
    pub fn expect(&self, seq: u64) -> Arrival {
        if self.contains(seq) {
            Arrival::Repeat
        } else if seq - self.next < WINDOW_LEN && seq < MAX_NEXT {
            Arrival::New
        } else {
            Arrival::TooFar
        }
    }

    /// Whether `seq` has arrived.
    #[must_use]
    pub fn contains(&self, seq: u64) -> bool {
        let Some(ahead) = seq.checked_sub(self.next) else { return true };
        let (word, bit) = place(ahead);
        self.map.get(word).is_some_and(|map| map & bit != 0)
    }

    /// The first number that is missing.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The number after the highest that has arrived (0 if none has).
    ///
    /// Everything from there on is missing; so a receipt whose end is beyond what was sent is forged.
    #[must_use]
    pub fn end(&self) -> u64 {
        let highest = (0..WORDS).rev().find(|word| self.map[*word] != 0);
        highest.map_or(self.next, |word| {
            self.next + 64 * (word as u64) + 64 - u64::from(self.map[word].leading_zeros())
        })
    }

    /// Takes note of all that arrived according to `other`, a window of the same sequence. Says whether anything was
    /// new. Windows that come in any order, and more than once, add up to the latest.
    ///
    /// A window of another sequence gives nonsense: which sequence it is of must be known before, by the group or
    /// file that it comes with.
    pub fn merge(&mut self, other: &Self) -> bool {
        let (low, high) = if self.next <= other.next { (&*self, other) } else { (other, &*self) };
        let moved = low.shifted(high.next - low.next);
        let mut merged = *high;
        for (map, more) in merged.map.iter_mut().zip(moved) {
            *map |= more;
        }
        merged.advance();
        let grown = merged != *self;
        *self = merged;
        grown
    }

    /// The canonical encoding: `next`, then the map, its lowest word first; numbers are big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; WINDOW_BYTES] {
        let mut bytes = [0; WINDOW_BYTES];
        let words = std::iter::once(&self.next).chain(&self.map);
        for (field, word) in bytes.chunks_exact_mut(8).zip(words) {
            field.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. `None` when it is not canonical: it says of the first missing
    /// number that it arrived, or the numbers are beyond any sequence.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; WINDOW_BYTES]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let next = reader.u64()?;
        let mut map = [0; WORDS];
        for word in &mut map {
            *word = reader.u64()?;
        }
        let window = Self { next, map };
        (map[0] & 1 == 0 && window.next <= MAX_NEXT && window.end() <= MAX_NEXT).then_some(window)
    }

    /// Moves `next` to the first number that is missing.
    /// Afterwards bit 0 is clear, as the encoding demands.
    fn advance(&mut self) {
        loop {
            let arrived = self.map[0].trailing_ones();
            if arrived == 0 {
                return;
            }
            self.map = self.shifted(u64::from(arrived));
            self.next += u64::from(arrived);
        }
    }

    /// The map as it is when `next` is `by` higher.
    /// Bits that are shifted out stand for numbers below the new `next`, which have arrived.
    fn shifted(&self, by: u64) -> [u64; WORDS] {
        let mut out = [0; WORDS];
        let words = usize::try_from(by / 64).unwrap_or(WORDS);
        let bits = by % 64;
        for (to, word) in out.iter_mut().enumerate() {
            let at =
                |i: usize| self.map.get(to.saturating_add(words).saturating_add(i)).copied().unwrap_or(0);
            *word = if bits == 0 { at(0) } else { at(0) >> bits | at(1) << (64 - bits) };
        }
        out
    }
}

/// Word and bit of the number `next + ahead`. The word lies outside the map when the number is too far.
fn place(ahead: u64) -> (usize, u64) {
    (usize::try_from(ahead / 64).unwrap_or(usize::MAX), 1 << (ahead % 64))
}
