//! Pod and device become each other's, and make an account.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use autonomy_testnet::clock;

use crate::demo::{
    DemoError,
    figures::{Spread, ratio, seconds},
    stage::{Stage, missing, must, text},
};

/// Connections, requests and echoes that figures are taken from.
const COLD: &str = "7";
const WARM: &str = "40";
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
        step.progress(0.5, "cold connects, warm requests, bare echoes over the same onion");
        let probe = ["probe", "--as", "profile", "--count", COLD, "--warm", WARM, "--echo", WARM];
        let measured = stage.device.cli(&probe)?.value;
        let figure = |name: &str, list: &str| {
            let spread = Spread::of(&measured[list]).ok_or_else(|| missing(&measured, list))?;
            step.figure(&format!("{name}_p50_ms"), spread.p50_ms);
            step.figure(&format!("{name}_p95_ms"), spread.p95_ms);
            Ok::<_, DemoError>(spread)
        };
        figure("cold_connect", "cold_seconds")?;
        step.figure("cold_failed", measured["cold_failed"].clone());
        let warm = figure("warm_request", "warm_seconds")?;
        let echo = figure("bare_echo", "echo_seconds")?;
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
