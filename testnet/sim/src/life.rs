//! Lives of a pod: it comes up, falls, is switched on and off; and what a scenario does to it and sees of it.

use autonomy_messaging::Name;
use autonomy_messaging::messenger::{ContactId, Reach};
use autonomy_messaging::place::Place;
use rand::Rng;

use super::body::Crash;
use super::command::{Answer, Command, Refused};
use super::config::{HOUR, SECOND};
use super::heap::Millis;
use super::person::FULL;
use super::pod::Input;
use super::relay::Conduct;
use super::world::{Event, World};

/// One pod in so many is reached through relays only: one that is always on.
const RELAYS_ONLY: usize = 8;

/// Of so many commands a device repeats one.
const REPEATS: u32 = 32;

/// Lives.
impl World {
    /// How a pod is called and reached, from the beginning.
    #[expect(clippy::expect_used, reason = "short and visible")]
    pub(super) fn introduce(&mut self, pod: usize) {
        let name = Name::new(&format!("pod {pod}")).expect("short and visible");
        self.ask(pod, Command::SetName(name));
        let relays = self.relays.len();
        for step in 0..self.config.relays_per_pod.min(relays) {
            let relay = (pod + step) % relays;
            let place = self.relays[relay].place;
            let name = Name::new(&format!("relay {relay}")).expect("short and visible");
            self.ask(pod, Command::AddRelay { place, name, token: self.relays[relay].token.clone() });
        }
        if self.config.by_itself && pod % RELAYS_ONLY == RELAYS_ONLY - 2 {
            self.ask(pod, Command::SetReach(Reach::Relays));
        }
    }

    /// A pod comes up.
    pub(super) fn rise(&mut self, pod: usize) {
        let now = self.heap.now();
        if self.bodies[pod].pod.is_running() {
            return;
        }
        self.figures.starts += 1;
        let life = self.bodies[pod].life;
        self.bodies[pod].tell(now, "starts, life", life);
        match self.bodies[pod].pod.start() {
            Ok(effects) => effects.into_iter().for_each(|effect| self.carry_out(pod, effect)),
            Err(error) => return self.breach(Some(pod), format!("its rows cannot be read: {error}")),
        }
        self.settle(pod);
        self.give(pod, Input::Wake);
        self.send_news(pod);
    }

    /// A pod ends, with or without its owner's wish.
    pub(super) fn fall(&mut self, pod: usize) {
        for (key, subscription) in std::mem::take(&mut self.bodies[pod].subscriptions) {
            self.leave(pod, &key.0, &subscription);
        }
        for caller in self.bodies[pod].fall() {
            self.unreached(caller, 5, 60);
        }
        self.spins[pod] = 0;
    }

    pub(super) fn crash(&mut self, pod: usize, how: &'static str) {
        self.figures.crashes += 1;
        let (now, steps) = (self.heap.now(), self.figures.steps);
        self.bodies[pod].tell(now, how, steps);
        self.fall(pod);
        let away = if self.rng.gen_bool(0.8) { 20 * SECOND } else { HOUR };
        let away = self.rng.gen_range(SECOND..away);
        let life = self.bodies[pod].life;
        self.heap.after(away, Event::Rise { pod, life });
    }

    pub(super) fn switch(&mut self, pod: usize) {
        let now = self.heap.now();
        let body = &mut self.bodies[pod];
        body.wanted = body.hours.is_open(now);
        let (wanted, next) = (body.wanted, body.hours.next_change(now));
        if let Some(at) = next {
            self.heap.at(at, Event::Switch { pod });
        }
        match (wanted, self.bodies[pod].pod.is_running()) {
            (true, false) => self.rise(pod),
            (false, true) => {
                self.bodies[pod].tell(now, "is switched off, life", 0);
                self.fall(pod);
            }
            _ => {}
        }
    }

    /// Asks a pod something as its owner.
    pub(super) fn ask(&mut self, pod: usize, command: Command) -> Option<Result<Answer, Refused>> {
        self.ask_by(pod, FULL, command)
    }

    /// Asks as one of the owner's devices. Where links are bad, an answer may be lost on its way, and the device asks
    /// again under the same key: then it is told the same, and nothing is done twice.
    pub(super) fn ask_by(
        &mut self,
        pod: usize,
        device: usize,
        command: Command,
    ) -> Option<Result<Answer, Refused>> {
        let body = &mut self.bodies[pod];
        body.asked += 1;
        let key = command.changes().then(|| format!("ask-{}", body.asked));
        let device = body.pod.person().device_key(device);
        if body.pod.is_running() && !body.admitted.contains(&device) {
            self.breach(Some(pod), "the gate does not let its owner's device in".into());
        }
        let again = self.weather.repeat > 0.0 && key.is_some() && self.rng.gen_ratio(1, REPEATS);
        let repeat = again.then(|| Input::Ask { device, key: key.clone(), command: command.clone() });
        let answer = self.give(pod, Input::Ask { device, key, command });
        if let (Some(repeat), Some(Ok(first))) = (repeat, &answer)
            && let Some(second) = self.give(pod, repeat)
        {
            self.figures.repeats += 1;
            if format!("{second:?}") != format!("{:?}", Ok::<_, Refused>(first)) {
                self.breach(Some(pod), format!("it answered {first:?}, and to a repeat {second:?}"));
            }
        }
        answer
    }
}

/// What a scenario does and sees.
impl World {
    /// Asks a pod something as its owner. None if it does not run, or falls.
    pub fn command(&mut self, pod: usize, command: Command) -> Option<Result<Answer, Refused>> {
        self.ask(pod, command)
    }

    /// Switches a pod on or off.
    pub fn switch_to(&mut self, pod: usize, on: bool) {
        self.bodies[pod].wanted = on;
        if on { self.rise(pod) } else { self.fall(pod) }
    }

    /// The pod falls in the step after so many more.
    pub fn crash_after(&mut self, pod: usize, steps: u64, crash: Crash) {
        self.bodies[pod].crash = Some((steps, crash));
    }

    /// Whether a fall that was asked for is still to come.
    #[must_use]
    pub fn crash_is_due(&self, pod: usize) -> bool {
        self.bodies[pod].crash.is_some()
    }

    /// What a relay does from now on.
    pub fn conduct(&mut self, relay: usize, conduct: Conduct) {
        self.set_conduct(relay, conduct);
    }

    /// A relay loses all that it has.
    pub fn wipe(&mut self, relay: usize) {
        self.wipe_relay(relay);
    }

    /// How a pod is named by others.
    #[must_use]
    pub fn contact(&self, pod: usize) -> ContactId {
        self.bodies[pod].pod.contact_id()
    }

    /// Messages that are neither delivered nor given up.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.truth.waiting()
    }

    /// The number of the last message from one pod that another was shown.
    #[must_use]
    pub fn shown_to(&self, from: usize, to: usize) -> u64 {
        self.truth.shown_to((from, to))
    }

    /// Milliseconds since the world began.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.heap.now()
    }

    /// The place of a relay.
    #[must_use]
    pub fn relay_place(&self, relay: usize) -> Place {
        self.relays[relay].place
    }
}
