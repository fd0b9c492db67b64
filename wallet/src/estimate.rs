//! How long until the first confirmation.

use crate::bitcoin::FeeRate;

/// Minutes between blocks, on average.
pub const MINUTES_PER_BLOCK: u32 = 10;

/// One answer of a node's `estimatesmartfee`: this rate was enough for this many blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeBucket {
    /// Confirmation target asked for, in blocks.
    pub blocks: u16,
    /// The rate the node names for it.
    pub rate: FeeRate,
}

/// When a payment may be expected in a block. An expectation, never a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "estimate", rename_all = "kebab-case")]
pub enum Estimate {
    /// Likely within this many blocks.
    Within {
        /// Blocks from now.
        blocks: u16,
        /// The same in minutes, at ten a block.
        minutes: u32,
    },
    /// The rate is below what the node names for its slowest target.
    LongerThan {
        /// That target, in blocks.
        blocks: u16,
    },
    /// The node has no figures: it just started, or the chain is a test chain.
    Unknown,
}

/// Estimates the time to the first confirmation at `rate`.
///
/// Buckets may come in any order; those for 0 blocks are ignored. The fastest target that the rate reaches is
/// the answer.
#[must_use]
pub fn first_confirmation(rate: FeeRate, buckets: &[FeeBucket]) -> Estimate {
    let known = || buckets.iter().filter(|bucket| bucket.blocks > 0);
    match known().filter(|bucket| bucket.rate <= rate).map(|bucket| bucket.blocks).min() {
        Some(blocks) => Estimate::Within { blocks, minutes: u32::from(blocks) * MINUTES_PER_BLOCK },
        None => match known().map(|bucket| bucket.blocks).max() {
            Some(blocks) => Estimate::LongerThan { blocks },
            None => Estimate::Unknown,
        },
    }
}

/// The rate to pay for a confirmation within `blocks`: the cheapest bucket that is fast enough.
#[must_use]
pub fn rate_for(blocks: u16, buckets: &[FeeBucket]) -> Option<FeeRate> {
    let fast_enough = |bucket: &&FeeBucket| bucket.blocks > 0 && bucket.blocks <= blocks;
    buckets.iter().filter(fast_enough).map(|bucket| bucket.rate).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(sat_per_vb: u64) -> FeeRate {
        FeeRate::from_sat_per_vb(sat_per_vb).unwrap()
    }

    fn buckets() -> [FeeBucket; 3] {
        [(2, 30), (6, 12), (144, 3)].map(|(blocks, sat)| FeeBucket { blocks, rate: rate(sat) })
    }

    #[test]
    fn estimate_is_the_fastest_target_the_rate_reaches() {
        let at = |sat| first_confirmation(rate(sat), &buckets());
        assert_eq!(at(30), Estimate::Within { blocks: 2, minutes: 20 });
        assert_eq!(at(29), Estimate::Within { blocks: 6, minutes: 60 });
        assert_eq!(at(3), Estimate::Within { blocks: 144, minutes: 1440 });
        assert_eq!(at(2), Estimate::LongerThan { blocks: 144 });
    }

    #[test]
    fn estimate_without_figures_is_unknown() {
        assert_eq!(first_confirmation(rate(5), &[]), Estimate::Unknown);
        let odd = [FeeBucket { blocks: 0, rate: rate(1) }];
        assert_eq!(first_confirmation(rate(5), &odd), Estimate::Unknown);
        assert_eq!(rate_for(6, &[]), None);
    }

    #[test]
    fn rate_for_a_target_is_the_cheapest_fast_enough() {
        assert_eq!(rate_for(6, &buckets()), Some(rate(12)));
        assert_eq!(rate_for(1000, &buckets()), Some(rate(3)));
        assert_eq!(rate_for(1, &buckets()), None);
    }
}
