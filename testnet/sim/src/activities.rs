//! What owners do with sessions, and the promises of each. An activity is a module here and its line in [`ACTIVITIES`]:
//! it asks pods by [`Command::Session`](crate::Command::Session), and needs nothing else of this world.

mod cards;

use crate::world::World;

/// One of them.
struct Activity {
    /// What an owner does at a look.
    look: fn(&mut World, usize),
    /// Whether nothing of it waits any more.
    is_settled: fn(&mut World) -> bool,
    /// What must hold in the end: a broken promise is a breach of the world.
    check: fn(&mut World),
}

/// All of them.
const ACTIVITIES: [Activity; 1] =
    [Activity { look: cards::look, is_settled: cards::is_settled, check: cards::check }];

impl World {
    /// Everything of sessions that an owner does at a look.
    pub(super) fn mind_sessions(&mut self, pod: usize) {
        ACTIVITIES.iter().for_each(|activity| (activity.look)(self, pod));
    }

    /// Whether sessions wait for nothing any more.
    pub(super) fn sessions_are_settled(&mut self) -> bool {
        ACTIVITIES.iter().all(|activity| (activity.is_settled)(self))
    }

    /// Holds sessions to their promises.
    pub(super) fn check_sessions(&mut self) {
        ACTIVITIES.iter().for_each(|activity| (activity.check)(self));
    }
}
