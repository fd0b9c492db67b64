//! The agent: keeps one device's Tor client and its connection to the pod warm between commands.
//!
//! Starting Tor takes seconds, a request over an open circuit some hundred milliseconds. So the first command
//! starts `autonomy agent` in the background, and each command speaks to it over a Unix socket that only its owner
//! may open. The agent is a plain HTTP/1.1 reverse proxy: whatever is asked of it goes to the pod, and answers
//! stream back, event streams included. It ends by itself when nothing was asked for ten minutes.
//!
//! It is given what a connection needs (the device's TLS key and descriptor key, the pod's address and key) through
//! its standard input, never by arguments or environment, which other processes can read. It never sees the payment
//! key P, the auth seed, or the passphrase.
//!
//! | module | does |
//! |---|---|
//! | [`setup`] | what an agent is given |
//! | [`status`] | what it tells about itself |
//! | [`door`] | the socket: one agent a profile, owner only |
//! | [`activity`] | knows when nothing has been asked for a while |
//! | [`serve`] | the proxy |
//! | [`run`] | the process |
//! | [`start`] | the command's side: find it, or start it |

pub mod activity;
pub mod door;
pub mod run;
pub mod serve;
pub mod setup;
pub mod start;
pub mod status;

pub use setup::Setup;
pub use status::{AgentStatus, Phase};
