//! `testnet demo`: the main job on stage, played by separate processes of the real `autonomy` program.
//!
//! An act is a list of steps; each step does one thing a person would do and checks what a person would look at.

mod figures;
mod pay;
mod stage;

use autonomy_testnet::{
    bitcoind::BitcoindError,
    clock::{self, NotYet},
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

/// Plays the acts on a world that `start` starts; with `--keep` then leaves it to `stay`. After a failure the
/// logs stay.
pub(crate) fn run(
    demo: &Demo,
    steps: &Steps,
    start: impl FnOnce(&World) -> Result<(), WorldError>,
    stay: impl FnOnce(&World),
) -> Result<(), DemoError> {
    let (mut world, autonomy) = steps.run("folder and programs", |step| {
        let autonomy = Autonomy::find()?;
        step.figure("autonomy", autonomy.path().display().to_string());
        let world = World::fresh(WorldConfig::default())?;
        step.figure("dir", world.folder().path().display().to_string());
        Ok::<_, DemoError>((world, autonomy))
    })?;
    let outcome = play(demo, steps, &world, autonomy, start, stay);
    if outcome.is_err() && !clock::interrupted() {
        world.keep_folder();
        let dir = world.folder().path().display();
        steps.say(&format!("logs and the output of every command are in {dir} until the next start"));
    }
    outcome
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
