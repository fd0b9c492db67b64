//! Signatures of others: verified one by one against our own sighash, or refused.

use std::collections::BTreeMap;

use super::CheckRefusal;
use super::own::OwnScript;
use crate::account::AccountMap;
use crate::bitcoin::ecdsa::Signature;
use crate::bitcoin::secp256k1::Message;
use crate::bitcoin::sighash::SighashCache;
use crate::bitcoin::{Amount, EcdsaSighashType, PublicKey, Transaction};

/// PSBT field `partial_sigs`.
pub(super) type PartialSigs = BTreeMap<PublicKey, Signature>;

/// What an input's signatures must cover (BIP-143, SIGHASH_ALL).
#[expect(clippy::expect_used, reason = "the input exists, and SIGHASH_ALL needs nothing else")]
pub(super) fn sighash(
    cache: &mut SighashCache<&Transaction>,
    input: usize,
    own: &OwnScript,
    amount: Amount,
) -> Message {
    let hash = cache
        .p2wsh_signature_hash(input, &own.witness_script, amount, EcdsaSighashType::All)
        .expect("the input exists, and SIGHASH_ALL needs nothing else");
    Message::from(hash)
}

/// Checks the signatures found on one input.
///
/// # Errors
/// Any signature that is not a member's, not SIGHASH_ALL or not valid refuses the whole PSBT: dropping it
/// quietly would leave the sender believing it had signed.
///
/// A signature is held against the key that the map derives for that address, so one of another address or branch
/// does not count.
pub(super) fn verify(
    map: &AccountMap,
    input: usize,
    own: &OwnScript,
    message: &Message,
    found: &PartialSigs,
) -> Result<(), CheckRefusal> {
    for (key, signature) in found {
        let member = own.member_with(map, key).ok_or(CheckRefusal::UnknownSigner { input, key: *key })?;
        if signature.sighash_type != EcdsaSighashType::All {
            let found = signature.sighash_type.to_u32();
            return Err(CheckRefusal::SignatureSighash { input, key: *key, found });
        }
        crate::secp()
            .verify_ecdsa(message, &signature.signature, &key.inner)
            .map_err(|_| CheckRefusal::BadSignature { input, member: member.label.clone() })?;
    }
    Ok(())
}
