//! What holds for every signature, whoever asks for it.

use crate::bitcoin::{Amount, FeeRate};
use crate::rate::sat_per_vb;

/// All limits that one side, pod or device, holds a payment against. It keeps one, and hands it to every
/// [check](crate::check::Unchecked::check): a further limit is a field here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How much may go to miners.
    pub fees: FeeLimits,
}

impl Policy {
    /// What holds as long as the owner chose nothing else.
    pub const STANDARD: Self = Self { fees: FeeLimits::STANDARD };
}

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

impl FeeLimits {
    /// 0.01 BTC; 1,000 sat/vB (the highest rates ever needed stayed below); a tenth of the payment for fees
    /// above 0.0002 BTC (one input and two outputs, about 200 vB, at 100 sat/vB).
    pub const STANDARD: Self = Self {
        absolute: Amount::from_sat(1_000_000),
        rate: sat_per_vb(1_000),
        share_percent: 10,
        share_from: Amount::from_sat(20_000),
    };
}
