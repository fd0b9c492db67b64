//! Keys, account maps, and the checker between a payment and a signature.
//!
//! This crate never touches a socket, a file, a clock or ambient randomness: time and randomness are
//! arguments. It sends nothing and broadcasts nothing; it says what is ours, what a payment would do, and
//! whether it may be signed.
//!
//! | module | answers |
//! |---|---|
//! | [`keys`] | which keys does a member hold, and what may others know of them |
//! | [`account`] | who the members are, and which scripts are ours |
//! | [`ledger`] | what we own, as the chain tells it |
//! | [`payment`] | what a human wants paid, and a first draft of it |
//! | [`check`] | **may this be signed**, and the signature |
//! | [`policy`] | which limits hold for every signature |
//! | [`rate`] | fee rates in satoshi a virtual byte |
//! | [`estimate`] | how long until it confirms |
//!
//! `#[must_use]` marks pure constructors and answers, where to drop the value means that the call was pointless, and
//! types whose loss is a fault: a payment between two states, and rows that were taken and not committed.
//!
//! ```
//! # use autonomy_wallet::{account::*, bitcoin::Network, keys::*};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (os_p, os_r, os_g): ([u8; 32], [u8; 32], [u8; 32]) = {
//! #     let f = |s: u8| core::array::from_fn(|i| (i as u8).wrapping_mul(31) ^ s); (f(1), f(2), f(3)) };
//! // Three members, three generators. R is split and erased; only its public half stays.
//! let account = AccountIndex::FIRST;
//! let p = Seed::generate(&os_p, &[b"dice"])?.account_key(Network::Regtest, account);
//! let r = RecoveryKey::draw(&os_r, &[])?.public(Network::Regtest, account);
//! let g = Seed::generate(&os_g, &[])?.account_key(Network::Regtest, account);
//!
//! // Device and pod rebuild the map from what was announced, and compare.
//! let plan = Plan {
//!     name: "savings".into(),
//!     kind: MapKind::Personal,
//!     threshold: 2,
//!     network: Network::Regtest,
//!     birthday: Birthday { height: 0, time: 0 },
//! };
//! let device = Member::new(MemberLabel::P, *p.public());
//! let pod = Member::new(MemberLabel::G, *g.public());
//! let announced = [device.clone(), Member::new(MemberLabel::R, r), pod.clone()];
//! let on_device = AccountMap::rebuild(plan.clone(), &announced, &device)?;
//! let in_pod = AccountMap::rebuild(plan, &announced, &pod)?;
//! on_device.confirm(&in_pod.confirmation())?;
//! println!("first address: {}", on_device.first_address());
//! # Ok(())
//! # }
//! ```

pub mod account;
pub mod check;
pub mod estimate;
pub mod keys;
pub mod ledger;
pub mod payment;
pub mod policy;
pub mod rate;
mod weight;

pub use bdk_wallet::{bitcoin, miniscript};
pub use weight::LONG_TERM_FEE_RATE;

use bitcoin::secp256k1::{All, Secp256k1};
use std::sync::OnceLock;

/// One context for all: making it costs more than using it.
pub(crate) fn secp() -> &'static Secp256k1<All> {
    static CONTEXT: OnceLock<Secp256k1<All>> = OnceLock::new();
    CONTEXT.get_or_init(Secp256k1::new)
}
