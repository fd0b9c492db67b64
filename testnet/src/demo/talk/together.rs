//! Both are online: how long a message takes, and how many a second go through.

use std::time::{Duration, Instant};

use autonomy_testnet::{clock, party::Relay, steps::Step};

use super::cast::{Cast, Participant, connected};
use crate::demo::{
    DemoError,
    figures::{Spread, Times, rate, seconds},
    person::STEP_TIMEOUT,
    stage::{missing, must, number},
};

/// Messages that are timed one after the other.
const ONE_BY_ONE: usize = 30;
/// Longest time for one of them, and for a burst.
const LIMIT: Duration = Duration::from_secs(120);

/// Restarts the failed relays and both pods, and waits until everything is delivered.
pub(super) fn gather(cast: &Cast<'_>) -> Result<(), DemoError> {
    cast.stage.step("relays back; both are on", |step| {
        cast.relays.iter().filter(|relay| !relay.is_running()).try_for_each(Relay::run)?;
        for participant in [&cast.alice, &cast.bob] {
            if participant.person.pod.pid().is_none() {
                participant.on()?;
            }
        }
        let started = clock::now();
        for (participant, other) in [(&cast.alice, &cast.bob), (&cast.bob, &cast.alice)] {
            participant.receive_all(other, LIMIT)?;
            participant.person.all_delivered(&participant.contact, LIMIT)?;
        }
        step.figure("until_all_receipts_seconds", seconds(started.elapsed()));
        for relay in &cast.relays {
            relay.reachable(STEP_TIMEOUT)?;
        }
        Ok(())
    })
}

/// Measures messages one after the other, directly and through relays; then many at once.
///
/// For the second measurement Bob's pod is reached through relays only, which it tells its contacts
/// first. Its receipts wait for moments of their own then, so that they are not measured.
pub(super) fn measure(cast: &mut Cast<'_>, burst: u32) -> Result<(), DemoError> {
    let stage = cast.stage;
    stage.step("one message after the other, both there", |step| one_by_one(cast, step, true))?;
    stage.step("the same, Bob reached through relays only", |step| {
        let before = places(&cast.alice)?;
        cast.bob.person.once_reached(&["profile", "set-reach", "relays"])?;
        cast.alice.person.wait_closely("Alice knows that there is no other way", LIMIT, || {
            Ok((places(&cast.alice)? < before).then_some(()))
        })?;
        let before: u64 = cast.counted("deposits").iter().sum();
        one_by_one(cast, step, false)?;
        let deposits = cast.counted("deposits").iter().sum::<u64>() - before;
        must(deposits >= ONE_BY_ONE as u64, || format!("relays took {deposits} frames"))?;
        step.figure("frames_at_relays", deposits);
        cast.bob.person.once_reached(&["profile", "set-reach", "direct"]).map(drop)
    })?;
    stage.step("a burst of messages, both there", |step| {
        let started = clock::now();
        for index in 0..burst {
            cast.bob.send(format!("burst {index}"))?;
        }
        step.figure("taken_seconds", seconds(started.elapsed()));
        cast.alice.receive_all(&cast.bob, LIMIT)?;
        let took = started.elapsed();
        step.figure("arrived_seconds", seconds(took));
        step.figure("messages", burst);
        step.figure("messages_a_second", rate(f64::from(burst), took));
        cast.bob.person.all_delivered(&cast.bob.contact, LIMIT)?;
        step.figure("receipts_seconds", seconds(started.elapsed()));
        connected(cast, &cast.alice)
    })
}

/// At how many places Alice reaches Bob, by his card.
fn places(alice: &Participant) -> Result<usize, DemoError> {
    let answer = alice.person.pod.ask(&format!("GET /v1/contacts/{}", alice.contact), None)?;
    answer["places"].as_array().map(Vec::len).ok_or_else(|| missing(&answer, "places"))
}

/// Sends [`ONE_BY_ONE`] messages, each after the one before is shown, and after its receipt where that is measured.
fn one_by_one(cast: &mut Cast<'_>, step: &Step, with_receipts: bool) -> Result<(), DemoError> {
    let (mut shown, mut receipt) = (Times::default(), Times::default());
    for index in 0..ONE_BY_ONE {
        let words = format!("how quick is number {index}?");
        let started = clock::now();
        let number = cast.alice.send(words.clone())?;
        shown.push(until_newest(&cast.bob, &words, started)?);
        if with_receipts {
            receipt.push(until_delivered(&cast.alice, number, started)?);
        }
    }
    let receipt = with_receipts.then_some(("until_receipt", receipt));
    for (name, times) in [("until_shown", shown)].into_iter().chain(receipt) {
        let Spread { p50_ms, p95_ms } =
            times.spread().ok_or_else(|| DemoError::Wrong("nothing measured".into()))?;
        step.figure(&format!("{name}_p50_ms"), p50_ms);
        step.figure(&format!("{name}_p95_ms"), p95_ms);
    }
    step.figure("messages", ONE_BY_ONE);
    Ok(())
}

/// Time until a message is shown at the receiver.
fn until_newest(participant: &Participant, words: &str, started: Instant) -> Result<Duration, DemoError> {
    let request = format!("GET /v1/contacts/{}/messages?limit=1", participant.contact);
    participant.person.wait_closely("the message is shown", LIMIT, || {
        let answer = participant.person.pod.ask(&request, None)?;
        Ok((answer["messages"][0]["text"] == words).then(|| started.elapsed()))
    })
}

/// Time until the sender has the receipt.
fn until_delivered(participant: &Participant, sent: u64, started: Instant) -> Result<Duration, DemoError> {
    let request = format!("GET /v1/contacts/{}/messages?limit=1&before={}", participant.contact, sent + 1);
    participant.person.wait_closely("the receipt is there", LIMIT, || {
        let answer = participant.person.pod.ask(&request, None)?;
        let message = &answer["messages"][0];
        if number(message, "number")? != sent {
            return Err(missing(&answer, "number"));
        }
        Ok((message["state"] == "delivered").then(|| started.elapsed()))
    })
}
