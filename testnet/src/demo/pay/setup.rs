//! Pod and device become each other's, and make an account.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use autonomy_testnet::clock;

use crate::demo::{
    DemoError,
    figures::{Spread, Times, ratio, seconds},
    stage::{Stage, missing, must, number, text},
};

/// Callers that figures are taken from. Each measures on circuits of its own: on some a round trip takes 16 ms, on
/// others 60 or 96, by how relays' TCP acknowledges.
const CALLERS: usize = 4;
/// Connections, requests and echoes of each caller.
const COLD: &str = "3";
const WARM: &str = "12";
/// Two of them make the recovery key.
const DECKS: usize = 3;

/// What anyone may know of a pod.
pub(super) struct PodFacts {
    pub(super) key: String,
    pub(super) onion: String,
}

pub(super) fn provision(stage: &Stage<'_>) -> Result<PodFacts, DemoError> {
    let (request, key) = stage.step("pod init", |_| {
        let made = stage.pod.cli(&["pod", "init", "--network", "regtest"])?.value;
        Ok((text(&made, "request")?, text(&made, "pod_key")?))
    })?;
    let (bundle, promised) = stage.step("device init and provision", |step| {
        let made = stage.device.cli(&["init"])?.value;
        step.figure("identity", text(&made, "identity")?);
        let answered = stage.device.cli(&["provision", &request, "--yes"])?.value;
        Ok((text(&answered, "bundle")?, text(&answered, "onion")?))
    })?;
    stage.step("pod adopt and run", |step| {
        stage.pod.cli(&["pod", "adopt", &bundle])?;
        let started = clock::now();
        stage.pod.run()?;
        let status = stage.reachable(step)?;
        step.figure("start_to_reachable_seconds", seconds(started.elapsed()));
        let onion = text(&status["onion"]["app"], "address")?;
        must(onion == promised, || format!("the device expects it at {promised}, it is at {onion}"))?;
        step.figure("onion", onion.clone());
        Ok(PodFacts { key, onion })
    })
}

/// The first command starts the device's agent and with it Tor; the second finds all of it warm.
pub(super) fn connect(stage: &Stage<'_>) -> Result<(), DemoError> {
    stage.step("device connects over onion", |step| {
        step.progress(0.5, "Tor starts on the device");
        let first = stage.device.cli(&["status"])?;
        let second = stage.device.cli(&["status"])?;
        step.figure("first_command_seconds", seconds(first.took));
        step.figure("second_command_seconds", seconds(second.took));
        Ok(())
    })
}

pub(super) fn measure_connections(stage: &Stage<'_>) -> Result<(), DemoError> {
    stage.step("connections measured", |step| {
        let (mut cold, mut warm, mut echo) = (Times::default(), Times::default(), Times::default());
        let mut failed = 0;
        for caller in 0..CALLERS {
            #[expect(clippy::cast_precision_loss, reason = "a few callers")]
            let done = caller as f32 / CALLERS as f32;
            step.progress(done, "cold connects, warm requests, bare echoes over the same onion");
            let probe = ["probe", "--as", "profile", "--count", COLD, "--warm", WARM, "--echo", WARM];
            let measured = stage.device.cli(&probe)?.value;
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

pub(super) fn create_account(stage: &Stage<'_>) -> Result<Descriptors, DemoError> {
    stage.step("account created, decks written", |step| {
        let made = stage.device.cli(&["account", "create", "--name", "main"])?.value;
        let decks = made["decks"].as_array().ok_or_else(|| missing(&made, "decks"))?;
        must(decks.len() == DECKS, || format!("{DECKS} decks were expected: {made}"))?;
        decks
            .iter()
            .try_for_each(|deck| only_its_owner_reads(Path::new(deck.as_str().unwrap_or_default())))?;
        step.figure("account", text(&made, "id")?);
        step.figure("decks", decks.len());
        let export = stage.device.cli(&["account", "export", "--format", "core"])?.value;
        let descriptor = |index: usize| text(&export["importdescriptors"][index], "desc");
        Ok(Descriptors { receive: descriptor(0)?, change: descriptor(1)? })
    })
}

fn only_its_owner_reads(deck: &Path) -> Result<(), DemoError> {
    let shown = deck.display();
    let metadata =
        fs::metadata(deck).map_err(|error| DemoError::Wrong(format!("no deck {shown}: {error}")))?;
    must(metadata.len() > 0, || format!("the deck {shown} is empty"))?;
    let mode = metadata.permissions().mode() & 0o777;
    must(mode == 0o600, || format!("{shown} has mode {mode:o}"))
}
