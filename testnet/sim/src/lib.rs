//! A world of pods in virtual time: nothing in it is real but the rules.
//!
//! Thousands of messengers, relays and owners live in one heap of timed events. Everything that could be otherwise is
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
//! | `mishaps` | what goes wrong, and when |
//! | `truth` | what really happened, and the promises |
//! | `world` | all of it together |

mod body;
mod config;
mod heap;
mod life;
mod mishaps;
mod net;
mod owner;
mod pod;
mod relay;
mod step;
mod subscriptions;
mod truth;
mod world;

pub use body::Crash;
pub use config::{Config, DAY, Fault, Faults, HOUR, SECOND, UnknownFault};
pub use heap::Millis;
pub use relay::Conduct;
pub use world::{Figures, Report, Violation, World};

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
