//! Checking where a payment goes.

use super::own::{self, Claim, OwnScript};
use super::rules::Rules;
use super::{CheckRefusal, MAX_OUTPUTS};
use crate::account::Keychain;
use crate::bitcoin::psbt::Output;
use crate::bitcoin::{Address, Amount, Transaction, TxOut};
use crate::payment::{Intent, Recipient};

/// An output whose owner is known: us, or somebody with an address that can be shown.
pub(super) struct CheckedOutput {
    pub(super) address: Address,
    pub(super) amount: Amount,
    pub(super) own: Option<OwnScript>,
}

pub(super) fn check_all(
    rules: &Rules<'_>,
    tx: &Transaction,
    outputs: &[Output],
) -> Result<Vec<CheckedOutput>, CheckRefusal> {
    if tx.output.is_empty() {
        return Err(CheckRefusal::Empty("outputs"));
    }
    if tx.output.len() > MAX_OUTPUTS {
        return Err(CheckRefusal::too_many_outputs(tx.output.len()));
    }
    let pairs = tx.output.iter().zip(outputs).enumerate();
    pairs.map(|(output, (txout, fields))| check_one(rules, output, txout, fields)).collect()
}

/// An output must have an address and be no dust (Bitcoin Core's relay rule).
fn check_one(
    rules: &Rules<'_>,
    output: usize,
    txout: &TxOut,
    fields: &Output,
) -> Result<CheckedOutput, CheckRefusal> {
    let address = Address::from_script(&txout.script_pubkey, rules.map.network())
        .map_err(|_| CheckRefusal::NoAddress { output })?;
    if txout.value < txout.script_pubkey.minimal_non_dust() {
        return Err(CheckRefusal::Dust { output, amount: txout.value });
    }
    let own = own_output(rules, output, txout, fields)?;
    Ok(CheckedOutput { address, amount: txout.value, own })
}

/// Ours only if the stored map derives the script. What claims to be ours and is not is refused rather than
/// shown as a payment: it is an attack, or a fault as bad as one.
fn own_output(
    rules: &Rules<'_>,
    output: usize,
    txout: &TxOut,
    fields: &Output,
) -> Result<Option<OwnScript>, CheckRefusal> {
    let claim = own::claim(rules.map, &fields.bip32_derivation, "output", output)?;
    let Some(own) = own::find(rules.map, rules.view, &txout.script_pubkey, &claim) else {
        return match claim {
            Claim::None => Ok(None),
            Claim::Foreign => Err(CheckRefusal::ForeignPath { output }),
            Claim::At(keychain, index) => Err(CheckRefusal::ForeignChange { output, keychain, index }),
        };
    };
    let (keychain, index) = (own.keychain, own.index);
    if !own::within_gap(rules.view, keychain, index) {
        let last = rules.view.last_known(keychain);
        return Err(CheckRefusal::ChangeBeyondGap { output, keychain, index, last });
    }
    Ok(Some(own))
}

/// Every recipient is paid once, exactly; what is left is at most one change output.
pub(super) fn check_intent(outputs: &[CheckedOutput], intent: &Intent) -> Result<(), CheckRefusal> {
    let mut left: Vec<usize> = (0..outputs.len()).collect();
    for (number, recipient) in intent.recipients().iter().enumerate() {
        let output = output_for(outputs, &left, number, recipient, intent.is_drain())?;
        left.retain(|other| *other != output);
    }
    let mut change_allowed = !intent.is_drain();
    for output in left {
        let checked = &outputs[output];
        match &checked.own {
            Some(own) if own.keychain == Keychain::Internal && change_allowed => change_allowed = false,
            Some(_) => return Err(CheckRefusal::UnexpectedChange { output }),
            None => {
                let (address, amount) = (checked.address.clone(), checked.amount);
                return Err(CheckRefusal::UnknownRecipient { output, address, amount });
            }
        }
    }
    Ok(())
}

/// The output that pays a recipient; the amount does not matter where all of the account is sent.
/// # Errors
/// [`CheckRefusal::AmountChanged`] where they are paid another amount, [`CheckRefusal::RecipientMissing`] where they are not
/// paid.
fn output_for(
    outputs: &[CheckedOutput],
    left: &[usize],
    number: usize,
    recipient: &Recipient,
    any_amount: bool,
) -> Result<usize, CheckRefusal> {
    let to_them = || left.iter().copied().filter(|output| outputs[*output].address == recipient.address);
    if let Some(exact) = to_them().find(|output| any_amount || outputs[*output].amount == recipient.amount) {
        return Ok(exact);
    }
    Err(match to_them().next() {
        Some(output) => CheckRefusal::AmountChanged {
            output,
            recipient: number,
            found: outputs[output].amount,
            agreed: recipient.amount,
        },
        None => CheckRefusal::RecipientMissing { recipient: number, address: recipient.address.clone() },
    })
}
