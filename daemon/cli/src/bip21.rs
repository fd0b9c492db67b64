//! `bitcoin:` URIs (BIP-21 and its successor BIP-321): made for `receive`, read by `pay`.
//!
//! Read here and not by a crate: [0022](../../../docs/decisions/0022-libraries.md) says what each of them lets pass.

use autonomy_client::printable;

use super::amount::{AmountError, Sat, from_bip21};

/// Longest text read: what the largest QR code holds in capitals and digits (version 40-L). A code for several ways
/// to pay carries a lightning invoice or offer of some thousand characters beside the address.
const MAX_URI: usize = 4_296;

/// Parameters that hold an address where the path is empty (BIP-321): the beginnings of segwit addresses.
const ADDRESS_KEYS: [&str; 3] = ["bc", "tb", "bcrt"];

/// Parameters that a URI has once (BIP-321): of two, either could be meant.
const ONCE: [&str; 4] = ["amount", "label", "message", "pop"];

/// Longest piece of a refused text that an error quotes, in characters: an address has at most 90.
const MAX_QUOTED: usize = 90;

/// Whom to pay, as typed: a bare address or a `bitcoin:` URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payee {
    /// The address, in letters and digits, not yet checked against any network.
    pub address: String,
    /// The amount that the URI asks for.
    pub amount: Option<Sat>,
    /// Names of the parameters that nothing follows from here, such as `label` or `lightning`; safe to print.
    pub passed_over: Vec<String>,
}

impl std::str::FromStr for Payee {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let text = text.trim();
        if text.len() > MAX_URI {
            return Err(UriError::TooLong);
        }
        match text.split_once(':') {
            None => bare(text),
            // Schemes are case-insensitive (RFC 3986 3.1); QR codes often hold them in capitals.
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bitcoin") => read(rest),
            Some((scheme, _)) => Err(UriError::OtherScheme { scheme: quoted(scheme) }),
        }
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

/// An address without a URI around it.
fn bare(text: &str) -> Result<Payee, UriError> {
    Ok(Payee { address: plausible(text)?, amount: None, passed_over: Vec::new() })
}

/// What stands behind `bitcoin:`. A fragment (`#…`) means nothing here.
fn read(rest: &str) -> Result<Payee, UriError> {
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if let Some(address) = path.strip_prefix("//") {
        return Err(UriError::Slashes { address: quoted(address) });
    }
    let query = Query::read(query)?;
    let address = if path.is_empty() { query.address.ok_or(UriError::NoAddress)? } else { path };
    Ok(Payee { address: plausible(address)?, amount: query.amount, passed_over: query.passed_over })
}

/// The parameters of a URI.
#[derive(Default)]
struct Query<'a> {
    address: Option<&'a str>,
    amount: Option<Sat>,
    passed_over: Vec<String>,
}

impl<'a> Query<'a> {
    /// Names of parameters are case-insensitive (BIP-321), so that a whole URI can be written in capitals.
    fn read(text: &'a str) -> Result<Self, UriError> {
        let mut query = Self::default();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            query.take(&name.to_ascii_lowercase(), value)?;
        }
        Ok(query)
    }

    fn take(&mut self, name: &str, value: &'a str) -> Result<(), UriError> {
        match name {
            twice if ONCE.contains(&twice) && self.has(twice) => {
                return Err(UriError::Twice { name: twice.to_owned() });
            }
            "amount" => self.amount = Some(from_bip21(value)?),
            key if self.address.is_none() && ADDRESS_KEYS.contains(&key) => self.address = Some(value),
            required if required.starts_with("req-") => {
                return Err(UriError::Required { name: quoted(required) });
            }
            "" => {}
            other => self.passed_over.push(quoted(other)),
        }
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        (name == "amount" && self.amount.is_some()) || self.passed_over.iter().any(|passed| passed == name)
    }
}

/// Refuses what no network has as an address; the rest is checked where the network is known.
fn plausible(address: &str) -> Result<String, UriError> {
    if address.is_empty() {
        return Err(UriError::NoAddress);
    }
    if !address.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(UriError::NotAnAddress { text: quoted(address) });
    }
    if is_segwit(address) && mixes_case(address) {
        return Err(UriError::MixedCase);
    }
    Ok(address.to_owned())
}

fn is_segwit(address: &str) -> bool {
    let lower = address.to_ascii_lowercase();
    ADDRESS_KEYS.iter().any(|prefix| lower.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('1')))
}

fn mixes_case(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase()) && text.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// A piece of foreign text for a message: on one line, without what moves a terminal's cursor, not long.
fn quoted(text: &str) -> String {
    printable(text).chars().take(MAX_QUOTED).collect()
}

/// Why a text names nobody who can be paid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// More than the largest QR code holds.
    #[error("this address or URI is longer than {MAX_URI} characters")]
    TooLong,
    /// `lightning:`, `mailto:`, and so on.
    #[error("`{scheme}:` is not a `bitcoin:` URI: ask the payee for a Bitcoin address")]
    OtherScheme {
        /// What stands before the colon.
        scheme: String,
    },
    /// No address in the path nor in a parameter.
    #[error("the URI names no Bitcoin address")]
    NoAddress,
    /// `bitcoin://…`: a host name to some readers, an address to others.
    #[error("a `bitcoin:` URI has no slashes: write `bitcoin:{address}`")]
    Slashes {
        /// What stands behind them.
        address: String,
    },
    /// Signs that no address has.
    #[error("`{text}` is not a Bitcoin address: copy it again")]
    NotAnAddress {
        /// What stands where the address should.
        text: String,
    },
    /// BIP-173: a segwit address is in small letters or in capitals, never in both.
    #[error("the address mixes small letters and capitals, so it was changed on its way: copy it again")]
    MixedCase,
    /// Two values for a parameter that a URI has once.
    #[error("the URI has two values for `{name}`: ask the payee which one holds")]
    Twice {
        /// The parameter.
        name: String,
    },
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

    const A1: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

    fn read(text: &str) -> Result<Payee, UriError> {
        text.parse()
    }

    fn passed_over(text: &str) -> Vec<String> {
        let payee = read(text).unwrap();
        assert_eq!((payee.address.as_str(), payee.amount), (A1, Sat::new(100_000).ok()), "{text}");
        payee.passed_over
    }

    #[test]
    fn uri_of_receive_parses_in_pay() {
        let amount = Sat::new(25_000_000).unwrap();
        assert_eq!(uri("bcrt1qxyz", Some(amount)), "bitcoin:bcrt1qxyz?amount=0.25");
        let payee = read(&uri("bcrt1qxyz", Some(amount))).unwrap();
        assert_eq!((payee.address.as_str(), payee.amount), ("bcrt1qxyz", Some(amount)));
        assert_eq!(read("bcrt1qxyz").unwrap().address, "bcrt1qxyz");
    }

    #[test]
    fn scheme_names_and_segwit_addresses_may_be_in_capitals() {
        for text in [
            format!("BITCOIN:{}?amount=0.001", A1.to_uppercase()),
            format!("bitcoin:{}?amount=0.001", A1.to_uppercase()),
            format!("Bitcoin:{A1}?amount=0.001"),
            format!("BITCOIN:{}?AMOUNT=0.001", A1.to_uppercase()),
        ] {
            let payee = read(&text).unwrap();
            assert!(payee.address.eq_ignore_ascii_case(A1), "{text}");
            assert_eq!(payee.amount, Sat::new(100_000).ok(), "{text}");
        }
        assert_eq!(read(&A1.to_uppercase()).unwrap().address, A1.to_uppercase());
    }

    #[test]
    fn mixed_case_and_slashes_are_refused_with_the_remedy() {
        let mixed = A1.replacen("qw508", "qW508", 1);
        assert_eq!(read(&mixed), Err(UriError::MixedCase));
        assert_eq!(read(&format!("bitcoin:{mixed}")), Err(UriError::MixedCase));
        let error = read(&format!("bitcoin://{A1}?amount=0.001")).unwrap_err();
        assert_eq!(error.to_string(), format!("a `bitcoin:` URI has no slashes: write `bitcoin:{A1}`"));
        assert!(read("1andreas3batLhQa2FawWjeyjCqyBzypd").is_ok(), "base58 has both");
    }

    #[test]
    fn optional_parameters_are_passed_over_by_name() {
        let tea = format!("bitcoin:{A1}?amount=0.001&label=Tea%20house&message=%F0%9F%8D%B5%0A%1b%5B31mred");
        assert_eq!(passed_over(&tea), ["label", "message"]);
        let payjoin = format!("bitcoin:{A1}?pj=HTTPS%3A%2F%2FPAY.EXAMPLE%2F%23EX1&amount=0.001");
        assert_eq!(passed_over(&payjoin), ["pj"]);
        let mangled = format!("bitcoin:{A1}?amount=0.001&somethingnew=1&amp;x=y#frag?amount=9");
        assert_eq!(passed_over(&mangled), ["somethingnew", "amp;x"]);
        let unified = format!("{tea}&lightning=LNBCRT{}&lno=lno1{}", "Q".repeat(1_000), "q".repeat(1_500));
        assert_eq!(passed_over(&unified), ["label", "message", "lightning", "lno"]);
        assert_eq!(read(&"a".repeat(MAX_URI + 1)), Err(UriError::TooLong));
    }

    #[test]
    fn required_parameters_that_are_unknown_are_refused_by_name() {
        let error = read(&format!("bitcoin:{A1}?amount=0.001&req-pop=x")).unwrap_err();
        assert_eq!(error, UriError::Required { name: "req-pop".into() });
        assert!(matches!(read("bitcoin:a?REQ-New=1"), Err(UriError::Required { .. })));
    }

    #[test]
    fn an_amount_is_read_exactly_or_refused() {
        for (text, sat) in [("50.00", 5_000_000_000), ("0.10000000", 10_000_000), ("00.1", 10_000_000)] {
            assert_eq!(
                read(&format!("bitcoin:{A1}?amount={text}")).unwrap().amount,
                Sat::new(sat).ok(),
                "{text}"
            );
        }
        for text in [
            "0,1",
            "1,234.5",
            "1e-8",
            "0x10",
            "-1",
            "+1",
            "0",
            "0.123456789",
            "21000001",
            "1 BTC",
            "1%2e5",
            "١",
            "1_000",
            "",
            ".5",
            "NaN",
            "0.001?ark=tark1x",
            "0.001\nX-Evil: 1",
        ] {
            let error = read(&format!("bitcoin:{A1}?amount={text}")).unwrap_err();
            assert!(matches!(error, UriError::Amount(_)), "{text}: {error}");
            assert!(!error.to_string().contains(char::is_control), "{text}");
        }
        assert!(matches!(read(&format!("bitcoin:{A1}?amount")), Err(UriError::Amount(_))));
        for twice in ["amount=0.001&AMOUNT=0.002", "label=a&amount=0.001&label=b"] {
            let error = read(&format!("bitcoin:{A1}?{twice}")).unwrap_err();
            assert!(matches!(error, UriError::Twice { .. }), "{twice}: {error}");
        }
    }

    #[test]
    fn an_empty_path_needs_an_address_in_a_parameter() {
        let payee = read(&format!("bitcoin:?bcrt={A1}&amount=0.001")).unwrap();
        assert_eq!((payee.address.as_str(), payee.amount), (A1, Sat::new(100_000).ok()));
        for text in ["bitcoin:?amount=1", "bitcoin:?lno=lno1q", "bitcoin:?bc=", "bitcoin:", ""] {
            assert_eq!(read(text), Err(UriError::NoAddress), "{text}");
        }
    }

    #[test]
    fn what_is_no_bitcoin_uri_is_refused_by_what_it_is() {
        for text in ["lightning:lnbcrt1", "BITCOINCASH:qq", "web+bitcoin:A1"] {
            assert!(matches!(read(text), Err(UriError::OtherScheme { .. })), "{text}");
        }
        for path in
            [format!("{A1}&amount=0.001"), format!("{A1}/"), format!("m/{A1}"), format!("{A1}\u{202e}")]
        {
            let error = read(&format!("bitcoin:{path}")).unwrap_err();
            assert!(matches!(error, UriError::NotAnAddress { .. }), "{path}: {error}");
        }
    }
}
