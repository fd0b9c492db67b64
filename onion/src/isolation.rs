//! Which circuits may be shared: one group for each peer and role, kept while it works.
//!
//! Arti hands out a rendezvous circuit that has died without notice again and again, each time
//! failing after ten seconds, and keeps a descriptor whose introduction points are gone. A new
//! isolation token makes it fetch the descriptor anew and build another circuit. So a token is kept
//! while dials succeed, which makes the next dial cost one round trip, and is discarded on the
//! first failure.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use arti_client::IsolationToken;

use crate::OnionAddress;

/// Peers and roles remembered. At 80 bytes each this is about 330 kB; beyond it all are forgotten,
/// which costs each peer one dial on fresh circuits.
const MAX_GROUPS: usize = 4096;

/// What a connection is for. Connections of different roles never share a circuit, so a relay
/// cannot tell that the one who deposits here and the one who collects there are the same person.
/// The same holds for connections of one role for different [parties](CircuitRole::of): a
/// connection for one contact reveals nothing of those for another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CircuitRole {
    /// Names the purpose; shown in logs.
    name: &'static str,
    /// Whom the connection is for; all zeros where nobody in particular. Never shown.
    party: [u8; 16],
}

impl CircuitRole {
    /// A device that talks to its own pod.
    pub const APP: CircuitRole = CircuitRole::named("app");
    /// A pod that deposits in somebody else's queue.
    pub const DEPOSIT: CircuitRole = CircuitRole::named("deposit");
    /// A pod that collects from a queue of its own.
    pub const COLLECT: CircuitRole = CircuitRole::named("collect");

    /// A role with a name of the caller's choice, for no party in particular.
    #[must_use]
    pub const fn named(name: &'static str) -> Self {
        Self { name, party: [0; 16] }
    }

    /// The same role for one party: an opaque value that the caller keeps apart from others.
    #[must_use]
    pub const fn of(self, party: [u8; 16]) -> Self {
        Self { party, ..self }
    }
}

/// Without the party, which may name a contact.
impl fmt::Debug for CircuitRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CircuitRole").field(&self.name).finish()
    }
}

/// The isolation token of each peer and role in use.
#[derive(Debug, Default)]
pub(crate) struct Isolation(Mutex<HashMap<(OnionAddress, CircuitRole), IsolationToken>>);

impl Isolation {
    /// The token in use, if there is one.
    pub(crate) fn kept(&self, peer: OnionAddress, role: CircuitRole) -> Option<IsolationToken> {
        self.groups().get(&(peer, role)).copied()
    }

    /// Remembers a token that led to a connection.
    pub(crate) fn keep(&self, peer: OnionAddress, role: CircuitRole, token: IsolationToken) {
        let mut groups = self.groups();
        if groups.len() >= MAX_GROUPS {
            groups.clear();
        }
        groups.insert((peer, role), token);
    }

    /// Forgets a token that failed, unless another one has taken its place since.
    pub(crate) fn discard(&self, peer: OnionAddress, role: CircuitRole, failed: IsolationToken) {
        let mut groups = self.groups();
        if groups.get(&(peer, role)) == Some(&failed) {
            groups.remove(&(peer, role));
        }
    }

    /// Forgets the tokens of a peer in all roles.
    pub(crate) fn rotate(&self, peer: OnionAddress) {
        self.groups().retain(|(onion, _), _| *onion != peer);
    }

    /// Forgets the token of a peer in one role.
    pub(crate) fn rotate_role(&self, peer: OnionAddress, role: CircuitRole) {
        self.groups().remove(&(peer, role));
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<(OnionAddress, CircuitRole), IsolationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: OnionAddress = peer(1);

    const fn peer(n: u8) -> OnionAddress {
        OnionAddress::from_public_key([n; 32])
    }

    #[test]
    fn circuits_are_kept_for_their_role_only() {
        let isolation = Isolation::default();
        let token = IsolationToken::new();
        isolation.keep(PEER, CircuitRole::DEPOSIT, token);
        assert_eq!(isolation.kept(PEER, CircuitRole::DEPOSIT), Some(token));
        assert_eq!(isolation.kept(PEER, CircuitRole::COLLECT), None);
        assert_eq!(isolation.kept(PEER, CircuitRole::DEPOSIT.of([1; 16])), None);
    }

    #[test]
    fn late_failure_does_not_discard_the_successor() {
        let isolation = Isolation::default();
        let (old, new) = (IsolationToken::new(), IsolationToken::new());
        isolation.keep(PEER, CircuitRole::APP, old);
        isolation.keep(PEER, CircuitRole::APP, new);
        isolation.discard(PEER, CircuitRole::APP, old);
        assert_eq!(isolation.kept(PEER, CircuitRole::APP), Some(new));
        isolation.discard(PEER, CircuitRole::APP, new);
        assert_eq!(isolation.kept(PEER, CircuitRole::APP), None);
    }

    #[test]
    fn rotate_discards_all_roles_of_one_peer() {
        let isolation = Isolation::default();
        isolation.keep(PEER, CircuitRole::APP, IsolationToken::new());
        isolation.keep(PEER, CircuitRole::COLLECT, IsolationToken::new());
        isolation.keep(peer(2), CircuitRole::APP, IsolationToken::new());
        isolation.rotate(PEER);
        assert_eq!(isolation.kept(PEER, CircuitRole::APP), None);
        assert_eq!(isolation.kept(PEER, CircuitRole::COLLECT), None);
        assert!(isolation.kept(peer(2), CircuitRole::APP).is_some());
    }

    #[test]
    fn number_of_groups_is_bounded() {
        let isolation = Isolation::default();
        for n in 0..=MAX_GROUPS {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&(n as u64).to_be_bytes());
            isolation.keep(OnionAddress::from_public_key(key), CircuitRole::APP, IsolationToken::new());
        }
        assert!(isolation.groups().len() <= MAX_GROUPS);
    }
}
