//! A C tor client of the network: it proves that circuits work, and is a SOCKS proxy for tests that
//! need one.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use super::{TorError, TorNetwork, config, dead, error, write};
use crate::clock;
use crate::process::Process;

/// From an empty cache to a circuit: about a second on an idle machine.
const CIRCUIT_LIMIT: Duration = Duration::from_secs(60);

/// A running client. Dropping it ends it. There is one at a time per network, since its port is
/// fixed.
#[derive(Debug)]
pub struct ClientProcess {
    /// Where its proxy listens.
    socks: SocketAddr,
    /// Ended when this value is dropped.
    _process: Process,
}

impl ClientProcess {
    /// Where its SOCKS5 proxy listens.
    #[must_use]
    pub fn socks(&self) -> SocketAddr {
        self.socks
    }

    /// Starts the client with an empty cache and waits until it has built a circuit.
    ///
    /// # Errors
    /// It ends, or builds none in time.
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
