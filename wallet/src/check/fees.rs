//! Checking what miners get.

use super::inputs::CheckedInput;
use super::outputs::CheckedOutput;
use super::rules::Rules;
use super::{CheckRefusal, MAX_WEIGHT};
use crate::bitcoin::{Amount, FeeRate, Transaction, Weight};
use crate::weight::{self, Scale};

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
    let scale = Scale::of(rules.map);
    let spent = sum(inputs.iter().map(|input| input.txout.value), "inputs")?;
    let paid = sum(outputs.iter().map(|output| output.amount), "outputs")?;
    let amount = spent.checked_sub(paid).ok_or(CheckRefusal::Overspent { spent, paid })?;
    let weight = scale.signed(tx);
    if weight.to_wu() > MAX_WEIGHT {
        return Err(CheckRefusal::TooHeavy(weight.to_wu()));
    }
    let fee = Fee { amount, weight };
    check_limits(rules, scale, fee, outputs)?;
    if let Some(intent) = rules.intent {
        let has_change = outputs.len() > intent.recipients().len();
        check_agreed(scale, fee, intent.fee_rate(), has_change)?;
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

/// Absolute, by rate, and as a share of what is paid; small fees are exempt from the last.
fn check_limits(
    rules: &Rules<'_>,
    scale: Scale,
    fee: Fee,
    outputs: &[CheckedOutput],
) -> Result<(), CheckRefusal> {
    let limits = &rules.policy.fees;
    if fee.amount > limits.absolute {
        return Err(CheckRefusal::FeeAbsolute { fee: fee.amount, most: limits.absolute });
    }
    // A payment at the highest rate may leave its change to the fee, as any other.
    if fee.amount > scale.highest_fee(limits.rate, fee.weight) {
        return Err(CheckRefusal::FeeRate { rate: fee.rate(), most: limits.rate });
    }
    let to_others = || outputs.iter().filter(|output| output.own.is_none()).map(|output| output.amount);
    // A payment to ourselves (consolidation) is measured on what it moves.
    let to_whom = |output: &CheckedOutput| output.own.is_none() || to_others().next().is_none();
    let paid = sum(outputs.iter().filter(|output| to_whom(output)).map(|output| output.amount), "outputs")?;
    let percent = limits.share_percent;
    let share = u128::from(paid.to_sat()) * u128::from(percent) / 100;
    if fee.amount > limits.share_from && u128::from(fee.amount.to_sat()) > share {
        return Err(CheckRefusal::FeeShare { fee: fee.amount, paid, percent });
    }
    Ok(())
}

/// No less than the agreed rate on the largest size, with which nobody would wait longer than was agreed; and no more, but for
/// change too small to keep, where none is made.
fn check_agreed(scale: Scale, fee: Fee, rate: FeeRate, has_change: bool) -> Result<(), CheckRefusal> {
    let least = weight::fee(rate, fee.weight);
    let most = if has_change { least } else { scale.highest_fee(rate, fee.weight) };
    if fee.amount > most {
        return Err(CheckRefusal::FeeAboveAgreed { fee: fee.amount, most });
    }
    if fee.amount < least {
        return Err(CheckRefusal::FeeBelowAgreed { fee: fee.amount, least });
    }
    Ok(())
}
