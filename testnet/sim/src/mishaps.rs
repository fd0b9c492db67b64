//! What goes wrong, and when; and how it is mended.

use std::collections::BTreeMap;

use rand::Rng;

use super::body::{Backup, Hours};
use super::config::{DAY, Fault, HOUR, SECOND};
use super::heap::Millis;
use super::net::{Host, Weather};
use super::relay::Conduct;
use super::world::{Event, World};

/// Each pod meets one in so much time.
const EACH: Millis = 2 * DAY;
/// But the world none more often than this.
const AT_MOST_EACH: Millis = 60 * SECOND;

/// How something goes right again.
#[derive(Debug)]
pub(super) enum Mend {
    /// The clock of a pod is set right.
    Clock(usize),
    /// A pod is as fast as others.
    Slowness(usize),
    /// Everybody reaches everybody.
    Partition,
    /// A relay does what it should.
    Relay(usize),
    /// The disk of a pod is lost, and its backup takes its place.
    Restore(usize),
}

impl World {
    pub(super) fn next_mishap(&mut self) {
        let pause = (EACH / self.bodies.len() as u64).max(AT_MOST_EACH);
        let pause = self.rng.gen_range(pause / 2..pause + pause / 2);
        self.heap.after(pause, Event::Mishap);
    }

    pub(super) fn mishap(&mut self) {
        if !self.troubled {
            return;
        }
        self.next_mishap();
        let pod = self.rng.gen_range(0..self.bodies.len());
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
        self.figures.mishaps += 1;
        match kind {
            Fault::Partitions if self.rng.gen_bool(0.5) => self.divide(),
            Fault::Partitions => self.slow_down(pod),
            Fault::Relays => self.spoil_a_relay(),
            Fault::Backups => self.lose_a_disk(pod),
            Fault::Clocks => self.turn_clock(pod),
            Fault::Blocks => self.block_somebody(pod),
            _ => self.power_cut(pod),
        }
    }

    pub(super) fn mend(&mut self, mend: Mend) {
        match mend {
            Mend::Clock(pod) => self.set_clock(pod, 0),
            Mend::Slowness(pod) => self.bodies[pod].slowness = 1,
            Mend::Partition => self.unite(),
            Mend::Relay(relay) => self.set_conduct(relay, Conduct::Honest),
            Mend::Restore(pod) => self.restore(pod),
        }
    }

    /// The world falls into two halves for some hours.
    fn divide(&mut self) {
        for pod in 0..self.bodies.len() {
            self.bodies[pod].side = self.rng.gen_bool(0.3);
        }
        for relay in 0..self.relays.len() {
            self.relay_sides[relay] = self.rng.gen_bool(0.3);
        }
        for pod in 0..self.bodies.len() {
            let numbers: Vec<u64> = self.bodies[pod].subscriptions.values().map(|s| s.number).collect();
            for number in numbers {
                // Those across are found dead at the next frame, or by and by.
                let noticed = self.rng.gen_range(SECOND..120 * SECOND);
                let across = self.bodies[pod].subscriptions.iter().any(|(key, s)| {
                    let relay = self.hosts.get(&key.0);
                    s.number == number
                        && matches!(relay, Some(Host::Relay(r)) if self.relay_sides[*r] != self.bodies[pod].side)
                });
                if across {
                    self.heap.after(noticed, Event::Hangup { pod, number });
                }
            }
        }
        let lasts = self.rng.gen_range(HOUR..8 * HOUR);
        self.heap.after(lasts, Event::Mend(Mend::Partition));
    }

    fn unite(&mut self) {
        self.bodies.iter_mut().for_each(|body| body.side = false);
        self.relay_sides.fill(false);
    }

    fn slow_down(&mut self, pod: usize) {
        self.bodies[pod].slowness = self.rng.gen_range(5..40);
        let lasts = self.rng.gen_range(HOUR..12 * HOUR);
        self.heap.after(lasts, Event::Mend(Mend::Slowness(pod)));
    }

    fn spoil_a_relay(&mut self) {
        let relay = self.rng.gen_range(0..self.relays.len());
        let honest = self.relays.iter().filter(|relay| relay.conduct == Conduct::Honest).count();
        let conduct = match self.rng.gen_range(0..6) {
            0 => return self.wipe_relay(relay),
            1 => return self.hang_up_at(relay),
            2 | 3 => Conduct::Dead,
            4 => Conduct::Full,
            _ => Conduct::Liar,
        };
        if honest <= 1 {
            return;
        }
        self.set_conduct(relay, conduct);
        let lasts = self.rng.gen_range(HOUR / 6..18 * HOUR);
        self.heap.after(lasts, Event::Mend(Mend::Relay(relay)));
    }

    pub(super) fn set_conduct(&mut self, relay: usize, conduct: Conduct) {
        if std::mem::replace(&mut self.relays[relay].conduct, conduct) != conduct {
            self.hang_up_at(relay);
        }
    }

    pub(super) fn wipe_relay(&mut self, relay: usize) {
        self.relays[relay].wipe();
        self.hang_up_at(relay);
    }

    /// All who collect at a relay are cut off, and notice within some seconds.
    fn hang_up_at(&mut self, relay: usize) {
        let place = self.relays[relay].place;
        for pod in 0..self.bodies.len() {
            let there = self.bodies[pod].subscriptions.iter().filter(|(key, _)| key.0 == place);
            for number in there.map(|(_, subscription)| subscription.number).collect::<Vec<_>>() {
                let noticed = self.rng.gen_range(SECOND..20 * SECOND);
                self.heap.after(noticed, Event::Hangup { pod, number });
            }
        }
    }

    /// A backup is made now, and needed after hours or days.
    fn lose_a_disk(&mut self, pod: usize) {
        let settled = self.bonds_of[pod].iter().all(|bond| self.bonds[*bond].is_bound());
        let no_purse = self.wants_purse(pod) && self.bodies[pod].money.purse.is_none();
        if !settled || no_purse || self.bodies[pod].backup.is_some() || !self.bodies[pod].blocked.is_empty() {
            return;
        }
        self.back_up(pod);
        let after = self.rng.gen_range(HOUR..2 * DAY);
        self.heap.after(after, Event::Mend(Mend::Restore(pod)));
    }

    fn restore(&mut self, pod: usize) {
        let Some(Backup { disk, memory, epoch }) = self.bodies[pod].backup.take() else { return };
        let now = self.heap.now();
        self.figures.restores += 1;
        self.fall(pod);
        let body = &mut self.bodies[pod];
        body.tell(now, "loses its disk and gets a backup, life", body.life);
        body.pod.put_back(disk);
        body.safe.clear();
        body.money.roll_back();
        body.stale_keys = body.pod.person().epoch() > epoch;
        body.unread.clear();
        body.blocked = BTreeMap::new();
        self.truth.roll_back(pod, memory);
        self.forget_files(pod);
        if self.bodies[pod].wanted {
            self.rise(pod);
        }
    }

    fn turn_clock(&mut self, pod: usize) {
        let by = self.rng.gen_range(3_600..86_400);
        let by = if self.rng.gen_bool(0.5) { by } else { -by };
        self.set_clock(pod, by);
        let lasts = self.rng.gen_range(HOUR..2 * DAY);
        self.heap.after(lasts, Event::Mend(Mend::Clock(pod)));
    }

    /// Sets the clock of a pod off by so many seconds. Its timers notice within a minute.
    pub(super) fn set_clock(&mut self, pod: usize, seconds: i64) {
        let now = self.heap.now();
        let body = &mut self.bodies[pod];
        body.pod.clock = seconds;
        body.tell(now, "has its clock turned by", seconds.unsigned_abs());
        if body.pod.is_running() {
            let at = now + 60 * SECOND;
            body.wake = Some(at);
            let life = body.life;
            self.heap.at(at, Event::Wake { pod, life });
        }
    }

    fn power_cut(&mut self, pod: usize) {
        if !self.bodies[pod].pod.is_running() {
            return;
        }
        let now = self.heap.now();
        self.bodies[pod].tell(now, "has a power cut, life", 0);
        self.fall(pod);
        let away = self.rng.gen_range(SECOND..6 * HOUR);
        let life = self.bodies[pod].life;
        self.heap.after(away, Event::Rise { pod, life });
    }

    /// From now on nothing goes wrong any more.
    pub(super) fn calm_down(&mut self) {
        self.troubled = false;
        self.weather = Weather::CALM;
        self.unite();
        (0..self.relays.len()).for_each(|relay| self.set_conduct(relay, Conduct::Honest));
        for pod in 0..self.bodies.len() {
            let body = &mut self.bodies[pod];
            body.slowness = 1;
            body.backup = None;
            body.lost_devices.clear();
            let now = self.heap.now();
            body.blocked.values_mut().for_each(|until| *until = now);
            if body.pod.clock != 0 {
                self.set_clock(pod, 0);
            }
        }
    }

    pub(super) fn everybody_at_home(&mut self) {
        for pod in 0..self.bodies.len() {
            self.bodies[pod].hours = Hours::Always;
            self.bodies[pod].wanted = true;
            self.rise(pod);
        }
    }

    /// Makes a backup of a pod, to be put back by [`World::put_back`].
    pub fn back_up(&mut self, pod: usize) {
        let backup = Backup {
            disk: self.bodies[pod].pod.backup(),
            memory: self.truth.remember(pod),
            epoch: self.bodies[pod].pod.person().epoch(),
        };
        self.bodies[pod].backup = Some(backup);
    }

    /// The disk of a pod is lost, and its last backup takes its place.
    pub fn put_back(&mut self, pod: usize) {
        self.restore(pod);
    }

    /// A pod reaches nobody and is reached by nobody, or is reached again.
    pub fn unplug(&mut self, pod: usize, out: bool) {
        self.bodies[pod].side = out;
        let numbers = self.bodies[pod].subscriptions.values().map(|subscription| subscription.number);
        for number in numbers.collect::<Vec<_>>() {
            self.heap.after(10 * SECOND, Event::Hangup { pod, number });
        }
    }

    /// The clock of a pod is off by so many seconds from now on.
    pub fn turn_clock_by(&mut self, pod: usize, seconds: i64) {
        self.set_clock(pod, seconds);
    }
}
