//! A private Tor network on loopback: directory authorities and relays of the system's own C tor.
//!
//! How it is brought up, quickly and without losing a relay, stands in `start`; what *ready* means too.

mod config;
mod directory;
mod error;
mod keys;
mod probe;
mod start;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::clock::Progress;
use crate::folder::Folder;
use crate::ports::Ports;
use crate::process::{Launch, Process, ProcessSlot};
use crate::provision::TorPrograms;
use config::NodeRole;
pub use error::TorError;
use keys::Identities;
pub use probe::ClientProcess;

/// Directory authorities: the fewest that still agree when one is lost.
pub const AUTHORITIES: usize = 3;
/// Relays by default. Arti's vanguards find no path with fewer than six relays that are not authorities.
pub const RELAYS: usize = 6;
/// The most relays a network may have: with authorities' two ports and the probe they fit a block of ports.
pub const MAX_RELAYS: usize = 40;

/// What the network shall be.
#[derive(Debug, Clone, Copy)]
pub struct TorNetworkConfig {
    /// Relays besides the authorities, from [`RELAYS`] to [`MAX_RELAYS`].
    pub relays: usize,
}

impl Default for TorNetworkConfig {
    fn default() -> Self {
        Self { relays: RELAYS }
    }
}

/// One node of the network.
#[derive(Debug, Clone)]
struct Node {
    /// Its name in the network.
    nickname: String,
    /// What it does.
    role: NodeRole,
    /// Its folder, with `torrc`, keys, caches and log.
    dir: PathBuf,
    /// Where it accepts circuits.
    or_port: SocketAddr,
    /// What names it to others.
    identities: Identities,
}

/// A running network. Dropping it ends it.
#[derive(Debug)]
pub struct TorNetwork {
    /// The network's folder.
    dir: PathBuf,
    /// How each node is started.
    template: Launch,
    /// Authorities first, then relays.
    nodes: Vec<Node>,
    /// The process of each node, in the same order.
    processes: Vec<ProcessSlot>,
    /// The port of the client that tries the network out.
    socks_port: SocketAddr,
}

impl TorNetwork {
    /// Starts a network in `folder` and waits until it is ready (every node knows every node, and a
    /// client that knew nothing has built a circuit).
    ///
    /// # Errors
    /// When tor cannot be run, or the network does not become ready; the error ends with the lines of the
    /// log that matter.
    pub fn start(
        folder: &Folder,
        ports: &Ports,
        programs: &TorPrograms,
        config: TorNetworkConfig,
        progress: Progress<'_>,
    ) -> Result<Self, TorError> {
        if !(RELAYS..=MAX_RELAYS).contains(&config.relays) {
            return Err(TorError::Relays(config.relays));
        }
        let dir = folder.sub("tor")?;
        progress(0.0, "making keys");
        let nodes = keys::make_nodes(&dir, ports, programs, config.relays)?;
        let socks_port = ports.draw()?;
        let mut network = Self {
            // Tor looks every 15 s whether this process lives: a second line behind the death signal.
            template: Launch::new("tor", &programs.tor, dir.join("log"))
                .args(["__OwningControllerProcess", &std::process::id().to_string()])
                .of_world(folder),
            nodes,
            processes: Vec::new(),
            socks_port,
            dir,
        };
        network.write_files()?;
        network.launch_all()?;
        network.vote_when_complete(progress)?;
        network.wait_for_consensus(progress)?;
        progress(0.9, "building a first circuit");
        network.probe()?;
        progress(1.0, "ready");
        Ok(network)
    }

    /// The file that tells a pod how to use this network (its format: `onion/src/network.rs`).
    #[must_use]
    pub fn network_file(&self) -> PathBuf {
        self.dir.join("network.toml")
    }

    /// How many relays there are besides the authorities.
    #[must_use]
    pub fn relays(&self) -> usize {
        self.nodes.len() - AUTHORITIES
    }

    /// Nodes listed in the consensus that authority 0 holds now.
    #[must_use]
    pub fn listed(&self) -> usize {
        directory::listed(&self.nodes[0].dir)
    }

    /// Nodes with the flag `flag` in that consensus.
    #[must_use]
    pub fn flagged(&self, flag: &str) -> usize {
        directory::flagged(&self.nodes[0].dir, flag)
    }

    /// The process ids of all nodes, authorities first.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        (0..self.nodes.len()).map(|index| self.with(index, Process::pid)).collect()
    }

    /// Nicknames of nodes that run no more.
    #[must_use]
    pub fn ended(&self) -> Vec<String> {
        let name = |process: &Process| (!process.is_running()).then(|| process.name().to_owned());
        (0..self.nodes.len()).filter_map(|index| self.with(index, name)).collect()
    }

    /// Kills relay `relay` (from 0) as a power cut would.
    pub fn kill_relay(&self, relay: usize) {
        self.with(AUTHORITIES + relay, Process::kill);
    }

    /// Starts relay `relay` again after [`kill_relay`](Self::kill_relay), with its old identity.
    ///
    /// # Errors
    /// When tor cannot be run.
    pub fn restart_relay(&self, relay: usize) -> Result<(), TorError> {
        let index = AUTHORITIES + relay;
        Ok(self.processes[index].restart(|| self.launch(&self.nodes[index]))?)
    }

    /// Holds relay `relay`: its connections stay open and fall silent.
    pub fn freeze_relay(&self, relay: usize) {
        self.with(AUTHORITIES + relay, Process::freeze);
    }

    /// Lets a frozen relay go on.
    pub fn thaw_relay(&self, relay: usize) {
        self.with(AUTHORITIES + relay, Process::thaw);
    }

    /// Holds every node at once: the network is there and silent, as behind a dead link.
    pub fn freeze(&self) {
        (0..self.nodes.len()).for_each(|index| self.with(index, Process::freeze));
    }

    /// Lets all nodes go on.
    pub fn thaw(&self) {
        (0..self.nodes.len()).for_each(|index| self.with(index, Process::thaw));
    }

    /// Runs a C tor client that starts from nothing, waits until it has built a circuit, and gives it back:
    /// a SOCKS proxy into the network at [`ClientProcess::socks`].
    ///
    /// # Errors
    /// When the client does not get there.
    pub fn client(&self) -> Result<ClientProcess, TorError> {
        ClientProcess::start(self)
    }

    /// Builds one circuit with a fresh client.
    fn probe(&self) -> Result<(), TorError> {
        self.client().map(drop)
    }

    /// Runs `act` on the process of one node.
    fn with<T>(&self, index: usize, act: impl FnOnce(&Process) -> T) -> T {
        self.processes[index].with(act)
    }
}

/// Fails if the node has ended.
fn dead(process: &Process) -> Result<(), TorError> {
    match process.exit_status() {
        None => Ok(()),
        Some(status) => Err(TorError::Ended {
            name: process.name().to_owned(),
            status,
            log: process.log_tail(error::LOG_LINES),
        }),
    }
}

/// Writes a file of the network.
fn write(path: &Path, text: &str) -> Result<(), TorError> {
    fs::write(path, text).map_err(|source| TorError::Write { path: path.to_owned(), source })
}
