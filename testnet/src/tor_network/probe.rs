//! A C tor client of the network: proves that circuits work, and is a SOCKS proxy for tests that want one.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use super::{TorError, TorNetwork, config, dead, error, write};
use crate::clock;
use crate::process::Process;

/// From an empty cache to a circuit: about a second on an idle machine.
const CIRCUIT_LIMIT: Duration = Duration::from_secs(60);

/// A running client. Dropping it ends it. One at a time per network: it has a fixed port.
#[derive(Debug)]
pub struct ClientProcess {
    socks: SocketAddr,
    _process: Process,
}

impl ClientProcess {
    /// Where its SOCKS5 proxy listens.
    pub fn socks(&self) -> SocketAddr {
        self.socks
    }

    pub(super) fn start(network: &TorNetwork) -> Result<Self, TorError> {
        let dir = network.dir.join("client");
        // From nothing: what an earlier client knew would prove little.
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).map_err(|source| TorError::Write { path: dir.clone(), source })?;
        let socks = network.socks_port;
        let text = format!("{}SocksPort {socks}\n", config::common(&network.nodes, &dir.join("data")));
        write(&dir.join("torrc"), &text)?;
        write(&dir.join("defaults"), "")?;
        let process = network.launch_in("client", &dir)?;
        let outcome = clock::wait_for(CIRCUIT_LIMIT, || {
            dead(&process)?;
            let log = fs::read_to_string(process.log()).unwrap_or_default();
            Ok::<_, TorError>(log.contains("Bootstrapped 100%").then_some(()))
        })?;
        match outcome {
            Ok(()) => Ok(Self { socks, _process: process }),
            Err(cause) => Err(TorError::NoCircuit { cause, log: process.log_tail(error::LOG_LINES) }),
        }
    }
}
