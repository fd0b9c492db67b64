//! Groups that are lost and made anew, pods that come back from old backups, one after the other: nothing that is
//! still held is lost, and nothing is shown twice.

use std::collections::BTreeSet;

use autonomy_messaging::{Inbox, MAX_INCARNATIONS, Outbox, PartShape, WINDOW_LEN};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Queue(u32),
    /// Which of the parts that wait arrive, by bits.
    Send(u64),
    Receipt,
    Reset,
    Expire,
    BackUpSender,
    BackUpReceiver,
    RestoreSender,
    RestoreReceiver,
}

#[derive(Clone)]
struct Receiver {
    inbox: Inbox,
    shown: Vec<u64>,
}

struct World {
    sender: Outbox,
    receiver: Receiver,
    /// Log numbers are never used again, not even by a pod that came back from a backup: they name messages here.
    log: u64,
    groups: u8,
    settled: BTreeSet<u64>,
    expired: BTreeSet<u64>,
    backups: (Outbox, Receiver),
    receiver_was_restored: bool,
    /// Groups in which a message was first numbered.
    origins: BTreeSet<[u8; 16]>,
}

impl World {
    fn new() -> Self {
        let sender = Outbox::new([1; 16]);
        let receiver = Receiver { inbox: Inbox::new([1; 16]), shown: Vec::new() };
        let backups = (sender.clone(), receiver.clone());
        let (settled, expired, origins) = Default::default();
        let receiver_was_restored = false;
        Self {
            sender,
            receiver,
            log: 0,
            groups: 1,
            settled,
            expired,
            backups,
            receiver_was_restored,
            origins,
        }
    }

    fn new_group(&mut self) -> [u8; 16] {
        self.groups += 1;
        [self.groups; 16]
    }

    fn reset(&mut self) {
        let group = self.new_group();
        let _ = self.sender.restart(group);
        let _ = self.receiver.inbox.restart(group);
    }

    fn send(&mut self, which: u64) {
        if self.sender.incarnation() != self.receiver.inbox.incarnation() {
            self.reset();
        }
        let waiting: Vec<u64> = self.sender.unacknowledged().take(64).collect();
        // From the back: all that can come in the wrong order does.
        for (bit, seq) in waiting.into_iter().enumerate().rev() {
            self.sender.mark_sent(seq);
            if which & (1 << bit) != 0 {
                self.arrive(seq);
            }
        }
    }

    fn arrive(&mut self, seq: u64) {
        let part = self.sender.part(seq).unwrap();
        let shape = PartShape { first: part.first, last: part.last, len: part.len, origin: part.origin };
        for message in self.receiver.inbox.accept(seq, shape).released {
            let logs: BTreeSet<u64> = message.seqs.map(|seq| self.sender.part(seq).unwrap().log).collect();
            assert_eq!(logs.len(), 1);
            let log = logs.into_iter().next().unwrap();
            assert_eq!(self.sender.origin(log), Some(message.origin));
            self.receiver.shown.push(log);
        }
    }

    fn receipt(&mut self) {
        if self.sender.incarnation() == self.receiver.inbox.incarnation() {
            let settled = self.sender.acknowledge(self.receiver.inbox.receipt()).unwrap();
            self.settled.extend(settled.into_iter().map(|settled| settled.log));
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Queue(len) => {
                self.log += 1;
                self.origins.insert(self.sender.incarnation());
                self.sender.queue(self.log, *len).unwrap();
            }
            Step::Send(which) => self.send(*which),
            Step::Receipt => self.receipt(),
            Step::Reset => self.reset(),
            Step::Expire => {
                let oldest = self.sender.logs().next();
                self.expired.extend(oldest.filter(|log| self.sender.void(*log)));
            }
            Step::BackUpSender => self.backups.0 = self.sender.clone(),
            Step::BackUpReceiver => self.backups.1 = self.receiver.clone(),
            Step::RestoreSender => {
                let nowhere = self.new_group();
                self.sender = self.backups.0.clone();
                let _ = self.sender.restart(nowhere);
            }
            Step::RestoreReceiver => {
                self.receiver = self.backups.1.clone();
                self.receiver_was_restored = true;
                self.reset();
            }
        }
    }

    /// Everything that waits arrives at last.
    fn finish(&mut self) {
        self.reset();
        while self.sender.queued_parts() > 0 {
            (0..=WINDOW_LEN / 64).for_each(|_| self.send(u64::MAX));
            self.receipt();
        }
    }

    fn check(&self, held: &[u64]) {
        let once: BTreeSet<u64> = self.receiver.shown.iter().copied().collect();
        assert_eq!(once.len(), self.receiver.shown.len(), "shown twice: {:?}", self.receiver.shown);
        if !self.receiver_was_restored {
            // One that had expired may come late, from a backup in which it had not.
            let in_order = self.receiver.shown.iter().filter(|log| !self.expired.contains(log));
            assert!(in_order.is_sorted(), "out of order: {:?}", self.receiver.shown);
            assert!(
                self.settled.difference(&self.expired).all(|log| once.contains(log)),
                "said delivered, never shown"
            );
        }
        for log in held {
            let gone = self.settled.contains(log) || self.expired.contains(log);
            assert!(once.contains(log) || gone, "{log} was held and never shown");
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop_oneof![1..200_u32, 11_501..30_000_u32].prop_map(Step::Queue),
        8 => any::<u64>().prop_map(Step::Send),
        2 => Just(Step::Send(u64::MAX)),
        3 => Just(Step::Receipt),
        3 => Just(Step::Reset),
        1 => Just(Step::Expire),
        1 => Just(Step::BackUpSender),
        1 => Just(Step::BackUpReceiver),
        1 => Just(Step::RestoreSender),
        1 => Just(Step::RestoreReceiver),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn nothing_held_is_lost_and_nothing_is_shown_twice(steps in proptest::collection::vec(step(), 1..100)) {
        let mut world = World::new();
        for step in steps {
            world.step(&step);
            if world.origins.len() == MAX_INCARNATIONS {
                break;
            }
        }
        let held: Vec<u64> = world.sender.logs().collect();
        world.finish();
        world.check(&held);
    }
}

#[test]
fn a_hundred_groups_in_a_row_without_one_receipt() {
    let mut world = World::new();
    for _ in 0..5 {
        world.step(&Step::Queue(12_000));
    }
    for _ in 0..100 {
        // All five are shown in the first group, and sent again in each.
        world.send(u64::MAX);
        world.reset();
    }
    world.finish();
    assert_eq!(world.receiver.shown, [1, 2, 3, 4, 5]);
}

#[test]
fn repeated_restores_of_one_backup_recover() {
    let mut world = World::new();
    world.step(&Step::Queue(10));
    world.step(&Step::BackUpSender);
    for _ in 0..30 {
        world.step(&Step::RestoreSender);
        world.step(&Step::Queue(10));
        world.send(u64::MAX);
    }
    world.finish();
    // Every message queued after a return was shown, and the one in the backup only once.
    assert_eq!(world.receiver.shown, (1..=31).collect::<Vec<_>>());
}
