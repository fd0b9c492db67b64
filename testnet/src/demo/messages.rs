//! Act `messages`: a thousand messages between two pods, while Tor relays die. Not part of the demonstration's usual
//! acts: it takes minutes.

use std::time::{Duration, Instant};

use autonomy_testnet::{
    clock,
    party::{AskError, fresh_key},
    steps::Step,
};

use super::{
    DemoError, MessagesSize,
    figures::{Spread, Times, rate, seconds},
    person::Person,
    stage::{Stage, must},
    talk::{Cast, Talker, add_relays, meet},
    unrest::Unrest,
};

/// After the last was said: circuits are built anew, relays are asked.
const LIMIT: Duration = Duration::from_secs(300);

/// Plays the act; both go on with `--keep`.
pub(super) fn play(stage: &Stage<'_>, size: MessagesSize) -> Result<Vec<Person>, DemoError> {
    let mut cast = Cast::set(stage)?;
    add_relays(&cast)?;
    meet(&mut cast)?;
    let pods = if size.kill_pods { " and a pod" } else { "" };
    let name = format!("{} messages; a Tor relay{pods} killed every {} s", size.count, size.kill_every);
    stage.step(&name, |step| {
        let unrest = Unrest { every: Duration::from_secs(size.kill_every), silent_too: false };
        let (run, killed) = unrest.during(stage.tor()?, || Talk::new(&mut cast, size)?.play(step))?;
        step.figure("tor_relays_killed", killed);
        run.report(step, size)
    })?;
    Ok(cast.leave())
}

/// What came of it.
struct Run {
    heard: Vec<String>,
    said: Vec<String>,
    times: Times,
    took: Duration,
}

/// Alice says something every now and then, and Bob's conversation is looked at meanwhile.
struct Talk<'c, 'a> {
    cast: &'c mut Cast<'a>,
    size: MessagesSize,
    started: Instant,
    /// Texts that Bob had before.
    known: usize,
    /// When each message was said, by Alice's pod's own yes.
    said_at: Vec<Instant>,
    /// The next one's key: a pod that was killed may have taken it and said nothing.
    key: String,
    seen: usize,
    times: Times,
    pods_killed: u32,
}

impl<'c, 'a> Talk<'c, 'a> {
    fn new(cast: &'c mut Cast<'a>, size: MessagesSize) -> Result<Self, DemoError> {
        let known = cast.bob.person.heard(&cast.bob.contact)?.len();
        let (said_at, key, times) = (Vec::new(), fresh_key(), Times::default());
        Ok(Self { cast, size, started: clock::now(), known, said_at, key, seen: 0, times, pods_killed: 0 })
    }

    fn play(mut self, step: &Step) -> Result<Run, DemoError> {
        let count = self.size.count as usize;
        let pause = Duration::from_millis(self.size.pause_ms);
        // What does not come within the limit is counted, not waited for any longer.
        let _ = clock::wait_for(LIMIT + pause * self.size.count, || {
            self.kill_a_pod()?;
            self.say_what_is_due(pause)?;
            let newest = unless_away(newest(&self.cast.bob))?.unwrap_or(0).max(self.seen);
            let new = self.said_at.iter().take(newest).skip(self.seen);
            new.for_each(|at| self.times.push(at.elapsed()));
            self.seen = newest;
            #[expect(clippy::cast_precision_loss, reason = "a share on a bar")]
            step.progress(newest as f32 / count as f32, &format!("{newest} of {count} are there"));
            Ok::<_, DemoError>((newest >= count).then_some(()))
        })?;
        let took = self.started.elapsed();
        let Self { cast, said_at, times, .. } = self;
        let heard = cast.bob.person.heard(&cast.bob.contact)?.split_off(self.known);
        let said = cast.alice.said.split_off(cast.alice.said.len() - said_at.len());
        step.figure("pods_killed", self.pods_killed);
        Ok(Run { heard, said, times, took })
    }

    /// Several, where the last look took longer than the pause.
    fn say_what_is_due(&mut self, pause: Duration) -> Result<(), DemoError> {
        let mut said = self.said_at.len();
        while said < self.size.count as usize
            && self.started.elapsed() >= pause * u32::try_from(said).unwrap_or(u32::MAX)
        {
            let at = clock::now();
            let words = format!("message {}", said + 1);
            if unless_away(self.cast.alice.says_once(words, &self.key))?.is_none() {
                return Ok(());
            }
            self.said_at.push(at);
            self.key = fresh_key();
            said += 1;
        }
        Ok(())
    }

    /// Bob's, then Alice's, in turns, where that is wanted.
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

/// `None` where the pod is just away.
fn unless_away<T>(outcome: Result<T, DemoError>) -> Result<Option<T>, DemoError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(DemoError::Ask(AskError::Io { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number in the newest message that came.
fn newest(talker: &Talker) -> Result<usize, DemoError> {
    let request = format!("GET /v1/contacts/{}/messages?limit=1", talker.contact);
    let told = talker.person.pod.ask(&request, None)?;
    let words = told["messages"][0]["text"].as_str().and_then(|text| text.strip_prefix("message "));
    Ok(words.and_then(|number| number.parse().ok()).unwrap_or(0))
}

impl Run {
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
