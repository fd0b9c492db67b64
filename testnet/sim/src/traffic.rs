//! What others see of the pods: every request that reaches a place, over which connection, and how it was answered.
//!
//! A test says with [`World::record_traffic`] from when on, and holds what places and contacts could derive from it against
//! what the documents say that they can. A connection is what a place can tell apart: the lane of a pod's process. That two
//! connections are one pod's is known here, and not to the place.

use std::collections::BTreeMap;

use autonomy_messaging::lane::{CallId, Lane, LaneRole, Unreached};
use autonomy_messaging::place::{Place, QueueId};
use autonomy_messaging::wire::{Request, Response, Ticket};

use super::heap::Millis;
use super::shell::Caller;
use super::world::World;

/// Everything since the recording began, in the order in which it left.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// Requests, and subscriptions that worked.
    pub seen: Vec<Seen>,
    /// Where the answer of a call goes.
    open: BTreeMap<(usize, u64, CallId), usize>,
}

/// A request as its place sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When it left.
    pub at: Millis,
    /// Over which connection.
    pub connection: Connection,
    /// To which place.
    pub place: Place,
    /// What it asks for.
    pub what: Asked,
    /// Of which queue.
    pub queue: QueueId,
    /// Whether it shows the token of an operator.
    pub token: bool,
    /// How it was answered, as far as its pod heard.
    pub answer: Option<Answered>,
}

/// A connection to a place: its number is all that the place sees of whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    /// Whose it is. No place sees that.
    pub pod: usize,
    /// Of which of its processes.
    pub launch: u64,
    /// For what. No place sees that.
    pub lane: Lane,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To make a queue.
    Open,
    /// To keep a frame.
    Deposit,
    /// What lies beside the queue of an invite.
    Redeem,
    /// To drop frames.
    Ack,
    /// To forget a queue.
    Close,
    /// To push frames.
    Subscribe,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
    /// None came.
    Unreached,
}

impl Traffic {
    /// What one place sees.
    pub fn at(&self, place: Place) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(move |seen| seen.place == place)
    }

    /// What one pod asks of others.
    pub fn of(&self, pod: usize) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(move |seen| seen.connection.pod == pod)
    }
}

impl Seen {
    /// Whether a frame is left for somebody with it.
    #[must_use]
    pub fn is_deposit(&self) -> bool {
        self.what == Asked::Deposit && self.connection.lane.role != LaneRole::Collect
    }
}

impl World {
    /// Records from now on what others see. What was recorded before is forgotten.
    pub fn record_traffic(&mut self) {
        self.traffic = Some(Traffic::default());
    }

    /// What was recorded: nothing where that was not asked for.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic.clone().unwrap_or_default()
    }

    /// Where a relay is.
    #[must_use]
    pub fn relay_place(&self, relay: usize) -> Place {
        self.relays[relay].place
    }

    /// Where a pod is reached while it runs.
    #[must_use]
    pub fn pod_place(&self, pod: usize) -> Place {
        self.shells[pod].pod.place()
    }

    /// A request leaves.
    pub(super) fn note_call(&mut self, caller: Caller, place: Place, lane: Lane, request: &Request) {
        let at = self.heap.now();
        let Some(traffic) = &mut self.traffic else { return };
        let Caller { pod, launch, call } = caller;
        let (what, queue) = match request {
            Request::Open { queue, .. } => (Asked::Open, *queue),
            Request::Deposit(frame) => (Asked::Deposit, frame.queue),
            Request::Redeem { queue, .. } => (Asked::Redeem, *queue),
            Request::Ack { queue, .. } => (Asked::Ack, *queue),
            Request::Close { queue, .. } => (Asked::Close, *queue),
            // Subscriptions are noted where they work.
            Request::Subscribe(_) => return,
        };
        let token = matches!(request, Request::Open { ticket: Ticket::Token(_), .. });
        let connection = Connection { pod, launch, lane };
        traffic.open.insert((pod, launch, call), traffic.seen.len());
        traffic.seen.push(Seen { at, connection, place, what, queue, token, answer: None });
    }

    /// A call ended.
    pub(super) fn note_answer(&mut self, caller: Caller, outcome: &Result<Response, Unreached>) {
        let Some(traffic) = &mut self.traffic else { return };
        let Caller { pod, launch, call } = caller;
        let Some(seen) = traffic.open.remove(&(pod, launch, call)) else { return };
        traffic.seen[seen].answer = Some(match outcome {
            Ok(Response::Refused(_)) => Answered::Refused,
            Ok(_) => Answered::Done,
            Err(_) => Answered::Unreached,
        });
    }

    /// A relay takes a subscription.
    pub(super) fn note_subscription(&mut self, pod: usize, number: u64) {
        let at = self.heap.now();
        let Some(traffic) = &mut self.traffic else { return };
        let shell = &self.shells[pod];
        let found = shell.subscriptions.iter().find(|(_, subscription)| subscription.number == number);
        let Some(((place, lane, _), subscription)) = found else { return };
        let connection = Connection { pod, launch: shell.launch, lane: *lane };
        let (what, token, answer) = (Asked::Subscribe, false, Some(Answered::Done));
        traffic.seen.extend(subscription.queues.iter().map(|(queue, _)| Seen {
            at,
            connection,
            place: *place,
            what,
            queue: *queue,
            token,
            answer,
        }));
    }
}
