//! Checking what miners get.

use super::inputs::CheckedInput;
use super::outputs::CheckedOutput;
use super::rules::Rules;
use super::{CheckRefusal, MAX_WEIGHT};
use crate::account::{AccountMap, Keychain};
use crate::bitcoin::{Amount, FeeRate, Transaction, Weight};
use crate::payment::Intent;

/// The fee and the size it is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fee {
    pub(super) amount: Amount,
    /// Weight of the transaction with the largest signatures possible.
    pub(super) weight: Weight,
}

impl Fee {
    pub(super) fn rate(self) -> FeeRate {
        self.amount / self.weight
    }
}

pub(super) fn check(
    rules: &Rules<'_>,
    tx: &Transaction,
    inputs: &[CheckedInput],
    outputs: &[CheckedOutput],
) -> Result<Fee, CheckRefusal> {
    let spent = sum(inputs.iter().map(|input| input.txout.value), "inputs")?;
    let paid = sum(outputs.iter().map(|output| output.amount), "outputs")?;
    let amount = spent.checked_sub(paid).ok_or(CheckRefusal::Overspent { spent, paid })?;
    let weight = signed_weight(rules.map, tx);
    if weight.to_wu() > MAX_WEIGHT {
        return Err(CheckRefusal::TooHeavy(weight.to_wu()));
    }
    let fee = Fee { amount, weight };
    check_limits(rules, fee, outputs)?;
    if let Some(intent) = rules.intent {
        check_agreed(rules.map, fee, intent)?;
    }
    Ok(fee)
}

/// # Errors
/// [`CheckRefusal::AmountRange`] where they add up to more than 21 million bitcoin.
fn sum(mut amounts: impl Iterator<Item = Amount>, what: &'static str) -> Result<Amount, CheckRefusal> {
    amounts
        .try_fold(Amount::ZERO, |sum, amount| sum.checked_add(amount))
        .filter(|sum| *sum <= Amount::MAX_MONEY)
        .ok_or(CheckRefusal::AmountRange(what))
}

/// Largest weight the transaction can have when signed: marker and flag, and the largest witness of every input.
fn signed_weight(map: &AccountMap, tx: &Transaction) -> Weight {
    tx.weight() + Weight::from_wu(2) + witness_weight(map) * tx.input.len() as u64
}

/// The largest witness an input of the account can have (which includes the recovery branch; the members' is not
/// smaller by much), with the byte that counts its items: miniscript gives only what a signature adds to that.
#[expect(clippy::expect_used, reason = "scripts of checked account maps can be satisfied")]
fn witness_weight(map: &AccountMap) -> Weight {
    let satisfied = map.flat(Keychain::External).max_weight_to_satisfy();
    satisfied.expect("scripts of this kind can be satisfied") + Weight::from_wu(1)
}

///
/// Absolute, by rate, and as a share of what is paid; small fees are exempt from the last.
fn check_limits(rules: &Rules<'_>, fee: Fee, outputs: &[CheckedOutput]) -> Result<(), CheckRefusal> {
    let limits = &rules.policy.fees;
    if fee.amount > limits.absolute {
        return Err(CheckRefusal::FeeAbsolute { fee: fee.amount, most: limits.absolute });
    }
    if fee.rate() > limits.rate {
        return Err(CheckRefusal::FeeRate { rate: fee.rate(), most: limits.rate });
    }
    let to_others = || outputs.iter().filter(|output| output.own.is_none()).map(|output| output.amount);
    // A payment to ourselves (consolidation) is measured on what it moves.
    let paid: Amount =
        if to_others().next().is_some() { to_others().sum() } else { outputs.iter().map(|o| o.amount).sum() };
    let percent = limits.share_percent;
    let share = u128::from(paid.to_sat()) * u128::from(percent) / 100;
    if fee.amount > limits.share_from && u128::from(fee.amount.to_sat()) > share {
        return Err(CheckRefusal::FeeShare { fee: fee.amount, paid, percent });
    }
    Ok(())
}

/// The agreed rate on the largest size, and what change too small to keep may add: an output of 43 vB, an input
/// of 41 vB and its witness to spend it later, and the dust limit below which it cannot exist (330 sat for
/// P2WSH).
fn check_agreed(map: &AccountMap, fee: Fee, intent: &Intent) -> Result<(), CheckRefusal> {
    let change = Weight::from_vb_unchecked(43 + 41) + witness_weight(map);
    let most = intent
        .fee_rate()
        .fee_wu(fee.weight + change)
        .and_then(|most| most.checked_add(Amount::from_sat(330)))
        .unwrap_or(Amount::MAX_MONEY);
    if fee.amount > most {
        return Err(CheckRefusal::FeeAboveAgreed { fee: fee.amount, most });
    }
    Ok(())
}
