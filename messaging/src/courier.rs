//! What to send now, and to which places, for one contact.
//!
//! A courier never holds what is sent, only its name (a number of a part or chunk): the owner says each time what is
//! still unacknowledged. It holds no promise either: after a restart all that is unacknowledged is simply due again, so
//! nothing here is ever written down.
//!
//! Each place is a lane with its own health, so that a dead place delays no other; each contact has its own courier, so
//! that a dead contact delays no other, and a [`Budget`] shares out the calls of all.

mod budget;
mod delivery_state;
mod place_health;
mod relay_audit;
mod shipment_builder;

use std::collections::{BTreeMap, BTreeSet};

use rand_core::RngCore;

use delivery_state::{BULK_COPIES, DeliveryState};
use place_health::{PlaceHealth, jitter};
use shipment_builder::ShipmentBuilder;

pub use budget::{Budget, MAX_CALLS};
pub use delivery_state::{COPIES, DIRECT_WAIT, RELAY_WAITS};
pub use place_health::{BACK_OFF_DIRECT, BACK_OFF_RELAY, MAX_IN_FLIGHT};
pub use relay_audit::{RelayAudit, SUSPECT_AFTER, SUSPECT_MISSING};

/// Most places of a contact: as many as a card names.
pub const MAX_PLACES: usize = 8;

/// Bytes that the items of one shipment may take: a packet of 11,900 B less the receipts in it (16 + 40 + 1 + 4 × 56 +
/// 1 + 8 × 4 + 4 = 318 B). One full part with its head (11,536 B) fits.
pub const SHIPMENT_BYTES: usize = 11_900 - 318;

/// Bytes of an item beside its content: kind 1, number 8, flags 1, length 2, origin 24. A chunk needs fewer.
pub const ITEM_BYTES: usize = 36;

/// Calls on their way to one place, up to which a frame goes though more would fit into it. After that, what is said
/// waits for one of them to end, and rides with what is said meanwhile: a line alone takes a whole frame of 16 KiB. Who
/// writes now and then never waits; a burst of 200 lines takes six frames in place of 200. (So does TCP: RFC 896.)
pub const MAX_PARTIAL: usize = 2;

/// A receipt waits so long for something to ride with, in seconds.
pub const ACK_DELAY: u64 = 1;

/// So many parts or chunks that wait for a receipt make it leave at once: a quarter of [`WINDOW_LEN`](crate::WINDOW_LEN),
/// so that a sender whose receipts come in time is never stopped by what it may have on its way.
pub const ACK_AT_ONCE: u32 = 64;

/// What is repeated so many seconds after a receipt for it left was not sent along with it to another place.
const MISSED_AFTER: u64 = 30;

/// Decides what to send for one contact. `K` names an item; items are sent in the order in which the owner lists them.
///
/// Call [`next`](Self::next) after every event, report what was shipped with [`sent`](Self::sent), and every answer
/// with [`outcome`](Self::outcome).
#[derive(Debug, Clone)]
pub struct Courier<K> {
    lanes: Vec<PlaceHealth>,
    /// The relay to start with, so that contacts spread over the relays they share.
    spread: usize,
    /// The time of the last plan.
    clock: u64,
    deliveries: BTreeMap<K, DeliveryState>,
    receipt: Option<Receipt>,
    receipts: u64,
    /// When a receipt last left.
    told_at: Option<u64>,
    calls: BTreeMap<u64, Call<K>>,
}

/// A receipt that the contact waits for.
#[derive(Debug, Clone)]
struct Receipt {
    number: u64,
    delivery: DeliveryState,
    /// Parts and chunks that wait for it.
    owed: u32,
}

#[derive(Debug, Clone)]
struct Call<K> {
    /// `None` when the place is gone meanwhile.
    place: Option<usize>,
    keys: Vec<K>,
    receipt: Option<u64>,
    /// Begins with a chunk of a file.
    bulk: bool,
    at: u64,
}

/// A place of the contact's card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The contact's own pod.
    pub own: bool,
    /// Its index before the card changed; `None` for a new place.
    pub was: Option<usize>,
    /// Frames that a new place had accepted by the last record; a count that is behind harms nothing.
    pub accepted: u32,
}

/// Something that the contact has not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending<K> {
    /// Its name.
    pub key: K,
    /// Bytes of its content.
    pub len: usize,
    /// Of a file: one copy is enough at first, and messages have room to overtake it.
    pub bulk: bool,
}

/// To be sealed in one packet, with the receipts of the moment, and sent to one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment<K> {
    /// Index of the place.
    pub place: usize,
    /// What rides; nothing when only the receipts are due.
    pub keys: Vec<K>,
    /// The place did not answer last time: see [`Budget`].
    pub probe: bool,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// The place keeps the frame, durably.
    Accepted,
    /// The place answered, and did not take it.
    Refused {
        /// Seconds that it asked us to wait, or 0.
        wait: u64,
    },
    /// No answer.
    Unreached,
}

impl<K: Copy + Ord> Courier<K> {
    /// For a contact with these places, of which at most [`MAX_PLACES`] are used.
    #[must_use]
    pub fn new(places: &[Route], spread: usize) -> Self {
        let lanes =
            places.iter().take(MAX_PLACES).map(|route| PlaceHealth::new(route.own, route.accepted)).collect();
        Self {
            lanes,
            spread,
            clock: 0,
            deliveries: BTreeMap::new(),
            receipt: None,
            receipts: 0,
            told_at: None,
            calls: BTreeMap::new(),
        }
    }

    /// What is due now, given all that is unacknowledged. Nothing counts as sent before [`sent`](Self::sent): what the
    /// owner leaves is due again at the next call.
    pub fn next(&mut self, now: u64, rng: &mut dyn RngCore, pending: &[Pending<K>]) -> Vec<Shipment<K>> {
        self.follow_clock(now);
        self.keep_only(pending);
        self.note_stalls();
        for item in pending.iter().filter(|item| !self.deliveries.contains_key(&item.key)).collect::<Vec<_>>()
        {
            let (after, copies) = if item.bulk { (self.deliveries.len(), BULK_COPIES) } else { (0, COPIES) };
            let delivery = DeliveryState::new(now, self.spread.wrapping_add(after), copies);
            self.deliveries.insert(item.key, delivery);
        }
        let mut plan: Vec<ShipmentBuilder<K>> =
            self.lanes.iter().map(|lane| ShipmentBuilder::new(lane.free(now))).collect();
        for item in pending {
            let Some(delivery) = self.deliveries.get_mut(&item.key) else { continue };
            delivery.advance(now, &self.lanes, rng);
            if plan.iter().all(ShipmentBuilder::is_full) {
                continue;
            }
            for place in delivery.wants(now, &self.lanes) {
                plan[place].add(item, self.lanes[place].room_for_bulk());
            }
        }
        if let Some(receipt) = self.receipt.as_ref().filter(|receipt| receipt.delivery.since <= now) {
            for place in receipt.delivery.receipt_wants(now, &self.lanes) {
                plan[place].add_receipt();
            }
        }
        for (place, load) in plan.iter_mut().enumerate() {
            load.gather(self.messages_in_flight(place));
        }
        let lanes = &self.lanes;
        let of_place = |(place, load): (usize, ShipmentBuilder<K>)| {
            let probe = !lanes[place].is_up();
            load.bundles.into_iter().map(move |bundle| Shipment { place, keys: bundle.keys, probe })
        };
        plan.into_iter().enumerate().flat_map(of_place).collect()
    }

    /// When [`next`](Self::next) has something to do again, if nothing happens before.
    #[must_use]
    pub fn next_wake(&self, now: u64) -> Option<u64> {
        let busy = !self.deliveries.is_empty() || self.receipt.is_some();
        let lanes = self.lanes.iter().filter(|_| busy).flat_map(PlaceHealth::wakes);
        let deliveries = self.deliveries.values().flat_map(|delivery| delivery.wakes(&self.lanes));
        let receipt = self.receipt.iter().map(|receipt| receipt.delivery.since);
        lanes.chain(deliveries).chain(receipt).filter(|at| *at > now).min()
    }

    /// A shipment is on its way, as a call that will have one outcome.
    pub fn sent(&mut self, call: u64, place: usize, keys: Vec<K>, now: u64) {
        let Some(lane) = self.lanes.get_mut(place) else { return };
        lane.sent(now);
        let own = lane.is_own();
        self.told_at = Some(now);
        for key in &keys {
            if let Some(delivery) = self.deliveries.get_mut(key) {
                delivery.sent(place, own, now);
            }
        }
        if let Some(receipt) = &mut self.receipt {
            receipt.delivery.sent(place, own, now);
        }
        let receipt = self.receipt.as_ref().map(|receipt| receipt.number);
        let bulk = keys.first().and_then(|key| self.deliveries.get(key)).is_some_and(DeliveryState::is_bulk);
        self.calls.insert(call, Call { place: Some(place), keys, receipt, bulk, at: now });
    }

    /// How a call ended. Unknown calls (of before a restart) are ignored.
    pub fn outcome(&mut self, call: u64, outcome: CallOutcome, now: u64, rng: &mut dyn RngCore) {
        let Some(Call { place, keys, receipt, at, .. }) = self.calls.remove(&call) else { return };
        let Some(place) = place else { return };
        let accepted = outcome == CallOutcome::Accepted;
        match outcome {
            CallOutcome::Accepted => self.lanes[place].accepted(),
            CallOutcome::Refused { wait } => self.lanes[place].failed(at, now, wait, rng),
            CallOutcome::Unreached => self.lanes[place].failed(at, now, 0, rng),
        }
        for key in &keys {
            if let Some(delivery) = self.deliveries.get_mut(key) {
                delivery.ended(place, accepted);
            }
        }
        if let Some(waiting) = self.receipt.as_mut().filter(|waiting| Some(waiting.number) == receipt) {
            waiting.delivery.ended(place, accepted);
            if waiting.delivery.receipt_done(&self.lanes) {
                self.receipt = None;
            }
        }
    }

    /// The contact sent something that wants a receipt: a part or chunk, not a mere receipt. If it is `repeated`, and a
    /// receipt left a while ago, that one went missing: the next goes to more places.
    pub fn owe_receipt(&mut self, now: u64, repeated: bool) {
        let missed = repeated && self.told_at.is_some_and(|at| now > at + MISSED_AFTER);
        let waiting = self.receipt.as_mut().filter(|receipt| !receipt.delivery.was_sent());
        let (mut owed, mut since) =
            waiting.as_ref().map_or((0, now + ACK_DELAY), |receipt| (receipt.owed, receipt.delivery.since));
        owed = owed.saturating_add(1);
        if owed >= ACK_AT_ONCE {
            since = since.min(now);
        }
        if let Some(waiting) = waiting.filter(|_| !missed) {
            waiting.owed = owed;
            waiting.delivery.since = since;
            return;
        }
        self.receipts += 1;
        let turn = self.spread.wrapping_add(usize::try_from(self.receipts).unwrap_or(0));
        let copies = if missed { MAX_PLACES } else { COPIES };
        self.receipt =
            Some(Receipt { number: self.receipts, delivery: DeliveryState::new(since, turn, copies), owed });
    }

    /// A sign of life of the contact: its pod is tried again soon, and so are relays if there was nothing but failure.
    /// What it still does not acknowledge after a while is sent everywhere again, though relays said they have it.
    pub fn heard_from(&mut self, now: u64) {
        let cut_off = !self.lanes.iter().any(PlaceHealth::is_up);
        self.lanes.iter_mut().filter(|lane| cut_off || lane.is_own()).for_each(PlaceHealth::heard_from);
        self.deliveries.values_mut().for_each(|delivery| delivery.heard_from(now));
    }

    /// The contact's card changed. What is on its way to a place that stayed still counts.
    pub fn change_places(&mut self, places: &[Route]) {
        let places = &places[..places.len().min(MAX_PLACES)];
        let moved = |old: usize| places.iter().position(|route| route.was == Some(old));
        let lane = |(place, route): (usize, &Route)| {
            let was = route.was.filter(|was| moved(*was) == Some(place));
            let kept = was.and_then(|was| self.lanes.get(was).copied());
            kept.map_or(PlaceHealth::new(route.own, route.accepted), |lane| lane.with_own(route.own))
        };
        let lanes = places.iter().enumerate().map(lane).collect();
        let receipt = self.receipt.iter_mut().map(|receipt| &mut receipt.delivery);
        self.deliveries.values_mut().chain(receipt).for_each(|delivery| delivery.change_places(&moved));
        self.calls.values_mut().for_each(|call| call.place = call.place.and_then(moved));
        self.lanes = lanes;
    }

    /// Frames that a place has accepted: what the contact compares with what it collects there.
    #[must_use]
    pub fn accepted(&self, place: usize) -> u32 {
        self.lanes.get(place).map_or(0, PlaceHealth::count)
    }

    /// Whether the last call to a place went well, or none ended yet.
    #[must_use]
    pub fn is_up(&self, place: usize) -> bool {
        self.lanes.get(place).is_some_and(PlaceHealth::is_up)
    }

    /// Calls on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.calls.len()
    }

    /// Calls on their way to a place that began with a message or receipt.
    fn messages_in_flight(&self, place: usize) -> usize {
        self.calls.values().filter(|call| call.place == Some(place) && !call.bulk).count()
    }

    /// A clock that was set back takes all moments with it: what was a minute away still is.
    fn follow_clock(&mut self, now: u64) {
        let back = self.clock.saturating_sub(now);
        self.clock = now;
        if back > 0 {
            let times = self.calls.values_mut().map(|call| &mut call.at);
            let times = times.chain(&mut self.told_at);
            times.for_each(|time| *time = time.saturating_sub(back));
            self.lanes.iter_mut().for_each(|lane| lane.set_back(back));
            let receipt = self.receipt.iter_mut().map(|receipt| &mut receipt.delivery);
            self.deliveries.values_mut().chain(receipt).for_each(|delivery| delivery.set_back(back));
        }
    }

    fn keep_only(&mut self, pending: &[Pending<K>]) {
        let keys: BTreeSet<K> = pending.iter().map(|item| item.key).collect();
        self.deliveries.retain(|key, _| keys.contains(key));
    }

    fn note_stalls(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.oldest = None);
        for call in self.calls.values() {
            if let Some(lane) = call.place.and_then(|place| self.lanes.get_mut(place)) {
                lane.oldest = Some(lane.oldest.map_or(call.at, |oldest| oldest.min(call.at)));
            }
        }
    }
}

/// A moment `seconds` from `now`, up to half as much later again.
fn later(now: u64, seconds: u64, rng: &mut dyn RngCore) -> u64 {
    now.saturating_add(seconds).saturating_add(jitter(seconds, rng))
}
