//! `bitcoin:` URIs (BIP-21): made for `receive`, read by `pay`.

use super::amount::{AmountError, Sat, from_bip21};

/// Longest URI read: an address of 90 characters, an amount, and some label nobody needs.
const MAX_URI: usize = 1_024;

/// Whom to pay, as typed: a bare address or a `bitcoin:` URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payee {
    /// The address, not yet checked against any network.
    pub address: String,
    /// The amount that the URI asks for.
    pub amount: Option<Sat>,
}

impl std::str::FromStr for Payee {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let text = text.trim();
        if text.len() > MAX_URI {
            return Err(UriError::TooLong);
        }
        let Some(rest) = strip_scheme(text) else {
            return Ok(Self { address: text.to_owned(), amount: None });
        };
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        if address.is_empty() {
            return Err(UriError::NoAddress);
        }
        Ok(Self { address: address.to_owned(), amount: amount_of(query)? })
    }
}

/// The URI that asks for a payment to `address`.
#[must_use]
pub fn uri(address: &str, amount: Option<Sat>) -> String {
    match amount {
        Some(amount) => format!("bitcoin:{address}?amount={}", amount.to_bip21()),
        None => format!("bitcoin:{address}"),
    }
}

/// Schemes are case-insensitive (RFC 3986 3.1); QR codes often hold them in capitals.
fn strip_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    scheme.eq_ignore_ascii_case("bitcoin").then_some(rest)
}

fn amount_of(query: &str) -> Result<Option<Sat>, UriError> {
    let mut amount = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name.to_ascii_lowercase().as_str() {
            "amount" if amount.is_some() => return Err(UriError::AmountTwice),
            "amount" => amount = Some(from_bip21(value)?),
            required if required.starts_with("req-") => {
                return Err(UriError::Required {
                    name: required.chars().filter(|c| !c.is_control()).collect(),
                });
            }
            _ => {}
        }
    }
    Ok(amount)
}

/// Why a `bitcoin:` URI cannot be paid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// More than a kilobyte.
    #[error("this address or URI is longer than {MAX_URI} characters")]
    TooLong,
    /// `bitcoin:` and nothing.
    #[error("the URI names no address")]
    NoAddress,
    /// Two amounts: either could be meant.
    #[error("the URI names an amount twice")]
    AmountTwice,
    /// The amount is malformed.
    #[error("the amount in the URI is wrong: {0}")]
    Amount(#[from] AmountError),
    /// BIP-21: a wallet that does not understand a `req-` parameter must not pay.
    #[error("the URI demands `{name}`, which this program does not know: ask the payee for a plain address")]
    Required {
        /// The parameter.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Payee, UriError> {
        text.parse()
    }

    #[test]
    fn uri_of_receive_parses_in_pay() {
        let amount = Sat::new(25_000_000).unwrap();
        assert_eq!(uri("bcrt1qxyz", Some(amount)), "bitcoin:bcrt1qxyz?amount=0.25");
        let payee = read(&uri("bcrt1qxyz", Some(amount))).unwrap();
        assert_eq!(payee, Payee { address: "bcrt1qxyz".into(), amount: Some(amount) });
        assert_eq!(read("BITCOIN:BCRT1QXYZ").unwrap().address, "BCRT1QXYZ");
        assert_eq!(read("bcrt1qxyz").unwrap(), Payee { address: "bcrt1qxyz".into(), amount: None });
    }

    #[test]
    fn labels_are_ignored_and_unknown_req_parameters_refused() {
        assert_eq!(read("bitcoin:a?label=Tea%20house&amount=1").unwrap().amount, Sat::new(100_000_000).ok());
        assert!(matches!(read("bitcoin:a?req-somethingnew=1"), Err(UriError::Required { .. })));
        assert_eq!(read("bitcoin:a?amount=1&amount=2"), Err(UriError::AmountTwice));
        assert!(matches!(read("bitcoin:a?amount=0x10"), Err(UriError::Amount(_))));
        assert!(matches!(read("bitcoin:a?amount=50 sat"), Err(UriError::Amount(_))));
        assert_eq!(read("bitcoin:?amount=1"), Err(UriError::NoAddress));
        assert_eq!(read(&"a".repeat(2_000)), Err(UriError::TooLong));
    }
}
