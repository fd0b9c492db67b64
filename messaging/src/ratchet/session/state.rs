//! The session as bytes in a store.
//!
//! ```text
//! incarnation 16 · heard 1 · unacknowledged commit 2 + n · entities, each key 1 + n · value 4 + n
//! ```
//!
//! Entities are written in the order of their keys, of which the one that changes with every message is the last: so
//! the pages before it stay as they are.

use autonomy_codec::{Reader, put_bytes_u8, put_bytes_u16};
use openmls::group::GroupId;
use openmls::prelude::{LeafNodeIndex, MlsGroup};
use openmls_libcrux_crypto::CryptoProvider;
use openmls_traits::OpenMlsProvider as _;
use zeroize::Zeroizing;

use super::super::key_package::public_key;
use super::super::pages::{Changes, Pages};
use super::super::provider::Provider;
use super::super::storage::Entities;
use super::super::version::{NO_SUCH_VERSION, Stored};
use super::super::{Incarnation, LoadError, MAX_COMMIT, OwnKeyPackage, SUITE};
use super::{Session, Turn};
use crate::PublicKey;

/// The peer was heard in this epoch.
const HEARD: u8 = 1;

impl Session {
    /// Reads a session back. `read` gives the row of a key relative to the contact; `own` is the key package it
    /// was begun with.
    ///
    /// # Errors
    /// [`LoadError::Missing`] where the store has no session, [`LoadError::OtherKeyPackage`] where it was begun with
    /// another key package, [`LoadError::Newer`] where a newer program wrote it, [`LoadError::Malformed`] for anything that
    /// is not what was written.
    pub fn load(
        read: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
        own: &OwnKeyPackage,
    ) -> Result<Self, LoadError> {
        let (version, pages) = Pages::load(read)?;
        let Parts { id, turn, mut entities } = Parts::unpack(version, pages.state())?;
        let crypto = CryptoProvider::new().map_err(|_| LoadError::Malformed("no randomness"))?;
        let group = load_group(&crypto, &mut entities, &id).ok_or(LoadError::Malformed("its group"))?;
        if !is_group_of_two(&group) {
            return Err(LoadError::Malformed("the members of its group"));
        }
        if leaf_key(&group, group.own_leaf_index()) != Some(own.leaf_key()) {
            return Err(LoadError::OtherKeyPackage);
        }
        let signing = own.signing().clone();
        Ok(Self { group, entities, turn, pages, changed: false, signing, crypto })
    }

    /// The rows that changed since the session was begun or loaded, or since the last call. They belong into
    /// one transaction, together with what the operations before gave. They are secret.
    #[must_use = "what is not stored is lost"]
    pub fn take_changes(&mut self) -> Changes {
        if !std::mem::take(&mut self.changed) {
            return Changes::new();
        }
        let state = self.encode();
        self.pages.update(state)
    }

    /// The keys of all rows this session has in the store, to remove it.
    #[must_use]
    pub fn row_keys(&self) -> Vec<Vec<u8>> {
        self.pages.keys()
    }

    /// The state as it is cut into pages.
    #[expect(clippy::expect_used, reason = "an entity is bounded by what it consists of, far below 4 GiB")]
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(64 * 1024));
        out.extend_from_slice(&self.incarnation().0);
        out.push(if self.turn.heard { HEARD } else { 0 });
        put_bytes_u16(&mut out, self.turn.unacked.as_deref().unwrap_or_default());
        for (key, value) in self.entities.iter() {
            put_bytes_u8(&mut out, key);
            out.extend_from_slice(&u32::try_from(value.len()).expect("bounded by its parts").to_be_bytes());
            out.extend_from_slice(value);
        }
        out
    }
}

/// The parts of a state.
struct Parts {
    id: Incarnation,
    turn: Turn,
    entities: Entities,
}

impl Stored for Parts {
    fn read(state: &[u8]) -> Result<Self, LoadError> {
        decode(state).ok_or(LoadError::Malformed("its parts"))
    }

    fn upgrade(_: u8, _: &[u8]) -> Result<Self, LoadError> {
        Err(NO_SUCH_VERSION)
    }
}

/// None if it does not end where its last part ends.
fn decode(state: &[u8]) -> Option<Parts> {
    let mut reader = Reader::new(state);
    let id = Incarnation(reader.array()?);
    let heard = match reader.u8()? {
        0 => false,
        HEARD => true,
        _ => return None,
    };
    let unacked = reader.bytes_u16()?;
    if unacked.len() > MAX_COMMIT {
        return None;
    }
    let unacked = (!unacked.is_empty()).then(|| unacked.to_vec());
    let mut entities = Entities::default();
    while !reader.is_empty() {
        let key = reader.bytes_u8()?.to_vec();
        let len = u32::from_be_bytes(reader.array()?);
        let value = reader.take(usize::try_from(len).ok()?)?.to_vec();
        entities.insert(key, Zeroizing::new(value));
    }
    Some(Parts { id, turn: Turn { heard, unacked }, entities })
}

/// The group as its entities say.
/// None if openmls cannot read it, or it is another group.
pub(super) fn load_group(
    crypto: &CryptoProvider,
    entities: &mut Entities,
    id: &Incarnation,
) -> Option<MlsGroup> {
    let provider = Provider::without_rng(crypto, entities);
    let group = MlsGroup::load(provider.storage(), &GroupId::from_slice(&id.0)).ok()??;
    (group.group_id().as_slice() == id.0).then_some(group)
}

/// What this crate's sessions rest on: our suite, leaves 0 and 1, usable signature keys, nothing pending.
pub(super) fn is_group_of_two(group: &MlsGroup) -> bool {
    let members: Vec<u32> = group.members().map(|member| member.index.u32()).collect();
    group.ciphersuite() == SUITE
        && members == [0, 1]
        && group.own_leaf_index().u32() <= 1
        && group.group_id().as_slice().len() == 16
        && group.is_active()
        && group.pending_commit().is_none()
        && [0, 1].iter().all(|leaf| leaf_key(group, LeafNodeIndex::new(*leaf)).is_some())
}

/// The signature key of a member. None if there is no such member, or its key is not usable.
pub(super) fn leaf_key(group: &MlsGroup, leaf: LeafNodeIndex) -> Option<PublicKey> {
    public_key(&group.member_at(leaf)?.signature_key)
}

impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        self.encode() == other.encode()
    }
}

impl Eq for Session {}
