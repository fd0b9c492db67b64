//! `testnet`: starts private Tor networks and regtest bitcoinds, plays demonstrations on them, and
//! runs simulated worlds.
//!
//! The program only parses and reports; the worlds are in the library, the simulations in
//! `autonomy-sim`.

mod coins;
mod demo;
mod simulate;
mod stop;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use autonomy_testnet::clock;
use autonomy_testnet::steps::{Format, Steps};
use autonomy_testnet::tor_network::{MAX_RELAYS, RELAYS};
use autonomy_testnet::world::{World, WorldConfig, WorldError};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::Value;

/// Run pods on a private Tor network and a regtest bitcoind on this machine.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// The verbs of the program.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Start a world and keep it until Ctrl-C
    ///
    /// Several worlds run side by side. A second start in the same folder ends the first one.
    Up(Up),
    /// Pay from the coins of a world that runs
    Pay(coins::Pay),
    /// Mine blocks in a world that runs
    Mine(coins::Mine),
    /// Play demonstrations step by step: real pods, devices, Tor and bitcoind
    Demo(demo::Demo),
    /// Run simulated worlds: whole pods in virtual time, with faults, compared after each step with what was promised
    Sim(simulate::Simulate),
}

/// `up`.
#[derive(Debug, Args)]
struct Up {
    /// Number of Tor relays besides the 3 directory authorities, 6 to 40
    #[arg(long, default_value_t = RELAYS, value_parser = relays)]
    relays: usize,
    /// Folder of the world; emptied at the start and kept at the end [default: a new one, removed
    /// at the end]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
    /// Start only one half of the world
    #[arg(long, value_enum, value_name = "HALF")]
    only: Option<Half>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// Half a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Half {
    /// The private Tor network
    Tor,
    /// The regtest bitcoind
    Bitcoind,
}

/// Parses the number of relays.
fn relays(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (RELAYS..=MAX_RELAYS).contains(number));
    number.ok_or_else(|| format!("a network has {RELAYS} to {MAX_RELAYS} relays"))
}

fn main() -> ExitCode {
    let verb = Cli::parse().verb;
    match &verb {
        Verb::Pay(wish) => status(coins::pay(wish)),
        Verb::Mine(wish) => status(coins::mine(wish)),
        Verb::Up(up) => reported(&verb, up.json, |steps| run(up, steps).is_ok()),
        Verb::Demo(demo) => reported(&verb, demo.json, |steps| play(demo, steps)),
        Verb::Sim(sim) => reported(&verb, sim.json, |steps| simulate::run(sim, steps).is_ok()),
    }
}

/// The exit status of a verb without steps; a failure is one sentence on standard error.
fn status(outcome: Result<(), coins::CoinsError>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    // Where standard error is closed, the exit status alone reports the failure.
    let _ = writeln!(io::stderr().lock(), "error: {error}");
    ExitCode::FAILURE
}

/// Carries out a verb in steps, each reported.
fn reported(verb: &Verb, json: bool, act: impl FnOnce(&Steps) -> bool) -> ExitCode {
    // A simulated world has started nothing that must be stopped in order: a signal ends it at once.
    if !matches!(verb, Verb::Sim(_)) {
        stop::on_signals();
    }
    let steps = Steps::new(if json { Format::Json } else { Format::Text });
    let ok = act(&steps);
    let interrupted = clock::interrupted();
    steps.done(ok);
    match ok {
        true => ExitCode::SUCCESS,
        // As a shell reports an end by ctrl-c.
        false if interrupted => ExitCode::from(130),
        // The failed step has said why.
        false => ExitCode::FAILURE,
    }
}

/// Plays the demonstrations. A failed step has reported why.
fn play(demo: &demo::Demo, steps: &Steps) -> bool {
    // The failed step has said why.
    demo::run(demo, steps, |world| start(world, None, steps), |world| stay(world, steps)).is_ok()
}

/// How often the processes of a world are checked while it is up.
const ROUND: Duration = Duration::from_secs(1);

/// Starts a world, prints how to use it, and keeps it until a signal.
///
/// # Errors
/// A part of the world does not start.
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
    start(&world, up.only, steps)?;
    let description = steps.run("configuration for pods", |step| {
        let description = world.describe()?;
        for setting in SETTINGS {
            if let Some(value) = description.pointer(setting.pointer).filter(|value| !value.is_null()) {
                step.figure(setting.name, value.clone());
            }
        }
        Ok::<_, WorldError>(description)
    })?;
    steps.say(&instructions(&description));
    stay(&world, steps);
    Ok(())
}

/// A setting of pods that depends on the world.
struct Setting {
    /// Its name in the step's figures.
    name: &'static str,
    /// Where the world's description has it.
    pointer: &'static str,
    /// The environment variable through which `autonomy` reads it.
    variable: &'static str,
}

/// The settings that a pod needs to join the world.
const SETTINGS: [Setting; 3] = [
    Setting { name: "tor_network", pointer: "/tor/network_file", variable: "AUTONOMY_TOR_NETWORK" },
    Setting { name: "bitcoind_url", pointer: "/bitcoind/rpc_url", variable: "AUTONOMY_BITCOIND_URL" },
    Setting {
        name: "bitcoind_cookie",
        pointer: "/bitcoind/cookie_file",
        variable: "AUTONOMY_BITCOIND_COOKIE",
    },
];

/// Starts what is wanted, both halves at once: bitcoind is up while Tor's nodes still make keys.
///
/// # Errors
/// A half does not start; where both fail, Tor's error.
fn start(world: &World, only: Option<Half>, steps: &Steps) -> Result<(), WorldError> {
    std::thread::scope(|scope| {
        let bitcoind = scope.spawn(|| match only {
            Some(Half::Tor) => Ok(()),
            _ => start_bitcoind(world, steps),
        });
        let tor = match only {
            Some(Half::Bitcoind) => Ok(()),
            _ => start_tor(world, steps),
        };
        tor.and(bitcoind.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// One step: bitcoind with its first blocks.
fn start_bitcoind(world: &World, steps: &Steps) -> Result<(), WorldError> {
    steps.run("bitcoind", |step| {
        let node = world.start_bitcoind(&|fraction, what| step.progress(fraction, what))?;
        step.figure("height", node.height()?);
        Ok(())
    })
}

/// One step: the Tor network up to its first circuit.
fn start_tor(world: &World, steps: &Steps) -> Result<(), WorldError> {
    steps.run("Tor network", |step| {
        let tor = world.start_tor(&|fraction, what| step.progress(fraction, what))?;
        step.figure("nodes", tor.listed());
        Ok(())
    })
}

/// How a person gets coins and blocks.
const COINS: &str = "Coins and blocks of this world, there:\n  testnet pay ADDRESS 1 BTC\n  testnet mine 1\n";

/// The environment variables for commands in other terminals.
fn instructions(description: &Value) -> String {
    let mut text = String::from("\nFor pods and devices of this world, in other terminals:\n");
    for setting in SETTINGS {
        if let Some(value) = description.pointer(setting.pointer).and_then(Value::as_str) {
            let _ = writeln!(text, "  export {}={value}", setting.variable);
        }
    }
    if description["bitcoind"].is_object() {
        text += COINS;
    }
    text + "Ctrl-C ends it."
}

/// Keeps the world until a signal; reports once each process that ends by itself.
///
/// A process that ends by itself is not restarted: the person decides.
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
