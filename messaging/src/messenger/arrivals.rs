//! Calls that ended and frames that came: each is routed to the contact or invite it belongs to.

use super::{
    ContactId, ContactState, MailAnswer, Reach, RefusalReason, RefusedBecause,
    context::CommandResult,
    effect::Effect,
    network::{Purpose, QueueOwner},
    own_queue::{OwnQueue, invite_lane},
    relays::{RelayEvent, RelaysChanged},
    row::Key,
    step::Own,
    turn::Turn,
};
use crate::{
    Name,
    frame::Blob,
    lane::{CallId, Lane, Unreached},
    place::{Capability, Place, QueueId},
    wire::{PlaceRefusal, Request, Response},
};

impl Turn<'_> {
    /// What became of a call.
    pub(super) fn called(&mut self, call: CallId, outcome: Result<Response, Unreached>) {
        match self.messenger.network.ended(call) {
            Some(Purpose::Deposit { contact, probe }) => {
                self.messenger.work.budget.release(probe);
                self.route(contact, |it| it.deposited(call.0, &outcome));
            }
            Some(Purpose::Redeem(contact)) => self.route(contact, |it| it.joined(outcome)),
            Some(Purpose::Reset(contact)) => self.route(contact, |it| it.reset_left(&outcome)),
            Some(Purpose::OpenQueue(contact, queue)) => self.route(contact, |it| it.opened(queue, outcome)),
            Some(Purpose::Publish { invite, with_notice }) => {
                let Some(own) = self.own_or_refuse() else { return };
                let (places, invites, network) = self.messenger.invites_and_places(&own);
                invites.published(&mut self.cx, network, places, invite, with_notice, outcome);
            }
            Some(Purpose::Ack(queue)) => self.ack_ended(queue, acknowledged(&outcome)),
            // A queue that its place did not close runs out there by itself.
            Some(Purpose::Close) => {}
            None => self.cx.refuse(RefusalReason::Superseded),
        }
    }

    /// An acknowledgement ended; what came meanwhile is acknowledged next.
    fn ack_ended(&mut self, queue: QueueId, reached: bool) {
        self.messenger.network.acknowledged(&queue, reached, self.now);
        if reached {
            self.acknowledge(queue);
        }
    }

    /// Acknowledges to the place of a queue the frames that are safe here.
    fn acknowledge(&mut self, queue: QueueId) {
        if let Some((own, lane)) = self.own_queue(queue) {
            self.messenger.network.acknowledge(&mut self.cx, &own, lane);
        }
    }

    /// Sends acknowledgements again that did not reach their places.
    pub(super) fn retry_acks(&mut self) {
        for queue in self.messenger.network.acks_due(self.now) {
            self.acknowledge(queue);
        }
    }

    /// A queue of ours, and the connection on which it is collected.
    fn own_queue(&mut self, queue: QueueId) -> Option<(OwnQueue, Lane)> {
        match self.messenger.network.owner_of(&queue)? {
            QueueOwner::Contact(id) => {
                let contact = self.messenger.contacts.get(&id)?;
                let own = contact.record().queues().iter().find(|own| own.id() == queue)?;
                Some((own.clone(), self.messenger.network.lane(own)))
            }
            QueueOwner::Invite(id) => Some((self.messenger.invites.queue(&id)?.clone(), invite_lane(id))),
        }
    }

    /// A frame of one of our queues at a relay.
    ///
    /// The frame is worked on before it is acknowledged, and the acknowledgement is an effect: it leaves after the
    /// rows.
    pub(super) fn collected(&mut self, place: Place, queue: QueueId, number: u64, blob: &Blob) {
        self.relay_event(RelayEvent::Collected(place));
        self.frame(queue, blob);
        if let Some((own, lane)) = self.own_queue(queue) {
            self.messenger.network.collected(&mut self.cx, &own, lane, number);
        }
    }

    /// Somebody asks for a queue of our own at our own pod.
    ///
    /// Everybody who can reach the pod may ask; only the right capability gets more than "no such queue".
    pub(super) fn asked(&mut self, ticket: u64, request: Request) {
        let response = match request {
            Request::Deposit(frame) => match self.own_queue(frame.queue) {
                Some((own, _)) if own.deposit() == frame.capability => {
                    self.frame(frame.queue, &frame.blob);
                    Response::Done
                }
                _ => self.no_such_queue(),
            },
            Request::Redeem { queue, deposit } => self.notice_asked(queue, &deposit),
            _ => self.no_such_queue(),
        };
        self.cx.effect(Effect::Answer { ticket, response });
    }

    /// Somebody redeems an invite at our own pod.
    fn notice_asked(&mut self, queue: QueueId, deposit: &Capability) -> Response {
        let Some(QueueOwner::Invite(id)) = self.messenger.network.owner_of(&queue) else {
            return self.no_such_queue();
        };
        if self.messenger.invites.queue(&id).is_none_or(|own| own.deposit() != *deposit) {
            return self.no_such_queue();
        }
        let notice = self.messenger.invites.notice_of(&mut self.cx, id);
        notice.map_or(Response::Refused(PlaceRefusal::UnknownQueue), Response::Notice)
    }

    /// The one answer to whatever is wrong: it does not tell what.
    fn no_such_queue(&mut self) -> Response {
        self.cx.refuse(RefusalReason::UnknownQueue);
        Response::Refused(PlaceRefusal::UnknownQueue)
    }

    /// A frame of one of our queues, whichever way it came. One of a contact who is blocked is dropped, and answered as
    /// any other.
    pub(super) fn frame(&mut self, queue: QueueId, blob: &Blob) {
        match self.messenger.network.owner_of(&queue) {
            Some(QueueOwner::Contact(id))
                if self.messenger.contact_state(id) == Some(ContactState::Blocked) =>
            {
                self.cx.refuse(RefusalReason::Blocked);
            }
            Some(QueueOwner::Contact(id)) => self.route(id, |it| it.arrived(queue, blob)),
            Some(QueueOwner::Invite(id)) => self.introduced(id, blob),
            None => self.cx.refuse(RefusalReason::UnknownQueue),
        }
    }

    /// A place has lost a queue of ours: it is made anew.
    pub(super) fn missing(&mut self, place: Place, queue: QueueId) {
        match self.messenger.network.owner_of(&queue) {
            Some(QueueOwner::Contact(id)) => self.route(id, |it| it.queue_lost(&place, queue)),
            Some(QueueOwner::Invite(id)) => {
                self.messenger.invites.lost(&mut self.cx, &mut self.messenger.network, id);
            }
            None => self.cx.refuse(RefusalReason::UnknownQueue),
        }
    }

    /// Gives every contact queues at the places in use, and takes down those elsewhere. One who is blocked gets no new ones.
    fn spread_queues(&mut self) {
        let all: Vec<(ContactId, ContactState)> =
            self.messenger.contacts.iter().map(|(id, contact)| (*id, contact.record().state())).collect();
        for (id, state) in all {
            match state {
                ContactState::Active | ContactState::Joining => {
                    self.with(id, |it| it.make_queues_in_turn());
                }
                ContactState::Blocked => drop(self.with(id, |it| it.leave_other_places())),
                ContactState::Asking | ContactState::Known => {}
            }
        }
    }

    /// After a start each queue is collected from a moment of its own. Lanes are given out in the order in which contacts
    /// came, so that the same queues share one after each start.
    pub(super) fn collect_in_turn(&mut self) {
        let super::Messenger { contacts, invites, network, .. } = &mut *self.messenger;
        let mut contacts: Vec<_> = contacts.iter().collect();
        contacts.sort_by_key(|(id, contact)| (contact.record().profile.created_at, **id));
        let of_contacts: Vec<_> = contacts.iter().flat_map(|(_, contact)| contact.heard_queues()).collect();
        for queue in &of_contacts {
            if !network.is_home(&queue.place) {
                network.lane(queue);
            }
        }
        for queue in of_contacts.into_iter().chain(invites.queues().map(|(_, queue, _)| queue)) {
            network.collect_in_turn(&mut self.cx, queue);
        }
    }

    /// The owner looks into this conversation: what lies at relays for it is collected now.
    pub(super) fn collect_now(&mut self, id: ContactId) {
        let super::Messenger { contacts, network, .. } = &mut *self.messenger;
        let queues = contacts.get(&id).into_iter().flat_map(|contact| contact.heard_queues());
        queues.for_each(|queue| network.collect_now(&queue.id()));
    }

    /// Announces which queues are to be collected and served, where that changed.
    pub(super) fn announce_queues(&mut self) {
        if self.messenger.own.is_none() || !self.messenger.network.take_changed() {
            return;
        }
        let super::Messenger { contacts, invites, network, .. } = &mut *self.messenger;
        let of_contacts = contacts.values().flat_map(|contact| contact.heard_queues());
        let of_contacts = of_contacts.map(|queue| (queue, None));
        let of_invites = invites.queues().map(|(_, queue, lane)| (queue, Some(lane)));
        network.announce(&mut self.cx, of_contacts.chain(of_invites));
    }

    /// Something happened to a relay. Where another takes its place, contacts get queues there.
    pub(super) fn relay_event(&mut self, event: RelayEvent<'_>) {
        if self.messenger.relays.handle(&mut self.cx, event) == RelaysChanged::Yes {
            self.spread_queues();
        }
    }

    /// The collection at a place works, or no longer does: frames that should come count from then on.
    pub(super) fn subscribed(&mut self, place: Place, up: bool) {
        self.relay_event(RelayEvent::Subscribed { place, up });
        for contact in self.messenger.contacts.values_mut() {
            let (record, volatile) = contact.split_mut();
            let queues = record.queues().iter().filter(|queue| queue.place == place && queue.is_open());
            for queue in queues {
                if let Some(audit) = volatile.audits.get_mut(&queue.id()) {
                    audit.connected(up, self.now);
                }
            }
        }
    }

    /// Replaces relays that were away too long.
    pub(super) fn retire_dead_relays(&mut self) {
        let super::Messenger { network, relays, .. } = &mut *self.messenger;
        let collected = |place: &Place| network.collects_at(place);
        if relays.handle(&mut self.cx, RelayEvent::Wake { collected: &collected }) == RelaysChanged::Yes {
            self.spread_queues();
        }
    }

    /// Adds a relay; contacts get queues there if it is to be used at once.
    pub(super) fn add_relay(
        &mut self,
        place: Place,
        name: &Name,
        token: Option<Capability>,
    ) -> CommandResult {
        if place.peer() == self.own()?.place.peer() {
            return Err(RefusedBecause::Conflict(
                "this is the pod itself: it holds queues for its contacts anyway".into(),
            ));
        }
        self.messenger.relays.add(&mut self.cx, place, name, token)?;
        self.spread_queues();
        Ok(MailAnswer::Relays(self.messenger.relay_list()))
    }

    /// Removes a relay with the queues there; invites that wait there end.
    pub(super) fn remove_relay(&mut self, place: Place) -> CommandResult {
        let own = self.own()?;
        self.messenger.relays.remove(&mut self.cx, place, self.messenger.reach)?;
        self.spread_queues();
        self.expire_orphaned_invites(&own);
        Ok(MailAnswer::Relays(self.messenger.relay_list()))
    }

    /// Lets contacts reach the pod so from now on: they get new cards, and invites end that name its address where it is
    /// no longer to be given out.
    pub(super) fn set_reach(&mut self, reach: Reach) -> CommandResult {
        let own = self.own()?;
        if reach == Reach::Relays && self.messenger.relays.active().is_empty() {
            return Err(RefusedBecause::Conflict("add a relay first: nobody could reach the pod".into()));
        }
        self.messenger.reach = reach;
        self.cx.put(Key::Reach, &reach);
        self.spread_queues();
        self.expire_orphaned_invites(&own);
        Ok(MailAnswer::Done)
    }

    /// Ends invites at places that are ours no more.
    pub(super) fn expire_orphaned_invites(&mut self, own: &Own) {
        let (places, invites, network) = self.messenger.invites_and_places(own);
        invites.expire_orphaned(&mut self.cx, network, places);
    }
}

/// Whether nothing more is to be done about an acknowledgement. A place that is full or busy refused it for the moment,
/// and keeps the frames until it has it: it is sent again, or the queue stays full.
fn acknowledged(outcome: &Result<Response, Unreached>) -> bool {
    !matches!(outcome, Err(_) | Ok(Response::Refused(PlaceRefusal::Busy { .. } | PlaceRefusal::PlaceFull)))
}
