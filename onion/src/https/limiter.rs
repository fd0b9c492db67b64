//! The limit on connections open at once, in all and for each caller.
//!
//! It is applied after the handshake, when the caller's key is known, so that one device cannot use
//! up the connections of the others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Connections of all callers. With its TLS and HTTP/2 buffers one takes some 100 kB, so about 13 MB.
pub(crate) const MAX_CONNECTIONS: usize = 128;
/// Connections of one caller: the app, its agent, some scripts. Eight misbehaving callers exhaust
/// the limit.
pub(crate) const MAX_PER_CALLER: usize = 16;

/// Open connections by caller. Callers without any have no entry, so it never grows beyond the
/// limit.
#[derive(Debug, Default)]
pub(crate) struct ConnectionLimiter(Mutex<HashMap<[u8; 32], usize>>);

/// The right to one connection; returned when dropped.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    limiter: Arc<ConnectionLimiter>,
    /// Whose connection it is.
    caller: [u8; 32],
}

impl ConnectionLimiter {
    /// Takes a slot for one connection of `caller`, or none where a limit is reached.
    pub(crate) fn take(self: &Arc<Self>, caller: [u8; 32]) -> Option<ConnectionSlot> {
        let mut taken = self.taken();
        let total: usize = taken.values().sum();
        let own = taken.entry(caller).or_default();
        if total >= MAX_CONNECTIONS || *own >= MAX_PER_CALLER {
            return None;
        }
        *own += 1;
        Some(ConnectionSlot { limiter: self.clone(), caller })
    }

    /// The counts, locked.
    fn taken(&self) -> MutexGuard<'_, HashMap<[u8; 32], usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut taken = self.limiter.taken();
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
    fn one_caller_cannot_exhaust_the_limit() {
        let limiter = Arc::new(ConnectionLimiter::default());
        let mut held: Vec<_> = (0..MAX_PER_CALLER).map(|_| limiter.take([1; 32]).unwrap()).collect();
        assert!(limiter.take([1; 32]).is_none());
        assert!(limiter.take([2; 32]).is_some());
        held.pop();
        assert!(limiter.take([1; 32]).is_some());
    }

    #[test]
    fn total_limit_holds_and_slots_are_returned() {
        let limiter = Arc::new(ConnectionLimiter::default());
        let callers = u8::try_from(MAX_CONNECTIONS / MAX_PER_CALLER).unwrap();
        let held: Vec<_> = (0..callers)
            .flat_map(|n| (0..MAX_PER_CALLER).map(move |_| n))
            .map(|n| limiter.take([n; 32]).unwrap())
            .collect();
        assert!(limiter.take([99; 32]).is_none());
        drop(held);
        assert!(limiter.take([99; 32]).is_some());
        assert!(limiter.taken().is_empty());
    }
}
