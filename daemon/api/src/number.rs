//! Numbers of money: amounts in satoshi, fee rates in satoshi a virtual byte.
//!
//! `#[serde(with = "number")]` is for a field, `#[serde(default, with = "number::optional")]` for one that may be absent or
//! `null`.

use std::fmt;

use autonomy_wallet::{
    bitcoin::{Amount, FeeRate, SignedAmount},
    rate,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A type that JSON carries as a number of type `Self::Raw`.
pub(crate) trait Numbered: Sized {
    type Raw: Serialize + for<'de> Deserialize<'de>;

    fn read(raw: Self::Raw) -> Result<Self, NotMoney>;

    fn write(&self) -> Self::Raw;
}

/// Why a number is no amount or rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotMoney {
    Amount,
    Net,
    Rate,
}

impl fmt::Display for NotMoney {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = Amount::MAX_MONEY.to_sat();
        match self {
            Self::Amount => write!(f, "satoshi, at most {most} (21 million bitcoin)"),
            Self::Net => write!(f, "satoshi, at most {most} (21 million bitcoin) up or down"),
            Self::Rate => f.write_str("a number of satoshi a virtual byte"),
        }
    }
}

impl Numbered for Amount {
    type Raw = u64;

    fn read(sat: u64) -> Result<Self, NotMoney> {
        let amount = Self::from_sat(sat);
        if amount <= Self::MAX_MONEY { Ok(amount) } else { Err(NotMoney::Amount) }
    }

    fn write(&self) -> u64 {
        self.to_sat()
    }
}

impl Numbered for SignedAmount {
    type Raw = i64;

    fn read(sat: i64) -> Result<Self, NotMoney> {
        let possible = sat.unsigned_abs() <= Amount::MAX_MONEY.to_sat();
        if possible { Ok(Self::from_sat(sat)) } else { Err(NotMoney::Net) }
    }

    fn write(&self) -> i64 {
        self.to_sat()
    }
}

/// Rounded to 0.004 sat/vB, the step in which the wallet counts.
impl Numbered for FeeRate {
    type Raw = f64;

    fn read(sat_per_vb: f64) -> Result<Self, NotMoney> {
        rate::nearest(sat_per_vb).ok_or(NotMoney::Rate)
    }

    fn write(&self) -> f64 {
        rate::to_sat_per_vb(*self)
    }
}

/// Writes a field.
pub(crate) fn serialize<T: Numbered, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.write().serialize(serializer)
}

/// Reads a field.
pub(crate) fn deserialize<'de, T: Numbered, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::read(T::Raw::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// A field that may be absent or `null`.
pub(crate) mod optional {
    use super::*;

    pub(crate) fn serialize<T: Numbered, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(T::write).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: Numbered, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let raw = Option::<T::Raw>::deserialize(deserializer)?;
        raw.map(T::read).transpose().map_err(D::Error::custom)
    }
}
