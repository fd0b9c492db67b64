//! Who may start a call now, among all contacts of a pod.
//!
//! A contact asks once and waits for its turn; each turn is one call. So a contact with a thousand parts gets no more
//! turns than one with a single line, and the calls that all contacts together have in flight stay bounded: every one
//! of them holds a stream, and over Tor a circuit.

use std::collections::{BTreeSet, VecDeque};

/// Calls on their way for all contacts together.
///
/// At 16 KiB a frame that is 4 MiB in flight, and streams enough to keep several hundred circuits busy.
pub const MAX_CALLS: usize = 256;

/// Shares out calls among contacts: one each in turn. Calls to places that did not answer last time (probes) take at
/// most half, so that a thousand contacts who are away leave the others room: each of their calls lasts until it
/// times out.
#[derive(Debug, Clone)]
pub struct Budget<C> {
    /// Calls to places that answered last time; its bound is that of all calls together.
    calls: Queue<C>,
    /// Calls to places that did not.
    probes: Queue<C>,
}

/// Contacts who wait for a turn of one kind, in the order in which they asked.
#[derive(Debug, Clone)]
struct Queue<C> {
    /// Calls of this kind that may be in flight.
    most: usize,
    /// Calls that were granted and not yet released.
    in_flight: usize,
    /// The same contacts as in `waiting`, each once, first come first served.
    turns: VecDeque<C>,
    /// Who has asked and was not served yet: asking again changes nothing.
    waiting: BTreeSet<C>,
}

impl<C: Copy + Ord> Budget<C> {
    /// For `most` calls at a time.
    ///
    /// Probes may take half of them, rounded down; the calls to places that work may take all.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { calls: Queue::new(most), probes: Queue::new(most / 2) }
    }

    /// A contact has something to send (a probe or not): it gets a turn. Repeats change nothing.
    pub fn ask(&mut self, contact: C, probe: bool) {
        let queue = if probe { &mut self.probes } else { &mut self.calls };
        if queue.waiting.insert(contact) {
            queue.turns.push_back(contact);
        }
    }

    /// The next contact that may start one call, and whether it is a probe. The call is counted at once; the contact
    /// asks again for a further one.
    ///
    /// `None` when as many calls are in flight as may be, or nobody waits who may have one. Whoever is granted a call
    /// and does not make it must [`release`](Self::release) it, or the room is lost until the restart.
    pub fn grant(&mut self) -> Option<(C, bool)> {
        if self.in_flight() >= self.calls.most {
            return None;
        }
        let call = self.calls.grant().map(|contact| (contact, false));
        call.or_else(|| self.probes.grant().map(|contact| (contact, true)))
    }

    /// A call ended, or was granted in vain.
    ///
    /// `probe` is what [`grant`](Self::grant) said for this call. A release too many is ignored.
    pub fn release(&mut self, probe: bool) {
        let queue = if probe { &mut self.probes } else { &mut self.calls };
        queue.in_flight = queue.in_flight.saturating_sub(1);
    }

    /// Calls on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.calls.in_flight + self.probes.in_flight
    }
}

impl<C: Copy + Ord> Queue<C> {
    fn new(most: usize) -> Self {
        Self { most, in_flight: 0, turns: VecDeque::new(), waiting: BTreeSet::new() }
    }

    /// The contact that has waited longest, if there is room for a call of this kind.
    fn grant(&mut self) -> Option<C> {
        if self.in_flight >= self.most {
            return None;
        }
        let contact = self.turns.pop_front()?;
        self.waiting.remove(&contact);
        self.in_flight += 1;
        Some(contact)
    }
}
