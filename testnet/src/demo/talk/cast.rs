//! Two people, three relays.

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
    person::{PATIENCE, Person},
    stage::{Stage, missing, must, number, text},
};

const RELAYS: [&str; 3] = ["relay-1", "relay-2", "relay-3"];
/// From the start of a relay until it has reached itself over Tor.
const RELAY_START: Duration = Duration::from_secs(180);
/// No relay has taken anything for so long: whoever is on has left all that they have to say. Longer than a pod tries
/// the other pod alone (10 s).
const QUIET: Duration = Duration::from_secs(12);
/// The longest wait for words to be left at relays.
const LEAVE_LIMIT: Duration = Duration::from_secs(180);

/// Who is on stage.
pub(in crate::demo) struct Cast<'a> {
    pub(super) stage: &'a Stage<'a>,
    pub(in crate::demo) alice: Talker,
    pub(in crate::demo) bob: Talker,
    pub(super) relays: Vec<Relay>,
}

/// A person and what they have said so far.
pub(in crate::demo) struct Talker {
    pub(in crate::demo) name: &'static str,
    pub(in crate::demo) person: Person,
    pub(in crate::demo) said: Vec<String>,
    /// The other's id, once they are contacts.
    pub(in crate::demo) contact: String,
}

impl Talker {
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

    /// Says something more; gives its number.
    pub(in crate::demo) fn says(&mut self, words: String) -> Result<u64, DemoError> {
        self.says_once(words, &fresh_key())
    }

    /// The same with a key, by which the pod knows a repeat.
    pub(in crate::demo) fn says_once(&mut self, words: String, key: &str) -> Result<u64, DemoError> {
        let number = self.person.say_once(&self.contact, &words, key)?;
        self.said.push(words);
        Ok(number)
    }

    /// Waits until all that `other` has said is here, each once, in order.
    pub(super) fn hears_all(&self, other: &Self, limit: Duration) -> Result<(), DemoError> {
        self.person.hears(&self.contact, &other.said, limit)
    }
}

impl<'a> Cast<'a> {
    /// Folders, processes, provisioning; both pods run.
    pub(in crate::demo) fn set(stage: &'a Stage<'a>) -> Result<Self, DemoError> {
        let (alice, bob) = (Talker::new(stage, "Alice")?, Talker::new(stage, "Bob")?);
        let relays: Result<Vec<Relay>, _> =
            RELAYS.iter().map(|name| Relay::new(stage.world, &stage.autonomy, name)).collect();
        let cast = Self { stage, alice, bob, relays: relays? };
        stage.step("three relays start", |_| Ok(cast.relays.iter().try_for_each(Relay::run)?))?;
        for talker in [&cast.alice, &cast.bob] {
            let Talker { name, person, .. } = talker;
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

    /// Those who go on: the relays end.
    pub(in crate::demo) fn leave(self) -> Vec<Person> {
        vec![self.alice.person, self.bob.person]
    }

    /// What the relays that run have counted under `name`, in their order; 0 for one that does not run.
    pub(super) fn counted(&self, name: &str) -> Vec<u64> {
        let count = |relay: &Relay| relay.counted().ok()?[name].as_u64();
        self.relays.iter().map(|relay| count(relay).unwrap_or(0)).collect()
    }

    /// Waits until `copies` relays have taken something since `before`, and none has for a while: what is left there
    /// now is all there is. Adds to `step` how much it is, and when the last of it was taken.
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

/// Both pods keep their messages at all three relays from now on.
pub(in crate::demo) fn add_relays(cast: &Cast<'_>) -> Result<(), DemoError> {
    let places: Vec<String> = cast.stage.step("the relays are reachable", |step| {
        let places: Result<Vec<String>, _> =
            cast.relays.iter().map(|relay| relay.reachable(RELAY_START)).collect();
        let memory: Option<Vec<f64>> =
            cast.relays.iter().map(|relay| relay.pid().and_then(resident)).collect();
        step.figure("resident_mb", memory.unwrap_or_default());
        Ok(places?)
    })?;
    for Talker { name, person, .. } in [&cast.alice, &cast.bob] {
        cast.stage.step(&format!("{name} adds three relays"), |_| {
            for (relay, place) in cast.relays.iter().zip(&places) {
                person.once_reached(&["relay", "add", place, "--name", relay.name()])?;
            }
            let told = person.pod.ask("GET /v1/relays", None)?;
            let active = relays_of(&told)?.iter().filter(|relay| relay["state"] == "active").count();
            must(active == places.len(), || format!("{} relays are in use: {told}", active))
        })?;
    }
    Ok(())
}

fn relays_of(told: &Value) -> Result<&Vec<Value>, DemoError> {
    told["relays"].as_array().ok_or_else(|| missing(told, "relays"))
}

/// Waits until `talker` has queues at all relays that run, and collects there.
pub(super) fn connected(cast: &Cast<'_>, talker: &Talker) -> Result<(), DemoError> {
    let running = cast.relays.iter().filter(|relay| relay.is_running()).count();
    talker.person.awaits("all relays are connected", PATIENCE, || {
        let told = talker.person.pod.ask("GET /v1/relays", None)?;
        let with_queue =
            |relay: &&Value| relay["connected"] == true && number(relay, "queues").is_ok_and(|n| n > 0);
        Ok((relays_of(&told)?.iter().filter(with_queue).count() >= running).then_some(()))
    })
}

/// What `talker` shows for the other to scan.
pub(super) fn safety(talker: &Talker) -> Result<String, DemoError> {
    let request = format!("GET /v1/contacts/{}/safety", talker.contact);
    text(&talker.person.pod.ask(&request, None)?, "qr")
}
