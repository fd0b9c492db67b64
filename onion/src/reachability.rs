//! Can others reach our onion service? The only answer worth having is a dial through Tor.
//!
//! [`Health`] is the rule: a small state machine, fed with the outcome of each dial and the time, that says
//! when to dial next and when to heal. [`watch`] carries it out in the background.
//!
//! ```text
//! Unpublished ──descriptor up──► Published ──dial──► Reachable ⇄ Unreachable since …
//! ```

mod health;
mod watch;

pub use health::{Heal, Health, State};
pub use watch::{Reachability, Report, watch};
