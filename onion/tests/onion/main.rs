//! The crate on a real Tor network: C tor's authorities and relays on loopback, Arti on both ends.

mod https;
mod libp2p;
mod peers;
mod services;
mod shutdown;
mod world;
