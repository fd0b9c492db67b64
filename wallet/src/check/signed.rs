//! Signing, taking others' signatures, and the finished transaction.

use core::fmt;

use super::own::OwnScript;
use super::proposal::Summary;
use super::{Refusal, Unchecked, signatures};
use crate::account::{AccountMap, THRESHOLD};
use crate::bitcoin::ecdsa::Signature;
use crate::bitcoin::sighash::SighashCache;
use crate::bitcoin::{Amount, EcdsaSighashType, Psbt, Transaction};
use crate::keys::{AccountKey, Role};
use crate::miniscript::psbt::PsbtExt;

/// An approved payment on its way to enough signatures.
pub struct Signed {
    map: AccountMap,
    psbt: Psbt,
    own: Vec<(OwnScript, Amount)>,
    summary: Summary,
}

impl Signed {
    pub(super) fn new(map: AccountMap, psbt: Psbt, own: Vec<(OwnScript, Amount)>, summary: Summary) -> Self {
        Self { map, psbt, own, summary }
    }

    /// What was approved.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The PSBT with the signatures so far, for the other signers.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.psbt.serialize()
    }

    /// Who has signed every input.
    pub fn signers(&self) -> Vec<Role> {
        signers(&self.psbt, &self.own)
    }

    /// Whether [`Signed::finalise`] has all it needs.
    pub fn is_complete(&self) -> bool {
        self.psbt.inputs.iter().all(|input| input.partial_sigs.len() >= usize::from(THRESHOLD))
    }

    /// Takes the signatures of others, and nothing else, from their copy of the PSBT.
    ///
    /// # Errors
    /// [`Refusal::DifferentTransaction`], [`Refusal::UnknownSigner`], [`Refusal::SignatureSighash`],
    /// [`Refusal::BadSignature`]. On any of them nothing is taken.
    pub fn merge(&mut self, theirs: &Unchecked<Psbt>) -> Result<(), Refusal> {
        let theirs = theirs.psbt();
        if theirs.unsigned_tx != self.psbt.unsigned_tx {
            let found = theirs.unsigned_tx.compute_txid();
            return Err(Refusal::DifferentTransaction { found, approved: self.summary.txid });
        }
        let mut cache = SighashCache::new(&self.psbt.unsigned_tx);
        for (input, (fields, (own, amount))) in theirs.inputs.iter().zip(&self.own).enumerate() {
            let message = signatures::sighash(&mut cache, input, own, *amount);
            signatures::verify(input, own, &message, &fields.partial_sigs)?;
        }
        for (ours, theirs) in self.psbt.inputs.iter_mut().zip(&theirs.inputs) {
            for (key, signature) in &theirs.partial_sigs {
                // Both are valid; keeping the first makes repeats harmless.
                ours.partial_sigs.entry(*key).or_insert(*signature);
            }
        }
        Ok(())
    }

    /// Completes the transaction. miniscript's interpreter runs every script with its signatures.
    ///
    /// # Errors
    /// [`Refusal::MissingSignatures`]; [`Refusal::Finalise`] would mean a fault in this crate.
    pub fn finalise(self) -> Result<Transaction, Refusal> {
        for (input, fields) in self.psbt.inputs.iter().enumerate() {
            let found = fields.partial_sigs.len();
            if found < usize::from(THRESHOLD) {
                return Err(Refusal::MissingSignatures { input, found });
            }
        }
        let mut psbt = self.psbt;
        psbt.finalize_mut(crate::secp()).map_err(|errors| {
            Refusal::Finalise(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?;
        let tx = psbt.extract(crate::secp()).map_err(|error| Refusal::Finalise(error.to_string()))?;
        if tx.compute_txid() != self.summary.txid {
            return Err(Refusal::NotWhatWasShown);
        }
        Ok(tx)
    }

    /// Signs every input, with the key derived along the branch meant and no other.
    pub(super) fn add(&mut self, key: &AccountKey) -> Result<(), Refusal> {
        let role = key.public().role();
        if self.map.key(role) != key.public() {
            return Err(Refusal::NotAMember(role));
        }
        let secp = crate::secp();
        let mut cache = SighashCache::new(&self.psbt.unsigned_tx);
        let mut made = Vec::with_capacity(self.own.len());
        for (input, (own, amount)) in self.own.iter().enumerate() {
            let secret = key.child(secp, own.keychain.step(), own.index);
            let public = crate::bitcoin::PublicKey::new(secret.0.public_key(secp));
            if own.role_of(&public) != Some(role) {
                return Err(Refusal::NotAMember(role));
            }
            let message = signatures::sighash(&mut cache, input, own, *amount);
            // Low R: one byte less, as Bitcoin Core does it. Deterministic (RFC 6979).
            let signature = secp.sign_ecdsa_low_r(&message, &secret.0);
            made.push((public, Signature { signature, sighash_type: EcdsaSighashType::All }));
        }
        for (fields, (public, signature)) in self.psbt.inputs.iter_mut().zip(made) {
            fields.partial_sigs.insert(public, signature);
        }
        Ok(())
    }
}

/// Members whose signature is on every input.
pub(super) fn signers(psbt: &Psbt, own: &[(OwnScript, Amount)]) -> Vec<Role> {
    let signed_all = |role: &Role| {
        psbt.inputs
            .iter()
            .zip(own)
            .all(|(fields, (own, _))| fields.partial_sigs.keys().any(|key| own.role_of(key) == Some(*role)))
    };
    [Role::P, Role::R, Role::G].into_iter().filter(signed_all).collect()
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("txid", &self.summary.txid)
            .field("signers", &self.signers())
            .finish_non_exhaustive()
    }
}
