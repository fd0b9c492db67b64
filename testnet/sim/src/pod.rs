//! The node under test behind a seam: a whole node, its disk, and steps that may be cut off at any point.
//!
//! Everything that the world knows of the node is in this module. The world speaks in types of its own ([`Command`],
//! [`Effect`]), and `translate` turns them into the node's: what changes in the node changes nothing else here.

mod change;
mod translate;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use autonomy_api::DeviceKey;
use autonomy_messaging::messenger::{self, ContactId, ContactState, MailRow};
use autonomy_messaging::place::Place;
use autonomy_messaging::{PublicKey, SigningKey};
use autonomy_node::clock::{Clock, Moment};
use autonomy_node::{self as node, Caller, Identity, Node, Row, Watch};
use autonomy_wallet::bitcoin::{BlockHash, Network, Transaction, Txid};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

pub(super) use self::change::{Change, Committed};
use crate::chain::Verdict;
use crate::command::{Answer, Command, NewDevice, Notice, Refused};
use crate::heap::Millis;
use crate::person::Person;

/// First byte of the messenger's keys of parts that wait for those before them.
const PART: u8 = b'p';

/// The moment at which worlds begin: 23 November 2026, in seconds since 1970.
pub(super) const WORLD_START: u64 = 1_795_392_000;
/// Blocks that a new pod is given at first: as many as it keeps.
pub(super) const MAX_ANCHOR: u32 = 144;
/// Tor has a new consensus so often, seconds; each is valid for three times as long.
const CONSENSUS_EACH: u64 = 3_600;
/// Bitcoin network of all pods.
const NETWORK: Network = Network::Regtest;
/// Characters of a node's debug text that are shown before the first difference.
const CONTEXT: usize = 200;
/// Entries of conversations that a disk keeps for each pod once they are delivered or received. Nothing here reads
/// older ones, and a million of them would not fit into memory.
const KEPT_ENTRIES: usize = 256;

/// All rows of a pod: values by keys, as a store keeps them.
pub(super) type Disk = BTreeMap<Vec<u8>, Vec<u8>>;

/// Names a subscription of a pod. A number is not used again, so a late frame of an old subscription leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SubscriptionId {
    pub(super) pod: usize,
    pub(super) number: u64,
}

/// A pod: its owner, its disk, and its memory while it runs.
#[derive(Debug)]
pub(super) struct Pod {
    person: Person,
    /// Where it was reached when it ran last.
    place: Place,
    seed: u64,
    /// What a crash leaves behind.
    disk: Disk,
    /// What a crash takes.
    memory: Option<Box<Node>>,
    /// Steps since the world began: the seed of each step's randomness.
    steps: u64,
    /// Seconds by which its clock is ahead.
    pub(super) clock: i64,
    /// What its process knows of the time from outside, when it started, and what the node was told of it.
    outside: Outside,
    /// Keys of entries that nothing reads any more, oldest first: see [`KEPT_ENTRIES`].
    settled: VecDeque<Vec<u8>>,
}

/// What a process knows of the time.
#[derive(Debug, Default)]
struct Outside {
    clock: Clock,
    started: Millis,
    told: bool,
}

/// An input of a pod.
#[derive(Debug)]
pub(super) enum Input {
    /// A call ended, a frame came, another asks, or a place is connected.
    Mail(messenger::Input),
    /// A device gives a command, under an idempotency key where the command changes anything.
    Ask { device: [u8; 32], key: Option<String>, command: Command },
    /// The owner of the machine brings the bundle that answers the pod's request.
    Adopt(String),
    /// The chain source reports.
    Chain(ChainNews),
    /// What became of a transaction that the pod broadcast.
    Broadcast(Txid, Verdict),
    /// Whether its clock is right.
    Clock(bool),
    /// Time has passed.
    Wake,
}

/// A report of a chain source.
#[derive(Debug)]
pub(super) enum ChainNews {
    /// The last blocks, oldest first: height, hash, time.
    Anchor(Vec<(u32, BlockHash, u64)>),
    /// A block whose parent the pod knows: its header, or the whole block where the pod watches something in it.
    Block(node::ChainEvent),
    /// New transactions that concern the pod, and watched ones that left the mempool without a block.
    Mempool { seen: Vec<Transaction>, evicted: Vec<Txid> },
    /// The source has nothing more to tell up to this height.
    Synced(u32),
}

/// An effect of a pod on its surroundings.
#[derive(Debug)]
pub(super) enum Effect {
    /// A call, a change of subscriptions or of served queues, or an answer.
    Mail(Box<messenger::Effect>),
    /// An event for the devices.
    Notice(Notice),
    /// Exactly these devices may connect.
    Admit(BTreeSet<[u8; 32]>),
    /// Its own queues are reached at exactly these onion addresses.
    Listen(Vec<[u8; 32]>),
    /// Scripts and transactions that the chain source has to look for too.
    Watch(Box<Watch>),
    /// A transaction for the chain source.
    Broadcast(Txid, Box<Transaction>),
    /// An effect on something that this world does not have.
    Nothing,
}

/// The outcome of one input. As in the daemon, the rows are committed first, then the effects carried out, then the
/// answer given.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) rows: Vec<Change>,
    pub(super) effects: Vec<Effect>,
    pub(super) answer: Option<Result<Answer, Refused>>,
}

impl Pod {
    /// Makes a pod and lets its owner adopt it. It does not run yet.
    pub(super) fn new(seed: u64, index: usize) -> Self {
        let seed = mix(seed, index as u64 + 1);
        let mut rng = StdRng::seed_from_u64(seed);
        let mut person = Person::draw(&mut rng);
        let (node, rows) = Node::create(Identity::draw(NETWORK, &mut rng, WORLD_START));
        let bundle = person.bundle(&node.pod_request(), mix(seed, 0));
        let mut pod = Self {
            place: some_place(&mut rng),
            person,
            seed,
            disk: Disk::new(),
            memory: Some(Box::new(node)),
            steps: 0,
            clock: 0,
            outside: Outside::default(),
            settled: VecDeque::new(),
        };
        pod.commit(rows.into_iter().map(Change::of).collect());
        pod.adopt(bundle);
        pod
    }

    /// Gives the pod its owner's bundle and stops it: new keys are in use from the next start.
    #[expect(clippy::expect_used, reason = "it was just made, and runs; it has an owner now")]
    fn adopt(&mut self, bundle: String) {
        let step = self.handle(0, Input::Adopt(bundle));
        let step = step.expect("it was just made, and runs");
        assert!(step.answer.is_some_and(|answer| answer.is_ok()), "an owner's own bundle fits");
        self.commit(step.rows);
        self.place = self.memory.as_deref().and_then(place_of).expect("it has an owner now");
        self.stop();
    }

    /// Where others reach it while it runs.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Its peer service is at these onion addresses from now on, the present one first. Gives the places.
    pub(super) fn listen(&mut self, onions: &[[u8; 32]]) -> Vec<Place> {
        let peer = *self.place.peer();
        let places: Vec<Place> = onions.iter().map(|onion| Place::new(*onion, peer)).collect();
        self.place = places.first().copied().unwrap_or(self.place);
        places
    }

    /// How contacts name its owner.
    pub(super) fn contact_id(&self) -> ContactId {
        self.person.contact_id()
    }

    /// What it needs to let a device of its owner in.
    pub(super) fn new_device(&mut self, device: usize) -> NewDevice {
        self.person.new_device(device)
    }

    /// Its owner's keys and devices.
    pub(super) fn person(&self) -> &Person {
        &self.person
    }

    /// Its owner's answer to the pod's present request. None while it does not run.
    pub(super) fn bundle(&mut self) -> Option<String> {
        let request = self.memory.as_ref()?.pod_request();
        Some(self.person.bundle(&request, mix(self.seed, self.steps)))
    }

    /// Whether it has a process.
    pub(super) fn is_running(&self) -> bool {
        self.memory.is_some()
    }

    /// What its clock shows, seconds since 1970.
    fn wall(&self, now: Millis) -> u64 {
        (WORLD_START + now / 1000).saturating_add_signed(self.clock)
    }

    /// What time it is for its node: by its clock, unless the outside contradicts.
    pub(super) fn moment(&self, now: Millis) -> Moment {
        self.outside.clock.read(self.wall(now), self.steady(now))
    }

    /// Seconds since its process started.
    fn steady(&self, now: Millis) -> u64 {
        now.saturating_sub(self.outside.started) / 1000
    }

    /// Its Tor has a consensus of the present hour, after one that was kept on the disk.
    pub(super) fn hear_consensus(&mut self, now: Millis) {
        let right = WORLD_START + now / 1000;
        if self.outside.clock == Clock::new() {
            self.outside.clock.consensus(right - 2 * CONSENSUS_EACH, right + CONSENSUS_EACH, 0);
        }
        let valid_after = right - right % CONSENSUS_EACH;
        let steady = self.steady(now);
        self.outside.clock.consensus(valid_after, valid_after + 3 * CONSENSUS_EACH, steady);
    }

    /// Whether its clock is right, if that is another answer than its node was given last.
    pub(super) fn judged_anew(&mut self, now: Millis) -> Option<bool> {
        let is_right = self.moment(now).is_right;
        let before = std::mem::replace(&mut self.outside.told, is_right);
        (before != is_right && self.memory.is_some()).then_some(is_right)
    }

    /// Starts it from its disk. Gives the effects that may have been lost with the last process.
    ///
    /// # Errors
    /// Its rows cannot be read.
    pub(super) fn start(&mut self, now: Millis) -> Result<Vec<Effect>, String> {
        let (node, effects) = self.restored()?;
        self.outside = Outside { started: now, ..Outside::default() };
        self.place = place_of(&node).unwrap_or(self.place);
        self.memory = Some(Box::new(node));
        Ok(effects.into_iter().map(translate::effect).collect())
    }

    /// Ends its process: what is not on disk is gone.
    pub(super) fn stop(&mut self) {
        self.memory = None;
    }

    /// One step in memory; nothing of it is on disk yet. None while it does not run.
    pub(super) fn handle(&mut self, now: Millis, input: Input) -> Option<Step> {
        self.work(now, translate::input(input))
    }

    /// The same in the node's types.
    ///
    /// Each step has randomness of its own, drawn from the pod's seed and the number of the step: what one pod draws
    /// does not depend on how many steps others took.
    fn work(&mut self, now: Millis, input: node::Input) -> Option<Step> {
        let clock = self.moment(now).now;
        let node = self.memory.as_mut()?;
        self.steps += 1;
        let mut rng = StdRng::seed_from_u64(mix(self.seed, self.steps));
        let node::Step { rows, effects, reply } = node.handle(clock, &mut rng, &self.disk, input);
        Some(Step {
            rows: rows.into_iter().map(Change::of).collect(),
            effects: effects.into_iter().map(translate::effect).collect(),
            answer: reply.map(translate::reply),
        })
    }

    /// Puts the rows of a step on disk. Gives what they are about.
    ///
    /// Entries that are settled, which means delivered, given up or received, are dropped from the disk once there
    /// are more than [`KEPT_ENTRIES`] newer ones. The node does not notice: it holds them in no memory and nothing
    /// here asks for them.
    pub(super) fn commit(&mut self, rows: Vec<Change>) -> Committed {
        let mut committed = Committed::default();
        for Change { key, value, about } in rows {
            if about.settles() {
                self.settled.push_back(key.clone());
            }
            committed.take(about);
            match value {
                Some(value) => drop(self.disk.insert(key, value)),
                None => drop(self.disk.remove(&key)),
            }
        }
        while self.settled.len() > KEPT_ENTRIES {
            if let Some(key) = self.settled.pop_front() {
                self.disk.remove(&key);
            }
        }
        // One who is removed and known anew with one step is no stranger.
        committed.removed.retain(|contact| !self.knows(*contact));
        committed
    }

    /// Whether this contact is on its disk, in any state.
    pub(super) fn knows(&self, contact: ContactId) -> bool {
        self.disk.contains_key(&change::contact_key(contact))
    }

    /// How its process stands with a contact. None while it does not run, and for one whom it does not know.
    pub(super) fn contact_state(&self, contact: ContactId) -> Option<ContactState> {
        self.memory.as_ref()?.messenger().contact_state(contact)
    }

    /// The epoch of its ratchet with a contact: 1 in the first, which every backup opens. None where there is none.
    pub(super) fn ratchet_epoch(&self, contact: ContactId) -> Option<u64> {
        self.memory.as_ref()?.ratchet_epoch(&self.disk, contact)
    }

    /// Restores a node from the disk and compares it with the one that runs. Gives how they differ, if they do. This
    /// is the promise that a crash at any moment changes nothing but what was not committed.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub(super) fn differs_from_restored(&self) -> Result<Option<String>, String> {
        let (restored, _) = self.restored()?;
        let running = self.memory.as_deref().filter(|node| **node != restored);
        Ok(running.map(|node| difference(node, &restored)))
    }

    /// When it wants to be woken, in the world's time.
    pub(super) fn next_wake(&self, now: Millis) -> Option<Millis> {
        let at = self.memory.as_ref()?.next_wake()?;
        let (right, its) = (WORLD_START + now / 1000, self.moment(now).now);
        let at = u64::try_from(i128::from(at) - i128::from(its) + i128::from(right)).unwrap_or(0);
        Some(at.saturating_sub(WORLD_START).saturating_mul(1000))
    }

    /// The blocks that it knows, oldest first: a chain source resumes at the last of them that is on the best chain.
    pub(super) fn chain_points(&self) -> Vec<(u32, BlockHash)> {
        let points = self.memory.iter().flat_map(|node| node.chain_points());
        points.map(|point| (point.height, point.hash)).collect()
    }

    /// A copy of the disk as a backup has it: without ratchets, which must never go back.
    pub(super) fn backup(&self) -> Disk {
        let kept = self.disk.iter().filter(|(key, _)| Row::is_in_backup(key));
        kept.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// A copy of the whole disk.
    pub(super) fn copy_of_disk(&self) -> Disk {
        self.disk.clone()
    }

    /// The disk is lost, and a copy takes its place.
    pub(super) fn restore_backup(&mut self, backup: Disk) {
        self.disk = backup;
        // An entry that was settled since may wait again.
        self.settled.clear();
    }

    /// Parts of all contacts that wait for those before them.
    pub(super) fn kept_parts(&self) -> usize {
        let [from, to] =
            [vec![PART], vec![PART, 0xff]].map(|key| Row::from(MailRow { key, value: None }).key);
        self.disk.range(from..to).count()
    }

    /// Bytes of all keys and values on disk.
    pub(super) fn disk_bytes(&self) -> usize {
        self.disk.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// A node from the rows on disk. Cold rows are left out, as the daemon leaves them out.
    fn restored(&self) -> Result<(Node, Vec<node::Effect>), String> {
        let hot = self.disk.iter().filter(|(key, _)| !Row::is_cold_key(key));
        let rows = hot.map(|(key, value)| Row::found(key.clone(), value.clone()));
        Node::restore(rows).map_err(|error| error.to_string())
    }
}

impl From<ChainNews> for Input {
    fn from(news: ChainNews) -> Self {
        Self::Chain(news)
    }
}

impl From<messenger::Input> for Input {
    fn from(input: messenger::Input) -> Self {
        match input {
            messenger::Input::Wake => Self::Wake,
            input => Self::Mail(input),
        }
    }
}

/// In which part two nodes differ. Parts that cannot be asked for are compared by their debug text.
fn difference(one: &Node, other: &Node) -> String {
    if one.messenger() != other.messenger() {
        return "in its mail".into();
    }
    if one.chain_points() != other.chain_points() {
        return "in the blocks it knows".into();
    }
    let [one, other] = [one, other].map(|node| format!("{node:?}"));
    let same = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(CONTEXT);
    let [one, other] = [one, other].map(|text| text.chars().skip(from).take(3 * CONTEXT).collect::<String>());
    format!("perhaps here: {one} | restored: {other}")
}

/// The place of a node's peer service, by the keys that it has now. None before it has an owner.
fn place_of(node: &Node) -> Option<Place> {
    let onion = node.owner()?.peer_seeds().first()?.public();
    let pod_key = SigningKey::from_bytes(&node.pod_seed());
    Some(Place::new(*onion.as_bytes(), PublicKey::from(&pod_key)))
}

/// A caller that is a device.
fn device(key: [u8; 32]) -> Caller {
    Caller::Device(DeviceKey(key))
}

/// A place with fresh keys.
pub(super) fn some_place(rng: &mut StdRng) -> Place {
    let mut onion = [0; 32];
    rng.fill_bytes(&mut onion);
    Place::new(onion, PublicKey::from(&SigningKey::generate(rng)))
}

/// A seed for one purpose, derived from another seed (splitmix64).
pub(super) fn mix(seed: u64, purpose: u64) -> u64 {
    let mut x = seed.wrapping_add(purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
