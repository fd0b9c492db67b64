//! What a world tells of itself: figures, and the first promise that was broken.

use std::fmt;

use super::config::DAY;
use super::heap::Millis;
use super::pod::BEGINNING;
use super::world::World;

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
    pub files: u64,
    pub repeats: u64,
    pub probes: u64,
    pub revoked: u64,
    pub renewed: u64,
    pub partings: u64,
    pub accounts: u64,
    pub paid_in: u64,
    pub payments: u64,
    pub refused_payments: u64,
    pub reconciled: u64,
    pub blocks: u64,
    pub reorganisations: u64,
    pub evictions: u64,
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
    pub withdrawn: u64,
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
            withdrawn: self.truth.withdrawn,
            median_latency: self.truth.latency(50),
            p95_latency: self.truth.latency(95),
            disk_bytes: self.bodies.iter().map(|body| body.pod.disk_bytes() as u64).sum(),
            digest: self.trail.value(),
            figures: self.figures,
        }
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
