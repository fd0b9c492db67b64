//! A small world: pods and relays, and a network that carries everything at once, or not at all.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::RangeInclusive,
};

use autonomy_messaging::{
    AuthSeed, CertificateRole, Name, PublicKey, SigningKey, Validity,
    lane::{CallId, Unreached},
    messenger::{
        ApplicationEvent, Command, ContactId, Effect, Input, MailAnswer, Messenger, MessengerStatus, Notice,
        Own, RefusalCounts, RefusedBecause, RowClass, Step,
    },
    payload::{Payload, Text},
    place::{Capability, Place, QueueId},
    wire::{PlaceRefusal, Request, Response},
};
use rand::{SeedableRng as _, rngs::StdRng};

use super::relay::Relay;

/// When the stories begin: 2026-01-01.
pub(crate) const START: u64 = 1_767_225_600;

/// A pod: its messenger in memory, and its rows on disk.
pub(crate) struct Pod {
    pub(crate) messenger: Messenger,
    pub(crate) disk: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) own: Own,
    pub(crate) online: bool,
    pub(crate) notices: Vec<Notice>,
    /// What sessions were given.
    pub(crate) application: Vec<ApplicationEvent>,
    /// Kinds that have a session here.
    served: Option<RangeInclusive<u16>>,
    collects: Vec<(Place, QueueId, Capability)>,
    /// Relays that it was told it collects at.
    up: BTreeSet<Place>,
    serves: BTreeSet<QueueId>,
}

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) rng: StdRng,
    pub(crate) pods: Vec<Pod>,
    pub(crate) relays: Vec<(Place, Relay)>,
    /// Nobody reaches anybody.
    pub(crate) cut: bool,
    pub(crate) calls: VecDeque<(usize, CallId, Place, Request)>,
    /// Which pod crashes at its next input, after so many effects.
    pub(crate) crash: Option<(usize, usize)>,
    /// Which pod crashed.
    pub(crate) crashed: Option<usize>,
    /// Calls of pods that crashed: they may still be carried out, and nobody hears of it.
    pub(crate) orphans: VecDeque<(usize, CallId, Place, Request)>,
    /// Places of others, who answer as they like.
    strangers: Vec<(Place, Stranger)>,
}

/// How a place answers.
pub(crate) type Stranger = Box<dyn FnMut(Request) -> Result<Response, Unreached>>;

pub(crate) fn place(n: u8) -> Place {
    Place::new([n; 32], PublicKey::from(&SigningKey::from_bytes(&[n; 32])))
}

impl World {
    pub(crate) fn new(pods: u8, relays: u8) -> Self {
        let mut world = Self {
            now: START,
            rng: StdRng::seed_from_u64(7),
            pods: (0..pods).map(Pod::new).collect(),
            relays: (0..relays).map(|n| (place(100 + n), Relay::default())).collect(),
            cut: false,
            calls: VecDeque::new(),
            crash: None,
            crashed: None,
            orphans: VecDeque::new(),
            strangers: Vec::new(),
        };
        for pod in 0..usize::from(pods) {
            world.handle(pod, Input::Clock { is_right: true });
        }
        world
    }

    /// Lets a pod take one input and carries out what follows; the rows go to its disk first.
    pub(crate) fn handle(&mut self, pod: usize, input: Input) -> Option<Result<MailAnswer, RefusedBecause>> {
        self.step(pod, input).0
    }

    fn step(
        &mut self,
        pod: usize,
        input: Input,
    ) -> (Option<Result<MailAnswer, RefusedBecause>>, Option<Response>) {
        let it = &mut self.pods[pod];
        let Step { rows, application, effects, answer } =
            it.messenger.handle(self.now, &mut self.rng, &it.disk, input);
        for row in rows {
            match row.value {
                Some(mut value) => drop(it.disk.insert(row.key, std::mem::take(&mut *value))),
                None => drop(it.disk.remove(&row.key)),
            }
        }
        it.application.extend(application);
        it.assert_restores();
        let crash = self.crash.take_if(|(of, _)| *of == pod);
        let mut answered = None;
        for effect in effects.into_iter().take(crash.map_or(usize::MAX, |(_, effects)| effects)) {
            let it = &mut self.pods[pod];
            match effect {
                Effect::Call { call, place, request, .. } => {
                    self.calls.push_back((pod, call, place, request))
                }
                Effect::Collect(collections) => {
                    it.collects = collections.into_iter().map(|c| (c.place, c.queue, c.capability)).collect();
                }
                Effect::Serve(queues) => it.serves = queues.into_iter().collect(),
                Effect::Answer { response, .. } => answered = Some(response),
                Effect::Notify(notice) => it.notices.push(notice),
            }
        }
        if crash.is_some() {
            let (gone, stay) = std::mem::take(&mut self.calls).into_iter().partition(|(of, ..)| *of == pod);
            self.calls = stay;
            self.orphans.extend::<VecDeque<(usize, CallId, Place, Request)>>(gone);
            self.pods[pod].online = false;
            self.crashed = Some(pod);
        }
        (answer, answered)
    }

    pub(crate) fn command(&mut self, pod: usize, command: Command) -> MailAnswer {
        self.try_command(pod, command).unwrap().unwrap()
    }

    pub(crate) fn try_command(
        &mut self,
        pod: usize,
        command: Command,
    ) -> Option<Result<MailAnswer, RefusedBecause>> {
        self.handle(pod, Input::Command(command))
    }

    /// Carries out calls and pushes until nothing moves.
    pub(crate) fn settle(&mut self) {
        for _ in 0..10_000 {
            if let Some((pod, call, place, request)) = self.calls.pop_front() {
                if self.pods[pod].online {
                    let outcome = self.ask(place, request);
                    self.handle(pod, Input::Called { call, outcome });
                }
            } else if !self.connect_one() && !self.push_one() {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Carries out so many calls and no more.
    pub(crate) fn step_calls(&mut self, calls: usize) {
        for _ in 0..calls {
            let Some((pod, call, place, request)) = self.calls.pop_front() else { return };
            let outcome = self.ask(place, request);
            self.handle(pod, Input::Called { call, outcome });
        }
    }

    /// Time passes, second by second where somebody has something to do.
    pub(crate) fn pass(&mut self, seconds: u64) {
        let end = self.now + seconds;
        self.settle();
        loop {
            let online = self.pods.iter().filter(|pod| pod.online);
            let next = online.filter_map(|pod| pod.messenger.next_wake()).min().unwrap_or(end);
            self.now = next.max(self.now + 1).min(end);
            for pod in 0..self.pods.len() {
                if self.pods[pod].online
                    && self.pods[pod].messenger.next_wake().is_some_and(|at| at <= self.now)
                {
                    self.handle(pod, Input::Wake);
                }
            }
            self.settle();
            if self.now >= end {
                return;
            }
        }
    }

    pub(crate) fn ask(&mut self, place: Place, request: Request) -> Result<Response, Unreached> {
        if self.cut {
            return Err(unreached());
        }
        if let Some((_, answer)) = self.strangers.iter_mut().find(|(at, _)| *at == place) {
            return answer(request);
        }
        if let Some((_, relay)) = self.relays.iter_mut().find(|(at, _)| *at == place) {
            return if relay.dead { Err(unreached()) } else { Ok(relay.answer(request)) };
        }
        let is_there = |pod: &Pod| pod.own.place == place || pod.own.earlier == Some(place);
        let pod = self.pods.iter().position(|pod| is_there(pod) && pod.online).ok_or_else(unreached)?;
        let queue = match &request {
            Request::Deposit(frame) => frame.queue,
            Request::Redeem { queue, .. } => *queue,
            _ => return Ok(Response::Refused(PlaceRefusal::UnknownQueue)),
        };
        if !self.pods[pod].serves.contains(&queue) {
            return Ok(Response::Refused(PlaceRefusal::UnknownQueue));
        }
        self.step(pod, Input::Asked { ticket: 1, request }).1.ok_or_else(unreached)
    }

    /// Tells one pod that it collects at a relay from now on, or no longer does.
    fn connect_one(&mut self) -> bool {
        let alive =
            |place: &Place| !self.cut && self.relays.iter().any(|(at, relay)| at == place && !relay.dead);
        let changed = self.pods.iter().enumerate().filter(|(_, pod)| pod.online).find_map(|(index, pod)| {
            let now: BTreeSet<Place> = pod.collects.iter().map(|(at, ..)| *at).filter(alive).collect();
            let place = *now.symmetric_difference(&pod.up).next()?;
            Some((index, place, now.contains(&place)))
        });
        let Some((pod, place, up)) = changed else { return false };
        let known = &mut self.pods[pod].up;
        if up {
            known.insert(place)
        } else {
            known.remove(&place)
        };
        self.handle(pod, Input::Subscribed { place, up });
        true
    }

    /// Pushes one frame of a relay to its owner.
    pub(crate) fn push_one(&mut self) -> bool {
        for pod in 0..self.pods.len() {
            if !self.pods[pod].online {
                continue;
            }
            for (place, queue, capability) in self.pods[pod].collects.clone() {
                let relay = self.relays.iter_mut().find(|(at, _)| *at == place).map(|(_, relay)| relay);
                let Some(relay) = relay.filter(|relay| !relay.dead && !relay.lying) else { continue };
                if let Some((number, blob)) = relay.push(queue, &capability) {
                    self.handle(pod, Input::Collected { place, queue, number, blob: Box::new(blob) });
                    return true;
                }
            }
        }
        false
    }

    pub(crate) fn off(&mut self, pod: usize) {
        self.pods[pod].online = false;
        self.calls.retain(|(of, ..)| *of != pod);
    }

    /// A pod starts again from its disk.
    pub(crate) fn on(&mut self, pod: usize) {
        self.subscribe_again();
        let it = &mut self.pods[pod];
        it.messenger = it.restored();
        it.online = true;
        it.up.clear();
        self.handle(pod, Input::Clock { is_right: true });
    }

    /// Relays push again what was not acknowledged.
    pub(crate) fn subscribe_again(&mut self) {
        for (_, relay) in &mut self.relays {
            relay.queues.values_mut().for_each(|queue| queue.pushed = 0);
        }
    }

    /// A session takes these kinds.
    pub(crate) fn serve(&mut self, pod: usize, kinds: RangeInclusive<u16>) {
        let it = &mut self.pods[pod];
        it.messenger.serve_kinds([kinds.clone()]);
        it.served = Some(kinds);
    }

    /// The rows a backup holds.
    pub(crate) fn backup(&self, pod: usize) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let disk = self.pods[pod].disk.clone();
        disk.into_iter().filter(|(key, _)| RowClass::of(key) != RowClass::Ratchet).collect()
    }

    pub(crate) fn send(&mut self, from: usize, to: ContactId, text: &str) {
        let text = Text::new(text).unwrap();
        self.command(from, Command::Send { contact: to, text });
    }

    /// All texts that came from a contact, in order.
    pub(crate) fn texts(&mut self, pod: usize, from: ContactId) -> Vec<String> {
        let command = Command::Messages { contact: from, before: None, limit: 200 };
        let MailAnswer::Messages { entries, .. } = self.command(pod, command) else { panic!() };
        let incoming = entries
            .into_iter()
            .filter(|entry| entry.direction == autonomy_messaging::messenger::Direction::Incoming);
        incoming
            .filter_map(|entry| match entry.payload {
                Payload::Text(text) => Some(text.as_str().to_owned()),
                _ => None,
            })
            .collect()
    }

    /// A place that answers so from now on.
    pub(crate) fn stranger(&mut self, at: Place, answer: Stranger) {
        self.strangers.retain(|(place, _)| *place != at);
        self.strangers.push((at, answer));
    }

    /// The owner certifies this key for the pod, in this epoch, and moves its onion service. It counts from the next start.
    pub(crate) fn certify(&mut self, pod: usize, epoch: u64, key: u8, at: Place) {
        let it = &mut self.pods[pod];
        let root = AuthSeed::from_bytes(&[pod as u8 + 1; 32]).root_key();
        it.own.pod_key = SigningKey::from_bytes(&[key; 32]);
        let subject = PublicKey::from(&it.own.pod_key);
        let validity = Validity::lasting(self.now - 10, 10 * 365 * 86_400);
        it.own.certificate = root.certify(CertificateRole::Pod, &subject, epoch, validity);
        it.own.place = at;
    }

    /// The same, and the running pod gets it.
    pub(crate) fn adopt(&mut self, pod: usize, epoch: u64, key: u8, at: Place) {
        self.certify(pod, epoch, key, at);
        let it = &mut self.pods[pod];
        it.messenger.adopt(it.own.clone());
        self.handle(pod, Input::Wake);
    }

    /// What this pod refused so far.
    pub(crate) fn refused(&mut self, pod: usize) -> RefusalCounts {
        self.status(pod).refused
    }

    pub(crate) fn status(&mut self, pod: usize) -> MessengerStatus {
        let MailAnswer::Status(status) = self.command(pod, Command::Status) else { panic!() };
        status
    }

    pub(crate) fn id(&self, pod: usize) -> ContactId {
        ContactId::of(&self.pods[pod].own.root)
    }

    /// Whether a pod gives out what is left in this queue at its own place.
    pub(crate) fn serves(&self, pod: usize, queue: QueueId) -> bool {
        self.pods[pod].serves.contains(&queue)
    }

    /// How many queues a pod collects at relays.
    pub(crate) fn collects(&self, pod: usize) -> usize {
        self.pods[pod].collects.len()
    }

    pub(crate) fn add_relays(&mut self, pod: usize) {
        (0..self.relays.len()).for_each(|relay| self.add_relay(pod, relay));
    }

    pub(crate) fn add_relay(&mut self, pod: usize, relay: usize) {
        let (place, name) = (self.relays[relay].0, Name::new(&format!("relay {relay}")).unwrap());
        self.command(pod, Command::AddRelay { place, name, token: None });
    }
}

impl Pod {
    fn new(n: u8) -> Self {
        let root = AuthSeed::from_bytes(&[n + 1; 32]).root_key();
        let pod_key = SigningKey::from_bytes(&[n + 50; 32]);
        let validity = Validity::lasting(START - 10, 10 * 365 * 86_400);
        let own = Own {
            root: root.public(),
            certificate: root.certify(CertificateRole::Pod, &PublicKey::from(&pod_key), 1, validity),
            place: Place::new([n + 1; 32], PublicKey::from(&pod_key)),
            earlier: None,
            pod_key,
            name: Name::new(&format!("person {n}")).unwrap(),
        };
        let mut messenger = Messenger::default();
        messenger.adopt(own.clone());
        Self {
            messenger,
            disk: BTreeMap::new(),
            own,
            online: true,
            notices: Vec::new(),
            application: Vec::new(),
            served: None,
            collects: Vec::new(),
            up: BTreeSet::new(),
            serves: BTreeSet::new(),
        }
    }

    pub(crate) fn restored(&self) -> Messenger {
        let rows = self.disk.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        let mut messenger = Messenger::restore(rows, Some(self.own.clone())).unwrap();
        messenger.serve_kinds(self.served.clone());
        messenger
    }

    fn assert_restores(&self) {
        assert!(self.restored() == self.messenger, "what is restored is not what was running");
    }
}

pub(crate) fn unreached() -> Unreached {
    Unreached { detail: "it is off".into() }
}
