//! Simulated worlds of pods: whole nodes in virtual time, and the promises they are held to.
//!
//! A [`World`] has pods with their owners and devices, relays, a chain with a mempool, and one heap of timed events.
//! The nodes are real, with real keys, ratchets, accounts and rows. Links, disks, clocks, owners and the chain are
//! simulated, and so are faults ([`Fault`]). Decisions are drawn from one seed, so a seed replays: the same events at
//! the same moments, which [`Report::digest`] proves. Keys may differ between two runs of a seed, because the MLS
//! library draws some randomness of its own; no decision depends on a key.
//!
//! The crate has no socket, file, clock or thread. After every step of a pod, what it did is compared with what it
//! may do. The first broken promise ends the world with a [`Violation`], which names the seed, the moment and the
//! last events of the pod.
//!
//! | module | what it does |
//! |---|---|
//! | `heap` | virtual time, and the digest of a run |
//! | `config` | what a world consists of, and which faults it has |
//! | `pod` | the node under test, its disk, and steps that may be cut off at any point |
//! | `command` | requests of devices and their answers, in the simulator's own types |
//! | `shell` | what a process has around its node: calls, subscriptions, timers |
//! | `net`, `subscriptions` | calls and pushed frames over links that fail |
//! | `relay` | relays: the real rules of queues over a map |
//! | `step`, `lifecycle` | steps of a pod with their commits; starts, stops, crashes |
//! | `owner`, `pairs` | owners: hours, messages, reading, blocking; how two become contacts |
//! | `person`, `devices` | keys and devices of an owner; revocations, new pod keys, names, partings |
//! | `files` | files between contacts |
//! | `activities` | what owners do with sessions, each with its promises |
//! | `choices` | what owners chose: blocks, fields of cards; and what must not be shown for that reason |
//! | `traffic` | what places and contacts see of a pod, for tests of what they cannot derive |
//! | `chain` | blocks, a mempool, reorganisations |
//! | `device_account`, `money` | what a device knows of an account; payments, and what must hold of them |
//! | `faults`, `disks` | faults and recoveries, and when they happen; disks that are lost or go back |
//! | `oracle` | what really happened to each message, and what was promised about it |
//! | `world`, `report` | all of it together, and its figures |
//!
//! # A story
//!
//! A scripted world ([`Config::scripted`]) has no faults and no owners of its own: a test says what happens, and lets time
//! pass. After every step, a node that is restored from its rows is compared with the running one.
//!
//! ```no_run
//! use autonomy_sim::{Config, DAY, HOUR, World};
//!
//! # fn main() -> Result<(), Box<autonomy_sim::Violation>> {
//! let mut world = World::new(Config::scripted(1, 2, 3)); // seed 1, two pods, three relays
//! world.befriend(0, 1);
//! while !world.all_are_contacts() {
//!     world.run_for(HOUR)?;
//! }
//! world.switch_to(1, false);
//! assert!(world.say(0, 1, 500), "the pod accepts 500 bytes for its contact");
//! world.run_for(DAY)?; // the message waits at relays
//! world.switch_to(1, true);
//! world.run_for(HOUR)?;
//! assert_eq!((world.shown_to(0, 1), world.waiting()), (1, 0));
//! # Ok(())
//! # }
//! ```
//!
//! # From a violation to its cause
//!
//! 1. Run the seed again with the same parameters: it ends at the same moment.
//! 2. Leave out kinds of faults, payments, and days, as long as it still ends so.
//! 3. Read the log of the pod that the violation names, and of its contact: each line is an event, in seconds since 1970.
//! 4. Write the sequence as a scripted world in `tests/sim`, or as a story of the crate whose rule was broken. It stays
//!    there: the seed goes another way with the next change of the code, a story does not.
//!
//! # Seams
//!
//! Where the promises are weaker than they could be, and what is not simulated:
//!
//! * `disks`, `schedule_loss`: no disk is copied while a contact is being introduced or parted from, and nobody parts from
//!   one whose copy is kept: a contact who lost everything cannot return yet.
//! * `config`, `days`: only worlds of weeks reach the times to live.
//! * `files`, `forget_files`: nothing is promised about files of a pod whose disk was lost, nor about files of more
//!   than 20 chunks.
//! * `money`, `Money::roll_back`: coins that a pod signed away after its backup may be signed away again once its
//!   owner has reconciled. Devices and pods check signatures, `chain` does not. Fee bumps are not simulated.
//! * `choices`, `check_fields`: until the end, which fields a contact has is compared, not what is in them. A field that was
//!   chosen once and withdrawn since may be on its way at any time, so it may arrive.
//! * `choices`: of a blocked contact, messages and fields are looked for, files and names on cards are not.
//! * `owner`: nobody has more than a dozen contacts or some thousand entries with one, and no text is longer than two parts.
//!   What is carried by hand (parcels) is not simulated.
//! * Steps are committed one by one, never lost in groups as a power cut of the daemon may lose them.

mod activities;
mod chain;
mod choices;
mod command;
mod config;
mod device_account;
mod devices;
mod disks;
mod faults;
mod files;
mod heap;
mod lifecycle;
mod money;
mod net;
mod oracle;
mod owner;
mod pairs;
mod person;
mod pod;
mod relay;
mod report;
mod shell;
mod step;
mod subscriptions;
mod traffic;
mod world;

pub use command::{
    Answer, Command, Completion, ContactSeen, InviteSeen, NewDevice, Offer, PaymentProgress, PaymentSeen,
    Refused,
};
pub use config::{Config, DAY, Fault, Faults, HOUR, SECOND, UnknownFault};
pub use heap::Millis;
pub use relay::Conduct;
pub use report::{Figures, Report, Violation};
pub use shell::Crash;
pub use traffic::{Answered, Asked, Connection, Seen, Traffic};
pub use world::World;

/// Runs a world by itself: for its days with faults, then without faults until nothing waits, and compares the end
/// state.
///
/// `progress` is called each virtual hour with the share of the days that is over and a line for people.
///
/// # Errors
/// The first broken promise.
pub fn run(config: Config, progress: &dyn Fn(f32, &str)) -> Result<Report, Box<Violation>> {
    let mut world = World::new(config);
    world.run_to_the_end(progress)?;
    Ok(world.report())
}
