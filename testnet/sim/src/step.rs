//! Steps of a pod: handled, committed, carried out, cut off; and the promises held after each.

use autonomy_messaging::messenger::{self, ContactId, Direction, EntryState, EntryView};
use autonomy_messaging::place::QueueId;
use autonomy_messaging::wire::Response;
use rand::Rng;

use super::body::Crash;
use super::command::{Answer, Refused};
use super::config::{Fault, SECOND};
use super::net::Host;
use super::owner;
use super::pod::{Change, Effect, Input};
use super::world::{Event, World};

/// A world compares the rows of a pod with its memory about so often, evenly over its steps.
const COMPARISONS: u64 = 4_000;
/// But no more often than after one step in so many. A scripted world compares after every step.
const COMPARED: u64 = 64;
/// A step in so many is cut off, where pods fall.
const STEPS_TO_A_FALL: u32 = 1_500;
/// Wakes in a row that ask to be woken at once.
const MAX_SPINS: u32 = 60;

/// Steps.
impl World {
    /// Gives a pod an input: handled, committed, carried out, unless the pod falls in between. None where no answer
    /// comes of it.
    pub(super) fn give(&mut self, pod: usize, input: impl Into<Input>) -> Option<Result<Answer, Refused>> {
        let (now, input) = (self.heap.now(), input.into());
        let crash = self.draw_crash(pod);
        let collected = match &input {
            Input::Mail(messenger::Input::Collected { queue, number, .. }) => Some((*queue, *number)),
            _ => None,
        };
        let step = self.bodies[pod].pod.handle(now, input)?;
        self.figures.steps += 1;
        if crash == Some(Crash::BeforeCommit) {
            self.crash(pod, "falls before commit, in step");
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
                if most < all { "falls amid effects, in step" } else { "falls after effects, in step" },
            );
            return None;
        }
        self.schedule_wake(pod);
        step.answer
    }

    pub(super) fn draw_crash(&mut self, pod: usize) -> Option<Crash> {
        if let Some(crash) = self.bodies[pod].crash_now() {
            return Some(crash);
        }
        let falls = self.troubled && self.config.faults.has(Fault::Crashes);
        if !falls || !self.rng.gen_ratio(1, STEPS_TO_A_FALL) {
            return None;
        }
        Some(match self.rng.gen_range(0..4) {
            0 => Crash::BeforeCommit,
            1 => Crash::AfterEffects(0),
            _ => Crash::AfterEffects(self.rng.gen_range(0..4)),
        })
    }

    fn commit(&mut self, pod: usize, rows: Vec<Change>, collected: Option<(QueueId, u64)>) {
        self.figures.rows += rows.len() as u64;
        let bytes = rows.iter().map(|row| row.value.as_ref().map_or(0, |value| value.len())).sum::<usize>();
        self.figures.row_bytes += bytes as u64;
        let entries = self.bodies[pod].pod.commit(rows);
        if let Some((queue, number)) = collected {
            let safe = self.bodies[pod].safe.entry(queue).or_default();
            *safe = number.max(*safe);
        }
        for (contact, entry) in entries {
            self.entry(pod, contact, &entry);
        }
        // A message takes some four steps.
        let each = (self.config.messages * 4 / COMPARISONS).max(COMPARED);
        if !self.config.by_itself || self.figures.steps.is_multiple_of(each) {
            self.compare(pod);
        }
    }

    /// An entry of a conversation is on a disk.
    fn entry(&mut self, pod: usize, contact: ContactId, entry: &EntryView) {
        let now = self.heap.now();
        let Some(other) = self.people.get(&contact).copied() else { return };
        let Some(message) = owner::number_in(&entry.payload) else { return };
        let kept = match (entry.direction, entry.state) {
            (Direction::Outgoing, EntryState::Delivered(_)) => {
                self.bodies[pod].tell(now, "was told of delivery:", message);
                self.truth.delivered((pod, other), message)
            }
            (Direction::Outgoing, EntryState::Expired(_)) => {
                self.bodies[pod].tell(now, "gave up message", message);
                self.truth.expired((pod, other), message);
                Ok(())
            }
            (Direction::Outgoing, _) => {
                self.bodies[pod].tell(now, "wrote message", message);
                self.truth.said((pod, other), message, now);
                Ok(())
            }
            (Direction::Incoming, _) => {
                self.bodies[pod].tell(now, "was shown message", message);
                self.bodies[pod].unread.insert(contact, entry.number);
                self.truth.shown((other, pod), message, now)
            }
        };
        if let Err(what) = kept {
            self.breach(Some(pod), format!("between pod {pod} and pod {other}: {what}"));
        }
    }

    /// A pod restored from its rows must equal the one that runs.
    pub(super) fn compare(&mut self, pod: usize) {
        self.figures.compared += 1;
        match self.bodies[pod].pod.differs_from_restored() {
            Ok(None) => {}
            Ok(Some(how)) => {
                let what = format!("restored from its rows it differs from the one that runs, {how}");
                self.breach(Some(pod), what);
            }
            Err(error) => self.breach(Some(pod), format!("its rows cannot be read: {error}")),
        }
        // A window of parts and a message for each contact.
        let most = (self.people.len().min(self.bonds_of[pod].len() + 8)) * 262;
        if self.bodies[pod].pod.kept_parts() > most {
            self.breach(Some(pod), "it keeps more parts than a window".into());
        }
    }

    pub(super) fn schedule_wake(&mut self, pod: usize) {
        let now = self.heap.now();
        let Some(at) = self.bodies[pod].pod.next_wake() else { return };
        self.spins[pod] = if at <= now.saturating_sub(SECOND) { self.spins[pod] + 1 } else { 0 };
        if self.spins[pod] > MAX_SPINS {
            return self.breach(Some(pod), format!("it wants to be woken at {at}, at once and for ever"));
        }
        let at = at.max(now - now % SECOND + SECOND);
        let body = &mut self.bodies[pod];
        if body.wake.is_none_or(|before| before > at || before < now) {
            body.wake = Some(at);
            let life = body.life;
            self.heap.at(at, Event::Wake { pod, life });
        }
    }

    pub(super) fn carry_out(&mut self, pod: usize, effect: Effect) {
        match effect {
            Effect::Mail(effect) => self.carry_out_mail(pod, *effect),
            Effect::Notice(notice) => self.notice(pod, notice),
            Effect::Admit(devices) => self.bodies[pod].admitted = devices,
            Effect::Watch(watch) => self.bodies[pod].money.watch(*watch),
            Effect::Broadcast(txid, transaction) => self.broadcast(pod, txid, transaction),
            Effect::Nothing => {}
        }
    }

    fn carry_out_mail(&mut self, pod: usize, effect: messenger::Effect) {
        use messenger::Effect;
        match effect {
            Effect::Call { call, place, lane, request } => self.call(pod, call, place, lane, request),
            Effect::Collect(collections) => self.collect(pod, collections),
            Effect::Serve(queues) => self.bodies[pod].serving = queues.into_iter().collect(),
            Effect::Answer { ticket, response } => self.answer_ask(pod, ticket, response),
            // Of these the node makes events.
            Effect::Notify(_) => {}
        }
    }

    pub(super) fn answer_ask(&mut self, pod: usize, ticket: u64, response: Response) {
        if let Some(caller) = self.bodies[pod].asks.remove(&ticket) {
            self.reply(caller, Host::Pod(pod), response);
        }
    }
}
