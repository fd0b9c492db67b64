//! Two peers, their places, and a bad link between them, in virtual seconds.

use std::collections::BTreeMap;

use autonomy_messaging::{CallOutcome, Route};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::peer::{Frame, Out, Peer};

/// How bad the link is: chances of 0 to 1.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// A call goes nowhere, or its answer does.
    pub(crate) loss: f64,
    /// A frame is pushed twice.
    pub(crate) twice: f64,
    /// Longest way, in seconds: frames overtake each other.
    pub(crate) delay: u64,
}

pub(crate) const GOOD: Link = Link { loss: 0.0, twice: 0.0, delay: 1 };
pub(crate) const BAD: Link = Link { loss: 0.25, twice: 0.2, delay: 20 };

/// Where frames for one peer are left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its own pod: there when it is.
    Own,
    /// Keeps frames for it.
    Relay,
    /// Never answers.
    Dead,
    /// Says that it has no room.
    Full,
    /// Accepts and keeps for itself.
    Liar,
}

struct Place {
    kind: Kind,
    stored: Vec<Frame>,
    calls: usize,
}

type Deed = Box<dyn FnOnce(&mut World, usize)>;

enum Event {
    Arrives { from: usize, out: Out },
    Ends { from: usize, call: u64, outcome: CallOutcome },
    Pushed { to: usize, frame: Frame },
    Wakes(usize),
    Does(usize, Deed),
}

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) peers: [Peer; 2],
    rng: StdRng,
    link: Link,
    online: [bool; 2],
    /// Of each peer: where the other leaves frames for it.
    places: [Vec<Place>; 2],
    events: BTreeMap<(u64, u64), Event>,
    /// When each peer wants to be woken; other wake-ups are stale.
    wakes: [Option<u64>; 2],
    count: u64,
}

pub(crate) fn routes(kinds: &[Kind], own: bool) -> Vec<Route> {
    (0..kinds.len()).map(|place| Route { own: own && place == 0, was: None, accepted: 0 }).collect()
}

impl World {
    /// Both peers have places of these kinds; the first is their own pod if `own`.
    pub(crate) fn new(seed: u64, link: Link, kinds: &[Kind], own: bool) -> Self {
        let place = |kind: &Kind| Place { kind: *kind, stored: Vec::new(), calls: 0 };
        Self {
            now: 1_000,
            peers: [Peer::new(&routes(kinds, own)), Peer::new(&routes(kinds, own))],
            rng: StdRng::seed_from_u64(seed),
            link,
            online: [true; 2],
            places: [kinds.iter().map(place).collect(), kinds.iter().map(place).collect()],
            events: BTreeMap::new(),
            wakes: [None; 2],
            count: 0,
        }
    }

    /// Something that happens to a peer at a moment.
    pub(crate) fn plan(&mut self, at: u64, peer: usize, what: impl FnOnce(&mut Self, usize) + 'static) {
        self.at(at, Event::Does(peer, Box::new(what)));
    }

    pub(crate) fn say(&mut self, peer: usize, log: u64, body: &[u8]) {
        self.peers[peer].say(log, body);
    }

    pub(crate) fn crash(&mut self, peer: usize) {
        self.peers[peer].crash();
    }

    pub(crate) fn set_online(&mut self, peer: usize, online: bool) {
        self.online[peer] = online;
        for place in 0..self.places[peer].len() {
            self.push(peer, place);
        }
    }

    /// Calls that were made to a place of this peer.
    pub(crate) fn calls(&self, peer: usize, place: usize) -> usize {
        self.places[peer][place].calls
    }

    /// Goes on until nothing waits at either side, or the time is over.
    pub(crate) fn run(&mut self, until: u64) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= until) {
            let ((now, _), event) = entry.remove_entry();
            self.now = now;
            self.happen(event);
        }
    }

    fn at(&mut self, at: u64, event: Event) {
        self.count += 1;
        self.events.insert((at.max(self.now), self.count), event);
    }

    fn later(&mut self, event: Event) {
        let at = self.now + self.rng.gen_range(0..=self.link.delay);
        self.at(at, event);
    }

    fn happen(&mut self, event: Event) {
        let peer = match event {
            Event::Arrives { from, out } => return self.arrives(from, out),
            Event::Ends { from, call, outcome } => {
                let Self { peers, now, rng, .. } = self;
                peers[from].courier().outcome(call, outcome, *now, rng);
                from
            }
            Event::Pushed { to, frame } => {
                if !self.online[to] {
                    return self.places[to].last_mut().unwrap().stored.push(frame);
                }
                self.peers[to].take(&frame, self.now);
                to
            }
            Event::Wakes(peer) if self.wakes[peer] == Some(self.now) => peer,
            Event::Wakes(_) => return,
            Event::Does(peer, what) => {
                what(self, peer);
                peer
            }
        };
        self.ship(peer);
    }

    fn ship(&mut self, peer: usize) {
        if !self.online[peer] {
            return;
        }
        let Self { peers, now, rng, .. } = self;
        let outs = peers[peer].ship(*now, rng);
        let wake = peers[peer].courier().next_wake(*now);
        for out in outs {
            self.places[1 - peer][out.place].calls += 1;
            if self.rng.gen_bool(self.link.loss) {
                self.times_out(peer, out.call);
            } else {
                self.later(Event::Arrives { from: peer, out });
            }
        }
        if let Some(at) = wake.filter(|_| wake != self.wakes[peer]) {
            self.at(at, Event::Wakes(peer));
        }
        self.wakes[peer] = wake;
    }

    fn times_out(&mut self, from: usize, call: u64) {
        let at = self.now + self.rng.gen_range(5..=60);
        self.at(at, Event::Ends { from, call, outcome: CallOutcome::Unreached });
    }

    fn arrives(&mut self, from: usize, Out { call, place, frame }: Out) {
        let to = 1 - from;
        let there = match self.places[to][place].kind {
            Kind::Dead => false,
            Kind::Own => self.online[to],
            Kind::Full => {
                return self.later(Event::Ends { from, call, outcome: CallOutcome::Refused { wait: 5 } });
            }
            Kind::Relay | Kind::Liar => true,
        };
        if !there {
            return self.times_out(from, call);
        }
        if self.places[to][place].kind != Kind::Liar {
            self.places[to][place].stored.push(frame);
            self.push(to, place);
        }
        if self.rng.gen_bool(self.link.loss) {
            self.times_out(from, call);
        } else {
            self.later(Event::Ends { from, call, outcome: CallOutcome::Accepted });
        }
    }

    fn push(&mut self, to: usize, place: usize) {
        if !self.online[to] {
            return;
        }
        for frame in std::mem::take(&mut self.places[to][place].stored) {
            if self.rng.gen_bool(self.link.twice) {
                self.later(Event::Pushed { to, frame: frame.clone() });
            }
            self.later(Event::Pushed { to, frame });
        }
    }
}
