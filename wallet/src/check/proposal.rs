//! What is shown, and the promise that it is what gets signed.

use core::fmt;

use super::own::OwnScript;
use super::signed::Signed;
use super::{CheckRefusal, Digest, Summary};
use crate::account::{AccountMap, MemberLabel};
use crate::bitcoin::{Amount, Psbt};
use crate::keys::AccountKey;

/// A payment that passed the check and waits for approval. Immutable.
#[must_use = "a checked payment is not approved yet"]
pub struct Proposal {
    map: AccountMap,
    psbt: Psbt,
    own: Vec<(OwnScript, Amount)>,
    summary: Summary,
}

impl Proposal {
    pub(super) fn new(map: AccountMap, psbt: Psbt, own: Vec<(OwnScript, Amount)>, summary: Summary) -> Self {
        Self { map, psbt, own, summary }
    }

    /// What to show and to decide on.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The checked PSBT, to be sent on: rebuilt from verified parts.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.psbt.serialize()
    }

    /// The members who have already signed every input, in the order of the account map.
    pub fn signers(&self) -> Vec<MemberLabel> {
        super::signed::signers(&self.map, &self.psbt, &self.own)
    }

    /// Approves the payment, by the digest of the summary that was shown (or decided on).
    ///
    /// # Errors
    /// [`CheckRefusal::NotWhatWasShown`] when the digest is another's.
    pub fn approve(self, shown: &Digest) -> Result<Approved, CheckRefusal> {
        if self.summary.digest() == *shown { Ok(Approved(self)) } else { Err(CheckRefusal::NotWhatWasShown) }
    }
}

/// A payment that a human or a policy approved, and that cannot change any more.
#[must_use = "an approved payment is not signed yet"]
pub struct Approved(Proposal);

impl Approved {
    /// What was approved.
    pub fn summary(&self) -> &Summary {
        &self.0.summary
    }

    /// Signs every input with the member's key of its address: SIGHASH_ALL, members' branch only.
    /// Commit what spending limits count of the payment before the signature leaves.
    ///
    /// # Errors
    /// [`CheckRefusal::NotAMember`] when the key is not the one in the account map.
    pub fn sign(self, key: &AccountKey) -> Result<Signed, CheckRefusal> {
        let mut signed = self.collect();
        signed.add(key)?;
        Ok(signed)
    }

    /// Goes on without signing here, to collect the signatures of others.
    pub fn collect(self) -> Signed {
        let Proposal { map, psbt, own, summary } = self.0;
        Signed::new(map, psbt, own, summary)
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proposal").field("txid", &self.summary.txid).finish_non_exhaustive()
    }
}

impl fmt::Debug for Approved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Approved").field("txid", &self.0.summary.txid).finish_non_exhaustive()
    }
}
