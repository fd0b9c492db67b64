//! Two people who are never online together: an invite, a confirmation, and a conversation through
//! relays.

use std::time::Duration;

use autonomy_testnet::clock;

use super::cast::{Cast, Participant, connected, safety};
use crate::demo::{
    DemoError,
    figures::{Spread, Times, seconds},
    stage::{must, text},
};

/// From the start of a pod until it has collected what waits at relays. It must build circuits
/// first.
const COLLECTED: Duration = Duration::from_secs(180);
/// Messages of one turn.
const WORDS: usize = 3;
/// Turns of each person.
const TURNS: usize = 3;
/// Before this turn (from 0) two relays fail.
const RELAYS_DIE_BEFORE: usize = 1;
/// Relays at which a frame is deposited.
const COPIES: usize = 2;

/// Alice invites while Bob is offline, Bob accepts while Alice is offline, Alice confirms while Bob
/// is offline.
///
/// After each step the relays' counters prove that everything went through them.
pub(super) fn become_contacts(cast: &mut Cast<'_>) -> Result<(), DemoError> {
    let stage = cast.stage;
    let invite = stage.step("Bob off; Alice invites", |step| {
        cast.bob.off()?;
        let (made, _) = cast.alice.person.once_reached(&["contact", "invite", "--note", "Bob"])?;
        step.figure("seconds_until_usable", seconds(made.took));
        step.figure("invite_bytes", text(&made.value, "text")?.len());
        must(made.value["state"] == "ready", || format!("it cannot be used: {}", made.value))?;
        text(&made.value, "text")
    })?;
    stage.step("Alice off; Bob accepts", |step| {
        cast.alice.off()?;
        cast.bob.on()?;
        cast.bob
            .person
            .wait("the pod runs", COLLECTED, || Ok(Some(cast.bob.person.pod.ask("GET /v1/mail", None)?)))?;
        let before = cast.counted("deposits");
        cast.bob.person.pod.cli(&["contact", "accept", &invite])?;
        cast.bob.contact = text(&cast.bob.person.contact_in("joining", COLLECTED)?, "id")?;
        cast.left_at_relays(&before, 1, step)?;
        cast.bob.off()
    })?;
    stage.step("Bob off; Alice sees him ask, and confirms", |step| {
        let started = clock::now();
        cast.alice.on()?;
        let asks = cast.alice.person.contact_in("asking", COLLECTED)?;
        step.figure("start_to_seen_seconds", seconds(started.elapsed()));
        step.figure("calls_himself", text(&asks, "name")?);
        cast.alice.contact = text(&asks, "id")?;
        let before = cast.counted("deposits");
        cast.alice.person.once_reached(&["contact", "confirm", "Bob"])?;
        // By telephone: she reads the digits that he sees too, which is checked when he is on.
        cast.alice.person.once_reached(&["contact", "verify", "Bob", "--yes"])?;
        cast.alice.send("Alice 1: hello Bob".into())?;
        connected(cast, &cast.alice)?;
        cast.left_at_relays(&before, COPIES, step)
    })?;
    compare(cast)
}

/// Both compare the safety numbers that their devices show.
///
/// The device of one person shows the number as a QR code, and the other person enters its text.
fn compare(cast: &mut Cast<'_>) -> Result<(), DemoError> {
    let stage = cast.stage;
    let shown = safety(&cast.alice)?;
    stage.step("Alice off; Bob is her contact, and reads", |step| {
        cast.alice.off()?;
        let started = clock::now();
        cast.bob.on()?;
        let alice = cast.bob.person.contact_in("active", COLLECTED)?;
        step.figure("start_to_contact_seconds", seconds(started.elapsed()));
        cast.bob.receive_all(&cast.alice, COLLECTED)?;
        step.figure("start_to_read_seconds", seconds(started.elapsed()));
        step.figure("calls_herself", text(&alice, "name")?);
        Ok(())
    })?;
    stage.step("safety numbers compared", |step| {
        let his = safety(&cast.bob)?;
        must(his == shown, || format!("Alice shows {shown}, Bob {his}"))?;
        cast.bob.person.once_reached(&["contact", "verify", &cast.bob.contact, "--scanned", &shown])?;
        let contact = cast.bob.person.pod.ask(&format!("GET /v1/contacts/{}", cast.bob.contact), None)?;
        must(contact["verified"] == true, || format!("it is not marked: {contact}"))?;
        step.figure("safety_number", text(&contact, "safety_number")?);
        Ok(())
    })
}

/// Both are online: they become contacts within seconds.
pub(in crate::demo) fn meet(cast: &mut Cast<'_>) -> Result<(), DemoError> {
    let stage = cast.stage;
    stage.step("both there: they become contacts", |step| {
        let invite = text(&cast.alice.person.pod.cli(&["contact", "invite"])?.value, "text")?;
        let started = clock::now();
        cast.bob.person.pod.cli(&["contact", "accept", &invite])?;
        cast.alice.contact = text(&cast.alice.person.contact_in("asking", COLLECTED)?, "id")?;
        cast.alice.person.pod.cli(&["contact", "confirm", &cast.alice.contact])?;
        cast.bob.contact = text(&cast.bob.person.contact_in("active", COLLECTED)?, "id")?;
        step.figure("accept_to_contact_seconds", seconds(started.elapsed()));
        cast.alice.send("hello Bob".into())?;
        cast.bob.receive_all(&cast.alice, COLLECTED)
    })
}

/// They answer each other in turns, and two of three relays fail in the middle.
///
/// The last step reports how long it took from the start of a pod until everything was read.
pub(super) fn converse(cast: &mut Cast<'_>) -> Result<(), DemoError> {
    let mut reads = Times::default();
    for turn in 0..TURNS {
        if turn == RELAYS_DIE_BEFORE {
            relays_die(cast)?;
        }
        let copies = if turn < RELAYS_DIE_BEFORE { COPIES } else { 1 };
        // Bob is on when this begins, and off when it ends.
        reads.push(answer(cast, turn, copies, true)?);
        reads.push(answer(cast, turn, copies, false)?);
    }
    cast.stage.step("what it took by way of relays", |step| {
        let Spread { p50_ms, p95_ms } =
            reads.spread().ok_or_else(|| DemoError::Wrong("nothing measured".into()))?;
        step.figure("pod_start_to_read_p50_ms", p50_ms);
        step.figure("pod_start_to_read_p95_ms", p95_ms);
        step.figure("turns", 2 * TURNS);
        step.figure("said", cast.alice.said.len() + cast.bob.said.len());
        Ok(())
    })
}

/// Two relays fail with what Bob has just deposited there. Bob's pod does not learn of it, is
/// offline for a while, and deposits the messages at the remaining relay when it is online again.
///
/// The relays that hold the frames are the ones that fail, which is the worst case.
fn relays_die(cast: &mut Cast<'_>) -> Result<(), DemoError> {
    cast.stage.step("two relays die with what Bob left there", |step| {
        let before = cast.counted("deposits");
        cast.bob.send("Bob, into the void".into())?;
        cast.left_at_relays(&before, COPIES, step)?;
        let after = cast.counted("deposits");
        // Those that hold it die first.
        let mut by_frames: Vec<_> =
            cast.relays.iter().zip(after.iter().zip(&before).map(|(after, before)| after - before)).collect();
        by_frames.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
        for (relay, _) in by_frames.iter().take(cast.relays.len() - 1) {
            relay.kill();
        }
        step.figure("alive", by_frames.last().map(|(relay, _)| relay.name()));
        step.figure("it_had_taken", by_frames.last().map(|(_, took)| *took));
        Ok(())
    })?;
    cast.stage.step("Bob off and on; he leaves it at the third", |step| {
        cast.bob.off()?;
        let before = cast.counted("deposits");
        cast.bob.on()?;
        cast.left_at_relays(&before, 1, step)?;
        cast.bob.off()?;
        let started = clock::now();
        cast.alice.on()?;
        cast.alice.receive_all(&cast.bob, COLLECTED)?;
        step.figure("start_to_read_seconds", seconds(started.elapsed()));
        Ok(())
    })?;
    // The conversation goes on with Bob.
    cast.stage.step("Alice off, Bob on", |_| {
        cast.alice.off()?;
        cast.bob.on()?;
        cast.bob
            .person
            .wait("the pod runs", COLLECTED, || cast.bob.person.received(&cast.bob.contact).map(Some))
            .map(drop)
    })
}

/// One person sends and goes offline; the other comes online alone and reads. Returns the time from
/// the start of the reader's pod until everything is read.
fn answer(cast: &mut Cast<'_>, turn: usize, copies: usize, bob: bool) -> Result<Duration, DemoError> {
    let (speaker, listener) = if bob { ("Bob", "Alice") } else { ("Alice", "Bob") };
    cast.stage.step(&format!("{speaker} answers and leaves; {listener} reads"), |step| {
        let before = cast.counted("deposits");
        let participant = if bob { &mut cast.bob } else { &mut cast.alice };
        for word in 0..WORDS {
            participant.send(format!("{speaker} in turn {turn}: word {word}"))?;
        }
        cast.left_at_relays(&before, copies, step)?;
        let (speaker, listener) = pair(cast, bob);
        speaker.off()?;
        let started = clock::now();
        listener.on()?;
        listener.receive_all(speaker, COLLECTED)?;
        let took = started.elapsed();
        step.figure("start_to_read_seconds", seconds(took));
        step.figure("messages_so_far", speaker.said.len());
        Ok(took)
    })
}

fn pair<'c>(cast: &'c Cast<'_>, bob: bool) -> (&'c Participant, &'c Participant) {
    if bob { (&cast.bob, &cast.alice) } else { (&cast.alice, &cast.bob) }
}
