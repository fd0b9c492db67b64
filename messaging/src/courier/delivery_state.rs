//! Where one item has been, and where it should go next: the rounds by which a part, chunk or receipt reaches more
//! places the longer no receipt for it comes.
//!
//! ```text
//!   round 0   the contact's own pod alone
//!      │      it does not answer, hangs, or DIRECT_WAIT passes without a receipt
//!   round 1   COPIES relays
//!      │      RELAY_WAITS[0] passes
//!   round 2+  every place that does not have it; the wait grows to a day
//! ```
//!
//! A place *has* an item from its acceptance on. Two lost receipts cost a frame or two more; a lost item costs
//! nothing but time, since the item stays due until the owner stops listing it.

use rand_core::RngCore;

use super::later;
use super::place_health::PlaceHealth;

/// Seconds without a receipt after which what went to the contact's own pod goes to relays too.
///
/// A round trip over an onion connection takes one to three seconds; after ten the pod is most likely away.
pub const DIRECT_WAIT: u64 = 10;

/// Relays that get a copy at first.
pub const COPIES: usize = 2;

/// The same for what is bulk: a file costs its sender and the relays enough already.
pub(super) const BULK_COPIES: usize = 1;

/// Seconds without a receipt after which an item goes again to the contact's own pod and to all relays that do not have
/// it: the last one over and over.
pub const RELAY_WAITS: [u64; 5] = [60, 600, 3_600, 21_600, 86_400];

/// Relays get an item again that they accepted, in case they lost it: after this round (7 hours), and then every
/// [`REPEAT_EVERY`] rounds (a week). They keep frames for 21 days, so one holds at most 4 copies of an item for a contact
/// who is away: their queues stay free for what is new.
const REPEAT_FROM: usize = 5;
/// Rounds between two repeats at relays that accepted an item; see `REPEAT_FROM`.
const REPEAT_EVERY: usize = 7;

/// Where one item has been: bit `i` of a set stands for place `i`.
#[derive(Debug, Clone)]
pub(super) struct DeliveryState {
    /// Due from this moment on.
    pub(super) since: u64,
    /// Which relay comes first for this item: items spread over the relays, so that each carries its share.
    turn: usize,
    /// How many relays get it in round 1: [`COPIES`], or [`BULK_COPIES`] for a chunk.
    copies: usize,
    /// When it first left for the contact's own pod.
    direct_at: Option<u64>,
    /// 0: own pod only. 1: so many relays. Above: everywhere.
    round: usize,
    /// When the next round begins, seconds; counts only above round 0.
    round_ends: u64,
    /// The next round begins because the contact shows signs of life: relays get the item again.
    repeat: bool,
    /// How often a sign of life has shortened a round: the wait doubles with each, so that a contact who reads and
    /// does not acknowledge gets ever fewer copies.
    repeats: u32,
    /// Places to which a call with this item is on its way.
    flying: Places,
    /// Places that accepted it, as far as that is believed: some rounds forget it on purpose, so that the item is
    /// left there again.
    held: Places,
}

/// A set of places of one card, which names at most eight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Places(u16);

impl Places {
    fn has(self, place: usize) -> bool {
        self.0 & bit(place) != 0
    }

    fn set(&mut self, place: usize, on: bool) {
        self.0 = if on { self.0 | bit(place) } else { self.0 & !bit(place) };
    }
}

/// The bit of a place; none for a number that no card can have, so that such a place is never a member.
fn bit(place: usize) -> u16 {
    u32::try_from(place).ok().and_then(|place| 1_u16.checked_shl(place)).unwrap_or(0)
}

impl DeliveryState {
    /// An item that is due from `since` on and has been nowhere.
    pub(super) fn new(since: u64, turn: usize, copies: usize) -> Self {
        let (flying, held) = (Places::default(), Places::default());
        let (repeat, repeats) = (false, 0);
        Self { since, turn, copies, direct_at: None, round: 0, round_ends: 0, repeat, repeats, flying, held }
    }

    /// Whether it is a chunk of a file: known by the number of its copies.
    pub(super) fn is_bulk(&self) -> bool {
        self.copies == BULK_COPIES
    }

    /// Begins the next round if it is time.
    ///
    /// To be called before [`wants`](Self::wants). One call begins one round at most: after a long sleep the rounds
    /// that were missed are not made up for.
    pub(super) fn advance(&mut self, now: u64, lanes: &[PlaceHealth], rng: &mut dyn RngCore) {
        if self.round == 0 {
            if self.needs_relays(now, lanes) {
                self.round = 1;
                self.round_ends = later(now, RELAY_WAITS[0], rng);
            }
        } else if now >= self.round_ends {
            let wait = RELAY_WAITS[self.round.min(RELAY_WAITS.len() - 1)];
            self.round += 1;
            self.round_ends = later(now, wait, rng);
            let again = self.round.checked_sub(REPEAT_FROM).is_some_and(|past| past % REPEAT_EVERY == 0);
            let repeat = std::mem::take(&mut self.repeat);
            self.repeats += u32::from(repeat);
            let stays = |place: &usize| !again && !repeat && !lanes[*place].is_own() && self.held.has(*place);
            self.held = Places((0..lanes.len()).filter(stays).fold(0, |set, place| set | bit(place)));
        }
    }

    /// The contact is there: a receipt should come within a minute, or twice as long each time it does not.
    pub(super) fn heard_from(&mut self, now: u64) {
        let until = now + (RELAY_WAITS[0] << self.repeats.min(10));
        if self.round > 0 && until < self.round_ends {
            self.round_ends = until;
            self.repeat = true;
        }
    }

    /// Places that should get it now.
    ///
    /// The own pod is always among them while it does not have the item; relays only from round 1 on, those that
    /// answer first. Whether a place has a free call is for the caller to see to.
    pub(super) fn wants(&self, now: u64, lanes: &[PlaceHealth]) -> Vec<usize> {
        let open = |place: &usize| !self.has_been(*place) && lanes[*place].can_take(now);
        let mut wanted: Vec<usize> = own(lanes).filter(open).collect();
        let relays = match self.round {
            0 => 0,
            1 => self.copies.saturating_sub(self.relay_copies(now, lanes)),
            _ => lanes.len(),
        };
        if relays == 0 {
            return wanted;
        }
        // Those that answer come first; the others fill up.
        let (well, ill): (Vec<_>, Vec<_>) =
            self.relays(lanes).filter(open).partition(|place| lanes[*place].is_well(now));
        wanted.extend(well.into_iter().chain(ill).take(relays));
        wanted
    }

    /// Places that should get it now, for a mere receipt: it troubles no place that failed unless there is no other.
    ///
    /// A receipt alone is worth less than what it acknowledges: if it is lost, the contact repeats a part and a new
    /// receipt is owed. So it goes direct if it can, to relays where the pod does not answer, and to a place that
    /// failed only if it could not leave otherwise.
    pub(super) fn receipt_wants(&self, now: u64, lanes: &[PlaceHealth]) -> Vec<usize> {
        let up = |place: &usize| lanes[*place].is_up();
        let mut wanted: Vec<usize> = own(lanes).filter(up).collect();
        if self.needs_relays(now, lanes) {
            let room = self.copies.saturating_sub(self.relay_copies(now, lanes));
            wanted.extend(self.relays(lanes).filter(|place| up(place) && !self.has_been(*place)).take(room));
        }
        wanted.retain(|place| !self.has_been(*place));
        if wanted.is_empty() && !self.was_sent() {
            wanted.extend((0..lanes.len()).filter(|place| lanes[*place].can_take(now)));
        }
        wanted
    }

    /// Whether enough places took it for a mere receipt, which is never acknowledged.
    ///
    /// The own pod is enough; else as many relays as get copies, or all that work if those are fewer, and one at
    /// least.
    pub(super) fn receipt_done(&self, lanes: &[PlaceHealth]) -> bool {
        let held = |place: &usize| self.held.has(*place);
        let up = self.relays(lanes).filter(|place| lanes[*place].is_up()).count();
        let enough = self.copies.min(up).max(1);
        own(lanes).any(|place| self.held.has(place)) || self.relays(lanes).filter(held).count() >= enough
    }

    /// Moments at which [`wants`](Self::wants) may say something else though nothing happened: when the item becomes
    /// due, and when its round ends.
    pub(super) fn wakes(&self, lanes: &[PlaceHealth]) -> impl Iterator<Item = u64> + use<> {
        let round = if self.round > 0 { Some(self.round_ends) } else { self.direct_until(lanes) };
        [Some(self.since), round].into_iter().flatten()
    }

    /// A frame with it left for this place.
    pub(super) fn sent(&mut self, place: usize, own: bool, now: u64) {
        self.flying.set(place, true);
        if own {
            self.direct_at.get_or_insert(now);
        }
    }

    /// The call to this place ended. What was not accepted is due there again.
    pub(super) fn ended(&mut self, place: usize, accepted: bool) {
        self.flying.set(place, false);
        if accepted {
            self.held.set(place, true);
        }
    }

    /// Whether it is on its way or has arrived anywhere.
    pub(super) fn was_sent(&self) -> bool {
        self.flying.0 | self.held.0 != 0
    }

    /// The clock was set back by so many seconds: all moments move with it.
    pub(super) fn set_back(&mut self, seconds: u64) {
        for time in [&mut self.since, &mut self.round_ends].into_iter().chain(&mut self.direct_at) {
            *time = time.saturating_sub(seconds);
        }
    }

    /// The card changed: `moved` gives the new index of an old place, or none where it is gone. What was held at a
    /// place that is gone counts no longer.
    pub(super) fn change_places(&mut self, moved: &dyn Fn(usize) -> Option<usize>) {
        for set in [&mut self.flying, &mut self.held] {
            let old = std::mem::take(set);
            (0..16).filter(|place| old.has(*place)).filter_map(moved).for_each(|place| set.set(place, true));
        }
    }

    /// Whether it is at this place, or on its way there.
    fn has_been(&self, place: usize) -> bool {
        self.flying.has(place) || self.held.has(place)
    }

    /// The contact's own pod does not answer, is slow, or has not led to a receipt.
    fn needs_relays(&self, now: u64, lanes: &[PlaceHealth]) -> bool {
        own(lanes).all(|place| !lanes[place].is_up() || lanes[place].is_stalled(now))
            || self.direct_until(lanes).is_some_and(|until| now >= until)
    }

    /// When the wait for a receipt of what went direct is over. What the contact's pod has accepted is safe there: then
    /// only a lost receipt is waited for.
    fn direct_until(&self, lanes: &[PlaceHealth]) -> Option<u64> {
        let safe = own(lanes).any(|place| self.held.has(place));
        self.direct_at.map(|at| at + if safe { RELAY_WAITS[0] } else { DIRECT_WAIT })
    }

    /// Relays that have it, or will soon: one that does not answer counts no more.
    fn relay_copies(&self, now: u64, lanes: &[PlaceHealth]) -> usize {
        let soon = |place: usize| self.flying.has(place) && !lanes[place].is_stalled(now);
        let relays = (0..lanes.len()).filter(|place| !lanes[*place].is_own());
        relays.filter(|place| self.held.has(*place) || soon(*place)).count()
    }

    /// Relays in this item's order.
    /// Relays are rotated, not shuffled: an item keeps its order for good, so that two plans of one moment agree.
    fn relays(&self, lanes: &[PlaceHealth]) -> impl Iterator<Item = usize> + use<> {
        let mut relays: Vec<usize> = (0..lanes.len()).filter(|place| !lanes[*place].is_own()).collect();
        let by = self.turn % relays.len().max(1);
        relays.rotate_left(by);
        relays.into_iter()
    }
}

/// The contact's own pod: at most one place, where a card names it.
fn own(lanes: &[PlaceHealth]) -> impl Iterator<Item = usize> + '_ {
    (0..lanes.len()).filter(|place| lanes[*place].is_own())
}
