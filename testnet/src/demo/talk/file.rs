//! A file, while circuits break.

use std::{fs, path::Path, time::Duration};

use autonomy_testnet::{clock, steps::Step};
use serde_json::Value;

use super::cast::Cast;
use crate::demo::{
    DemoError,
    figures::{rate, seconds},
    stage::{missing, must, number, text},
    unrest::Unrest,
};

/// Often, so that some of it meets the file: on two cores 20 MB are there after half a minute.
const UNREST: Unrest = Unrest { every: Duration::from_secs(15), silent_too: true };
/// However slow the machine.
const LIMIT: Duration = Duration::from_secs(1200);
const NAME: &str = "holiday.bin";

/// Alice sends a file of `megabytes` to Bob, while Tor relays die or fall silent.
pub(super) fn send(cast: &Cast<'_>, megabytes: u64) -> Result<(), DemoError> {
    cast.stage.step("a file, while Tor relays die or fall silent", |step| {
        let dir = cast.stage.world.folder().path();
        let (sent, got) = (dir.join(NAME), dir.join("got.bin"));
        let (sent_name, got_name) = (sent.display().to_string(), got.display().to_string());
        let bytes = noise(megabytes);
        fs::write(&sent, &bytes).map_err(failed("write", &sent))?;
        let started = clock::now();
        let handed = cast.alice.person.pod.cli(&["file", "send", &cast.alice.contact, &sent_name])?;
        step.figure("handed_over_seconds", seconds(handed.took));
        let (took, gone) = UNREST.during(cast.stage.tor()?, || {
            arrives(cast, bytes.len() as u64, step)?;
            Ok(started.elapsed())
        })?;
        cast.bob.person.pod.cli(&["file", "get", &cast.bob.contact, NAME, "--out", &got_name])?;
        let arrived = fs::read(&got).map_err(failed("read", &got))?;
        must(arrived == bytes, || "what arrived is not what was sent".to_owned())?;
        step.figure("bytes", bytes.len());
        step.figure("arrived_seconds", seconds(took));
        #[expect(clippy::cast_precision_loss, reason = "at most 200")]
        step.figure("mb_a_second", rate(megabytes as f64, took));
        step.figure("tor_relays_gone", gone);
        step.figure("sha256", text(&handed.value, "sha256")?);
        Ok(())
    })
}

/// Waits until Bob's pod has all of it.
fn arrives(cast: &Cast<'_>, size: u64, step: &Step) -> Result<(), DemoError> {
    let request = format!("GET /v1/contacts/{}/files", cast.bob.contact);
    cast.bob.person.awaits("the file is there", LIMIT, || {
        let told = cast.bob.person.pod.ask(&request, None)?;
        let files = told["files"].as_array().ok_or_else(|| missing(&told, "files"))?;
        let Some(file) = files.iter().find(|file| file["name"] == NAME) else { return Ok(None) };
        show(file, size, step)?;
        Ok((file["state"] == "complete").then_some(()))
    })
}

#[expect(clippy::cast_precision_loss, reason = "a share on a bar")]
fn show(file: &Value, size: u64, step: &Step) -> Result<(), DemoError> {
    let done = number(file, "done")?;
    step.progress(done as f32 / size as f32, &format!("{done} of {size} bytes"));
    Ok(())
}

/// Bytes that no compression makes less of: a linear congruential generator's (Knuth's MMIX), from a fixed start.
fn noise(megabytes: u64) -> Vec<u8> {
    let mut state = 7_u64;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..megabytes * 1_000_000).map(step).collect()
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DemoError {
    let what = format!("{what} {}", path.display());
    move |source| DemoError::File { what, source }
}
