//! Provisioning: the pod gets its owner, and both make an account.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use autonomy_testnet::clock;

use super::Play;
use crate::demo::{
    DemoError,
    figures::{Spread, Times, ratio, seconds},
    stage::{missing, must, number, text},
};

/// Number of clients that measure. Each uses circuits of its own: on some a round trip takes 16 ms,
/// on others 60 or 96, depending on how relays' TCP acknowledges.
const CALLERS: usize = 4;
/// Cold connections of each client.
const COLD: &str = "3";
/// Requests and echoes of each client.
const WARM: &str = "12";
/// Decks of the recovery key, any two of which restore it.
const DECKS: usize = 3;

/// What a stranger may know of a pod.
pub(super) struct PodFacts {
    /// The pod's key in hex.
    pub(super) key: String,
    /// The address of its app service.
    pub(super) onion: String,
}

/// Creates the pod, gives it its owner, and runs it.
pub(super) fn provision(play: &Play<'_>) -> Result<PodFacts, DemoError> {
    let fresh = play.stage.step("pod init", |_| play.person.init_pod())?;
    let provision = play.stage.step("device init and provision", |step| {
        let provision = play.person.provision(&fresh.request)?;
        step.figure("identity", provision.identity.clone());
        Ok(provision)
    })?;
    play.stage.step("pod adopt and run", |step| {
        let started = clock::now();
        play.person.adopt(&provision, step)?;
        step.figure("start_to_reachable_seconds", seconds(started.elapsed()));
        step.figure("onion", provision.onion.clone());
        Ok(PodFacts { key: fresh.key, onion: provision.onion.clone() })
    })
}

/// Connects twice: the first command starts the device's agent and with it Tor; the second finds
/// both running.
pub(super) fn connect(play: &Play<'_>) -> Result<(), DemoError> {
    play.stage.step("device connects over onion", |step| {
        step.progress(0.5, "Tor starts on the device");
        let first = play.person.device.cli(&["status"])?;
        let second = play.person.device.cli(&["status"])?;
        step.figure("first_command_seconds", seconds(first.took));
        step.figure("second_command_seconds", seconds(second.took));
        Ok(())
    })
}

/// Measures cold connections, requests, and echoes of the same service for comparison.
///
/// The echo shows the network alone, so the cost of the pod is the difference.
pub(super) fn measure_connections(play: &Play<'_>) -> Result<(), DemoError> {
    play.stage.step("connections measured", |step| {
        let (mut cold, mut warm, mut echo) = (Times::default(), Times::default(), Times::default());
        let mut failed = 0;
        for caller in 0..CALLERS {
            #[expect(clippy::cast_precision_loss, reason = "a few callers")]
            let done = caller as f32 / CALLERS as f32;
            step.progress(done, "cold connects, warm requests, bare echoes over the same onion");
            let probe = ["probe", "--as", "profile", "--count", COLD, "--warm", WARM, "--echo", WARM];
            let measured = play.person.device.cli(&probe)?.value;
            for (times, list) in
                [(&mut cold, "cold_seconds"), (&mut warm, "warm_seconds"), (&mut echo, "echo_seconds")]
            {
                times.add(&measured[list]).ok_or_else(|| missing(&measured, list))?;
            }
            failed += number(&measured, "cold_failed")?;
        }
        let spread = |times: Times| times.spread().ok_or_else(|| DemoError::Wrong("nothing measured".into()));
        let (cold, warm, echo) = (spread(cold)?, spread(warm)?, spread(echo)?);
        for (name, Spread { p50_ms, p95_ms }) in
            [("cold_connect", cold), ("warm_request", warm), ("bare_echo", echo)]
        {
            step.figure(&format!("{name}_p50_ms"), p50_ms);
            step.figure(&format!("{name}_p95_ms"), p95_ms);
        }
        step.figure("cold_failed", failed);
        step.figure("warm_over_echo", ratio(warm, echo));
        Ok(())
    })
}

/// An account's two descriptors with checksums, as Bitcoin Core takes them.
pub(super) struct Descriptors {
    pub(super) receive: String,
    pub(super) change: String,
}

/// Creates an account and checks its decks.
pub(super) fn create_account(play: &Play<'_>) -> Result<Descriptors, DemoError> {
    play.stage.step("account created, decks written", |step| {
        let made = play.person.device.cli(&["account", "create", "--name", "main"])?.value;
        let decks = made["decks"].as_array().ok_or_else(|| missing(&made, "decks"))?;
        must(decks.len() == DECKS, || format!("{DECKS} decks were expected: {made}"))?;
        decks
            .iter()
            .try_for_each(|deck| only_its_owner_reads(Path::new(deck.as_str().unwrap_or_default())))?;
        step.figure("account", text(&made, "id")?);
        step.figure("decks", decks.len());
        let export = play.person.device.cli(&["account", "export", "--format", "core"])?.value;
        let descriptor = |index: usize| text(&export["importdescriptors"][index], "desc");
        Ok(Descriptors { receive: descriptor(0)?, change: descriptor(1)? })
    })
}

/// Checks that a deck exists and has mode 0600.
fn only_its_owner_reads(deck: &Path) -> Result<(), DemoError> {
    let shown = deck.display();
    let metadata =
        fs::metadata(deck).map_err(|error| DemoError::Wrong(format!("no deck {shown}: {error}")))?;
    must(metadata.len() > 0, || format!("the deck {shown} is empty"))?;
    let mode = metadata.permissions().mode() & 0o777;
    must(mode == 0o600, || format!("{shown} has mode {mode:o}"))
}
