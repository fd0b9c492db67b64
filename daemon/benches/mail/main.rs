//! What mail costs a pod. Run: `cargo bench -p autonomy-daemon --bench mail`, or with `-- steps`, `-- loopback` or
//! `-- crowd` for one part alone. `cargo bench -p autonomy-node` measures the steps without building Tor.
//!
//! Prints figures. The folder is that of `TMPDIR`: point it at the disk in question, since what is sent is durable first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on should stop"
)]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

mod bench_node;
mod crowd;
mod loopback;
mod readers;
mod steps;

use autonomy_messaging::{messenger::Command as Mail, place::Place};
use autonomy_node::Answer;

use self::bench_node::BenchNode;

fn main() {
    if let Some(file) = std::env::var_os(crowd::ROWS) {
        return crowd::open(file.as_ref());
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wants = |part: &str| wanted.is_empty() || wanted.iter().any(|word| word == part);
    if wants("steps") {
        steps::measure();
    }
    if wants("loopback") {
        loopback::measure();
    }
    if wants("crowd") {
        crowd::measure();
    }
}

/// One of the values in the middle, and one that a twentieth exceed. Sorts them.
fn p50_p95<T: Ord + Copy>(values: &mut [T]) -> (T, T) {
    values.sort_unstable();
    (values[values.len() / 2], values[values.len() * 95 / 100])
}

/// When pods begin: a little in the past, so that time may pass while they are in memory and go on in a pod that runs.
fn begins() -> u64 {
    autonomy_daemon::driver::now() - 3_600
}

/// Where a pod answers.
fn place_of(bench_node: &mut BenchNode) -> Place {
    let Answer::Invite(made) = bench_node.asks(Mail::Invite { note: None, valid_for: 86_400 }) else {
        panic!("no invite")
    };
    bench_node.asks(Mail::CancelInvite(made.id));
    made.place
}
