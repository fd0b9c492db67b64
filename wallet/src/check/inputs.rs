//! Checking what a payment spends.

use std::collections::HashMap;

use super::own::{self, OwnScript};
use super::previous::Previous;
use super::rules::Rules;
use super::{CheckRefusal, MAX_INPUTS, Standing};
use crate::bitcoin::psbt::Input;
use crate::bitcoin::{EcdsaSighashType, OutPoint, Sequence, Transaction, TxIn, TxOut};

/// An input that is ours, with all that is needed to sign it.
pub(super) struct CheckedInput {
    /// The coin.
    pub(super) outpoint: OutPoint,
    /// Its amount and script, from the previous transaction whose id was verified.
    pub(super) txout: TxOut,
    /// The address of ours that the script belongs to.
    pub(super) own: OwnScript,
}

/// Checks every input; signatures are checked later, when the transaction is known to be worth it.
pub(super) fn check_all(
    rules: &Rules<'_>,
    tx: &Transaction,
    inputs: &[Input],
) -> Result<(Vec<CheckedInput>, Previous), CheckRefusal> {
    if tx.input.is_empty() {
        return Err(CheckRefusal::Empty("inputs"));
    }
    if tx.input.len() > MAX_INPUTS {
        return Err(CheckRefusal::too_many_inputs(tx.input.len()));
    }
    check_distinct(tx)?;
    let previous = Previous::of(tx, inputs)?;
    let pairs = tx.input.iter().zip(inputs).enumerate();
    let checked = pairs.map(|(input, (txin, fields))| check_one(rules, &previous, input, txin, fields));
    Ok((checked.collect::<Result<_, _>>()?, previous))
}

/// One coin, one input: the second would be refused by every node.
fn check_distinct(tx: &Transaction) -> Result<(), CheckRefusal> {
    let mut seen = HashMap::new();
    for (input, txin) in tx.input.iter().enumerate() {
        if let Some(first) = seen.insert(txin.previous_output, input) {
            return Err(CheckRefusal::DuplicateInput { input, first });
        }
    }
    Ok(())
}

/// The order is that of cost: what the bytes say, then the previous transaction, then the chain, then one derivation.
fn check_one(
    rules: &Rules<'_>,
    previous: &Previous,
    input: usize,
    txin: &TxIn,
    fields: &Input,
) -> Result<CheckedInput, CheckRefusal> {
    let outpoint = txin.previous_output;
    check_sequence(input, txin)?;
    check_fields(input, fields)?;
    // The signature of a segwit input covers its amount, but not those of the others: only full previous transactions
    // rule out that a lie about another input becomes a fee.
    let txout = previous
        .spent_by(input, txin)?
        .output
        .get(outpoint.vout as usize)
        .ok_or(CheckRefusal::NoSuchOutput { input, vout: outpoint.vout })?;
    check_witness_utxo(input, txout, fields)?;
    check_standing(rules, input, outpoint, txout)?;
    let own = own_input(rules, input, outpoint, txout, fields)?;
    if fields.witness_script.as_ref().is_some_and(|script| *script != own.witness_script) {
        return Err(CheckRefusal::WitnessScript { input });
    }
    Ok(CheckedInput { outpoint, txout: txout.clone(), own })
}

/// One sequence for all: replaceable (BIP-125), and without a relative lock (BIP-68) that would hold the
/// payment back or open the recovery branch.
fn check_sequence(input: usize, txin: &TxIn) -> Result<(), CheckRefusal> {
    if txin.sequence == Sequence::ENABLE_RBF_NO_LOCKTIME {
        return Ok(());
    }
    Err(CheckRefusal::Sequence { input, found: txin.sequence.to_consensus_u32() })
}

/// Only what a PSBT to be signed here may ask for: SIGHASH_ALL, no redeem script, nothing final.
fn check_fields(input: usize, fields: &Input) -> Result<(), CheckRefusal> {
    let all = EcdsaSighashType::All.to_u32();
    if let Some(asked) = fields.sighash_type.filter(|asked| asked.to_u32() != all) {
        return Err(CheckRefusal::Sighash { input, found: asked.to_u32() });
    }
    if fields.redeem_script.is_some() {
        return Err(CheckRefusal::RedeemScript { input });
    }
    if fields.final_script_sig.is_some() || fields.final_script_witness.is_some() {
        return Err(CheckRefusal::AlreadyFinal { input });
    }
    Ok(())
}

/// A copy that agrees with the previous transaction is superfluous; one that does not is a lie.
fn check_witness_utxo(input: usize, txout: &TxOut, fields: &Input) -> Result<(), CheckRefusal> {
    let Some(claimed) = &fields.witness_utxo else { return Ok(()) };
    if claimed.value != txout.value {
        return Err(CheckRefusal::LyingUtxo { input, field: "amount" });
    }
    if claimed.script_pubkey != txout.script_pubkey {
        return Err(CheckRefusal::LyingUtxo { input, field: "script" });
    }
    Ok(())
}

/// What this side knows of the coin; a device without a chain source knows nothing and says so.
fn check_standing(
    rules: &Rules<'_>,
    input: usize,
    outpoint: OutPoint,
    txout: &TxOut,
) -> Result<(), CheckRefusal> {
    match rules.view.standing(&outpoint) {
        Standing::Unspent(known) if known == *txout => Ok(()),
        Standing::Unspent(known) if known.value != txout.value => {
            Err(CheckRefusal::LyingUtxo { input, field: "amount" })
        }
        Standing::Unspent(_) => Err(CheckRefusal::LyingUtxo { input, field: "script" }),
        Standing::Immature => Err(CheckRefusal::ImmatureCoin { input }),
        Standing::Spent { by } => Err(CheckRefusal::SpentCoin { input, by }),
        Standing::Unknown => Err(CheckRefusal::UnknownCoin { input, outpoint }),
        Standing::Unwatched => Ok(()),
    }
}

/// The coin must be ours, at an address within the gap limit.
fn own_input(
    rules: &Rules<'_>,
    input: usize,
    outpoint: OutPoint,
    txout: &TxOut,
    fields: &Input,
) -> Result<OwnScript, CheckRefusal> {
    let claim = own::claim(rules.map, &fields.bip32_derivation, "input", input)?;
    let own = own::find(rules.map, rules.view, &txout.script_pubkey, &claim)
        .ok_or(CheckRefusal::ForeignInput { input, outpoint })?;
    let (keychain, index) = (own.keychain, own.index);
    if !own::within_gap(rules.view, keychain, index) {
        let last = rules.view.last_known(keychain);
        return Err(CheckRefusal::InputBeyondGap { input, keychain, index, last });
    }
    Ok(own)
}
