//! Faults and recoveries, and when they happen.
//!
//! A pod meets one of these every two days on average, the kind by chance:
//!
//! | of 20 | kind | what happens | until |
//! |---:|---|---|---|
//! | 3 | partitions | pods and relays reach only those of their side, or one pod is slow | 1 to 12 hours later |
//! | 5 | relays | one is wiped, drops connections, answers nobody, is full, or withholds frames | up to 18 hours later |
//! | 4 | backups | a backup is made, and takes the place of the disk an hour to two days later | |
//! | 3 | clocks | the clock of a pod is off by an hour to a day | 1 hour to 2 days later |
//! | 2 | blocks | an owner blocks a contact | an hour to a day later |
//! | 3 | crashes | a pod loses power | up to 6 hours later |
//!
//! Others happen all the time, each in its module: bad links in `net`, crashes within a step in `step`, spoilt invites in
//! `pairs`, reorganisations in `money`, changes of devices, keys, names and contacts in `devices`.

use std::collections::BTreeMap;

use rand::Rng;

use super::config::{DAY, Fault, HOUR, SECOND};
use super::heap::Millis;
use super::net::{Host, LinkQuality};
use super::relay::Conduct;
use super::shell::{Backup, Hours};
use super::world::{Event, World};

/// Each pod meets one fault in this time.
const EACH: Millis = 2 * DAY;
/// The whole world meets no more than one in this time, so that thousands of pods leave it calm hours too.
const AT_MOST_EACH: Millis = 60 * SECOND;

/// How a fault ends.
#[derive(Debug)]
pub(super) enum Recovery {
    /// The clock of a pod is right again.
    Clock(usize),
    /// The links of a pod are as fast as others.
    Slowness(usize),
    /// Everybody reaches everybody.
    Partition,
    /// A relay behaves as it should.
    Relay(usize),
    /// The disk of a pod is lost now, and the backup of then takes its place.
    Restore(usize),
}

impl World {
    /// Adds the next fault to the heap.
    pub(super) fn schedule_fault(&mut self) {
        let pause = (EACH / self.shells.len() as u64).max(AT_MOST_EACH);
        let pause = self.rng.gen_range(pause / 2..pause + pause / 2);
        self.heap.after(pause, Event::Fault);
    }

    /// Chooses a fault and lets it happen, unless the world does not have its kind.
    pub(super) fn inject_fault(&mut self) {
        if !self.faults_on {
            return;
        }
        self.schedule_fault();
        let pod = self.rng.gen_range(0..self.shells.len());
        let kind = match self.rng.gen_range(0..20) {
            0..3 => Fault::Partitions,
            3..8 => Fault::Relays,
            8..12 => Fault::Backups,
            12..15 => Fault::Clocks,
            15..17 => Fault::Blocks,
            _ => Fault::Crashes,
        };
        if !self.config.faults.has(kind) {
            return;
        }
        self.figures.faults += 1;
        match kind {
            Fault::Partitions if self.rng.gen_bool(0.5) => self.partition(),
            Fault::Partitions => self.slow_down(pod),
            Fault::Relays => self.break_relay(),
            Fault::Backups => self.schedule_disk_loss(pod),
            Fault::Clocks => self.shift_clock(pod),
            Fault::Blocks => self.block_contact(pod),
            _ => self.power_cut(pod),
        }
    }

    /// Ends a fault.
    pub(super) fn recover(&mut self, recovery: Recovery) {
        match recovery {
            Recovery::Clock(pod) => self.set_clock(pod, 0),
            Recovery::Slowness(pod) => self.shells[pod].slowness = 1,
            Recovery::Partition => self.end_partition(),
            Recovery::Relay(relay) => self.set_conduct(relay, Conduct::Honest),
            Recovery::Restore(pod) => self.restore_backup(pod),
        }
    }

    /// For some hours, pods and relays reach only those of their side. Subscriptions across are found dead at the
    /// next frame, or within two minutes.
    fn partition(&mut self) {
        for pod in 0..self.shells.len() {
            self.shells[pod].side = self.rng.gen_bool(0.3);
        }
        for relay in 0..self.relays.len() {
            self.relay_sides[relay] = self.rng.gen_bool(0.3);
        }
        for pod in 0..self.shells.len() {
            let numbers: Vec<u64> = self.shells[pod].subscriptions.values().map(|s| s.number).collect();
            for number in numbers {
                // Subscriptions across are found dead at the next frame, or after this time.
                let noticed = self.rng.gen_range(SECOND..120 * SECOND);
                let across = self.shells[pod].subscriptions.iter().any(|(key, s)| {
                    let relay = self.hosts.get(&key.0);
                    s.number == number
                        && matches!(relay, Some(Host::Relay(r)) if self.relay_sides[*r] != self.shells[pod].side)
                });
                if across {
                    self.heap.after(noticed, Event::Hangup { pod, number });
                }
            }
        }
        let lasts = self.rng.gen_range(HOUR..8 * HOUR);
        self.heap.after(lasts, Event::Recover(Recovery::Partition));
    }

    /// Everybody reaches everybody again.
    fn end_partition(&mut self) {
        self.shells.iter_mut().for_each(|shell| shell.side = false);
        self.relay_sides.fill(false);
    }

    /// The links of a pod are slow for some hours.
    fn slow_down(&mut self, pod: usize) {
        self.shells[pod].slowness = self.rng.gen_range(5..40);
        let lasts = self.rng.gen_range(HOUR..12 * HOUR);
        self.heap.after(lasts, Event::Recover(Recovery::Slowness(pod)));
    }

    /// A relay is wiped, drops its connections, or misbehaves for minutes or hours. One relay at least stays honest:
    /// with none, pods that are never on together could not meet, and nothing would be learnt.
    fn break_relay(&mut self) {
        let relay = self.rng.gen_range(0..self.relays.len());
        let honest = self.relays.iter().filter(|relay| relay.conduct == Conduct::Honest).count();
        let conduct = match self.rng.gen_range(0..7) {
            0 => return self.wipe_relay(relay),
            1 => return self.hang_up_at(relay),
            2 | 3 => Conduct::Dead,
            4 => Conduct::Full,
            5 => Conduct::Busy,
            _ => Conduct::Withholding,
        };
        if honest <= 1 {
            return;
        }
        self.set_conduct(relay, conduct);
        let lasts = self.rng.gen_range(HOUR / 6..18 * HOUR);
        self.heap.after(lasts, Event::Recover(Recovery::Relay(relay)));
    }

    /// Sets how a relay behaves. It drops its connections where that is another way than before.
    pub(super) fn set_conduct(&mut self, relay: usize, conduct: Conduct) {
        if std::mem::replace(&mut self.relays[relay].conduct, conduct) != conduct {
            self.hang_up_at(relay);
        }
    }

    /// A relay loses its queues and frames, and with them its connections.
    pub(super) fn wipe_relay(&mut self, relay: usize) {
        self.relays[relay].wipe();
        self.hang_up_at(relay);
    }

    /// All who collect at a relay are cut off, and notice within some seconds.
    fn hang_up_at(&mut self, relay: usize) {
        let place = self.relays[relay].place;
        for pod in 0..self.shells.len() {
            let there = self.shells[pod].subscriptions.iter().filter(|(key, _)| key.0 == place);
            for number in there.map(|(_, subscription)| subscription.number).collect::<Vec<_>>() {
                let noticed = self.rng.gen_range(SECOND..20 * SECOND);
                self.heap.after(noticed, Event::Hangup { pod, number });
            }
        }
    }

    /// Makes a backup now; the disk is lost hours or days later. Not while a contact of the pod is being introduced,
    /// or is blocked, or its account is being made: the oracle knows no promise for those.
    fn schedule_disk_loss(&mut self, pod: usize) {
        let settled = self.pairs_of[pod].iter().all(|pair| self.pairs[*pair].is_connected());
        let lacks_account = self.plans_account(pod) && self.shells[pod].money.device_account.is_none();
        if !settled
            || lacks_account
            || self.shells[pod].backup.is_some()
            || !self.shells[pod].blocked.is_empty()
        {
            return;
        }
        self.back_up(pod);
        let after = self.rng.gen_range(HOUR..2 * DAY);
        self.heap.after(after, Event::Recover(Recovery::Restore(pod)));
    }

    /// The disk of a pod is lost, and its last backup takes its place. The oracle goes back with it. Nothing happens where
    /// there is no backup.
    pub fn restore_backup(&mut self, pod: usize) {
        let Some(Backup { disk, memory, choices, epoch }) = self.shells[pod].backup.take() else { return };
        let now = self.heap.now();
        self.figures.restores += 1;
        self.stop(pod);
        let shell = &mut self.shells[pod];
        shell.log_event(now, "loses its disk and gets a backup, launch", shell.launch);
        shell.pod.restore_backup(disk);
        shell.safe.clear();
        shell.money.roll_back();
        shell.stale_keys = shell.pod.person().epoch() > epoch;
        shell.unread.clear();
        shell.blocked = BTreeMap::new();
        shell.choices = choices;
        self.oracle.roll_back(pod, memory);
        self.forget_files(pod);
        if self.shells[pod].wanted {
            self.start(pod);
        }
    }

    /// The clock of a pod is off by one hour to a day, for hours or days.
    fn shift_clock(&mut self, pod: usize) {
        let by = self.rng.gen_range(3_600..86_400);
        let by = if self.rng.gen_bool(0.5) { by } else { -by };
        self.set_clock(pod, by);
        let lasts = self.rng.gen_range(HOUR..2 * DAY);
        self.heap.after(lasts, Event::Recover(Recovery::Clock(pod)));
    }

    /// Sets the clock of a pod off by so many seconds. The timers of its process notice within a minute.
    pub(super) fn set_clock(&mut self, pod: usize, seconds: i64) {
        let now = self.heap.now();
        let shell = &mut self.shells[pod];
        shell.pod.clock = seconds;
        shell.log_event(now, "has its clock turned by", seconds.unsigned_abs());
        if shell.pod.is_running() {
            let at = now + 60 * SECOND;
            shell.wake = Some(at);
            let launch = shell.launch;
            self.heap.at(at, Event::Wake { pod, launch });
        }
    }

    /// A pod stops, and starts again within six hours.
    fn power_cut(&mut self, pod: usize) {
        if !self.shells[pod].pod.is_running() {
            return;
        }
        let now = self.heap.now();
        self.shells[pod].log_event(now, "has a power cut, launch", 0);
        self.stop(pod);
        let away = self.rng.gen_range(SECOND..6 * HOUR);
        let launch = self.shells[pod].launch;
        self.heap.after(away, Event::Start { pod, launch });
    }

    /// Ends all faults: from now on nothing goes wrong. Backups that were not needed yet are dropped.
    pub(super) fn end_faults(&mut self) {
        self.faults_on = false;
        self.links = LinkQuality::GOOD;
        self.heal_nodes();
        self.end_partition();
        (0..self.relays.len()).for_each(|relay| self.set_conduct(relay, Conduct::Honest));
        for pod in 0..self.shells.len() {
            let shell = &mut self.shells[pod];
            shell.slowness = 1;
            shell.backup = None;
            shell.lost_devices.clear();
            let now = self.heap.now();
            shell.blocked.values_mut().for_each(|until| *until = now);
            if shell.pod.clock != 0 {
                self.set_clock(pod, 0);
            }
        }
    }

    /// Switches all pods on for good.
    pub(super) fn start_all(&mut self) {
        for pod in 0..self.shells.len() {
            self.shells[pod].hours = Hours::Always;
            self.shells[pod].wanted = true;
            self.start(pod);
        }
    }

    /// Makes a backup of a pod, for [`World::restore_backup`].
    pub fn back_up(&mut self, pod: usize) {
        let backup = Backup {
            disk: self.shells[pod].pod.backup(),
            memory: self.oracle.remember(pod),
            choices: self.shells[pod].choices.clone(),
            epoch: self.shells[pod].pod.person().epoch(),
        };
        self.shells[pod].backup = Some(backup);
    }

    /// Cuts a pod off from everybody, or connects it again.
    pub fn unplug(&mut self, pod: usize, out: bool) {
        self.shells[pod].side = out;
        let numbers = self.shells[pod].subscriptions.values().map(|subscription| subscription.number);
        for number in numbers.collect::<Vec<_>>() {
            self.heap.after(10 * SECOND, Event::Hangup { pod, number });
        }
    }

    /// Sets the clock of a pod off by so many seconds from now on.
    pub fn shift_clock_by(&mut self, pod: usize, seconds: i64) {
        self.set_clock(pod, seconds);
    }
}
