//! Fee rates as people and nodes write them: satoshi a virtual byte.
//!
//! The library counts in satoshi per 1,000 weight units. A virtual byte is 4 weight units, so the factor between
//! the two is 250. It stands here and nowhere else.

use crate::bitcoin::FeeRate;

/// Satoshi per 1,000 weight units that make one satoshi a virtual byte.
const KWU_RATE_OF_ONE: u64 = 250;

/// Highest rate that [`nearest`] takes, in satoshi per 1,000 weight units: 4,000,000 sat/vB, far past all use, and
/// below 2⁵³, so that the conversion is exact.
const MAX_KWU_RATE: f64 = 1e9;

/// This many satoshi a virtual byte.
#[must_use]
pub const fn sat_per_vb(rate: u32) -> FeeRate {
    FeeRate::from_sat_per_kwu(rate as u64 * KWU_RATE_OF_ONE)
}

/// The rate in satoshi a virtual byte.
#[must_use]
pub fn to_sat_per_vb(rate: FeeRate) -> f64 {
    rate.to_sat_per_kwu() as f64 / KWU_RATE_OF_ONE as f64
}

/// The nearest rate that the library can express, exact to 0.002 sat/vB. `None` for what is no rate.
#[must_use]
pub fn nearest(sat_per_vb: f64) -> Option<FeeRate> {
    let sat_per_kwu = (sat_per_vb * KWU_RATE_OF_ONE as f64).round();
    // Not-a-number is in no range.
    (0.0..=MAX_KWU_RATE).contains(&sat_per_kwu).then(|| FeeRate::from_sat_per_kwu(sat_per_kwu as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversion_and_back_gives_the_same_rate() {
        for rate in [0.0, 0.1, 1.0, 12.5, 1000.0] {
            assert_eq!(nearest(rate).map(to_sat_per_vb), Some(rate));
        }
        assert_eq!(nearest(3.0), Some(sat_per_vb(3)));
    }

    #[test]
    fn nearest_rounds_to_the_next_step() {
        assert_eq!(nearest(1.0001), Some(FeeRate::from_sat_per_kwu(250)));
    }

    #[test]
    fn negative_infinite_or_huge_rate_is_refused() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e9] {
            assert_eq!(nearest(odd), None, "{odd}");
        }
    }
}
