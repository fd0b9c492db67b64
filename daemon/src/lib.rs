//! The pod: an always-on Bitcoin cosigner and mailbox that one person owns.
//!
//! | module | does | may touch |
//! |---|---|---|
//! | [`node`] | decides: inputs in, rows and effects out | nothing: pure |
//! | [`driver`] | commits rows, carries effects out, answers | store, clock, randomness |
//! | [`store`] | rows, encrypted on disk | files |
//! | [`peers`] | asks places, collects at them, answers for the pod's own | network |
//! | [`relay`] | a place for others | its own file, network |
//! | [`chain`] | follows the owner's bitcoind | RPC |
//! | [`api`] | HTTP in front of the node | the driver's handle |
//! | [`pod`] | a pod on this machine: made, adopted, run, backed up | all of the above, Tor |
//! | [`place`] | where messages are left, as people write it | nothing: pure |
//! | [`config`] | settings from file, environment, flags | files |
//! | [`client`] | a device: reaches its pod, believes nothing it says | network, its own profile |
//! | [`agent`] | keeps a device's Tor warm between commands | network |
//! | [`cli`] | the command line | the terminal |

pub mod agent;
pub mod api;
pub mod chain;
pub mod cli;
pub mod client;
pub mod config;
pub mod driver;
pub mod node;
pub mod peers;
pub mod place;
pub mod pod;
pub mod relay;
pub mod store;
