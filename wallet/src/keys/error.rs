//! Why a key is refused.

use super::MAX_KEY_TEXT;

/// Why a key expression is refused. It does not name the member: the caller knows whose key it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Longer than any key expression can be.
    #[error("{0} bytes of text, a key expression has at most {MAX_KEY_TEXT}")]
    TooLong(usize),
    /// Not of the form `[fingerprint/origin]xpub/steps`.
    #[error("{0}; expected [fingerprint/origin path]xpub, as BIP-380 writes it")]
    Malformed(&'static str),
    /// The xpub is for mainnet where a test network was meant, or the reverse.
    #[error("it is for {found}, this account is on {expected}")]
    ForeignNetwork {
        /// What its xpub says.
        found: &'static str,
        /// What the account is on.
        expected: &'static str,
    },
    /// The origin or the steps are not those of this account.
    #[error("it has the origin path {found}, this account needs {expected}")]
    WrongOrigin {
        /// The path given.
        found: String,
        /// The path the account needs.
        expected: String,
    },
    /// The fingerprint, depth or child number contradicts the xpub itself.
    #[error("the {0} does not fit the xpub; the key was copied wrongly or replaced")]
    Inconsistent(&'static str),
    /// An account index of 2³¹ or more.
    #[error("account {0} is out of range, accounts go from 0 to 2147483647")]
    AccountIndex(u32),
}
