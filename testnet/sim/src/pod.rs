//! The pod under test behind a seam: a whole node, its disk, and steps that may be cut off anywhere.
//!
//! All that the world knows of the node is in this module: it speaks its own words ([`Command`], [`Effect`]), which
//! `translate` turns into the node's.

mod translate;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use autonomy_api::DeviceKey;
use autonomy_messaging::messenger::{self, ContactId, EntryState, EntryView, MailRow};
use autonomy_messaging::place::Place;
use autonomy_messaging::{OnionSeed, PublicKey, SigningKey};
use autonomy_node::{self as node, Caller, Identity, Node, Row, Watch};
use autonomy_wallet::bitcoin::{BlockHash, Network, Transaction, Txid};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use crate::chain::Verdict;
use crate::command::{Answer, Command, Notice, Refused};
use crate::heap::Millis;
use crate::person::Person;

/// First byte of the messenger's keys of parts that wait, and of entries.
const PART: u8 = b'p';
const ENTRY: u8 = b'e';

/// When worlds begin: 23 November 2026, in seconds since 1970.
pub(super) const BEGINNING: u64 = 1_795_392_000;
/// Blocks that a new pod is told of: as many as it keeps.
pub(super) const MAX_ANCHOR: u32 = 144;
/// Bitcoin network of all pods.
const NETWORK: Network = Network::Regtest;
/// Characters that are shown before what differs.
const CONTEXT: usize = 200;
/// Settled entries that a disk keeps for each pod: nothing reads older ones here.
const KEPT_ENTRIES: usize = 256;

/// A row on disk: key and value.
pub(super) type Disk = BTreeMap<Vec<u8>, Vec<u8>>;

/// Names a subscription of a pod for one stay in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SubscriptionId {
    pub(super) pod: usize,
    pub(super) number: u64,
}

/// A pod: whose it is, what is on its disk, and what is in its memory while it runs.
#[derive(Debug)]
pub(super) struct Pod {
    person: Person,
    place: Place,
    seed: u64,
    disk: Disk,
    memory: Option<Box<Node>>,
    steps: u64,
    /// Seconds by which its clock is wrong.
    pub(super) clock: i64,
    settled: VecDeque<Vec<u8>>,
}

/// What can happen to a pod.
#[derive(Debug)]
pub(super) enum Input {
    /// A place answered, a frame came, or somebody asks.
    Mail(messenger::Input),
    /// A device asks, under an idempotency key where it changes anything.
    Ask { device: [u8; 32], key: Option<String>, command: Command },
    /// The owner of the machine brings the answer to the pod's request.
    Adopt(String),
    /// Its chain source saw something.
    Chain(ChainNews),
    /// What became of a transaction that it sent.
    Broadcast(Txid, Verdict),
    /// Time has passed.
    Wake,
}

/// What a chain source sees.
#[derive(Debug)]
pub(super) enum ChainNews {
    /// The last blocks, oldest first: height, hash, time.
    Anchor(Vec<(u32, BlockHash, u64)>),
    /// A block on one that the pod knows: as a source gives it that compares it with what the pod watches.
    Block(node::ChainEvent),
    /// New transactions that concern the pod, and watched ones that are gone.
    Mempool { seen: Vec<Transaction>, evicted: Vec<Txid> },
    /// There is no more to tell up to this height.
    Synced(u32),
}

/// What a pod does to the world.
#[derive(Debug)]
pub(super) enum Effect {
    /// Ask a place something, collect, serve, answer.
    Mail(Box<messenger::Effect>),
    /// Tell the devices.
    Notice(Notice),
    /// Exactly these devices may enter.
    Admit(BTreeSet<[u8; 32]>),
    /// The chain source looks for these too.
    Watch(Box<Watch>),
    /// Hand this transaction to the chain source.
    Broadcast(Txid, Box<Transaction>),
    /// Nothing that this world has.
    Nothing,
}

/// The outcome of one input: commit the rows, then carry out the effects, then give the answer.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) rows: Vec<Change>,
    pub(super) effects: Vec<Effect>,
    pub(super) answer: Option<Result<Answer, Refused>>,
}

/// A row that changes.
#[derive(Debug)]
pub(super) struct Change {
    key: Vec<u8>,
    pub(super) value: Option<Vec<u8>>,
    /// The entry of a conversation that it is, if it is one.
    entry: Option<(ContactId, EntryView)>,
}

impl Pod {
    /// A pod that its owner has just adopted; it does not run yet.
    pub(super) fn new(seed: u64, index: usize) -> Self {
        let seed = mix(seed, index as u64 + 1);
        let mut rng = StdRng::seed_from_u64(seed);
        let mut person = Person::draw(&mut rng);
        let (node, rows) = Node::create(Identity::draw(NETWORK, &mut rng, BEGINNING));
        let bundle = person.bundle(&node.pod_request(), mix(seed, 0));
        let mut pod = Self {
            place: some_place(&mut rng),
            person,
            seed,
            disk: Disk::new(),
            memory: Some(Box::new(node)),
            steps: 0,
            clock: 0,
            settled: VecDeque::new(),
        };
        pod.commit(rows.into_iter().map(Change::of).collect());
        pod.adopt(bundle);
        pod
    }

    /// The machine's owner hands over the bundle, and the pod stops: new keys are used from the next start.
    #[expect(clippy::expect_used, reason = "it was just made, and runs; it has an owner now")]
    fn adopt(&mut self, bundle: String) {
        let step = self.handle(0, Input::Adopt(bundle));
        let step = step.expect("it was just made, and runs");
        assert!(step.answer.is_some_and(|answer| answer.is_ok()), "an owner's own bundle fits");
        self.commit(step.rows);
        self.place = self.memory.as_deref().and_then(place_of).expect("it has an owner now");
        self.stop();
    }

    /// Where others reach it, when they do.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    pub(super) fn contact_id(&self) -> ContactId {
        self.person.contact_id()
    }

    pub(super) fn person(&self) -> &Person {
        &self.person
    }

    /// Its owner's answer to what it asks for now. None when it does not run.
    pub(super) fn bundle(&mut self) -> Option<String> {
        let request = self.memory.as_ref()?.pod_request();
        Some(self.person.bundle(&request, mix(self.seed, self.steps)))
    }

    pub(super) fn is_running(&self) -> bool {
        self.memory.is_some()
    }

    /// What its clock shows, seconds since 1970.
    pub(super) fn clock(&self, now: Millis) -> u64 {
        (BEGINNING + now / 1000).saturating_add_signed(self.clock)
    }

    /// Comes up from its disk: gives what it does first.
    pub(super) fn start(&mut self) -> Result<Vec<Effect>, String> {
        let (node, effects) = self.restored()?;
        self.place = place_of(&node).unwrap_or(self.place);
        self.memory = Some(Box::new(node));
        Ok(effects.into_iter().map(translate::effect).collect())
    }

    /// Its memory is gone.
    pub(super) fn stop(&mut self) {
        self.memory = None;
    }

    /// One step in memory; nothing of it is on disk yet. None when it does not run.
    pub(super) fn handle(&mut self, now: Millis, input: Input) -> Option<Step> {
        self.work(now, translate::input(input))
    }

    fn work(&mut self, now: Millis, input: node::Input) -> Option<Step> {
        let clock = self.clock(now);
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

    /// The rows of a step are on disk now; gives the entries of conversations among them.
    pub(super) fn commit(&mut self, rows: Vec<Change>) -> Vec<(ContactId, EntryView)> {
        let mut entries = Vec::new();
        for Change { key, value, entry } in rows {
            if let Some((contact, entry)) = entry {
                if entry.state != EntryState::Queued {
                    self.settled.push_back(key.clone());
                }
                entries.push((contact, entry));
            }
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
        entries
    }

    /// Where a pod restored from this one's disk differs from the one that runs, if it does.
    pub(super) fn differs_from_restored(&self) -> Result<Option<String>, String> {
        let (restored, _) = self.restored()?;
        let running = self.memory.as_deref().filter(|node| **node != restored);
        Ok(running.map(|node| difference(node, &restored)))
    }

    /// When it wants to be woken.
    pub(super) fn next_wake(&self) -> Option<Millis> {
        let at = self.memory.as_ref()?.next_wake()?;
        Some(at.saturating_add_signed(-self.clock).saturating_sub(BEGINNING).saturating_mul(1000))
    }

    /// The blocks that it knows, oldest first: where its chain source resumes.
    pub(super) fn chain_points(&self) -> Vec<(u32, BlockHash)> {
        let points = self.memory.iter().flat_map(|node| node.chain_points());
        points.map(|point| (point.height, point.hash)).collect()
    }

    /// A backup: everything but the ratchets.
    pub(super) fn backup(&self) -> Disk {
        let kept = self.disk.iter().filter(|(key, _)| Row::is_in_backup(key));
        kept.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The disk is lost, and this backup takes its place.
    pub(super) fn put_back(&mut self, backup: Disk) {
        self.disk = backup;
        // What was settled since may wait again.
        self.settled.clear();
    }

    /// Parts that wait for those before them, of all contacts.
    pub(super) fn kept_parts(&self) -> usize {
        let [from, to] =
            [vec![PART], vec![PART, 0xff]].map(|key| Row::from(MailRow { key, value: None }).key);
        self.disk.range(from..to).count()
    }

    /// Bytes on disk.
    pub(super) fn disk_bytes(&self) -> usize {
        self.disk.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    fn restored(&self) -> Result<(Node, Vec<node::Effect>), String> {
        let hot = self.disk.iter().filter(|(key, _)| !Row::is_cold_key(key));
        let rows = hot.map(|(key, value)| Row::found(key.clone(), value.clone()));
        Node::restore(rows).map_err(|error| error.to_string())
    }
}

impl Change {
    fn of(row: Row) -> Self {
        let Row { key, value } = row;
        let entry = match key.split_first() {
            Some((_, mail)) if Row::is_cold_key(&key) && mail.first() == Some(&ENTRY) => {
                MailRow { key: mail.to_vec(), value: value.clone() }.entry()
            }
            _ => None,
        };
        Self { key, value: value.map(|mut value| std::mem::take(&mut *value)), entry }
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

/// In which part two nodes differ, as far as they can be asked.
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

/// Where a node says that it is reached.
fn place_of(node: &Node) -> Option<Place> {
    let onion = OnionSeed::from_bytes(&node.owner()?.peer_seed).public();
    let pod_key = SigningKey::from_bytes(&node.pod_seed());
    Some(Place::new(*onion.as_bytes(), PublicKey::from(&pod_key)))
}

/// A caller that is a device.
fn device(key: [u8; 32]) -> Caller {
    Caller::Device(DeviceKey(key))
}

/// Where nobody is yet.
pub(super) fn some_place(rng: &mut StdRng) -> Place {
    let mut onion = [0; 32];
    rng.fill_bytes(&mut onion);
    Place::new(onion, PublicKey::from(&SigningKey::generate(rng)))
}

/// A seed for one purpose of another (splitmix64).
pub(super) fn mix(seed: u64, purpose: u64) -> u64 {
    let mut x = seed.wrapping_add(purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
