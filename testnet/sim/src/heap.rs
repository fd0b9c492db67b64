//! Virtual time: one heap of things to come, and the digest of what came.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Milliseconds since the world began.
pub type Millis = u64;

/// Things to come, each at its time. Those of one moment come in the order in which they were put there.
#[derive(Debug)]
pub(super) struct Heap<E> {
    coming: BinaryHeap<Coming<E>>,
    put: u64,
    now: Millis,
}

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

    pub(super) fn now(&self) -> Millis {
        self.now
    }

    pub(super) fn len(&self) -> usize {
        self.coming.len()
    }

    /// Something will happen `after` so many milliseconds.
    pub(super) fn after(&mut self, after: Millis, event: E) {
        self.at(self.now.saturating_add(after), event);
    }

    /// Something will happen at this moment, or now if that is over.
    pub(super) fn at(&mut self, at: Millis, event: E) {
        let at = at.max(self.now);
        self.put += 1;
        self.coming.push(Coming { at, number: self.put, event });
    }

    /// The next thing, unless it comes after `until`. Time moves on to it.
    pub(super) fn next(&mut self, until: Millis) -> Option<E> {
        if self.coming.peek()?.at > until {
            return None;
        }
        let Coming { at, event, .. } = self.coming.pop()?;
        self.now = at;
        Some(event)
    }

    /// Lets time pass to a moment before which nothing comes any more.
    pub(super) fn rest(&mut self, until: Millis) {
        self.now = self.now.max(until);
    }
}

impl<E> Coming<E> {
    fn key(&self) -> (Millis, u64) {
        (self.at, self.number)
    }
}

// The heap gives the greatest first: what comes sooner is greater.
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

/// A running digest of decisions (FNV-1a, 64 bits): equal for runs that went the same way. Bytes that keys are made of
/// are no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trail(u64);

impl Trail {
    pub(super) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn note(&mut self, numbers: &[u64]) {
        for byte in numbers.iter().flat_map(|number| number.to_le_bytes()) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(super) fn value(self) -> u64 {
        self.0
    }
}
