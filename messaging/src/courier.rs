//! What to send now, and to which places, for one contact.
//!
//! A courier never holds what is sent, only its name (a number of a part or chunk): the owner says each time what is
//! still unacknowledged. It holds no promise either: after a restart all that is unacknowledged is simply due again, so
//! nothing here is ever written down.
//!
//! Each place is a lane with its own health, so that a dead place delays no other; each contact has its own courier, so
//! that a dead contact delays no other, and a [`Budget`] shares out the calls of all.
//!
//! # How an item travels
//!
//! 1. It becomes due as soon as the owner lists it, and goes to the contact's own pod if the card names one.
//! 2. Where that pod does not answer, is slow, or gives no receipt within [`DIRECT_WAIT`] seconds, [`COPIES`] relays
//!    get the item too.
//! 3. After each of [`RELAY_WAITS`] it goes to every place that does not have it, and now and then again to those
//!    that do.
//! 4. It ends when the owner no longer lists it: an end-to-end receipt came, or the message expired.
//!
//! A place that accepts a frame has only stored it; nothing but the contact's receipt says that the contact has it.
//!
//! # What must stay true
//!
//! * The same state, time, list and random numbers give the same plan, so a simulation replays exactly.
//! * The plan of one call is bounded by the free calls of each place, whatever the owner lists.
//! * Time may go backwards (a clock that was set back): every wait keeps its length.

mod budget;
mod delivery_state;
mod place_health;
mod relay_audit;
mod shipment;
mod shipment_builder;

use std::collections::{BTreeMap, BTreeSet};

use rand_core::RngCore;

use crate::packet::{BESIDE_ITEMS, MAX_PACKET, MAX_PART};
use delivery_state::{BULK_COPIES, DeliveryState};
use place_health::{PlaceHealth, jitter};
use shipment_builder::ShipmentBuilder;

pub use budget::{Budget, MAX_CALLS};
pub use delivery_state::{COPIES, DIRECT_WAIT, RELAY_WAITS};
pub use place_health::{BACK_OFF_DIRECT, BACK_OFF_RELAY, MAX_IN_FLIGHT};
pub use relay_audit::{RelayAudit, SUSPECT_AFTER, SUSPECT_MISSING};
pub use shipment::{CallOutcome, Pending, Route, Shipment};

/// Most places of a contact: as many as a card names.
pub const MAX_PLACES: usize = 8;

/// Bytes that the items of one shipment may take: a packet of 11,900 B less all that may stand beside them (360 B). One
/// full part with its head (11,536 B) fits. A shipment that were longer would never leave, and all behind it would wait.
pub const SHIPMENT_BYTES: usize = MAX_PACKET - BESIDE_ITEMS;

const _: () = assert!(SHIPMENT_BYTES == 11_540 && ITEM_BYTES + MAX_PART <= SHIPMENT_BYTES);

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
    /// One for each place of the card, in the card's order.
    lanes: Vec<PlaceHealth>,
    /// The relay to start with, so that contacts spread over the relays they share.
    spread: usize,
    /// The time of the last plan.
    clock: u64,
    /// Where each listed item has been. An item that is not listed any more is dropped with the next plan.
    deliveries: BTreeMap<K, DeliveryState>,
    /// The receipt that is owed, if one is.
    receipt: Option<Receipt>,
    /// How many receipts were owed so far: the number of the newest.
    receipts: u64,
    /// When a receipt last left.
    told_at: Option<u64>,
    /// Calls on their way, by the number that the owner gave them.
    calls: BTreeMap<u64, Call<K>>,
}

/// A receipt that the contact waits for.
///
/// A receipt is not acknowledged, so it is done once enough places have taken it; if it is lost, the contact repeats
/// what it waits for and a new receipt is owed.
#[derive(Debug, Clone)]
struct Receipt {
    /// Counts the receipts of this courier, so that the outcome of a call that carried an older one does not end a
    /// newer one.
    number: u64,
    /// Where it has been; `since` is when it leaves at the latest.
    delivery: DeliveryState,
    /// Parts and chunks that wait for it.
    owed: u32,
}

/// One frame that was handed to the shell and whose outcome is not known yet.
#[derive(Debug, Clone)]
struct Call<K> {
    /// `None` when the place is gone meanwhile.
    place: Option<usize>,
    /// The items in the frame. Some may be settled by the time the call ends; those are passed over.
    keys: Vec<K>,
    /// Number of the receipt that was waiting when the frame left, if any: each packet carries the receipts of its
    /// moment.
    receipt: Option<u64>,
    /// Begins with a chunk of a file.
    bulk: bool,
    /// When it left, seconds.
    at: u64,
}

impl<K: Copy + Ord> Courier<K> {
    /// For a contact with these places, of which at most [`MAX_PLACES`] are used.
    ///
    /// `spread` chooses the relay that is tried first: give each contact another number, such as a byte of its key,
    /// and contacts who share relays load them evenly.
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
    ///
    /// The list must hold everything that is unacknowledged, in the order in which it should go: an item that is
    /// missing counts as settled and loses its history. Messages come before chunks of files in the plan only if they
    /// are listed before them.
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
    ///
    /// `None`: nothing is owed and nothing waits, or everything that waits hangs on a call whose outcome will come.
    #[must_use]
    pub fn next_wake(&self, now: u64) -> Option<u64> {
        let busy = !self.deliveries.is_empty() || self.receipt.is_some();
        let lanes = self.lanes.iter().filter(|_| busy).flat_map(PlaceHealth::wakes);
        let deliveries = self.deliveries.values().flat_map(|delivery| delivery.wakes(&self.lanes));
        let receipt = self.receipt.iter().map(|receipt| receipt.delivery.since);
        lanes.chain(deliveries).chain(receipt).filter(|at| *at > now).min()
    }

    /// A shipment is on its way, as a call that will have one outcome.
    ///
    /// Each shipment of [`next`](Self::next) that was handed over is reported once, with a number that is not in use.
    /// A place that is not on the card any more is ignored: its outcome will be too.
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

    /// All that waits is named anew: what was sent under the old names counts as not sent. Calls on their way still count
    /// for the health of their places.
    pub fn forget_deliveries(&mut self) {
        self.deliveries.clear();
        self.calls.values_mut().for_each(|call| call.keys.clear());
    }

    /// How a call ended. Unknown calls (of before a restart) are ignored.
    ///
    /// A refusal with a wait holds the place back for that long, but never longer than its longest back-off. The
    /// items of the call that are still listed become due again at other places.
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
    ///
    /// Receipts that are owed at the same time leave as one, [`ACK_DELAY`] after the first, or at once when
    /// [`ACK_AT_ONCE`] parts wait for it.
    pub fn owe_receipt(&mut self, now: u64, repeated: bool) {
        self.owe_receipt_at(now, now + ACK_DELAY, repeated);
        if let Some(receipt) = self.receipt.as_mut().filter(|receipt| receipt.owed >= ACK_AT_ONCE) {
            receipt.delivery.since = receipt.delivery.since.min(now);
        }
    }

    /// The same for a receipt that leaves at this moment, however much waits for it, or with one that leaves before.
    pub fn owe_receipt_at(&mut self, now: u64, at: u64, repeated: bool) {
        let missed = repeated && self.told_at.is_some_and(|told| now > told + MISSED_AFTER);
        let waiting = self.receipt.as_mut().filter(|receipt| !receipt.delivery.was_sent());
        let (mut owed, mut since) = (1, at);
        if let Some(waiting) = waiting {
            owed = waiting.owed.saturating_add(1);
            since = since.min(waiting.delivery.since);
            if !missed {
                waiting.owed = owed;
                waiting.delivery.since = since;
                return;
            }
        }
        self.receipts += 1;
        let turn = self.spread.wrapping_add(usize::try_from(self.receipts).unwrap_or(0));
        let copies = if missed { MAX_PLACES } else { COPIES };
        self.receipt =
            Some(Receipt { number: self.receipts, delivery: DeliveryState::new(since, turn, copies), owed });
    }

    /// The receipt that is owed, if one is, does not wait for something to ride with.
    pub fn hurry_receipt(&mut self, now: u64) {
        if let Some(receipt) = &mut self.receipt {
            receipt.delivery.since = receipt.delivery.since.min(now);
        }
    }

    /// A sign of life of the contact: its pod is tried again soon, and so are relays if there was nothing but failure.
    /// What it still does not acknowledge after a while is sent everywhere again, though relays said they have it.
    ///
    /// To be called for whatever was authenticated as theirs, a mere receipt too. Without it a contact who comes back
    /// after a week would wait a day for the next round.
    pub fn heard_from(&mut self, now: u64) {
        let cut_off = !self.lanes.iter().any(PlaceHealth::is_up);
        self.lanes.iter_mut().filter(|lane| cut_off || lane.is_own()).for_each(PlaceHealth::heard_from);
        self.deliveries.values_mut().for_each(|delivery| delivery.heard_from(now));
    }

    /// The contact's card changed. What is on its way to a place that stayed still counts.
    ///
    /// `places` is the new card in its order; [`Route::was`] links a place to its old index, so that its health, its
    /// count of accepted frames and what is in flight there stay known. The outcome of a call to a place that is gone
    /// is ignored.
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
    ///
    /// It is sent with each packet; the contact's [`RelayAudit`] compares it with what came out of its queue there. 0
    /// for an index beyond the card.
    #[must_use]
    pub fn accepted(&self, place: usize) -> u32 {
        self.lanes.get(place).map_or(0, PlaceHealth::count)
    }

    /// Whether the last call to a place went well, or none ended yet.
    ///
    /// False for an index beyond the card.
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
    ///
    /// Calls that begin with a chunk of a file do not count: a file must not hold back a line of text.
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

    /// Forgets items that the owner no longer lists: they were acknowledged, or given up.
    fn keep_only(&mut self, pending: &[Pending<K>]) {
        let keys: BTreeSet<K> = pending.iter().map(|item| item.key).collect();
        self.deliveries.retain(|key, _| keys.contains(key));
    }

    /// Tells each place when its oldest call left. A place whose call hangs for [`DIRECT_WAIT`] is passed by, though
    /// it has not failed yet.
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
///
/// The jitter keeps pods that failed together, at the restart of a relay, from trying again together.
fn later(now: u64, seconds: u64, rng: &mut dyn RngCore) -> u64 {
    now.saturating_add(seconds).saturating_add(jitter(seconds, rng))
}
