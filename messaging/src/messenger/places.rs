//! Queues of ours for contacts: made at every place of ours, opened, found missing, closed.
//!
//! The name of a queue follows from the contact's seed and the place, so a queue that is lost, closed or made from an
//! old backup comes back under the name that the contact knows. A card names open queues only: until a relay has made
//! one, contacts do not learn of it.

use super::{
    ContactState,
    contact::Contact,
    contact_turn::ContactTurn,
    network::{Purpose, QueueOwner},
    own_queue::{OwnQueue, QueueState},
    refusals::RefusalReason,
    step::Own,
    work::FollowUp,
};
use crate::{
    RelayAudit,
    lane::Unreached,
    place::{Place, QueueId},
    wire::{PlaceRefusal, Response},
};

/// Pause before a place is asked again to make a queue, seconds; doubled each time.
const FIRST_PAUSE: u64 = 2;
/// The pause grows no further, seconds.
const LONGEST_PAUSE: u64 = 900;

impl Contact {
    /// Queues that their places do not have, and should.
    fn unopened(&self) -> impl Iterator<Item = &OwnQueue> {
        self.heard_queues().filter(|queue| !queue.is_open() || self.volatile.lost.contains(&queue.id()))
    }

    /// Queues that our cards name, in this order: those that are open, and not where the pod was before.
    pub(super) fn card_queues(&self, own: &Own) -> impl Iterator<Item = &OwnQueue> {
        let earlier = own.earlier;
        self.record().queues().iter().filter(move |queue| queue.is_open() && Some(queue.place) != earlier)
    }

    /// Queues that are served and collected. Those of one who is blocked too, for a while: what comes there is dropped.
    pub(super) fn heard_queues(&self) -> impl Iterator<Item = &OwnQueue> {
        let heard = self.record().state() != ContactState::Blocked || self.record().blocked_since.is_some();
        self.record().queues().iter().filter(move |_| heard)
    }
}

impl ContactTurn<'_, '_> {
    /// Makes a queue for a contact at every place of ours that has none, and asks relays to open theirs.
    ///
    /// In a stage without queues there is nothing to do. Queues at places that are no longer ours are closed there.
    pub(super) fn make_queues(&mut self) {
        self.leave_other_places();
        let (wanted, home) = (self.places.wanted(), self.own.place);
        let (record, volatile) = self.contact.split_mut();
        let Some(queues) = record.queues_mut() else { return };
        if queues.seed == [0; 32] {
            self.cx.rng.fill_bytes(&mut queues.seed);
        }
        for place in wanted {
            if !queues.all.iter().any(|queue| queue.place == place) {
                queues.all.push(OwnQueue::derive(&queues.seed, place, place == home));
            }
        }
        // On cards the pod comes first.
        queues.all.sort_by_key(|queue| queue.place != home);
        for queue in &queues.all {
            self.network.lead(queue.id(), QueueOwner::Contact(self.id));
        }
        volatile.open_at = self.cx.now;
        self.network.queues_changed();
        self.record_changed();
    }

    /// Closes queues at places that are no longer ours.
    pub(super) fn leave_other_places(&mut self) {
        let places = self.places;
        let (record, volatile) = self.contact.split_mut();
        let Some(queues) = record.queues_mut() else { return };
        let (kept, gone): (Vec<_>, Vec<_>) =
            queues.all.drain(..).partition(|queue| places.keeps(&queue.place));
        queues.all = kept;
        // What is counted there begins anew if the place comes back.
        volatile.audits.retain(|audited, _| gone.iter().all(|queue| queue.id() != *audited));
        for queue in &gone {
            self.network.leave_queue(self.cx, queue);
        }
        if !gone.is_empty() {
            self.thread_changed_quietly();
            self.record_changed();
        }
    }

    /// The same for all contacts in one turn: each asks its places at a moment of its own.
    pub(super) fn make_queues_in_turn(&mut self) {
        self.make_queues();
        self.contact.volatile.open_at = self.moment_to_open();
        self.recheck_card_in_turn();
    }

    /// When queues that are not open yet are asked for, where those of other contacts are due too.
    fn moment_to_open(&mut self) -> u64 {
        let closed: Vec<OwnQueue> = self.contact.unopened().cloned().collect();
        let moment = |queue: &OwnQueue| {
            self.network.lane(queue);
            self.network.moment(self.cx, &queue.place)
        };
        closed.iter().map(moment).max().unwrap_or(self.cx.now)
    }

    /// Closes queues of ours that are not to be used any more, here and at their places.
    pub(super) fn drop_queues(&mut self, queues: &[OwnQueue]) {
        for queue in queues {
            let lane = self.network.lane(queue);
            self.network.drop_queue(self.cx, queue, lane);
        }
    }

    /// Asks for queues that are not open yet.
    ///
    /// All of a contact at once, then not before all of them were answered and the pause is over.
    pub(super) fn open_queues(&mut self) {
        let now = self.cx.now;
        let contact = &mut *self.contact;
        let closed: Vec<_> = contact.unopened().cloned().collect();
        // A clock that was set back must not hold it up for longer.
        contact.volatile.open_at = contact.volatile.open_at.min(now.saturating_add(LONGEST_PAUSE));
        if closed.is_empty() || contact.volatile.opening > 0 || contact.volatile.open_at > now {
            return;
        }
        contact.volatile.opening = closed.len() as u32;
        contact.volatile.open_at =
            now + (FIRST_PAUSE << contact.volatile.open_tries.min(9)).min(LONGEST_PAUSE);
        contact.volatile.open_tries += 1;
        for queue in closed {
            let request = queue.open_request(self.places.relays.ticket_for(&queue.place), None);
            let lane = self.network.lane(&queue);
            self.call(queue.place, lane, request, Purpose::OpenQueue(self.id, queue.id()));
        }
    }

    /// When queues that are not open yet are to be asked for again.
    pub(super) fn next_opening(&self) -> Option<u64> {
        let contact = &*self.contact;
        let waits = contact.volatile.opening == 0 && contact.unopened().next().is_some();
        waits.then_some(contact.volatile.open_at)
    }

    /// What a place answered to such a request.
    pub(super) fn opened(&mut self, queue: QueueId, outcome: Result<Response, Unreached>) {
        let now = self.cx.now;
        self.touch();
        let (record, volatile) = self.contact.split_mut();
        volatile.opening = volatile.opening.saturating_sub(1);
        let queues = record.queues_mut().map(|queues| &mut queues.all);
        let Some(own) = queues.into_iter().flatten().find(|own| own.id() == queue) else {
            // The queue was taken down while its place was asked.
            return self.cx.refuse(RefusalReason::Superseded);
        };
        let place = own.place;
        match outcome {
            Ok(Response::Done) => {
                let was_lost = volatile.lost.remove(&queue);
                volatile.open_tries = 0;
                if was_lost && own.is_open() {
                    return self.network.collect_again(&queue);
                }
                let is_new = std::mem::replace(&mut own.state, QueueState::Open) == QueueState::New;
                if is_new {
                    volatile.audits.entry(queue).or_insert_with(|| RelayAudit::new(now));
                }
                self.network.queues_changed();
                self.record_changed();
            }
            Ok(Response::Refused(refusal)) => self.follow_up(FollowUp::RelayRefused(place, refusal)),
            Ok(_) => self.follow_up(FollowUp::RelayRefused(place, PlaceRefusal::Malformed)),
            Err(_) => {}
        }
    }

    /// A place has lost a queue of ours: it is made anew, under its name, so that the contact's card stays true.
    pub(super) fn queue_lost(&mut self, place: &Place, queue: QueueId) {
        if self.contact.record().queues().iter().any(|own| own.id() == queue && own.place == *place) {
            self.contact.volatile.lost.insert(queue);
            // It may have lost all of them.
            let at = self.moment_to_open();
            let open_at = &mut self.contact.volatile.open_at;
            *open_at = at.max(*open_at);
            self.touch();
        } else {
            self.cx.refuse(RefusalReason::UnknownQueue);
        }
    }
}
