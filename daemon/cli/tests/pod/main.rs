//! A real pod process against a real bitcoind: killed, without disk space, given wrong data. Tor never starts here: the pod's
//! Unix socket serves the same routes, and must work without it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../tests/common/cosigner.rs"]
mod cosigner;
#[path = "../common/terminal.rs"]
mod terminal;

mod api;
mod chain;
mod cuts;
mod events;
mod home;
mod http;
mod lifecycle;
mod owner;
mod paying;
