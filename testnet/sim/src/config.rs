//! What a world is made of, and what may go wrong in it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::heap::Millis;

/// Milliseconds of a second, an hour and a day.
pub const SECOND: Millis = 1_000;
/// An hour.
pub const HOUR: Millis = 3_600 * SECOND;
/// A day.
pub const DAY: Millis = 24 * HOUR;

/// What goes wrong in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Dials fail, requests and answers are lost, come twice, late and out of order.
    Links,
    /// Pods fall at any point of a step, and come up from their rows.
    Crashes,
    /// Some reach only some others for hours; some are slow.
    Partitions,
    /// Relays die, restart, lose everything, lie, or are full.
    Relays,
    /// Disks are lost and replaced by old backups without ratchets.
    Backups,
    /// Clocks jump by a day.
    Clocks,
    /// Owners block contacts for a while.
    Blocks,
    /// Invites are redeemed by two, accepted twice, or run out.
    Invites,
    /// Owners lose devices, draw new keys, change names, send files, part and meet again.
    Owners,
    /// Blocks are thrown away for others, the mempool lets go of transactions.
    Chain,
}

/// Faults of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(BTreeSet<Fault>);

/// No fault has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no fault `{0}`: it is all, none, or a list of {all}", all = Fault::NAMES.map(|(name, _)| name).join(","))]
pub struct UnknownFault(String);

/// A world to be.
#[derive(Debug, Clone)]
pub struct Config {
    /// Decides everything.
    pub seed: u64,
    /// Pods, each with an owner.
    pub pods: usize,
    /// Relays they share.
    pub relays: usize,
    /// Relays of each pod, spare ones included.
    pub relays_per_pod: usize,
    /// Contacts that each owner invites.
    pub invites: usize,
    /// Messages that owners want to send in all.
    pub messages: u64,
    /// Payments that owners want to make in all. Without any there is no chain.
    pub payments: u64,
    /// How long faults last, in days; a quiet time follows.
    pub days: u64,
    /// What goes wrong.
    pub faults: Faults,
    /// Whether pods come and go and owners act by themselves; otherwise a scenario says what happens.
    pub by_itself: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            pods: 200,
            relays: 8,
            relays_per_pod: 4,
            invites: 2,
            messages: 10_000,
            payments: 200,
            days: 4,
            faults: Faults::all(),
            by_itself: true,
        }
    }
}

impl Config {
    /// A small calm world in which only the scenario acts.
    #[must_use]
    pub fn scripted(seed: u64, pods: usize, relays: usize) -> Self {
        let per_pod = relays;
        let base = Self { seed, pods, relays, relays_per_pod: per_pod, by_itself: false, ..Self::default() };
        Self { faults: Faults::none(), messages: 0, payments: 0, ..base }
    }
}

impl Fault {
    const NAMES: [(&'static str, Self); 10] = [
        ("links", Self::Links),
        ("crashes", Self::Crashes),
        ("partitions", Self::Partitions),
        ("relays", Self::Relays),
        ("backups", Self::Backups),
        ("clocks", Self::Clocks),
        ("blocks", Self::Blocks),
        ("invites", Self::Invites),
        ("owners", Self::Owners),
        ("chain", Self::Chain),
    ];
}

impl Faults {
    /// Everything goes wrong.
    #[must_use]
    pub fn all() -> Self {
        Self(Fault::NAMES.map(|(_, fault)| fault).into())
    }

    /// Nothing does.
    #[must_use]
    pub fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// Only these.
    #[must_use]
    pub fn only(faults: &[Fault]) -> Self {
        Self(faults.iter().copied().collect())
    }

    /// Whether this may happen.
    #[must_use]
    pub fn has(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }
}

impl FromStr for Faults {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let one = |name: &str| {
            let known = Fault::NAMES.iter().find(|(known, _)| *known == name);
            known.map(|(_, fault)| *fault).ok_or_else(|| UnknownFault(name.to_owned()))
        };
        match text {
            "all" => Ok(Self::all()),
            "none" => Ok(Self::none()),
            list => list.split(',').map(one).collect::<Result<_, _>>().map(Self),
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::all() {
            return f.write_str("all");
        }
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let named = Fault::NAMES.iter().filter(|(_, fault)| self.has(*fault));
        f.write_str(&named.map(|(name, _)| *name).collect::<Vec<_>>().join(","))
    }
}
