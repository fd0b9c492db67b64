//! Which circuits may be shared: one group for each peer and role, kept while it works.
//!
//! Arti hands out a rendezvous circuit that died silently again and again, each time failing after ten
//! seconds, and keeps a descriptor whose introduction points are gone. A new isolation token makes it fetch
//! the descriptor anew and build another circuit. So a token is kept while dials succeed, which makes the
//! next dial cost one round trip, and is thrown away on the first failure.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use arti_client::IsolationToken;

use crate::OnionAddress;

/// Peers and roles remembered. At 80 bytes each this is about 330 kB; beyond it the map starts over, which
/// costs each peer one fresh circuit.
const MAX_GROUPS: usize = 4096;

/// What a connection is for. Connections of different roles never share a circuit, so a relay cannot tell
/// that who deposits here and who collects there is one person. Nor do connections of one role for different
/// [parties](Role::of): what is done for one contact says nothing of what is done for another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Role {
    name: &'static str,
    party: [u8; 16],
}

impl Role {
    /// A device that talks to its own pod.
    pub const APP: Role = Role::named("app");
    /// Deposits in someone else's queue.
    pub const DEPOSIT: Role = Role::named("deposit");
    /// Collects from an own queue.
    pub const COLLECT: Role = Role::named("collect");

    /// A role of the caller's own.
    pub const fn named(name: &'static str) -> Self {
        Self { name, party: [0; 16] }
    }

    /// The same role for one party: whatever the caller keeps apart.
    #[must_use]
    pub const fn of(self, party: [u8; 16]) -> Self {
        Self { party, ..self }
    }
}

/// Without the party, which may name a contact.
impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Role").field(&self.name).finish()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Isolation(Mutex<HashMap<(OnionAddress, Role), IsolationToken>>);

impl Isolation {
    /// The token in use, if there is one.
    pub(crate) fn kept(&self, peer: OnionAddress, role: Role) -> Option<IsolationToken> {
        self.groups().get(&(peer, role)).copied()
    }

    /// Remembers a token that led to a connection.
    pub(crate) fn keep(&self, peer: OnionAddress, role: Role, token: IsolationToken) {
        let mut groups = self.groups();
        if groups.len() >= MAX_GROUPS {
            groups.clear();
        }
        groups.insert((peer, role), token);
    }

    /// Forgets a token that failed, unless another one has taken its place since.
    pub(crate) fn discard(&self, peer: OnionAddress, role: Role, failed: IsolationToken) {
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
    pub(crate) fn rotate_role(&self, peer: OnionAddress, role: Role) {
        self.groups().remove(&(peer, role));
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<(OnionAddress, Role), IsolationToken>> {
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
    fn a_good_circuit_is_kept_for_its_role_only() {
        let isolation = Isolation::default();
        let token = IsolationToken::new();
        isolation.keep(PEER, Role::DEPOSIT, token);
        assert_eq!(isolation.kept(PEER, Role::DEPOSIT), Some(token));
        assert_eq!(isolation.kept(PEER, Role::COLLECT), None);
        assert_eq!(isolation.kept(PEER, Role::DEPOSIT.of([1; 16])), None);
    }

    #[test]
    fn a_late_failure_does_not_throw_away_its_successor() {
        let isolation = Isolation::default();
        let (old, new) = (IsolationToken::new(), IsolationToken::new());
        isolation.keep(PEER, Role::APP, old);
        isolation.keep(PEER, Role::APP, new);
        isolation.discard(PEER, Role::APP, old);
        assert_eq!(isolation.kept(PEER, Role::APP), Some(new));
        isolation.discard(PEER, Role::APP, new);
        assert_eq!(isolation.kept(PEER, Role::APP), None);
    }

    #[test]
    fn rotation_forgets_all_roles_of_one_peer() {
        let isolation = Isolation::default();
        isolation.keep(PEER, Role::APP, IsolationToken::new());
        isolation.keep(PEER, Role::COLLECT, IsolationToken::new());
        isolation.keep(peer(2), Role::APP, IsolationToken::new());
        isolation.rotate(PEER);
        assert_eq!(isolation.kept(PEER, Role::APP), None);
        assert_eq!(isolation.kept(PEER, Role::COLLECT), None);
        assert!(isolation.kept(peer(2), Role::APP).is_some());
    }

    #[test]
    fn the_map_is_bounded() {
        let isolation = Isolation::default();
        for n in 0..=MAX_GROUPS {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&(n as u64).to_be_bytes());
            isolation.keep(OnionAddress::from_public_key(key), Role::APP, IsolationToken::new());
        }
        assert!(isolation.groups().len() <= MAX_GROUPS);
    }
}
