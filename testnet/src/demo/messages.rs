//! Act `messages`: a thousand messages between two pods, while Tor relays die. Not part of the demonstration's usual
//! acts: it takes minutes.

use std::time::{Duration, Instant};

use autonomy_testnet::{clock, steps::Step};

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
    let name = format!("{} messages, a Tor relay killed every {} s", size.count, size.kill_every);
    stage.step(&name, |step| {
        let unrest = Unrest { every: Duration::from_secs(size.kill_every), silent_too: false };
        let (run, killed) = unrest.during(stage.tor()?, || talk(&mut cast, size, step))?;
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
fn talk(cast: &mut Cast<'_>, size: MessagesSize, step: &Step) -> Result<Run, DemoError> {
    let started = clock::now();
    let count = size.count as usize;
    let pause = Duration::from_millis(size.pause_ms);
    let known = cast.bob.person.heard(&cast.bob.contact)?.len();
    let (mut said_at, mut times) = (Vec::<Instant>::new(), Times::default());
    let mut seen = 0;
    // What does not come within the limit is counted, not waited for any longer.
    let _ = clock::wait_for(LIMIT + pause * size.count, || {
        // Several, where the last look took longer than the pause.
        while said_at.len() < count
            && started.elapsed() >= pause * u32::try_from(said_at.len()).unwrap_or(u32::MAX)
        {
            said_at.push(clock::now());
            cast.alice.says(format!("message {}", said_at.len()))?;
        }
        let now_seen = newest(&cast.bob)?.max(seen);
        said_at.iter().take(now_seen).skip(seen).for_each(|at| times.push(at.elapsed()));
        seen = now_seen;
        #[expect(clippy::cast_precision_loss, reason = "a share on a bar")]
        step.progress(seen as f32 / count as f32, &format!("{seen} of {count} are there"));
        Ok::<_, DemoError>((seen >= count).then_some(()))
    })?;
    let took = started.elapsed();
    let heard = cast.bob.person.heard(&cast.bob.contact)?.split_off(known);
    let said = cast.alice.said.split_off(cast.alice.said.len() - said_at.len());
    Ok(Run { heard, said, times, took })
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
