//! Steps of a pod, in the order that the daemon's driver keeps:
//!
//! ```text
//! input ──► handle ──►│ commit rows ──►│ effect ──►│ effect ──►│ answer
//!                     ▲                ▲           ▲
//!               BeforeCommit   AfterEffects(0)    (1)      here a crash may cut the step off
//! ```
//!
//! After the commit the oracle hears of every entry of a conversation that is on disk now, and every so often a node
//! that is restored from the disk is compared with the running one. After the step a device looks at the cards of contacts
//! that have changed.

use autonomy_messaging::messenger::{self, ContactId, Direction, EntryState, EntryView};
use autonomy_messaging::place::QueueId;
use autonomy_messaging::wire::Response;
use rand::Rng;

use super::command::{Answer, Refused};
use super::config::{Fault, SECOND};
use super::net::Host;
use super::owner;
use super::pod::{Change, Committed, Effect, Input};
use super::shell::Crash;
use super::world::{Event, World};

/// About so many times in a run, rows of a pod are compared with its memory, evenly over all steps. Each comparison
/// restores a whole node, which takes as long as hundreds of steps.
const COMPARISONS: u64 = 4_000;
/// Small runs compare less often than that: after one step in so many. A scripted world compares after every step.
const COMPARED: u64 = 64;
/// Where pods crash, one step in so many is cut off.
const STEPS_PER_CRASH: u32 = 1_500;
/// A pod that asks so often in a row for a moment that is over would never rest: a broken promise.
const MAX_IMMEDIATE_WAKES: u32 = 60;

/// Steps.
impl World {
    /// Gives a pod an input. Its rows are committed, then its effects carried out, unless the pod crashes in between.
    ///
    /// None where the pod does not run or crashes: nobody is answered then. An effect may give the pod, or another
    /// one, an input of its own before this one returns; the driver of the daemon orders them the same way.
    pub(super) fn give(&mut self, pod: usize, input: impl Into<Input>) -> Option<Result<Answer, Refused>> {
        let now = self.heap.now();
        if let Some(is_right) = self.shells[pod].pod.judged_anew(now) {
            self.give_until(pod, Input::Clock(is_right), None);
        }
        let crash = self.draw_crash(pod);
        let answer = self.give_until(pod, input.into(), crash);
        self.look_at_cards(pod);
        answer
    }

    /// The same with this crash, or without one.
    pub(super) fn give_until(
        &mut self,
        pod: usize,
        input: Input,
        crash: Option<Crash>,
    ) -> Option<Result<Answer, Refused>> {
        let now = self.heap.now();
        let collected = match &input {
            Input::Mail(messenger::Input::Collected { queue, number, .. }) => Some((*queue, *number)),
            _ => None,
        };
        let step = self.shells[pod].pod.handle(now, input)?;
        self.figures.steps += 1;
        if crash == Some(Crash::BeforeCommit) {
            self.crash(pod, "crashes before commit, in step");
            return None;
        }
        self.commit(pod, step.rows, collected);
        let most = match crash {
            Some(Crash::AfterEffects(count)) => count,
            _ => usize::MAX,
        };
        let all = step.effects.len();
        for effect in step.effects.into_iter().take(most) {
            self.carry_out(pod, effect);
        }
        if crash.is_some() {
            self.crash(
                pod,
                if most < all { "crashes amid effects, in step" } else { "crashes after effects, in step" },
            );
            return None;
        }
        self.schedule_wake(pod);
        step.answer
    }

    /// Whether the step that begins now is cut off, and where: as a test asked for, or by chance.
    pub(super) fn draw_crash(&mut self, pod: usize) -> Option<Crash> {
        if let Some(crash) = self.shells[pod].crash_now() {
            return Some(crash);
        }
        let crashes = self.faults_on && self.config.faults.has(Fault::Crashes);
        if !crashes || !self.rng.gen_ratio(1, STEPS_PER_CRASH) {
            return None;
        }
        Some(match self.rng.gen_range(0..4) {
            0 => Crash::BeforeCommit,
            1 => Crash::AfterEffects(0),
            _ => Crash::AfterEffects(self.rng.gen_range(0..4)),
        })
    }

    /// Commits the rows of a step, and tells the oracle which entries of conversations are on disk now. `collected`
    /// is the frame that the step took from a relay: once the step is committed, the pod may acknowledge it.
    fn commit(&mut self, pod: usize, rows: Vec<Change>, collected: Option<(QueueId, u64)>) {
        self.figures.rows += rows.len() as u64;
        let bytes = rows.iter().map(|row| row.value.as_ref().map_or(0, |value| value.len())).sum::<usize>();
        self.figures.row_bytes += bytes as u64;
        let Committed { entries, removed, cards } = self.shells[pod].pod.commit(rows);
        if let Some((queue, number)) = collected {
            let safe = self.shells[pod].safe.entry(queue).or_default();
            *safe = number.max(*safe);
        }
        entries.into_iter().for_each(|(contact, entry)| self.entry(pod, contact, &entry));
        removed.into_iter().for_each(|contact| self.contact_removed(pod, contact));
        cards.into_iter().for_each(|contact| self.card_written(pod, contact));
        // A message takes some four steps.
        let each = (self.config.messages * 4 / COMPARISONS).max(COMPARED);
        if !self.config.autonomous || self.figures.steps.is_multiple_of(each) {
            self.compare(pod);
        }
    }

    /// An entry of a conversation is on a disk: the oracle decides whether it may be. Entries without a number are of
    /// no interest: offered files, for example.
    fn entry(&mut self, pod: usize, contact: ContactId, entry: &EntryView) {
        let now = self.heap.now();
        let Some(other) = self.people.get(&contact).copied() else { return };
        let Some(message) = owner::number_in(&entry.payload) else { return };
        let kept = match (entry.direction, entry.state) {
            (Direction::Outgoing, EntryState::Delivered(_)) => {
                self.shells[pod].log_event(now, "learns of delivery:", message);
                self.oracle.delivered((pod, other), message)
            }
            (Direction::Outgoing, EntryState::Expired(_)) => {
                self.shells[pod].log_event(now, "gave up message", message);
                self.oracle.expired((pod, other), message, now)
            }
            (Direction::Outgoing, _) => {
                self.shells[pod].log_event(now, "wrote message", message);
                self.oracle.accepted((pod, other), message, now);
                Ok(())
            }
            (Direction::Incoming, _) if self.shells[pod].choices.has_blocked(other) => {
                Err(format!("message {message} of one who is blocked was shown"))
            }
            (Direction::Incoming, _) => {
                self.shells[pod].log_event(now, "was shown message", message);
                self.shells[pod].unread.insert(contact, entry.number);
                self.oracle.shown((other, pod), message, now)
            }
        };
        if let Err(what) = kept {
            self.breach(Some(pod), format!("between pod {pod} and pod {other}: {what}"));
        }
    }

    /// Compares a pod that is restored from its rows with the one that runs, and counts the parts that it holds: a
    /// window for each contact at most, whatever others send.
    pub(super) fn compare(&mut self, pod: usize) {
        self.figures.compared += 1;
        match self.shells[pod].pod.differs_from_restored() {
            Ok(None) => {}
            Ok(Some(how)) => {
                let what = format!("restored from its rows it differs from the one that runs, {how}");
                self.breach(Some(pod), what);
            }
            Err(error) => self.breach(Some(pod), format!("its rows cannot be read: {error}")),
        }
        // A window of parts and a message for each contact.
        let most = (self.people.len().min(self.pairs_of[pod].len() + 8)) * 262;
        if self.shells[pod].pod.kept_parts() > most {
            self.breach(Some(pod), "it keeps more parts than a window".into());
        }
    }

    /// Adds the wake-up for which a pod asks, at the next full second: its clock counts seconds.
    pub(super) fn schedule_wake(&mut self, pod: usize) {
        let now = self.heap.now();
        let Some(at) = self.shells[pod].pod.next_wake(now) else { return };
        self.immediate_wakes[pod] =
            if at <= now.saturating_sub(SECOND) { self.immediate_wakes[pod] + 1 } else { 0 };
        if self.immediate_wakes[pod] > MAX_IMMEDIATE_WAKES {
            return self.breach(Some(pod), format!("it wants to be woken at {at}, at once and for ever"));
        }
        let at = at.max(now - now % SECOND + SECOND);
        let shell = &mut self.shells[pod];
        if shell.wake.is_none_or(|before| before > at || before < now) {
            shell.wake = Some(at);
            let launch = shell.launch;
            self.heap.at(at, Event::Wake { pod, launch });
        }
    }

    /// Carries one effect out.
    pub(super) fn carry_out(&mut self, pod: usize, effect: Effect) {
        match effect {
            Effect::Mail(effect) => self.carry_out_mail(pod, *effect),
            Effect::Notice(notice) => self.notice(pod, notice),
            Effect::Listen(onions) => self.listen(pod, &onions),
            Effect::Admit(devices) => self.shells[pod].admitted = devices,
            Effect::Watch(watch) => self.shells[pod].money.watch(*watch),
            Effect::Broadcast(txid, transaction) => self.broadcast(pod, txid, transaction),
            Effect::Nothing => {}
        }
    }

    /// The same for effects of the messenger.
    fn carry_out_mail(&mut self, pod: usize, effect: messenger::Effect) {
        use messenger::Effect;
        match effect {
            Effect::Call { call, place, lane, request } => self.call(pod, call, place, lane, request),
            Effect::Collect(collections) => self.collect(pod, collections),
            Effect::Serve(queues) => self.shells[pod].serving = queues.into_iter().collect(),
            Effect::Answer { ticket, response } => self.answer_ask(pod, ticket, response),
            // The node turns these into events.
            Effect::Notify(_) => {}
        }
    }

    /// A pod answers a request of another, if anybody still waits for it.
    pub(super) fn answer_ask(&mut self, pod: usize, ticket: u64, response: Response) {
        if let Some(caller) = self.shells[pod].asks.remove(&ticket) {
            self.reply(caller, Host::Pod(pod), response);
        }
    }
}
