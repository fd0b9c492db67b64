//! What owners do with sessions, and the promises of each. An activity is a module here and its line in [`ACTIVITIES`]:
//! it asks pods by [`Command::Session`](crate::Command::Session), and needs nothing else of this world.

mod cards;

use crate::world::World;

/// What owners do with one kind of session.
struct Activity {
    /// Everything of it that an owner may do at one time.
    act: fn(&mut World, usize),
    /// Whether nothing of it is underway.
    is_settled: fn(&mut World) -> bool,
    /// Compares the end state: a broken promise is a breach of the world.
    check: fn(&mut World),
}

/// All activities.
const ACTIVITIES: [Activity; 1] =
    [Activity { act: cards::act, is_settled: cards::is_settled, check: cards::check }];

impl World {
    /// Everything of sessions that an owner may do at one time.
    pub(super) fn act_on_sessions(&mut self, pod: usize) {
        ACTIVITIES.iter().for_each(|activity| (activity.act)(self, pod));
    }

    /// Whether nothing of any session is underway.
    pub(super) fn sessions_are_settled(&mut self) -> bool {
        ACTIVITIES.iter().all(|activity| (activity.is_settled)(self))
    }

    /// Compares the end state of sessions with their promises.
    pub(super) fn check_sessions(&mut self) {
        ACTIVITIES.iter().for_each(|activity| (activity.check)(self));
    }
}
