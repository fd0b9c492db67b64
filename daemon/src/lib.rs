//! The pod's shell: everything between the pure node and the world.
//!
//! | module | does | may touch |
//! |---|---|---|
//! | [`config`] | settings from file, environment, flags | files |
//! | [`driver`] | commits rows, carries effects out, answers | store, clock, randomness |
//! | [`chain`] | follows the owner's bitcoind | RPC |
//! | [`relay`] | a place for others | its own file |
//! | [`peers`] | asks places, collects at them, answers for the pod's own | network |
//! | [`server`] | the app API: HTTP in front of the node | the driver's handle |
//! | [`socket`] | a Unix socket for the machine's owner | files |
//! | [`relay_service`] | a relay that stands alone | all of the above, Tor |
//! | [`pod`] | a pod on this machine: made, adopted, run, backed up | all of the above, Tor |
//!
//! What a pod decides is in [`autonomy_node`]; where its rows lie, in [`autonomy_store`].

pub mod chain;
pub mod config;
pub mod driver;
pub mod peers;
pub mod pod;
pub mod relay;
pub mod relay_service;
pub mod server;
pub mod socket;
