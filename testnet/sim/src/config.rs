//! What a world consists of, and which faults it has.
//!
//! The length of a run grows with messages and, much less, with pods and days. Faults of pods come by time
//! ([`Fault`]), so a world of more days has more of them for the same messages; crashes within a step come by steps,
//! so a world of more messages has more of those. A search runs many small worlds, because most faults show with few
//! pods; a long run looks for what needs many repetitions on one disk.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::heap::Millis;

/// Milliseconds of a second, in [`Millis`] as all times here.
pub const SECOND: Millis = 1_000;
/// Milliseconds of an hour.
pub const HOUR: Millis = 3_600 * SECOND;
/// Milliseconds of a day.
pub const DAY: Millis = 24 * HOUR;

/// A kind of fault. Each can be left out, which narrows a violation down to its cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Dials fail; requests and answers are lost, duplicated, late and out of order; subscriptions break.
    Links,
    /// A pod crashes at any point of a step and starts again from its rows.
    Crashes,
    /// For hours, some pods and relays reach only some others, or a pod is slow.
    Partitions,
    /// A relay stops answering, restarts, loses everything, withholds frames, repeats old ones, comes back from a backup, or
    /// is full.
    Relays,
    /// A disk is lost, and the pod is restored from a backup of any age, without its ratchets.
    Backups,
    /// A copy of the whole disk, ratchets included, takes the place of a newer one: nobody tells the pod.
    Rollbacks,
    /// A pod is off for days or weeks.
    Absences,
    /// The clock of a pod or a relay is off, by an hour or by years.
    Clocks,
    /// An owner blocks a contact for some hours.
    Blocks,
    /// An invite is redeemed by two, accepted twice, or expires.
    Invites,
    /// Owners lose devices, draw new pod keys, change names, send files, remove contacts and invite them again.
    Owners,
    /// Blocks are reorganised, and the mempool evicts transactions.
    Chain,
}

/// The kinds of faults that a world has. Its text is `all`, `none`, or a list of names with commas between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(BTreeSet<Fault>);

/// A name in a list of faults that names none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no fault `{0}`: it is all, none, or a list of {all}", all = Fault::NAMES.map(|(name, _)| name).join(","))]
pub struct UnknownFault(String);

/// The parameters of a world. Equal parameters make equal worlds.
#[derive(Debug, Clone)]
pub struct Config {
    /// Source of all decisions.
    pub seed: u64,
    /// Pods, each with an owner.
    pub pods: usize,
    /// Relays in the world; every third admits only whoever has its operator's token.
    pub relays: usize,
    /// Relays that a pod is configured with. The node has fewer of them in use at a time and keeps the others in reserve.
    pub relays_per_pod: usize,
    /// Contacts that each owner invites. A pod has twice as many contacts, since others invite it.
    pub invites: usize,
    /// Messages that owners try to send, over all pods and days. Pods that are off make it somewhat fewer.
    pub messages: u64,
    /// Payments that owners try to make, over all accounts and days. With 0 the world has no chain.
    pub payments: u64,
    /// Days with faults. Afterwards the world runs without faults until nothing waits.
    pub days: u64,
    /// Kinds of faults that happen.
    pub faults: Faults,
    /// Whether pods keep hours and owners act on their own. If not, a test says what happens, and a restored node is
    /// compared with the running one after every step.
    pub autonomous: bool,
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
            autonomous: true,
        }
    }
}

impl Config {
    /// A world without faults in which only the test acts.
    #[must_use]
    pub fn scripted(seed: u64, pods: usize, relays: usize) -> Self {
        let per_pod = relays;
        let base = Self { seed, pods, relays, relays_per_pod: per_pod, autonomous: false, ..Self::default() };
        Self { faults: Faults::none(), messages: 0, payments: 0, ..base }
    }
}

impl Fault {
    /// The names that [`Faults`] are written with.
    const NAMES: [(&'static str, Self); 12] = [
        ("links", Self::Links),
        ("crashes", Self::Crashes),
        ("partitions", Self::Partitions),
        ("relays", Self::Relays),
        ("backups", Self::Backups),
        ("rollbacks", Self::Rollbacks),
        ("absences", Self::Absences),
        ("clocks", Self::Clocks),
        ("blocks", Self::Blocks),
        ("invites", Self::Invites),
        ("owners", Self::Owners),
        ("chain", Self::Chain),
    ];
}

impl Faults {
    /// Every kind of fault.
    #[must_use]
    pub fn all() -> Self {
        Self(Fault::NAMES.map(|(_, fault)| fault).into())
    }

    /// No fault.
    #[must_use]
    pub fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// These kinds and no others.
    #[must_use]
    pub fn only(faults: &[Fault]) -> Self {
        Self(faults.iter().copied().collect())
    }

    /// Whether the world has this kind of fault.
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
