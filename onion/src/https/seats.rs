//! Connections open at once, in all and for each caller.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Connections of all callers. With its TLS and HTTP/2 buffers one takes some 100 kB, so about 13 MB.
pub(crate) const MAX_CONNECTIONS: usize = 128;
/// Connections of one caller: the app, its agent, some scripts. Eight callers who misbehave fill the house.
pub(crate) const MAX_PER_CALLER: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Seats(Mutex<HashMap<[u8; 32], usize>>);

/// A seat taken; free again when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    caller: [u8; 32],
}

impl Seats {
    pub(crate) fn take(self: &Arc<Self>, caller: [u8; 32]) -> Option<Seat> {
        let mut taken = self.taken();
        let total: usize = taken.values().sum();
        let own = taken.entry(caller).or_default();
        if total >= MAX_CONNECTIONS || *own >= MAX_PER_CALLER {
            return None;
        }
        *own += 1;
        Some(Seat { seats: self.clone(), caller })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<[u8; 32], usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(own) = taken.get_mut(&self.caller) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_cannot_fill_the_house() {
        let seats = Arc::new(Seats::default());
        let mut held: Vec<_> = (0..MAX_PER_CALLER).map(|_| seats.take([1; 32]).unwrap()).collect();
        assert!(seats.take([1; 32]).is_none());
        assert!(seats.take([2; 32]).is_some());
        held.pop();
        assert!(seats.take([1; 32]).is_some());
    }

    #[test]
    fn the_house_is_bounded_and_empties() {
        let seats = Arc::new(Seats::default());
        let callers = u8::try_from(MAX_CONNECTIONS / MAX_PER_CALLER).unwrap();
        let held: Vec<_> = (0..callers)
            .flat_map(|n| (0..MAX_PER_CALLER).map(move |_| n))
            .map(|n| seats.take([n; 32]).unwrap())
            .collect();
        assert!(seats.take([99; 32]).is_none());
        drop(held);
        assert!(seats.take([99; 32]).is_some());
        assert!(seats.taken().is_empty());
    }
}
