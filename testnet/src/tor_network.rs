//! A private Tor network on loopback: directory authorities and relays of the system's own C tor.
//!
//! **The first vote.** Directory authorities vote on a fixed clock, and a relay whose descriptor is not
//! with them by then is absent for a whole interval. Short intervals would make that harmless, but onion
//! services are unstable on them; so the interval is long (300 s), and the clock is *set* when all is
//! ready: authorities start with the vote far off, and when each of them holds the descriptor of each node,
//! they are given the time of the vote and reload. The network is up as soon as it can be, on slow and on
//! fast machines, and no relay misses the vote.
//!
//! **Ready** means: every node holds the consensus with every node in it and their microdescriptors, and a
//! client that knew nothing has built a circuit.

mod config;
mod directory;
mod error;
mod keys;
mod probe;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::{self, Progress};
use crate::folder::Folder;
use crate::ports::Ports;
use crate::process::{Launch, Process, Seat, SpawnError};
use crate::provision::TorPrograms;
use config::Role;
pub use error::TorError;
use keys::Identities;

/// Directory authorities: the fewest that still agree when one is lost.
pub const AUTHORITIES: usize = 3;
/// Relays by default. Arti's vanguards find no path with fewer than six relays that are not authorities.
pub const RELAYS: usize = 6;
/// The most relays a network may have: with authorities' two ports and the probe they fit a block of ports.
pub const MAX_RELAYS: usize = 40;

/// Until every authority holds every descriptor: seconds on an idle machine; keys and start share the
/// processors with whatever else runs.
const DESCRIPTORS_LIMIT: Duration = Duration::from_secs(90);
/// From reload to vote. Tor's shortest delays are 2 s for votes and 2 s for signatures; 1 s for the reload.
const VOTE_AHEAD: u64 = 5;
/// From the vote until every node has the consensus and the descriptors it names.
const CONSENSUS_LIMIT: Duration = Duration::from_secs(90);
/// Between two reloads of a node that lacks the consensus: longer than a download on loopback takes.
const NUDGE_INTERVAL: Duration = Duration::from_secs(2);

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
    nickname: String,
    role: Role,
    dir: PathBuf,
    or_port: SocketAddr,
    identities: Identities,
}

/// A running network. Dropping it ends it.
#[derive(Debug)]
pub struct TorNetwork {
    dir: PathBuf,
    template: Launch,
    nodes: Vec<Node>,
    processes: Vec<Seat>,
    socks_port: SocketAddr,
}

impl TorNetwork {
    /// Starts a network in `folder` and waits until it is ready (see the module's words).
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
    pub fn network_file(&self) -> PathBuf {
        self.dir.join("network.toml")
    }

    /// How many relays there are besides the authorities.
    pub fn relays(&self) -> usize {
        self.nodes.len() - AUTHORITIES
    }

    /// Nodes listed in the consensus that authority 0 holds now.
    pub fn listed(&self) -> usize {
        directory::listed(&self.nodes[0].dir)
    }

    /// Nodes with the flag `flag` in that consensus.
    pub fn flagged(&self, flag: &str) -> usize {
        directory::flagged(&self.nodes[0].dir, flag)
    }

    /// The process ids of all nodes, authorities first.
    pub fn pids(&self) -> Vec<u32> {
        (0..self.nodes.len()).map(|index| self.with(index, Process::pid)).collect()
    }

    /// Nicknames of nodes that run no more.
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
    /// a SOCKS proxy into the network at [`ClientProcess::socks`](probe::ClientProcess::socks).
    ///
    /// # Errors
    /// When the client does not get there.
    pub fn client(&self) -> Result<probe::ClientProcess, TorError> {
        probe::ClientProcess::start(self)
    }

    fn probe(&self) -> Result<(), TorError> {
        self.client().map(drop)
    }

    fn with<T>(&self, index: usize, act: impl FnOnce(&Process) -> T) -> T {
        self.processes[index].with(act)
    }

    fn write_files(&self) -> Result<(), TorError> {
        let far_off = clock::unix_seconds() + config::VOTING_INTERVAL / 2;
        for node in &self.nodes {
            write(&node.dir.join("torrc"), &config::torrc(node, &self.nodes, far_off))?;
            write(&node.dir.join("defaults"), "")?;
            if node.role.dir_port().is_some() {
                write(&node.dir.join("router-stability"), &config::memory(&self.nodes))?;
            }
        }
        write(&self.network_file(), &config::network_file(&self.nodes))
    }

    /// Authorities first: a relay that finds none to upload to tries again only much later.
    fn launch_all(&mut self) -> Result<(), TorError> {
        for index in 0..self.nodes.len() {
            if index == AUTHORITIES {
                self.wait_for_authorities()?;
            }
            let process = self.launch(&self.nodes[index])?;
            self.processes.push(Seat::new(process));
        }
        Ok(())
    }

    fn launch(&self, node: &Node) -> Result<Process, SpawnError> {
        self.launch_in(&node.nickname, &node.dir)
    }

    /// Runs tor by the `torrc` in `dir`.
    fn launch_in(&self, name: &str, dir: &Path) -> Result<Process, SpawnError> {
        let files = ["--defaults-torrc".into(), dir.join("defaults"), "-f".into(), dir.join("torrc")];
        self.template.clone().named(name, dir.join("log")).args(files).spawn()
    }

    fn authorities(&self) -> impl Iterator<Item = (&Node, SocketAddr)> {
        self.nodes.iter().filter_map(|node| Some((node, node.role.dir_port()?)))
    }

    fn wait_for_authorities(&self) -> Result<(), TorError> {
        self.wait(DESCRIPTORS_LIMIT, "the directory authorities", || {
            self.authorities().all(|(_, port)| directory::fetch(port, "/tor/server/authority").is_some())
        })
    }

    fn vote_when_complete(&self, progress: Progress<'_>) -> Result<(), TorError> {
        let wanted = self.nodes.len();
        self.wait(DESCRIPTORS_LIMIT, "the descriptors of all relays at all authorities", || {
            let fewest = self.authorities().map(|(_, port)| directory::descriptors(port)).min().unwrap_or(0);
            progress(0.1 + 0.3 * ratio(fewest, wanted), "relays introduce themselves");
            fewest == wanted
        })?;
        let vote = clock::unix_seconds() + VOTE_AHEAD;
        for (index, (node, _)) in self.authorities().enumerate() {
            write(&node.dir.join("torrc"), &config::torrc(node, &self.nodes, vote))?;
            self.with(index, Process::reload);
        }
        Ok(())
    }

    /// Relays that asked before there was a consensus wait ever longer between their tries; a reload makes
    /// them forget that and ask at once.
    fn wait_for_consensus(&self, progress: Progress<'_>) -> Result<(), TorError> {
        let wanted = self.nodes.len();
        let mut nudged = clock::now();
        self.wait(CONSENSUS_LIMIT, "the consensus at all nodes", || {
            let complete = |node: &Node| directory::is_complete(&node.dir, wanted);
            let missing: Vec<_> = (0..wanted).filter(|&index| !complete(&self.nodes[index])).collect();
            progress(0.4 + 0.5 * ratio(wanted - missing.len(), wanted), "the authorities vote");
            if nudged.elapsed() >= NUDGE_INTERVAL && self.voted() {
                missing.iter().for_each(|&index| self.with(index, Process::reload));
                nudged = clock::now();
            }
            missing.is_empty()
        })
    }

    /// Whether every authority holds the consensus of the first vote.
    fn voted(&self) -> bool {
        self.authorities().all(|(node, _)| directory::listed(&node.dir) == self.nodes.len())
    }

    /// Waits for `ready`; fails early when a node dies.
    fn wait(
        &self,
        limit: Duration,
        what: &'static str,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), TorError> {
        let outcome = clock::wait_for(limit, || {
            for index in 0..self.processes.len() {
                self.with(index, dead)?;
            }
            Ok::<_, TorError>(ready().then_some(()))
        })?;
        outcome.map_err(|cause| TorError::NotReady { what, cause, dir: self.dir.clone() })
    }
}

/// An error if the node has ended.
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

#[expect(clippy::cast_precision_loss, reason = "counts of nodes, far below 2^23; shown to people only")]
fn ratio(part: usize, whole: usize) -> f32 {
    part as f32 / whole as f32
}

fn write(path: &Path, text: &str) -> Result<(), TorError> {
    fs::write(path, text).map_err(|source| TorError::Write { path: path.to_owned(), source })
}
