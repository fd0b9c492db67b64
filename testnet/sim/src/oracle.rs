//! What really happened to each message, and what was promised about it.
//!
//! Messages are numbered over the whole world, so that the numbers from one sender to one receiver only grow. The
//! promises:
//!
//! * A message that is on its sender's disk is shown by the receiver **once**, after every earlier one that still
//!   waits.
//! * It counts as delivered only once it, and none in its place, was shown on the receiver's disk.
//! * It is given up only once its time to live is over, by the world's clock.
//! * In the end nothing waits: each message was delivered, or given up and reported.
//!
//! A pod whose disk was lost has what its backup has. A message that it had shown after the backup may be shown
//! again, if the sender still has it, or has it again because the sender's disk was lost too: then even after newer
//! ones. A message that it had sent after the backup is forgotten with its disk: it may have arrived or not.

use std::collections::{BTreeMap, VecDeque};

use autonomy_messaging::messenger::MESSAGE_TTL;

use super::config::{HOUR, SECOND};
use super::heap::Millis;

/// Sender and receiver, by the numbers of their pods.
pub(super) type Way = (usize, usize);

/// Buckets of latency. Each is twice as long as the one before, from a second on.
const BUCKETS: usize = 24;

/// No message is given up earlier: the time to live, but for two hours by which a clock may be ahead unnoticed.
const LEAST_AGE: Millis = MESSAGE_TTL * SECOND - 2 * HOUR;

/// All conversations of a world. A method that takes an event gives an error where a promise forbids the event.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    ways: BTreeMap<Way, Thread>,
    /// The number of the last message.
    last: u64,
    /// Messages that were on their sender's disk.
    pub(super) sent: u64,
    /// Messages that were shown, each counted once.
    pub(super) shown: u64,
    /// Messages that were shown once more, after the receiver's disk was lost.
    pub(super) shown_again: u64,
    /// Messages whose sender knows that they were shown.
    pub(super) delivered: u64,
    /// Messages that were given up and reported.
    pub(super) expired: u64,
    /// Messages that were lost with their sender's disk.
    pub(super) forgotten: u64,
    /// Messages to a contact that the sender removed.
    pub(super) withdrawn: u64,
    /// Messages that are on their sender's disk and neither delivered nor given up.
    waiting: u64,
    /// How many messages were shown within the time of each bucket.
    latencies: [u64; BUCKETS],
}

/// One direction of a conversation.
#[derive(Debug, Clone, Default)]
struct Thread {
    /// On the sender's disk, and neither delivered nor given up. By number.
    waiting: VecDeque<Waiting>,
    /// The last message that is shown on the receiver's disk.
    shown_to: u64,
    /// The last message that ever was. Greater than `shown_to` after the disk was lost.
    ever_shown_to: u64,
    /// Messages that were given up, and whether they were shown nevertheless.
    given_up: BTreeMap<u64, bool>,
    /// Messages that were shown on a disk that was lost: ranges, both ends included.
    lost: Vec<(u64, u64)>,
}

/// A message, and since when it waits.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    message: u64,
    since: Millis,
    /// Whether the receiver showed it, on whatever disk.
    shown: bool,
}

/// What the oracle goes back to for one pod when the pod is restored from a backup.
#[derive(Debug)]
pub(super) struct OracleBackup {
    sent: Vec<(Way, VecDeque<Waiting>)>,
    shown: Vec<(Way, u64)>,
}

impl Oracle {
    /// A number for a message that is about to be sent.
    pub(super) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A message is on its sender's disk.
    pub(super) fn accepted(&mut self, way: Way, message: u64, now: Millis) {
        let thread = self.ways.entry(way).or_default();
        if thread.waiting.back().is_none_or(|last| last.message < message) {
            thread.waiting.push_back(Waiting { message, since: now, shown: false });
            self.sent += 1;
            self.waiting += 1;
        }
    }

    /// Whether a message is on its sender's disk and waits.
    pub(super) fn is_accepted(&self, way: Way, message: u64) -> bool {
        self.ways.get(&way).is_some_and(|thread| thread.find(message).is_some())
    }

    /// A message is shown on its receiver's disk.
    ///
    /// It has to be newer than the last one that is shown, and no earlier one of the sender may be waiting, unless it
    /// was lost with the receiver's disk: then it may come at any time, once.
    ///
    /// # Errors
    /// It was never sent, was shown before, or an earlier one waits.
    pub(super) fn shown(&mut self, way: Way, message: u64, now: Millis) -> Result<(), String> {
        if message > self.last {
            return Err(format!("message {message} was shown and never accepted"));
        }
        let thread = self.ways.entry(way).or_default();
        thread.note_shown(message);
        let was_lost = thread.take_lost(message);
        if message <= thread.shown_to && was_lost {
            self.shown_again += 1;
            return Ok(());
        }
        if message <= thread.shown_to {
            return Err(format!(
                "message {message} was shown after {}: twice, or out of order",
                thread.shown_to
            ));
        }
        let before = thread.waiting.iter().take_while(|waiting| waiting.message < message);
        if let Some(skipped) = before.last().filter(|waiting| waiting.message > thread.shown_to) {
            return Err(format!("message {message} was shown before {}, which waits", skipped.message));
        }
        let again = message <= thread.ever_shown_to;
        thread.shown_to = message;
        thread.ever_shown_to = thread.ever_shown_to.max(message);
        let since = thread.find(message).map(|at| thread.waiting[at].since);
        if again {
            self.shown_again += 1;
            return Ok(());
        }
        self.shown += 1;
        let seconds = since.map_or(0, |since| now.saturating_sub(since) / 1000);
        let bucket = (u64::BITS - seconds.leading_zeros()) as usize;
        self.latencies[bucket.min(BUCKETS - 1)] += 1;
        Ok(())
    }

    /// The sender's pod reports a message as delivered. A repeat changes nothing: a pod that crashed may report it
    /// again.
    ///
    /// # Errors
    /// It was never shown.
    pub(super) fn delivered(&mut self, way: Way, message: u64) -> Result<(), String> {
        let thread = self.ways.entry(way).or_default();
        let never_shown = || format!("message {message} counts as delivered and was not shown");
        if message > thread.ever_shown_to || thread.given_up.get(&message) == Some(&false) {
            return Err(never_shown());
        }
        if let Some(at) = thread.find(message) {
            if !thread.waiting[at].shown {
                return Err(never_shown());
            }
            thread.waiting.remove(at);
            self.delivered += 1;
            self.waiting -= 1;
        }
        Ok(())
    }

    /// The sender's pod reports a message as given up. A repeat changes nothing.
    ///
    /// # Errors
    /// Its time to live is not over.
    pub(super) fn expired(&mut self, way: Way, message: u64, now: Millis) -> Result<(), String> {
        let thread = self.ways.entry(way).or_default();
        let Some(at) = thread.find(message) else { return Ok(()) };
        let Waiting { since, shown, .. } = thread.waiting[at];
        let age = now.saturating_sub(since);
        if age < LEAST_AGE {
            return Err(format!("message {message} was given up after {} hours", age / HOUR));
        }
        thread.waiting.remove(at);
        thread.given_up.insert(message, shown);
        self.expired += 1;
        self.waiting -= 1;
        Ok(())
    }

    /// The sender removes the contact, and with it what waits for it.
    pub(super) fn withdraw(&mut self, way: Way) {
        let thread = self.ways.entry(way).or_default();
        let waited = std::mem::take(&mut thread.waiting).len() as u64;
        self.withdrawn += waited;
        self.waiting -= waited;
    }

    /// What is on the disk of a pod now.
    pub(super) fn remember(&self, pod: usize) -> OracleBackup {
        let sent = self.ways.iter().filter(|((from, _), _)| *from == pod);
        let shown = self.ways.iter().filter(|((_, to), _)| *to == pod);
        OracleBackup {
            sent: sent.map(|(way, thread)| (*way, thread.waiting.clone())).collect(),
            shown: shown.map(|(way, thread)| (*way, thread.shown_to)).collect(),
        }
    }

    /// The disk of a pod is as it was when `memory` was taken.
    ///
    /// What the pod had shown since may be shown again, once. What it had sent since is forgotten. What it had
    /// waiting then waits again, even if it was delivered since: it will be reported as delivered again.
    pub(super) fn roll_back(&mut self, pod: usize, memory: OracleBackup) {
        for (way, thread) in &mut self.ways {
            if way.0 == pod {
                let waited = std::mem::take(&mut thread.waiting);
                let then = memory.sent.iter().find(|(known, _)| known == way);
                thread.waiting = then.map(|(_, waiting)| waiting.clone()).unwrap_or_default();
                for message in &mut thread.waiting {
                    let known = waited.binary_search_by_key(&message.message, |waited| waited.message);
                    // What was delivered since was shown.
                    let given_up = thread.given_up.remove(&message.message);
                    message.shown = known.map_or(given_up.unwrap_or(true), |at| waited[at].shown);
                }
                let newest = thread.waiting.back().map_or(0, |waiting| waiting.message);
                // What was delivered or given up since waits again, and will be reported again.
                let again = thread.waiting.iter().filter(|waiting| {
                    waited.binary_search_by_key(&waiting.message, |waited| waited.message).is_err()
                });
                self.delivered = self.delivered.saturating_sub(again.count() as u64);
                self.forgotten += waited.iter().filter(|waiting| waiting.message > newest).count() as u64;
                self.waiting = self.waiting + thread.waiting.len() as u64 - waited.len() as u64;
            }
            if way.1 == pod {
                let then = memory.shown.iter().find(|(known, _)| known == way);
                let then = then.map_or(0, |(_, shown)| *shown);
                if then < thread.shown_to {
                    thread.lost.push((then + 1, thread.shown_to));
                }
                thread.shown_to = then;
            }
        }
    }

    /// Messages that are neither delivered nor given up.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// One that waits, if any does.
    pub(super) fn one_waiting(&self) -> Option<(Way, u64)> {
        self.ways.iter().find_map(|(way, thread)| Some((*way, thread.waiting.front()?.message)))
    }

    /// The last message of this way that is shown.
    pub(super) fn shown_to(&self, way: Way) -> u64 {
        self.ways.get(&way).map_or(0, |thread| thread.shown_to)
    }

    /// Seconds within which this share of messages was shown: the upper end of a bucket.
    pub(super) fn latency(&self, percent: u64) -> u64 {
        let wanted = self.shown * percent / 100;
        let mut seen = 0;
        let bucket = self.latencies.iter().position(|count| {
            seen += count;
            seen > wanted
        });
        1 << bucket.unwrap_or(0)
    }
}

impl Thread {
    /// Whether this message was lost and not shown since. Then it may be shown once, now.
    fn take_lost(&mut self, message: u64) -> bool {
        let mut found = false;
        let parts = std::mem::take(&mut self.lost).into_iter().flat_map(|(from, to)| {
            let hit = (from..=to).contains(&message);
            found |= hit;
            if hit { [(from, message - 1), (message + 1, to)] } else { [(from, to), (1, 0)] }
        });
        self.lost = parts.filter(|(from, to)| from <= to).collect();
        found
    }

    /// The receiver shows this message: if the sender has it still, or gave it up, it is known from now on.
    fn note_shown(&mut self, message: u64) {
        if let Some(at) = self.find(message) {
            self.waiting[at].shown = true;
        }
        if let Some(shown) = self.given_up.get_mut(&message) {
            *shown = true;
        }
    }

    /// Where a message waits.
    fn find(&self, message: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&message, |waiting| waiting.message).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_lost_with_a_disk_may_be_shown_once_more() {
        let (mut oracle, way) = (Oracle::default(), (0, 1));
        for message in 1..=3 {
            oracle.number();
            oracle.accepted(way, message, 0);
        }
        let sender = oracle.remember(0);
        let receiver = oracle.remember(1);
        oracle.shown(way, 1, 0).unwrap();
        oracle.shown(way, 2, 0).unwrap();
        oracle.roll_back(1, receiver);
        oracle.delivered(way, 1).unwrap();
        oracle.delivered(way, 2).unwrap();
        oracle.shown(way, 3, 0).unwrap();
        assert!(oracle.shown(way, 3, 0).is_err(), "it is there");
        oracle.roll_back(0, sender);
        oracle.shown(way, 2, 0).unwrap();
        assert!(oracle.shown(way, 2, 0).is_err(), "it was shown again already");
        oracle.shown(way, 1, 0).unwrap();
        assert_eq!((oracle.shown, oracle.shown_again), (3, 2));
    }
}
