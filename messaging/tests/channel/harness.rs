//! A courier at work, one call after the other.

use autonomy_messaging::{CallOutcome, Courier, Pending, Route, Shipment};
use rand::{SeedableRng, rngs::StdRng};

/// When the stories begin.
pub(crate) const NOW: u64 = 1_000;

/// A courier whose calls are counted.
pub(crate) struct Harness {
    pub(crate) courier: Courier<u64>,
    pub(crate) rng: StdRng,
    pub(crate) calls: u64,
}

impl Harness {
    pub(crate) fn new(own: usize, relays: usize) -> Self {
        let route = |place| Route { own: place < own, was: None, accepted: 0 };
        let routes: Vec<Route> = (0..own + relays).map(route).collect();
        Self { courier: Courier::new(&routes, 0), rng: StdRng::seed_from_u64(1), calls: 0 }
    }

    /// Ships what is due; gives each shipment with its call.
    pub(crate) fn ship(&mut self, now: u64, pending: &[Pending<u64>]) -> Vec<(u64, Shipment<u64>)> {
        let due = self.courier.next(now, &mut self.rng, pending);
        let send = |shipment: Shipment<u64>| {
            self.calls += 1;
            self.courier.sent(self.calls, shipment.place, shipment.keys.clone(), now);
            (self.calls, shipment)
        };
        due.into_iter().map(send).collect()
    }

    pub(crate) fn end(&mut self, call: u64, outcome: CallOutcome, now: u64) {
        self.courier.outcome(call, outcome, now, &mut self.rng);
    }

    pub(crate) fn end_all(&mut self, shipped: &[(u64, Shipment<u64>)], outcome: CallOutcome, now: u64) {
        shipped.iter().for_each(|(call, _)| self.end(*call, outcome, now));
    }
}

pub(crate) fn part(key: u64, len: usize) -> Pending<u64> {
    Pending { key, len, bulk: false }
}

pub(crate) fn places(shipped: &[(u64, Shipment<u64>)]) -> Vec<usize> {
    shipped.iter().map(|(_, shipment)| shipment.place).collect()
}
