//! Whether others can reach an onion service of ours. Only a dial through Tor answers that.
//!
//! [`Health`] is the rule: a small state machine that gets the outcome of each dial and the time,
//! and says when to dial next and what to repair. [`watch`] carries the rule out in the background.
//!
//! ```text
//! Unpublished ──descriptor up──► Published ──dial──► Reachable ⇄ Unreachable since …
//! ```

mod health;
mod watch;

pub use health::{Heal, Health, State};
pub use watch::{Reachability, Report, watch};
