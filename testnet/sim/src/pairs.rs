//! Two owners on their way to be contacts.
//!
//! An invite reaches the other owner outside of the simulated network, as a line of text would. Each owner does the next
//! step whenever they use a device and their pod runs:
//!
//! ```text
//! Planned ── inviter: Invite ──► Made ── its key package is at a relay ──► Offered ── invitee: Accept ──► Accepted
//!    ▲                             │                                          │                             │
//!    │            it failed or expired                              refused or expired        each lists the other
//!    │◄────────────────────────────┴──────────────────────────────────────────┘                             ▼
//!    └───────────────── both removed the other ◄── Parting ◄── the two agree to part ──────────────── Connected
//! ```

use std::collections::BTreeMap;
use std::fmt;

use autonomy_messaging::invite::Invite;
use autonomy_messaging::messenger::{ContactState, InviteId, InviteState};
use rand::Rng;

use super::command::{Answer, Command, ContactSeen};
use super::config::{Config, Fault, SECOND};
use super::world::{Event, World};

/// How long an invite can be redeemed, seconds.
const VALID_FOR: u64 = 3 * 86_400;

/// Two who want to be contacts.
pub(super) struct ContactPair {
    pub(super) inviter: usize,
    pub(super) invitee: usize,
    pub(super) stage: Stage,
    /// How often they became contacts.
    pub(super) times: u32,
}

/// How far two are on the way to be contacts. A step that was cut off or came to nothing leads back to `Planned`.
pub(super) enum Stage {
    /// The inviter is to make an invite.
    Planned,
    /// The inviter made this invite; its key package is not at the relay yet.
    Made(InviteId),
    /// The invitee's owner has it.
    Offered(Box<Invite>),
    /// The invitee accepted it. Whether each side lists the other as a contact.
    Accepted { inviter_agrees: bool, invitee_agrees: bool },
    /// Each side lists the other as a contact.
    Connected,
    /// They remove each other, and begin anew then. Whether each side has done so.
    Parting { inviter: bool, invitee: bool },
}

impl ContactPair {
    /// Two who have done nothing yet.
    pub(super) fn new(inviter: usize, invitee: usize) -> Self {
        Self { inviter, invitee, stage: Stage::Planned, times: 0 }
    }

    /// Whether they are contacts.
    pub(super) fn is_connected(&self) -> bool {
        matches!(self.stage, Stage::Connected)
    }

    /// The other one of the two.
    pub(super) fn other(&self, pod: usize) -> usize {
        if pod == self.inviter { self.invitee } else { self.inviter }
    }
}

/// Who wants to be whose contact, and the pairs of each pod. Everybody invites those who come a few after them, and
/// no two pairs are of the same two.
pub(super) fn pairs(config: &Config) -> (Vec<ContactPair>, Vec<Vec<usize>>) {
    let mut of = vec![Vec::new(); config.pods];
    let mut pairs: Vec<ContactPair> = Vec::new();
    if !config.autonomous {
        return (pairs, of);
    }
    for inviter in 0..config.pods {
        // Steps of 1, 2, 5, 10, 17, …: neighbours have opposite hours, others meet now and then.
        for step in (0..config.invites).map(|n| 1 + n * n) {
            let invitee = (inviter + step) % config.pods;
            let known = of[inviter].iter().any(|pair: &usize| pairs[*pair].other(inviter) == invitee);
            if invitee == inviter || known {
                continue;
            }
            of[inviter].push(pairs.len());
            of[invitee].push(pairs.len());
            pairs.push(ContactPair::new(inviter, invitee));
        }
    }
    (pairs, of)
}

impl World {
    /// Does what is to be done to become contacts: confirms whom the owner invited, and takes each pair one step
    /// further.
    pub(super) fn work_on_pairs(&mut self, pod: usize) {
        let Some(Ok(Answer::Contacts(contacts))) = self.ask(pod, Command::Contacts) else { return };
        let known: BTreeMap<usize, ContactSeen> = contacts
            .into_iter()
            .filter_map(|view| Some((self.people.get(&view.id).copied()?, view)))
            .collect();
        for (other, view) in &known {
            if view.state == ContactState::Asking {
                let expected = self.pairs_of[pod].iter().map(|pair| &self.pairs[*pair]);
                let expected = expected.clone().any(|pair| pair.inviter == pod && pair.invitee == *other);
                let command = if expected { Command::Confirm(view.id) } else { Command::Remove(view.id) };
                self.ask(pod, command);
            }
        }
        for pair in self.pairs_of[pod].clone() {
            if self.shells[pod].pod.is_running() && !self.pairs[pair].is_connected() {
                let other = self.pairs[pair].other(pod);
                self.advance_pair(pair, pod, known.get(&other).map(|view| view.state));
            }
        }
    }

    /// Takes a pair one step further on the side of `pod`, which lists the other in this state, or not at all.
    ///
    /// The stage is what the two owners know; the state is what the pod says. Where they differ, because an answer
    /// was lost, a pod crashed or was restored, the owner goes back as far as needed.
    fn advance_pair(&mut self, pair: usize, pod: usize, state: Option<ContactState>) {
        let inviter = self.pairs[pair].inviter;
        let is_inviter = pod == inviter;
        let inviter_id = self.shells[inviter].pod.contact_id();
        use ContactState::{Active, Joining, Known};
        match (&mut self.pairs[pair].stage, state) {
            (Stage::Parting { .. }, state) => self.part(pair, pod, state),
            // One of the two may have the other still, if the other's disk was lost: they begin anew all the same.
            (Stage::Planned, None | Some(Active | Known)) if is_inviter => self.make_invite(pair),
            (Stage::Planned, Some(Joining)) if !is_inviter => {
                // The other lost what it knew of the invite.
                self.ask(pod, Command::Remove(inviter_id));
            }
            (Stage::Made(invite), None | Some(Active | Known)) if is_inviter => {
                let invite = *invite;
                self.offer(pair, invite);
            }
            (Stage::Offered(invite), None | Some(Active | Known)) if !is_inviter => {
                let (invite, again) = (invite.clone(), state == Some(Active));
                self.accept_invite(pair, invite, again);
            }
            (Stage::Offered(_), Some(Joining)) if !is_inviter => {
                // The answer to the command was lost; the pod had accepted the invite.
                self.pairs[pair].stage = Stage::Accepted { inviter_agrees: false, invitee_agrees: false };
            }
            (Stage::Accepted { .. }, None) if !is_inviter => {
                self.figures.failed_joins += 1;
                self.pairs[pair].stage = Stage::Planned;
            }
            (Stage::Accepted { inviter_agrees, invitee_agrees }, Some(Active)) => {
                // The inviter confirms first: what it lists before may be the contact of earlier.
                *invitee_agrees |= !is_inviter;
                *inviter_agrees |= is_inviter && *invitee_agrees;
                if *inviter_agrees && *invitee_agrees {
                    self.pairs[pair].stage = Stage::Connected;
                    self.pairs[pair].times += 1;
                }
            }
            _ => {}
        }
    }

    /// An owner sees in the list that one who was a contact is none any more, since the disk is older than that: the two
    /// begin anew, or go on where the disk stands.
    pub(super) fn miss_contacts(&mut self, pod: usize) {
        for pair in self.pairs_of[pod].clone() {
            if self.pairs[pair].is_connected() {
                let other = self.pairs[pair].other(pod);
                match self.shells[pod].pod.contact_state(self.shells[other].pod.contact_id()) {
                    Some(ContactState::Active | ContactState::Blocked) => {}
                    Some(ContactState::Asking) => {
                        self.pairs[pair].stage =
                            Stage::Accepted { inviter_agrees: false, invitee_agrees: false };
                    }
                    _ => self.pairs[pair].stage = Stage::Planned,
                }
            }
        }
    }

    /// The disk of a pod is older than what its pairs have done since: they begin anew. `times` is how often each pair of
    /// the pod had become contacts.
    pub(super) fn roll_pairs_back(&mut self, pod: usize, times: &[u32]) {
        for (at, pair) in self.pairs_of[pod].clone().into_iter().enumerate() {
            let pair = &mut self.pairs[pair];
            let became_contacts = times.get(at).is_none_or(|times| *times != pair.times);
            match &mut pair.stage {
                Stage::Connected if became_contacts => pair.stage = Stage::Planned,
                Stage::Parting { inviter, invitee } => {
                    *inviter &= pod != pair.inviter;
                    *invitee &= pod != pair.invitee;
                }
                Stage::Made(_) | Stage::Offered(_) | Stage::Accepted { .. } => pair.stage = Stage::Planned,
                Stage::Connected | Stage::Planned => {}
            }
        }
    }

    /// In the end no two contacts talk in the first epoch of a group: secrets that lie in every backup open it.
    pub(super) fn check_epochs(&mut self) {
        for pair in 0..self.pairs.len() {
            let (inviter, invitee) = (self.pairs[pair].inviter, self.pairs[pair].invitee);
            for (pod, other) in [(inviter, invitee), (invitee, inviter)] {
                let contact = self.shells[other].pod.contact_id();
                let epoch = self.shells[pod].pod.ratchet_epoch(contact);
                if epoch.is_some_and(|epoch| epoch < 2) {
                    self.breach(Some(pod), format!("it talks to pod {other} in the first epoch of a group"));
                }
            }
        }
    }

    /// The inviter makes an invite. Now and then it is valid for a minute only.
    fn make_invite(&mut self, pair: usize) {
        let inviter = self.pairs[pair].inviter;
        let short = self.faults_on && self.config.faults.has(Fault::Invites) && self.rng.gen_ratio(1, 16);
        let valid_for = if short { 60 } else { VALID_FOR };
        let invite = self.ask(inviter, Command::Invite { valid_for });
        if let Some(Ok(Answer::Invite(view))) = invite {
            self.pairs[pair].stage = Stage::Made(view.id);
            self.offer(pair, view.id);
        }
    }

    /// Hands an invite over once it can be redeemed.
    fn offer(&mut self, pair: usize, invite: InviteId) {
        let inviter = self.pairs[pair].inviter;
        match self.ask(inviter, Command::InviteById(invite)) {
            Some(Ok(Answer::Invite(view))) => match view.state {
                InviteState::Publishing => {}
                InviteState::Ready => self.pairs[pair].stage = Stage::Offered(Box::new(view.invite)),
                _ => self.pairs[pair].stage = Stage::Planned,
            },
            Some(_) => self.pairs[pair].stage = Stage::Planned,
            None => {}
        }
    }

    /// The invitee accepts an invite: now and then twice, and after a stranger.
    fn accept_invite(&mut self, pair: usize, invite: Box<Invite>, again: bool) {
        let ContactPair { inviter, invitee, .. } = self.pairs[pair];
        let now = self.heap.now();
        self.shells[invitee].log_event(now, "accepts the invite of pod", inviter as u64);
        let twice = self.faults_on && self.config.faults.has(Fault::Invites) && self.rng.gen_ratio(1, 8);
        if twice {
            self.accept_as_stranger(inviter, invite.clone());
            self.ask(invitee, Command::Accept { invite: invite.clone(), again });
        }
        match self.ask(invitee, Command::Accept { invite, again }) {
            Some(Ok(_)) => {
                self.pairs[pair].stage = Stage::Accepted { inviter_agrees: false, invitee_agrees: false };
            }
            Some(Err(_)) => self.pairs[pair].stage = Stage::Planned,
            None => {}
        }
    }

    /// Another owner got hold of an invite and redeems it: the invite names nobody, so this must lead to nothing
    /// worse than a request. The inviter removes whoever asks and was not expected.
    fn accept_as_stranger(&mut self, inviter: usize, invite: Box<Invite>) {
        let stranger = self.rng.gen_range(0..self.shells.len());
        let friend = self.pairs_of[stranger].iter().any(|pair| self.pairs[*pair].other(stranger) == inviter);
        if stranger != inviter && !friend {
            self.ask(stranger, Command::Accept { invite, again: false });
        }
    }
}

/// What a test does.
impl World {
    /// Two owners want to be contacts: they do the rest by themselves whenever their pods run.
    pub fn befriend(&mut self, inviter: usize, invitee: usize) {
        for pod in [inviter, invitee] {
            if self.pairs_of[pod].is_empty() {
                self.heap.after(SECOND, Event::Owner { pod });
            }
            self.pairs_of[pod].push(self.pairs.len());
        }
        self.pairs.push(ContactPair::new(inviter, invitee));
    }

    /// Whether everybody who wants to be a contact is one.
    #[must_use]
    pub fn all_are_contacts(&self) -> bool {
        self.pairs.iter().all(ContactPair::is_connected)
    }
}

impl fmt::Debug for ContactPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inviter, invitee, stage, .. } = self;
        let stage = match stage {
            Stage::Planned => "planned",
            Stage::Made(_) => "an invite is made",
            Stage::Offered(_) => "invited",
            Stage::Accepted { inviter_agrees: true, .. } => "confirmed",
            Stage::Accepted { .. } => "accepted",
            Stage::Connected => "contacts",
            Stage::Parting { .. } => "part",
        };
        write!(f, "pod {inviter} and pod {invitee}: {stage}")
    }
}
