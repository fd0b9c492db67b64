//! `testnet demo`: the main job on stage, played by separate processes of the real `autonomy` program.
//!
//! An act is a list of steps; each step does one thing a person would do and checks what a person would look at.

mod figures;
mod pay;
mod stage;

use std::{fs, path::PathBuf, process};

use autonomy_testnet::{
    bitcoind::BitcoindError,
    clock::{self, NotYet},
    folder,
    party::{Autonomy, CommandError, PartyError, PodError},
    steps::Steps,
    world::{World, WorldConfig, WorldError},
};
use clap::{Args, ValueEnum};

use self::stage::Stage;

/// `demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Which acts; all where none is named
    acts: Vec<Act>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave the world up afterwards, to play with it from another terminal
    #[arg(long)]
    keep: bool,
}

/// An act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Act {
    /// A device and a pod make an account, are paid, pay, and turn strangers away
    Pay,
}

impl Act {
    const ALL: [Self; 1] = [Self::Pay];

    fn play(self, stage: &Stage<'_>) -> Result<(), DemoError> {
        match self {
            Self::Pay => pay::play(stage),
        }
    }
}

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
    /// Something did not come about in time.
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

/// Plays the acts on a world that `start` starts; with `--keep` then leaves it to `stay`. Everything started is
/// stopped in any case; after a failure the logs stay.
pub(crate) fn run(
    demo: &Demo,
    steps: &Steps,
    start: impl FnOnce(&World) -> Result<(), WorldError>,
    stay: impl FnOnce(&World),
) -> Result<(), DemoError> {
    let (world, autonomy) = steps.run("folder and programs", |step| {
        let autonomy = Autonomy::find()?;
        step.figure("autonomy", autonomy.path().display().to_string());
        let world = World::named(&own_folder()?, WorldConfig::default())?;
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

/// Where worlds lie, under a name of this process.
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
    let stage = steps.run("folders of pod and device", |_| Stage::set(world, autonomy, steps))?;
    let acts = if demo.acts.is_empty() { &Act::ALL[..] } else { &demo.acts };
    acts.iter().try_for_each(|act| act.play(&stage))?;
    if demo.keep {
        stage.hand_over();
        stay(world);
    }
    Ok(())
}
