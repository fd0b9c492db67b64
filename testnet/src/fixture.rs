//! What a test asks for: one Tor network and one bitcoind for all tests of a test program, each started by
//! the first test that asks for it.
//!
//! ```no_run
//! let network = autonomy_testnet::fixture::tor();
//! let file = network.network_file();              // for the Tor configuration of a pod or a client
//! let bitcoind = autonomy_testnet::fixture::bitcoind();
//! let (url, cookie) = (bitcoind.rpc_url(), bitcoind.cookie_file());
//! ```
//!
//! Tests share the chain: each should use an account of its own, and count on blocks coming at any time.
//! A test that breaks things (kills, freezes, reorganises) should start a world of its own ([`World`]).
//!
//! A fixture lives until the test program ends; then the kernel ends its processes (see [`crate::process`]),
//! and the next start removes its folder. A fixture that cannot be had panics with the reason: without it
//! the test has no result.

use std::sync::OnceLock;

use crate::bitcoind::Bitcoind;
use crate::tor_network::TorNetwork;
use crate::world::{World, WorldConfig, WorldError};

static WORLD: OnceLock<World> = OnceLock::new();

/// The shared world, for tests that run pods in its folder. Its parts start when first asked for.
///
/// # Panics
/// When there is no folder or no ports for it.
pub fn world() -> &'static World {
    WORLD.get_or_init(|| or_panic("world", World::fresh(WorldConfig::default())))
}

/// The shared world's Tor network: 3 authorities and 6 relays.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn tor() -> &'static TorNetwork {
    or_panic("Tor network", world().tor())
}

/// The shared world's bitcoind.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn bitcoind() -> &'static Bitcoind {
    or_panic("bitcoind", world().bitcoind())
}

fn or_panic<T>(what: &str, started: Result<T, WorldError>) -> T {
    started.unwrap_or_else(|error| panic!("no {what} to test on: {error}"))
}
