//! All of it together: events, steps, and the promises held after each.

use std::collections::BTreeMap;
use std::fmt;

use autonomy_messaging::messenger::{
    Answer, Command, ContactId, Direction, Effect, EntryState, EntryView, Input, RefusedBecause,
};
use autonomy_messaging::place::{Place, QueueId};
use autonomy_messaging::queue::QueueLimits;
use autonomy_messaging::wire::Response;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

use super::body::{Body, Crash, Hours};
use super::config::{Config, DAY, Fault, HOUR, SECOND};
use super::heap::{Heap, Millis, Trail};
use super::mishaps::Mend;
use super::net::{Arrival, Host, Outcome, Weather};
use super::owner::{self, Bond};
use super::pod::{BEGINNING, Pod, mix, some_place};
use super::relay::Relay;
use super::truth::Truth;
use super::{Conduct, body::Caller};

/// Rows of one pod in so many are compared with its memory after a step; in a scripted world after every step.
const COMPARED: u64 = 64;
/// A step in so many is cut off, where pods fall.
const STEPS_TO_A_FALL: u32 = 1_500;
/// Wakes in a row that ask to be woken at once.
const MAX_SPINS: u32 = 60;
/// After the last fault all has to be in order within so much time: longest pauses of senders are 15 minutes to a
/// relay and a day to one that answered and did not lead to a receipt.
const HEALING: Millis = 4 * DAY;

/// A world in virtual time.
#[derive(Debug)]
pub struct World {
    pub(super) config: Config,
    pub(super) heap: Heap<Event>,
    pub(super) rng: StdRng,
    trail: Trail,
    pub(super) bodies: Vec<Body>,
    pub(super) relays: Vec<Relay>,
    pub(super) relay_sides: Vec<bool>,
    pub(super) hosts: BTreeMap<Place, Host>,
    pub(super) people: BTreeMap<ContactId, usize>,
    pub(super) weather: Weather,
    pub(super) troubled: bool,
    pub(super) truth: Truth,
    pub(super) bonds: Vec<Bond>,
    pub(super) bonds_of: Vec<Vec<usize>>,
    pub(super) messages_left: u64,
    pub(super) figures: Figures,
    pub(super) spins: Vec<u32>,
    broken: Option<Box<Violation>>,
}

/// Something that happens.
#[derive(Debug)]
pub(super) enum Event {
    /// The hours of a pod begin or end.
    Switch { pod: usize },
    /// A pod that fell comes up.
    Rise { pod: usize, life: u64 },
    /// A pod wanted to be woken.
    Wake { pod: usize, life: u64 },
    /// An owner looks at their device.
    Owner { pod: usize },
    /// A request arrives.
    Arrive(Box<Arrival>),
    /// So ends a call.
    Answered { caller: Caller, outcome: Box<Outcome> },
    /// A subscription is tried.
    Connect { pod: usize, number: u64 },
    /// A subscription breaks.
    Hangup { pod: usize, number: u64 },
    /// A frame arrives over a subscription.
    Push { pod: usize, number: u64, queue: QueueId, frame: u64 },
    /// Something goes wrong.
    Mishap,
    /// Something goes right again.
    Mend(Mend),
    /// Relays forget what is too old.
    Sweep,
}

/// What happened in numbers.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "each is the number of what its name says")]
pub struct Figures {
    pub events: u64,
    pub steps: u64,
    pub rows: u64,
    pub row_bytes: u64,
    pub calls: u64,
    pub unreached: u64,
    pub deposits: u64,
    pub pushed: u64,
    pub crashes: u64,
    pub starts: u64,
    pub restores: u64,
    pub mishaps: u64,
    pub compared: u64,
    pub refused_sends: u64,
    pub failed_joins: u64,
    pub rekeyed: u64,
    pub relays_replaced: u64,
    pub most_events: u64,
    pub most_frames: u64,
}

/// How it went.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each is what its name says; times in virtual seconds")]
pub struct Report {
    pub seed: u64,
    pub pods: usize,
    pub relays: usize,
    pub faults: String,
    pub virtual_seconds: u64,
    pub contacts: usize,
    pub sent: u64,
    pub shown: u64,
    pub shown_again: u64,
    pub delivered: u64,
    pub expired: u64,
    pub forgotten: u64,
    pub median_latency: u64,
    pub p95_latency: u64,
    pub disk_bytes: u64,
    pub digest: u64,
    pub figures: Figures,
}

/// A promise that was broken, and where.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Violation {
    /// The seed that leads there again.
    pub seed: u64,
    /// When.
    pub at: Millis,
    /// Which pod.
    pub pod: Option<usize>,
    /// What.
    pub what: String,
    /// The last events of that pod.
    pub story: Vec<String>,
}

impl World {
    /// Makes a world.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut rng = StdRng::seed_from_u64(mix(config.seed, 0));
        let bodies: Vec<Body> = (0..config.pods)
            .map(|index| {
                let hours = if config.by_itself { owner::hours(index, &mut rng) } else { Hours::Always };
                Body::new(Pod::new(config.seed, index), hours)
            })
            .collect();
        let limits = QueueLimits { frames_per_queue: 128, ..QueueLimits::default() };
        let relays: Vec<Relay> = (0..config.relays)
            .map(|_| {
                let place = some_place(&mut rng);
                let mut secret = [0; 32];
                rng.fill_bytes(&mut secret);
                Relay::new(place, limits, secret)
            })
            .collect();
        let pods = bodies.iter().enumerate().map(|(index, body)| (body.pod.place(), Host::Pod(index)));
        let places = relays.iter().enumerate().map(|(index, relay)| (relay.place, Host::Relay(index)));
        let hosts = pods.chain(places).collect();
        let people = bodies.iter().enumerate().map(|(index, body)| (body.pod.contact_id(), index)).collect();
        let (bonds, bonds_of) = owner::bonds(&config);
        let mut world = Self {
            heap: Heap::new(),
            trail: Trail::new(),
            relay_sides: vec![false; config.relays],
            hosts,
            people,
            weather: Weather::of(&config.faults),
            troubled: config.by_itself,
            truth: Truth::default(),
            bonds,
            bonds_of,
            messages_left: config.messages,
            figures: Figures::default(),
            spins: vec![0; config.pods],
            broken: None,
            bodies,
            relays,
            rng,
            config,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.heap.after(DAY, Event::Sweep);
        for pod in 0..self.bodies.len() {
            self.bodies[pod].wanted = true;
            self.rise(pod);
            self.add_relays(pod);
            if self.config.by_itself {
                let look = self.rng.gen_range(0..HOUR / 2);
                self.heap.after(look, Event::Owner { pod });
                self.heap.after(SECOND, Event::Switch { pod });
            }
        }
        if self.config.by_itself {
            self.next_mishap();
        }
    }

    /// Lets it run up to this moment.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn run_until(&mut self, until: Millis) -> Result<(), Box<Violation>> {
        while let Some(event) = self.heap.next(until) {
            self.figures.events += 1;
            self.figures.most_events = self.figures.most_events.max(self.heap.len() as u64);
            self.happen(event);
            if let Some(violation) = self.broken.take() {
                return Err(violation);
            }
        }
        self.heap.rest(until);
        Ok(())
    }

    /// Lets it run for so long.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn run_for(&mut self, millis: Millis) -> Result<(), Box<Violation>> {
        self.run_until(self.heap.now() + millis)
    }

    /// Faults, then calm, then everybody at home, until nothing waits.
    pub(super) fn run_to_the_end(&mut self, progress: &dyn Fn(f32, &str)) -> Result<(), Box<Violation>> {
        let trouble = self.config.days * DAY;
        while self.heap.now() < trouble {
            self.run_until(trouble.min(self.heap.now() + HOUR))?;
            let told = format!("day {}, {} messages", self.heap.now() / DAY, self.truth.delivered);
            progress(self.heap.now() as f32 / trouble as f32, &told);
        }
        progress(1.0, "calm, until nothing waits");
        self.calm_down();
        let calm_until = self.heap.now() + HEALING / 4;
        while self.heap.now() < calm_until && self.truth.waiting() > 0 {
            self.run_for(HOUR)?;
        }
        self.everybody_at_home();
        let end = self.heap.now() + HEALING;
        while self.heap.now() < end && !self.is_settled() {
            self.run_for(HOUR)?;
        }
        self.check_the_end();
        self.broken.take().map_or(Ok(()), Err)
    }

    fn is_settled(&self) -> bool {
        let bound = self.bonds.iter().all(Bond::is_bound);
        self.truth.waiting() == 0 && bound && self.relays.iter().all(|relay| relay.backlog() == 0)
    }

    /// Nothing may wait any more.
    pub fn check_the_end(&mut self) {
        if let Some(((from, to), message)) = self.truth.one_waiting() {
            let count = self.truth.waiting();
            let receiver = self.bodies[to].story().join("\n    ");
            let what = format!(
                "message {message} of pod {from} to pod {to} still waits ({count} in all); of pod {to}:\n    {receiver}"
            );
            return self.breach(Some(from), what);
        }
        if let Some(bond) = self.bonds.iter().find(|bond| !bond.is_bound()) {
            let (pod, what) = (bond.inviter, format!("no contacts: {bond:?}"));
            return self.breach(Some(pod), what);
        }
        if let Some(relay) = self.relays.iter().position(|relay| relay.backlog() > 0) {
            let what = format!(
                "relay {relay} still has {} frames for those who listen",
                self.relays[relay].backlog()
            );
            return self.breach(None, what);
        }
        for pod in 0..self.bodies.len() {
            self.compare(pod);
        }
    }

    fn happen(&mut self, event: Event) {
        let now = self.heap.now();
        match event {
            Event::Switch { pod } => {
                self.trail.note(&[1, now, pod as u64]);
                self.switch(pod);
            }
            Event::Rise { pod, life } => {
                self.trail.note(&[2, now, pod as u64]);
                if self.bodies[pod].life == life && self.bodies[pod].wanted {
                    self.rise(pod);
                }
            }
            Event::Wake { pod, life } => {
                let body = &mut self.bodies[pod];
                if body.life == life && body.wake == Some(now) {
                    body.wake = None;
                    self.trail.note(&[3, now, pod as u64]);
                    self.give(pod, Input::Wake);
                }
            }
            Event::Owner { pod } => {
                self.trail.note(&[4, now, pod as u64]);
                self.owner(pod);
            }
            Event::Arrive(arrival) => {
                self.trail.note(&[5, now, arrival.to.number()]);
                self.arrive(*arrival);
            }
            Event::Answered { caller, outcome } => {
                self.trail.note(&[6, now, caller.pod as u64, caller.call.0, u64::from(outcome.is_ok())]);
                self.answered(caller, *outcome);
            }
            Event::Connect { pod, number } => {
                self.trail.note(&[7, now, pod as u64, number]);
                self.connect(pod, number);
            }
            Event::Hangup { pod, number } => {
                self.trail.note(&[8, now, pod as u64, number]);
                self.hang_up(pod, number);
            }
            Event::Push { pod, number, queue, frame } => {
                self.trail.note(&[9, now, pod as u64, number, frame]);
                self.pushed(pod, number, queue, frame);
            }
            Event::Mishap => {
                self.trail.note(&[10, now]);
                self.mishap();
            }
            Event::Mend(mend) => {
                self.trail.note(&[11, now]);
                self.mend(mend);
            }
            Event::Sweep => self.sweep(),
        }
    }

    fn sweep(&mut self) {
        let now = self.seconds();
        self.relays.iter_mut().for_each(|relay| relay.sweep(now));
        let frames = self.relays.iter().map(Relay::frames).sum();
        self.figures.most_frames = self.figures.most_frames.max(frames);
        if let Some(relay) = self.relays.iter().position(|relay| !relay.is_sound()) {
            self.breach(None, format!("the books of relay {relay} are wrong, or it holds more than it may"));
        }
        self.heap.after(DAY / 4, Event::Sweep);
    }

    /// The right time, seconds since 1970.
    pub(super) fn seconds(&self) -> u64 {
        BEGINNING + self.heap.now() / 1000
    }

    /// The first promise that is broken is the one that is told.
    pub(super) fn breach(&mut self, pod: Option<usize>, what: String) {
        let story = pod.map(|pod| self.bodies[pod].story()).unwrap_or_default();
        let (seed, at) = (self.config.seed, self.heap.now());
        self.broken.get_or_insert_with(|| Box::new(Violation { seed, at, pod, what, story }));
    }

    /// How it went so far.
    #[must_use]
    pub fn report(&self) -> Report {
        Report {
            seed: self.config.seed,
            pods: self.bodies.len(),
            relays: self.relays.len(),
            faults: self.config.faults.to_string(),
            virtual_seconds: self.heap.now() / 1000,
            contacts: self.bonds.iter().filter(|bond| bond.is_bound()).count(),
            sent: self.truth.sent,
            shown: self.truth.shown,
            shown_again: self.truth.shown_again,
            delivered: self.truth.delivered,
            expired: self.truth.expired,
            forgotten: self.truth.forgotten,
            median_latency: self.truth.latency(50),
            p95_latency: self.truth.latency(95),
            disk_bytes: self.bodies.iter().map(|body| body.pod.disk_bytes() as u64).sum(),
            digest: self.trail.value(),
            figures: self.figures,
        }
    }
}

/// Steps.
impl World {
    /// Gives a pod an input: handled, committed, carried out, unless the pod falls in between. None where no answer
    /// comes of it.
    pub(super) fn give(&mut self, pod: usize, input: Input) -> Option<Result<Answer, RefusedBecause>> {
        let now = self.heap.now();
        let crash = self.draw_crash(pod);
        let collected = match &input {
            Input::Collected { queue, number, .. } => Some((*queue, *number)),
            _ => None,
        };
        let step = self.bodies[pod].pod.handle(now, input)?;
        self.figures.steps += 1;
        if crash == Some(Crash::BeforeCommit) {
            self.crash(pod, "falls before commit, in step");
            return None;
        }
        self.commit(pod, step.rows, collected);
        let most = match crash {
            Some(Crash::AfterEffects(count)) => count,
            _ => usize::MAX,
        };
        let all = step.effects.len();
        for effect in step.effects.into_iter().take(most) {
            self.carry_out(pod, effect);
        }
        if crash.is_some() {
            self.crash(
                pod,
                if most < all { "falls amid effects, in step" } else { "falls after effects, in step" },
            );
            return None;
        }
        self.schedule_wake(pod);
        step.answer
    }

    fn draw_crash(&mut self, pod: usize) -> Option<Crash> {
        if let Some(crash) = self.bodies[pod].crash_now() {
            return Some(crash);
        }
        let falls = self.troubled && self.config.faults.has(Fault::Crashes);
        if !falls || !self.rng.gen_ratio(1, STEPS_TO_A_FALL) {
            return None;
        }
        Some(match self.rng.gen_range(0..4) {
            0 => Crash::BeforeCommit,
            1 => Crash::AfterEffects(0),
            _ => Crash::AfterEffects(self.rng.gen_range(0..4)),
        })
    }

    fn commit(
        &mut self,
        pod: usize,
        rows: Vec<autonomy_messaging::messenger::MailRow>,
        collected: Option<(QueueId, u64)>,
    ) {
        self.figures.rows += rows.len() as u64;
        let bytes = rows.iter().map(|row| row.value.as_ref().map_or(0, Vec::len)).sum::<usize>();
        self.figures.row_bytes += bytes as u64;
        let entries = self.bodies[pod].pod.commit(rows);
        if let Some((queue, number)) = collected {
            let safe = self.bodies[pod].safe.entry(queue).or_default();
            *safe = number.max(*safe);
        }
        for (contact, entry) in entries {
            self.entry(pod, contact, &entry);
        }
        if !self.config.by_itself || self.figures.steps % COMPARED == 0 {
            self.compare(pod);
        }
    }

    /// An entry of a conversation is on a disk.
    fn entry(&mut self, pod: usize, contact: ContactId, entry: &EntryView) {
        let now = self.heap.now();
        let Some(other) = self.people.get(&contact).copied() else { return };
        let Some(message) = owner::number_in(&entry.payload) else { return };
        let kept = match (entry.direction, entry.state) {
            (Direction::Outgoing, EntryState::Delivered(_)) => {
                self.bodies[pod].tell(now, "was told of delivery:", message);
                self.truth.delivered((pod, other), message)
            }
            (Direction::Outgoing, EntryState::Expired(_)) => {
                self.bodies[pod].tell(now, "gave up message", message);
                self.truth.expired((pod, other), message);
                Ok(())
            }
            (Direction::Outgoing, _) => {
                self.bodies[pod].tell(now, "wrote message", message);
                self.truth.said((pod, other), message, now);
                Ok(())
            }
            (Direction::Incoming, _) => {
                self.bodies[pod].tell(now, "was shown message", message);
                self.bodies[pod].unread.insert(contact, entry.number);
                self.truth.shown((other, pod), message, now)
            }
        };
        if let Err(what) = kept {
            self.breach(Some(pod), format!("between pod {pod} and pod {other}: {what}"));
        }
    }

    /// A pod restored from its rows must equal the one that runs.
    fn compare(&mut self, pod: usize) {
        self.figures.compared += 1;
        match self.bodies[pod].pod.equals_restored() {
            Ok(true) => {}
            Ok(false) => {
                self.breach(Some(pod), "restored from its rows it differs from the one that runs".into())
            }
            Err(error) => self.breach(Some(pod), format!("its rows cannot be read: {error}")),
        }
        // A window of parts and a message for each contact.
        let most = (self.people.len().min(self.bonds_of[pod].len() + 8)) * 262;
        if self.bodies[pod].pod.kept_parts() > most {
            self.breach(Some(pod), "it keeps more parts than a window".into());
        }
    }

    fn schedule_wake(&mut self, pod: usize) {
        let now = self.heap.now();
        let Some(at) = self.bodies[pod].pod.next_wake() else { return };
        self.spins[pod] = if at <= now.saturating_sub(SECOND) { self.spins[pod] + 1 } else { 0 };
        if self.spins[pod] > MAX_SPINS {
            return self.breach(Some(pod), format!("it wants to be woken at {at}, at once and for ever"));
        }
        let at = at.max(now - now % SECOND + SECOND);
        let body = &mut self.bodies[pod];
        if body.wake.is_none_or(|before| before > at || before < now) {
            body.wake = Some(at);
            let life = body.life;
            self.heap.at(at, Event::Wake { pod, life });
        }
    }

    fn carry_out(&mut self, pod: usize, effect: Effect) {
        match effect {
            Effect::Call { call, place, lane, request } => self.call(pod, call, place, lane, request),
            Effect::Collect(collections) => self.collect(pod, collections),
            Effect::Serve(queues) => self.bodies[pod].serving = queues.into_iter().collect(),
            Effect::Answer { ticket, response } => self.answer_ask(pod, ticket, response),
            Effect::Notify(notice) => self.notice(pod, &notice),
        }
    }

    fn answer_ask(&mut self, pod: usize, ticket: u64, response: Response) {
        if let Some(caller) = self.bodies[pod].asks.remove(&ticket) {
            self.reply(caller, Host::Pod(pod), response);
        }
    }
}

/// Lives.
impl World {
    /// A pod comes up.
    pub(super) fn rise(&mut self, pod: usize) {
        let now = self.heap.now();
        if self.bodies[pod].pod.is_running() {
            return;
        }
        self.figures.starts += 1;
        let life = self.bodies[pod].life;
        self.bodies[pod].tell(now, "starts, life", life);
        if let Err(error) = self.bodies[pod].pod.start() {
            return self.breach(Some(pod), format!("its rows cannot be read: {error}"));
        }
        self.give(pod, Input::Wake);
    }

    /// A pod ends, with or without its owner's wish.
    pub(super) fn fall(&mut self, pod: usize) {
        for (key, subscription) in std::mem::take(&mut self.bodies[pod].subscriptions) {
            self.leave(pod, &key.0, &subscription);
        }
        for caller in self.bodies[pod].fall() {
            self.unreached(caller, 5, 60);
        }
        self.spins[pod] = 0;
    }

    fn crash(&mut self, pod: usize, how: &'static str) {
        self.figures.crashes += 1;
        let (now, steps) = (self.heap.now(), self.figures.steps);
        self.bodies[pod].tell(now, how, steps);
        self.fall(pod);
        let away = if self.rng.gen_bool(0.8) { 20 * SECOND } else { HOUR };
        let away = self.rng.gen_range(SECOND..away);
        let life = self.bodies[pod].life;
        self.heap.after(away, Event::Rise { pod, life });
    }

    fn switch(&mut self, pod: usize) {
        let now = self.heap.now();
        let body = &mut self.bodies[pod];
        body.wanted = body.hours.is_open(now);
        let (wanted, next) = (body.wanted, body.hours.next_change(now));
        if let Some(at) = next {
            self.heap.at(at, Event::Switch { pod });
        }
        match (wanted, self.bodies[pod].pod.is_running()) {
            (true, false) => self.rise(pod),
            (false, true) => {
                self.bodies[pod].tell(now, "is switched off, life", 0);
                self.fall(pod);
            }
            _ => {}
        }
    }

    /// Asks a pod something as its owner.
    pub(super) fn ask(&mut self, pod: usize, command: Command) -> Option<Result<Answer, RefusedBecause>> {
        self.give(pod, Input::Command(command))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, at, pod, what, story } = self;
        let pod = pod.map_or_else(|| "the world".to_owned(), |pod| format!("pod {pod}"));
        let clock = at / 1000 + BEGINNING;
        write!(f, "seed {seed}, at {clock} (day {}), {pod}: {what}", at / DAY)?;
        story.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// What a scenario does and sees.
impl World {
    /// Asks a pod something as its owner. None if it does not run, or falls.
    pub fn command(&mut self, pod: usize, command: Command) -> Option<Result<Answer, RefusedBecause>> {
        self.ask(pod, command)
    }

    /// Switches a pod on or off.
    pub fn switch_to(&mut self, pod: usize, on: bool) {
        self.bodies[pod].wanted = on;
        if on { self.rise(pod) } else { self.fall(pod) }
    }

    /// The pod falls in the step after so many more.
    pub fn crash_after(&mut self, pod: usize, steps: u64, crash: Crash) {
        self.bodies[pod].crash = Some((steps, crash));
    }

    /// Whether a fall that was asked for is still to come.
    #[must_use]
    pub fn crash_is_due(&self, pod: usize) -> bool {
        self.bodies[pod].crash.is_some()
    }

    /// What a relay does from now on.
    pub fn conduct(&mut self, relay: usize, conduct: Conduct) {
        self.set_conduct(relay, conduct);
    }

    /// A relay loses all that it has.
    pub fn wipe(&mut self, relay: usize) {
        self.wipe_relay(relay);
    }

    /// How a pod is named by others.
    #[must_use]
    pub fn contact(&self, pod: usize) -> ContactId {
        self.bodies[pod].pod.contact_id()
    }

    /// Messages that are neither delivered nor given up.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.truth.waiting()
    }

    /// The number of the last message from one pod that another was shown.
    #[must_use]
    pub fn shown_to(&self, from: usize, to: usize) -> u64 {
        self.truth.shown_to((from, to))
    }

    /// Milliseconds since the world began.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.heap.now()
    }

    /// The place of a relay.
    #[must_use]
    pub fn relay_place(&self, relay: usize) -> Place {
        self.relays[relay].place
    }
}
