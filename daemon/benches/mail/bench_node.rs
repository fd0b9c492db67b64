//! Pods in memory: nodes without a shell around them, that carry each other's calls.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    mem::take,
    time::{Duration, Instant},
};

use autonomy_api::{Contact, ContactId, ContactState};
use autonomy_messaging::{
    AuthSeed, DescriptorSecret, Name, PublicKey, SigningKey, Validity,
    lane::{CallId, Unreached},
    messenger::{self, Command as Mail},
    payload::Text,
    place::Place,
    provision::{Bundle, BundleTerms},
    wire::{self, Response},
};
use autonomy_node::{Answer, Caller, Command, Effect, Identity, Input, Node, Reply, Request, Row, Step};
use autonomy_wallet::bitcoin::Network;
use rand::{SeedableRng as _, rngs::StdRng};

use crate::begins;

/// A pod, and what its steps cost.
pub(crate) struct BenchNode {
    pub(crate) node: Node,
    pub(crate) rows: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) now: u64,
    calls: VecDeque<Call>,
    answers: Vec<(u64, Response)>,
    rng: StdRng,
}

struct Call {
    id: CallId,
    place: Place,
    request: wire::Request,
}

/// What a step took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) time: Duration,
    /// Keys and values of the rows it wrote.
    pub(crate) bytes: usize,
}

impl BenchNode {
    /// A pod that has an owner.
    pub(crate) fn adopted(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let now = begins();
        let (node, rows) = Node::create(Identity::draw(Network::Regtest, &mut rng, now));
        let rows = rows.into_iter().filter_map(|row| Some((row.key, take(&mut *row.value?)))).collect();
        let mut bench_node = Self { node, rows, now, calls: VecDeque::new(), answers: Vec::new(), rng };
        let auth = AuthSeed::generate(&mut bench_node.rng);
        let terms = BundleTerms {
            pod_name: Name::new("home").unwrap(),
            device_key: PublicKey::from(&SigningKey::generate(&mut bench_node.rng)),
            descriptor_key: DescriptorSecret::generate(&mut bench_node.rng).public(),
            epoch: 1,
            onion_epoch: 0,
            validity: Validity::lasting(now, 10 * 365 * 86_400),
        };
        let request = bench_node.node.pod_request();
        let bundle = Bundle::new(&auth, &request, terms).seal(&auth, &request, &mut bench_node.rng);
        bench_node.ask(Command::Adopt(bundle)).unwrap();
        bench_node
    }

    pub(crate) fn give(&mut self, input: Input) -> (Option<Reply>, Cost) {
        let since = Instant::now();
        let Step { rows, effects, reply } = self.node.handle(self.now, &mut self.rng, &self.rows, input);
        let time = since.elapsed();
        let mut bytes = 0;
        for row in rows {
            let Row { key, value } = row;
            bytes += key.len() + value.as_ref().map_or(0, |value| value.len());
            match value {
                Some(mut value) => drop(self.rows.insert(key, take(&mut *value))),
                None => drop(self.rows.remove(&key)),
            }
        }
        for effect in effects {
            match effect {
                Effect::Mail(messenger::Effect::Call { call: id, place, request, .. }) => {
                    self.calls.push_back(Call { id, place, request });
                }
                Effect::Mail(messenger::Effect::Answer { ticket, response }) => {
                    self.answers.push((ticket, response));
                }
                _ => {}
            }
        }
        (reply, Cost { time, bytes })
    }

    pub(crate) fn mail(&mut self, input: messenger::Input) -> Cost {
        self.give(Input::Mail(input)).1
    }

    /// Asks as the pod's owner.
    pub(crate) fn ask(&mut self, command: Command) -> Reply {
        self.give(asked(command)).0.unwrap()
    }

    pub(crate) fn asks(&mut self, command: Mail) -> Answer {
        self.ask(Command::Mail(command)).unwrap()
    }

    pub(crate) fn say(&mut self, contact: ContactId, text: &str) -> (Reply, Cost) {
        let command = Mail::Send { contact, text: Text::new(text).unwrap() };
        let (reply, cost) = self.give(asked(Command::Mail(command)));
        (reply.unwrap(), cost)
    }

    pub(crate) fn wait(&mut self, seconds: u64) -> Cost {
        self.now += seconds;
        self.give(Input::Wake).1
    }

    /// All contacts and those who want to be, in this state.
    fn contacts(&mut self, state: ContactState) -> Vec<Contact> {
        let Answer::Contacts(all) = self.asks(Mail::Contacts) else { panic!("no contacts") };
        all.contacts.into_iter().filter(|contact| contact.state == state).collect()
    }

    pub(crate) fn only_contact(&mut self) -> ContactId {
        self.contacts(ContactState::Active)[0].id
    }
}

pub(crate) fn asked(command: Command) -> Input {
    Input::Request(Request { caller: Caller::Owner, idempotency_key: None, command })
}

/// What one call cost at both ends.
pub(crate) struct Carried {
    pub(crate) asked: Cost,
    pub(crate) answered: Cost,
}

/// Carries the next call of `from` to `to`. Nobody is at the places in `gone`.
pub(crate) fn carry(from: &mut BenchNode, to: &mut BenchNode, gone: &HashSet<Place>) -> Option<Carried> {
    let Call { id: call, place, request } = from.calls.pop_front()?;
    if gone.contains(&place) {
        let outcome = Err(Unreached { detail: "gone".into() });
        let answered = from.mail(messenger::Input::Called { call, outcome });
        return Some(Carried { asked: Cost::default(), answered });
    }
    let asked = to.mail(messenger::Input::Asked { ticket: 1, request });
    let (_, response) = to.answers.pop().expect("each question is answered at once");
    let answered = from.mail(messenger::Input::Called { call, outcome: Ok(response) });
    Some(Carried { asked, answered })
}

/// Lets seconds pass for both until neither has anything to say.
fn settle(a: &mut BenchNode, b: &mut BenchNode, gone: &HashSet<Place>) {
    for _ in 0..4 {
        a.wait(2);
        b.wait(2);
        while carry(a, b, gone).is_some() || carry(b, a, &HashSet::new()).is_some() {}
    }
}

/// Makes the two contacts; gives the place of `b`.
pub(crate) fn befriend(a: &mut BenchNode, b: &mut BenchNode, gone: &HashSet<Place>) {
    let Answer::Invite(invite) = a.asks(Mail::Invite { note: None, valid_for: 86_400 }) else {
        panic!("no invite")
    };
    let invite = Box::new(invite.text);
    b.asks(Mail::Accept { invite, name: None, again: false });
    settle(a, b, gone);
    for asking in a.contacts(ContactState::Asking) {
        a.asks(Mail::Confirm(asking.id));
    }
    settle(a, b, gone);
    assert_eq!(b.contacts(ContactState::Active).len(), 1);
}
