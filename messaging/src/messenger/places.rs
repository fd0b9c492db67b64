//! Own queues at own places: opened, collected, acknowledged, closed; and calls in flight with what they are for.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{
    ContactId, ContactState, Effect, InviteId, Messenger, Reach,
    contact::{Contact, OwnQueue, QueueState},
    effect::Collection,
    publish::invite_lane,
    turn::Turn,
};
use crate::{
    RelayAudit,
    frame::Blob,
    lane::{CallId, Lane, LaneRole, Unreached},
    place::{Place, QueueId},
    wire::{Refusal, Request, Response, Ticket},
};

/// Lanes for collecting at one place. With up to 16 queues there each has a connection of its own, and the place cannot
/// tell that they belong together; beyond that some share one.
const COLLECT_LANES: u8 = 16;
/// Pause before a place is asked again to make a queue, seconds; doubled each time.
const FIRST_PAUSE: u64 = 2;
const LONGEST_PAUSE: u64 = 900;

/// Pause before acknowledgements that did not reach their place are told again, seconds: they only keep it tidy.
const ACK_AGAIN: u64 = 300;

/// What a call in flight is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    /// Frames for a contact.
    Deposit { contact: ContactId, probe: bool },
    /// A step of redeeming an invite.
    Join(ContactId),
    /// A reset on its way to one place.
    Reset(ContactId),
    /// A queue for a contact.
    OpenQueue(ContactId, QueueId),
    /// The queue and notice of an invite.
    Publish { invite: InviteId, with_notice: bool },
    /// Frames of a queue are safe here.
    Ack(QueueId),
    /// A queue is needed no more.
    Close,
}

/// Where a queue of ours leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueueOwner {
    Contact(ContactId),
    Invite(InviteId),
}

/// What was collected of a queue and is not yet acknowledged.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Collected {
    /// The highest number that is safe.
    safe: u64,
    /// The highest that the place was told.
    told: u64,
    in_flight: bool,
}

/// Acknowledgements owed to places.
pub(super) type AckBook = BTreeMap<QueueId, Collected>;

/// Whether a place may answer otherwise later.
pub(super) fn is_passing(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Busy { .. } | Refusal::WorkNeeded { .. } | Refusal::PlaceFull | Refusal::QueueFull
    )
}

impl Messenger {
    /// The right to a queue at one of our relays.
    pub(super) fn ticket_for(&self, place: &Place) -> Ticket {
        self.relays.get(place).map_or(Ticket::Open, super::relays::Relay::ticket)
    }

    /// The lane on which a queue is collected.
    fn collect_lane(&self, queue: &OwnQueue) -> Lane {
        let mut party = [0; 16];
        party[0] = queue.id().as_bytes()[0] % COLLECT_LANES;
        party[1] = 1;
        Lane { role: LaneRole::Collect, party }
    }

    fn own_queues(&self) -> impl Iterator<Item = (&OwnQueue, Lane)> {
        let of_contacts =
            self.contacts.values().filter(|contact| contact.record.state != ContactState::Blocked);
        let of_contacts = of_contacts.flat_map(|contact| &contact.record.queues);
        let of_contacts = of_contacts.map(|queue| (queue, self.collect_lane(queue)));
        let of_invites = self.invites.iter().filter(|(_, record)| record.is_read());
        of_contacts.chain(of_invites.map(|(id, record)| (&record.queue, invite_lane(*id))))
    }
}

impl Contact {
    /// Queues that their places do not have.
    fn unopened(&self) -> impl Iterator<Item = &OwnQueue> {
        self.record.queues.iter().filter(|queue| !queue.is_open() || self.volatile.lost.contains(&queue.id()))
    }
}

impl Turn<'_> {
    /// A place has lost a queue of ours: it is made anew, under its name, so that contacts need not be told.
    pub(super) fn missing(&mut self, place: Place, queue: QueueId) {
        match self.messenger.volatile.queues.get(&queue).copied() {
            Some(QueueOwner::Contact(id)) => {
                let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
                if contact.record.queues.iter().any(|own| own.id() == queue && own.place == place) {
                    contact.volatile.lost.insert(queue);
                    self.touch(id);
                }
            }
            Some(QueueOwner::Invite(id)) => self.publish_again(id),
            None => {}
        }
    }

    /// The place has it again: the subscription starts over.
    fn collect_again(&mut self, queue: QueueId) {
        // The place counts anew, and so do we.
        self.messenger.volatile.acks.remove(&queue);
        self.messenger.volatile.collecting = None;
        self.messenger.volatile.queues_changed = true;
    }

    /// Makes a queue for a contact at every place of ours that has none, and asks relays to open theirs.
    pub(super) fn make_queues(&mut self, id: ContactId) {
        let Ok(own) = self.own() else { return };
        let mut wanted = self.messenger.active_relays();
        if self.messenger.reach == Reach::Direct {
            wanted.insert(0, own.place);
        }
        let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
        let (kept, gone): (Vec<_>, Vec<_>) =
            contact.record.queues.drain(..).partition(|queue| wanted.contains(&queue.place));
        contact.record.queues = kept;
        if contact.record.queue_seed == [0; 32] {
            self.rng.fill_bytes(&mut contact.record.queue_seed);
        }
        let seed = Zeroizing::new(contact.record.queue_seed);
        for place in wanted {
            if !contact.record.queues.iter().any(|queue| queue.place == place) {
                contact.record.queues.push(OwnQueue::derive(&seed, place, place == own.place));
            }
        }
        // On cards the pod comes first.
        contact.record.queues.sort_by_key(|queue| queue.place != own.place);
        contact.volatile.open_at = self.now;
        for queue in &contact.record.queues {
            self.messenger.volatile.queues.insert(queue.id(), QueueOwner::Contact(id));
        }
        // What is counted there begins anew if the place comes back.
        contact.volatile.audits.retain(|watched, _| gone.iter().all(|queue| queue.id() != *watched));
        for queue in &gone {
            self.drop_queue(queue);
        }
        self.thread_changed_quietly(id);
        self.messenger.volatile.queues_changed = true;
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
            let request = Request::Open {
                queue: queue.id(),
                deposit: queue.deposit().hash(),
                collect: queue.collect().hash(),
                ticket: self.messenger.ticket_for(&queue.place),
                notice: None,
            };
            let lane = self.messenger.collect_lane(&queue);
            self.call(queue.place, lane, request, Call::OpenQueue(id, queue.id()));
        }
    }

    /// When queues that are not open yet are to be asked for again.
    pub(super) fn next_opening(&self, id: ContactId) -> Option<u64> {
        let contact = self.messenger.contacts.get(&id)?;
        let waits = contact.volatile.opening == 0 && contact.unopened().next().is_some();
        waits.then_some(contact.volatile.open_at)
    }

    fn opened(&mut self, id: ContactId, queue: QueueId, outcome: Result<Response, Unreached>) {
        let now = self.now;
        self.touch(id);
        let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
        contact.volatile.opening = contact.volatile.opening.saturating_sub(1);
        let Some(own) = contact.record.queues.iter_mut().find(|own| own.id() == queue) else { return };
        let place = own.place;
        match outcome {
            Ok(Response::Done) => {
                let was_lost = contact.volatile.lost.remove(&queue);
                contact.volatile.open_tries = 0;
                if was_lost && own.is_open() {
                    return self.collect_again(queue);
                }
                let is_new = std::mem::replace(&mut own.state, QueueState::Open) == QueueState::New;
                if is_new {
                    contact.volatile.audits.entry(queue).or_insert_with(|| RelayAudit::new(now));
                }
                self.messenger.volatile.queues_changed = true;
                self.record_changed(id);
            }
            Ok(Response::Refused(refusal)) => self.relay_refused(place, &refusal),
            Ok(_) => self.relay_refused(place, &Refusal::Malformed),
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
        before.iter().for_each(|queue| self.drop_queue(queue));
    }

    /// Takes a queue down, here and at its place.
    pub(super) fn drop_queue(&mut self, queue: &OwnQueue) {
        self.messenger.volatile.queues.remove(&queue.id());
        self.messenger.volatile.acks.remove(&queue.id());
        self.messenger.volatile.queues_changed = true;
        let lane = self.messenger.collect_lane(queue);
        self.close_queue(queue, lane);
    }

    pub(super) fn close_queue(&mut self, queue: &OwnQueue, lane: Lane) {
        let at_home = self.messenger.own.as_ref().is_some_and(|own| own.place == queue.place);
        if !at_home {
            let request = Request::Close { queue: queue.id(), collect: queue.collect() };
            self.call(queue.place, lane, request, Call::Close);
        }
    }

    /// Tells which queues are to be collected and served, where that changed.
    pub(super) fn announce_queues(&mut self) {
        let Ok(own) = self.own() else { return };
        if !std::mem::take(&mut self.messenger.volatile.queues_changed) {
            return;
        }
        let (mut serve, mut collect) = (Vec::new(), Vec::new());
        for (queue, lane) in self.messenger.own_queues() {
            if queue.place == own.place {
                serve.push(queue.id());
            } else if queue.is_open() {
                let capability = queue.collect();
                collect.push(Collection { place: queue.place, lane, queue: queue.id(), capability });
            }
        }
        if self.messenger.volatile.serving.as_ref() != Some(&serve) {
            self.messenger.volatile.serving = Some(serve.clone());
            self.effect(Effect::Serve(serve));
        }
        if self.messenger.volatile.collecting.as_ref() != Some(&collect) {
            self.messenger.volatile.collecting = Some(collect.clone());
            self.effect(Effect::Collect(collect));
        }
    }

    /// What became of a call.
    pub(super) fn called(&mut self, call: CallId, outcome: Result<Response, Unreached>) {
        match self.messenger.volatile.calls.remove(&call) {
            Some(Call::Deposit { contact, probe }) => self.deposited(contact, call.0, probe, &outcome),
            Some(Call::Join(contact)) => self.joined(contact, outcome),
            Some(Call::Reset(contact)) => self.reset_left(contact, &outcome),
            Some(Call::OpenQueue(contact, queue)) => self.opened(contact, queue, outcome),
            Some(Call::Publish { invite, with_notice }) => self.published(invite, with_notice, outcome),
            Some(Call::Ack(queue)) => self.ack_told(queue, outcome.is_ok()),
            Some(Call::Close) | None => {}
        }
    }

    /// A frame of one of our queues at a relay.
    pub(super) fn collected(&mut self, place: Place, queue: QueueId, number: u64, blob: &Blob) {
        self.messenger.note_collected(place);
        self.frame(queue, blob);
        let book = self.messenger.volatile.acks.entry(queue).or_default();
        book.safe = book.safe.max(number);
        self.tell_ack(place, queue);
    }

    /// One acknowledgement a queue is in flight at a time: those that come meanwhile are told together.
    fn tell_ack(&mut self, place: Place, queue: QueueId) {
        let Some(capability) = self.capability_of(queue) else { return };
        let Some(book) = self.messenger.volatile.acks.get_mut(&queue) else { return };
        if book.in_flight || book.told >= book.safe {
            return;
        }
        book.in_flight = true;
        book.told = book.safe;
        let up_to = book.safe;
        let (own_queue, lane) = capability;
        let request = Request::Ack { queue, collect: own_queue.collect(), up_to };
        self.call(place, lane, request, Call::Ack(queue));
    }

    fn ack_told(&mut self, queue: QueueId, reached: bool) {
        let Some(book) = self.messenger.volatile.acks.get_mut(&queue) else { return };
        book.in_flight = false;
        if !reached {
            // It may or may not have got there; until it has, the place gives out the same frames again.
            book.told = 0;
            self.messenger.volatile.acks_due.get_or_insert(self.now + ACK_AGAIN);
        } else if let Some((own, _)) = self.capability_of(queue) {
            self.tell_ack(own.place, queue);
        }
    }

    /// Tells places again what they did not hear.
    pub(super) fn retry_acks(&mut self) {
        if self.messenger.volatile.acks_due.is_none_or(|due| due > self.now) {
            return;
        }
        self.messenger.volatile.acks_due = None;
        let owed =
            self.messenger.volatile.acks.iter().filter(|(_, book)| book.told < book.safe && !book.in_flight);
        for queue in owed.map(|(queue, _)| *queue).collect::<Vec<_>>() {
            if let Some((own, _)) = self.capability_of(queue) {
                self.tell_ack(own.place, queue);
            }
        }
    }

    fn capability_of(&self, queue: QueueId) -> Option<(OwnQueue, Lane)> {
        match self.messenger.volatile.queues.get(&queue)? {
            QueueOwner::Contact(id) => {
                let contact = self.messenger.contacts.get(id)?;
                let own = contact.record.queues.iter().find(|own| own.id() == queue)?;
                Some((own.clone(), self.messenger.collect_lane(own)))
            }
            QueueOwner::Invite(id) => {
                let record = self.messenger.invites.get(id)?;
                Some((record.queue.clone(), invite_lane(*id)))
            }
        }
    }

    /// Somebody asks for a queue of our own at our own pod.
    pub(super) fn asked(&mut self, ticket: u64, request: Request) {
        let response = match request {
            Request::Deposit(frame) => match self.capability_of(frame.queue) {
                Some((own, _)) if own.deposit() == frame.capability => {
                    self.frame(frame.queue, &frame.blob);
                    Response::Done
                }
                _ => self.no_such_queue(),
            },
            Request::Redeem { queue, deposit } => match self.messenger.volatile.queues.get(&queue).copied() {
                Some(QueueOwner::Invite(id)) if self.messenger.invites[&id].queue.deposit() == deposit => {
                    self.notice_of(id).map_or(Response::Refused(Refusal::UnknownQueue), Response::Notice)
                }
                _ => self.no_such_queue(),
            },
            _ => self.no_such_queue(),
        };
        self.effect(Effect::Answer { ticket, response });
    }

    fn no_such_queue(&mut self) -> Response {
        self.messenger.volatile.refused.unknown_queue += 1;
        Response::Refused(Refusal::UnknownQueue)
    }

    /// A frame of one of our queues, whichever way it came.
    pub(super) fn frame(&mut self, queue: QueueId, blob: &Blob) {
        match self.messenger.volatile.queues.get(&queue).copied() {
            Some(QueueOwner::Contact(id)) => self.arrived(id, queue, blob),
            Some(QueueOwner::Invite(id)) => self.introduced(id, blob),
            None => self.messenger.volatile.refused.unknown_queue += 1,
        }
    }
}
