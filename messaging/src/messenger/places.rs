//! Queues of ours for contacts: made at every place of ours, opened, found missing, closed.

use zeroize::Zeroizing;

use super::{
    ContactId, ContactState, RefusalReason,
    contact::Contact,
    network::{Purpose, QueueOwner},
    own_queue::{OwnQueue, QueueState},
    relays::RelayEvent,
    turn::Turn,
};
use crate::{
    RelayAudit,
    lane::Unreached,
    place::{Place, QueueId},
    wire::{Refusal, Response},
};

/// Pause before a place is asked again to make a queue, seconds; doubled each time.
const FIRST_PAUSE: u64 = 2;
const LONGEST_PAUSE: u64 = 900;

impl Contact {
    /// Queues that their places do not have.
    fn unopened(&self) -> impl Iterator<Item = &OwnQueue> {
        self.record.queues.iter().filter(|queue| !queue.is_open() || self.volatile.lost.contains(&queue.id()))
    }

    /// Queues of which frames are taken.
    pub(super) fn heard_queues(&self) -> impl Iterator<Item = &OwnQueue> {
        let heard = self.record.state != ContactState::Blocked;
        self.record.queues.iter().filter(move |_| heard)
    }
}

impl Turn<'_> {
    /// A place has lost a queue of ours: it is made anew, under its name, so that contacts need not be told.
    pub(super) fn missing(&mut self, place: Place, queue: QueueId) {
        match self.messenger.network.owner_of(&queue) {
            Some(QueueOwner::Contact(id)) => {
                let Some(contact) = self.messenger.contacts.get_mut(&id) else {
                    return self.cx.refuse(RefusalReason::NoContact);
                };
                if contact.record.queues.iter().any(|own| own.id() == queue && own.place == place) {
                    contact.volatile.lost.insert(queue);
                    self.touch(id);
                }
            }
            Some(QueueOwner::Invite(id)) => {
                self.messenger.invites.lost(&mut self.cx, &mut self.messenger.network, id);
            }
            None => self.cx.refuse(RefusalReason::UnknownQueue),
        }
    }

    /// Makes a queue for a contact at every place of ours that has none, and asks relays to open theirs.
    pub(super) fn make_queues(&mut self, id: ContactId) {
        let Some(places) = self.messenger.own_places() else { return };
        let (wanted, home) = (places.wanted(), places.own.place);
        let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
        let (kept, gone): (Vec<_>, Vec<_>) =
            contact.record.queues.drain(..).partition(|queue| wanted.contains(&queue.place));
        contact.record.queues = kept;
        if contact.record.queue_seed == [0; 32] {
            self.cx.rng.fill_bytes(&mut contact.record.queue_seed);
        }
        let seed = Zeroizing::new(contact.record.queue_seed);
        for place in wanted {
            if !contact.record.queues.iter().any(|queue| queue.place == place) {
                contact.record.queues.push(OwnQueue::derive(&seed, place, place == home));
            }
        }
        // On cards the pod comes first.
        contact.record.queues.sort_by_key(|queue| queue.place != home);
        contact.volatile.open_at = self.now;
        for queue in &contact.record.queues {
            self.messenger.network.lead(queue.id(), QueueOwner::Contact(id));
        }
        // What is counted there begins anew if the place comes back.
        contact.volatile.audits.retain(|watched, _| gone.iter().all(|queue| queue.id() != *watched));
        for queue in &gone {
            self.messenger.network.drop_queue(&mut self.cx, queue, queue.lane());
        }
        self.thread_changed_quietly(id);
        self.messenger.network.queues_changed();
        self.record_changed(id);
    }

    /// Asks for queues that are not open yet.
    pub(super) fn open_queues(&mut self, id: ContactId) {
        let now = self.now;
        let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
        let closed: Vec<_> = contact.unopened().cloned().collect();
        if closed.is_empty() || contact.volatile.opening > 0 || contact.volatile.open_at > now {
            return;
        }
        contact.volatile.opening = closed.len() as u32;
        contact.volatile.open_at =
            now + (FIRST_PAUSE << contact.volatile.open_tries.min(9)).min(LONGEST_PAUSE);
        contact.volatile.open_tries += 1;
        for queue in closed {
            let request = queue.open_request(self.messenger.relays.ticket_for(&queue.place), None);
            self.call(queue.place, queue.lane(), request, Purpose::OpenQueue(id, queue.id()));
        }
    }

    /// When queues that are not open yet are to be asked for again.
    pub(super) fn next_opening(&self, id: ContactId) -> Option<u64> {
        let contact = self.messenger.contacts.get(&id)?;
        let waits = contact.volatile.opening == 0 && contact.unopened().next().is_some();
        waits.then_some(contact.volatile.open_at)
    }

    pub(super) fn opened(&mut self, id: ContactId, queue: QueueId, outcome: Result<Response, Unreached>) {
        let now = self.now;
        self.touch(id);
        let Some(contact) = self.messenger.contacts.get_mut(&id) else {
            return self.cx.refuse(RefusalReason::NoContact);
        };
        contact.volatile.opening = contact.volatile.opening.saturating_sub(1);
        let Some(own) = contact.record.queues.iter_mut().find(|own| own.id() == queue) else { return };
        let place = own.place;
        match outcome {
            Ok(Response::Done) => {
                let was_lost = contact.volatile.lost.remove(&queue);
                contact.volatile.open_tries = 0;
                if was_lost && own.is_open() {
                    return self.messenger.network.collect_again(&queue);
                }
                let is_new = std::mem::replace(&mut own.state, QueueState::Open) == QueueState::New;
                if is_new {
                    contact.volatile.audits.entry(queue).or_insert_with(|| RelayAudit::new(now));
                }
                self.messenger.network.queues_changed();
                self.record_changed(id);
            }
            Ok(Response::Refused(refusal)) => {
                self.relay_event(RelayEvent::Refused { place, refusal: &refusal })
            }
            Ok(_) => self.relay_event(RelayEvent::Refused { place, refusal: &Refusal::Malformed }),
            Err(_) => {}
        }
    }

    /// Takes the queues of a contact down, to be made again one day.
    pub(super) fn close_queues(&mut self, id: ContactId) {
        let Ok(own) = self.own() else { return };
        let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
        let before = contact.record.queues.clone();
        for queue in
            contact.record.queues.iter_mut().filter(|queue| queue.place != own.place && queue.is_open())
        {
            queue.state = QueueState::Closed;
        }
        contact.volatile.audits.clear();
        contact.volatile.lost.clear();
        self.thread_changed_quietly(id);
        for queue in &before {
            self.messenger.network.drop_queue(&mut self.cx, queue, queue.lane());
        }
    }

    /// Gives every contact queues at the places in use, and takes down those elsewhere.
    pub(super) fn spread_queues(&mut self) {
        let wanting = self.messenger.contacts.iter().filter(|(_, contact)| {
            matches!(contact.record.state, ContactState::Active | ContactState::Joining)
        });
        let wanting: Vec<ContactId> = wanting.map(|(id, _)| *id).collect();
        for id in wanting {
            self.make_queues(id);
        }
    }
}
