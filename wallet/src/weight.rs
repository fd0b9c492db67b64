//! How heavy a payment of an account is, and what it pays for that: one arithmetic for the builder and the checker.
//!
//! **The rule of the fee**: the rate times the largest weight that the signed transaction can have, rounded up to the
//! next satoshi. Where change would not be worth its output and its later spending, it is left out, and what would have
//! been change goes to the fee as well: see [`Scale::least_change`].

use crate::account::{AccountMap, Keychain};
use crate::bitcoin::{Amount, FeeRate, Transaction, TxOut, VarInt, Weight};
use crate::rate::sat_per_vb;

/// What a coin left for later is taken to cost when it is spent: the rate below which Bitcoin Core considers joining
/// coins (`DEFAULT_CONSOLIDATE_FEERATE` in its `wallet/wallet.h`, 10,000 satoshi a kvB).
pub const LONG_TERM_FEE_RATE: FeeRate = sat_per_vb(10);

/// Version and lock time: 4 bytes each at 4 units, and the 2 units of marker and flag (BIP-144).
const FRAME: Weight = Weight::from_wu(4 * (4 + 4) + 2);

/// Outpoint, empty `scriptSig` with its length, and sequence of an input: 36 + 1 + 4 bytes at 4 units.
const INPUT_BASE: Weight = Weight::from_wu(4 * (36 + 1 + 4));

/// A P2WSH output: 8 bytes of amount, 1 of length, 34 of script, at 4 units.
const CHANGE_OUTPUT: Weight = Weight::from_wu(4 * (8 + 1 + 34));

/// Dust limit of a P2WSH output (Bitcoin Core's relay rule).
const CHANGE_DUST: Amount = Amount::from_sat(330);

/// The outputs of a payment, for its weight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outputs {
    count: usize,
    weight: Weight,
}

impl Outputs {
    pub(crate) fn of(weights: impl IntoIterator<Item = Weight>) -> Self {
        let none = Self { count: 0, weight: Weight::ZERO };
        weights.into_iter().fold(none, |all, one| Self { count: all.count + 1, weight: all.weight + one })
    }

    /// These and one change output.
    pub(crate) fn with_change(self) -> Self {
        Self { count: self.count + 1, weight: self.weight + CHANGE_OUTPUT }
    }
}

/// The weight of an account's payments: all its inputs weigh the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Largest weight of an input of the account.
    pub(crate) input: Weight,
}

impl Scale {
    pub(crate) fn of(map: &AccountMap) -> Self {
        Self { input: INPUT_BASE + witness(map) }
    }

    /// Largest weight that a transaction of so many inputs can have when it is signed.
    pub(crate) fn of_parts(self, inputs: usize, outputs: Outputs) -> Weight {
        FRAME + count(inputs) + self.input * inputs as u64 + count(outputs.count) + outputs.weight
    }

    /// Largest weight that a transaction which spends coins of the account can have when it is signed.
    pub(crate) fn signed(self, tx: &Transaction) -> Weight {
        self.of_parts(tx.input.len(), Outputs::of(tx.output.iter().map(TxOut::weight)))
    }

    /// The least that change must be worth to be made: what it will cost to spend it at [`LONG_TERM_FEE_RATE`], and no
    /// less than nodes relay.
    pub(crate) fn least_change(self) -> Amount {
        self.later().max(CHANGE_DUST)
    }

    /// What a coin left for later will cost.
    pub(crate) fn later(self) -> Amount {
        fee(LONG_TERM_FEE_RATE, self.input)
    }

    /// The most that a payment at this rate may cost: the rate on its weight, and, where it has no change, less than
    /// change would have taken.
    pub(crate) fn highest_fee(self, rate: FeeRate, weight: Weight) -> Amount {
        fee(rate, weight + CHANGE_OUTPUT).checked_add(self.least_change()).unwrap_or(Amount::MAX_MONEY)
    }
}

/// What a transaction of this weight pays at a rate: rounded up. All money where it is more than that.
pub(crate) fn fee(rate: FeeRate, weight: Weight) -> Amount {
    rate.fee_wu(weight).unwrap_or(Amount::MAX_MONEY)
}

/// The largest witness an input of the account can have (which includes the recovery branch; the members' is not
/// smaller by much), with the byte that counts its items: miniscript gives only what a signature adds to that.
#[expect(clippy::expect_used, reason = "scripts of checked account maps can be satisfied")]
fn witness(map: &AccountMap) -> Weight {
    let satisfied = map.flat(Keychain::External).max_weight_to_satisfy();
    satisfied.expect("scripts of this kind can be satisfied") + Weight::from_wu(1)
}

/// The number that stands before inputs or outputs.
fn count(of: usize) -> Weight {
    Weight::from_wu(4 * VarInt::from(of).size() as u64)
}
