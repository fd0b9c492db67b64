//! The pod's shell: everything between the pure node and the operating system, the network and the
//! chain.
//!
//! | module | does | may touch |
//! |---|---|---|
//! | [`config`] | settings from file, environment, flags | files |
//! | [`driver`] | commits rows, carries effects out, replies | store, clock, randomness |
//! | [`chain`] | follows the owner's bitcoind | RPC |
//! | [`relay`] | keeps frames for others | its own file |
//! | [`peers`] | calls places, collects from them, serves the pod's own queues | network |
//! | [`server`] | the app API: HTTP in front of the node | the driver's handle |
//! | [`socket`], [`socket_path`] | a Unix socket for the machine's owner | files |
//! | [`relay_service`] | a relay that runs by itself | all of the above, Tor |
//! | [`pod`] | a pod on this machine: created, adopted, run, backed up | all of the above, Tor |
//!
//! What a pod decides is in [`autonomy_node`]; where its rows are kept, in [`autonomy_store`].

pub mod chain;
pub mod config;
mod consensus;
pub mod driver;
mod free_space;
pub mod peers;
pub mod pod;
pub mod relay;
pub mod relay_service;
pub mod server;
pub mod socket;
pub mod socket_path;
