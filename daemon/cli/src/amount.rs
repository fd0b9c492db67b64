//! Amounts as people type them: `0.25 BTC`, `0.25btc`, `25000sat`, `25 000 sat`.
//!
//! A bare number is refused. `pay … 1` could mean a bitcoin or a satoshi: a factor of a hundred million that no
//! default can guess right. A comma is refused too, since half the world reads it as the decimal point.

use std::fmt;

/// Satoshi per bitcoin.
const SAT_PER_BTC: u64 = 100_000_000;

/// Digits after the point of an amount in bitcoin.
const BTC_DECIMALS: usize = 8;

/// The largest amount: all 21 million bitcoin.
const MAX_SAT: u64 = 21_000_000 * SAT_PER_BTC;

/// Longest text that is parsed: `20 999 999.999 999 99 BTC` has 25 characters; the rest is room for
/// spaces.
const MAX_TEXT: usize = 64;

/// An amount in satoshi: more than zero and at most 21 million bitcoin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sat(u64);

impl Sat {
    /// An amount of so many satoshi.
    ///
    /// # Errors
    /// [`AmountError::Nothing`] for 0, [`AmountError::TooMuch`] above 21 million bitcoin.
    pub fn new(sat: u64) -> Result<Self, AmountError> {
        match sat {
            0 => Err(AmountError::Nothing),
            1..=MAX_SAT => Ok(Self(sat)),
            _ => Err(AmountError::TooMuch),
        }
    }

    /// The number of satoshi.
    #[must_use]
    pub fn to_sat(self) -> u64 {
        self.0
    }

    /// The amount as a BIP-21 URI has it: in bitcoin, without unit and without zeros at the end.
    #[must_use]
    pub fn to_bip21(self) -> String {
        let text = btc(self.0);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl fmt::Display for Sat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} BTC", btc(self.0))
    }
}

impl std::str::FromStr for Sat {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let text = text.trim();
        if text.len() > MAX_TEXT || !text.is_ascii() {
            return Err(AmountError::NotAnAmount { text: shortened(text) });
        }
        let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = (text[..split].trim_end(), text[split..].to_ascii_lowercase());
        if number.contains(',') {
            return Err(AmountError::Comma);
        }
        let decimals = match unit.as_str() {
            "btc" => BTC_DECIMALS,
            "sat" | "sats" => 0,
            "" if looks_like_number(number) => return Err(AmountError::NoUnit { number: number.to_owned() }),
            "" => return Err(AmountError::NotAnAmount { text: shortened(text) }),
            _ => return Err(AmountError::UnknownUnit { unit }),
        };
        Self::new(fixed_point(number, decimals)?)
    }
}

/// Reads the bitcoin amount of a BIP-21 URI, which carries no unit and no spaces.
///
/// # Errors
/// As for the text a person types, less the demand for a unit.
pub(crate) fn from_bip21(text: &str) -> Result<Sat, AmountError> {
    if text.len() > MAX_TEXT || !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(AmountError::NotAnAmount { text: shortened(text) });
    }
    Sat::new(fixed_point(text, BTC_DECIMALS)?)
}

/// Satoshi as bitcoin with all eight digits: `0.25000000`.
pub(crate) fn btc(sat: u64) -> String {
    format!("{}.{:08}", sat / SAT_PER_BTC, sat % SAT_PER_BTC)
}

/// Satoshi with a sign, as bitcoin: `-0.25000000`, `+1.00000000`.
pub(crate) fn signed_btc(sat: i64) -> String {
    format!("{}{}", if sat < 0 { '-' } else { '+' }, btc(sat.unsigned_abs()))
}

/// `number` times ten to the `decimals`, exactly.
fn fixed_point(number: &str, decimals: usize) -> Result<u64, AmountError> {
    let not_an_amount = || AmountError::NotAnAmount { text: shortened(number) };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = grouped_digits(whole).ok_or_else(not_an_amount)?;
    if number.contains('.') && (fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit())) {
        return Err(not_an_amount());
    }
    if fraction.len() > decimals {
        return Err(if decimals == 0 { AmountError::PartOfASatoshi } else { AmountError::TooFine });
    }
    format!("{whole}{fraction:0<decimals$}").parse().map_err(|_| AmountError::TooMuch)
}

/// Drops single spaces or underscores that stand between groups of three digits; `None` for anything else.
fn grouped_digits(text: &str) -> Option<String> {
    let groups: Vec<&str> = text.split([' ', '_']).collect();
    let digits = |group: &&str| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit());
    let (first, rest) = groups.split_first()?;
    let grouped = rest.is_empty() || (first.len() <= 3 && rest.iter().all(|group| group.len() == 3));
    (grouped && groups.iter().all(digits)).then(|| groups.concat())
}

/// Whether only the unit is missing.
fn looks_like_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b' ' | b'_'))
}

/// The text itself where it is short, else its beginning.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// A number and no unit.
    #[error("`{number}` has no unit: write `{number} BTC` or `{number} sat`")]
    NoUnit {
        /// What was typed.
        number: String,
    },
    /// A unit that is neither bitcoin nor satoshi.
    #[error("`{unit}` is not a unit: use `BTC` or `sat`")]
    UnknownUnit {
        /// What was typed, in lower case.
        unit: String,
    },
    /// A comma somewhere.
    #[error("write the amount with a point and no comma: `0.25 BTC` or `25 000 sat`")]
    Comma,
    /// Not a plain decimal number.
    #[error("`{text}` is not an amount: write it like `0.25 BTC` or `25000 sat`")]
    NotAnAmount {
        /// What was typed, shortened.
        text: String,
    },
    /// More than eight digits after the point.
    #[error("a bitcoin has 8 digits after the point, not more")]
    TooFine,
    /// Satoshi with a fraction.
    #[error("a satoshi cannot be split: drop the point, or did you mean BTC?")]
    PartOfASatoshi,
    /// Zero.
    #[error("the amount is zero")]
    Nothing,
    /// More than there can ever be.
    #[error("that is more than 21 million bitcoin, all there can ever be")]
    TooMuch,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sat(text: &str) -> Result<u64, AmountError> {
        text.parse::<Sat>().map(Sat::to_sat)
    }

    #[test]
    fn common_forms_of_amounts_parse() {
        for text in
            ["0.25 BTC", "0.25btc", " 0.25  Btc ", "0.25000000 BTC", "25 000 000 sat", "25_000_000sats"]
        {
            assert_eq!(sat(text), Ok(25_000_000), "{text}");
        }
        assert_eq!(sat("25000sat"), Ok(25_000));
        assert_eq!(sat("1 sat"), Ok(1));
        assert_eq!(sat("21 000 000 BTC"), Ok(MAX_SAT));
    }

    #[test]
    fn bare_number_is_refused_with_both_units_suggested() {
        for number in ["1", "0.25", "25 000"] {
            let error = sat(number).unwrap_err();
            assert_eq!(error, AmountError::NoUnit { number: number.into() });
            assert!(error.to_string().contains(&format!("{number} BTC")));
            assert!(error.to_string().contains(&format!("{number} sat")));
        }
    }

    #[test]
    fn ambiguous_amounts_are_refused() {
        assert_eq!(sat("0,25 BTC"), Err(AmountError::Comma));
        assert_eq!(sat("25,000 sat"), Err(AmountError::Comma));
        assert!(matches!(sat("1 mbtc"), Err(AmountError::UnknownUnit { .. })));
        assert_eq!(sat("0.5 sat"), Err(AmountError::PartOfASatoshi));
        assert_eq!(sat("0.123456789 BTC"), Err(AmountError::TooFine));
        assert_eq!(sat("0 sat"), Err(AmountError::Nothing));
        assert_eq!(sat("0.0 BTC"), Err(AmountError::Nothing));
        assert_eq!(sat("21000000.00000001 BTC"), Err(AmountError::TooMuch));
        assert_eq!(sat("99999999999999999999999999 BTC"), Err(AmountError::TooMuch));
        for text in [
            "",
            "BTC",
            "-1 BTC",
            "+1 BTC",
            "1e3 sat",
            ".5 BTC",
            "5. BTC",
            "1..2 BTC",
            "25 00 sat",
            "1  000 sat",
        ] {
            assert!(sat(text).is_err(), "{text}");
        }
        assert!(sat(&"1".repeat(10_000)).is_err());
        assert!(sat("٣ BTC").is_err());
    }

    proptest! {
        #[test]
        fn displayed_amount_parses_to_the_same_amount(value in 1..=MAX_SAT) {
            let amount = Sat::new(value).unwrap();
            prop_assert_eq!(sat(&amount.to_string()), Ok(value));
            prop_assert_eq!(sat(&format!("{value}sat")), Ok(value));
            prop_assert_eq!(from_bip21(&amount.to_bip21()), Ok(amount));
        }

        #[test]
        fn parsing_never_panics_or_exceeds_the_supply(text in "\\PC{0,80}") {
            if let Ok(value) = sat(&text) {
                prop_assert!((1..=MAX_SAT).contains(&value));
            }
        }

        #[test]
        fn amount_without_unit_is_always_refused(text in "[0-9 ._]{0,30}") {
            prop_assert!(sat(&text).is_err());
        }
    }
}
