//! Links: calls and their answers.

use autonomy_messaging::MAX_CALLS;
use autonomy_messaging::frame::{FRAME_LEN, Frame};
use autonomy_messaging::lane::{CallId, Lane, LaneRole, Unreached};
use autonomy_messaging::messenger::Input;
use autonomy_messaging::place::Place;
use autonomy_messaging::wire::{Refusal, Request, Response, Ticket, work};
use rand::Rng;

use super::body::Caller;
use super::config::{Fault, Faults, HOUR, SECOND};
use super::heap::Millis;
use super::relay::Conduct;
use super::world::{Event, World};

/// What became of a call.
pub(super) type Outcome = Result<Response, Unreached>;

/// Who is behind a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    Pod(usize),
    Relay(usize),
}

/// A request at its host.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) to: Host,
    /// Nobody waits for the answer to one that came twice.
    pub(super) caller: Option<Caller>,
    pub(super) request: Request,
}

/// How bad links are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// Share of dials that fail.
    pub(super) dial: f64,
    /// Share of requests that are lost, and of answers.
    lose: f64,
    /// Share of requests that come twice.
    pub(super) repeat: f64,
    /// How long a subscription lasts on average, if not for ever.
    pub(super) lasts: Option<Millis>,
}

impl Weather {
    pub(super) const CALM: Self = Self { dial: 0.0, lose: 0.0, repeat: 0.0, lasts: None };

    pub(super) fn of(faults: &Faults) -> Self {
        // Bad days of Tor: 7 to 13 of a hundred dials fail (notes of messaging).
        let bad = Self { dial: 0.1, lose: 0.03, repeat: 0.03, lasts: Some(3 * HOUR) };
        if faults.has(Fault::Links) { bad } else { Self::CALM }
    }
}

impl Host {
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Pod(index) => index as u64 * 2,
            Self::Relay(index) => index as u64 * 2 + 1,
        }
    }
}

/// Calls.
impl World {
    pub(super) fn call(&mut self, pod: usize, call: CallId, place: Place, lane: Lane, request: Request) {
        self.figures.calls += 1;
        let life = self.bodies[pod].life;
        let caller = Caller { pod, life, call };
        self.bodies[pod].calls.insert(call, lane.role);
        self.check_call(pod, &request);
        let host = self.hosts.get(&place).copied();
        let fails = self.rng.gen_bool(self.weather.dial);
        let Some(to) = host.filter(|host| !fails && self.reaches(pod, *host)) else {
            return self.unreached(caller, 1, 20);
        };
        let takes = self.latency(pod, to);
        if self.rng.gen_bool(self.weather.repeat) {
            let late = takes + self.rng.gen_range(0..600 * SECOND);
            let again = Arrival { to, caller: None, request: request.clone() };
            self.heap.after(late, Event::Arrive(Box::new(again)));
        }
        if self.rng.gen_bool(self.weather.lose) {
            return self.unreached(caller, 15, 60);
        }
        self.heap.after(takes, Event::Arrive(Box::new(Arrival { to, caller: Some(caller), request })));
    }

    /// What must be so of every call.
    fn check_call(&mut self, pod: usize, request: &Request) {
        let body = &self.bodies[pod];
        let deposits = body.calls.values().filter(|role| **role == LaneRole::Deposit).count();
        // Frames in general, and for each contact a first flight to each of its places.
        let most = MAX_CALLS + 8 * (self.bonds_of[pod].len() + 8);
        if deposits > most {
            return self
                .breach(Some(pod), format!("{deposits} calls with frames are in flight, and {most} may be"));
        }
        match request {
            Request::Ack { queue, up_to, .. } if body.safe.get(queue).is_none_or(|safe| safe < up_to) => {
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

    pub(super) fn reaches(&self, pod: usize, host: Host) -> bool {
        let side = self.bodies[pod].side;
        match host {
            Host::Pod(other) => self.is_up(host) && self.bodies[other].side == side,
            Host::Relay(relay) => self.is_up(host) && self.relay_sides[relay] == side,
        }
    }

    fn is_up(&self, host: Host) -> bool {
        match host {
            Host::Pod(pod) => self.bodies[pod].pod.is_running(),
            Host::Relay(relay) => self.relays[relay].conduct != Conduct::Dead,
        }
    }

    /// Milliseconds one way, over Tor: mostly below a second, one in ten up to eight.
    pub(super) fn latency(&mut self, pod: usize, host: Host) -> Millis {
        let slow = self.bodies[pod].slowness;
        let slow = match host {
            Host::Pod(other) => slow.max(self.bodies[other].slowness),
            Host::Relay(_) => slow,
        };
        let most = if self.rng.gen_bool(0.1) { 8_000 } else { 900 };
        self.rng.gen_range(150..most) * slow
    }

    /// The call fails after a time between these, in seconds.
    pub(super) fn unreached(&mut self, caller: Caller, from: u64, to: u64) {
        self.figures.unreached += 1;
        let takes = self.rng.gen_range(from * SECOND..to * SECOND);
        let outcome = Box::new(Err(Unreached { detail: "not reached".into() }));
        self.heap.after(takes, Event::Answered { caller, outcome });
    }

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

    fn ask_relay(&mut self, relay: usize, request: Request) -> Response {
        let now = self.seconds();
        let retry = matches!(request, Request::Open { .. }).then(|| request.clone());
        let (response, fresh) = self.relays[relay].answer(now, request);
        if let Some(fresh) = fresh {
            self.push(relay, &fresh);
        }
        // Work for a queue is the shell's.
        match (retry, response) {
            (
                Some(Request::Open { queue, deposit, collect, notice, .. }),
                Response::Refused(Refusal::WorkNeeded { challenge, bits }),
            ) => {
                let Some(nonce) = work(&challenge, &queue, bits) else {
                    return Response::Refused(Refusal::BadTicket);
                };
                let ticket = Ticket::Work { challenge, nonce };
                self.relays[relay].answer(now, Request::Open { queue, deposit, collect, ticket, notice }).0
            }
            (_, response) => response,
        }
    }

    fn ask_pod(&mut self, pod: usize, caller: Option<Caller>, request: Request) {
        let queue = match &request {
            Request::Deposit(frame) => Some(frame.queue),
            Request::Redeem { queue, .. } => Some(*queue),
            _ => None,
        };
        if !queue.is_some_and(|queue| self.bodies[pod].serving.contains(&queue)) {
            if let Some(caller) = caller {
                self.reply(caller, Host::Pod(pod), Response::Refused(Refusal::UnknownQueue));
            }
            return;
        }
        let body = &mut self.bodies[pod];
        let ticket = body.next_ask;
        body.next_ask += 1;
        if let Some(caller) = caller {
            body.asks.insert(ticket, caller);
        }
        self.give(pod, Input::Asked { ticket, request });
    }

    /// An answer on its way back; it may be lost though everything was done.
    pub(super) fn reply(&mut self, caller: Caller, from: Host, response: Response) {
        if self.rng.gen_bool(self.weather.lose) {
            return self.unreached(caller, 15, 60);
        }
        let takes = self.latency(caller.pod, from);
        self.heap.after(takes, Event::Answered { caller, outcome: Box::new(Ok(response)) });
    }

    pub(super) fn answered(&mut self, caller: Caller, outcome: Outcome) {
        let Caller { pod, life, call } = caller;
        let body = &mut self.bodies[pod];
        if body.life == life && body.calls.remove(&call).is_some() {
            self.give(pod, Input::Called { call, outcome });
        }
    }
}

fn is_whole(frame: &Frame) -> bool {
    let bytes = frame.to_bytes();
    bytes.len() == FRAME_LEN && Frame::parse(bytes.as_slice()).as_ref() == Ok(frame)
}
