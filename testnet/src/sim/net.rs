//! Links: calls and their answers, subscriptions and what comes over them.

use std::collections::BTreeMap;

use autonomy_messaging::MAX_CALLS;
use autonomy_messaging::frame::{FRAME_LEN, Frame};
use autonomy_messaging::lane::{CallId, Lane, LaneRole, Unreached};
use autonomy_messaging::messenger::{Collection, Input};
use autonomy_messaging::place::{Capability, Place, QueueId};
use autonomy_messaging::wire::{MAX_SUBSCRIBED, Refusal, Request, Response, Ticket, work};
use rand::Rng;

use super::body::{Caller, Subscription};
use super::config::{Fault, Faults, HOUR, SECOND};
use super::heap::Millis;
use super::pod::SubscriptionId;
use super::relay::{Conduct, Fresh};
use super::world::{Event, World};

/// What became of a call.
pub(super) type Outcome = Result<Response, Unreached>;

/// Who is behind a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    Pod(usize),
    Relay(usize),
}

/// A request at its host.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) to: Host,
    /// Nobody waits for the answer to one that came twice.
    pub(super) caller: Option<Caller>,
    pub(super) request: Request,
}

/// How bad links are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// Share of dials that fail.
    dial: f64,
    /// Share of requests that are lost, and of answers.
    lose: f64,
    /// Share of requests that come twice.
    repeat: f64,
    /// How long a subscription lasts on average, if not for ever.
    lasts: Option<Millis>,
}

impl Weather {
    pub(super) const CALM: Self = Self { dial: 0.0, lose: 0.0, repeat: 0.0, lasts: None };

    pub(super) fn of(faults: &Faults) -> Self {
        // Bad days of Tor: 7 to 13 of a hundred dials fail (notes of messaging).
        let bad = Self { dial: 0.1, lose: 0.03, repeat: 0.03, lasts: Some(3 * HOUR) };
        if faults.has(Fault::Links) { bad } else { Self::CALM }
    }
}

impl Host {
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Pod(index) => index as u64 * 2,
            Self::Relay(index) => index as u64 * 2 + 1,
        }
    }
}

/// Calls.
impl World {
    pub(super) fn call(&mut self, pod: usize, call: CallId, place: Place, lane: Lane, request: Request) {
        self.figures.calls += 1;
        let life = self.bodies[pod].life;
        let caller = Caller { pod, life, call };
        self.bodies[pod].calls.insert(call, lane.role);
        self.check_call(pod, &request);
        let host = self.hosts.get(&place).copied();
        let fails = self.rng.gen_bool(self.weather.dial);
        let Some(to) = host.filter(|host| !fails && self.reaches(pod, *host)) else {
            return self.unreached(caller, 1, 20);
        };
        let takes = self.latency(pod, to);
        if self.rng.gen_bool(self.weather.repeat) {
            let late = takes + self.rng.gen_range(0..600 * SECOND);
            let again = Arrival { to, caller: None, request: request.clone() };
            self.heap.after(late, Event::Arrive(Box::new(again)));
        }
        if self.rng.gen_bool(self.weather.lose) {
            return self.unreached(caller, 15, 60);
        }
        self.heap.after(takes, Event::Arrive(Box::new(Arrival { to, caller: Some(caller), request })));
    }

    /// What must be so of every call.
    fn check_call(&mut self, pod: usize, request: &Request) {
        let body = &self.bodies[pod];
        let deposits = body.calls.values().filter(|role| **role == LaneRole::Deposit).count();
        // Frames in general, and for each contact a first flight to each of its places.
        let most = MAX_CALLS + 8 * (self.bonds_of[pod].len() + 8);
        if deposits > most {
            return self
                .breach(Some(pod), format!("{deposits} calls with frames are in flight, and {most} may be"));
        }
        match request {
            Request::Ack { queue, up_to, .. } if body.safe.get(queue).is_none_or(|safe| safe < up_to) => {
                self.breach(Some(pod), format!("it acknowledges frame {up_to}, which is not on its disk"));
            }
            Request::Deposit(frame) => {
                self.figures.deposits += 1;
                let whole = self.figures.deposits % 256 != 0 || is_whole(frame);
                if !whole {
                    self.breach(
                        Some(pod),
                        "a frame does not have the size of a frame, or does not read back".into(),
                    );
                }
            }
            _ => {}
        }
    }

    fn reaches(&self, pod: usize, host: Host) -> bool {
        let side = self.bodies[pod].side;
        match host {
            Host::Pod(other) => self.is_up(host) && self.bodies[other].side == side,
            Host::Relay(relay) => self.is_up(host) && self.relay_sides[relay] == side,
        }
    }

    fn is_up(&self, host: Host) -> bool {
        match host {
            Host::Pod(pod) => self.bodies[pod].pod.is_running(),
            Host::Relay(relay) => self.relays[relay].conduct != Conduct::Dead,
        }
    }

    /// Milliseconds one way, over Tor: mostly below a second, one in ten up to eight.
    fn latency(&mut self, pod: usize, host: Host) -> Millis {
        let slow = self.bodies[pod].slowness;
        let slow = match host {
            Host::Pod(other) => slow.max(self.bodies[other].slowness),
            Host::Relay(_) => slow,
        };
        let most = if self.rng.gen_bool(0.1) { 8_000 } else { 900 };
        self.rng.gen_range(150..most) * slow
    }

    /// The call fails after a time between these, in seconds.
    pub(super) fn unreached(&mut self, caller: Caller, from: u64, to: u64) {
        self.figures.unreached += 1;
        let takes = self.rng.gen_range(from * SECOND..to * SECOND);
        let outcome = Box::new(Err(Unreached { detail: "not reached".into() }));
        self.heap.after(takes, Event::Answered { caller, outcome });
    }

    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let Arrival { to, caller, request } = arrival;
        let reached = match caller {
            Some(caller) => self.reaches(caller.pod, to),
            None => self.is_up(to),
        };
        if !reached {
            if let Some(caller) = caller {
                self.unreached(caller, 5, 30);
            }
            return;
        }
        match to {
            Host::Relay(relay) => {
                let response = self.ask_relay(relay, request);
                if let Some(caller) = caller {
                    self.reply(caller, to, response);
                }
            }
            Host::Pod(pod) => self.ask_pod(pod, caller, request),
        }
    }

    fn ask_relay(&mut self, relay: usize, request: Request) -> Response {
        let now = self.seconds();
        let retry = matches!(request, Request::Open { .. }).then(|| request.clone());
        let (response, fresh) = self.relays[relay].answer(now, request);
        if let Some(fresh) = fresh {
            self.push(relay, &fresh);
        }
        // Work for a queue is the shell's.
        match (retry, response) {
            (
                Some(Request::Open { queue, deposit, collect, notice, .. }),
                Response::Refused(Refusal::WorkNeeded { challenge, bits }),
            ) => {
                let Some(nonce) = work(&challenge, &queue, bits) else {
                    return Response::Refused(Refusal::BadTicket);
                };
                let ticket = Ticket::Work { challenge, nonce };
                self.relays[relay].answer(now, Request::Open { queue, deposit, collect, ticket, notice }).0
            }
            (_, response) => response,
        }
    }

    fn ask_pod(&mut self, pod: usize, caller: Option<Caller>, request: Request) {
        let queue = match &request {
            Request::Deposit(frame) => Some(frame.queue),
            Request::Redeem { queue, .. } => Some(*queue),
            _ => None,
        };
        if !queue.is_some_and(|queue| self.bodies[pod].serving.contains(&queue)) {
            if let Some(caller) = caller {
                self.reply(caller, Host::Pod(pod), Response::Refused(Refusal::UnknownQueue));
            }
            return;
        }
        let body = &mut self.bodies[pod];
        let ticket = body.next_ask;
        body.next_ask += 1;
        if let Some(caller) = caller {
            body.asks.insert(ticket, caller);
        }
        self.give(pod, Input::Asked { ticket, request });
    }

    /// An answer on its way back; it may be lost though everything was done.
    pub(super) fn reply(&mut self, caller: Caller, from: Host, response: Response) {
        if self.rng.gen_bool(self.weather.lose) {
            return self.unreached(caller, 15, 60);
        }
        let takes = self.latency(caller.pod, from);
        self.heap.after(takes, Event::Answered { caller, outcome: Box::new(Ok(response)) });
    }

    pub(super) fn answered(&mut self, caller: Caller, outcome: Outcome) {
        let Caller { pod, life, call } = caller;
        let body = &mut self.bodies[pod];
        if body.life == life && body.calls.remove(&call).is_some() {
            self.give(pod, Input::Called { call, outcome });
        }
    }
}

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
    fn push(&mut self, relay: usize, fresh: &Fresh) {
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

fn is_whole(frame: &Frame) -> bool {
    let bytes = frame.to_bytes();
    bytes.len() == FRAME_LEN && Frame::parse(bytes.as_slice()).as_ref() == Ok(frame)
}
