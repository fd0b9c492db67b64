//! All of a world together: it takes events from the heap, dispatches them, and stops at the first broken promise.

use std::collections::BTreeMap;

use autonomy_messaging::messenger::{ContactId, Input};
use autonomy_messaging::place::{Capability, Place, QueueId};
use autonomy_messaging::queue::QueueLimits;
use autonomy_wallet::bitcoin::Transaction;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

use super::chain::Chain;
use super::config::{Config, DAY, HOUR, SECOND};
use super::faults::Recovery;
use super::files::Sent;
use super::heap::{Heap, Millis, RunDigest};
use super::net::{Arrival, Host, LinkQuality, Outcome};
use super::oracle::Oracle;
use super::owner;
use super::pairs::{self, ContactPair};
use super::pod::{Pod, WORLD_START, mix, some_place};
use super::relay::Relay;
use super::report::{Figures, Violation};
use super::shell::{Caller, Hours, PodShell};
use super::traffic::Traffic;

/// Of so many relays, one admits only whoever has its operator's token.
const TOKEN_EVERY: usize = 3;
/// After the last fault everything has to be in order within this time. Senders pause for up to 15 minutes before
/// they try a relay again, and for a day where a relay took a frame and no receipt came.
const RECOVERY_TIME: Millis = 4 * DAY;
/// Without faults, what a pod broadcasts is mined within this time: it is sent again each minute, and about six
/// blocks come in an hour.
const CHAIN_SETTLING: Millis = 4 * HOUR;

/// A world in virtual time. Every method that can meet a broken promise keeps the first one; [`World::run_until`]
/// gives it.
#[derive(Debug)]
pub struct World {
    pub(super) config: Config,
    pub(super) heap: Heap<Event>,
    pub(super) rng: StdRng,
    pub(super) digest: RunDigest,
    /// Pods with what their process has around them. The position is the pod's number everywhere.
    pub(super) shells: Vec<PodShell>,
    pub(super) relays: Vec<Relay>,
    /// On which side of a partition each relay is.
    pub(super) relay_sides: Vec<bool>,
    /// Who answers at a place. A pod's place changes with its keys.
    pub(super) hosts: BTreeMap<Place, Host>,
    /// Pods by how contacts name their owners.
    pub(super) people: BTreeMap<ContactId, usize>,
    /// How links are at present.
    pub(super) links: LinkQuality,
    /// Whether faults happen: from the beginning until [`World::end_faults`].
    pub(super) faults_on: bool,
    pub(super) oracle: Oracle,
    /// Who wants to be whose contact, and how far they are.
    pub(super) pairs: Vec<ContactPair>,
    /// The pairs of each pod.
    pub(super) pairs_of: Vec<Vec<usize>>,
    /// Messages that owners still want to send.
    pub(super) messages_left: u64,
    /// Files that are underway.
    pub(super) files: Vec<Sent>,
    pub(super) chain: Chain,
    /// Whether blocks are found.
    pub(super) mining: bool,
    /// Payments that owners still want to make.
    pub(super) payments_left: u64,
    pub(super) figures: Figures,
    /// What others see, where a test wants to know.
    pub(super) traffic: Option<Traffic>,
    /// How often in a row each pod asked to be woken at a moment that was over.
    pub(super) immediate_wakes: Vec<u32>,
    /// The first broken promise.
    broken: Option<Box<Violation>>,
}

/// Something that happens at a moment. Those with a `launch` concern one process: they are dropped if it has ended
/// since.
#[derive(Debug)]
pub(super) enum Event {
    /// The hours of a pod begin or end.
    Switch { pod: usize },
    /// A pod that crashed starts again.
    Start { pod: usize, launch: u64 },
    /// The Tor of a pod has a new consensus.
    Consensus { pod: usize, launch: u64 },
    /// The moment has come for which a pod asked.
    Wake { pod: usize, launch: u64 },
    /// An owner uses a device.
    Owner { pod: usize },
    /// A request arrives at its host.
    Arrive(Box<Arrival>),
    /// A call ends, with an answer or without.
    Answered { caller: Caller, outcome: Box<Outcome> },
    /// A pod dials for a subscription.
    Connect { pod: usize, number: u64 },
    /// A subscription breaks.
    Hangup { pod: usize, number: u64 },
    /// A frame arrives over a subscription.
    Push { pod: usize, number: u64, queue: QueueId, frame: u64 },
    /// A fault happens.
    Fault,
    /// A fault ends.
    Recover(Recovery),
    /// Relays drop what is too old.
    Sweep,
    /// A block is found.
    Block,
    /// A pod's chain source looks at the chain.
    News { pod: usize, launch: u64 },
    /// A transaction of a pod arrives at its chain source.
    Sent { pod: usize, launch: u64, transaction: Box<Transaction> },
}

impl World {
    /// Makes a world at its first moment: all pods are adopted, started, named and told their relays.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut rng = StdRng::seed_from_u64(mix(config.seed, 0));
        let shells: Vec<PodShell> = (0..config.pods)
            .map(|index| {
                let hours = if config.autonomous { owner::hours(index, &mut rng) } else { Hours::Always };
                PodShell::new(Pod::new(config.seed, index), hours)
            })
            .collect();
        let limits = QueueLimits { frames_per_queue: 128, ..QueueLimits::default() };
        let relays: Vec<Relay> = (0..config.relays)
            .map(|index| {
                let place = some_place(&mut rng);
                let mut secret = [0; 32];
                rng.fill_bytes(&mut secret);
                let by_invitation = config.autonomous && index % TOKEN_EVERY == TOKEN_EVERY - 1;
                let token = by_invitation.then(|| Capability::from_bytes(rng.r#gen()));
                Relay::new(place, limits, secret, token)
            })
            .collect();
        let pods = shells.iter().enumerate().map(|(index, shell)| (shell.pod.place(), Host::Pod(index)));
        let places = relays.iter().enumerate().map(|(index, relay)| (relay.place, Host::Relay(index)));
        let hosts = pods.chain(places).collect();
        let people =
            shells.iter().enumerate().map(|(index, shell)| (shell.pod.contact_id(), index)).collect();
        let (pairs, pairs_of) = pairs::pairs(&config);
        let mut world = Self {
            heap: Heap::new(),
            digest: RunDigest::new(),
            relay_sides: vec![false; config.relays],
            hosts,
            people,
            links: LinkQuality::of(&config.faults),
            faults_on: config.autonomous,
            oracle: Oracle::default(),
            pairs,
            pairs_of,
            messages_left: config.messages,
            files: Vec::new(),
            chain: Chain::new(),
            mining: config.payments > 0,
            payments_left: config.payments,
            figures: Figures::default(),
            traffic: None,
            immediate_wakes: vec![0; config.pods],
            broken: None,
            shells,
            relays,
            rng,
            config,
        };
        world.begin();
        world
    }

    /// Starts all pods, and adds the events that repeat themselves from then on.
    fn begin(&mut self) {
        self.heap.after(DAY, Event::Sweep);
        if self.has_money() {
            self.next_block();
        }
        for pod in 0..self.shells.len() {
            self.shells[pod].wanted = true;
            self.start(pod);
            self.introduce(pod);
            if self.config.autonomous {
                let look = self.rng.gen_range(0..HOUR / 2);
                self.heap.after(look, Event::Owner { pod });
                self.heap.after(SECOND, Event::Switch { pod });
            }
        }
        if self.config.autonomous {
            self.schedule_fault();
        }
    }

    /// Runs up to this moment.
    ///
    /// # Errors
    /// The first broken promise. The world stays at that moment.
    pub fn run_until(&mut self, until: Millis) -> Result<(), Box<Violation>> {
        while let Some(event) = self.heap.next(until) {
            self.figures.events += 1;
            self.figures.most_events = self.figures.most_events.max(self.heap.len() as u64);
            self.dispatch(event);
            if let Some(violation) = self.broken.take() {
                return Err(violation);
            }
        }
        self.heap.advance_to(until);
        Ok(())
    }

    /// Runs for this long.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn run_for(&mut self, millis: Millis) -> Result<(), Box<Violation>> {
        self.run_until(self.heap.now() + millis)
    }

    /// Runs the days with faults, then without faults while pods keep their hours, then with all pods on, until
    /// nothing waits or [`RECOVERY_TIME`] is over; then compares the end state.
    pub(super) fn run_to_the_end(&mut self, progress: &dyn Fn(f32, &str)) -> Result<(), Box<Violation>> {
        let trouble = self.config.days * DAY;
        while self.heap.now() < trouble {
            self.run_until(trouble.min(self.heap.now() + HOUR))?;
            let told = format!("day {}, {} messages", self.heap.now() / DAY, self.oracle.delivered);
            progress(self.heap.now() as f32 / trouble as f32, &told);
        }
        progress(1.0, "calm, until nothing waits");
        self.end_faults();
        let calm_until = self.heap.now() + RECOVERY_TIME / 4;
        while self.heap.now() < calm_until && self.oracle.waiting() > 0 {
            self.run_for(HOUR)?;
        }
        self.start_all();
        self.say_last_words();
        let end = self.heap.now() + RECOVERY_TIME;
        while self.heap.now() < end && !self.is_settled() {
            self.run_for(HOUR)?;
        }
        self.settle_chain()?;
        self.check_the_end();
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Mines what was broadcast, then finds no more blocks until every pod has seen the last one: balances can be
    /// compared only with a chain that stands still.
    fn settle_chain(&mut self) -> Result<(), Box<Violation>> {
        self.run_for(CHAIN_SETTLING)?;
        self.mining = false;
        self.run_for(HOUR)
    }

    /// Whether nothing is underway.
    fn is_settled(&mut self) -> bool {
        let bound = self.pairs.iter().all(ContactPair::is_connected);
        self.oracle.waiting() == 0
            && self.files.is_empty()
            && bound
            && self.relays.iter().all(|relay| relay.backlog() == 0)
            && self.sessions_are_settled()
    }

    /// Compares the end state: nothing waits, everybody who wanted to be a contact is one, relays are empty, every
    /// restored node equals the running one, and money, files, devices and names are right.
    pub fn check_the_end(&mut self) {
        if let Some(((from, to), message)) = self.oracle.one_waiting() {
            let count = self.oracle.waiting();
            let receiver = self.shells[to].log_lines().join("\n    ");
            let what = format!(
                "message {message} of pod {from} to pod {to} still waits ({count} in all); of pod {to}:\n    {receiver}"
            );
            return self.breach(Some(from), what);
        }
        if let Some(pair) = self.pairs.iter().find(|pair| !pair.is_connected()) {
            let (pod, what) = (pair.inviter, format!("no contacts: {pair:?}"));
            return self.breach(Some(pod), what);
        }
        if let Some(relay) = self.relays.iter().position(|relay| relay.backlog() > 0) {
            let what = format!(
                "relay {relay} still has {} frames for those who listen",
                self.relays[relay].backlog()
            );
            return self.breach(None, what);
        }
        for pod in 0..self.shells.len() {
            self.compare(pod);
        }
        self.check_epochs();
        self.check_money();
        self.check_files();
        self.check_sessions();
        if self.config.autonomous {
            self.check_devices();
            self.check_names();
        }
    }

    /// Gives an event to the part that it concerns, and adds it to the digest.
    fn dispatch(&mut self, event: Event) {
        let now = self.heap.now();
        match event {
            Event::Switch { pod } => {
                self.digest.add(&[1, now, pod as u64]);
                self.switch(pod);
            }
            Event::Start { pod, launch } => {
                self.digest.add(&[2, now, pod as u64]);
                if self.shells[pod].launch == launch && self.shells[pod].wanted {
                    self.start(pod);
                }
            }
            Event::Wake { pod, launch } => {
                let shell = &mut self.shells[pod];
                if shell.launch == launch && shell.wake == Some(now) {
                    shell.wake = None;
                    self.digest.add(&[3, now, pod as u64]);
                    self.give(pod, Input::Wake);
                }
            }
            Event::Consensus { pod, launch } => self.consensus(pod, launch),
            Event::Owner { pod } => {
                self.digest.add(&[4, now, pod as u64]);
                self.owner(pod);
            }
            Event::Arrive(arrival) => {
                self.digest.add(&[5, now, arrival.to.number()]);
                self.arrive(*arrival);
            }
            Event::Answered { caller, outcome } => {
                self.digest.add(&[6, now, caller.pod as u64, caller.call.0, u64::from(outcome.is_ok())]);
                self.answered(caller, *outcome);
            }
            Event::Connect { pod, number } => {
                self.digest.add(&[7, now, pod as u64, number]);
                self.connect(pod, number);
            }
            Event::Hangup { pod, number } => {
                self.digest.add(&[8, now, pod as u64, number]);
                self.hang_up(pod, number);
            }
            Event::Push { pod, number, queue, frame } => {
                self.digest.add(&[9, now, pod as u64, number, frame]);
                self.pushed(pod, number, queue, frame);
            }
            Event::Fault => {
                self.digest.add(&[10, now]);
                self.inject_fault();
            }
            Event::Recover(recovery) => {
                self.digest.add(&[11, now]);
                self.recover(recovery);
            }
            Event::Sweep => self.sweep(),
            Event::Block | Event::News { .. } | Event::Sent { .. } => self.dispatch_chain(event),
        }
    }

    /// The same for events of the chain.
    fn dispatch_chain(&mut self, event: Event) {
        let now = self.heap.now();
        match event {
            Event::Block => {
                self.digest.add(&[12, now]);
                self.block_found();
            }
            Event::News { pod, launch } if self.shells[pod].launch == launch => {
                self.digest.add(&[13, now, pod as u64]);
                self.follow(pod);
            }
            Event::Sent { pod, launch, transaction } if self.shells[pod].launch == launch => {
                self.digest.add(&[14, now, pod as u64]);
                self.sent(pod, &transaction);
            }
            _ => {}
        }
    }

    /// Drops old frames and queues at relays, and checks their counts.
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

    /// The correct time, seconds since 1970.
    pub(super) fn seconds(&self) -> u64 {
        WORLD_START + self.heap.now() / 1000
    }

    /// A promise is broken. The first one is kept and ends the world.
    pub(super) fn breach(&mut self, pod: Option<usize>, what: String) {
        let log = pod.map(|pod| self.shells[pod].log_lines()).unwrap_or_default();
        let (seed, at) = (self.config.seed, self.heap.now());
        self.broken.get_or_insert_with(|| Box::new(Violation { seed, at, pod, what, log }));
    }
}
