//! Ports for worlds that run side by side.
//!
//! Ports come in blocks, each held by a lock file for as long as its world lives, so that two worlds never
//! draw the same one. They lie **below** the range from which the system takes ports for outgoing
//! connections (32768 and up on Linux): a Tor network opens so many that one would sooner or later sit on
//! a listener's port.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::folder::{self, FolderError};

/// The first port of the first block: above what well-known services use.
const FIRST: u16 = 10_240;
/// Ports in a block. A network of 3 authorities (2 ports each) and 40 relays (1 each) and a bitcoind (2) fits.
pub const BLOCK: u16 = 64;
/// Blocks below 32768: (32768 - 10240) / 64 = 352.
const BLOCKS: u16 = (32_768 - FIRST) / BLOCK;

/// Why no ports could be had.
#[derive(Debug, thiserror::Error)]
pub enum PortsError {
    /// The folder of the lock files cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A lock file cannot be written.
    #[error("cannot write {path}: {source}")]
    Lock {
        /// The lock file or its folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Every block is taken.
    #[error("all {BLOCKS} blocks of {BLOCK} ports from {FIRST} on are taken: stop other test networks")]
    AllTaken,
    /// The block has no more ports.
    #[error("more than {BLOCK} ports are needed: ask for fewer relays")]
    UsedUp,
}

/// A block of free loopback ports; free for others again when dropped.
#[derive(Debug)]
pub struct Ports {
    next: AtomicU16,
    end: u16,
    _lock: File,
}

impl Ports {
    /// Takes a block in which every port can be listened on.
    ///
    /// # Errors
    /// When no block is free or the lock files cannot be written.
    pub fn take() -> Result<Self, PortsError> {
        let locks = folder::base()?.join("ports");
        std::fs::create_dir_all(&locks).map_err(|source| PortsError::Lock { path: locks.clone(), source })?;
        for block in 0..BLOCKS {
            let first = FIRST + block * BLOCK;
            let path = locks.join(first.to_string());
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            let lock = file.map_err(|source| PortsError::Lock { path, source })?;
            if lock.try_lock().is_ok() && (first..first + BLOCK).all(is_free) {
                return Ok(Self { next: first.into(), end: first + BLOCK, _lock: lock });
            }
        }
        Err(PortsError::AllTaken)
    }

    /// The next free port of the block as an address on loopback.
    ///
    /// # Errors
    /// When the block is used up.
    pub fn draw(&self) -> Result<SocketAddr, PortsError> {
        let below_end = |port| (port < self.end).then_some(port + 1);
        let drawn = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below_end);
        drawn.map(loopback).map_err(|_| PortsError::UsedUp)
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(loopback(port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_ports_do_not_overlap_and_end() {
        let one = Ports::take().unwrap();
        let two = Ports::take().unwrap();
        let first: Vec<_> = (0..BLOCK).map(|_| one.draw().unwrap()).collect();
        let second: Vec<_> = (0..BLOCK).map(|_| two.draw().unwrap()).collect();
        assert!(first.iter().all(|port| !second.contains(port)));
        assert!(matches!(one.draw(), Err(PortsError::UsedUp)));
    }
}
