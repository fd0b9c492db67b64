//! How a session begins.
//!
//! The redeemer creates the group and adds the inviter (or, in a reset, the one who makes it adds the other).
//! Everything that later operations rely on is established here: two members, leaf 0 the creator, epoch 1, exactly
//! one pre-shared key.

use openmls::group::{GroupId, StagedWelcome, WelcomeError};
use openmls::prelude::tls_codec::Deserialize as _;
use openmls::prelude::{MlsGroup, MlsMessageBodyIn, MlsMessageIn, PreSharedKeyProposal, Proposal, Welcome};
use openmls::schedule::{ExternalPsk, PreSharedKeyId, Psk as MlsPsk};
use openmls_libcrux_crypto::CryptoProvider;
use openmls_traits::OpenMlsProvider as _;
use rand_core::CryptoRngCore;

use super::super::key_package::{any_time, capabilities};
use super::super::provider::{LeafSigner, Provider};
use super::super::storage::{Entities, StorageError};
use super::super::{
    CreateError, JoinError, MAX_WELCOME, OwnKeyPackage, PeerKeyPackage, Psk, SUITE, configuration,
};
use super::state::is_group_of_two;
use super::{Pages, Session, Turn};

/// The name of the one pre-shared key of a group. It tells nothing: the key itself is what counts.
const PSK_ID: &[u8] = b"autonomy invite v1";

impl Session {
    /// Begins a session with the owner of `peer`. Gives the Welcome (at most [`MAX_WELCOME`] bytes, with the
    /// tree) too; it goes with every message until the peer is heard.
    ///
    /// # Errors
    /// [`CreateError::KeyPackage`] if the key package is our own or does not fit, [`CreateError::Randomness`] if the
    /// generator fails.
    pub fn create(
        rng: &mut dyn CryptoRngCore,
        own: &OwnKeyPackage,
        peer: &PeerKeyPackage,
        psk: &Psk,
    ) -> Result<(Self, Vec<u8>), CreateError> {
        if peer.leaf_key() == own.leaf_key() {
            return Err(CreateError::KeyPackage);
        }
        let mut id = [0; 16];
        rng.try_fill_bytes(&mut id).map_err(|_| CreateError::Randomness)?;
        let crypto = CryptoProvider::new().map_err(|_| CreateError::Randomness)?;
        let mut entities = Entities::default();
        let provider = Provider::new(&crypto, rng, &mut entities);
        let mut group = found(&provider, own, &id).ok_or(CreateError::Randomness)?;
        let welcome = add(&provider, &mut group, own, peer, psk).ok_or(CreateError::KeyPackage)?;
        let turn = Turn { heard: false, unacked: None };
        Ok((Self::begin(group, entities, turn, own, crypto), welcome))
    }

    /// Begins the session that the creator's `welcome` is for.
    ///
    /// # Errors
    /// [`JoinError`] says what does not hold: the form, the key package it is for, the pre-shared key, or the kind of
    /// group.
    pub fn join(own: &OwnKeyPackage, welcome: &[u8], psk: &Psk) -> Result<Self, JoinError> {
        let welcome = parse(welcome)?;
        let crypto = CryptoProvider::new().map_err(|_| JoinError::Malformed)?;
        let mut entities = Entities::default();
        let provider = Provider::without_rng(&crypto, &mut entities);
        own.lend(&crypto, provider.storage()).ok_or(JoinError::Malformed)?;
        psk_id(Vec::new()).store(&provider, psk.as_bytes()).map_err(|_| JoinError::Malformed)?;
        let group = accept(&provider, welcome)?;
        // The creator was heard: it sent the Welcome.
        let turn = Turn { heard: true, unacked: None };
        Ok(Self::begin(group, entities, turn, own, crypto))
    }

    /// A session of which nothing is stored yet.
    fn begin(
        group: MlsGroup,
        mut entities: Entities,
        turn: Turn,
        own: &OwnKeyPackage,
        crypto: CryptoProvider,
    ) -> Self {
        entities.drop_transient();
        let signing = own.signing().clone();
        Self { group, entities, turn, pages: Pages::default(), changed: true, signing, crypto }
    }
}

/// A group of one, in epoch 0.
fn found(provider: &Provider<'_>, own: &OwnKeyPackage, id: &[u8; 16]) -> Option<MlsGroup> {
    MlsGroup::builder()
        .with_group_id(GroupId::from_slice(id))
        .ciphersuite(SUITE)
        .lifetime(any_time())
        .with_capabilities(capabilities())
        .max_past_epochs(super::super::PAST_EPOCHS)
        .sender_ratchet_configuration(*configuration().sender_ratchet_configuration())
        .build(provider, &LeafSigner(own.signing()), own.credential())
        .ok()
}

/// Adds the peer, with the pre-shared key: epoch 1.
///
/// None where openmls refuses the key package or has no randomness.
fn add(
    provider: &Provider<'_>,
    group: &mut MlsGroup,
    own: &OwnKeyPackage,
    peer: &PeerKeyPackage,
    psk: &Psk,
) -> Option<Vec<u8>> {
    let drawn =
        PreSharedKeyId::new(SUITE, provider.rand(), MlsPsk::External(ExternalPsk::new(PSK_ID.to_vec())));
    let id = drawn.ok()?;
    id.store(provider, psk.as_bytes()).ok()?;
    let welcome = group
        .commit_builder()
        .propose_adds([peer.package().clone()])
        .add_proposal(Proposal::PreSharedKey(Box::new(PreSharedKeyProposal::new(id))))
        .load_psks(provider.storage())
        .ok()?
        .use_ratchet_tree_extension(true)
        .build(provider.rand(), provider.crypto(), &LeafSigner(own.signing()), |_| true)
        .ok()?
        .stage_commit(provider)
        .ok()?
        .into_welcome_msg()?;
    group.merge_pending_commit(provider).ok()?;
    welcome.to_bytes().ok()
}

/// A Welcome within its bound, and nothing after it.
fn parse(bytes: &[u8]) -> Result<Welcome, JoinError> {
    if bytes.len() > MAX_WELCOME {
        return Err(JoinError::Length(bytes.len()));
    }
    let mut rest = bytes;
    let message = MlsMessageIn::tls_deserialize(&mut rest).map_err(|_| JoinError::Malformed)?;
    match message.extract() {
        MlsMessageBodyIn::Welcome(welcome) if rest.is_empty() => Ok(welcome),
        _ => Err(JoinError::Malformed),
    }
}

/// Takes a Welcome to a group of two in epoch 1, made by leaf 0 with exactly our pre-shared key.
fn accept(provider: &Provider<'_>, welcome: Welcome) -> Result<MlsGroup, JoinError> {
    if welcome.ciphersuite() != SUITE {
        return Err(JoinError::OtherGroup);
    }
    let builder = StagedWelcome::build_from_welcome(provider, &configuration(), welcome).map_err(refusal)?;
    match builder.processed_welcome().psks() {
        [id] if id.psk() == psk_id(Vec::new()).psk() => {}
        // openmls takes a Welcome without any: only who saw the invite may begin a session.
        _ => return Err(JoinError::WrongPsk),
    }
    let staged = builder.skip_lifetime_validation().build().map_err(refusal)?;
    let created_by = (staged.welcome_sender_index().u32(), staged.group_context().epoch().as_u64());
    if created_by != (0, 1) {
        return Err(JoinError::OtherGroup);
    }
    let group = staged.into_group(provider).map_err(refusal)?;
    if !is_group_of_two(&group) {
        return Err(JoinError::OtherGroup);
    }
    Ok(group)
}

/// How the pre-shared key is named within the group; the nonce is the creator's.
fn psk_id(nonce: Vec<u8>) -> PreSharedKeyId {
    PreSharedKeyId::external(PSK_ID.to_vec(), nonce)
}

/// What an error of openmls means for the caller.
fn refusal(error: WelcomeError<StorageError>) -> JoinError {
    match error {
        WelcomeError::NoMatchingKeyPackage
        | WelcomeError::JoinerSecretNotFound
        | WelcomeError::GroupSecrets(_) => JoinError::OtherKeyPackage,
        WelcomeError::GroupInfo(_) | WelcomeError::Psk(_) => JoinError::WrongPsk,
        WelcomeError::CiphersuiteMismatch | WelcomeError::UnsupportedCiphersuite(_) => JoinError::OtherGroup,
        _ => JoinError::Malformed,
    }
}
