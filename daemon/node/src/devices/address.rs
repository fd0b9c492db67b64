//! Where the pod's peer service is: it moves to another onion address by itself, and after its owner blocked somebody.
//!
//! ```text
//!            blocked somebody, or LIFETIME is over               OVERLAP is over
//!   one address ─────────────────────────────▶ two addresses ─────────────────────▶ one address
//! ```
//!
//! Contacts learn the new address by card, those who are not blocked; at the one before, the pod is reached as long as two
//! overlap. So whoever was blocked sees the pod go. There are never more than two: a block meanwhile counts when the two
//! are one again. Every address follows from the seed that the owner gave, and how often the service moved.

use autonomy_messaging::{OnionSeed, messenger::Reach};
use serde::{Deserialize, Serialize};

use super::{Admission, Owner};
use crate::{Effect, Timestamp, context::Context};

/// How long the service is reached at the address before, seconds: a week. Contacts who were away for longer find the pod
/// through its relays, or are found by it.
const OVERLAP: Timestamp = 7 * 24 * 60 * 60;
/// How long the service stays at one address, seconds: a quarter of a year. A move costs a card to each contact.
const LIFETIME: Timestamp = 90 * 24 * 60 * 60;

/// How often the peer service moved, and what is due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerAddress {
    /// So often.
    moves: u64,
    /// When it moved last; 0 before that is counted.
    since: Timestamp,
    /// It is still reached at the address before.
    overlaps: bool,
    /// It is to move as soon as it may.
    wanted: bool,
}

impl PeerAddress {
    /// That of a pod that has just got its owner.
    pub(super) fn first(now: Timestamp) -> Self {
        Self { since: now, ..Self::default() }
    }

    /// Whether there is nothing to be kept of it.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What it is at this moment, if that differs.
    fn next(self, now: Timestamp) -> Option<Self> {
        if self.since == 0 {
            return Some(Self { since: now, ..self });
        }
        let age = now.saturating_sub(self.since);
        match self.overlaps {
            true if age >= OVERLAP => Some(Self { overlaps: false, ..self }),
            false if self.wanted || age >= LIFETIME => {
                Some(Self { moves: self.moves + 1, since: now, overlaps: true, wanted: false })
            }
            _ => None,
        }
    }

    /// When it is to be looked at next.
    fn next_at(self) -> Timestamp {
        match self {
            Self { overlaps: true, since, .. } => since.saturating_add(OVERLAP),
            Self { wanted: true, .. } | Self { since: 0, .. } => 0,
            Self { since, .. } => since.saturating_add(LIFETIME),
        }
    }

    /// Seeds of the addresses: the present one, and the one before where it is reached there too.
    fn seeds(self, first: &OnionSeed) -> Vec<OnionSeed> {
        let earlier = self.moves.checked_sub(1).filter(|_| self.overlaps);
        [Some(self.moves), earlier].into_iter().flatten().map(|moves| first.moved(moves)).collect()
    }
}

impl Owner {
    /// Seeds of the addresses of the peer service, the present one first.
    #[must_use]
    pub fn peer_seeds(&self) -> Vec<OnionSeed> {
        self.peer.seeds(&OnionSeed::from_bytes(&self.peer_seed))
    }
}

impl Admission {
    /// Where contacts come: nowhere before there is an owner, and where they come through relays only.
    pub(crate) fn listen_effect(&self, reach: Reach) -> Effect {
        let seeds = self.owner().filter(|_| reach == Reach::Direct).map(Owner::peer_seeds);
        Effect::Listen(seeds.unwrap_or_default())
    }

    /// Somebody was blocked who knows where the peer service is.
    pub(crate) fn want_move(&mut self, cx: &mut Context<'_>) {
        self.change_address(cx, |peer| Some(PeerAddress { wanted: true, ..peer }));
    }

    /// Moves the peer service if that is due. Says whether it is reached elsewhere now.
    pub(crate) fn move_peer(&mut self, cx: &mut Context<'_>) -> bool {
        let addresses = |it: &Self| it.owner().map(|owner| (owner.peer.moves, owner.peer.overlaps));
        let (before, now) = (addresses(self), cx.now);
        self.change_address(cx, |peer| peer.next(now));
        before != addresses(self)
    }

    /// When the peer service is to be looked at.
    pub(crate) fn next_move(&self) -> Option<Timestamp> {
        self.owner().map(|owner| owner.peer.next_at())
    }

    fn change_address(
        &mut self,
        cx: &mut Context<'_>,
        change: impl FnOnce(PeerAddress) -> Option<PeerAddress>,
    ) {
        let Some(owner) = self.owner() else { return };
        if let Some(peer) = change(owner.peer).filter(|peer| *peer != owner.peer) {
            let owner = Owner { peer, ..owner.clone() };
            cx.row(self.owner.put(Some(owner)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it comes to at this moment.
    fn at(peer: PeerAddress, now: Timestamp) -> PeerAddress {
        peer.next(now).unwrap_or(peer)
    }

    #[test]
    fn service_moves_after_a_quarter_and_is_reached_at_both_for_a_week() {
        let seed = OnionSeed::from_bytes(&[7; 32]);
        let keys = |peer: PeerAddress| -> Vec<_> {
            peer.seeds(&seed).iter().map(|seed| *seed.public().as_bytes()).collect()
        };
        let first = PeerAddress::first(1_000);
        assert_eq!(keys(first), [*seed.public().as_bytes()], "the owner's own seed");
        assert_eq!(at(first, 1_000 + LIFETIME - 1), first);
        let moved = at(first, first.next_at());
        assert_eq!(keys(moved).len(), 2);
        assert_eq!(keys(moved)[1], keys(first)[0]);
        let settled = at(moved, moved.next_at());
        assert_eq!((keys(settled).len(), settled.next_at()), (1, moved.since + LIFETIME));
        assert_eq!(keys(settled)[0], keys(moved)[0]);
    }

    #[test]
    fn blocked_contact_makes_it_move_as_soon_as_two_addresses_are_one() {
        let wanted = |peer: PeerAddress| PeerAddress { wanted: true, ..peer };
        let moved = at(wanted(PeerAddress::first(1_000)), 2_000);
        assert_eq!((moved.moves, moved.overlaps, moved.wanted), (1, true, false));
        let again = wanted(moved);
        assert_eq!(again.next(2_000 + OVERLAP - 1), None, "never three at a time");
        let settled = at(again, 2_000 + OVERLAP);
        assert_eq!((settled.overlaps, settled.next_at()), (false, 0));
        assert_eq!(at(settled, 2_000 + OVERLAP).moves, 2);
    }

    #[test]
    fn owner_of_an_earlier_release_counts_from_now_on() {
        let first = at(PeerAddress::default(), 5_000);
        assert_eq!((first.moves, first.since), (0, 5_000));
    }
}
