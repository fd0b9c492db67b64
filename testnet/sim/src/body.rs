//! What is around a pod: its shell, its place in the world, and the story of what happened to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use autonomy_messaging::lane::{CallId, Lane, LaneRole};
use autonomy_messaging::messenger::ContactId;
use autonomy_messaging::place::{Capability, Place, QueueId};

use super::heap::Millis;
use super::money::Money;
use super::pod::{BEGINNING, Disk, Pod};
use super::truth::Memory;

/// Events of a pod that are told when a promise is broken.
const STORY: usize = 40;

/// A pod in its surroundings.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) pod: Pod,
    /// Counts its lives: what was meant for an earlier one does not reach it.
    pub(super) life: u64,
    /// Whether its owner wants it to run now.
    pub(super) wanted: bool,
    pub(super) hours: Hours,
    /// When it is to be woken, if it is.
    pub(super) wake: Option<Millis>,
    pub(super) calls: BTreeMap<CallId, LaneRole>,
    /// Requests by others that it has not answered, by ticket.
    pub(super) asks: BTreeMap<u64, Caller>,
    pub(super) next_ask: u64,
    pub(super) serving: BTreeSet<QueueId>,
    /// Devices that the gate lets in.
    pub(super) admitted: BTreeSet<[u8; 32]>,
    /// Commands that its devices gave: the last idempotency key.
    pub(super) asked: u64,
    pub(super) subscriptions: BTreeMap<(Place, Lane, usize), Subscription>,
    pub(super) next_subscription: u64,
    /// What the pod was told of each place it collects at.
    pub(super) told_up: BTreeMap<Place, bool>,
    /// The last frame of each queue whose step is on disk.
    pub(super) safe: BTreeMap<QueueId, u64>,
    /// The last incoming entry of each contact.
    pub(super) unread: BTreeMap<ContactId, u64>,
    pub(super) money: Money,
    /// Friends who are shut out, and until when.
    pub(super) blocked: BTreeMap<usize, Millis>,
    /// Devices that are lost, until when: they are shut out.
    pub(super) lost_devices: BTreeMap<usize, Millis>,
    /// Its keys were superseded, or are to be.
    pub(super) stale_keys: bool,
    pub(super) backup: Option<Backup>,
    /// Falls in the step after so many more.
    pub(super) crash: Option<(u64, Crash)>,
    /// On which side of a partition, and how much slower than others.
    pub(super) side: bool,
    pub(super) slowness: u64,
    story: VecDeque<Tale>,
}

/// Somebody waits for the answer to a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) pod: usize,
    pub(super) life: u64,
    pub(super) call: CallId,
}

/// What a pod collects over one stream.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) number: u64,
    pub(super) queues: Vec<(QueueId, Capability)>,
    pub(super) up: bool,
    /// The place does not know one of the queues.
    pub(super) lacks: bool,
    pub(super) tries: u32,
    /// When the last frame on its way arrives: the next comes after it.
    pub(super) busy_until: Millis,
}

/// A copy of a disk, and what was true then.
#[derive(Debug)]
pub(super) struct Backup {
    pub(super) disk: Disk,
    pub(super) memory: Memory,
    /// Of the pod's certificate.
    pub(super) epoch: u64,
}

/// Where in a step a pod falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Before anything is on disk.
    BeforeCommit,
    /// After that, and after so many effects.
    AfterEffects(usize),
}

/// When an owner lets the pod run.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hours {
    Always,
    /// From and to these moments of every period.
    Part {
        period: Millis,
        from: Millis,
        to: Millis,
    },
}

/// One thing that happened to a pod.
#[derive(Debug, Clone, Copy)]
struct Tale {
    at: Millis,
    what: &'static str,
    number: u64,
}

impl Body {
    pub(super) fn new(pod: Pod, hours: Hours) -> Self {
        Self {
            pod,
            life: 0,
            wanted: false,
            hours,
            wake: None,
            calls: BTreeMap::new(),
            asks: BTreeMap::new(),
            next_ask: 0,
            serving: BTreeSet::new(),
            admitted: BTreeSet::new(),
            asked: 0,
            subscriptions: BTreeMap::new(),
            next_subscription: 0,
            told_up: BTreeMap::new(),
            safe: BTreeMap::new(),
            unread: BTreeMap::new(),
            money: Money::default(),
            blocked: BTreeMap::new(),
            lost_devices: BTreeMap::new(),
            stale_keys: false,
            backup: None,
            crash: None,
            side: false,
            slowness: 1,
            story: VecDeque::new(),
        }
    }

    pub(super) fn tell(&mut self, at: Millis, what: &'static str, number: u64) {
        if self.story.len() == STORY {
            self.story.pop_front();
        }
        self.story.push_back(Tale { at, what, number });
    }

    pub(super) fn story(&self) -> Vec<String> {
        self.story.iter().map(ToString::to_string).collect()
    }

    /// Everything that does not outlive a process. Gives those who wait for answers.
    pub(super) fn fall(&mut self) -> Vec<Caller> {
        self.pod.stop();
        self.life += 1;
        self.wake = None;
        self.calls.clear();
        self.serving.clear();
        self.admitted.clear();
        self.subscriptions.clear();
        self.told_up.clear();
        self.money.fall();
        std::mem::take(&mut self.asks).into_values().collect()
    }

    /// Whether the step that begins now is to be cut off, and where.
    pub(super) fn crash_now(&mut self) -> Option<Crash> {
        let (left, crash) = self.crash?;
        self.crash = left.checked_sub(1).map(|left| (left, crash));
        (left == 0).then_some(crash)
    }
}

impl Hours {
    pub(super) fn is_open(self, now: Millis) -> bool {
        match self {
            Self::Always => true,
            Self::Part { period, from, to } => (from..to).contains(&(now % period)),
        }
    }

    /// When that changes.
    pub(super) fn next_change(self, now: Millis) -> Option<Millis> {
        let Self::Part { period, from, to } = self else { return None };
        let begin = now - now % period;
        [begin + from, begin + to, begin + period + from].into_iter().find(|at| *at > now)
    }
}

impl fmt::Display for Tale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, what, number } = self;
        let clock = at / 1000 + BEGINNING;
        write!(f, "{clock}.{:03} {what} {number}", at % 1000)
    }
}
