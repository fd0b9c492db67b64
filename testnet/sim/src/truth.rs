//! What really happened, as nobody inside the world knows it, and the promises held against it.
//!
//! Messages are numbered over the whole world, so numbers of one sender to one receiver only grow. The promises:
//!
//! * A message that is on its sender's disk is shown by the receiver **once**, after every earlier one that still waits.
//! * It counts as delivered only after the receiver's disk has shown it.
//! * In the end nothing waits: each was delivered, or given up and reported.
//!
//! A pod whose disk is lost keeps what its backup had. What it had shown after the backup it may be shown again, if the
//! sender still has it, or has it again because its own disk was lost: then even after newer ones. What it said after
//! the backup is forgotten with its disk: that may have arrived or not.

use std::collections::{BTreeMap, VecDeque};

use super::heap::Millis;

/// From whom, and to whom.
pub(super) type Way = (usize, usize);

/// Buckets of latency: doubling from a second.
const BUCKETS: usize = 24;

/// All conversations of the world.
#[derive(Debug, Default)]
pub(super) struct Truth {
    ways: BTreeMap<Way, Thread>,
    last: u64,
    pub(super) sent: u64,
    pub(super) shown: u64,
    pub(super) shown_again: u64,
    pub(super) delivered: u64,
    pub(super) expired: u64,
    pub(super) forgotten: u64,
    pub(super) withdrawn: u64,
    waiting: u64,
    latencies: [u64; BUCKETS],
}

/// One direction of a conversation.
#[derive(Debug, Clone, Default)]
struct Thread {
    /// On the sender's disk, and neither delivered nor given up.
    waiting: VecDeque<Waiting>,
    /// The last one on the receiver's disk.
    shown_to: u64,
    /// The last one that ever was there.
    ever_shown_to: u64,
    /// What was there and was lost with the disk: ranges, both ends included.
    lost: Vec<(u64, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    message: u64,
    since: Millis,
}

/// What a backup knows of the conversations of one pod.
#[derive(Debug)]
pub(super) struct Memory {
    said: Vec<(Way, VecDeque<Waiting>)>,
    shown: Vec<(Way, u64)>,
}

impl Truth {
    /// A number for a message that somebody is about to send.
    pub(super) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A message is on its sender's disk.
    pub(super) fn said(&mut self, way: Way, message: u64, now: Millis) {
        let thread = self.ways.entry(way).or_default();
        if thread.waiting.back().is_none_or(|last| last.message < message) {
            thread.waiting.push_back(Waiting { message, since: now });
            self.sent += 1;
            self.waiting += 1;
        }
    }

    /// Whether this message is on its sender's disk, and waits.
    pub(super) fn was_said(&self, way: Way, message: u64) -> bool {
        self.ways.get(&way).is_some_and(|thread| thread.find(message).is_some())
    }

    /// A message is on its receiver's disk.
    pub(super) fn shown(&mut self, way: Way, message: u64, now: Millis) -> Result<(), String> {
        if message > self.last {
            return Err(format!("message {message} was shown and never said"));
        }
        let thread = self.ways.entry(way).or_default();
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

    /// The sender is told that a message is at its receiver's.
    pub(super) fn delivered(&mut self, way: Way, message: u64) -> Result<(), String> {
        let thread = self.ways.entry(way).or_default();
        if message > thread.ever_shown_to {
            return Err(format!("message {message} counts as delivered and was not shown"));
        }
        if let Some(at) = thread.find(message) {
            thread.waiting.remove(at);
            self.delivered += 1;
            self.waiting -= 1;
        }
        Ok(())
    }

    /// The sender is told that a message was given up.
    pub(super) fn expired(&mut self, way: Way, message: u64) {
        let thread = self.ways.entry(way).or_default();
        if let Some(at) = thread.find(message) {
            thread.waiting.remove(at);
            self.expired += 1;
            self.waiting -= 1;
        }
    }

    /// The sender forgets the receiver, and what waited for them.
    pub(super) fn withdraw(&mut self, way: Way) {
        let thread = self.ways.entry(way).or_default();
        let waited = std::mem::take(&mut thread.waiting).len() as u64;
        self.withdrawn += waited;
        self.waiting -= waited;
    }

    /// What `pod` has on its disk.
    pub(super) fn remember(&self, pod: usize) -> Memory {
        let said = self.ways.iter().filter(|((from, _), _)| *from == pod);
        let shown = self.ways.iter().filter(|((_, to), _)| *to == pod);
        Memory {
            said: said.map(|(way, thread)| (*way, thread.waiting.clone())).collect(),
            shown: shown.map(|(way, thread)| (*way, thread.shown_to)).collect(),
        }
    }

    /// The disk of `pod` is as it was then.
    pub(super) fn roll_back(&mut self, pod: usize, memory: Memory) {
        for (way, thread) in &mut self.ways {
            if way.0 == pod {
                let waited = std::mem::take(&mut thread.waiting);
                let then = memory.said.iter().find(|(known, _)| known == way);
                thread.waiting = then.map(|(_, waiting)| waiting.clone()).unwrap_or_default();
                let newest = thread.waiting.back().map_or(0, |waiting| waiting.message);
                // What was delivered since waits again, and will be told as delivered again.
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

    /// The way and number of one that waits.
    pub(super) fn one_waiting(&self) -> Option<(Way, u64)> {
        self.ways.iter().find_map(|(way, thread)| Some((*way, thread.waiting.front()?.message)))
    }

    /// The last message of this way that its receiver was shown.
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
    /// Whether this message was lost, and not shown since.
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

    fn find(&self, message: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&message, |waiting| waiting.message).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_disk_lost_may_come_late_and_once() {
        let (mut truth, way) = (Truth::default(), (0, 1));
        for message in 1..=3 {
            truth.number();
            truth.said(way, message, 0);
        }
        let sender = truth.remember(0);
        let receiver = truth.remember(1);
        truth.shown(way, 1, 0).unwrap();
        truth.shown(way, 2, 0).unwrap();
        truth.roll_back(1, receiver);
        truth.delivered(way, 1).unwrap();
        truth.delivered(way, 2).unwrap();
        truth.shown(way, 3, 0).unwrap();
        assert!(truth.shown(way, 3, 0).is_err(), "it is there");
        truth.roll_back(0, sender);
        truth.shown(way, 2, 0).unwrap();
        assert!(truth.shown(way, 2, 0).is_err(), "it came again already");
        truth.shown(way, 1, 0).unwrap();
        assert_eq!((truth.shown, truth.shown_again), (3, 2));
    }
}
