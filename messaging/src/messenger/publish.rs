//! Invites at their places: published, published again, moved; and what others need to redeem one taken away.

use super::{
    InviteId, InviteState, Notice,
    contact::{FirstFlight, OwnQueue, QueueState},
    invites::InviteRecord,
    places::{Call, QueueOwner, is_passing},
    row::Key,
    turn::Turn,
};
use crate::{
    invite::Invite,
    lane::{Lane, LaneRole, Unreached},
    ratchet::OwnKeyPackage,
    wire::{QueueNotice, Request, Response},
};

/// Tries after which an invite is left at another relay, where there is one: the second comes seconds after the first.
const MOVE_AFTER: u32 = 2;

impl Turn<'_> {
    /// Asks the place of an invite to make its queue, with the key package as its notice while it can be redeemed.
    pub(super) fn publish(&mut self, id: InviteId) {
        let Some(record) = self.messenger.invites.get(&id) else { return };
        let (queue, with_notice) = (record.queue.clone(), record.is_open());
        let notice = self.notice_of(id);
        if notice.is_some() != with_notice {
            return;
        }
        let request = Request::Open {
            queue: queue.id(),
            deposit: queue.deposit().hash(),
            collect: queue.collect().hash(),
            ticket: self.messenger.ticket_for(&queue.place),
            notice,
        };
        self.messenger.volatile.publishing.entry(id).or_default().in_flight = 1;
        let call = Call::Publish { invite: id, with_notice };
        self.call(queue.place, invite_lane(id), request, call);
    }

    /// The place of an invite has lost it.
    pub(super) fn publish_again(&mut self, id: InviteId) {
        let Some(record) = self.messenger.invites.get_mut(&id) else { return };
        // The place counts anew, and so do we.
        self.messenger.volatile.acks.remove(&record.queue.id());
        match record.state {
            InviteState::Ready => {
                record.state = InviteState::Publishing;
                let record = record.clone();
                self.put(Key::Invite(id), &record);
            }
            InviteState::Confirmed => self.take_notice_away(id),
            _ => {}
        }
    }

    /// What the place said.
    pub(super) fn published(
        &mut self,
        id: InviteId,
        with_notice: bool,
        outcome: Result<Response, Unreached>,
    ) {
        let now = self.now;
        let Some(record) = self.messenger.invites.get_mut(&id) else { return };
        if with_notice != record.is_open() {
            // What was asked while it was still open says nothing of what is asked now.
            if let Some(flight) = self.messenger.volatile.publishing.get_mut(&id) {
                *flight = FirstFlight::default();
            }
            return;
        }
        if !with_notice {
            return self.notice_taken_away(id, &outcome);
        }
        let flight = self.messenger.volatile.publishing.entry(id).or_default();
        flight.in_flight = 0;
        if record.state != InviteState::Publishing {
            return;
        }
        match outcome {
            Ok(Response::Done) => {
                record.state = InviteState::Ready;
                record.queue.state = QueueState::Open;
                let record = record.clone();
                self.put(Key::Invite(id), &record);
                self.messenger.volatile.queues_changed = true;
                self.notify(Notice::InviteReady(id));
            }
            // A place that had it and lost it may take it again later: somebody may hold the invite, or wait to be confirmed.
            Ok(Response::Refused(refusal)) if !is_passing(&refusal) && !record.queue.is_open() => {
                record.state = InviteState::Failed;
                let record = record.clone();
                self.messenger.volatile.queues.remove(&record.queue.id());
                self.put(Key::Invite(id), &record);
                self.notify(Notice::InviteFailed(id, refusal.to_string()));
            }
            _ => {
                flight.put_off(now);
                if flight.tries >= MOVE_AFTER {
                    self.move_invite(id);
                }
            }
        }
    }

    /// What the place said to a queue without a notice.
    fn notice_taken_away(&mut self, id: InviteId, outcome: &Result<Response, Unreached>) {
        if *outcome != Ok(Response::Done) {
            if let Some(flight) = self.messenger.volatile.publishing.get_mut(&id) {
                flight.in_flight = 0;
                flight.put_off(self.now);
            }
            return;
        }
        self.messenger.volatile.publishing.remove(&id);
        let Some(record) = self.messenger.invites.get_mut(&id) else { return };
        // It may be the first that the place hears of it: the introduction came by hand.
        if !record.queue.is_open() {
            record.queue.state = QueueState::Open;
            let record = record.clone();
            self.put(Key::Invite(id), &record);
            self.messenger.volatile.queues_changed = true;
        }
    }

    /// The place of an invite that nobody can have yet does not answer: another of our relays takes it. The invite is
    /// another then, under the same id.
    fn move_invite(&mut self, id: InviteId) {
        let Some(old) = self.messenger.invites.get(&id).filter(|record| !record.queue.is_open()).cloned()
        else {
            return;
        };
        let invite = old.invite();
        let Some(place) = self.messenger.relay_after(&old.queue.place) else { return };
        let queue = OwnQueue::generate(place, false, self.rng);
        let mut psk = [0; 32];
        self.rng.fill_bytes(&mut psk);
        let moved =
            Invite::new(invite.expires(), invite.root(), psk, *invite.key_package_hash(), queue.address());
        self.messenger.volatile.queues.remove(&old.queue.id());
        self.messenger.volatile.queues.insert(queue.id(), QueueOwner::Invite(id));
        // Only the answer may have been lost.
        self.close_queue(&old.queue, invite_lane(id));
        let record = InviteRecord { bytes: moved.to_bytes().to_vec(), queue, ..old };
        self.put(Key::Invite(id), &record);
        self.messenger.invites.insert(id, record);
    }

    /// The notice of an invite: what waits at its place.
    pub(super) fn notice_of(&mut self, id: InviteId) -> Option<QueueNotice> {
        let record = self.messenger.invites.get(&id).filter(|record| record.is_open())?;
        let package = OwnKeyPackage::from_bytes(&record.package).ok()?;
        let invite = record.invite();
        invite.seal_notice(package.public(), self.rng).ok()
    }

    /// Asks the place to make the queue of an invite once more, now without what others would need to redeem it.
    pub(super) fn take_notice_away(&mut self, id: InviteId) {
        let at_home = self.messenger.own.as_ref().map(|own| own.place);
        if self.messenger.invites.get(&id).is_some_and(|record| Some(record.queue.place) != at_home) {
            self.messenger.volatile.publishing.entry(id).or_default();
        }
    }

    /// After a start: what a place was to be told, it may not have heard.
    pub(super) fn resume_invites(&mut self) {
        let confirmed =
            self.messenger.invites.iter().filter(|(_, record)| record.state == InviteState::Confirmed);
        let confirmed: Vec<_> = confirmed.map(|(id, _)| *id).collect();
        confirmed.into_iter().for_each(|id| self.take_notice_away(id));
    }
}

/// The connection of an invite, which is nobody else's.
pub(super) fn invite_lane(id: InviteId) -> Lane {
    let mut party = [0; 16];
    party[..8].copy_from_slice(&id.0);
    Lane { role: LaneRole::Collect, party }
}
