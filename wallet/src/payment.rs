//! From what a human wants paid ([`Intent`]) to a draft that can be checked
//! ([`Ledger::draft`](crate::ledger::Ledger::draft)).

mod coins;
mod draft;
mod intent;

pub use draft::DraftError;
pub use intent::{
    Intent, IntentError, MAX_ADDRESS_LEN, MAX_FEE_RATE, MAX_RECIPIENTS, MIN_FEE_RATE, Recipient,
    parse_address,
};
