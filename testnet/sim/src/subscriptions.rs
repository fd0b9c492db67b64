//! Subscriptions of pods at relays, and what comes over them.

use std::collections::BTreeMap;

use autonomy_messaging::lane::Lane;
use autonomy_messaging::messenger::{Collection, Input};
use autonomy_messaging::place::{Capability, Place, QueueId};
use autonomy_messaging::wire::MAX_SUBSCRIBED;
use rand::Rng;

use super::body::Subscription;
use super::config::SECOND;
use super::net::Host;
use super::pod::SubscriptionId;
use super::relay::Fresh;
use super::world::{Event, World};

/// Subscriptions.
impl World {
    /// Exactly these queues are collected from now on.
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
        let mut present = std::mem::take(&mut self.bodies[pod].subscriptions);
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
        let body = &mut self.bodies[pod];
        body.told_up.retain(|place, _| kept.keys().any(|(known, ..)| known == place));
        body.subscriptions = kept;
    }

    fn next_subscription(&mut self, pod: usize) -> u64 {
        let body = &mut self.bodies[pod];
        body.next_subscription += 1;
        body.next_subscription
    }

    /// The relay hears no more of a subscription.
    pub(super) fn leave(&mut self, pod: usize, place: &Place, subscription: &Subscription) {
        let Some(Host::Relay(relay)) = self.hosts.get(place).copied() else { return };
        let listener = SubscriptionId { pod, number: subscription.number };
        for (queue, _) in &subscription.queues {
            self.relays[relay].hang_up(*queue, listener);
        }
    }

    fn subscription(&mut self, pod: usize, number: u64) -> Option<(Place, &mut Subscription)> {
        let all = self.bodies[pod].subscriptions.iter_mut();
        let mut found = all.filter(|(_, subscription)| subscription.number == number);
        found.next().map(|(key, subscription)| (key.0, subscription))
    }

    pub(super) fn connect(&mut self, pod: usize, number: u64) {
        let Some((place, subscription)) = self.subscription(pod, number) else { return };
        let (queues, tries) = (subscription.queues.clone(), subscription.tries);
        let fails = self.rng.gen_bool(self.weather.dial);
        let relay = match self.hosts.get(&place).copied() {
            Some(host @ Host::Relay(relay)) if !fails && self.reaches(pod, host) => relay,
            _ => {
                if let Some((_, subscription)) = self.subscription(pod, number) {
                    subscription.tries += 1;
                }
                let pause = (5 << tries.min(6)).min(300) * SECOND;
                let pause = self.rng.gen_range(pause / 2..pause + pause / 2);
                self.heap.after(pause, Event::Connect { pod, number });
                return self.tell_connected(pod, place);
            }
        };
        if let Some((_, subscription)) = self.subscription(pod, number) {
            subscription.up = true;
            subscription.tries = 0;
        }
        if let Some(lasts) = self.weather.lasts {
            let until = self.rng.gen_range(SECOND..2 * lasts);
            self.heap.after(until, Event::Hangup { pod, number });
        }
        let (now, listener) = (self.seconds(), SubscriptionId { pod, number });
        let mut lost = Vec::new();
        for (queue, collect) in queues {
            match self.relays[relay].listen(now, queue, &collect, listener) {
                Ok(frames) => {
                    frames
                        .into_iter()
                        .for_each(|number| self.push(relay, &Fresh { listener, queue, number }));
                }
                Err(_) => lost.push(queue),
            }
        }
        if let Some((_, subscription)) = self.subscription(pod, number).filter(|_| !lost.is_empty()) {
            subscription.lacks = true;
            // Asked for again by and by, as long as it is wanted.
            self.heap.after(300 * SECOND, Event::Hangup { pod, number });
        }
        self.tell_connected(pod, place);
        let life = self.bodies[pod].life;
        for queue in lost {
            if self.bodies[pod].life == life {
                let now = self.heap.now();
                self.bodies[pod].tell(now, "is told that a relay lost a queue:", relay as u64);
                self.give(pod, Input::Missing { place, queue });
            }
        }
    }

    pub(super) fn hang_up(&mut self, pod: usize, number: u64) {
        let next = self.bodies[pod].next_subscription + 1;
        let Some((place, subscription)) = self.subscription(pod, number).filter(|(_, s)| s.up) else {
            return;
        };
        subscription.up = false;
        subscription.lacks = false;
        subscription.number = next;
        let queues: Vec<QueueId> = subscription.queues.iter().map(|(queue, _)| *queue).collect();
        self.bodies[pod].next_subscription = next;
        if let Some(Host::Relay(relay)) = self.hosts.get(&place).copied() {
            let listener = SubscriptionId { pod, number };
            queues.into_iter().for_each(|queue| self.relays[relay].hang_up(queue, listener));
        }
        let dial = self.rng.gen_range(SECOND..30 * SECOND);
        self.heap.after(dial, Event::Connect { pod, number: next });
        self.tell_connected(pod, place);
    }

    /// Tells the pod whether it collects at a place, if that changed: one of its subscriptions there has to work.
    fn tell_connected(&mut self, pod: usize, place: Place) {
        let body = &mut self.bodies[pod];
        let mut there = body.subscriptions.iter().filter(|(key, _)| key.0 == place);
        let up = there.any(|(_, subscription)| subscription.up);
        if body.told_up.insert(place, up).unwrap_or_default() != up {
            self.give(pod, Input::Subscribed { place, up });
        }
    }

    /// A frame leaves a relay for somebody who listens.
    pub(super) fn push(&mut self, relay: usize, fresh: &Fresh) {
        let Fresh { listener: SubscriptionId { pod, number }, queue, number: frame } = *fresh;
        let takes = self.latency(pod, Host::Relay(relay));
        let now = self.heap.now();
        let Some((_, subscription)) = self.subscription(pod, number) else { return };
        let at = (now + takes).max(subscription.busy_until + 1);
        subscription.busy_until = at;
        self.heap.at(at, Event::Push { pod, number, queue, frame });
    }

    pub(super) fn pushed(&mut self, pod: usize, number: u64, queue: QueueId, frame: u64) {
        let Some((place, _)) = self.subscription(pod, number).filter(|(_, s)| s.up) else { return };
        let Some(host @ Host::Relay(relay)) = self.hosts.get(&place).copied() else { return };
        if !self.reaches(pod, host) {
            return self.hang_up(pod, number);
        }
        let Some(blob) = self.relays[relay].frame(queue, frame) else { return };
        self.figures.pushed += 1;
        self.give(pod, Input::Collected { place, queue, number: frame, blob: Box::new(blob) });
    }
}
