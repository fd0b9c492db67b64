//! Limits that hold for every signature, and the record that one leaves behind.

use serde::{Deserialize, Serialize};

use crate::account::AccountId;
use crate::bitcoin::{Amount, FeeRate, Txid};

/// How much of a payment may go to miners. All of them hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeLimits {
    /// Never more than this.
    pub absolute: Amount,
    /// Never a higher rate, on the largest size the signed transaction can have.
    pub rate: FeeRate,
    /// Never more than this part of what is paid to others, in percent ...
    pub share_percent: u64,
    /// ... once the fee is above this: small payments may cost more than they carry.
    pub share_from: Amount,
}

impl Default for FeeLimits {
    /// 0.01 BTC; 1,000 sat/vB (the highest rates ever needed stayed below); a tenth of the payment for fees
    /// above 0.0002 BTC (one input and two outputs, about 200 vB, at 100 sat/vB).
    fn default() -> Self {
        Self {
            absolute: Amount::from_sat(1_000_000),
            rate: FeeRate::from_sat_per_vb_u32(1_000),
            share_percent: 10,
            share_from: Amount::from_sat(20_000),
        }
    }
}

/// One payment, as spending limits count it. Committed **before** the signature leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debit {
    /// The account that pays.
    pub account: AccountId,
    /// The transaction.
    pub txid: Txid,
    /// What others receive.
    #[serde(with = "crate::bitcoin::amount::serde::as_sat")]
    pub amount: Amount,
    /// What miners receive.
    #[serde(with = "crate::bitcoin::amount::serde::as_sat")]
    pub fee: Amount,
    /// Height of the pod's own chain when it signed: the clock of all rolling limits.
    pub height: u32,
}
