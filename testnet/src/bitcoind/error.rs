//! What can go wrong with bitcoind.

use std::process::ExitStatus;

use super::RpcError;
use crate::clock::NotYet;
use crate::folder::FolderError;
use crate::ports::PortsError;
use crate::process::SpawnError;

/// Why the node did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum BitcoindError {
    /// The world's folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// No ports.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// It could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// It ended by itself.
    #[error("bitcoind ended ({status}); the end of its log:\n{log}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// It does not answer.
    #[error("bitcoind does not answer ({cause}); the end of its log:\n{log}")]
    NotReady {
        /// Why the wait ended.
        cause: NotYet,
        /// The end of its log.
        log: String,
    },
    /// A call failed.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// An answer does not have the form the documentation of the call gives.
    #[error("bitcoind's answer to {method} is not what was expected: {answer}")]
    Answer {
        /// The call.
        method: &'static str,
        /// What came.
        answer: String,
    },
    /// More blocks were to be replaced than there are.
    #[error("the chain has {height} blocks: the last {depth} cannot be replaced")]
    TooDeep {
        /// Blocks there are.
        height: u32,
        /// Blocks to be replaced.
        depth: u32,
    },
}
