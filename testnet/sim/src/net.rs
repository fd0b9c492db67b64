//! Links: calls, their answers, and how they get lost.
//!
//! A call is dialled, travels, is answered by its host, and its answer travels back. Each part may fail, and the
//! caller learns only that no answer came, seconds later: as over Tor, it cannot know whether its request was carried
//! out.
//!
//! | part | in a world with bad links |
//! |---|---|
//! | dial | fails in one of ten cases, after 1 to 20 s |
//! | way of a request | 0.15 to 0.9 s, in one of ten cases up to 8 s; times the slowness of either end |
//! | request | lost in 3 of 100 cases, noticed after 15 to 60 s |
//! | request | arrives a second time in 3 of 100 cases, up to 10 minutes later |
//! | answer | lost in 3 of 100 cases, though the request was carried out |
//! | subscription | breaks after 3 hours on average |
//!
//! Without bad links only the times remain. A partition, a pod that does not run and a relay that answers nobody look
//! the same to a caller: no answer.

use autonomy_messaging::MAX_CALLS;
use autonomy_messaging::frame::{FRAME_LEN, Frame};
use autonomy_messaging::lane::{CallId, Lane, LaneRole, Unreached};
use autonomy_messaging::messenger::Input;
use autonomy_messaging::place::Place;
use autonomy_messaging::wire::{PlaceRefusal, Request, Response, Ticket, work};
use rand::Rng;

use super::config::{Fault, Faults, HOUR, SECOND};
use super::heap::Millis;
use super::relay::Conduct;
use super::shell::Caller;
use super::world::{Event, World};

/// What became of a call.
pub(super) type Outcome = Result<Response, Unreached>;

/// What answers at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    Pod(usize),
    Relay(usize),
}

/// A request on its way to its host.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) to: Host,
    /// Nobody waits for the answer to a duplicate.
    pub(super) caller: Option<Caller>,
    pub(super) request: Request,
}

/// How bad links are. Shares are between 0 and 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinkQuality {
    /// Share of dials that fail.
    pub(super) dial: f64,
    /// Share of requests that are lost, and of answers.
    lose: f64,
    /// Share of requests that arrive twice.
    pub(super) repeat: f64,
    /// How long a subscription lasts on average. None: for ever.
    pub(super) lasts: Option<Millis>,
}

impl LinkQuality {
    /// Links without faults.
    pub(super) const GOOD: Self = Self { dial: 0.0, lose: 0.0, repeat: 0.0, lasts: None };

    /// The links of a world with these faults.
    pub(super) fn of(faults: &Faults) -> Self {
        // Bad days of Tor, as measured: 7 to 13 of a hundred dials fail.
        let bad = Self { dial: 0.1, lose: 0.03, repeat: 0.03, lasts: Some(3 * HOUR) };
        if faults.has(Fault::Links) { bad } else { Self::GOOD }
    }
}

impl Host {
    /// A number for the digest.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Pod(index) => index as u64 * 2,
            Self::Relay(index) => index as u64 * 2 + 1,
        }
    }
}

/// Calls.
impl World {
    /// A pod calls a place. The request is lost, duplicated or late where links are bad; the pod hears how the call
    /// ended.
    pub(super) fn call(&mut self, pod: usize, call: CallId, place: Place, lane: Lane, request: Request) {
        self.figures.calls += 1;
        let launch = self.shells[pod].launch;
        let caller = Caller { pod, launch, call };
        self.shells[pod].calls.insert(call, lane.role);
        self.check_call(pod, &request);
        self.note_call(caller, place, lane, &request);
        let host = self.hosts.get(&place).copied();
        let fails = self.rng.gen_bool(self.links.dial);
        let Some(to) = host.filter(|host| !fails && self.reaches(pod, *host)) else {
            return self.unreached(caller, 1, 20);
        };
        let takes = self.latency(pod, to);
        if self.rng.gen_bool(self.links.repeat) {
            let late = takes + self.rng.gen_range(0..600 * SECOND);
            let again = Arrival { to, caller: None, request: request.clone() };
            self.heap.after(late, Event::Arrive(Box::new(again)));
        }
        if self.rng.gen_bool(self.links.lose) {
            return self.unreached(caller, 15, 60);
        }
        self.heap.after(takes, Event::Arrive(Box::new(Arrival { to, caller: Some(caller), request })));
    }

    /// What must hold of every call: bounded calls in flight, no acknowledgement of a frame that is not on disk,
    /// frames of one size.
    fn check_call(&mut self, pod: usize, request: &Request) {
        let shell = &self.shells[pod];
        let deposits = shell.calls.values().filter(|role| **role != LaneRole::Collect).count();
        // The budget for frames, and for each contact a first call to each of its places.
        let most = MAX_CALLS + 8 * (self.pairs_of[pod].len() + 8);
        if deposits > most {
            return self
                .breach(Some(pod), format!("{deposits} calls with frames are in flight, and {most} may be"));
        }
        match request {
            Request::Ack { queue, up_to, .. } if shell.safe.get(queue).is_none_or(|safe| safe < up_to) => {
                self.breach(Some(pod), format!("it acknowledges frame {up_to}, which is not on its disk"));
            }
            Request::Deposit(frame) => {
                self.figures.deposits += 1;
                let whole = !self.figures.deposits.is_multiple_of(256) || is_whole(frame);
                if !whole {
                    self.breach(
                        Some(pod),
                        "a frame does not have the size of a frame, or does not read back".into(),
                    );
                }
            }
            _ => {}
        }
    }

    /// Whether a pod can connect to a host now.
    pub(super) fn reaches(&self, pod: usize, host: Host) -> bool {
        let side = self.shells[pod].side;
        match host {
            Host::Pod(other) => self.is_up(host) && self.shells[other].side == side,
            Host::Relay(relay) => self.is_up(host) && self.relay_sides[relay] == side,
        }
    }

    /// Whether a host answers at all.
    fn is_up(&self, host: Host) -> bool {
        match host {
            Host::Pod(pod) => self.shells[pod].pod.is_running(),
            Host::Relay(relay) => self.relays[relay].conduct != Conduct::Dead,
        }
    }

    /// Milliseconds that one way over Tor takes: mostly below a second, in one of ten cases up to eight.
    pub(super) fn latency(&mut self, pod: usize, host: Host) -> Millis {
        let slow = self.shells[pod].slowness;
        let slow = match host {
            Host::Pod(other) => slow.max(self.shells[other].slowness),
            Host::Relay(_) => slow,
        };
        let most = if self.rng.gen_bool(0.1) { 8_000 } else { 900 };
        self.rng.gen_range(150..most) * slow
    }

    /// Lets a call fail, after a time between these seconds.
    pub(super) fn unreached(&mut self, caller: Caller, from: u64, to: u64) {
        self.figures.unreached += 1;
        let takes = self.rng.gen_range(from * SECOND..to * SECOND);
        let outcome = Box::new(Err(Unreached { detail: "not reached".into() }));
        self.heap.after(takes, Event::Answered { caller, outcome });
    }

    /// A request arrives. What connected the two may have failed since it left.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let Arrival { to, caller, request } = arrival;
        let reached = match caller {
            Some(caller) => self.reaches(caller.pod, to),
            None => self.is_up(to),
        };
        if !reached {
            if let Some(caller) = caller {
                self.unreached(caller, 5, 30);
            }
            return;
        }
        match to {
            Host::Relay(relay) => {
                let response = self.ask_relay(relay, request);
                if let Some(caller) = caller {
                    self.reply(caller, to, response);
                }
            }
            Host::Pod(pod) => self.ask_pod(pod, caller, request),
        }
    }

    /// A relay answers. Where it asks for work before it makes a queue, the work is done here, as the daemon's shell
    /// does it.
    fn ask_relay(&mut self, relay: usize, request: Request) -> Response {
        let now = self.seconds();
        let retry = matches!(request, Request::Open { .. }).then(|| request.clone());
        let (response, new_frame) = self.relays[relay].answer(now, request);
        if let Some(new_frame) = new_frame {
            self.push(relay, &new_frame);
        }
        // The shell does the work for a queue; the node never hears of it.
        match (retry, response) {
            (
                Some(Request::Open { queue, deposit, collect, notice, .. }),
                Response::Refused(PlaceRefusal::WorkNeeded { challenge, bits }),
            ) => {
                let Some(nonce) = work(&challenge, &queue, bits) else {
                    return Response::Refused(PlaceRefusal::BadTicket);
                };
                let ticket = Ticket::Work { challenge, nonce };
                self.relays[relay].answer(now, Request::Open { queue, deposit, collect, ticket, notice }).0
            }
            (_, response) => response,
        }
    }

    /// A pod is asked, if it serves that queue; its shell refuses everything else.
    fn ask_pod(&mut self, pod: usize, caller: Option<Caller>, request: Request) {
        let queue = match &request {
            Request::Deposit(frame) => Some(frame.queue),
            Request::Redeem { queue, .. } => Some(*queue),
            _ => None,
        };
        if !queue.is_some_and(|queue| self.shells[pod].serving.contains(&queue)) {
            if let Some(caller) = caller {
                self.reply(caller, Host::Pod(pod), Response::Refused(PlaceRefusal::UnknownQueue));
            }
            return;
        }
        let shell = &mut self.shells[pod];
        let ticket = shell.next_ask;
        shell.next_ask += 1;
        if let Some(caller) = caller {
            shell.asks.insert(ticket, caller);
        }
        self.give(pod, Input::Asked { ticket, request });
    }

    /// An answer leaves its host. It may be lost though everything was done: then the pod calls again and has to get
    /// the same.
    pub(super) fn reply(&mut self, caller: Caller, from: Host, response: Response) {
        if self.rng.gen_bool(self.links.lose) {
            return self.unreached(caller, 15, 60);
        }
        let takes = self.latency(caller.pod, from);
        self.heap.after(takes, Event::Answered { caller, outcome: Box::new(Ok(response)) });
    }

    /// The caller hears how its call ended, if its process still waits.
    pub(super) fn answered(&mut self, caller: Caller, outcome: Outcome) {
        let Caller { pod, launch, call } = caller;
        self.note_answer(caller, &outcome);
        let shell = &mut self.shells[pod];
        if shell.launch == launch && shell.calls.remove(&call).is_some() {
            self.give(pod, Input::Called { call, outcome });
        }
    }
}

/// Whether a frame has the one size that all have, and reads back.
fn is_whole(frame: &Frame) -> bool {
    let bytes = frame.to_bytes();
    bytes.len() == FRAME_LEN && Frame::parse(bytes.as_slice()).as_ref() == Ok(frame)
}
