//! The check itself: from [`Unchecked`] to [`Proposal`].

use super::inputs::{self, CheckedInput};
use super::outputs::{self, CheckedOutput};
use super::previous::{self, Previous};
use super::{CheckRefusal, CoinView, LOCK_TIME_SLACK, Proposal, Summary, Unchecked, fees, signatures};
use crate::account::AccountMap;
use crate::bitcoin::sighash::SighashCache;
use crate::bitcoin::{Psbt, Transaction, absolute, psbt, transaction};
use crate::payment::Intent;
use crate::policy::Policy;

/// What the PSBT is held against.
pub(super) struct Rules<'a> {
    /// The stored map, never one that came with the payment.
    pub(super) map: &'a AccountMap,
    /// What this side knows of coins and addresses.
    pub(super) view: &'a dyn CoinView,
    /// Limits that hold for every signature.
    pub(super) policy: &'a Policy,
    /// What a human wanted paid, where somebody typed it.
    pub(super) intent: Option<&'a Intent>,
}

impl Unchecked<Psbt> {
    /// Holds the PSBT against the stored account map, what this side knows of its coins, its policy and, if there
    /// is one, what a human wanted paid.
    ///
    /// Without an intent the outputs are anyone's: then a human must see the [`Summary`] before approving, or a
    /// policy decide on it.
    ///
    /// # Errors
    /// The first rule that is broken, with the input or output that breaks it.
    pub fn check(
        self,
        map: &AccountMap,
        view: &dyn CoinView,
        policy: &Policy,
        intent: Option<&Intent>,
    ) -> Result<Proposal, CheckRefusal> {
        let rules = Rules { map, view, policy, intent };
        let psbt = self.into_inner();
        let tx = &psbt.unsigned_tx;
        check_whole(&rules, tx)?;
        let (inputs, previous) = inputs::check_all(&rules, tx, &psbt.inputs)?;
        let outputs = outputs::check_all(&rules, tx, &psbt.outputs)?;
        if let Some(intent) = intent {
            outputs::check_intent(&outputs, intent)?;
        }
        let fee = fees::check(&rules, tx, &inputs, &outputs)?;
        check_signatures(map, tx, &psbt.inputs, &inputs)?;
        let summary = Summary::of(map, tx, &inputs, &outputs, fee);
        let clean = rebuild(map, psbt, &previous, &inputs, &outputs)?;
        let own = inputs.into_iter().map(|input| (input.own, input.txout.value)).collect();
        Ok(Proposal::new(map.clone(), clean, own, summary))
    }
}

/// What concerns the transaction as a whole: network, version, lock time.
fn check_whole(rules: &Rules<'_>, tx: &Transaction) -> Result<(), CheckRefusal> {
    if let Some(intent) = rules.intent.filter(|intent| intent.network() != rules.map.network()) {
        let account = rules.map.network();
        return Err(CheckRefusal::WrongNetwork { intent: intent.network(), account });
    }
    if tx.version != transaction::Version::TWO {
        return Err(CheckRefusal::TxVersion(tx.version.0));
    }
    let height = rules.view.height();
    let in_time = match tx.lock_time {
        absolute::LockTime::Blocks(lock) => {
            height.is_none_or(|height| lock.to_consensus_u32() <= height.saturating_add(LOCK_TIME_SLACK))
        }
        // Never written by our builder, and no pure check can compare it with a clock.
        absolute::LockTime::Seconds(_) => false,
    };
    if in_time {
        Ok(())
    } else {
        Err(CheckRefusal::LockTime { found: tx.lock_time.to_consensus_u32(), height })
    }
}

fn check_signatures(
    map: &AccountMap,
    tx: &Transaction,
    fields: &[psbt::Input],
    inputs: &[CheckedInput],
) -> Result<(), CheckRefusal> {
    let mut cache = SighashCache::new(tx);
    for (input, (fields, checked)) in fields.iter().zip(inputs).enumerate() {
        if !fields.partial_sigs.is_empty() {
            let message = signatures::sighash(&mut cache, input, &checked.own, checked.txout.value);
            signatures::verify(map, input, &checked.own, &message, &fields.partial_sigs)?;
        }
    }
    Ok(())
}

/// A PSBT made of verified parts only. Everything else that came along is left behind with the old one.
fn rebuild(
    map: &AccountMap,
    received: Psbt,
    previous: &Previous,
    inputs: &[CheckedInput],
    outputs: &[CheckedOutput],
) -> Result<Psbt, CheckRefusal> {
    let mut clean = Psbt::from_unsigned_tx(received.unsigned_tx)
        .map_err(|error| CheckRefusal::Malformed(error.to_string()))?;
    for ((field, old), checked) in clean.inputs.iter_mut().zip(received.inputs).zip(inputs) {
        field.witness_utxo = Some(checked.txout.clone());
        field.witness_script = Some(checked.own.witness_script.clone());
        field.bip32_derivation = checked.own.hints(map);
        field.partial_sigs = old.partial_sigs;
    }
    previous::attach(&mut clean, |txid| previous.get(txid));
    for (field, checked) in clean.outputs.iter_mut().zip(outputs) {
        if let Some(own) = &checked.own {
            field.witness_script = Some(own.witness_script.clone());
            field.bip32_derivation = own.hints(map);
        }
    }
    Ok(clean)
}
