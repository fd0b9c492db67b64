//! All of it together: events, steps, and the promises held after each.

use std::collections::BTreeMap;

use autonomy_messaging::messenger::{ContactId, Input};
use autonomy_messaging::place::{Capability, Place, QueueId};
use autonomy_messaging::queue::QueueLimits;
use autonomy_wallet::bitcoin::Transaction;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

use super::body::{Body, Caller, Hours};
use super::chain::Chain;
use super::config::{Config, DAY, HOUR, SECOND};
use super::files::Sent;
use super::heap::{Heap, Millis, Trail};
use super::mishaps::Mend;
use super::net::{Arrival, Host, Outcome, Weather};
use super::owner::{self, Bond};
use super::pod::{BEGINNING, Pod, mix, some_place};
use super::relay::Relay;
use super::report::{Figures, Violation};
use super::truth::Truth;

/// One relay in so many takes only those whom its operator invited.
const BY_INVITATION: usize = 3;
/// After the last fault all has to be in order within so much time: longest pauses of senders are 15 minutes to a
/// relay and a day to one that answered and did not lead to a receipt.
const HEALING: Millis = 4 * DAY;
/// Within so much time of calm what was sent is mined: it is sent again each minute, and three blocks come an hour at least.
const LAST_BLOCKS: Millis = 4 * HOUR;

/// A world in virtual time.
#[derive(Debug)]
pub struct World {
    pub(super) config: Config,
    pub(super) heap: Heap<Event>,
    pub(super) rng: StdRng,
    pub(super) trail: Trail,
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
    pub(super) files: Vec<Sent>,
    pub(super) chain: Chain,
    /// Whether blocks are found.
    pub(super) mining: bool,
    pub(super) payments_left: u64,
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
    /// A block is found.
    Block,
    /// News of the chain come to a pod.
    News { pod: usize, life: u64 },
    /// A transaction of a pod comes to its chain source.
    Sent { pod: usize, life: u64, transaction: Box<Transaction> },
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
            .map(|index| {
                let place = some_place(&mut rng);
                let mut secret = [0; 32];
                rng.fill_bytes(&mut secret);
                let by_invitation = config.by_itself && index % BY_INVITATION == BY_INVITATION - 1;
                let token = by_invitation.then(|| Capability::from_bytes(rng.r#gen()));
                Relay::new(place, limits, secret, token)
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
            files: Vec::new(),
            chain: Chain::new(),
            mining: config.payments > 0,
            payments_left: config.payments,
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
        if self.has_money() {
            self.next_block();
        }
        for pod in 0..self.bodies.len() {
            self.bodies[pod].wanted = true;
            self.rise(pod);
            self.introduce(pod);
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
        self.let_the_chain_rest()?;
        self.check_the_end();
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Everything is mined, everybody hears of it.
    fn let_the_chain_rest(&mut self) -> Result<(), Box<Violation>> {
        self.run_for(LAST_BLOCKS)?;
        self.mining = false;
        self.run_for(HOUR)
    }

    fn is_settled(&mut self) -> bool {
        let bound = self.bonds.iter().all(Bond::is_bound);
        self.truth.waiting() == 0
            && self.files.is_empty()
            && bound
            && self.relays.iter().all(|relay| relay.backlog() == 0)
            && self.sessions_are_settled()
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
        self.check_money();
        self.check_files();
        self.check_sessions();
        if self.config.by_itself {
            self.check_devices();
            self.check_names();
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
            Event::Block | Event::News { .. } | Event::Sent { .. } => self.chain_goes_on(event),
        }
    }

    fn chain_goes_on(&mut self, event: Event) {
        let now = self.heap.now();
        match event {
            Event::Block => {
                self.trail.note(&[12, now]);
                self.block_found();
            }
            Event::News { pod, life } if self.bodies[pod].life == life => {
                self.trail.note(&[13, now, pod as u64]);
                self.follow(pod);
            }
            Event::Sent { pod, life, transaction } if self.bodies[pod].life == life => {
                self.trail.note(&[14, now, pod as u64]);
                self.sent(pod, &transaction);
            }
            _ => {}
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
}
