//! Keys, account maps, and the checker between a payment and a signature.
//!
//! This crate never touches a socket, a file, a clock or ambient randomness: time and randomness are
//! arguments.
//!
//! | module | answers |
//! |---|---|
//! | [`keys`] | who are P, R and G, and what may others know of them |
//! | [`account`] | which scripts are ours |
//! | [`ledger`] | what we own, as the chain tells it |
//! | [`payment`] | what a human wants paid, and a first draft of it |
//! | [`check`] | **may this be signed**, and the signature |
//! | [`policy`] | how much may go to miners |
//! | [`estimate`] | how long until it confirms |

pub mod account;
pub mod check;
pub mod estimate;
pub mod keys;
pub mod ledger;
pub mod payment;
pub mod policy;

pub use bdk_wallet::{bitcoin, miniscript};

use bitcoin::secp256k1::{All, Secp256k1};
use std::sync::OnceLock;

/// One context for all: making it costs more than using it.
pub(crate) fn secp() -> &'static Secp256k1<All> {
    static CONTEXT: OnceLock<Secp256k1<All>> = OnceLock::new();
    CONTEXT.get_or_init(Secp256k1::new)
}
