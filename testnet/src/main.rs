//! `testnet`: a private Tor network and a regtest bitcoind to run pods on.

mod stop;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use autonomy_testnet::clock;
use autonomy_testnet::steps::{Format, Steps};
use autonomy_testnet::tor_network::{MAX_RELAYS, RELAYS};
use autonomy_testnet::world::{World, WorldConfig, WorldError};
use clap::{Args, Parser, Subcommand};

/// A private Tor network and a regtest bitcoind on this machine, to run pods on.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start a world, and keep it until ctrl-c
    ///
    /// Several worlds run side by side. A second start in the same folder ends the first and starts anew.
    Up(Up),
}

/// `up`.
#[derive(Debug, Args)]
struct Up {
    /// Tor relays besides the 3 directory authorities, 6 to 40
    #[arg(long, default_value_t = RELAYS, value_parser = relays)]
    relays: usize,
    /// Folder of the world; emptied at the start, kept at the end [default: a fresh one, removed at the end]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

fn relays(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (RELAYS..=MAX_RELAYS).contains(number));
    number.ok_or_else(|| format!("a network has {RELAYS} to {MAX_RELAYS} relays"))
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    stop::on_signals();
    let Verb::Up(up) = cli.verb;
    let steps = Steps::new(if up.json { Format::Json } else { Format::Text });
    let outcome = run(&up, &steps);
    let interrupted = clock::interrupted();
    steps.done(outcome.is_ok());
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // As a shell reports an end by ctrl-c.
        Err(_) if interrupted => ExitCode::from(130),
        // The failed step has said why.
        Err(_) => ExitCode::FAILURE,
    }
}

/// How often the world is looked after while it is up.
const ROUND: Duration = Duration::from_secs(1);

fn run(up: &Up, steps: &Steps) -> Result<(), WorldError> {
    let config = WorldConfig { relays: up.relays };
    let world = steps.run("folder", |step| {
        let world = match &up.dir {
            Some(dir) => World::named(dir, config),
            None => World::fresh(config),
        }?;
        step.figure("dir", world.folder().path().display().to_string());
        Ok::<_, WorldError>(world)
    })?;
    start(&world, steps)?;
    steps.run("configuration for pods", |step| {
        let description = world.describe()?;
        for (name, pointer) in [
            ("tor_network", "/tor/network_file"),
            ("bitcoind_url", "/bitcoind/rpc_url"),
            ("bitcoind_cookie", "/bitcoind/cookie_file"),
        ] {
            step.figure(name, description.pointer(pointer).cloned().unwrap_or_default());
        }
        Ok::<_, WorldError>(())
    })?;
    steps.say(&instructions(&world)?);
    stay(&world, steps);
    Ok(())
}

/// Starts both halves at once: bitcoind is up while Tor's nodes still make keys.
fn start(world: &World, steps: &Steps) -> Result<(), WorldError> {
    let (tor, bitcoind) = std::thread::scope(|scope| {
        let bitcoind = scope.spawn(|| {
            steps.run("bitcoind", |step| {
                let node = world.start_bitcoind(&|fraction, what| step.progress(fraction, what))?;
                step.figure("height", node.height()?);
                Ok::<_, WorldError>(())
            })
        });
        let tor = steps.run("Tor network", |step| {
            let tor = world.start_tor(&|fraction, what| step.progress(fraction, what))?;
            step.figure("nodes", tor.listed());
            Ok::<_, WorldError>(())
        });
        (tor, bitcoind.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    tor.and(bitcoind)
}

/// What a person does with the world.
fn instructions(world: &World) -> Result<String, WorldError> {
    let (tor, node) = (world.tor()?, world.bitcoind()?);
    let mut text = String::from("\nPods and devices of this world, in other terminals:\n");
    let _ = writeln!(text, "  export AUTONOMY_TOR_NETWORK={}", tor.network_file().display());
    let _ = writeln!(text, "  export AUTONOMY_BITCOIND_URL={}", node.rpc_url());
    let _ = writeln!(text, "  export AUTONOMY_BITCOIND_COOKIE={}", node.cookie_file().display());
    let _ = write!(text, "Ctrl-C ends it.");
    Ok(text)
}

/// Stays until someone asks for the end; tells once of each process that ends before.
fn stay(world: &World, steps: &Steps) {
    let mut known = Vec::new();
    while clock::wait_until(ROUND, clock::interrupted).is_err() && !clock::interrupted() {
        for name in world.ended() {
            if !known.contains(&name) {
                steps.say(&format!("{name} has ended by itself; its log is in the folder"));
                known.push(name);
            }
        }
    }
}
