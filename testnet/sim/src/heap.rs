//! Virtual time: a heap of events to come, and the digest of those that came.
//!
//! Time moves from event to event and passes in no other way. A run depends on the order of events, so events of one
//! moment are ordered too; and the digest of that order tells whether two runs went the same way.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Milliseconds since the world began.
pub type Millis = u64;

/// Events to come, each at its time. Events of one moment come in the order in which they were added, so that a run
/// depends on nothing but its decisions.
#[derive(Debug)]
pub(super) struct Heap<E> {
    coming: BinaryHeap<Coming<E>>,
    put: u64,
    now: Millis,
}

/// An event, its time, and its number among all that were added.
#[derive(Debug)]
struct Coming<E> {
    at: Millis,
    number: u64,
    event: E,
}

impl<E> Heap<E> {
    pub(super) fn new() -> Self {
        Self { coming: BinaryHeap::new(), put: 0, now: 0 }
    }

    /// The time of the event that came last.
    pub(super) fn now(&self) -> Millis {
        self.now
    }

    /// How many events are to come.
    pub(super) fn len(&self) -> usize {
        self.coming.len()
    }

    /// Adds an event that comes `after` milliseconds from now.
    pub(super) fn after(&mut self, after: Millis, event: E) {
        self.at(self.now.saturating_add(after), event);
    }

    /// Adds an event that comes at this moment, or now if the moment is over.
    pub(super) fn at(&mut self, at: Millis, event: E) {
        let at = at.max(self.now);
        self.put += 1;
        self.coming.push(Coming { at, number: self.put, event });
    }

    /// Takes the next event and moves time to it. None, and time stays, if it comes after `until`.
    pub(super) fn next(&mut self, until: Millis) -> Option<E> {
        if self.coming.peek()?.at > until {
            return None;
        }
        let Coming { at, event, .. } = self.coming.pop()?;
        self.now = at;
        Some(event)
    }

    /// Moves time to `until`. Correct only once [`Heap::next`] gives nothing up to that moment.
    pub(super) fn advance_to(&mut self, until: Millis) {
        self.now = self.now.max(until);
    }
}

impl<E> Coming<E> {
    fn key(&self) -> (Millis, u64) {
        (self.at, self.number)
    }
}

// `BinaryHeap` gives the greatest first, so the earlier event is the greater one.
impl<E> Ord for Coming<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<E> PartialOrd for Coming<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Coming<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Coming<E> {}

/// A running digest of decisions (FNV-1a, 64 bits): equal for two runs that took the same ones. Only numbers of pods,
/// times and kinds of events go in, nothing that is derived from keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunDigest(u64);

impl RunDigest {
    pub(super) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds one decision.
    pub(super) fn add(&mut self, numbers: &[u64]) {
        for byte in numbers.iter().flat_map(|number| number.to_le_bytes()) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(super) fn value(self) -> u64 {
        self.0
    }
}
