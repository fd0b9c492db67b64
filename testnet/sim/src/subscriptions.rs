//! Subscriptions of pods at relays, and the frames that come over them.
//!
//! A pod says which queues it collects ([`World::collect`]). The shell dials for them, up to as many queues a stream
//! as the protocol allows, dials again when a stream breaks, and tells the pod whenever a place becomes connected or
//! ceases to be. A relay pushes what waits, and then each frame as it comes. A frame that is on its way when the
//! stream breaks is lost and pushed again over the next one: the pod has to recognise it.

use std::collections::BTreeMap;

use autonomy_messaging::lane::Lane;
use autonomy_messaging::messenger::{Collection, Input};
use autonomy_messaging::place::{Capability, Place, QueueId};
use autonomy_messaging::wire::{MAX_SUBSCRIBED, PlaceRefusal};
use rand::Rng;

use super::config::SECOND;
use super::net::Host;
use super::pod::SubscriptionId;
use super::relay::{Conduct, NewFrame, Recorded};
use super::shell::Subscription;
use super::world::{Event, World};

/// Of so many frames that a relay delivers, it remembers one to repeat it.
const RECORDED: u32 = 4;

/// Subscriptions.
impl World {
    /// Exactly these queues are collected from now on. Subscriptions that already have their queues go on; others
    /// begin and end.
    pub(super) fn collect(&mut self, pod: usize, collections: Vec<Collection>) {
        let mut wanted: BTreeMap<(Place, Lane), Vec<(QueueId, Capability)>> = BTreeMap::new();
        for Collection { place, lane, queue, capability } in collections {
            wanted.entry((place, lane)).or_default().push((queue, capability));
        }
        let chunks = wanted.into_iter().flat_map(|((place, lane), queues)| {
            let chunks: Vec<_> = queues.chunks(MAX_SUBSCRIBED).map(<[_]>::to_vec).collect();
            chunks.into_iter().enumerate().map(move |(index, queues)| ((place, lane, index), queues))
        });
        let wanted: BTreeMap<_, _> = chunks.collect();
        let mut present = std::mem::take(&mut self.shells[pod].subscriptions);
        let mut kept = BTreeMap::new();
        for (key, queues) in wanted {
            let subscription = match present.remove(&key) {
                Some(same) if same.queues == queues && !same.lacks => same,
                other => {
                    if let Some(old) = other {
                        self.leave(pod, &key.0, &old);
                    }
                    let number = self.next_subscription(pod);
                    let dial = self.rng.gen_range(SECOND..10 * SECOND);
                    self.heap.after(dial, Event::Connect { pod, number });
                    Subscription { number, queues, up: false, lacks: false, tries: 0, busy_until: 0 }
                }
            };
            kept.insert(key, subscription);
        }
        for (key, gone) in present {
            self.leave(pod, &key.0, &gone);
        }
        let shell = &mut self.shells[pod];
        shell.told_up.retain(|place, _| kept.keys().any(|(known, ..)| known == place));
        shell.subscriptions = kept;
    }

    /// A number that no subscription of this pod had before.
    fn next_subscription(&mut self, pod: usize) -> u64 {
        let shell = &mut self.shells[pod];
        shell.next_subscription += 1;
        shell.next_subscription
    }

    /// A relay drops a subscription.
    pub(super) fn leave(&mut self, pod: usize, place: &Place, subscription: &Subscription) {
        let Some(Host::Relay(relay)) = self.hosts.get(place).copied() else { return };
        let listener = SubscriptionId { pod, number: subscription.number };
        for (queue, _) in &subscription.queues {
            self.relays[relay].hang_up(*queue, listener);
        }
    }

    /// The place and state of a subscription. None once it has ended.
    fn subscription(&mut self, pod: usize, number: u64) -> Option<(Place, &mut Subscription)> {
        let all = self.shells[pod].subscriptions.iter_mut();
        let mut found = all.filter(|(_, subscription)| subscription.number == number);
        found.next().map(|(key, subscription)| (key.0, subscription))
    }

    /// Dials for a subscription. Where the dial fails it is tried again, with pauses that grow to five minutes. A
    /// queue that the relay does not know is reported to the pod.
    pub(super) fn connect(&mut self, pod: usize, number: u64) {
        let Some((place, subscription)) = self.subscription(pod, number) else { return };
        let (queues, tries) = (subscription.queues.clone(), subscription.tries);
        let fails = self.rng.gen_bool(self.links.dial);
        let relay = match self.hosts.get(&place).copied() {
            Some(host @ Host::Relay(relay)) if !fails && self.reaches(pod, host) => relay,
            _ => {
                if let Some((_, subscription)) = self.subscription(pod, number) {
                    subscription.tries += 1;
                }
                let pause = (5 << tries.min(6)).min(300) * SECOND;
                let pause = self.rng.gen_range(pause / 2..pause + pause / 2);
                self.heap.after(pause, Event::Connect { pod, number });
                return self.report_connected(pod, place);
            }
        };
        if let Some((_, subscription)) = self.subscription(pod, number) {
            subscription.up = true;
            subscription.tries = 0;
        }
        if let Some(lasts) = self.links.lasts {
            let until = self.rng.gen_range(SECOND..2 * lasts);
            self.heap.after(until, Event::Hangup { pod, number });
        }
        self.note_subscription(pod, number);
        let (now, listener) = (self.seconds(), SubscriptionId { pod, number });
        let (mut lost, mut refused) = (Vec::new(), false);
        for (queue, collect) in queues {
            match self.relays[relay].listen(now, queue, &collect, listener) {
                Ok(frames) => {
                    frames
                        .into_iter()
                        .for_each(|number| self.push(relay, &NewFrame { listener, queue, number }));
                }
                Err(refusal) => {
                    refused = true;
                    if refusal == PlaceRefusal::UnknownQueue {
                        lost.push(queue);
                    }
                }
            }
        }
        if let Some((_, subscription)) = self.subscription(pod, number).filter(|_| refused) {
            subscription.lacks = true;
            // Asked for again after a while, as long as it is wanted.
            self.heap.after(300 * SECOND, Event::Hangup { pod, number });
        }
        self.report_connected(pod, place);
        let launch = self.shells[pod].launch;
        for queue in lost {
            if self.shells[pod].launch == launch {
                let now = self.heap.now();
                self.shells[pod].log_event(now, "learns that a relay lost a queue:", relay as u64);
                self.give(pod, Input::Missing { place, queue });
            }
        }
    }

    /// A subscription breaks, and is dialled for again.
    pub(super) fn hang_up(&mut self, pod: usize, number: u64) {
        let next = self.shells[pod].next_subscription + 1;
        let Some((place, subscription)) = self.subscription(pod, number).filter(|(_, s)| s.up) else {
            return;
        };
        subscription.up = false;
        subscription.lacks = false;
        subscription.number = next;
        let queues: Vec<QueueId> = subscription.queues.iter().map(|(queue, _)| *queue).collect();
        self.shells[pod].next_subscription = next;
        if let Some(Host::Relay(relay)) = self.hosts.get(&place).copied() {
            let listener = SubscriptionId { pod, number };
            queues.into_iter().for_each(|queue| self.relays[relay].hang_up(queue, listener));
        }
        let dial = self.rng.gen_range(SECOND..30 * SECOND);
        self.heap.after(dial, Event::Connect { pod, number: next });
        self.report_connected(pod, place);
    }

    /// Tells the pod whether it collects at a place, if that changed: one of its subscriptions there has to work.
    fn report_connected(&mut self, pod: usize, place: Place) {
        let shell = &mut self.shells[pod];
        let mut there = shell.subscriptions.iter().filter(|(key, _)| key.0 == place);
        let up = there.any(|(_, subscription)| subscription.up);
        if shell.told_up.insert(place, up).unwrap_or_default() != up {
            self.give(pod, Input::Subscribed { place, up });
        }
    }

    /// A frame leaves a relay for a subscriber. Frames of one subscription arrive in order.
    pub(super) fn push(&mut self, relay: usize, new_frame: &NewFrame) {
        let NewFrame { listener: SubscriptionId { pod, number }, queue, number: frame } = *new_frame;
        let takes = self.latency(pod, Host::Relay(relay));
        let now = self.heap.now();
        let Some((_, subscription)) = self.subscription(pod, number) else { return };
        let at = (now + takes).max(subscription.busy_until + 1);
        subscription.busy_until = at;
        self.heap.at(at, Event::Push { pod, number, queue, frame });
    }

    /// A frame arrives at its subscriber, unless the connection is gone.
    pub(super) fn pushed(&mut self, pod: usize, number: u64, queue: QueueId, frame: u64) {
        let Some((place, _)) = self.subscription(pod, number).filter(|(_, s)| s.up) else { return };
        let Some(host @ Host::Relay(relay)) = self.hosts.get(&place).copied() else { return };
        if !self.reaches(pod, host) {
            return self.hang_up(pod, number);
        }
        let Some(blob) = self.relays[relay].frame(queue, frame) else { return };
        self.figures.pushed += 1;
        if self.faults_on && self.rng.gen_ratio(1, RECORDED) {
            self.relays[relay].record(Recorded { pod, queue, number: frame, blob: blob.clone() });
        }
        self.give(pod, Input::Collected { place, queue, number: frame, blob: Box::new(blob) });
        self.repeat_some_frame(relay);
    }

    /// A relay that repeats frames delivers one again that it delivered before, to whoever got it then: a relay is free to
    /// ignore that a queue was closed.
    fn repeat_some_frame(&mut self, relay: usize) {
        let known = self.relays[relay].recorded().len();
        if self.relays[relay].conduct != Conduct::Repeating || known == 0 {
            return;
        }
        let at = self.rng.gen_range(0..known);
        let Recorded { pod, queue, number, blob } = self.relays[relay].recorded()[at].clone();
        let place = self.relays[relay].place;
        let listens = self.shells[pod].subscriptions.iter().any(|(key, one)| key.0 == place && one.up);
        if listens {
            self.figures.repeated_frames += 1;
            self.give(pod, Input::Collected { place, queue, number, blob: Box::new(blob) });
        }
    }
}
