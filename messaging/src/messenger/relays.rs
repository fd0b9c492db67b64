//! Relays: places of other people's where our frames wait while the pod is away.
//!
//! The first [`ACTIVE_RELAYS`] that do their work hold queues for every contact; the others are spare. One that is dead for
//! long, or takes frames and does not give them out, changes places with a spare, and contacts get a new card through
//! those that still work.
//!
//! ```text
//!            added, or room              away, or withholding, and a spare is there
//!   Spare ───────────────────▶ Active ─────────────────────────────────────────────▶ Dead / Withholding
//!     ▲                          ▲                                                      │
//!     └── added again            └── promoted after a rest (Dead only) ─────────────────┘
//! ```
//!
//! A relay is trusted with nothing but its storage. That it is away, or keeps what it took, is found out and answered
//! by moving, which costs a card to each contact; so a move needs a spare to go to and a reason that lasts.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    answer::{RefusedBecause, RelayView},
    context::Context,
    effect::Notice,
    own_queue::place_bytes,
    refusals::RefusalReason,
    row::{Kept, Key},
    states::{Reach, RelayState, Timestamp},
    stored::text,
};
use crate::{
    Name,
    place::{Capability, Place},
    wire::{PlaceRefusal, Ticket},
};

/// Relays in use at a time: with the pod itself four places, so a card stays within one frame.
pub const ACTIVE_RELAYS: usize = 3;
/// Relays of a pod, spare ones included.
pub const MAX_RELAYS: usize = 16;
/// How long a relay may be away before a spare takes its place, seconds. Senders go around it at once; this is about
/// having enough places again, and a relay that restarts must not cause a move.
const DEAD_AFTER: u64 = 15 * 60;
/// How long a relay that was away too long is left alone, seconds. After that it is as good as a spare where there is no
/// other: most come back. Each move costs a card to every contact, so two that are dead change places four times a day.
const DEAD_FOR: u64 = 6 * 3_600;

/// What is remembered of a relay.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RelayRecord {
    #[serde(with = "place_bytes")]
    place: Place,
    /// What the owner calls it.
    #[serde(with = "text")]
    name: Name,
    /// The operator's invitation, where one is needed.
    token: Option<Zeroizing<[u8; 32]>>,
    state: RelayState,
    /// When the owner added it last.
    added_at: Timestamp,
    /// When it was last taken out of use.
    retired_at: Option<Timestamp>,
}

impl Kept for RelayRecord {}

impl fmt::Debug for RelayRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayRecord")
            .field("place", &self.place)
            .field("state", &self.state)
            .field("token", &self.token.as_ref().map(|_| "[secret]"))
            .finish_non_exhaustive()
    }
}

/// A relay in memory.
#[derive(Debug)]
struct Relay {
    record: RelayRecord,
    /// Whether frames are being collected there now.
    connected: bool,
    /// Since when it is away, as far as it is known: from the first look after a start, until it was seen.
    away_since: Option<Timestamp>,
    /// What is wrong, in words for the owner; none while nothing is.
    detail: Option<String>,
    token: Option<Capability>,
}

/// All relays of the pod, by place.
#[derive(Debug, Default)]
pub(super) struct Relays(BTreeMap<Place, Relay>);

/// What happened to relays.
pub(super) enum RelayEvent<'a> {
    /// The collection at a place works, or no longer does.
    Subscribed { place: Place, up: bool },
    /// A place gave out a frame.
    Collected(Place),
    /// A place does not make a queue.
    Refused { place: Place, refusal: &'a PlaceRefusal },
    /// A place took frames and does not give them out.
    Withholds(Place),
    /// Time has passed. These places should be connected, since something is collected there.
    Wake { collected: &'a dyn Fn(&Place) -> bool },
}

/// Whether contacts need queues at other places now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum RelaysChanged {
    No,
    Yes,
}

impl Relay {
    /// A relay of which nothing is known but its record.
    fn from_record(record: RelayRecord) -> Self {
        let token = record.token.as_deref().copied().map(Capability::from_bytes);
        Self { record, connected: false, away_since: None, detail: None, token }
    }

    /// Holds queues, or could.
    fn is_of_use(&self) -> bool {
        matches!(self.record.state, RelayState::Active | RelayState::Spare)
    }

    fn is_active(&self) -> bool {
        self.record.state == RelayState::Active
    }

    /// A spare, or one that was dead, which may have come back by now.
    fn may_be_promoted(&self, now: Timestamp) -> bool {
        // By a clock that was ahead it may have been retired at a time that is to come.
        let rested = self.record.retired_at.is_some_and(|at| at > now || now >= at.saturating_add(DEAD_FOR));
        match self.record.state {
            RelayState::Spare => true,
            RelayState::Dead => rested,
            RelayState::Active | RelayState::Withholding => false,
        }
    }

    /// Notes what is wrong, and tells the owner unless they know.
    fn trouble(&mut self, cx: &mut Context<'_>, detail: String) {
        if self.detail.as_ref() != Some(&detail) {
            self.detail = Some(detail.clone());
            cx.notify(Notice::RelayTrouble(self.record.place, detail));
        }
    }
}

impl Relays {
    /// A relay from its row.
    ///
    /// # Errors
    /// The record is that of another place.
    pub(super) fn restore(&mut self, place: Place, record: RelayRecord) -> Result<(), &'static str> {
        if record.place != place {
            return Err("it lies under another's name");
        }
        self.0.insert(place, Relay::from_record(record));
        Ok(())
    }

    /// Takes note of what happened.
    ///
    /// Says whether contacts need queues elsewhere: the caller makes them.
    pub(super) fn handle(&mut self, cx: &mut Context<'_>, event: RelayEvent<'_>) -> RelaysChanged {
        match event {
            RelayEvent::Subscribed { place, up } => self.subscribed(place, up, cx.now),
            RelayEvent::Collected(place) => self.seen(&place),
            RelayEvent::Refused { place, refusal } => {
                if let Some(relay) = self.0.get_mut(&place) {
                    relay.trouble(cx, refusal.to_string());
                }
            }
            // While the clock may be wrong, so may be the time that it was given.
            RelayEvent::Withholds(_) if !cx.clock_is_right => {}
            RelayEvent::Withholds(place) => {
                let why = "it takes frames and does not give them out";
                return self.retire(cx, place, RelayState::Withholding, why);
            }
            RelayEvent::Wake { collected } => {
                self.note_unseen(cx.now, collected);
                if let Some(place) = self.due(cx.now).filter(|_| cx.clock_is_right) {
                    return self.retire(cx, place, RelayState::Dead, "it was away too long");
                }
            }
        }
        RelaysChanged::No
    }

    /// The clock went back: what was seen by the old time was seen now.
    pub(super) fn clock_went_back(&mut self, now: Timestamp) {
        for relay in self.0.values_mut() {
            relay.away_since = relay.away_since.map(|since| since.min(now));
        }
    }

    /// Adds a relay, or takes it into use again.
    ///
    /// # Errors
    /// [`RefusedBecause::Full`] at [`MAX_RELAYS`].
    pub(super) fn add(
        &mut self,
        cx: &mut Context<'_>,
        place: Place,
        name: &Name,
        token: Option<Capability>,
    ) -> Result<(), RefusedBecause> {
        let room = self.0.contains_key(&place) || self.0.len() < MAX_RELAYS;
        if !room {
            return Err(RefusedBecause::Full {
                what: "relays",
                limit: MAX_RELAYS,
                remedy: "remove one first",
            });
        }
        let state = match self.0.get(&place) {
            Some(known) if known.is_active() => RelayState::Active,
            _ if self.active().len() < ACTIVE_RELAYS => RelayState::Active,
            _ => RelayState::Spare,
        };
        let record = RelayRecord {
            place,
            name: name.clone(),
            token: token.map(|token| Zeroizing::new(*token.as_bytes())),
            state,
            added_at: cx.now,
            retired_at: None,
        };
        cx.put(Key::Relay(place), &record);
        self.0.insert(place, Relay::from_record(record));
        Ok(())
    }

    /// Removes a relay; a spare takes its place.
    ///
    /// # Errors
    /// [`RefusedBecause::Unknown`], or [`RefusedBecause::Conflict`] where nobody could reach the pod any more.
    pub(super) fn remove(
        &mut self,
        cx: &mut Context<'_>,
        place: Place,
        reach: Reach,
    ) -> Result<(), RefusedBecause> {
        let mut others = self.0.values().filter(|relay| relay.record.place != place);
        if reach == Reach::Relays && !others.any(Relay::is_of_use) {
            return Err(RefusedBecause::Conflict(
                "nobody could reach the pod any more: add another relay first, or let contacts reach it directly"
                    .into(),
            ));
        }
        self.0.remove(&place).ok_or(RefusedBecause::Unknown("relay"))?;
        cx.remove(Key::Relay(place));
        self.promote_spare(cx);
        Ok(())
    }

    /// Whether it is a relay of ours, used or spare.
    pub(super) fn contains(&self, place: &Place) -> bool {
        self.0.contains_key(place)
    }

    /// The right to a queue there.
    pub(super) fn ticket_for(&self, place: &Place) -> Ticket {
        let token = self.0.get(place).and_then(|relay| relay.token.clone());
        token.map_or(Ticket::Open, Ticket::Token)
    }

    /// The places of relays in use.
    pub(super) fn active(&self) -> Vec<Place> {
        self.0.values().filter(|relay| relay.is_active()).map(|relay| relay.record.place).collect()
    }

    /// A relay for an invite: one that answers, if any does.
    pub(super) fn best(&self) -> Option<Place> {
        let active = self.0.values().filter(|relay| relay.is_active());
        active.max_by_key(|relay| (relay.connected, relay.detail.is_none())).map(|relay| relay.record.place)
    }

    /// The relay in use that comes after this one, in a circle; none where there is no other.
    pub(super) fn after(&self, place: &Place) -> Option<Place> {
        let others: Vec<Place> = self.active().into_iter().filter(|other| other != place).collect();
        others.iter().find(|other| *other > place).or(others.first()).copied()
    }

    /// All of them, with the number of queues that are kept at each.
    pub(super) fn list(&self, queues_at: impl Fn(&Place) -> u32) -> Vec<RelayView> {
        let view = |relay: &Relay| RelayView {
            place: relay.record.place,
            name: relay.record.name.clone(),
            state: relay.record.state,
            connected: relay.connected,
            queues: queues_at(&relay.record.place),
            detail: relay.detail.clone(),
        };
        self.0.values().map(view).collect()
    }

    /// When a relay has been away too long.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.0.values().filter_map(|relay| self.retires_at(relay)).min()
    }

    /// A relay in use that has been away too long.
    fn due(&self, now: Timestamp) -> Option<Place> {
        let is_due = |relay: &&Relay| self.retires_at(relay).is_some_and(|at| at <= now);
        self.0.values().find(is_due).map(|relay| relay.record.place)
    }

    /// When it will have been away too long. Much later while no relay answers: it is likely we who are cut off.
    fn retires_at(&self, relay: &Relay) -> Option<Timestamp> {
        let since = relay.away_since.filter(|_| relay.is_active())?;
        // With none to be seen it may be the pod itself that is cut off.
        let some_answer = self.0.values().any(|relay| relay.connected);
        Some(since.saturating_add(if some_answer { DEAD_AFTER } else { DEAD_FOR }))
    }

    /// It gave something out, so it is there.
    fn seen(&mut self, place: &Place) {
        if let Some(relay) = self.0.get_mut(place) {
            relay.connected = true;
            relay.away_since = None;
        }
    }

    /// The collection there came up or broke.
    fn subscribed(&mut self, place: Place, up: bool, now: Timestamp) {
        if up && !self.0.values().any(|relay| relay.connected) {
            // The pod itself was cut off: the others have as long as this one had.
            let away = self.0.values_mut().filter_map(|relay| relay.away_since.as_mut());
            away.for_each(|since| *since = now);
        }
        if let Some(relay) = self.0.get_mut(&place) {
            relay.connected = up;
            if up {
                relay.away_since = None;
                relay.detail = None;
            } else {
                relay.away_since.get_or_insert(now);
            }
        }
    }

    /// Those that something is to be collected from, and that do not answer, are away from now on.
    fn note_unseen(&mut self, now: Timestamp, collected: &dyn Fn(&Place) -> bool) {
        let unseen = |relay: &&mut Relay| {
            relay.is_active()
                && !relay.connected
                && relay.away_since.is_none()
                && collected(&relay.record.place)
        };
        self.0.values_mut().filter(unseen).for_each(|relay| relay.away_since = Some(now));
    }

    /// Takes a relay out of use, if a spare can take its place. With no better one it stays, and is looked at again later.
    fn retire(&mut self, cx: &mut Context<'_>, place: Place, state: RelayState, why: &str) -> RelaysChanged {
        let active = self.0.get(&place).is_some_and(Relay::is_active);
        let spare = if active { self.promote_spare(cx) } else { None };
        let Some(relay) = self.0.get_mut(&place) else {
            // It was removed meanwhile.
            cx.refuse(RefusalReason::Superseded);
            return RelaysChanged::No;
        };
        let Some(spare) = spare else {
            relay.away_since = relay.away_since.map(|_| cx.now);
            relay.trouble(cx, why.to_owned());
            return RelaysChanged::No;
        };
        relay.record.state = state;
        relay.record.retired_at = Some(cx.now);
        relay.detail = Some(why.to_owned());
        cx.put(Key::Relay(place), &relay.record);
        cx.notify(Notice::RelayReplaced(place, spare));
        RelaysChanged::Yes
    }

    /// The best spare goes into use: one that was never retired, or the one whose retirement is longest ago.
    fn promote_spare(&mut self, cx: &mut Context<'_>) -> Option<Place> {
        let relays = self.0.values_mut().filter(|relay| relay.may_be_promoted(cx.now));
        let best = relays.min_by_key(|relay| relay.record.retired_at)?;
        best.record.state = RelayState::Active;
        best.away_since = None;
        cx.put(Key::Relay(best.record.place), &best.record);
        Some(best.record.place)
    }
}

/// Equal in what rows hold.
impl PartialEq for Relays {
    fn eq(&self, other: &Self) -> bool {
        self.0.values().map(|relay| &relay.record).eq(other.0.values().map(|relay| &relay.record))
    }
}
