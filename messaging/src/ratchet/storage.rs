//! Where openmls keeps the entities of **one** group: a map in memory, written out as pages by [`super::pages`].
//!
//! Values are postcard: no field names, no types, half the size of CBOR. Keys are one byte, for there is one
//! group; only key pairs of an epoch carry more. The configuration is not stored: it is the program's.
//!
//! openmls names entities by group and kind; here the group is left out, since a map holds one. What MLS would keep
//! for many groups or for other uses (proposals in a queue, update keys, signature keys) is refused: an operation
//! that asks for it is one that this program never makes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use openmls_traits::storage::{CURRENT_VERSION, Entity, StorageProvider, traits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

const V: u16 = CURRENT_VERSION;

/// The entities of a group. Cheap to clone: an operation that fails half-way restores the old map.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Entities(BTreeMap<Vec<u8>, Arc<Zeroizing<Vec<u8>>>>);

/// What an entity is; the first byte of its key. New ones at the end: the numbers are stored.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Slot {
    Tree = 1,
    Context,
    InterimTranscriptHash,
    ConfirmationTag,
    ResumptionPsks,
    OwnLeafIndex,
    EpochSecrets,
    GroupState,
    EpochKeyPairs,
    /// Last: it changes with every message, and what stands before it keeps its pages.
    MessageSecrets,
    /// From here on only while an operation runs.
    KeyPackage = 0x80,
    Psk,
}

/// Why an entity could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub(super) enum StorageError {
    /// A value could not be encoded or decoded.
    #[error("a stored entity is malformed")]
    Malformed,
    /// See the note on proposals and keys in the implementation.
    #[error("this group uses no such entity")]
    Unused,
}

impl Entities {
    /// Puts an entity under its key, in place of one that is there.
    pub(super) fn insert(&mut self, key: Vec<u8>, value: Zeroizing<Vec<u8>>) {
        self.0.insert(key, Arc::new(value));
    }

    /// All entities in the order of their keys: the order in which they are written out.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    /// Drops what is there for one operation only: pre-shared keys and own key packages.
    pub(super) fn drop_transient(&mut self) {
        self.0.retain(|key, _| key.first().is_some_and(|slot| *slot < Slot::KeyPackage as u8));
    }
}

/// The entities, lent for one operation.
///
/// A cell, because openmls writes through a shared reference; it is never borrowed across a call into openmls.
pub(super) struct Storage<'a>(RefCell<&'a mut Entities>);

impl<'a> Storage<'a> {
    pub(super) fn new(entities: &'a mut Entities) -> Self {
        Self(RefCell::new(entities))
    }

    /// Encodes a value and keeps it.
    fn put(&self, key: Vec<u8>, value: &impl Serialize) -> Result<(), StorageError> {
        self.0.borrow_mut().insert(key, encode(value)?);
        Ok(())
    }

    /// Decodes a value; none if it is not there.
    fn find<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StorageError> {
        self.0.borrow().0.get(key).map(|bytes| decode(bytes)).transpose()
    }

    /// Removes a value; it is no error if it is not there.
    fn remove(&self, key: &[u8]) -> Result<(), StorageError> {
        self.0.borrow_mut().0.remove(key);
        Ok(())
    }
}

/// Postcard bytes of `value`.
pub(super) fn encode(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, StorageError> {
    postcard::to_stdvec(value).map(Zeroizing::new).map_err(|_| StorageError::Malformed)
}

/// The value of all of `bytes`, or an error.
///
/// Bytes that remain are an error: a value has one encoding.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StorageError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(StorageError::Malformed),
    }
}

impl Slot {
    /// The key of an entity of which a group has one.
    fn key(self) -> Vec<u8> {
        vec![self as u8]
    }

    /// The key of one of several entities of a kind.
    fn key_of(self, id: &impl Serialize) -> Result<Vec<u8>, StorageError> {
        let mut key = self.key();
        key.extend_from_slice(&encode(id)?);
        Ok(key)
    }
}

/// Writing, reading and deleting of an entity of which the group has one.
macro_rules! one_each {
    ($($slot:ident: $kind:ident, $write:ident, $read:ident, $delete:ident;)*) => {$(
        fn $write<G: traits::GroupId<V>, E: traits::$kind<V>>(
            &self,
            _: &G,
            entity: &E,
        ) -> Result<(), StorageError> {
            self.put(Slot::$slot.key(), entity)
        }

        fn $read<G: traits::GroupId<V>, E: traits::$kind<V>>(
            &self,
            _: &G,
        ) -> Result<Option<E>, StorageError> {
            self.find(&Slot::$slot.key())
        }

        one_each!(@delete $delete $slot);
    )*};
    (@delete $delete:ident $slot:ident) => {
        fn $delete<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), StorageError> {
            self.remove(&Slot::$slot.key())
        }
    };
}

impl StorageProvider<V> for Storage<'_> {
    type Error = StorageError;

    one_each! {
        Tree: TreeSync, write_tree, tree, delete_tree;
        Context: GroupContext, write_context, group_context, delete_context;
        InterimTranscriptHash: InterimTranscriptHash, write_interim_transcript_hash, interim_transcript_hash,
            delete_interim_transcript_hash;
        ConfirmationTag: ConfirmationTag, write_confirmation_tag, confirmation_tag, delete_confirmation_tag;
        MessageSecrets: MessageSecrets, write_message_secrets, message_secrets, delete_message_secrets;
        ResumptionPsks: ResumptionPskStore, write_resumption_psk_store, resumption_psk_store,
            delete_all_resumption_psk_secrets;
        OwnLeafIndex: LeafNodeIndex, write_own_leaf_index, own_leaf_index, delete_own_leaf_index;
        EpochSecrets: GroupEpochSecrets, write_group_epoch_secrets, group_epoch_secrets, delete_group_epoch_secrets;
    }

    // --- The state: the trait has its parameters the other way round. ---

    fn write_group_state<E: traits::GroupState<V>, G: traits::GroupId<V>>(
        &self,
        _: &G,
        state: &E,
    ) -> Result<(), StorageError> {
        self.put(Slot::GroupState.key(), state)
    }

    fn group_state<E: traits::GroupState<V>, G: traits::GroupId<V>>(
        &self,
        _: &G,
    ) -> Result<Option<E>, StorageError> {
        self.find(&Slot::GroupState.key())
    }

    one_each!(@delete delete_group_state GroupState);

    // --- The configuration: the program's own, not the stored one. ---

    fn write_mls_join_config<G: traits::GroupId<V>, E: traits::MlsGroupJoinConfig<V>>(
        &self,
        _: &G,
        _: &E,
    ) -> Result<(), StorageError> {
        Ok(())
    }

    fn mls_group_join_config<G: traits::GroupId<V>, E: traits::MlsGroupJoinConfig<V>>(
        &self,
        _: &G,
    ) -> Result<Option<E>, StorageError> {
        program_configuration().map(Some)
    }

    fn delete_group_config<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), StorageError> {
        Ok(())
    }

    // --- Key pairs of the members' tree, of the current epoch ---

    fn write_encryption_epoch_key_pairs<
        G: traits::GroupId<V>,
        K: traits::EpochKey<V>,
        E: traits::HpkeKeyPair<V>,
    >(
        &self,
        _: &G,
        epoch: &K,
        leaf: u32,
        pairs: &[E],
    ) -> Result<(), StorageError> {
        self.put(Slot::EpochKeyPairs.key_of(&(epoch, leaf))?, &pairs)
    }

    fn encryption_epoch_key_pairs<
        G: traits::GroupId<V>,
        K: traits::EpochKey<V>,
        E: traits::HpkeKeyPair<V>,
    >(
        &self,
        _: &G,
        epoch: &K,
        leaf: u32,
    ) -> Result<Vec<E>, StorageError> {
        Ok(self.find(&Slot::EpochKeyPairs.key_of(&(epoch, leaf))?)?.unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<G: traits::GroupId<V>, K: traits::EpochKey<V>>(
        &self,
        _: &G,
        epoch: &K,
        leaf: u32,
    ) -> Result<(), StorageError> {
        self.remove(&Slot::EpochKeyPairs.key_of(&(epoch, leaf))?)
    }

    // --- Only while an operation runs ---

    fn write_key_package<H: traits::HashReference<V>, E: traits::KeyPackage<V>>(
        &self,
        hash: &H,
        package: &E,
    ) -> Result<(), StorageError> {
        self.put(Slot::KeyPackage.key_of(hash)?, package)
    }

    fn key_package<H: traits::HashReference<V>, E: traits::KeyPackage<V>>(
        &self,
        hash: &H,
    ) -> Result<Option<E>, StorageError> {
        self.find(&Slot::KeyPackage.key_of(hash)?)
    }

    fn delete_key_package<H: traits::HashReference<V>>(&self, hash: &H) -> Result<(), StorageError> {
        self.remove(&Slot::KeyPackage.key_of(hash)?)
    }

    fn write_psk<K: traits::PskId<V>, E: traits::PskBundle<V>>(
        &self,
        id: &K,
        psk: &E,
    ) -> Result<(), StorageError> {
        self.put(Slot::Psk.key_of(id)?, psk)
    }

    fn psk<E: traits::PskBundle<V>, K: traits::PskId<V>>(&self, id: &K) -> Result<Option<E>, StorageError> {
        self.find(&Slot::Psk.key_of(id)?)
    }

    fn delete_psk<K: traits::PskId<V>>(&self, id: &K) -> Result<(), StorageError> {
        self.remove(&Slot::Psk.key_of(id)?)
    }

    // --- Proposals of their own, and updates that wait for another's commit: never made, never taken. ---

    fn queue_proposal<G: traits::GroupId<V>, R: traits::ProposalRef<V>, E: traits::QueuedProposal<V>>(
        &self,
        _: &G,
        _: &R,
        _: &E,
    ) -> Result<(), StorageError> {
        Err(StorageError::Unused)
    }

    fn queued_proposal_refs<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        _: &G,
    ) -> Result<Vec<R>, StorageError> {
        Ok(Vec::new())
    }

    fn queued_proposals<G: traits::GroupId<V>, R: traits::ProposalRef<V>, E: traits::QueuedProposal<V>>(
        &self,
        _: &G,
    ) -> Result<Vec<(R, E)>, StorageError> {
        Ok(Vec::new())
    }

    fn remove_proposal<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        _: &G,
        _: &R,
    ) -> Result<(), StorageError> {
        Ok(())
    }

    fn clear_proposal_queue<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        _: &G,
    ) -> Result<(), StorageError> {
        Ok(())
    }

    fn append_own_leaf_node<G: traits::GroupId<V>, E: traits::LeafNode<V>>(
        &self,
        _: &G,
        _: &E,
    ) -> Result<(), StorageError> {
        Err(StorageError::Unused)
    }

    fn own_leaf_nodes<G: traits::GroupId<V>, E: traits::LeafNode<V>>(
        &self,
        _: &G,
    ) -> Result<Vec<E>, StorageError> {
        Ok(Vec::new())
    }

    fn delete_own_leaf_nodes<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), StorageError> {
        Ok(())
    }

    fn write_encryption_key_pair<K: traits::EncryptionKey<V>, E: traits::HpkeKeyPair<V>>(
        &self,
        _: &K,
        _: &E,
    ) -> Result<(), StorageError> {
        Err(StorageError::Unused)
    }

    fn encryption_key_pair<E: traits::HpkeKeyPair<V>, K: traits::EncryptionKey<V>>(
        &self,
        _: &K,
    ) -> Result<Option<E>, StorageError> {
        Ok(None)
    }

    fn delete_encryption_key_pair<K: traits::EncryptionKey<V>>(&self, _: &K) -> Result<(), StorageError> {
        Ok(())
    }

    // --- Signature keys: with the key package of the contact ---

    fn write_signature_key_pair<K: traits::SignaturePublicKey<V>, E: traits::SignatureKeyPair<V>>(
        &self,
        _: &K,
        _: &E,
    ) -> Result<(), StorageError> {
        Err(StorageError::Unused)
    }

    fn signature_key_pair<K: traits::SignaturePublicKey<V>, E: traits::SignatureKeyPair<V>>(
        &self,
        _: &K,
    ) -> Result<Option<E>, StorageError> {
        Ok(None)
    }

    fn delete_signature_key_pair<K: traits::SignaturePublicKey<V>>(&self, _: &K) -> Result<(), StorageError> {
        Ok(())
    }
}

/// The configuration of every group, as the type that openmls asks for. CBOR, because that type reads itself
/// only from a format that describes itself.
fn program_configuration<E: Entity<V>>() -> Result<E, StorageError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(&super::configuration(), &mut bytes).map_err(|_| StorageError::Malformed)?;
    ciborium::from_reader(bytes.as_slice()).map_err(|_| StorageError::Malformed)
}
