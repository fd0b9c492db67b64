//! Owners: when their pods run, and what they write, read and block when they use a device. What they do to become
//! contacts is in `pairs`.
//!
//! Messages carry their number in the text, so that the oracle can tell them apart wherever they turn up. To the node it is
//! a text like any other.

use autonomy_messaging::payload::{MAX_TEXT_LEN, Payload};
use rand::Rng;
use rand::rngs::StdRng;

use super::command::{Answer, Command, Notice};
use super::config::{DAY, HOUR};
use super::heap::Millis;
use super::shell::Hours;
use super::world::{Event, World};

/// How often an owner uses a device: after half to one and a half of this time.
const LOOKS: Millis = HOUR / 2;

/// The hours of a pod: a quarter is always on, a quarter now and then, and half in two shifts that never overlap, so
/// that their messages have to wait at relays.
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

/// A text of this length that carries the number of its message.
fn text_with(message: u64, len: usize) -> String {
    let mut words = format!("{message:x} ");
    words.extend(std::iter::repeat_n('.', len.min(MAX_TEXT_LEN).saturating_sub(words.len())));
    words
}

/// The number of the message that a text carries.
pub(super) fn number_in(payload: &Payload) -> Option<u64> {
    let Payload::Text(text) = payload else { return None };
    u64::from_str_radix(text.as_str().split(' ').next()?, 16).ok()
}

/// Length of a message: mostly a line, sometimes a page, now and then all that a text takes.
fn some_length(rng: &mut StdRng) -> usize {
    match rng.gen_range(0..100) {
        0..70 => rng.gen_range(1..200),
        70..93 => rng.gen_range(200..2_000),
        93..98 => rng.gen_range(2_000..11_000),
        _ => rng.gen_range(11_000..=MAX_TEXT_LEN),
    }
}

impl World {
    /// An owner uses a device, and will again.
    pub(super) fn owner(&mut self, pod: usize) {
        let next = self.rng.gen_range(LOOKS / 2..LOOKS + LOOKS / 2);
        self.heap.after(next, Event::Owner { pod });
        if !self.shells[pod].pod.is_running() {
            return;
        }
        self.unblock_those_due(pod);
        self.act_on_devices(pod);
        self.act_on_money(pod);
        self.act_on_files(pod);
        self.act_on_sessions(pod);
        self.miss_contacts(pod);
        if self.pairs_of[pod].iter().any(|pair| !self.pairs[*pair].is_connected()) {
            self.work_on_pairs(pod);
        }
        if self.faults_on && self.config.autonomous {
            self.write_some(pod);
        }
        self.read(pod);
    }

    /// The contacts of a pod that its owner has not blocked.
    pub(super) fn friends(&self, pod: usize) -> Vec<usize> {
        let blocked = &self.shells[pod].blocked;
        let friends =
            self.pairs_of[pod].iter().map(|pair| &self.pairs[*pair]).filter(|pair| pair.is_connected());
        let friends = friends.map(|pair| pair.other(pod));
        friends.filter(|friend| !blocked.contains_key(friend)).collect()
    }

    /// Writes to some contacts: as many messages as keep pace with the number that is to be sent in all.
    fn write_some(&mut self, pod: usize) {
        let now = self.heap.now();
        let friends = self.friends(pod);
        let end = self.config.days * DAY;
        let looks = end.saturating_sub(now) / LOOKS * self.shells.len() as u64 / 2 + 1;
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

    /// Sends one message. What the pod accepts has to be on its disk. Gives whether the pod still runs.
    fn write(&mut self, from: usize, to: usize, len: Option<usize>) -> bool {
        let message = self.oracle.number();
        let len = len.unwrap_or_else(|| some_length(&mut self.rng));
        let contact = self.shells[to].pod.contact_id();
        let device = self.writer(from);
        let answer = self.ask_by(from, device, Command::Send { contact, text: text_with(message, len) });
        match answer {
            Some(Ok(Answer::Queued(_))) => {
                self.messages_left = self.messages_left.saturating_sub(1);
                if !self.oracle.is_accepted((from, to), message) {
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

    /// Everybody writes to each contact once more: a pod whose disk went back finds out by what it hears.
    pub(super) fn say_last_words(&mut self) {
        for pod in 0..self.shells.len() {
            for friend in self.friends(pod) {
                self.write(pod, friend, None);
            }
        }
    }

    /// Marks everything as read.
    fn read(&mut self, pod: usize) {
        for (contact, up_to) in std::mem::take(&mut self.shells[pod].unread) {
            self.ask(pod, Command::MarkRead { contact, up_to });
        }
    }

    /// Ends blocks whose time is over.
    fn unblock_those_due(&mut self, pod: usize) {
        let now = self.heap.now();
        let due = self.shells[pod].blocked.iter().filter(|(_, until)| **until <= now);
        for friend in due.map(|(friend, _)| *friend).collect::<Vec<_>>() {
            let contact = self.shells[friend].pod.contact_id();
            if self.ask(pod, Command::SetBlocked(contact, false)).is_some() {
                self.shells[pod].blocked.remove(&friend);
            }
        }
    }

    /// An owner blocks a contact for some hours.
    pub(super) fn block_contact(&mut self, pod: usize) {
        let friends =
            self.pairs_of[pod].iter().map(|pair| &self.pairs[*pair]).filter(|pair| pair.is_connected());
        let friends: Vec<usize> = friends.map(|pair| pair.other(pod)).collect();
        if friends.is_empty() || !self.shells[pod].pod.is_running() {
            return;
        }
        let friend = friends[self.rng.gen_range(0..friends.len())];
        let until = self.heap.now() + self.rng.gen_range(HOUR..DAY);
        let contact = self.shells[friend].pod.contact_id();
        self.shells[pod].blocked.insert(friend, until);
        self.ask(pod, Command::SetBlocked(contact, true));
    }

    /// A device hears of an event: the world counts it and notes it for a violation that may come.
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
        self.shells[pod].log_event(now, what, about.map_or(0, |pod| pod as u64));
    }
}

/// What a scenario does as an owner.
impl World {
    /// Sends a message of this length. Gives whether the pod accepted it.
    pub fn say(&mut self, from: usize, to: usize, len: usize) -> bool {
        let before = self.oracle.sent;
        self.write(from, to, Some(len));
        self.oracle.sent > before
    }
}
