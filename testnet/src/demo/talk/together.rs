//! Both there: how quick a message is, and how many go through in a second.

use std::time::{Duration, Instant};

use autonomy_testnet::{clock, party::Relay, steps::Step};

use super::cast::{Cast, Talker, connected};
use crate::demo::{
    DemoError,
    figures::{Spread, Times, rate, seconds},
    person::PATIENCE,
    stage::{missing, must, number},
};

/// Messages whose time is taken, one after the other.
const ONE_BY_ONE: usize = 30;
/// The longest for one of them, and for a burst.
const LIMIT: Duration = Duration::from_secs(120);

/// The dead relays are back, both pods are on, and nothing is on its way.
pub(super) fn gather(cast: &Cast<'_>) -> Result<(), DemoError> {
    cast.stage.step("relays back; both are on", |step| {
        cast.relays.iter().filter(|relay| !relay.is_running()).try_for_each(Relay::run)?;
        for talker in [&cast.alice, &cast.bob] {
            if talker.person.pod.pid().is_none() {
                talker.on()?;
            }
        }
        let started = clock::now();
        for (talker, other) in [(&cast.alice, &cast.bob), (&cast.bob, &cast.alice)] {
            talker.hears_all(other, LIMIT)?;
            talker.person.all_delivered(&talker.contact, LIMIT)?;
        }
        step.figure("until_all_receipts_seconds", seconds(started.elapsed()));
        for relay in &cast.relays {
            relay.reachable(PATIENCE)?;
        }
        Ok(())
    })
}

/// One after the other, directly and through relays; then many at once.
pub(super) fn measure(cast: &mut Cast<'_>, burst: u32) -> Result<(), DemoError> {
    let stage = cast.stage;
    stage.step("one message after the other, both there", |step| one_by_one(cast, step))?;
    stage.step("the same, Bob reached through relays only", |step| {
        cast.bob.person.once_reached(&["profile", "set-reach", "relays"])?;
        // One more, so that Alice knows by the next that there is no other way.
        let number = cast.alice.says("are you still there?".into())?;
        until_delivered(&cast.alice, number, clock::now())?;
        let before: u64 = cast.counted("deposits").iter().sum();
        one_by_one(cast, step)?;
        let deposits = cast.counted("deposits").iter().sum::<u64>() - before;
        must(deposits >= ONE_BY_ONE as u64, || format!("relays took {deposits} frames"))?;
        step.figure("frames_at_relays", deposits);
        cast.bob.person.once_reached(&["profile", "set-reach", "direct"]).map(drop)
    })?;
    stage.step("a burst of messages, both there", |step| {
        let started = clock::now();
        for index in 0..burst {
            cast.bob.says(format!("burst {index}"))?;
        }
        step.figure("taken_seconds", seconds(started.elapsed()));
        cast.alice.hears_all(&cast.bob, LIMIT)?;
        let took = started.elapsed();
        step.figure("arrived_seconds", seconds(took));
        step.figure("messages", burst);
        step.figure("messages_a_second", rate(f64::from(burst), took));
        cast.bob.person.all_delivered(&cast.bob.contact, LIMIT)?;
        step.figure("receipts_seconds", seconds(started.elapsed()));
        connected(cast, &cast.alice)
    })
}

fn one_by_one(cast: &mut Cast<'_>, step: &Step) -> Result<(), DemoError> {
    let (mut shown, mut receipt) = (Times::default(), Times::default());
    for index in 0..ONE_BY_ONE {
        let words = format!("how quick is number {index}?");
        let started = clock::now();
        let number = cast.alice.says(words.clone())?;
        shown.push(until_newest(&cast.bob, &words, started)?);
        receipt.push(until_delivered(&cast.alice, number, started)?);
    }
    for (name, times) in [("until_shown", shown), ("until_receipt", receipt)] {
        let Spread { p50_ms, p95_ms } =
            times.spread().ok_or_else(|| DemoError::Wrong("nothing measured".into()))?;
        step.figure(&format!("{name}_p50_ms"), p50_ms);
        step.figure(&format!("{name}_p95_ms"), p95_ms);
    }
    step.figure("messages", ONE_BY_ONE);
    Ok(())
}

fn until_newest(talker: &Talker, words: &str, started: Instant) -> Result<Duration, DemoError> {
    let request = format!("GET /v1/contacts/{}/messages?limit=1", talker.contact);
    talker.person.awaits_closely("the message is shown", LIMIT, || {
        let told = talker.person.pod.ask(&request, None)?;
        Ok((told["messages"][0]["text"] == words).then(|| started.elapsed()))
    })
}

fn until_delivered(talker: &Talker, sent: u64, started: Instant) -> Result<Duration, DemoError> {
    let request = format!("GET /v1/contacts/{}/messages?limit=1&before={}", talker.contact, sent + 1);
    talker.person.awaits_closely("the receipt is there", LIMIT, || {
        let told = talker.person.pod.ask(&request, None)?;
        let message = &told["messages"][0];
        if number(message, "number")? != sent {
            return Err(missing(&told, "number"));
        }
        Ok((message["state"] == "delivered").then(|| started.elapsed()))
    })
}
