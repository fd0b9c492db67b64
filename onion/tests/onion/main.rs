//! The crate on a real Tor network: C tor's authorities and relays on loopback, Arti on both ends.
#![allow(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod https;
mod libp2p;
mod peers;
mod services;
mod shutdown;
mod world;
