//! A file transfer while circuits break.

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
    faults::RelayFaults,
    figures::{megabytes, rate, seconds},
    stage::{missing, must, number, text},
};

/// Time for the transfer beside that for its bytes.
const LIMIT: Duration = Duration::from_secs(800);
/// Slowest accepted transfer, bytes a second.
const SLOWEST: u64 = 50_000;
/// Time for upload or download between a pod and its own machine, beside that for the bytes.
const AT_HOME: Duration = Duration::from_secs(60);
/// Slowest accepted upload or download, bytes a second.
const SLOWEST_AT_HOME: u64 = 1_000_000;
/// The name that the receiver sees.
const NAME: &str = "holiday.bin";

/// Sends `size` bytes from Alice to Bob in one step called `step`, while Tor relays fail. Gives the time from the moment
/// when Alice's pod had the file until Bob's had it.
pub(in crate::demo) fn send_file(
    cast: &Cast<'_>,
    step: &str,
    size: u64,
    faults: RelayFaults,
) -> Result<Duration, DemoError> {
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
        let (took, gone) = faults.during(cast.stage.tor()?, || {
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
        Ok(took)
    })
}

/// Waits until Bob's pod has the whole file.
fn arrives(cast: &Cast<'_>, size: u64, step: &Step) -> Result<(), DemoError> {
    let request = format!("GET /v1/contacts/{}/files", cast.bob.contact);
    let limit = LIMIT + Duration::from_secs(size / SLOWEST);
    cast.bob.person.wait("the file is there", limit, || {
        let answer = cast.bob.person.pod.ask(&request, None)?;
        let files = answer["files"].as_array().ok_or_else(|| missing(&answer, "files"))?;
        let Some(file) = files.iter().find(|file| file["name"] == NAME) else { return Ok(None) };
        show(file, size, step)?;
        Ok((file["state"] == "complete").then_some(()))
    })
}

/// Moves the bar to the share that has arrived.
#[expect(clippy::cast_precision_loss, reason = "a share on a bar")]
fn show(file: &Value, size: u64, step: &Step) -> Result<(), DemoError> {
    let done = number(file, "done")?;
    step.progress(done as f32 / size as f32, &format!("{done} of {size} bytes"));
    Ok(())
}

/// Endless bytes that cannot be compressed: a linear congruential generator (Knuth's MMIX).
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

/// Writes `size` bytes of noise.
fn write(to: &mut impl io::Write, size: u64) -> io::Result<()> {
    io::copy(&mut Noise(7).take(size), to)?;
    to.flush()
}

/// Whether both give the same bytes until their end.
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

/// An error about a file of the demonstration, for `map_err`.
fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DemoError {
    let what = format!("{what} {}", path.display());
    move |source| DemoError::File { what, source }
}
