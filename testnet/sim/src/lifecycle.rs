//! Processes of a pod: it starts, stops, crashes, is switched on and off; and what a test does to it and sees of it.
//!
//! A start reads all rows from the disk, carries out the effects that the last process may not have, and gives the
//! node a first wake-up, as the daemon does. Whatever was meant for an earlier process, answers and pushed frames
//! included, is dropped by its launch number.

use autonomy_messaging::Name;
use autonomy_messaging::messenger::{ContactId, Reach};
use rand::Rng;

use super::choices::{Choice, Progress};
use super::command::{Answer, Command, Refused};
use super::config::{HOUR, SECOND};
use super::heap::Millis;
use super::person::FULL;
use super::pod::Input;
use super::relay::Conduct;
use super::shell::Crash;
use super::world::{Event, World};

/// One pod in so many is reached through relays only: one that is always on.
const RELAYS_ONLY: usize = 8;

/// Where links are bad, a device repeats one of so many commands.
const REPEATS: u32 = 32;

/// Lives.
impl World {
    /// Gives a pod its name, its relays and its reach, at the beginning.
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
        if self.config.autonomous && pod % RELAYS_ONLY == RELAYS_ONLY - 2 {
            self.ask(pod, Command::SetReach(Reach::Relays));
        }
    }

    /// Starts a pod, unless it runs: from its rows, with the effects that its last process may not have carried out.
    pub(super) fn start(&mut self, pod: usize) {
        let now = self.heap.now();
        if self.shells[pod].pod.is_running() {
            return;
        }
        self.figures.starts += 1;
        let launch = self.shells[pod].launch;
        self.shells[pod].log_event(now, "starts, launch", launch);
        match self.shells[pod].pod.start(now) {
            Ok(effects) => effects.into_iter().for_each(|effect| self.carry_out(pod, effect)),
            Err(error) => return self.breach(Some(pod), format!("its rows cannot be read: {error}")),
        }
        self.give(pod, Input::Wake);
        self.send_news(pod);
        let bootstrap = self.rng.gen_range(10 * SECOND..200 * SECOND);
        let launch = self.shells[pod].launch;
        self.heap.after(bootstrap, Event::Consensus { pod, launch });
    }

    /// The Tor of a pod has a consensus, and gets the next in an hour or two.
    pub(super) fn consensus(&mut self, pod: usize, launch: u64) {
        let now = self.heap.now();
        if self.shells[pod].launch != launch || !self.shells[pod].pod.is_running() {
            return;
        }
        self.shells[pod].pod.hear_consensus(now);
        self.give(pod, Input::Wake);
        let next = self.rng.gen_range(HOUR..2 * HOUR);
        self.heap.after(next, Event::Consensus { pod, launch });
    }

    /// Ends the process of a pod, with or without its owner's wish. Whoever waits for its answers gets none.
    pub(super) fn stop(&mut self, pod: usize) {
        for (key, subscription) in std::mem::take(&mut self.shells[pod].subscriptions) {
            self.leave(pod, &key.0, &subscription);
        }
        for caller in self.shells[pod].stop() {
            self.unreached(caller, 5, 60);
        }
        self.immediate_wakes[pod] = 0;
    }

    /// Ends the process of a pod and lets it start again: mostly after seconds, sometimes within an hour. `how` is
    /// for the log.
    pub(super) fn crash(&mut self, pod: usize, how: &'static str) {
        self.figures.crashes += 1;
        let (now, steps) = (self.heap.now(), self.figures.steps);
        self.shells[pod].log_event(now, how, steps);
        self.stop(pod);
        let away = if self.rng.gen_bool(0.8) { 20 * SECOND } else { HOUR };
        let away = self.rng.gen_range(SECOND..away);
        let launch = self.shells[pod].launch;
        self.heap.after(away, Event::Start { pod, launch });
    }

    /// Starts or stops a pod by its hours.
    pub(super) fn switch(&mut self, pod: usize) {
        let now = self.heap.now();
        let shell = &mut self.shells[pod];
        shell.wanted = shell.is_wanted(now);
        let (wanted, next) = (shell.wanted, shell.hours.next_change(now));
        if let Some(at) = next {
            self.heap.at(at, Event::Switch { pod });
        }
        match (wanted, self.shells[pod].pod.is_running()) {
            (true, false) => self.start(pod),
            (false, true) => {
                self.shells[pod].log_event(now, "is switched off, launch", 0);
                self.stop(pod);
            }
            _ => {}
        }
    }

    /// The owner's first device, which has full access, gives a command.
    pub(super) fn ask(&mut self, pod: usize, command: Command) -> Option<Result<Answer, Refused>> {
        self.ask_by(pod, FULL, command)
    }

    /// One of the owner's devices gives a command.
    ///
    /// Where links are bad, an answer may be lost, and the device repeats the command under the same key: then the
    /// answer has to be the same and nothing may be done twice. The repeat is compared even where the first answer
    /// arrived.
    pub(super) fn ask_by(
        &mut self,
        pod: usize,
        device: usize,
        command: Command,
    ) -> Option<Result<Answer, Refused>> {
        let shell = &mut self.shells[pod];
        shell.asked += 1;
        let key = command.changes().then(|| format!("ask-{}", shell.asked));
        let device = shell.pod.person().device_key(device);
        if shell.pod.is_running() && !shell.admitted.contains(&device) {
            self.breach(Some(pod), "the gate does not let its owner's device in".into());
        }
        let choice = Choice::of(&command).filter(|_| self.shells[pod].pod.is_running());
        let again = self.links.repeat > 0.0 && key.is_some() && self.rng.gen_ratio(1, REPEATS);
        let repeat = again.then(|| Input::Ask { device, key: key.clone(), command: command.clone() });
        let answer = self.give_choice(pod, choice, Input::Ask { device, key, command });
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

    /// Gives a pod a command that chooses this, if it chooses anything.
    fn give_choice(
        &mut self,
        pod: usize,
        choice: Option<Choice>,
        input: Input,
    ) -> Option<Result<Answer, Refused>> {
        if let Some(choice) = choice.clone() {
            self.note_choice(pod, choice, Progress::Asked);
        }
        let answer = self.give(pod, input)?;
        if let Some(choice) = choice {
            self.note_choice(pod, choice, if answer.is_ok() { Progress::Done } else { Progress::Refused });
        }
        Some(answer)
    }
}

/// What a scenario does and sees.
impl World {
    /// Gives a command as the owner. None if the pod does not run or crashes.
    pub fn command(&mut self, pod: usize, command: Command) -> Option<Result<Answer, Refused>> {
        self.ask(pod, command)
    }

    /// Switches a pod on or off.
    pub fn switch_to(&mut self, pod: usize, on: bool) {
        self.shells[pod].wanted = on;
        if on { self.start(pod) } else { self.stop(pod) }
    }

    /// Lets the pod crash in the step after so many more.
    pub fn crash_after(&mut self, pod: usize, steps: u64, crash: Crash) {
        self.shells[pod].crash = Some((steps, crash));
    }

    /// Whether a crash that was asked for is still to come.
    #[must_use]
    pub fn crash_is_due(&self, pod: usize) -> bool {
        self.shells[pod].crash.is_some()
    }

    /// Sets how a relay behaves from now on.
    pub fn conduct(&mut self, relay: usize, conduct: Conduct) {
        self.set_conduct(relay, conduct);
    }

    /// Deletes everything at a relay.
    pub fn wipe(&mut self, relay: usize) {
        self.wipe_relay(relay);
    }

    /// How contacts name the owner of a pod.
    #[must_use]
    pub fn contact(&self, pod: usize) -> ContactId {
        self.shells[pod].pod.contact_id()
    }

    /// Messages that are neither delivered nor given up.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.oracle.waiting()
    }

    /// The number of the last message from one pod that another has shown.
    #[must_use]
    pub fn shown_to(&self, from: usize, to: usize) -> u64 {
        self.oracle.shown_to((from, to))
    }

    /// Milliseconds since the world began.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.heap.now()
    }
}
