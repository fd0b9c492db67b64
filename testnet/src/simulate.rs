//! `testnet sim`: simulated worlds of pods in virtual time, one seed after the other. No Tor and no bitcoind is started for
//! it, and neither is linked into this program.
//!
//! A seed determines everything that happens, so a seed that breaks a promise is the report of the fault.

use std::ops::Range;

use autonomy_sim::{Config, Faults, Report, Violation};
use autonomy_testnet::clock;
use autonomy_testnet::steps::{Step, Steps};
use clap::Args;

/// `sim`.
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// Seed of the world: equal seeds and parameters make equal worlds
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Run several worlds in a row: the seeds from A up to but not including B
    #[arg(long, value_name = "A..B", value_parser = seeds, conflicts_with = "seed")]
    seeds: Option<Range<u64>>,
    /// Number of pods, each with an owner
    #[arg(long, default_value_t = 200)]
    pods: usize,
    /// Number of relays that they share
    #[arg(long, default_value_t = 8)]
    relays: usize,
    /// Number of contacts that each owner invites
    #[arg(long, default_value_t = 2)]
    invites: usize,
    /// Messages that owners try to send, over all pods and days
    #[arg(long, default_value_t = 10_000)]
    messages: u64,
    /// Payments that owners try to make, over all accounts and days; with 0 there is no chain
    #[arg(long, default_value_t = 200)]
    payments: u64,
    /// Virtual days with faults; then the world runs without faults until nothing waits
    #[arg(long, default_value_t = 4)]
    days: u64,
    /// Faults that happen: all, none, or a list of links,crashes,partitions,relays,backups,clocks,blocks,invites,owners,chain
    #[arg(long, default_value = "all")]
    faults: Faults,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Parses `A..B`.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let parsed = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parsed
        .filter(|seeds| !seeds.is_empty())
        .ok_or_else(|| "two numbers like 1..21, the first below the second".into())
}

/// Runs the worlds. The first broken promise ends the run; its step reports the seed and what happened.
///
/// # Errors
/// The promise that was broken, with the events that led to it.
pub(crate) fn run(simulate: &Simulate, steps: &Steps) -> Result<(), Box<Violation>> {
    let one = simulate.seed..simulate.seed + 1;
    for seed in simulate.seeds.clone().unwrap_or(one) {
        steps.run(&format!("seed {seed}"), |step| {
            let started = clock::now();
            let report =
                autonomy_sim::run(simulate.config(seed), &|fraction, what| step.progress(fraction, what))?;
            figures(step, &report, started.elapsed().as_secs_f64());
            Ok::<_, Box<Violation>>(())
        })?;
    }
    Ok(())
}

impl Simulate {
    /// The world of one seed.
    fn config(&self, seed: u64) -> Config {
        Config {
            seed,
            pods: self.pods,
            relays: self.relays,
            invites: self.invites,
            messages: self.messages,
            payments: self.payments,
            days: self.days,
            faults: self.faults.clone(),
            ..Config::default()
        }
    }
}

/// Adds what happened in a world to its step's line.
///
/// The digest is equal for equal seeds on any machine: a different one means that a run was not
/// reproduced.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn figures(step: &Step, report: &Report, seconds: f64) {
    let of = &report.figures;
    let rate = |count: u64| (count as f64 / seconds).round();
    step.figure("contacts", report.contacts);
    step.figure("sent", report.sent);
    step.figure("delivered", report.delivered);
    step.figure("expired", report.expired);
    step.figure("forgotten", report.forgotten);
    step.figure("shown_again", report.shown_again);
    step.figure("median_latency_s", report.median_latency);
    step.figure("p95_latency_s", report.p95_latency);
    step.figure("days", report.virtual_seconds / 86_400);
    step.figure("crashes", of.crashes);
    step.figure("starts", of.starts);
    step.figure("restores", of.restores);
    step.figure("faults", of.faults);
    step.figure("rekeyed", of.rekeyed);
    step.figure("relays_replaced", of.relays_replaced);
    step.figure("failed_joins", of.failed_joins);
    step.figure("refused_sends", of.refused_sends);
    step.figure("withdrawn", report.withdrawn);
    step.figure("files", of.files);
    step.figure("repeats", of.repeats);
    step.figure("probes", of.probes);
    step.figure("revoked", of.revoked);
    step.figure("renewed", of.renewed);
    step.figure("partings", of.partings);
    step.figure("blocked", of.blocked);
    step.figure("card_fields", of.card_fields);
    step.figure("accounts", of.accounts);
    step.figure("paid_in", of.paid_in);
    step.figure("payments", of.payments);
    step.figure("refused_payments", of.refused_payments);
    step.figure("reconciled", of.reconciled);
    step.figure("blocks", of.blocks);
    step.figure("reorganisations", of.reorganisations);
    step.figure("evictions", of.evictions);
    step.figure("steps", of.steps);
    step.figure("calls", of.calls);
    step.figure("unreached", of.unreached);
    step.figure("deposits", of.deposits);
    step.figure("pushed", of.pushed);
    step.figure("compared", of.compared);
    step.figure("row_bytes_per_step", of.row_bytes / of.steps.max(1));
    step.figure("disk_bytes", report.disk_bytes);
    step.figure("most_frames_kept", of.most_frames);
    step.figure("most_events_waiting", of.most_events);
    step.figure("events", of.events);
    step.figure("events_per_second", rate(of.events));
    step.figure("messages_per_second", rate(report.delivered));
    step.figure("digest", format!("{:016x}", report.digest));
}
