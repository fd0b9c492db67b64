//! The participants: two people and three relays.

use std::time::Duration;

use autonomy_testnet::{
    clock,
    party::{Relay, fresh_key},
    steps::Step,
};
use serde_json::Value;

use crate::demo::{
    DemoError,
    figures::{resident, seconds},
    person::{Person, STEP_TIMEOUT},
    stage::{Stage, missing, must, number, text},
};

/// Names of the relays' folders.
const RELAYS: [&str; 3] = ["relay-1", "relay-2", "relay-3"];
/// From the start of a relay until it has dialled itself over Tor.
const RELAY_START: Duration = Duration::from_secs(180);
/// When no relay has accepted anything for this long, a pod has deposited everything it has. It is
/// longer than a pod tries the other pod alone (10 s).
const QUIET: Duration = Duration::from_secs(12);
/// Longest wait for messages to be deposited at relays.
const LEAVE_LIMIT: Duration = Duration::from_secs(180);

/// The participants of an act.
pub(in crate::demo) struct Cast<'a> {
    pub(super) stage: &'a Stage<'a>,
    pub(in crate::demo) alice: Participant,
    pub(in crate::demo) bob: Participant,
    pub(super) relays: Vec<Relay>,
}

/// A person and what they have sent so far.
pub(in crate::demo) struct Participant {
    pub(in crate::demo) name: &'static str,
    pub(in crate::demo) person: Person,
    pub(in crate::demo) said: Vec<String>,
    /// The id of the other person, once they are contacts.
    pub(in crate::demo) contact: String,
}

impl Participant {
    /// Sets up folders for a person's pod and device.
    fn new(stage: &Stage<'_>, name: &'static str) -> Result<Self, DemoError> {
        let folder = name.to_lowercase();
        let person = Person::new(stage, &format!("{folder}-pod"), &format!("{folder}-device"))?;
        Ok(Self { name, person, said: Vec::new(), contact: String::new() })
    }

    /// Starts the pod.
    pub(in crate::demo) fn on(&self) -> Result<(), DemoError> {
        Ok(self.person.pod.run()?)
    }

    /// Asks the pod to end (SIGTERM), which it must do by itself.
    pub(super) fn off(&self) -> Result<(), DemoError> {
        must(self.person.pod.stop(), || {
            format!("the pod of {} did not end when asked:\n{}", self.name, self.person.pod.log_tail())
        })
    }

    /// Sends a message and returns its number.
    pub(in crate::demo) fn send(&mut self, words: String) -> Result<u64, DemoError> {
        self.send_once(words, &fresh_key())
    }

    /// The same with a key, by which the pod recognises a repeat.
    pub(in crate::demo) fn send_once(&mut self, words: String, key: &str) -> Result<u64, DemoError> {
        let number = self.person.send_once(&self.contact, &words, key)?;
        self.said.push(words);
        Ok(number)
    }

    /// Waits until everything that `other` has sent is here, each message once and in order.
    pub(super) fn receive_all(&self, other: &Self, limit: Duration) -> Result<(), DemoError> {
        self.person.receive(&self.contact, &other.said, limit)
    }
}

impl<'a> Cast<'a> {
    /// Sets up folders, starts relays, and provisions both pods, which run afterwards.
    pub(in crate::demo) fn set(stage: &'a Stage<'a>) -> Result<Self, DemoError> {
        let (alice, bob) = (Participant::new(stage, "Alice")?, Participant::new(stage, "Bob")?);
        let relays: Result<Vec<Relay>, _> =
            RELAYS.iter().map(|name| Relay::new(stage.world, &stage.autonomy, name)).collect();
        let cast = Self { stage, alice, bob, relays: relays? };
        stage.step("three relays start", |_| Ok(cast.relays.iter().try_for_each(Relay::run)?))?;
        for participant in [&cast.alice, &cast.bob] {
            let Participant { name, person, .. } = participant;
            stage.step(&format!("{name}'s pod and device"), |step| {
                let fresh = person.init_pod()?;
                let provision = person.provision(&fresh.request)?;
                step.figure("identity", provision.identity.clone());
                let started = clock::now();
                person.adopt(&provision, step)?;
                step.figure("start_to_reachable_seconds", seconds(started.elapsed()));
                person.once_reached(&["profile", "set-name", name]).map(drop)
            })?;
        }
        Ok(cast)
    }

    /// The people; the relays end.
    pub(in crate::demo) fn leave(self) -> Vec<Person> {
        vec![self.alice.person, self.bob.person]
    }

    /// The counter `name` of each relay; 0 for one that does not run.
    pub(super) fn counted(&self, name: &str) -> Vec<u64> {
        let count = |relay: &Relay| relay.counted().ok()?[name].as_u64();
        self.relays.iter().map(|relay| count(relay).unwrap_or(0)).collect()
    }

    /// Waits until `copies` relays have accepted something since `before`, and none has for a
    /// while: then everything is deposited. Adds to `step` how many frames there were, and when the
    /// last was accepted.
    ///
    /// Counters of relays are the only evidence: what a pod has left to send is not visible from
    /// outside.
    pub(super) fn left_at_relays(&self, before: &[u64], copies: usize, step: &Step) -> Result<(), DemoError> {
        let started = clock::now();
        let (mut last, mut changed) = (before.to_vec(), started);
        let outcome = clock::wait_until(LEAVE_LIMIT, || {
            let now = self.counted("deposits");
            if now != last {
                (last, changed) = (now, clock::now());
            }
            let took = last.iter().zip(before).filter(|(now, before)| now > before).count();
            took >= copies && changed.elapsed() >= QUIET
        });
        let taken: u64 = last.iter().zip(before).map(|(now, before)| now.saturating_sub(*before)).sum();
        step.figure("frames_left", taken);
        step.figure("left_after_seconds", seconds(changed.duration_since(started)));
        outcome.map_err(|cause| DemoError::Waited {
            what: format!("{copies} relays have taken what was said"),
            cause,
            seen: format!("{last:?} deposits, {before:?} before"),
        })
    }
}

/// Adds all three relays to both pods.
pub(in crate::demo) fn add_relays(cast: &Cast<'_>) -> Result<(), DemoError> {
    let places: Vec<String> = cast.stage.step("the relays are reachable", |step| {
        let places: Result<Vec<String>, _> =
            cast.relays.iter().map(|relay| relay.reachable(RELAY_START)).collect();
        let memory: Option<Vec<f64>> =
            cast.relays.iter().map(|relay| relay.pid().and_then(resident)).collect();
        step.figure("resident_mb", memory.unwrap_or_default());
        Ok(places?)
    })?;
    for Participant { name, person, .. } in [&cast.alice, &cast.bob] {
        cast.stage.step(&format!("{name} adds three relays"), |_| {
            for (relay, place) in cast.relays.iter().zip(&places) {
                person.once_reached(&["relay", "add", place, "--name", relay.name()])?;
            }
            let answer = person.pod.ask("GET /v1/relays", None)?;
            let active = relays_of(&answer)?.iter().filter(|relay| relay["state"] == "active").count();
            must(active == places.len(), || format!("{} relays are in use: {answer}", active))
        })?;
    }
    Ok(())
}

/// The list of relays in an answer of the API.
fn relays_of(answer: &Value) -> Result<&Vec<Value>, DemoError> {
    answer["relays"].as_array().ok_or_else(|| missing(answer, "relays"))
}

/// Waits until a participant has queues at all running relays and collects from them.
pub(super) fn connected(cast: &Cast<'_>, participant: &Participant) -> Result<(), DemoError> {
    let running = cast.relays.iter().filter(|relay| relay.is_running()).count();
    participant.person.wait("all relays are connected", STEP_TIMEOUT, || {
        let answer = participant.person.pod.ask("GET /v1/relays", None)?;
        let with_queue =
            |relay: &&Value| relay["connected"] == true && number(relay, "queues").is_ok_and(|n| n > 0);
        Ok((relays_of(&answer)?.iter().filter(with_queue).count() >= running).then_some(()))
    })
}

/// The text of the QR code that a participant shows to the other.
pub(super) fn safety(participant: &Participant) -> Result<String, DemoError> {
    let request = format!("GET /v1/contacts/{}/safety", participant.contact);
    text(&participant.person.pod.ask(&request, None)?, "qr")
}
