use std::collections::{BTreeSet, VecDeque};

/// Calls on their way for all contacts together.
pub const MAX_CALLS: usize = 256;

/// Shares out calls among contacts: one each in turn. Calls to places that did not answer last time (probes) take at
/// most half, so that a thousand contacts who are away leave the others room: each of their calls lasts until it
/// times out.
#[derive(Debug, Clone)]
pub struct Budget<C> {
    calls: Queue<C>,
    probes: Queue<C>,
}

#[derive(Debug, Clone)]
struct Queue<C> {
    most: usize,
    in_flight: usize,
    turns: VecDeque<C>,
    waiting: BTreeSet<C>,
}

impl<C: Copy + Ord> Budget<C> {
    /// For `most` calls at a time.
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
    pub fn grant(&mut self) -> Option<(C, bool)> {
        if self.in_flight() >= self.calls.most {
            return None;
        }
        let call = self.calls.grant().map(|contact| (contact, false));
        call.or_else(|| self.probes.grant().map(|contact| (contact, true)))
    }

    /// A call ended, or was granted in vain.
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
