//! Which connection carries which of our queues at a relay, and when the queues of one pod are heard of there.
//!
//! A relay that gets two queues over one connection knows that they are one pod's, and one that gets twenty connections
//! within a second has counted somebody's contacts. So each queue has a lane of its own, up to [`MAX_COLLECT_LANES`] at
//! one relay, that no other queue gets after it; and where a pod has several queues at a relay, each comes at a moment
//! of its own within [`SPREAD`] whenever all of them are due: after a start, and where a relay is new, lost its queues
//! or is left.

use std::collections::BTreeMap;

use super::{context::Context, own_queue::OwnQueue, states::Timestamp};
use crate::{
    lane::{Lane, LaneRole},
    place::{Place, QueueId},
};

/// Lanes for collecting at one relay: 48 at three, of the 128 connections that a pod may have. Further queues there share
/// them, and the relay may learn of those which share one that they are one pod's.
pub(super) const MAX_COLLECT_LANES: usize = 16;

/// Seconds over which the queues of one pod come to a relay. What waits in two relays is in the sooner of two such
/// moments, after a minute on average.
pub(super) const SPREAD: u64 = 3 * 60;

/// The lanes that were given out, by relay. In no row: given out anew after each start.
#[derive(Debug, Default)]
pub(super) struct CollectLanes(BTreeMap<Place, BTreeMap<QueueId, Lane>>);

impl CollectLanes {
    /// The lane of a queue: its own while there is one to give out, else the one that fewest share. It stays the same
    /// until the queue is [forgotten](Self::forget).
    pub(super) fn of(&mut self, queue: &OwnQueue) -> Lane {
        let given = self.0.entry(queue.place).or_default();
        let id = queue.id();
        if let Some(lane) = given.get(&id) {
            return *lane;
        }
        let mut sharers: BTreeMap<Lane, usize> = BTreeMap::new();
        given.values().for_each(|lane| *sharers.entry(*lane).or_default() += 1);
        let least_shared = sharers.iter().min_by_key(|(lane, sharers)| (**sharers, **lane));
        let shared = least_shared.filter(|_| sharers.len() >= MAX_COLLECT_LANES).map(|(lane, _)| *lane);
        let lane = shared.unwrap_or_else(|| own_lane(&id));
        given.insert(id, lane);
        lane
    }

    /// A queue is closed: nothing more is said over its lane on its behalf.
    pub(super) fn forget(&mut self, queue: &QueueId) {
        for given in self.0.values_mut() {
            given.remove(queue);
        }
        self.0.retain(|_, given| !given.is_empty());
    }

    /// When a queue comes to its relay where all of the pod's are due there: at once if it is the only one, else at a
    /// moment that is drawn.
    pub(super) fn moment(&self, cx: &mut Context<'_>, place: &Place) -> Timestamp {
        let has_company = self.0.get(place).is_some_and(|given| given.len() > 1);
        if has_company { cx.now + 1 + cx.rng.next_u64() % SPREAD } else { cx.now }
    }
}

/// A lane that no other queue has: names of queues are random.
fn own_lane(queue: &QueueId) -> Lane {
    let mut party = [0; 16];
    party.copy_from_slice(&queue.as_bytes()[..16]);
    Lane { role: LaneRole::Collect, party }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{PublicKey, SigningKey};

    fn queues(count: u8) -> Vec<OwnQueue> {
        let place = Place::new([1; 32], PublicKey::from(&SigningKey::from_bytes(&[2; 32])));
        (0..count).map(|n| OwnQueue::derive(&[n; 32], place, false)).collect()
    }

    #[test]
    fn queues_share_no_lane_before_all_lanes_are_given_out() {
        let (mut lanes, all) = (CollectLanes::default(), queues(20));
        let given: Vec<Lane> = all.iter().map(|queue| lanes.of(queue)).collect();
        let first: BTreeSet<Lane> = given[..MAX_COLLECT_LANES].iter().copied().collect();
        assert_eq!(first.len(), MAX_COLLECT_LANES);
        let later: BTreeSet<Lane> = given[MAX_COLLECT_LANES..].iter().copied().collect();
        assert_eq!(later.len(), 4, "no lane has three while others have one");
        assert!(later.is_subset(&first));
        assert_eq!(all.iter().map(|queue| lanes.of(queue)).collect::<Vec<_>>(), given);
    }

    #[test]
    fn the_lane_of_a_closed_queue_goes_to_no_other() {
        let (mut lanes, all) = (CollectLanes::default(), queues(3));
        let before = lanes.of(&all[0]);
        lanes.of(&all[1]);
        lanes.forget(&all[0].id());
        assert_ne!(lanes.of(&all[2]), before);
    }
}
