//! Invites at their places: published, published again, moved; and what others need to redeem one taken away.
//!
//! A place makes the queue of an invite and keeps its notice. Until it has said so once, nobody can have the invite,
//! so it may still move to another place; from then on it stays where it is, whatever happens to the place.

use zeroize::Zeroizing;

use super::{
    Context, FirstFlight, Invite, InviteId, InviteRecord, InviteStage, Invites, Key, Network, Notice,
    OwnKeyPackage, OwnPlaces, OwnQueue, QueueOwner, RefusalReason, StoredInvite, invite_lane,
};
use crate::{
    lane::Unreached,
    messenger::{
        network::{Purpose, is_passing},
        own_queue::QueueState,
    },
    wire::{QueueNotice, Response},
};

/// Tries after which an invite is left at another relay, where there is one: the second comes seconds after the first.
const MOVE_AFTER: u32 = 2;

impl Invites {
    /// Asks the place of an invite to make its queue, with the key package as its notice while it can be redeemed.
    ///
    /// Counted where the record is gone or our key package for it is damaged: it will be tried again.
    pub(super) fn publish(
        &mut self,
        cx: &mut Context<'_>,
        network: &mut Network,
        places: OwnPlaces<'_>,
        id: InviteId,
    ) {
        let Some(record) = self.records.get(&id) else { return cx.refuse(RefusalReason::NoInvite) };
        let (queue, with_notice) = (record.queue.clone(), record.is_open());
        let notice = if with_notice { self.notice_of(cx, id) } else { None };
        if notice.is_some() != with_notice {
            return cx.refuse(RefusalReason::BadKeys);
        }
        let request = queue.open_request(places.relays.ticket_for(&queue.place), notice);
        self.flights.entry(id).or_default().in_flight = 1;
        network.call(cx, queue.place, invite_lane(id), request, Purpose::Publish { invite: id, with_notice });
    }

    /// The place of an invite has lost it.
    pub(in crate::messenger) fn lost(&mut self, cx: &mut Context<'_>, network: &mut Network, id: InviteId) {
        let Some(record) = self.records.get_mut(&id) else { return cx.refuse(RefusalReason::NoInvite) };
        network.count_anew(&record.queue.id());
        match record.state {
            InviteStage::Ready => {
                record.state = InviteStage::Publishing;
                cx.put(Key::Invite(id), record);
            }
            InviteStage::Confirmed => self.take_notice_away(network, id),
            _ => {}
        }
    }

    /// What the place said.
    ///
    /// What was asked while the invite was open is ignored once it is not, and the other way round.
    pub(in crate::messenger) fn published(
        &mut self,
        cx: &mut Context<'_>,
        network: &mut Network,
        places: OwnPlaces<'_>,
        id: InviteId,
        with_notice: bool,
        outcome: Result<Response, Unreached>,
    ) {
        let Some(record) = self.records.get_mut(&id) else { return cx.refuse(RefusalReason::NoInvite) };
        if with_notice != record.is_open() {
            // What was asked while it was still open says nothing of what is asked now.
            if let Some(flight) = self.flights.get_mut(&id) {
                *flight = FirstFlight::default();
            }
            return cx.refuse(RefusalReason::Superseded);
        }
        if !with_notice {
            return self.notice_taken_away(cx, network, id, &outcome);
        }
        let flight = self.flights.entry(id).or_default();
        flight.in_flight = 0;
        if record.state != InviteStage::Publishing {
            return cx.refuse(RefusalReason::Superseded);
        }
        match outcome {
            Ok(Response::Done) => {
                record.state = InviteStage::Ready;
                record.queue.state = QueueState::Open;
                cx.put(Key::Invite(id), record);
                network.queues_changed();
                cx.notify(Notice::InviteReady(id));
            }
            // A place that had it and lost it may take it again later: somebody may hold the invite, or wait to be
            // confirmed.
            Ok(Response::Refused(refusal)) if !is_passing(&refusal) && !record.queue.is_open() => {
                record.state = InviteStage::Failed;
                record.wipe();
                network.forget(&record.queue.id());
                cx.put(Key::Invite(id), record);
                cx.notify(Notice::InviteFailed(id, refusal.to_string()));
            }
            _ => {
                flight.put_off(cx.now);
                if flight.tries >= MOVE_AFTER {
                    self.move_to_another(cx, network, places, id);
                }
            }
        }
    }

    /// What the place said to a queue without a notice.
    fn notice_taken_away(
        &mut self,
        cx: &mut Context<'_>,
        network: &mut Network,
        id: InviteId,
        outcome: &Result<Response, Unreached>,
    ) {
        if *outcome != Ok(Response::Done) {
            if let Some(flight) = self.flights.get_mut(&id) {
                flight.in_flight = 0;
                flight.put_off(cx.now);
            }
            return;
        }
        self.flights.remove(&id);
        // It may be the first that the place hears of it: the introduction came by hand.
        if let Some(record) = self.records.get_mut(&id).filter(|record| !record.queue.is_open()) {
            record.queue.state = QueueState::Open;
            cx.put(Key::Invite(id), record);
            network.queues_changed();
        }
    }

    /// The place of an invite that nobody can have yet does not answer: another of our relays takes it. The invite is
    /// another then, under the same id.
    fn move_to_another(
        &mut self,
        cx: &mut Context<'_>,
        network: &mut Network,
        places: OwnPlaces<'_>,
        id: InviteId,
    ) {
        let movable = self.records.get(&id).filter(|record| !record.queue.is_open()).cloned();
        let target = movable.and_then(|old| Some((places.relays.after(&old.queue.place)?, old)));
        let Some((place, old)) = target else { return };
        let invite = old.invite();
        let queue = OwnQueue::generate(place, false, cx.rng);
        let mut psk = Zeroizing::new([0; 32]);
        cx.rng.fill_bytes(psk.as_mut_slice());
        let moved =
            Invite::new(invite.expires(), invite.root(), *psk, *invite.key_package_hash(), queue.address());
        // Only the answer may have been lost.
        network.drop_queue(cx, &old.queue, invite_lane(id));
        network.lead(queue.id(), QueueOwner::Invite(id));
        self.keep(cx, id, InviteRecord { invite: StoredInvite::new(&moved), queue, ..old });
    }

    /// The notice of an invite that is open: what waits at its place.
    pub(in crate::messenger) fn notice_of(&self, cx: &mut Context<'_>, id: InviteId) -> Option<QueueNotice> {
        let record = self.records.get(&id).filter(|record| record.is_open())?;
        let Ok(package) = OwnKeyPackage::from_bytes(&record.package) else {
            cx.refuse(RefusalReason::BadKeys);
            return None;
        };
        record.invite().seal_notice(package.public(), cx.rng).ok()
    }

    /// Asks the place to make the queue of an invite once more, now without what others would need to redeem it.
    ///
    /// With the next wake. At our own pod there is nothing to ask: the notice is made on demand, and no longer.
    pub(super) fn take_notice_away(&mut self, network: &Network, id: InviteId) {
        if self.records.get(&id).is_some_and(|record| !network.is_home(&record.queue.place)) {
            self.flights.entry(id).or_default();
        }
    }

    /// After a start: a request that takes a notice away may not have reached its place, and is due again.
    pub(in crate::messenger) fn resume(&mut self, network: &Network) {
        let confirmed = self.records.iter().filter(|(_, record)| record.state == InviteStage::Confirmed);
        let confirmed: Vec<_> = confirmed.map(|(id, _)| *id).collect();
        confirmed.into_iter().for_each(|id| self.take_notice_away(network, id));
    }
}
