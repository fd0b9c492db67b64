//! The pod under test behind a seam: memory, a disk, and steps that may be cut off anywhere.
//!
//! All that the world knows of what it simulates is in this file: to simulate another thing that takes mail and gives
//! mail, change it here.

use std::collections::{BTreeMap, VecDeque};

use autonomy_messaging::messenger::{
    ContactId, EntryState, EntryView, Input, MailRow, Messenger, Own, RowClass, Step,
};
use autonomy_messaging::place::Place;
use autonomy_messaging::{AuthSeed, CertificateRole, Name, PublicKey, SigningKey, Validity};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use super::heap::Millis;

/// When worlds begin: 23 November 2026, in seconds since 1970.
pub(super) const BEGINNING: u64 = 1_795_392_000;
/// A certificate outlives every world.
const CERTIFIED_FOR: u64 = 10 * 365 * 86_400;
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

/// A pod: what it is, what is on its disk, and what is in its memory while it runs.
#[derive(Debug)]
pub(super) struct Pod {
    own: Own,
    seed: u64,
    disk: Disk,
    memory: Option<Messenger>,
    steps: u64,
    /// Seconds by which its clock is wrong.
    pub(super) clock: i64,
    settled: VecDeque<Vec<u8>>,
}

impl Pod {
    pub(super) fn new(seed: u64, index: usize) -> Self {
        let seed = mix(seed, index as u64 + 1);
        let mut rng = StdRng::seed_from_u64(seed);
        let auth = AuthSeed::generate(&mut rng);
        let root = auth.root_key();
        let pod_key = SigningKey::generate(&mut rng);
        let validity = Validity::lasting(BEGINNING - 86_400, CERTIFIED_FOR);
        let certificate = root.certify(CertificateRole::Pod, &PublicKey::from(&pod_key), 1, validity);
        let name = Name::new(&format!("pod {index}")).expect("short and visible");
        let place = some_place(&mut rng);
        let own = Own { root: root.public(), certificate, pod_key, place, name };
        Self { own, seed, disk: Disk::new(), memory: None, steps: 0, clock: 0, settled: VecDeque::new() }
    }

    pub(super) fn place(&self) -> Place {
        self.own.place
    }

    pub(super) fn contact_id(&self) -> ContactId {
        ContactId::of(&self.own.root)
    }

    pub(super) fn is_running(&self) -> bool {
        self.memory.is_some()
    }

    /// What its clock shows, seconds since 1970.
    pub(super) fn clock(&self, now: Millis) -> u64 {
        (BEGINNING + now / 1000).saturating_add_signed(self.clock)
    }

    /// Comes up from its disk.
    pub(super) fn start(&mut self) -> Result<(), String> {
        self.memory = Some(self.restored()?);
        Ok(())
    }

    /// Its memory is gone.
    pub(super) fn stop(&mut self) {
        self.memory = None;
    }

    /// One step in memory; nothing of it is on disk yet. None when it does not run.
    pub(super) fn handle(&mut self, now: Millis, input: Input) -> Option<Step> {
        let clock = self.clock(now);
        let memory = self.memory.as_mut()?;
        self.steps += 1;
        let mut rng = StdRng::seed_from_u64(mix(self.seed, self.steps));
        Some(memory.handle(clock, &mut rng, &self.disk, input))
    }

    /// The rows of a step are on disk now; gives the entries of conversations among them.
    pub(super) fn commit(&mut self, rows: Vec<MailRow>) -> Vec<(ContactId, EntryView)> {
        let mut entries = Vec::new();
        for row in rows {
            if let Some((contact, entry)) = row.entry() {
                if entry.state != EntryState::Queued {
                    self.settled.push_back(row.key.clone());
                }
                entries.push((contact, entry));
            }
            match row.value {
                Some(value) => drop(self.disk.insert(row.key, value)),
                None => drop(self.disk.remove(&row.key)),
            }
        }
        while self.settled.len() > KEPT_ENTRIES {
            if let Some(key) = self.settled.pop_front() {
                self.disk.remove(&key);
            }
        }
        entries
    }

    /// Whether a pod restored from this one's disk is the same as the one that runs.
    pub(super) fn equals_restored(&self) -> Result<bool, String> {
        let restored = self.restored()?;
        Ok(self.memory.as_ref().is_none_or(|memory| *memory == restored))
    }

    /// When it wants to be woken.
    pub(super) fn next_wake(&self) -> Option<Millis> {
        let at = self.memory.as_ref()?.next_wake()?;
        Some(at.saturating_add_signed(-self.clock).saturating_sub(BEGINNING).saturating_mul(1000))
    }

    /// A backup: everything but the ratchets.
    pub(super) fn backup(&self) -> Disk {
        let kept = |key: &[u8]| RowClass::of(key) != RowClass::Ratchet;
        self.disk
            .iter()
            .filter(|(key, _)| kept(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// The disk is lost, and this backup takes its place.
    pub(super) fn put_back(&mut self, backup: Disk) {
        self.disk = backup;
        // What was settled since may wait again.
        self.settled.clear();
    }

    /// Parts that wait for those before them, of all contacts.
    pub(super) fn kept_parts(&self) -> usize {
        self.disk.range(vec![b'p']..vec![b'q']).count()
    }

    /// Bytes on disk.
    pub(super) fn disk_bytes(&self) -> usize {
        self.disk.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    fn restored(&self) -> Result<Messenger, String> {
        let rows = self.disk.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        Messenger::restore(rows, Some(self.own.clone())).map_err(|error| error.to_string())
    }
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
