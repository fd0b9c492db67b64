//! What a world reports: figures, and the first promise that was broken.
//!
//! A run without violation proves nothing about a check that never had anything to check. So everything that can
//! happen is counted, and the tests of this crate assert that the counts which they are about are not zero.

use std::fmt;

use super::config::DAY;
use super::heap::Millis;
use super::pod::WORLD_START;
use super::world::World;

/// How often things happened. A check that never had anything to check shows as a zero here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Events taken from the heap.
    pub events: u64,
    /// Inputs that nodes handled.
    pub steps: u64,
    /// Rows that steps wrote or removed.
    pub rows: u64,
    /// Bytes of the values of these rows.
    pub row_bytes: u64,
    /// Calls of pods to places.
    pub calls: u64,
    /// Calls without an answer.
    pub unreached: u64,
    /// Calls that left a frame.
    pub deposits: u64,
    /// Frames that relays delivered over subscriptions.
    pub pushed: u64,
    /// Frames that relays delivered once more, some long after they were acknowledged.
    pub repeated_frames: u64,
    /// Steps that were cut off.
    pub crashes: u64,
    /// Starts of a pod from its rows.
    pub starts: u64,
    /// Disks that were lost and replaced by a backup.
    pub restores: u64,
    /// Faults of module `faults` that happened.
    pub faults: u64,
    /// Comparisons of a restored node with the running one.
    pub compared: u64,
    /// Messages that a pod refused to accept.
    pub refused_sends: u64,
    /// Accepted invites that came to nothing.
    pub failed_joins: u64,
    /// Times that two pods made new ratchets with each other.
    pub rekeyed: u64,
    /// Relays that a pod replaced by another.
    pub relays_replaced: u64,
    /// Files that arrived and are known as delivered.
    pub files: u64,
    /// Commands that a device repeated under their key.
    pub repeats: u64,
    /// Requests beyond the access of a device, each refused.
    pub probes: u64,
    /// Devices that were revoked.
    pub revoked: u64,
    /// Pods that got new keys.
    pub renewed: u64,
    /// Contacts who removed each other.
    pub partings: u64,
    /// Times that an owner blocked a contact.
    pub blocked: u64,
    /// Fields of cards that arrived at contacts: each value once.
    pub card_fields: u64,
    /// Accounts that were made.
    pub accounts: u64,
    /// Payments from outside to an account.
    pub paid_in: u64,
    /// Payments that both signed.
    pub payments: u64,
    /// Payments that a pod refused to sign.
    pub refused_payments: u64,
    /// Times that an owner reconciled a restored pod.
    pub reconciled: u64,
    /// Blocks that were found.
    pub blocks: u64,
    /// Reorganisations of the chain.
    pub reorganisations: u64,
    /// Transactions that the mempool evicted.
    pub evictions: u64,
    /// Coins that were spent by another transaction than the one that waited.
    pub replacements: u64,
    /// Times that a bitcoind dropped its mempool, and refused what it had had.
    pub hidden_mempools: u64,
    /// Blocks that bitcoinds lost.
    pub lost_blocks: u64,
    /// Most events that waited at a time.
    pub most_events: u64,
    /// Most frames at relays at a time.
    pub most_frames: u64,
}

/// The end of a run in which every promise held.
#[derive(Debug, Clone)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Pods of the world.
    pub pods: usize,
    /// Relays of the world.
    pub relays: usize,
    /// Kinds of faults, as [`Faults`](crate::Faults) are written.
    pub faults: String,
    /// How long the world ran, in its own time.
    pub virtual_seconds: u64,
    /// Pairs of contacts in the end.
    pub contacts: usize,
    /// Messages that were on their sender's disk.
    pub sent: u64,
    /// Messages that were shown, each counted once.
    pub shown: u64,
    /// Messages that were shown again after a disk was lost.
    pub shown_again: u64,
    /// Messages that their sender's pod reported as delivered.
    pub delivered: u64,
    /// Messages that were given up and reported.
    pub expired: u64,
    /// Messages that were lost with their sender's disk.
    pub forgotten: u64,
    /// Messages to a contact that the sender removed.
    pub withdrawn: u64,
    /// Seconds within which half of the messages were shown; at most twice the true value.
    pub median_latency: u64,
    /// The same for 95 of 100.
    pub p95_latency: u64,
    /// Bytes on all disks in the end.
    pub disk_bytes: u64,
    /// Equal for two runs that took the same decisions.
    pub digest: u64,
    /// How often things happened.
    pub figures: Figures,
}

/// A broken promise. Its text has everything that a replay needs.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Violation {
    /// The seed that leads there again, with the same parameters.
    pub seed: u64,
    /// The moment.
    pub at: Millis,
    /// The pod concerned, where it concerns one.
    pub pod: Option<usize>,
    /// The promise, and what happened instead.
    pub what: String,
    /// The last events of that pod, oldest first.
    pub log: Vec<String>,
}

impl World {
    /// The figures up to now.
    #[must_use]
    pub fn report(&self) -> Report {
        Report {
            seed: self.config.seed,
            pods: self.shells.len(),
            relays: self.relays.len(),
            faults: self.config.faults.to_string(),
            virtual_seconds: self.heap.now() / 1000,
            contacts: self.pairs.iter().filter(|pair| pair.is_connected()).count(),
            sent: self.oracle.sent,
            shown: self.oracle.shown,
            shown_again: self.oracle.shown_again,
            delivered: self.oracle.delivered,
            expired: self.oracle.expired,
            forgotten: self.oracle.forgotten,
            withdrawn: self.oracle.withdrawn,
            median_latency: self.oracle.latency(50),
            p95_latency: self.oracle.latency(95),
            disk_bytes: self.shells.iter().map(|shell| shell.pod.disk_bytes() as u64).sum(),
            digest: self.digest.value(),
            figures: self.figures,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, at, pod, what, log } = self;
        let pod = pod.map_or_else(|| "the world".to_owned(), |pod| format!("pod {pod}"));
        let clock = at / 1000 + WORLD_START;
        write!(f, "seed {seed}, at {clock} (day {}), {pod}: {what}", at / DAY)?;
        log.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}
