//! The live group and what belongs to it.
//!
//! Each operation either succeeds whole or leaves the session as it was: openmls changes its group and its entities
//! step by step, so a copy of the entities is taken before, and the group is read from it again if a step fails. The
//! copy is cheap, for entities are shared until they change.

mod open;
mod setup;
mod state;

use std::fmt;

use ed25519_dalek::SigningKey;
use openmls::prelude::{LeafNodeIndex, LeafNodeParameters, MlsGroup};
use openmls_libcrux_crypto::CryptoProvider;
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use super::pages::Pages;
use super::provider::{LeafSigner, Provider};
use super::storage::Entities;
use super::{Incarnation, MAX_PLAINTEXT, SealError};
use crate::PublicKey;

/// A running session with one contact.
///
/// Two sessions are equal if they would be stored alike.
pub struct Session {
    /// The live group, as openmls holds it; everything in it is in `entities` too.
    group: MlsGroup,
    /// What openmls stored of the group: the state that is written out.
    entities: Entities,
    /// Who was heard in this epoch, and which commit still rides along.
    turn: Turn,
    /// What the store holds of this session.
    pages: Pages,
    /// Whether something changed since the last [`take_changes`](Self::take_changes).
    changed: bool,
    /// Our signature key in this group, from the key package it was begun with.
    signing: SigningKey,
    /// The primitives; they hold a random generator of their own, seeded by the operating system.
    crypto: CryptoProvider,
}

/// Where the talk stands in this epoch.
#[derive(Clone, Default, PartialEq, Eq)]
struct Turn {
    /// Something of the peer's in this epoch arrived.
    heard: bool,
    /// The commit that began this epoch, if it is ours and the peer was not heard since.
    unacked: Option<Vec<u8>>,
}

/// A message to be sent, and the commit that has to go with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// At most [`MAX_COMMIT`](super::MAX_COMMIT) bytes; the message cannot be opened without it.
    pub commit: Option<Vec<u8>>,
    /// The plaintext and at most [`OVERHEAD`](super::OVERHEAD) bytes.
    pub message: Vec<u8>,
}

impl Session {
    /// Encrypts `plaintext` (at most [`MAX_PLAINTEXT`] bytes), in a new epoch if `may_commit` and it is our turn.
    ///
    /// The changes must be stored before the result is sent: a second message made from the same state would
    /// use the same key.
    ///
    /// # Errors
    /// [`SealError::Length`] above [`MAX_PLAINTEXT`]; [`SealError::Exhausted`] if there is no randomness or the epoch
    /// has no numbers left.
    pub fn seal(
        &mut self,
        rng: &mut dyn CryptoRngCore,
        plaintext: &[u8],
        may_commit: bool,
    ) -> Result<Sealed, SealError> {
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(SealError::Length(plaintext.len()));
        }
        let before = (self.entities.clone(), self.turn.clone());
        let sealed = self.try_seal(rng, plaintext, may_commit && self.is_our_turn());
        match sealed {
            Some(_) => self.changed = true,
            None => self.roll_back(before),
        }
        sealed.ok_or(SealError::Exhausted)
    }

    /// Whether [`seal`](Self::seal) would commit now.
    #[must_use]
    pub fn is_our_turn(&self) -> bool {
        self.turn.heard && self.may_commit(self.group.own_leaf_index())
    }

    /// Which group this is.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "the length of the group id was checked when the session was joined or loaded, and ours is 16 bytes"
    )]
    pub fn incarnation(&self) -> Incarnation {
        Incarnation(self.group.group_id().as_slice().try_into().expect("checked when joined or loaded"))
    }

    /// The number of commits so far; 1 at the beginning.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.group.epoch().as_u64()
    }

    /// The key that signs what the peer says here.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "both members and their keys were checked when the session was joined or loaded, and after each commit"
    )]
    pub fn peer_leaf_key(&self) -> PublicKey {
        state::leaf_key(&self.group, self.peer()).expect("checked when joined or loaded")
    }

    /// A secret that both have in this epoch, and nobody else; another one in the next epoch.
    ///
    /// RFC 9420, section 8.5, with an empty context. To be taken from the first epoch where it must last: later
    /// epochs give others.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a member of an active group can derive 32 bytes (RFC 9420, section 8.5)"
    )]
    pub fn export(&self, label: &str) -> Zeroizing<[u8; 32]> {
        let secret = self.group.export_secret(&self.crypto, label, &[], 32).map(Zeroizing::new);
        let secret = secret.expect("a member can derive 32 bytes");
        Zeroizing::new(secret.as_slice().try_into().expect("32 bytes were asked for"))
    }

    /// Commits if asked to, then encrypts. `None` leaves group and entities half changed: the caller rolls back.
    fn try_seal(&mut self, rng: &mut dyn CryptoRngCore, plaintext: &[u8], commit: bool) -> Option<Sealed> {
        if commit {
            self.commit(rng)?;
        }
        let provider = Provider::new(&self.crypto, rng, &mut self.entities);
        let message = self.group.create_message(&provider, &LeafSigner(&self.signing), plaintext).ok()?;
        Some(Sealed { commit: self.turn.unacked.clone(), message: message.to_bytes().ok()? })
    }

    /// Renews our leaf and moves into the next epoch.
    fn commit(&mut self, rng: &mut dyn CryptoRngCore) -> Option<()> {
        use openmls_traits::OpenMlsProvider as _;

        let provider = Provider::new(&self.crypto, rng, &mut self.entities);
        let commit = self
            .group
            .commit_builder()
            .leaf_node_parameters(LeafNodeParameters::default())
            .force_self_update(true)
            .load_psks(provider.storage())
            .ok()?
            .build(provider.rand(), provider.crypto(), &LeafSigner(&self.signing), |_| false)
            .ok()?
            .stage_commit(&provider)
            .ok()?
            .into_commit();
        self.group.merge_pending_commit(&provider).ok()?;
        self.turn = Turn { heard: false, unacked: Some(commit.to_bytes().ok()?) };
        Some(())
    }

    /// Parity: the creator (leaf 0) in even epochs, the joiner (leaf 1) in odd ones.
    fn may_commit(&self, member: LeafNodeIndex) -> bool {
        self.epoch() % 2 == u64::from(member.u32())
    }

    /// The other of the two leaves.
    fn peer(&self) -> LeafNodeIndex {
        LeafNodeIndex::new(1 - self.group.own_leaf_index().u32())
    }

    /// Undoes an operation that failed half-way.
    ///
    /// The group is read again from the entities of before, which hold all of it.
    #[expect(
        clippy::expect_used,
        reason = "the entities are those from which the group was read or to which it was written before"
    )]
    fn roll_back(&mut self, (entities, turn): (Entities, Turn)) {
        let id = self.incarnation();
        self.entities = entities;
        self.group = state::load_group(&self.crypto, &mut self.entities, &id)
            .expect("it was written by the operation before");
        self.turn = turn;
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({:?}, epoch {})", self.incarnation(), self.epoch())
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit = if self.commit.is_some() { " with commit" } else { "" };
        write!(f, "Sealed({} bytes{commit})", self.message.len())
    }
}
