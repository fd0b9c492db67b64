//! The places where our queues may lie: the pod itself, where it may be reached directly, and its relays.

use super::{relays::Relays, states::Reach, step::Own};
use crate::place::Place;

/// Who the pod is and where it is reached, as parts see it while one input is worked on.
#[derive(Clone, Copy)]
pub(super) struct OwnPlaces<'a> {
    /// Who the pod is.
    pub(super) own: &'a Own,
    /// Whether the pod itself is among the places.
    pub(super) reach: Reach,
    /// The relays, used and spare.
    pub(super) relays: &'a Relays,
}

impl OwnPlaces<'_> {
    /// Whether queues of ours may lie there.
    ///
    /// A spare relay counts too: an invite may lie there, and queues did.
    pub(super) fn is_ours(&self, place: &Place) -> bool {
        self.is_own_address(place) || self.relays.contains(place)
    }

    /// Whether a queue that was made there stays.
    pub(super) fn keeps(&self, place: &Place) -> bool {
        self.is_own_address(place) || self.relays.active().contains(place)
    }

    /// Whether the pod itself is reached there, now or for a while.
    fn is_own_address(&self, place: &Place) -> bool {
        let own = self.own.place == *place || self.own.earlier.as_ref() == Some(place);
        self.reach == Reach::Direct && own
    }

    /// Where every contact has a queue: on cards the pod comes first.
    pub(super) fn wanted(&self) -> Vec<Place> {
        let home = (self.reach == Reach::Direct).then_some(self.own.place);
        home.into_iter().chain(self.relays.active()).collect()
    }
}
