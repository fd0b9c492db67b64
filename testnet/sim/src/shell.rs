//! What a process has around its node: calls, subscriptions, served queues and timers; and what the world notes of
//! each pod.
//!
//! | ends with the process | outlives it |
//! |---|---|
//! | calls in flight, and requests that are not answered | the disk |
//! | subscriptions, and what was said of them | hours, and whether the owner wants it to run |
//! | served queues, admitted devices | which frames are safe on disk |
//! | the wake-up | what owner and devices know: unread entries, lost devices, blocks, cards, money |
//! | what it learnt of the chain | the backup |
//!
//! Numbers of launches, tickets and subscriptions go on over all processes, so that what was meant for one never
//! reaches another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use autonomy_api::CardField;
use autonomy_messaging::lane::{CallId, Lane, LaneRole};
use autonomy_messaging::messenger::ContactId;
use autonomy_messaging::place::{Capability, Place, QueueId};

use super::choices::Choices;
use super::heap::Millis;
use super::money::Money;
use super::oracle::OracleBackup;
use super::pod::{Disk, Pod, WORLD_START};

/// Events of a pod that a violation shows.
const LOG_LINES: usize = 40;

/// A pod with what surrounds it. [`PodShell::stop`] says which of it ends with the process.
#[derive(Debug)]
pub(super) struct PodShell {
    pub(super) pod: Pod,
    /// Counts its processes: an event that was meant for an earlier one is dropped.
    pub(super) launch: u64,
    /// Whether its owner wants it to run now: after a crash it starts again only then.
    pub(super) wanted: bool,
    pub(super) hours: Hours,
    /// It is off until then, whatever its hours.
    pub(super) away_until: Millis,
    /// The moment of the wake-up that counts. Others that are still in the heap do nothing.
    pub(super) wake: Option<Millis>,
    /// Calls in flight.
    pub(super) calls: BTreeMap<CallId, LaneRole>,
    /// Requests of others that it has not answered, by ticket.
    pub(super) asks: BTreeMap<u64, Caller>,
    pub(super) next_ask: u64,
    /// Queues of its own at which others may leave frames.
    pub(super) serving: BTreeSet<QueueId>,
    /// Devices that its access control lets in.
    pub(super) admitted: BTreeSet<[u8; 32]>,
    /// Commands of its devices so far: the number of the next idempotency key.
    pub(super) asked: u64,
    /// What it collects, by place, lane and number within the lane.
    pub(super) subscriptions: BTreeMap<(Place, Lane, usize), Subscription>,
    pub(super) next_subscription: u64,
    /// Whether its node knows that it is connected with each place it collects at.
    pub(super) told_up: BTreeMap<Place, bool>,
    /// The last frame of each queue whose step is committed: up to there it may acknowledge.
    pub(super) safe: BTreeMap<QueueId, u64>,
    /// The last incoming entry of each contact that its owner has not read.
    pub(super) unread: BTreeMap<ContactId, u64>,
    pub(super) money: Money,
    /// What its owner chose and its contacts chose for it, as it has to be on its disk.
    pub(super) choices: Choices,
    /// Fields of cards that were chosen for it since it and the other pod last were strangers. It may have some that its
    /// backup does not know of: what was sent is sent.
    pub(super) chosen_for: BTreeMap<usize, BTreeSet<CardField>>,
    /// Contacts that its owner wants to be blocked, and until when.
    pub(super) blocked: BTreeMap<usize, Millis>,
    /// Devices that its owner has lost, and until when: they are revoked as long.
    pub(super) lost_devices: BTreeMap<usize, Millis>,
    /// Whether a later certificate has replaced that of its keys, so that it needs new ones.
    pub(super) stale_keys: bool,
    /// The backup that will take the place of its disk.
    pub(super) backup: Option<Backup>,
    /// The crash that a test asked for, after so many more steps.
    pub(super) crash: Option<(u64, Crash)>,
    /// On which side of a partition it is.
    pub(super) side: bool,
    /// By how much its links are slower than others.
    pub(super) slowness: u64,
    /// Its last events.
    log: VecDeque<LogEntry>,
}

/// Whoever waits for the answer to a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) pod: usize,
    pub(super) launch: u64,
    pub(super) call: CallId,
}

/// Queues that a pod collects over one stream.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) number: u64,
    pub(super) queues: Vec<(QueueId, Capability)>,
    pub(super) up: bool,
    /// Whether the place does not know one of the queues.
    pub(super) lacks: bool,
    pub(super) tries: u32,
    /// When the last frame on its way arrives: a stream delivers in order, so the next one comes after it.
    pub(super) busy_until: Millis,
}

/// A copy of a disk, with what was true when it was made.
#[derive(Debug)]
pub(super) struct Backup {
    pub(super) disk: Disk,
    pub(super) memory: OracleBackup,
    pub(super) choices: Choices,
    /// Contacts whom the owner wanted to be blocked.
    pub(super) blocked: BTreeMap<usize, Millis>,
    /// How often each of its pairs had become contacts.
    pub(super) times: Vec<u32>,
    /// Epoch of the pod's certificate.
    pub(super) epoch: u64,
}

/// Where in a step a pod crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Before anything is on disk.
    BeforeCommit,
    /// After the commit and so many effects.
    AfterEffects(usize),
}

/// When an owner lets a pod run.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hours {
    Always,
    /// In each period between these two moments of it.
    Part {
        period: Millis,
        from: Millis,
        to: Millis,
    },
}

/// One event of a pod.
#[derive(Debug, Clone, Copy)]
struct LogEntry {
    at: Millis,
    what: &'static str,
    number: u64,
}

impl PodShell {
    /// A pod that has not run yet.
    pub(super) fn new(pod: Pod, hours: Hours) -> Self {
        Self {
            pod,
            launch: 0,
            wanted: false,
            hours,
            away_until: 0,
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
            choices: Choices::default(),
            chosen_for: BTreeMap::new(),
            blocked: BTreeMap::new(),
            lost_devices: BTreeMap::new(),
            stale_keys: false,
            backup: None,
            crash: None,
            side: false,
            slowness: 1,
            log: VecDeque::new(),
        }
    }

    /// Whether it is to run at this moment.
    pub(super) fn is_wanted(&self, now: Millis) -> bool {
        now >= self.away_until && self.hours.is_open(now)
    }

    /// Notes an event for the violation that may come.
    pub(super) fn log_event(&mut self, at: Millis, what: &'static str, number: u64) {
        if self.log.len() == LOG_LINES {
            self.log.pop_front();
        }
        self.log.push_back(LogEntry { at, what, number });
    }

    /// The last events, one a line, oldest first.
    pub(super) fn log_lines(&self) -> Vec<String> {
        self.log.iter().map(ToString::to_string).collect()
    }

    /// Ends the process and everything that does not outlive it. Gives those who wait for its answers.
    pub(super) fn stop(&mut self) -> Vec<Caller> {
        self.pod.stop();
        self.launch += 1;
        self.wake = None;
        self.calls.clear();
        self.serving.clear();
        self.admitted.clear();
        self.subscriptions.clear();
        self.told_up.clear();
        self.money.stop();
        std::mem::take(&mut self.asks).into_values().collect()
    }

    /// Whether a test asked for a crash in the step that begins now, and where.
    pub(super) fn crash_now(&mut self) -> Option<Crash> {
        let (left, crash) = self.crash?;
        self.crash = left.checked_sub(1).map(|left| (left, crash));
        (left == 0).then_some(crash)
    }
}

impl Hours {
    /// Whether the pod runs at this moment.
    pub(super) fn is_open(self, now: Millis) -> bool {
        match self {
            Self::Always => true,
            Self::Part { period, from, to } => (from..to).contains(&(now % period)),
        }
    }

    /// When that changes next. None if it never does.
    pub(super) fn next_change(self, now: Millis) -> Option<Millis> {
        let Self::Part { period, from, to } = self else { return None };
        let begin = now - now % period;
        [begin + from, begin + to, begin + period + from].into_iter().find(|at| *at > now)
    }
}

impl fmt::Display for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, what, number } = self;
        let clock = at / 1000 + WORLD_START;
        write!(f, "{clock}.{:03} {what} {number}", at % 1000)
    }
}
