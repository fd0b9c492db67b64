//! The agent: keeps one device's Tor client and its connection to the pod open between commands.
//!
//! Starting Tor takes seconds; a request over an open circuit takes some hundred milliseconds. So
//! the first command starts `autonomy agent` in the background, and each command connects to it
//! over a Unix socket that only its owner may open. The agent is a plain HTTP/1.1 reverse proxy:
//! requests are passed to the pod, and answers stream back, event streams included. It ends after
//! ten minutes without a request.
//!
//! The agent gets what a connection needs (the device's TLS key and descriptor key, the pod's
//! address and key) through its standard input, never through arguments or environment variables,
//! which other processes can read. It never gets the payment key P or the auth seed; and the
//! passphrase only where the settings say that it holds it for a time (decision 0033).
//!
//! | module | does |
//! |---|---|
//! | [`setup`] | what an agent gets |
//! | [`status`] | what an agent reports about itself |
//! | [`acceptor`] | the socket: one agent per profile, owner only |
//! | [`activity`] | measures how long nothing was requested |
//! | [`kept`] | the passphrase, for a time |
//! | [`serve`] | the proxy |
//! | [`run`] | the process |
//! | [`start`] | the command's side: finds the agent, or starts it |

pub mod acceptor;
pub mod activity;
pub mod kept;
pub mod run;
pub mod serve;
pub mod setup;
pub mod start;
pub mod status;

pub use setup::Setup;
pub use status::{AgentStatus, Phase};
