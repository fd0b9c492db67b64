//! Faults and recoveries, and when they happen.
//!
//! A pod meets one of these every two days on average, the kind by chance:
//!
//! | of 24 | kind | what happens | until |
//! |---:|---|---|---|
//! | 3 | partitions | pods and relays reach only those of their side, or one pod is slow | 1 to 12 hours later |
//! | 6 | relays | one is wiped, drops connections, answers nobody, is full, withholds or repeats frames, comes back from a backup | up to 18 hours later |
//! | 4 | backups | a backup is made, and takes the place of the disk an hour to a third of the world's days later | |
//! | 2 | rollbacks | the same with a copy of the whole disk, seconds to two days old | |
//! | 1 | absences | a pod is off | an hour to a third of the world's days later |
//! | 3 | clocks | the clock of a pod or a relay is off by an hour to a day, one time in three by up to five years | 1 hour to 2 days later |
//! | 2 | blocks | an owner blocks a contact | an hour to a day later |
//! | 3 | crashes | a pod loses power | up to 6 hours later |
//!
//! Others happen all the time, each in its module: bad links in `net`, crashes within a step in `step`, spoilt invites in
//! `pairs`, reorganisations in `money`, changes of devices, keys, names and contacts in `devices`.

use rand::Rng;

use super::config::{DAY, Fault, HOUR, SECOND};
use super::heap::Millis;
use super::net::{Host, LinkQuality};
use super::relay::{Conduct, Relay};
use super::shell::Hours;
use super::world::{Event, World};

/// Each pod meets one fault in this time.
const EACH: Millis = 2 * DAY;
/// The whole world meets no more than one in this time, so that thousands of pods leave it calm hours too.
const AT_MOST_EACH: Millis = 60 * SECOND;

/// A clock is off by less than this, seconds: five years.
const FAR_OFF: i64 = 5 * 366 * 86_400;

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
    /// The disk of a pod is lost now, and the copy of then takes its place.
    Restore(usize),
    /// A relay loses what it has, and its backup takes its place.
    RestoreRelay(usize),
    /// The clock of a relay is right again.
    RelayClock(usize),
    /// A pod that was off for long is on again in its hours.
    Return(usize),
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
        let kind = match self.rng.gen_range(0..24) {
            0..3 => Fault::Partitions,
            3..9 => Fault::Relays,
            9..13 => Fault::Backups,
            13..15 => Fault::Rollbacks,
            15 => Fault::Absences,
            16..19 => Fault::Clocks,
            19..21 => Fault::Blocks,
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
            Fault::Rollbacks => self.schedule_rollback(pod),
            Fault::Absences => self.leave_for_long(pod),
            Fault::Clocks if self.rng.gen_ratio(1, 4) => self.shift_relay_clock(),
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
            Recovery::RestoreRelay(relay) => self.restore_relay(relay),
            Recovery::RelayClock(relay) => self.relays[relay].clock = 0,
            Recovery::Return(pod) => self.return_home(pod),
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
        let conduct = match self.rng.gen_range(0..10) {
            0 => return self.wipe_relay(relay),
            1 => return self.hang_up_at(relay),
            2 => return self.schedule_relay_loss(relay),
            3 | 4 => Conduct::Dead,
            5 => Conduct::Full,
            6 => Conduct::Busy,
            7 | 8 => Conduct::Repeating,
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

    /// A backup of a relay is made now, and takes the place of what it has some hours later.
    fn schedule_relay_loss(&mut self, relay: usize) {
        self.relays[relay].back_up();
        let after = self.rng.gen_range(HOUR..DAY);
        self.heap.after(after, Event::Recover(Recovery::RestoreRelay(relay)));
    }

    /// A relay is as it was when its backup was made. Nothing happens where there is none.
    fn restore_relay(&mut self, relay: usize) {
        if self.relays[relay].restore_backup() {
            self.hang_up_at(relay);
        }
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

    /// The clock of a relay is off for hours or days.
    fn shift_relay_clock(&mut self) {
        let relay = self.rng.gen_range(0..self.relays.len());
        self.relays[relay].clock = self.some_shift();
        let lasts = self.rng.gen_range(HOUR..2 * DAY);
        self.heap.after(lasts, Event::Recover(Recovery::RelayClock(relay)));
    }

    /// By how much a clock is off, seconds: by an hour to a day; one time in three by up to five years.
    fn some_shift(&mut self) -> i64 {
        let most = if self.rng.gen_ratio(1, 3) { FAR_OFF } else { 86_400 };
        let by = self.rng.gen_range(3_600..most);
        if self.rng.gen_bool(0.5) { by } else { -by }
    }

    /// The clock of a pod is off, for hours or days.
    fn shift_clock(&mut self, pod: usize) {
        let by = self.some_shift();
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

    /// A pod is off for a part of the world's days.
    fn leave_for_long(&mut self, pod: usize) {
        let most = self.some_part_of_the_days();
        let lasts = self.rng.gen_range(HOUR..most);
        let now = self.heap.now();
        let shell = &mut self.shells[pod];
        shell.away_until = now + lasts;
        shell.wanted = false;
        shell.log_event(now, "is off for hours:", lasts / HOUR);
        self.stop(pod);
        self.heap.after(lasts, Event::Recover(Recovery::Return(pod)));
    }

    /// A pod that was off for long keeps its hours again.
    fn return_home(&mut self, pod: usize) {
        let now = self.heap.now();
        let shell = &mut self.shells[pod];
        shell.wanted = shell.is_wanted(now);
        if shell.wanted {
            self.start(pod);
        }
    }

    /// The longest time that an absence takes or a backup is old: a third of the world's days, and ten weeks at most.
    pub(super) fn some_part_of_the_days(&self) -> Millis {
        (self.config.days * DAY / 3).clamp(2 * HOUR, 70 * DAY)
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
        self.relays.iter_mut().for_each(Relay::end_faults);
        for pod in 0..self.shells.len() {
            let shell = &mut self.shells[pod];
            shell.slowness = 1;
            shell.away_until = 0;
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
