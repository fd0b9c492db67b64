//! What openmls is lent for one operation: primitives, randomness, a place for its entities, a signature key.
//!
//! openmls takes everything by shared reference and keeps nothing: what it may change lies behind cells that live for
//! one operation. Randomness is lent only to operations that need it, so one that should not draw any fails if it
//! does.

use std::cell::RefCell;

use ed25519_dalek::{Signer as _, SigningKey};
use openmls_libcrux_crypto::CryptoProvider;
use openmls_traits::OpenMlsProvider;
use openmls_traits::random::OpenMlsRand;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use rand_core::CryptoRngCore;

use super::storage::{Entities, Storage};

/// Lent for one operation, so that nothing behind a cell lives longer than that.
pub(super) struct Provider<'a> {
    /// The primitives (libcrux); made once for a session.
    crypto: &'a CryptoProvider,
    /// The caller's generator, or none.
    rng: LentRng<'a>,
    /// The entities of the one group.
    storage: Storage<'a>,
}

impl<'a> Provider<'a> {
    /// For what draws randomness: creating, sealing, committing.
    pub(super) fn new(
        crypto: &'a CryptoProvider,
        rng: &'a mut dyn CryptoRngCore,
        entities: &'a mut Entities,
    ) -> Self {
        Self { crypto, rng: LentRng(RefCell::new(Some(rng))), storage: Storage::new(entities) }
    }

    /// For what draws no randomness: joining, loading, opening.
    pub(super) fn without_rng(crypto: &'a CryptoProvider, entities: &'a mut Entities) -> Self {
        Self { crypto, rng: LentRng(RefCell::new(None)), storage: Storage::new(entities) }
    }
}

impl<'a> OpenMlsProvider for Provider<'a> {
    type CryptoProvider = CryptoProvider;
    type RandProvider = LentRng<'a>;
    type StorageProvider = Storage<'a>;

    fn storage(&self) -> &Storage<'a> {
        &self.storage
    }

    fn crypto(&self) -> &CryptoProvider {
        self.crypto
    }

    fn rand(&self) -> &LentRng<'a> {
        &self.rng
    }
}

/// The caller's generator behind the shared reference that openmls wants.
pub(super) struct LentRng<'a>(RefCell<Option<&'a mut dyn CryptoRngCore>>);

/// No randomness where some is needed: the generator failed, or none was lent.
#[derive(Debug, thiserror::Error)]
#[error("no randomness")]
pub(super) struct NoRandomness;

impl LentRng<'_> {
    /// Fails where no generator was lent, or the generator itself fails.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        let mut lent = self.0.borrow_mut();
        lent.as_mut().ok_or(NoRandomness)?.try_fill_bytes(bytes).map_err(|_| NoRandomness)
    }
}

impl OpenMlsRand for LentRng<'_> {
    type Error = NoRandomness;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], NoRandomness> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, NoRandomness> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

/// The signature key of one contact.
///
/// Ed25519 (RFC 8032), as the suite says. Each contact has a key of its own.
pub(super) struct LeafSigner<'a>(pub(super) &'a SigningKey);

impl Signer for LeafSigner<'_> {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
