//! `testnet demo`: demonstrations played by separate processes of the real `autonomy` program.
//!
//! An act is a list of steps. Each step does one thing that a person would do and checks what a
//! person would look at; a step that fails ends the run with its reason.

mod faults;
mod figures;
mod large_file;
mod mail;
mod messages;
mod pay;
mod person;
mod stage;
mod talk;

use std::{fs, io, path::PathBuf, process};

use autonomy_testnet::{
    bitcoind::BitcoindError,
    clock::{self, NotYet},
    folder,
    party::{AskError, Autonomy, CommandError, PartyError, PodError},
    steps::Steps,
    tor_network::{RELAYS, TorError},
    world::{World, WorldConfig, WorldError},
};
use clap::{Args, ValueEnum};

use self::{person::Person, stage::Stage};

/// `demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Acts to play [default: pay talk]
    acts: Vec<Act>,
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep the world running afterwards, to be used from another terminal
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    talk: TalkSize,
    #[command(flatten)]
    messages: MessagesSize,
    #[command(flatten)]
    file: FileSize,
}

/// How much is sent in act `talk`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct TalkSize {
    /// Size of the file that is sent in act `talk`, in MB
    #[arg(long, value_name = "MB", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=200))]
    file_mb: u64,
    /// Messages of the burst in act `talk`
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1000))]
    burst: u32,
}

/// How much is sent in act `messages`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct MessagesSize {
    /// Number of messages in act `messages`
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// Seconds from the end of one Tor relay to the end of the next in acts `messages` and `file`
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(15..=3600))]
    kill_every: u64,
    /// Milliseconds from one message to the next in act `messages`
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = clap::value_parser!(u64).range(..=60_000))]
    pause_ms: u64,
    /// Also kill one of the two pods at the same interval in act `messages`
    #[arg(long)]
    kill_pods: bool,
}

/// How much is sent in act `file`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct FileSize {
    /// Size of the file that is sent in act `file`, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=4096))]
    mebibytes: u64,
}

/// An act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Act {
    /// A device and a pod make an account, receive money, pay, and refuse strangers
    Pay,
    /// Two people talk through relays, never online together, while relays, circuits and a pod fail
    Talk,
    /// A thousand messages while Tor relays fail; takes minutes, and is played only if named
    Messages,
    /// A file of one GiB while Tor relays fail; takes half an hour, and is played only if named
    File,
}

impl Act {
    /// The acts that are played where none is named.
    const USUAL: [Self; 2] = [Self::Pay, Self::Talk];

    /// Plays the act. Returns the people who still run their pods at its end.
    /// Plays the acts on a running world.
    fn play(self, stage: &Stage<'_>, demo: &Demo) -> Result<Vec<Person>, DemoError> {
        match self {
            Self::Pay => Ok(vec![pay::play(stage)?]),
            Self::Talk => talk::play(stage, demo.talk),
            Self::Messages => messages::play(stage, demo.messages),
            Self::File => large_file::play(stage, demo.file, demo.messages.kill_every),
        }
    }
}

/// Number of Tor relays: the fewest that Arti's vanguards need, and two that may be dead meanwhile.
const TOR_RELAYS: usize = RELAYS + 2;

/// Why the demonstration ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The world.
    #[error(transparent)]
    World(#[from] WorldError),
    /// A pod's or device's folder.
    #[error(transparent)]
    Party(#[from] PartyError),
    /// A command.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The pod.
    #[error(transparent)]
    Pod(#[from] PodError),
    /// bitcoind.
    #[error(transparent)]
    Bitcoind(#[from] BitcoindError),
    /// A question to a pod or relay on its own machine.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The Tor network.
    #[error(transparent)]
    Tor(#[from] TorError),
    /// A file of the demonstration's own.
    #[error("cannot {what}: {source}")]
    File {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something did not happen in time.
    #[error("waiting until {what}: {cause}; the last that was seen: {seen}")]
    Waited {
        /// What was waited for.
        what: String,
        /// Why the wait ended.
        cause: NotYet,
        /// The last look.
        seen: String,
    },
    /// Something is not as it must be.
    #[error("{0}")]
    Wrong(String),
}

/// Plays the acts on a world that `start` starts; with `--keep` then leaves it to `stay`.
/// Everything that was started is stopped in any case; after a failure the logs are kept.
///
/// # Errors
/// The first step that failed.
pub(crate) fn run(
    demo: &Demo,
    steps: &Steps,
    start: impl FnOnce(&World) -> Result<(), WorldError>,
    stay: impl FnOnce(&World),
) -> Result<(), DemoError> {
    let (world, autonomy) = steps.run("folder and programs", |step| {
        let autonomy = Autonomy::find()?;
        step.figure("autonomy", autonomy.path().display().to_string());
        let world = World::named(&own_folder()?, WorldConfig { relays: TOR_RELAYS })?;
        step.figure("dir", world.folder().path().display().to_string());
        Ok::<_, DemoError>((world, autonomy))
    })?;
    let dir = world.folder().path().to_owned();
    let outcome = play(demo, steps, &world, autonomy, start, stay);
    drop(world);
    if outcome.is_err() && !clock::interrupted() {
        steps.say(&format!("logs and the output of every command are in {}", dir.display()));
    } else {
        // What cannot be removed is swept when the next world starts in a fresh folder.
        let _ = fs::remove_dir_all(dir);
    }
    outcome
}

/// A folder for this process among those of all worlds.
fn own_folder() -> Result<PathBuf, WorldError> {
    Ok(folder::base()?.join(format!("demo-{}", process::id())))
}

fn play(
    demo: &Demo,
    steps: &Steps,
    world: &World,
    autonomy: Autonomy,
    start: impl FnOnce(&World) -> Result<(), WorldError>,
    stay: impl FnOnce(&World),
) -> Result<(), DemoError> {
    start(world)?;
    let stage = Stage::set(world, autonomy, steps);
    let acts = if demo.acts.is_empty() { &Act::USUAL[..] } else { &demo.acts };
    let mut there = Vec::new();
    for act in acts {
        let people = act.play(&stage, demo)?;
        // Who has nothing more to do makes room for the next act.
        if demo.keep {
            there.extend(people);
        }
    }
    if demo.keep {
        stage.hand_over(&there);
        stay(world);
    }
    Ok(())
}
