//! A world of pods in virtual time: nothing in it is real but the rules.
//!
//! Thousands of whole nodes, relays and owners live in one heap of timed events. Everything that could be otherwise is
//! drawn from one seed, so a seed replays: the same decisions at the same moments, told by a digest. (Keys may differ:
//! the MLS library draws some randomness of its own, and no decision depends on it.)
//!
//! No socket, no file, no clock, no thread. What goes wrong: [`Fault`]. What must hold all the same is held against
//! what really happened after every step; the first promise that is broken ends the world with a [`Violation`]: the
//! seed, the moment, and the last events of the pod concerned.
//!
//! | module | what it does |
//! |---|---|
//! | `heap` | virtual time |
//! | `pod` | the seam: the thing under test, its disk, steps cut off anywhere |
//! | `relay` | places that keep frames, by the real rules of queues |
//! | `body`, `net`, `subscriptions` | the shell of a pod: calls, answers, what is collected, over bad links |
//! | `step`, `life` | what a pod does with what happens; how it falls and comes up |
//! | `owner` | people: invite, accept, confirm, write, read |
//! | `chain` | blocks, a mempool, reorganisations: the truth about coins |
//! | `purse`, `money` | what a device knows of an account; who pays whom, and what must hold of it |
//! | `person`, `devices` | devices that come and go, new keys of a pod, new names, partings |
//! | `files` | files between friends |
//! | `activities` | what owners do with sessions, each with its promises |
//! | `mishaps` | what goes wrong, and when |
//! | `truth` | what really happened, and the promises |
//! | `world`, `report` | all of it together, and what it tells of itself |
//!
//! # Seams
//!
//! Where promises are still too weak, and where to make them stronger:
//!
//! * `truth`, `Truth::delivered`: after a receiver's disk was lost it accepts every message up to the last that was ever
//!   shown, so that a run of held messages might be swallowed. It should know which were shown.
//! * `truth`, `Truth::expired`: accepts that a message is given up at any age; it should be held against the time to live.
//! * `mishaps`, `lose_a_disk`: no backup while somebody is being introduced, parted from or blocked, none older than two
//!   days, and always without ratchets: copies of whole disks and torn commits are not modelled.
//! * `relay`, `Conduct`: relays neither replay nor duplicate what they push, have right clocks, and do not come from backups.
//! * `config`, `days`: worlds of weeks meet the times to live; clocks jump by no more than a day (`turn_clock`).
//! * `files`, `forget_files`: nothing is promised of files of a pod whose disk was lost, nor that more than 20 chunks flow.
//! * `money`, `Money::roll_back`: coins that a pod signed away after its backup may be signed away again once its owner
//!   has reconciled. Signatures are checked by devices and pods, not by `chain`; fees and replacements are not modelled.
//! * Steps are committed one by one, never lost in batches as the daemon may lose them.

mod activities;
mod body;
mod chain;
mod command;
mod config;
mod devices;
mod files;
mod heap;
mod life;
mod mishaps;
mod money;
mod net;
mod owner;
mod person;
mod pod;
mod purse;
mod relay;
mod report;
mod step;
mod subscriptions;
mod truth;
mod world;

pub use body::Crash;
pub use command::{
    Answer, Command, Completion, ContactSeen, InviteSeen, Newcomer, Offer, PaymentSeen, PaymentStands,
    Refused,
};
pub use config::{Config, DAY, Fault, Faults, HOUR, SECOND, UnknownFault};
pub use heap::Millis;
pub use relay::Conduct;
pub use report::{Figures, Report, Violation};
pub use world::World;

/// Lets a world run by itself: as many days as it has, then until nothing waits any more.
/// `progress` hears how far it is, and what goes on.
///
/// # Errors
/// The first promise that is broken.
pub fn run(config: Config, progress: &dyn Fn(f32, &str)) -> Result<Report, Box<Violation>> {
    let mut world = World::new(config);
    world.run_to_the_end(progress)?;
    Ok(world.report())
}
