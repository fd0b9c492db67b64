//! A newcomer's first minutes, with what goes wrong in them. Nothing here needs Tor, a chain or a running pod.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/terminal.rs"]
mod terminal;

mod home;
mod keys;
mod outputs;
mod passphrases;
mod refusals;
