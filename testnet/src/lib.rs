//! Worlds to run pods in: a private Tor network, a regtest bitcoind, real processes.

pub mod bitcoind;
pub mod clock;
pub mod fixture;
pub mod folder;
pub mod party;
pub mod ports;
pub mod process;
pub mod provision;
pub mod steps;
pub mod tor_network;
pub mod world;
