//! A file, while circuits break.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read},
    path::Path,
    time::Duration,
};

use autonomy_testnet::{clock, steps::Step};
use serde_json::Value;

use super::cast::Cast;
use crate::demo::{
    DemoError,
    figures::{megabytes, rate, seconds},
    stage::{missing, must, number, text},
    unrest::Unrest,
};

/// However slow the machine: 50 kB/s on top of this.
const LIMIT: Duration = Duration::from_secs(800);
const SLOWEST: u64 = 50_000;
/// To hand it to the pod, or fetch it there, on the same machine: 1 MB/s on top of this.
const AT_HOME: Duration = Duration::from_secs(60);
const SLOWEST_AT_HOME: u64 = 1_000_000;
const NAME: &str = "holiday.bin";

/// Alice sends a file of so many bytes to Bob in one step of this name, while something goes on with Tor.
pub(in crate::demo) fn send_file(
    cast: &Cast<'_>,
    step: &str,
    size: u64,
    unrest: Unrest,
) -> Result<(), DemoError> {
    cast.stage.step(step, |step| {
        let dir = cast.stage.world.folder().path();
        let (sent, got) = (dir.join(NAME), dir.join("got.bin"));
        let (sent_name, got_name) = (sent.display().to_string(), got.display().to_string());
        write(&mut create(&sent)?, size).map_err(failed("write", &sent))?;
        let at_home = AT_HOME + Duration::from_secs(size / SLOWEST_AT_HOME);
        let started = clock::now();
        let handed =
            cast.alice.person.pod.cli_within(&["file", "send", &cast.alice.contact, &sent_name], at_home)?;
        step.figure("handed_over_seconds", seconds(handed.took));
        let (took, gone) = unrest.during(cast.stage.tor()?, || {
            arrives(cast, size, step)?;
            Ok(started.elapsed())
        })?;
        cast.bob
            .person
            .pod
            .cli_within(&["file", "get", &cast.bob.contact, NAME, "--out", &got_name], at_home)?;
        let same = are_same(open(&got)?, Noise(7).take(size)).map_err(failed("read", &got))?;
        must(same, || "what arrived is not what was sent".to_owned())?;
        step.figure("bytes", size);
        step.figure("arrived_seconds", seconds(took));
        step.figure("mb_a_second", rate(megabytes(size), took));
        step.figure("tor_relays_gone", gone);
        step.figure("sha256", text(&handed.value, "sha256")?);
        Ok(())
    })
}

/// Waits until Bob's pod has all of it.
fn arrives(cast: &Cast<'_>, size: u64, step: &Step) -> Result<(), DemoError> {
    let request = format!("GET /v1/contacts/{}/files", cast.bob.contact);
    let limit = LIMIT + Duration::from_secs(size / SLOWEST);
    cast.bob.person.awaits("the file is there", limit, || {
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

/// Endless bytes that no compression makes less of: a linear congruential generator's (Knuth's MMIX).
struct Noise(u64);

impl Read for Noise {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        for byte in into.iter_mut() {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = self.0.to_be_bytes()[0];
        }
        Ok(into.len())
    }
}

fn write(to: &mut impl io::Write, size: u64) -> io::Result<()> {
    io::copy(&mut Noise(7).take(size), to)?;
    to.flush()
}

/// Whether both say the same, to the end.
fn are_same(mut one: impl Read, mut other: impl Read) -> io::Result<bool> {
    let (mut of_one, mut of_other) = (Vec::new(), Vec::new());
    loop {
        of_one.clear();
        of_other.clear();
        one.by_ref().take(1 << 16).read_to_end(&mut of_one)?;
        other.by_ref().take(1 << 16).read_to_end(&mut of_other)?;
        if of_one != of_other || of_one.is_empty() {
            return Ok(of_one == of_other);
        }
    }
}

fn create(path: &Path) -> Result<BufWriter<File>, DemoError> {
    File::create(path).map(BufWriter::new).map_err(failed("write", path))
}

fn open(path: &Path) -> Result<BufReader<File>, DemoError> {
    File::open(path).map(BufReader::new).map_err(failed("read", path))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DemoError {
    let what = format!("{what} {}", path.display());
    move |source| DemoError::File { what, source }
}
