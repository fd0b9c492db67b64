//! Signing, taking others' signatures, and the finished transaction.

use core::fmt;

use super::own::OwnScript;
use super::{CheckRefusal, Summary, Unchecked, signatures};
use crate::account::{AccountMap, Member, MemberLabel};
use crate::bitcoin::ecdsa::Signature;
use crate::bitcoin::sighash::SighashCache;
use crate::bitcoin::{Amount, EcdsaSighashType, Psbt, Transaction};
use crate::keys::AccountKey;
use crate::miniscript::psbt::PsbtExt;

/// An approved payment on its way to enough signatures.
#[must_use = "a signature counts only once it is sent on or the payment is finalised"]
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

    /// The members who have signed every input, in the order of the account map.
    pub fn signers(&self) -> Vec<MemberLabel> {
        signers(&self.map, &self.psbt, &self.own)
    }

    /// Whether [`Signed::finalise`] has all it needs.
    pub fn is_complete(&self) -> bool {
        let needed = self.map.threshold();
        satisfied(&self.map, &self.psbt, &self.own).all(|members| members.len() >= needed)
    }

    /// Takes the signatures of others, and nothing else, from their copy of the PSBT.
    ///
    /// # Errors
    /// [`CheckRefusal::DifferentTransaction`], [`CheckRefusal::UnknownSigner`], [`CheckRefusal::SignatureSighash`],
    /// [`CheckRefusal::BadSignature`]. On any of them nothing is taken.
    pub fn merge(&mut self, theirs: &Unchecked<Psbt>) -> Result<(), CheckRefusal> {
        let theirs = theirs.psbt();
        if theirs.unsigned_tx != self.psbt.unsigned_tx {
            let found = theirs.unsigned_tx.compute_txid();
            return Err(CheckRefusal::DifferentTransaction { found, approved: self.summary.txid });
        }
        let mut cache = SighashCache::new(&self.psbt.unsigned_tx);
        for (input, (fields, (own, amount))) in theirs.inputs.iter().zip(&self.own).enumerate() {
            let message = signatures::sighash(&mut cache, input, own, *amount);
            signatures::verify(&self.map, input, own, &message, &fields.partial_sigs)?;
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
    /// [`CheckRefusal::MissingSignatures`]; [`CheckRefusal::Finalise`] would mean a fault in this crate.
    pub fn finalise(self) -> Result<Transaction, CheckRefusal> {
        let needed = self.map.threshold();
        for (input, members) in satisfied(&self.map, &self.psbt, &self.own).enumerate() {
            let found = members.len();
            if found < needed {
                return Err(CheckRefusal::MissingSignatures { input, found, needed });
            }
        }
        let mut psbt = self.psbt;
        psbt.finalize_mut(crate::secp()).map_err(|errors| {
            CheckRefusal::Finalise(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?;
        let tx = psbt.extract(crate::secp()).map_err(|error| CheckRefusal::Finalise(error.to_string()))?;
        if tx.compute_txid() != self.summary.txid {
            return Err(CheckRefusal::NotWhatWasShown);
        }
        Ok(tx)
    }

    /// Signs every input, with the key derived along the branch meant and no other.
    ///
    /// # Errors
    /// [`CheckRefusal::NotAMember`] where the key is not one of the map's, or gives another key at some address. Nothing
    /// is signed then.
    pub(super) fn add(&mut self, key: &AccountKey) -> Result<(), CheckRefusal> {
        let not_a_member = CheckRefusal::NotAMember(key.public().fingerprint());
        let Some(member) = self.map.member_with(key.public()) else { return Err(not_a_member) };
        let secp = crate::secp();
        let mut cache = SighashCache::new(&self.psbt.unsigned_tx);
        let mut made = Vec::with_capacity(self.own.len());
        for (input, (own, amount)) in self.own.iter().enumerate() {
            let secret = key.child(secp, own.keychain.step(), own.index);
            let public = crate::bitcoin::PublicKey::new(secret.0.public_key(secp));
            if own.member_with(&self.map, &public) != Some(member) {
                return Err(not_a_member);
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

/// The members who have signed every input.
pub(super) fn signers(map: &AccountMap, psbt: &Psbt, own: &[(OwnScript, Amount)]) -> Vec<MemberLabel> {
    let mut signed: Vec<&Member> = map.members().iter().collect();
    for members in satisfied(map, psbt, own) {
        signed.retain(|member| members.contains(member));
    }
    signed.into_iter().map(|member| member.label.clone()).collect()
}

/// The members who have signed, input by input: a member of several keys once enough of them have.
fn satisfied<'a>(
    map: &'a AccountMap,
    psbt: &'a Psbt,
    own: &'a [(OwnScript, Amount)],
) -> impl Iterator<Item = Vec<&'a Member>> {
    psbt.inputs.iter().zip(own).map(|(fields, (own, _))| {
        own.satisfied(map.members(), |key| fields.partial_sigs.contains_key(key)).collect()
    })
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("txid", &self.summary.txid)
            .field("signers", &self.signers())
            .finish_non_exhaustive()
    }
}
