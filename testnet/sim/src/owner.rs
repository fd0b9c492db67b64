//! People: they invite, accept, confirm, write and read, and hand invites over outside of the world of pods.

use std::collections::BTreeMap;
use std::fmt;

use autonomy_messaging::invite::Invite;
use autonomy_messaging::messenger::{ContactState, InviteId, InviteState};
use autonomy_messaging::payload::{MAX_TEXT_LEN, Payload};
use rand::Rng;
use rand::rngs::StdRng;

use super::body::Hours;
use super::command::{Answer, Command, ContactSeen, Notice};
use super::config::{Config, DAY, Fault, HOUR, SECOND};
use super::heap::Millis;
use super::world::{Event, World};

/// How often an owner looks at their device: between half of it and half more.
const LOOKS: Millis = HOUR / 2;
/// How long invites are good for, seconds.
const VALID_FOR: u64 = 3 * 86_400;

/// Two who want to be contacts.
pub(super) struct Bond {
    pub(super) inviter: usize,
    pub(super) invitee: usize,
    pub(super) stage: Stage,
}

pub(super) enum Stage {
    /// The inviter is to make an invite.
    Planned,
    /// The inviter made this one, which cannot be used yet.
    Made(InviteId),
    /// The invitee has it.
    Offered(Box<Invite>),
    /// The invitee accepted it.
    Accepted { inviter_agrees: bool, invitee_agrees: bool },
    /// Contacts on both sides.
    Bound,
    /// They forget each other, and then begin anew; whether each has.
    Parting { inviter: bool, invitee: bool },
}

impl Bond {
    pub(super) fn new(inviter: usize, invitee: usize) -> Self {
        Self { inviter, invitee, stage: Stage::Planned }
    }

    pub(super) fn is_bound(&self) -> bool {
        matches!(self.stage, Stage::Bound)
    }

    pub(super) fn other(&self, pod: usize) -> usize {
        if pod == self.inviter { self.invitee } else { self.inviter }
    }
}

/// Everybody invites those who come a few after them, and each pair is one pair only.
pub(super) fn bonds(config: &Config) -> (Vec<Bond>, Vec<Vec<usize>>) {
    let mut of = vec![Vec::new(); config.pods];
    let mut bonds: Vec<Bond> = Vec::new();
    if !config.by_itself {
        return (bonds, of);
    }
    for inviter in 0..config.pods {
        // Steps of 1, 2, 5, 10, 17, …: neighbours have opposite hours, others meet now and then.
        for step in (0..config.invites).map(|n| 1 + n * n) {
            let invitee = (inviter + step) % config.pods;
            let known = of[inviter].iter().any(|bond: &usize| bonds[*bond].other(inviter) == invitee);
            if invitee == inviter || known {
                continue;
            }
            of[inviter].push(bonds.len());
            of[invitee].push(bonds.len());
            bonds.push(Bond::new(inviter, invitee));
        }
    }
    (bonds, of)
}

/// When a pod is on: a quarter always, a quarter now and then, and half in shifts that never overlap.
pub(super) fn hours(index: usize, rng: &mut StdRng) -> Hours {
    let shift = 4 * HOUR;
    match index % 4 {
        0 => Hours::Part { period: 2 * shift, from: 0, to: shift },
        1 => Hours::Part { period: 2 * shift, from: shift + HOUR / 6, to: 2 * shift },
        2 => Hours::Always,
        _ => {
            let period = rng.gen_range(3 * HOUR..DAY);
            let from = rng.gen_range(0..period / 2);
            Hours::Part { period, from, to: rng.gen_range(from + HOUR..period) }
        }
    }
}

/// A text that carries the number of its message.
fn text_with(message: u64, len: usize) -> String {
    let mut words = format!("{message:x} ");
    words.extend(std::iter::repeat_n('.', len.min(MAX_TEXT_LEN).saturating_sub(words.len())));
    words
}

/// The number of the message that this is.
pub(super) fn number_in(payload: &Payload) -> Option<u64> {
    let Payload::Text(text) = payload else { return None };
    u64::from_str_radix(text.as_str().split(' ').next()?, 16).ok()
}

/// Mostly a line, sometimes a page, now and then all that a text takes.
fn some_length(rng: &mut StdRng) -> usize {
    match rng.gen_range(0..100) {
        0..70 => rng.gen_range(1..200),
        70..93 => rng.gen_range(200..2_000),
        93..98 => rng.gen_range(2_000..11_000),
        _ => rng.gen_range(11_000..=MAX_TEXT_LEN),
    }
}

impl World {
    /// An owner looks at their device.
    pub(super) fn owner(&mut self, pod: usize) {
        let next = self.rng.gen_range(LOOKS / 2..LOOKS + LOOKS / 2);
        self.heap.after(next, Event::Owner { pod });
        if !self.bodies[pod].pod.is_running() {
            return;
        }
        self.unblock_those_due(pod);
        self.mind_devices(pod);
        self.mind_money(pod);
        self.mind_files(pod);
        self.mind_sessions(pod);
        if self.bonds_of[pod].iter().any(|bond| !self.bonds[*bond].is_bound()) {
            self.look(pod);
        }
        if self.troubled && self.config.by_itself {
            self.write_some(pod);
        }
        self.read(pod);
    }

    /// Does what is to be done to become contacts.
    fn look(&mut self, pod: usize) {
        let Some(Ok(Answer::Contacts(contacts))) = self.ask(pod, Command::Contacts) else { return };
        let known: BTreeMap<usize, ContactSeen> = contacts
            .into_iter()
            .filter_map(|view| Some((self.people.get(&view.id).copied()?, view)))
            .collect();
        for (other, view) in &known {
            if view.state == ContactState::Asking {
                let expected = self.bonds_of[pod].iter().map(|bond| &self.bonds[*bond]);
                let expected = expected.clone().any(|bond| bond.inviter == pod && bond.invitee == *other);
                let command = if expected { Command::Confirm(view.id) } else { Command::Remove(view.id) };
                self.ask(pod, command);
            }
        }
        for bond in self.bonds_of[pod].clone() {
            if self.bodies[pod].pod.is_running() && !self.bonds[bond].is_bound() {
                let other = self.bonds[bond].other(pod);
                self.further(bond, pod, known.get(&other).map(|view| view.state));
            }
        }
    }

    /// One step on the way to be contacts, on the side of `pod`, where the other is in this state.
    fn further(&mut self, bond: usize, pod: usize, state: Option<ContactState>) {
        let Bond { inviter, invitee, .. } = self.bonds[bond];
        let is_inviter = pod == inviter;
        let invitee_id = self.bodies[invitee].pod.contact_id();
        match (&mut self.bonds[bond].stage, state) {
            (Stage::Parting { .. }, state) => self.part(bond, pod, state),
            (Stage::Planned, None) if is_inviter => self.make_invite(bond),
            (Stage::Made(invite), None) if is_inviter => {
                let invite = *invite;
                self.offer(bond, invite);
            }
            (Stage::Planned, Some(ContactState::Active)) if is_inviter => {
                // The other lost us before they knew that we agreed: once more.
                self.ask(pod, Command::Remove(invitee_id));
            }
            (Stage::Offered(invite), None) if !is_inviter => {
                let invite = invite.clone();
                self.take_up(bond, invite);
            }
            (Stage::Offered(_), Some(ContactState::Joining | ContactState::Active)) if !is_inviter => {
                // The answer was lost, or the invite had come another way.
                self.bonds[bond].stage = Stage::Accepted { inviter_agrees: false, invitee_agrees: false };
            }
            (Stage::Accepted { .. }, None) if !is_inviter => {
                self.figures.failed_joins += 1;
                self.bonds[bond].stage = Stage::Planned;
            }
            (Stage::Accepted { inviter_agrees, invitee_agrees }, Some(ContactState::Active)) => {
                *inviter_agrees |= is_inviter;
                *invitee_agrees |= !is_inviter;
                if *inviter_agrees && *invitee_agrees {
                    self.bonds[bond].stage = Stage::Bound;
                }
            }
            _ => {}
        }
    }

    fn make_invite(&mut self, bond: usize) {
        let inviter = self.bonds[bond].inviter;
        let short = self.troubled && self.config.faults.has(Fault::Invites) && self.rng.gen_ratio(1, 16);
        let valid_for = if short { 60 } else { VALID_FOR };
        let invite = self.ask(inviter, Command::Invite { valid_for });
        if let Some(Ok(Answer::Invite(view))) = invite {
            self.bonds[bond].stage = Stage::Made(view.id);
            self.offer(bond, view.id);
        }
    }

    /// Hands an invite over once it can be used.
    fn offer(&mut self, bond: usize, invite: InviteId) {
        let inviter = self.bonds[bond].inviter;
        match self.ask(inviter, Command::InviteById(invite)) {
            Some(Ok(Answer::Invite(view))) => match view.state {
                InviteState::Publishing => {}
                InviteState::Ready => self.bonds[bond].stage = Stage::Offered(Box::new(view.invite)),
                _ => self.bonds[bond].stage = Stage::Planned,
            },
            Some(_) => self.bonds[bond].stage = Stage::Planned,
            None => {}
        }
    }

    fn take_up(&mut self, bond: usize, invite: Box<Invite>) {
        let Bond { inviter, invitee, .. } = self.bonds[bond];
        let now = self.heap.now();
        self.bodies[invitee].tell(now, "accepts the invite of pod", inviter as u64);
        let twice = self.troubled && self.config.faults.has(Fault::Invites) && self.rng.gen_ratio(1, 8);
        if twice {
            self.a_stranger_takes_up(inviter, invite.clone());
            self.ask(invitee, Command::Accept(invite.clone()));
        }
        match self.ask(invitee, Command::Accept(invite)) {
            Some(Ok(_)) => {
                self.bonds[bond].stage = Stage::Accepted { inviter_agrees: false, invitee_agrees: false };
            }
            Some(Err(_)) => self.bonds[bond].stage = Stage::Planned,
            None => {}
        }
    }

    /// Somebody who is no friend of the inviter got hold of an invite.
    fn a_stranger_takes_up(&mut self, inviter: usize, invite: Box<Invite>) {
        let stranger = self.rng.gen_range(0..self.bodies.len());
        let friend = self.bonds_of[stranger].iter().any(|bond| self.bonds[*bond].other(stranger) == inviter);
        if stranger != inviter && !friend {
            self.ask(stranger, Command::Accept(invite));
        }
    }

    /// Contacts who are not shut out.
    pub(super) fn friends(&self, pod: usize) -> Vec<usize> {
        let blocked = &self.bodies[pod].blocked;
        let friends = self.bonds_of[pod].iter().map(|bond| &self.bonds[*bond]).filter(|bond| bond.is_bound());
        let friends = friends.map(|bond| bond.other(pod));
        friends.filter(|friend| !blocked.contains_key(friend)).collect()
    }

    /// Writes to some friends: as much as keeps pace with what is to be written in all.
    fn write_some(&mut self, pod: usize) {
        let now = self.heap.now();
        let friends = self.friends(pod);
        let end = self.config.days * DAY;
        let looks = end.saturating_sub(now) / LOOKS * self.bodies.len() as u64 / 2 + 1;
        let most = (2 * self.messages_left / looks + 1).min(self.messages_left);
        if friends.is_empty() || most == 0 {
            return;
        }
        for _ in 0..self.rng.gen_range(0..=most) {
            let friend = friends[self.rng.gen_range(0..friends.len())];
            if !self.write(pod, friend, None) {
                return;
            }
        }
    }

    /// Writes one message. Says whether the pod goes on.
    fn write(&mut self, from: usize, to: usize, len: Option<usize>) -> bool {
        let message = self.truth.number();
        let len = len.unwrap_or_else(|| some_length(&mut self.rng));
        let contact = self.bodies[to].pod.contact_id();
        let device = self.writer(from);
        let answer = self.ask_by(from, device, Command::Send { contact, text: text_with(message, len) });
        match answer {
            Some(Ok(Answer::Queued(_))) => {
                self.messages_left = self.messages_left.saturating_sub(1);
                if !self.truth.was_said((from, to), message) {
                    self.breach(Some(from), format!("message {message} was accepted and is not on the disk"));
                }
                true
            }
            Some(_) => {
                self.figures.refused_sends += 1;
                true
            }
            None => false,
        }
    }

    fn read(&mut self, pod: usize) {
        for (contact, up_to) in std::mem::take(&mut self.bodies[pod].unread) {
            self.ask(pod, Command::MarkRead { contact, up_to });
        }
    }

    fn unblock_those_due(&mut self, pod: usize) {
        let now = self.heap.now();
        let due = self.bodies[pod].blocked.iter().filter(|(_, until)| **until <= now);
        for friend in due.map(|(friend, _)| *friend).collect::<Vec<_>>() {
            let contact = self.bodies[friend].pod.contact_id();
            if self.ask(pod, Command::SetBlocked(contact, false)).is_some() {
                self.bodies[pod].blocked.remove(&friend);
            }
        }
    }

    /// An owner shuts out one of their friends for some hours.
    pub(super) fn block_somebody(&mut self, pod: usize) {
        let friends = self.bonds_of[pod].iter().map(|bond| &self.bonds[*bond]).filter(|bond| bond.is_bound());
        let friends: Vec<usize> = friends.map(|bond| bond.other(pod)).collect();
        if friends.is_empty() || !self.bodies[pod].pod.is_running() {
            return;
        }
        let friend = friends[self.rng.gen_range(0..friends.len())];
        let until = self.heap.now() + self.rng.gen_range(HOUR..DAY);
        let contact = self.bodies[friend].pod.contact_id();
        self.bodies[pod].blocked.insert(friend, until);
        self.ask(pod, Command::SetBlocked(contact, true));
    }

    /// What the owner is told.
    pub(super) fn notice(&mut self, pod: usize, notice: Notice) {
        let now = self.heap.now();
        let (what, about) = match notice {
            Notice::Asked(contact) => ("is asked by pod", self.people.get(&contact).copied()),
            Notice::Connected(contact) => ("is connected with pod", self.people.get(&contact).copied()),
            Notice::JoinFailed(contact) => ("fails to join pod", self.people.get(&contact).copied()),
            Notice::Rekeyed(contact) => {
                self.figures.rekeyed += 1;
                ("has new keys with pod", self.people.get(&contact).copied())
            }
            Notice::RelayReplaced => {
                self.figures.relays_replaced += 1;
                ("replaces a relay", None)
            }
            Notice::RelayTrouble => ("has trouble with a relay", None),
            Notice::CardChanged(contact) => ("has a new card of pod", self.people.get(&contact).copied()),
            Notice::Other => return,
        };
        self.bodies[pod].tell(now, what, about.map_or(0, |pod| pod as u64));
    }
}

/// What a scenario does as an owner.
impl World {
    /// The two want to be contacts: they do by themselves what is to be done, whenever their pods run.
    pub fn befriend(&mut self, inviter: usize, invitee: usize) {
        for pod in [inviter, invitee] {
            if self.bonds_of[pod].is_empty() {
                self.heap.after(SECOND, Event::Owner { pod });
            }
            self.bonds_of[pod].push(self.bonds.len());
        }
        self.bonds.push(Bond::new(inviter, invitee));
    }

    /// Whether all who want to be contacts are.
    #[must_use]
    pub fn all_are_contacts(&self) -> bool {
        self.bonds.iter().all(Bond::is_bound)
    }

    /// Writes a message of this length. Says whether the pod took it.
    pub fn say(&mut self, from: usize, to: usize, len: usize) -> bool {
        let before = self.truth.sent;
        self.write(from, to, Some(len));
        self.truth.sent > before
    }
}

impl fmt::Debug for Bond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inviter, invitee, stage } = self;
        let stage = match stage {
            Stage::Planned => "planned",
            Stage::Made(_) => "an invite is made",
            Stage::Offered(_) => "invited",
            Stage::Accepted { inviter_agrees: true, .. } => "confirmed",
            Stage::Accepted { .. } => "accepted",
            Stage::Bound => "contacts",
            Stage::Parting { .. } => "part",
        };
        write!(f, "pod {inviter} and pod {invitee}: {stage}")
    }
}
