//! Act `file`: a file of the largest size from one pod to another, while Tor relays fail. It takes
//! half an hour, so it is not among the usual acts.

use std::time::Duration;

use autonomy_testnet::steps::Step;

use super::{
    DemoError, FileSize,
    faults::RelayFaults,
    figures::{megabytes, rate},
    person::Person,
    stage::{Stage, missing},
    talk::{Cast, add_relays, meet, send_file},
};

/// Most bytes of the bare stream.
const STREAM_BYTES: u64 = 32 << 20;
/// Longest time for it: 50 kB a second.
const STREAM_LIMIT: Duration = Duration::from_secs(700);

/// Plays the act. Both people keep their pods with `--keep`.
pub(super) fn play(stage: &Stage<'_>, size: FileSize, kill_every: u64) -> Result<Vec<Person>, DemoError> {
    let mut cast = Cast::set(stage)?;
    add_relays(&cast)?;
    meet(&mut cast)?;
    let bytes = size.mebibytes << 20;
    stage.step("both take files as large as that", |_| {
        for participant in [&cast.alice, &cast.bob] {
            participant.person.pod.cli(&["file", "limit", &participant.contact, &bytes.to_string()])?;
        }
        Ok(())
    })?;
    let faults = RelayFaults { every: Duration::from_secs(kill_every), silent_too: false };
    let name = format!("a file of {} MiB; a Tor relay killed every {kill_every} s", size.mebibytes);
    let took = send_file(&cast, &name, bytes, faults)?;
    let file_rate = rate(megabytes(bytes), took);
    stage.step("the same bytes through one bare Tor stream to the same pod", |step| {
        compare(&cast, bytes, file_rate, step)
    })?;
    Ok(cast.leave())
}

/// Sends as many bytes through one stream from Bob's device to Bob's pod, which sends them back meanwhile, and adds both
/// rates to `step`.
fn compare(cast: &Cast<'_>, bytes: u64, file_rate: f64, step: &Step) -> Result<(), DemoError> {
    // A short stream says as much, and a long one would double the time of the act.
    let bytes = bytes.min(STREAM_BYTES);
    let stream = bytes.to_string();
    let probe =
        ["probe", "--as", "profile", "--count", "1", "--warm", "0", "--echo", "0", "--stream", &stream];
    let measured = cast.bob.person.device.cli_within(&probe, STREAM_LIMIT)?.value;
    let took = measured["stream_seconds"].as_f64().ok_or_else(|| missing(&measured, "stream_seconds"))?;
    let stream_rate = rate(megabytes(bytes), Duration::from_secs_f64(took));
    step.figure("file_mb_a_second", file_rate);
    step.figure("stream_mb_a_second", stream_rate);
    step.figure("file_over_stream", rate(file_rate / stream_rate.max(0.01), Duration::from_secs(1)));
    Ok(())
}
