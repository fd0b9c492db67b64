//! What can go wrong with a private Tor network.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use super::{MAX_RELAYS, RELAYS};
use crate::clock::NotYet;
use crate::folder::FolderError;
use crate::ports::PortsError;
use crate::process::SpawnError;

/// Lines of a log that an error quotes: tor says why it ends in its last few.
pub(super) const LOG_LINES: usize = 8;

/// Why the network is not up.
#[derive(Debug, thiserror::Error)]
pub enum TorError {
    /// The number of relays asked for does not work.
    #[error("a network has {RELAYS} to {MAX_RELAYS} relays, not {0}")]
    Relays(usize),
    /// The world's folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// No ports.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// A process could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// A file could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The keys of a node could not be made.
    #[error("cannot make the keys of {node}: {why}")]
    Keys {
        /// The node's nickname.
        node: String,
        /// What the tool said.
        why: String,
    },
    /// A node ended by itself.
    #[error("tor node {name} ended ({status}); the end of its log:\n{log}")]
    Ended {
        /// The node's nickname.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// The network did not become ready.
    #[error("waiting for {what}: {cause}; the nodes' logs are in {dir}/*/log")]
    NotReady {
        /// What was waited for.
        what: &'static str,
        /// Why the wait ended.
        cause: NotYet,
        /// The network's folder.
        dir: PathBuf,
    },
    /// The client that tries the network out built no circuit.
    #[error("a client built no circuit through the network ({cause}); the end of its log:\n{log}")]
    NoCircuit {
        /// Why the wait ended.
        cause: NotYet,
        /// The end of its log.
        log: String,
    },
}
