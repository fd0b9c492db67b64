//! Two who are never there at the same time, over a network that loses, repeats and reorders.

use std::collections::BTreeSet;

use autonomy_messaging::ratchet::{OpenError, Sealed};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::{Side, pair};

/// Each side has so many messages for the other.
const MESSAGES: u16 = 120;
/// Of 100 frames.
const LOST: u32 = 5;
const REPEATED: u32 = 5;
/// A frame may arrive after so many that were sent later.
const REORDERED: usize = 50;
/// How many new messages go out in one visit.
const BURST: usize = 25;

/// A side of the talk: what it still has to send, and what arrived.
struct Talker {
    side: Side,
    unsent: BTreeSet<u16>,
    unacked: BTreeSet<u16>,
    arrived: BTreeSet<u16>,
    /// Frames for this side, at the relay.
    inbox: Vec<Sealed>,
    /// Those that the last visit did not get.
    late: Vec<Sealed>,
    failures: Vec<OpenError>,
}

impl Talker {
    fn new(side: Side) -> Self {
        let unsent = (0..MESSAGES).collect();
        let (unacked, arrived) = (BTreeSet::new(), BTreeSet::new());
        Self { side, unsent, unacked, arrived, inbox: Vec::new(), late: Vec::new(), failures: Vec::new() }
    }

    /// A visit: take what is there (some of it is left for later), acknowledge, send, restart.
    fn visit(&mut self, peer: &mut Self, rng: &mut StdRng) {
        let left = rng.gen_range(0..=self.inbox.len().min(24));
        let late = self.inbox.split_off(self.inbox.len() - left);
        for frame in self.inbox.drain(..).chain(std::mem::replace(&mut self.late, late)).collect::<Vec<_>>() {
            self.take(&frame);
        }
        self.side.restart();
        self.resend();
        for frame in self.sealed_burst() {
            post(frame, &mut peer.inbox, rng);
        }
        self.side.restart();
    }

    /// A frame: which messages its sender has (the acknowledgements), then its own.
    fn take(&mut self, frame: &Sealed) {
        match self.side.open(frame) {
            Ok(bytes) => {
                let mut numbers = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
                self.arrived.extend(numbers.next().filter(|number| *number < MESSAGES));
                for acked in numbers {
                    self.unacked.remove(&acked);
                }
            }
            Err(OpenError::Repeat) => {}
            Err(error) => self.failures.push(error),
        }
    }

    /// What was not acknowledged goes again; it was sent a visit ago at least.
    fn resend(&mut self) {
        self.unsent.append(&mut self.unacked);
    }

    fn sealed_burst(&mut self) -> Vec<Sealed> {
        let acks: Vec<u8> = self.arrived.iter().flat_map(|number| number.to_be_bytes()).collect();
        let numbers: Vec<u16> = self.unsent.iter().copied().take(BURST).chain([u16::MAX]).collect();
        numbers
            .into_iter()
            .map(|number| {
                if self.unsent.remove(&number) {
                    self.unacked.insert(number);
                }
                self.side.seal(&[&number.to_be_bytes(), acks.as_slice()].concat())
            })
            .collect()
    }

    fn is_done(&self) -> bool {
        self.arrived.len() == usize::from(MESSAGES)
    }
}

fn post(frame: Sealed, inbox: &mut Vec<Sealed>, rng: &mut StdRng) {
    let copies =
        if rng.gen_range(0..100) < LOST { 0 } else { 1 + usize::from(rng.gen_range(0..100) < REPEATED) };
    for _ in 0..copies {
        let at = inbox.len() - rng.gen_range(0..=inbox.len().min(REORDERED));
        inbox.insert(at, frame.clone());
    }
}

/// Gives the number of visits, the epochs, and what could not be opened.
fn talk(seed: u64) -> (u32, u64, Vec<OpenError>) {
    let mut rng = StdRng::seed_from_u64(seed);
    let (creator, joiner) = pair(seed);
    let (mut one, mut other) = (Talker::new(joiner), Talker::new(creator));
    let mut visits = 0;
    while !(one.is_done() && other.is_done()) {
        assert!(visits < 100, "the talk comes to an end (seed {seed})");
        one.visit(&mut other, &mut rng);
        other.visit(&mut one, &mut rng);
        visits += 2;
    }
    let epochs = one.side.session.epoch().max(other.side.session.epoch());
    (visits, epochs, [one.failures, other.failures].concat())
}

#[test]
fn messages_arrive_without_common_online_time() {
    for seed in [11, 12] {
        let (visits, epochs, failures) = talk(seed);
        println!("seed {seed}: {visits} visits, {epochs} epochs");
        assert_eq!(failures, [], "no frame came too late or too early (seed {seed})");
        assert!(epochs > 6, "the talk healed on the way");
    }
}

/// What may happen to a talk, one step at a time.
#[derive(Debug, Clone, Copy)]
enum Step {
    Seal { joiner: bool, may_commit: bool },
    Deliver { joiner: bool, at: prop::sample::Index },
    Restart { joiner: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<bool>(), any::<bool>()).prop_map(|(joiner, may_commit)| Step::Seal { joiner, may_commit }),
        5 => (any::<bool>(), any::<prop::sample::Index>()).prop_map(|(joiner, at)| Step::Deliver { joiner, at }),
        1 => any::<bool>().prop_map(|joiner| Step::Restart { joiner }),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// In any order of sending, delivering (again and again) and restarting: each message opens exactly once,
    /// or its keys are gone with its epoch; nothing is ever out of turn or misunderstood.
    #[test]
    fn whatever_happens_each_message_opens_once(steps in steps()) {
        let (creator, joiner) = pair(1);
        let mut sides = [creator, joiner];
        let mut sent: [Vec<(Sealed, u64, bool)>; 2] = [Vec::new(), Vec::new()];
        for step in steps {
            match step {
                Step::Seal { joiner, may_commit } => {
                    let side = &mut sides[usize::from(joiner)];
                    let number = sent[usize::from(joiner)].len();
                    let sealed = side.session.seal(&mut side.rng, &number.to_be_bytes(), may_commit).unwrap();
                    sent[usize::from(joiner)].push((sealed, side.session.epoch(), false));
                }
                Step::Deliver { joiner, at } => {
                    let Some(at) = (!sent[usize::from(!joiner)].is_empty()).then(|| at.index(sent[usize::from(!joiner)].len())) else { continue };
                    let side = &mut sides[usize::from(joiner)];
                    let (sealed, epoch, opened) = &mut sent[usize::from(!joiner)][at];
                    match side.open(sealed) {
                        Ok(bytes) => {
                            prop_assert!(!*opened, "a message opened twice");
                            prop_assert_eq!(bytes, at.to_be_bytes());
                            *opened = true;
                        }
                        Err(OpenError::Repeat) => prop_assert!(*opened),
                        Err(OpenError::TooOld) => prop_assert!(*epoch + 8 < side.session.epoch()),
                        Err(error) => prop_assert!(false, "{}", error),
                    }
                }
                Step::Restart { joiner } => sides[usize::from(joiner)].restart(),
            }
            let (ahead, behind) = (sides[0].session.epoch(), sides[1].session.epoch());
            prop_assert!(ahead.abs_diff(behind) <= 1, "one is never more than a commit ahead");
        }
    }
}
