//! Bringing a network up.
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

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::{AUTHORITIES, Node, TorError, TorNetwork, config, dead, directory, write};
use crate::clock::{self, Progress};
use crate::process::{Process, ProcessSlot, SpawnError};

/// Until every authority holds every descriptor: seconds on an idle machine; keys and start share the
/// processors with whatever else runs. Waited for twice, and still before the vote that is far off (295 s).
const DESCRIPTORS_LIMIT: Duration = Duration::from_secs(90);
/// From reload to vote. Tor's shortest delays are 2 s for votes and 2 s for signatures; 1 s for the reload.
const VOTE_AHEAD: u64 = 5;
/// From the vote until every node has the consensus and the descriptors it names.
const CONSENSUS_LIMIT: Duration = Duration::from_secs(90);
/// Between two reloads of a node that lacks the consensus: longer than a download on loopback takes.
const NUDGE_INTERVAL: Duration = Duration::from_secs(2);

impl TorNetwork {
    /// Writes the configuration of all nodes, with the first vote far in the future.
    pub(super) fn write_files(&self) -> Result<(), TorError> {
        let far_off = clock::unix_seconds() + config::VOTING_INTERVAL - VOTE_AHEAD;
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
    pub(super) fn launch_all(&mut self) -> Result<(), TorError> {
        for index in 0..self.nodes.len() {
            if index == AUTHORITIES {
                self.wait_for_authorities()?;
            }
            let process = self.launch(&self.nodes[index])?;
            self.processes.push(ProcessSlot::new(process));
        }
        Ok(())
    }

    /// Starts one node.
    pub(super) fn launch(&self, node: &Node) -> Result<Process, SpawnError> {
        self.launch_in(&node.nickname, &node.dir)
    }

    /// Runs tor by the `torrc` in `dir`.
    pub(super) fn launch_in(&self, name: &str, dir: &Path) -> Result<Process, SpawnError> {
        let files = ["--defaults-torrc".into(), dir.join("defaults"), "-f".into(), dir.join("torrc")];
        self.template.clone().named(name, dir.join("log")).args(files).spawn()
    }

    /// The authorities with their directory ports.
    fn authorities(&self) -> impl Iterator<Item = (&Node, SocketAddr)> {
        self.nodes.iter().filter_map(|node| Some((node, node.role.dir_port()?)))
    }

    /// Waits until every authority serves its own descriptor.
    fn wait_for_authorities(&self) -> Result<(), TorError> {
        self.wait(DESCRIPTORS_LIMIT, "the directory authorities", || {
            self.authorities().all(|(_, port)| directory::fetch(port, "/tor/server/authority").is_some())
        })
    }

    /// Waits until every authority has every descriptor, then sets the time of the first vote.
    pub(super) fn vote_when_complete(&self, progress: Progress<'_>) -> Result<(), TorError> {
        let wanted = self.nodes.len();
        self.wait(DESCRIPTORS_LIMIT, "the descriptors of all relays at all authorities", || {
            let fewest = self.authorities().map(|(_, port)| directory::descriptors(port)).min().unwrap_or(0);
            progress(0.1 + 0.3 * ratio(fewest, wanted), "relays publish their descriptors");
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
    pub(super) fn wait_for_consensus(&self, progress: Progress<'_>) -> Result<(), TorError> {
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

/// The share of a count, for a bar.
#[expect(clippy::cast_precision_loss, reason = "counts of nodes, far below 2^23; shown to people only")]
fn ratio(part: usize, whole: usize) -> f32 {
    part as f32 / whole as f32
}
