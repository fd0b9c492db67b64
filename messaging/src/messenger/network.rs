//! Calls to places and the queues there: what is in flight and what for, which queue leads to whom, which
//! acknowledgements are owed, and which queues were announced to the shell.
//!
//! The shell learns which queues to collect and serve as whole sets, announced when they change: so after a lost
//! announcement, or a start, the next one is complete. Calls are matched to their purpose by number, once each.
//! Queues that come or go together are announced one by one (see [`CollectLanes`]): a relay must not learn that they are
//! one pod's.

use std::collections::{BTreeMap, HashMap};

use super::{
    collect_lanes::{CollectLanes, SPREAD},
    context::Context,
    effect::{Collection, Effect},
    ids::{ContactId, InviteId},
    own_queue::OwnQueue,
    states::Timestamp,
};
use crate::{
    lane::{CallId, Lane},
    place::{Place, QueueId},
    wire::{PlaceRefusal, Request},
};

/// Pause before acknowledgements that did not reach their place are sent again, seconds: they only keep it tidy.
const ACK_AGAIN: u64 = 300;

/// What a call in flight is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Frames for a contact.
    /// A probe goes to a place that did not answer last time, and counts in a budget of its own.
    Deposit { contact: ContactId, probe: bool },
    /// A step of redeeming an invite.
    Redeem(ContactId),
    /// A reset on its way to one place.
    Reset(ContactId),
    /// A queue for a contact.
    OpenQueue(ContactId, QueueId),
    /// The queue and notice of an invite.
    /// With the notice while the invite can be redeemed, without it afterwards.
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
struct Collected {
    /// The highest number that is safe.
    safe: u64,
    /// The highest that was sent to the place.
    sent: u64,
    /// Whether an acknowledgement is on its way.
    in_flight: bool,
}

/// All of it is learnt anew after a start.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// The pod's own place.
    home: Option<Place>,
    /// Calls whose outcome has not come.
    calls: HashMap<CallId, Purpose>,
    /// Number of the next call.
    next_call: u64,
    /// To whom the frames of each queue belong.
    owners: HashMap<QueueId, QueueOwner>,
    /// How far each queue at a relay was collected and acknowledged.
    acks: BTreeMap<QueueId, Collected>,
    /// When acknowledgements that did not reach their place are sent again.
    acks_due: Option<Timestamp>,
    /// The last set of collections that was announced.
    collecting: Option<Vec<Collection>>,
    /// The last set of own queues that was announced.
    serving: Option<Vec<QueueId>>,
    /// Whether queues came, went or opened since the last two were announced.
    changed: bool,
    /// Over which connection each queue at a relay is collected.
    lanes: CollectLanes,
    /// Queues that are not collected before this moment.
    collected_from: BTreeMap<QueueId, Timestamp>,
    /// Queues that are collected until they are closed at this moment; what comes of them counts as unknown.
    leaving: BTreeMap<QueueId, (Timestamp, Collection)>,
}

/// Whether a place may answer otherwise later.
pub(super) fn is_passing(refusal: &PlaceRefusal) -> bool {
    matches!(
        refusal,
        PlaceRefusal::Busy { .. }
            | PlaceRefusal::WorkNeeded { .. }
            | PlaceRefusal::PlaceFull
            | PlaceRefusal::QueueFull
    )
}

impl Network {
    /// The pod's own place is this one from now on.
    pub(super) fn move_home(&mut self, home: Place) {
        self.home = Some(home);
        self.serving = None;
        self.changed = true;
    }

    /// Whether a place is the pod itself, at whichever of its addresses: its key is at all of them.
    pub(super) fn is_home(&self, place: &Place) -> bool {
        self.home.as_ref().is_some_and(|home| home.peer() == place.peer())
    }

    /// Asks a place something, and remembers what for.
    pub(super) fn call(
        &mut self,
        cx: &mut Context<'_>,
        place: Place,
        lane: Lane,
        request: Request,
        purpose: Purpose,
    ) -> CallId {
        let call = CallId(self.next_call);
        self.next_call += 1;
        self.calls.insert(call, purpose);
        cx.effect(Effect::Call { call, place, lane, request });
        call
    }

    /// What a call was for that ended; none for calls of before a restart.
    pub(super) fn ended(&mut self, call: CallId) -> Option<Purpose> {
        self.calls.remove(&call)
    }

    /// Frames of this queue lead there from now on.
    pub(super) fn lead(&mut self, queue: QueueId, to: QueueOwner) {
        self.owners.insert(queue, to);
        self.leaving.remove(&queue);
        self.changed = true;
    }

    /// To whom frames of this queue belong; none for one that is not ours.
    pub(super) fn owner_of(&self, queue: &QueueId) -> Option<QueueOwner> {
        self.owners.get(queue).copied()
    }

    /// Frames of this queue lead nowhere from now on.
    pub(super) fn forget(&mut self, queue: &QueueId) {
        self.owners.remove(queue);
        self.acks.remove(queue);
        self.collected_from.remove(queue);
        self.lanes.forget(queue);
        self.changed = true;
    }

    /// The connection on which a contact's queue is collected.
    pub(super) fn lane(&mut self, queue: &OwnQueue) -> Lane {
        self.lanes.of(queue)
    }

    /// When a queue that is due at its place together with all others of this pod is made there, left, or collected.
    pub(super) fn moment(&self, cx: &mut Context<'_>, place: &Place) -> Timestamp {
        if self.is_home(place) { cx.now } else { self.lanes.moment(cx, place) }
    }

    /// A queue that its place has is due together with all others of this pod: it is collected from a moment of its own.
    pub(super) fn collect_in_turn(&mut self, cx: &mut Context<'_>, queue: &OwnQueue) {
        let is_collected = self.collecting.iter().flatten().any(|known| known.queue == queue.id());
        let at = self.moment(cx, &queue.place);
        if queue.is_open() && !is_collected && at > cx.now {
            self.collected_from.insert(queue.id(), at);
        }
    }

    /// Somebody waits for what is in this queue: it is collected now.
    pub(super) fn collect_now(&mut self, queue: &QueueId) {
        self.changed |= self.collected_from.remove(queue).is_some();
    }

    /// Takes a queue down, here and at its place.
    ///
    /// What is collected of it from now on is counted as unknown.
    pub(super) fn drop_queue(&mut self, cx: &mut Context<'_>, queue: &OwnQueue, lane: Lane) {
        self.forget(&queue.id());
        if !self.is_home(&queue.place) {
            self.close(cx, &collection(queue, lane));
        }
    }

    /// The same for a queue at a place that all contacts leave: its place hears of it at a moment of its own.
    pub(super) fn leave_queue(&mut self, cx: &mut Context<'_>, queue: &OwnQueue) {
        let (lane, at) = (self.lane(queue), self.moment(cx, &queue.place));
        if at <= cx.now || !queue.is_open() {
            return self.drop_queue(cx, queue, lane);
        }
        self.owners.remove(&queue.id());
        self.acks.remove(&queue.id());
        self.leaving.insert(queue.id(), (at, collection(queue, lane)));
        self.changed = true;
    }

    fn close(&mut self, cx: &mut Context<'_>, left: &Collection) {
        let request = Request::Close { queue: left.queue, collect: left.capability.clone() };
        self.call(cx, left.place, left.lane, request, Purpose::Close);
    }

    /// Begins to collect, and closes, what the moment has come for. A clock that was set back holds nothing up.
    pub(super) fn keep_moments(&mut self, cx: &mut Context<'_>) {
        let is_due = |at: &Timestamp| *at <= cx.now || *at > cx.now.saturating_add(SPREAD);
        let before = self.collected_from.len();
        self.collected_from.retain(|_, at| !is_due(at));
        self.changed |= self.collected_from.len() < before;
        let due = self.leaving.iter().filter(|(_, (at, _))| is_due(at));
        for queue in due.map(|(queue, _)| *queue).collect::<Vec<_>>() {
            if let Some((_, left)) = self.leaving.remove(&queue) {
                self.close(cx, &left);
                self.lanes.forget(&queue);
                self.changed = true;
            }
        }
    }

    /// A queue came, went or opened.
    pub(super) fn queues_changed(&mut self) {
        self.changed = true;
    }

    /// The place of a queue counts its frames anew, and so do we.
    pub(super) fn count_anew(&mut self, queue: &QueueId) {
        self.acks.remove(queue);
    }

    /// The place of a queue has it again: the subscription starts over.
    pub(super) fn collect_again(&mut self, queue: &QueueId) {
        self.count_anew(queue);
        self.collecting = None;
        self.changed = true;
    }

    /// All frames of a queue of ours up to this number are safe: this is acknowledged to its place.
    pub(super) fn collected(&mut self, cx: &mut Context<'_>, own: &OwnQueue, lane: Lane, up_to: u64) {
        let acks = self.acks.entry(own.id()).or_default();
        if up_to <= acks.sent {
            // The place gives out again what was acknowledged: it has lost that, as one that came back from a backup has. No more
            // is acknowledged than it has given out since, for it counts on from there.
            (acks.safe, acks.sent) = (up_to, 0);
        } else {
            acks.safe = acks.safe.max(up_to);
        }
        self.acknowledge(cx, own, lane);
    }

    /// One acknowledgement a queue is in flight at a time: those that come meanwhile leave as one.
    pub(super) fn acknowledge(&mut self, cx: &mut Context<'_>, own: &OwnQueue, lane: Lane) {
        let queue = own.id();
        let owed = self.acks.get_mut(&queue).filter(|acks| !acks.in_flight && acks.sent < acks.safe);
        if let Some(acks) = owed {
            acks.in_flight = true;
            acks.sent = acks.safe;
            let request = Request::Ack { queue, collect: own.collect(), up_to: acks.safe };
            self.call(cx, own.place, lane, request, Purpose::Ack(queue));
        }
    }

    /// An acknowledgement ended. One that did not reach its place may or may not have got there; until it has, the place
    /// gives out the same frames again.
    pub(super) fn acknowledged(&mut self, queue: &QueueId, reached: bool, now: Timestamp) {
        if let Some(acks) = self.acks.get_mut(queue) {
            acks.in_flight = false;
            if !reached {
                acks.sent = 0;
                self.acks_due.get_or_insert(now + ACK_AGAIN);
            }
        }
    }

    /// Queues whose acknowledgements are to be sent again now.
    pub(super) fn acks_due(&mut self, now: Timestamp) -> Vec<QueueId> {
        if self.acks_due.take_if(|due| *due <= now).is_none() {
            return Vec::new();
        }
        let owed = self.acks.iter().filter(|(_, acks)| acks.sent < acks.safe && !acks.in_flight);
        owed.map(|(queue, _)| *queue).collect()
    }

    /// The clock went back: acknowledgements do not wait for a moment of the old time.
    pub(super) fn clock_went_back(&mut self, now: Timestamp) {
        self.acks_due = self.acks_due.map(|due| due.min(now));
    }

    /// When acknowledgements are to be sent again, or the moment of a queue has come.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let leaving = self.leaving.values().map(|(at, _)| *at);
        self.collected_from.values().copied().chain(leaving).chain(self.acks_due).min()
    }

    /// Whether something is collected at a place, as far as was announced.
    pub(super) fn collects_at(&self, place: &Place) -> bool {
        self.collecting.iter().flatten().any(|collection| collection.place == *place)
    }

    /// Whether queues are to be announced, which is once after each change.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Announces which queues are to be collected and served, where that changed. Queues of invites come with their lanes.
    pub(super) fn announce<'a>(
        &mut self,
        cx: &mut Context<'_>,
        queues: impl Iterator<Item = (&'a OwnQueue, Option<Lane>)>,
    ) {
        let (mut serve, mut collect) = (Vec::new(), Vec::new());
        for (queue, lane) in queues {
            if self.is_home(&queue.place) {
                serve.push(queue.id());
            } else if queue.is_open() && !self.collected_from.contains_key(&queue.id()) {
                let lane = lane.unwrap_or_else(|| self.lane(queue));
                collect.push(collection(queue, lane));
            }
        }
        collect.extend(self.leaving.values().map(|(_, left)| left.clone()));
        if self.serving.as_ref() != Some(&serve) {
            self.serving = Some(serve.clone());
            cx.effect(Effect::Serve(serve));
        }
        if self.collecting.as_ref() != Some(&collect) {
            self.collecting = Some(collect.clone());
            cx.effect(Effect::Collect(collect));
        }
    }
}

/// What it takes to collect a queue, or to close it.
fn collection(queue: &OwnQueue, lane: Lane) -> Collection {
    Collection { place: queue.place, lane, queue: queue.id(), capability: queue.collect() }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;
    use crate::{
        NoRows, PublicKey, SigningKey,
        frame::{BLOB_LEN, Blob},
        messenger::{Input, Messenger},
    };

    #[test]
    fn frame_of_an_unknown_queue_owes_no_acknowledgement() {
        let mut messenger = Messenger::default();
        let place = Place::new([1; 32], PublicKey::from(&SigningKey::from_bytes(&[2; 32])));
        for number in 0..3 {
            let (queue, blob) =
                (QueueId::from_bytes([number; 32]), Box::new(Blob::from_slice(&[0; BLOB_LEN]).unwrap()));
            let frame = Input::Collected { place, queue, number: number.into(), blob };
            drop(messenger.handle(1, &mut StdRng::seed_from_u64(1), &NoRows, frame));
        }
        assert!(messenger.network.acks.is_empty(), "{:?}", messenger.network.acks);
    }
}
