//! Act `messages`: a thousand messages between two pods, while Tor relays fail. It takes minutes,
//! so it is not among the usual acts.

use std::time::{Duration, Instant};

use autonomy_testnet::{
    clock,
    party::{AskError, fresh_key},
    steps::Step,
};

use super::{
    DemoError, MessagesSize,
    faults::RelayFaults,
    figures::{Spread, Times, rate, seconds},
    person::Person,
    stage::{Stage, must},
    talk::{Cast, Participant, add_relays, meet},
};

/// Time after the last message for circuits to be rebuilt and relays to be asked.
const LIMIT: Duration = Duration::from_secs(300);

/// Plays the act. Both people keep their pods with `--keep`.
pub(super) fn play(stage: &Stage<'_>, size: MessagesSize) -> Result<Vec<Person>, DemoError> {
    let mut cast = Cast::set(stage)?;
    add_relays(&cast)?;
    meet(&mut cast)?;
    let pods = if size.kill_pods { " and a pod" } else { "" };
    let name = format!("{} messages; a Tor relay{pods} killed every {} s", size.count, size.kill_every);
    stage.step(&name, |step| {
        let faults = RelayFaults { every: Duration::from_secs(size.kill_every), silent_too: false };
        let (run, killed) = faults.during(stage.tor()?, || Talk::new(&mut cast, size)?.play(step))?;
        step.figure("tor_relays_killed", killed);
        run.report(step, size)
    })?;
    Ok(cast.leave())
}

/// The result of the act.
struct Run {
    /// The texts that Bob's pod shows.
    heard: Vec<String>,
    /// The texts that Alice's pod accepted.
    said: Vec<String>,
    /// From acceptance until shown, for each message.
    times: Times,
    /// From the first message to the last.
    took: Duration,
}

/// Alice sends at intervals, and Bob's conversation is polled meanwhile.
struct Talk<'c, 'a> {
    cast: &'c mut Cast<'a>,
    /// How much is sent.
    size: MessagesSize,
    /// When the first message was due.
    started: Instant,
    /// Number of texts that Bob had before.
    known: usize,
    /// When each message was accepted by Alice's pod.
    said_at: Vec<Instant>,
    /// The key of the next message: a pod that was killed may have accepted it without answering.
    key: String,
    /// Messages seen at Bob's pod so far.
    seen: usize,
    times: Times,
    /// Pods killed so far.
    pods_killed: u32,
}

impl<'c, 'a> Talk<'c, 'a> {
    /// Notes what Bob's pod shows before the first message.
    fn new(cast: &'c mut Cast<'a>, size: MessagesSize) -> Result<Self, DemoError> {
        let known = cast.bob.person.received(&cast.bob.contact)?.len();
        let (said_at, key, times) = (Vec::new(), fresh_key(), Times::default());
        Ok(Self { cast, size, started: clock::now(), known, said_at, key, seen: 0, times, pods_killed: 0 })
    }

    /// Sends all messages and polls until they are there or the limit has passed.
    ///
    /// Messages are numbered in their text, so that order and repeats are seen without looking into
    /// the pods.
    fn play(mut self, step: &Step) -> Result<Run, DemoError> {
        let count = self.size.count as usize;
        let pause = Duration::from_millis(self.size.pause_ms);
        // What does not come within the limit is counted, not waited for any longer.
        let _ = clock::wait_for(LIMIT + pause * self.size.count, || {
            self.kill_a_pod()?;
            self.send_due(pause)?;
            let newest = unless_offline(newest(&self.cast.bob))?.unwrap_or(0).max(self.seen);
            let new = self.said_at.iter().take(newest).skip(self.seen);
            new.for_each(|at| self.times.push(at.elapsed()));
            self.seen = newest;
            #[expect(clippy::cast_precision_loss, reason = "a share on a bar")]
            step.progress(newest as f32 / count as f32, &format!("{newest} of {count} are there"));
            Ok::<_, DemoError>((newest >= count).then_some(()))
        })?;
        let took = self.started.elapsed();
        let Self { cast, said_at, times, .. } = self;
        let heard = cast.bob.person.received(&cast.bob.contact)?.split_off(self.known);
        let said = cast.alice.said.split_off(cast.alice.said.len() - said_at.len());
        step.figure("pods_killed", self.pods_killed);
        Ok(Run { heard, said, times, took })
    }

    /// Sends the messages that are due: several, where the last poll took longer than the pause.
    ///
    /// A message is retried with the same key until the pod answers, so a killed pod causes no
    /// repeat.
    fn send_due(&mut self, pause: Duration) -> Result<(), DemoError> {
        let mut said = self.said_at.len();
        while said < self.size.count as usize
            && self.started.elapsed() >= pause * u32::try_from(said).unwrap_or(u32::MAX)
        {
            let at = clock::now();
            let words = format!("message {}", said + 1);
            if unless_offline(self.cast.alice.send_once(words, &self.key))?.is_none() {
                return Ok(());
            }
            self.said_at.push(at);
            self.key = fresh_key();
            said += 1;
        }
        Ok(())
    }

    /// Kills Bob's and Alice's pods in turns, where the flags ask for it.
    fn kill_a_pod(&mut self) -> Result<(), DemoError> {
        let due = Duration::from_secs(self.size.kill_every) * (self.pods_killed + 1);
        if !self.size.kill_pods
            || self.started.elapsed() < due
            || self.said_at.len() >= self.size.count as usize
        {
            return Ok(());
        }
        let victim = if self.pods_killed.is_multiple_of(2) { &self.cast.bob } else { &self.cast.alice };
        self.pods_killed += 1;
        // Running one that runs kills it first, as a power cut would.
        victim.on()
    }
}

/// `None` where the pod does not answer at the moment.
fn unless_offline<T>(outcome: Result<T, DemoError>) -> Result<Option<T>, DemoError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(DemoError::Ask(AskError::Io { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number in the newest message that arrived.
fn newest(participant: &Participant) -> Result<usize, DemoError> {
    let request = format!("GET /v1/contacts/{}/messages?limit=1", participant.contact);
    let answer = participant.person.pod.ask(&request, None)?;
    let words = answer["messages"][0]["text"].as_str().and_then(|text| text.strip_prefix("message "));
    Ok(words.and_then(|number| number.parse().ok()).unwrap_or(0))
}

impl Run {
    /// Adds the numbers to the step's line, and fails unless each message was shown once and in
    /// order.
    fn report(self, step: &Step, size: MessagesSize) -> Result<(), DemoError> {
        let arrived = self.said.iter().filter(|words| self.heard.contains(words)).count();
        let expected = self.said.iter().filter(|words| self.heard.contains(words));
        let in_order_once = self.heard.iter().eq(expected);
        step.figure("said", self.said.len());
        step.figure("arrived", arrived);
        step.figure("shown", self.heard.len());
        step.figure("in_order_and_once", in_order_once);
        step.figure("run_seconds", seconds(self.took));
        step.figure("messages_a_second", rate(f64::from(size.count), self.took));
        step.figure("slowest_ms", self.times.slowest_ms());
        if let Some(Spread { p50_ms, p95_ms }) = self.times.spread() {
            step.figure("until_shown_p50_ms", p50_ms);
            step.figure("until_shown_p95_ms", p95_ms);
        }
        must(arrived == self.said.len() && in_order_once, || {
            format!("{} were said, {arrived} arrived, {} were shown", self.said.len(), self.heard.len())
        })
    }
}
