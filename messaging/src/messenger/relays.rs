//! Relays: places of other people's where our frames wait while the pod is away.
//!
//! The first [`ACTIVE_RELAYS`] that do their work hold queues for every contact; the others are spare. One that is dead for
//! long, or takes frames and does not give them out, changes places with a spare, and contacts get a new card through
//! those that still work.

use serde::{Deserialize, Serialize};

use super::{
    ContactId, ContactState, MailAnswer, Messenger, Notice, Reach, RefusedBecause, RelayView, Timestamp,
    contact::place_bytes,
    row::Key,
    turn::{CommandResult, Turn},
};
use crate::{
    Name,
    place::{Capability, Place},
    wire::{Refusal, Ticket},
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

/// How a relay stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelayState {
    /// Holds queues for every contact.
    Active,
    /// Waits to take another's place.
    Spare,
    /// Was away too long.
    Dead,
    /// Took frames and did not give them out.
    Withholding,
}

/// What is remembered of a relay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RelayRecord {
    #[serde(with = "place_bytes")]
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) token: Option<[u8; 32]>,
    pub(super) state: RelayState,
    pub(super) added_at: Timestamp,
    /// When it was last taken out of use.
    pub(super) retired_at: Option<Timestamp>,
}

/// A relay in memory.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) record: RelayRecord,
    connected: bool,
    /// Since when it is away, as far as it is known: from the first look after a start, until it was seen.
    away_since: Option<Timestamp>,
    detail: Option<String>,
    token: Option<Capability>,
}

impl Relay {
    pub(super) fn from_record(record: RelayRecord) -> Self {
        let token = record.token.map(Capability::from_bytes);
        Self { record, connected: false, away_since: None, detail: None, token }
    }

    /// Holds queues, or could.
    fn is_of_use(&self) -> bool {
        matches!(self.record.state, RelayState::Active | RelayState::Spare)
    }

    pub(super) fn ticket(&self) -> Ticket {
        self.token.clone().map_or(Ticket::Open, Ticket::Token)
    }

    /// A spare, or one that was dead, which may have come back by now.
    fn may_be_promoted(&self, now: Timestamp) -> bool {
        let rested = self.record.retired_at.is_some_and(|at| now >= at.saturating_add(DEAD_FOR));
        match self.record.state {
            RelayState::Spare => true,
            RelayState::Dead => rested,
            RelayState::Active | RelayState::Withholding => false,
        }
    }
}

impl Messenger {
    /// When a relay has been away too long.
    pub(super) fn next_retirement(&self) -> Option<Timestamp> {
        self.relays.values().filter_map(|relay| self.retires_at(relay)).min()
    }

    fn retires_at(&self, relay: &Relay) -> Option<Timestamp> {
        let since = relay.away_since.filter(|_| relay.record.state == RelayState::Active)?;
        // With none to be seen it may be the pod itself that is cut off.
        let some_answer = self.relays.values().any(|relay| relay.connected);
        Some(since.saturating_add(if some_answer { DEAD_AFTER } else { DEAD_FOR }))
    }

    /// The places of relays in use.
    pub(super) fn active_relays(&self) -> Vec<Place> {
        let active = self.relays.values().filter(|relay| relay.record.state == RelayState::Active);
        active.map(|relay| relay.record.place).collect()
    }

    /// A relay for an invite: one that answers, if any does.
    pub(super) fn best_relay(&self) -> Option<Place> {
        let active = self.relays.values().filter(|relay| relay.record.state == RelayState::Active);
        active.max_by_key(|relay| (relay.connected, relay.detail.is_none())).map(|relay| relay.record.place)
    }

    /// The relay in use that comes after this one, in a circle; none where there is no other.
    pub(super) fn relay_after(&self, place: &Place) -> Option<Place> {
        let others: Vec<Place> = self.active_relays().into_iter().filter(|other| other != place).collect();
        others.iter().find(|other| *other > place).or(others.first()).copied()
    }

    pub(super) fn relay_list(&self) -> Vec<RelayView> {
        let view = |relay: &Relay| RelayView {
            place: relay.record.place,
            name: Name::new(&relay.record.name).expect("checked when it was added"),
            state: relay.record.state,
            connected: relay.connected,
            queues: self.queues_at(&relay.record.place),
            detail: relay.detail.clone(),
        };
        self.relays.values().map(view).collect()
    }

    fn queues_at(&self, place: &Place) -> u32 {
        let queues = self.contacts.values().flat_map(|contact| &contact.record.queues);
        queues.filter(|queue| queue.place == *place && queue.is_open()).count() as u32
    }

    /// Counts a frame that a place gave out.
    pub(super) fn note_collected(&mut self, place: Place) {
        if let Some(relay) = self.relays.get_mut(&place) {
            relay.connected = true;
            relay.away_since = None;
        }
    }
}

impl Turn<'_> {
    pub(super) fn add_relay(
        &mut self,
        place: Place,
        name: &Name,
        token: Option<Capability>,
    ) -> CommandResult {
        if place == self.own()?.place {
            return Err(RefusedBecause::Conflict(
                "this is the pod itself: it holds queues for its contacts anyway".into(),
            ));
        }
        let room = self.messenger.relays.contains_key(&place) || self.messenger.relays.len() < MAX_RELAYS;
        if !room {
            return Err(RefusedBecause::Full {
                what: "relays",
                limit: MAX_RELAYS,
                remedy: "remove one first",
            });
        }
        let state = match self.messenger.relays.get(&place) {
            Some(known) if known.record.state == RelayState::Active => RelayState::Active,
            _ if self.messenger.active_relays().len() < ACTIVE_RELAYS => RelayState::Active,
            _ => RelayState::Spare,
        };
        let record = RelayRecord {
            place,
            name: name.as_str().to_owned(),
            token: token.map(|token| *token.as_bytes()),
            state,
            added_at: self.now,
            retired_at: None,
        };
        self.put(Key::Relay(place), &record);
        self.messenger.relays.insert(place, Relay::from_record(record));
        self.spread_queues();
        Ok(MailAnswer::Relays(self.messenger.relay_list()))
    }

    pub(super) fn remove_relay(&mut self, place: Place) -> CommandResult {
        let mut others = self.messenger.relays.values().filter(|relay| relay.record.place != place);
        if self.messenger.reach == Reach::Relays && !others.any(Relay::is_of_use) {
            return Err(RefusedBecause::Conflict(
                "nobody could reach the pod any more: add another relay first, or let contacts reach it directly"
                    .into(),
            ));
        }
        self.messenger.relays.remove(&place).ok_or(RefusedBecause::Unknown("relay"))?;
        self.remove(Key::Relay(place));
        self.promote_spare();
        self.spread_queues();
        self.expire_orphaned_invites();
        Ok(MailAnswer::Relays(self.messenger.relay_list()))
    }

    /// Lets contacts reach the pod so from now on: they get new cards, and invites with its address end where it is to
    /// be told no more.
    pub(super) fn set_reach(&mut self, reach: Reach) -> CommandResult {
        if reach == Reach::Relays && self.messenger.active_relays().is_empty() {
            return Err(RefusedBecause::Conflict("add a relay first: nobody could reach the pod".into()));
        }
        self.messenger.reach = reach;
        self.put(Key::Reach, &reach);
        self.spread_queues();
        self.expire_orphaned_invites();
        Ok(MailAnswer::Done)
    }

    /// Gives every contact queues at the relays in use, and takes down those elsewhere.
    fn spread_queues(&mut self) {
        let wanting = self.messenger.contacts.iter().filter(|(_, contact)| {
            matches!(contact.record.state, ContactState::Active | ContactState::Joining)
        });
        let wanting: Vec<ContactId> = wanting.map(|(id, _)| *id).collect();
        for id in wanting {
            self.make_queues(id);
        }
    }

    pub(super) fn subscribed(&mut self, place: Place, up: bool) {
        let now = self.now;
        if up && !self.messenger.relays.values().any(|relay| relay.connected) {
            // The pod itself was cut off: the others have as long as this one had.
            let away = self.messenger.relays.values_mut().filter_map(|relay| relay.away_since.as_mut());
            away.for_each(|since| *since = now);
        }
        let Some(relay) = self.messenger.relays.get_mut(&place) else { return };
        relay.connected = up;
        if up {
            relay.away_since = None;
            relay.detail = None;
        } else {
            relay.away_since.get_or_insert(now);
        }
        for contact in self.messenger.contacts.values_mut() {
            let queues = contact.record.queues.iter().filter(|queue| queue.place == place && queue.is_open());
            for queue in queues {
                if let Some(watch) = contact.volatile.audits.get_mut(&queue.id()) {
                    watch.connected(up, now);
                }
            }
        }
    }

    pub(super) fn relay_refused(&mut self, place: Place, refusal: &Refusal) {
        let Some(relay) = self.messenger.relays.get_mut(&place) else { return };
        let detail = refusal.to_string();
        if relay.detail.as_ref() != Some(&detail) {
            relay.detail = Some(detail.clone());
            self.notify(Notice::RelayTrouble(place, detail));
        }
    }

    /// Replaces relays that were away too long.
    pub(super) fn retire_dead_relays(&mut self) {
        self.note_unseen_relays();
        let messenger = &*self.messenger;
        let is_due = |relay: &&Relay| messenger.retires_at(relay).is_some_and(|at| at <= self.now);
        let Some(place) = messenger.relays.values().find(is_due).map(|relay| relay.record.place) else {
            return;
        };
        self.retire_relay(place, RelayState::Dead, "it was away too long");
    }

    /// Those that something is to be collected from, and that do not answer, are away from now on.
    fn note_unseen_relays(&mut self) {
        let Messenger { relays, contacts, .. } = &mut *self.messenger;
        let unseen = |relay: &&mut Relay| {
            relay.record.state == RelayState::Active && !relay.connected && relay.away_since.is_none()
        };
        for relay in relays.values_mut().filter(unseen) {
            let place = relay.record.place;
            let heard = contacts.values().filter(|contact| contact.record.state != ContactState::Blocked);
            let mut queues = heard.flat_map(|contact| &contact.record.queues);
            if queues.any(|queue| queue.place == place) {
                relay.away_since = Some(self.now);
            }
        }
    }

    /// Takes a relay out of use, if a spare can take its place.
    pub(super) fn retire_relay(&mut self, place: Place, state: RelayState, why: &str) {
        let now = self.now;
        let Some(spare) = self.promote_spare_for(place) else {
            // No better one: it stays, and is looked at again later.
            if let Some(relay) = self.messenger.relays.get_mut(&place) {
                relay.away_since = relay.away_since.map(|_| now);
            }
            self.relay_trouble(place, why);
            return;
        };
        if let Some(relay) = self.messenger.relays.get_mut(&place) {
            relay.record.state = state;
            relay.record.retired_at = Some(now);
            relay.detail = Some(why.to_owned());
            let record = relay.record.clone();
            self.put(Key::Relay(place), &record);
        }
        self.spread_queues();
        self.notify(Notice::RelayReplaced(place, spare));
    }

    /// A relay took frames and does not give them out.
    pub(super) fn relay_withholds(&mut self, place: Place) {
        if self.messenger.relays.contains_key(&place) {
            self.retire_relay(place, RelayState::Withholding, "it takes frames and does not give them out");
        }
    }

    fn relay_trouble(&mut self, place: Place, why: &str) {
        let Some(relay) = self.messenger.relays.get_mut(&place) else { return };
        if relay.detail.as_deref() != Some(why) {
            relay.detail = Some(why.to_owned());
            self.notify(Notice::RelayTrouble(place, why.to_owned()));
        }
    }

    fn promote_spare_for(&mut self, place: Place) -> Option<Place> {
        let active = self.messenger.relays.get(&place)?.record.state == RelayState::Active;
        if active { self.promote_spare() } else { None }
    }

    fn promote_spare(&mut self) -> Option<Place> {
        let now = self.now;
        let relays = self.messenger.relays.values_mut().filter(|relay| relay.may_be_promoted(now));
        let best = relays.min_by_key(|relay| relay.record.retired_at)?;
        best.record.state = RelayState::Active;
        best.away_since = None;
        let record = best.record.clone();
        self.put(Key::Relay(record.place), &record);
        Some(record.place)
    }
}
