//! A world: a folder, ports, a private Tor network and a regtest bitcoind. Several live side by side.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};

use crate::bitcoind::{Bitcoind, BitcoindError};
use crate::clock::{Progress, unwatched};
use crate::folder::{Folder, FolderError};
use crate::ports::{Ports, PortsError};
use crate::provision::{self, ProvisionError, TorPrograms};
use crate::tor_network::{RELAYS, TorError, TorNetwork, TorNetworkConfig};

/// Why a world, or a part of it, cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// Its folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// No ports.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// A program is missing.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The Tor network did not come up.
    #[error(transparent)]
    Tor(#[from] TorError),
    /// bitcoind did not come up.
    #[error(transparent)]
    Bitcoind(#[from] BitcoindError),
    /// Its description cannot be written.
    #[error("cannot write {path}: {source}")]
    Describe {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What a world shall be.
#[derive(Debug, Clone, Copy)]
pub struct WorldConfig {
    /// Relays besides the authorities.
    pub relays: usize,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self { relays: RELAYS }
    }
}

/// A world. Its parts start when they are first asked for; dropping it ends them, and removes its folder
/// unless it was named.
#[derive(Debug)]
pub struct World {
    // Fields are dropped in this order: processes first, then the folder and the ports they use.
    tor: Part<TorNetwork>,
    bitcoind: Part<Bitcoind>,
    config: WorldConfig,
    folder: Folder,
    ports: Ports,
}

impl World {
    /// A world in a fresh folder, which goes with it.
    ///
    /// # Errors
    /// When there is no folder or no ports.
    pub fn fresh(config: WorldConfig) -> Result<Self, WorldError> {
        Self::within(Folder::fresh()?, config)
    }

    /// A world in the folder `dir`, which stays (its rules: [`Folder::named`]). A world that runs there is
    /// ended first.
    ///
    /// # Errors
    /// When the folder is not a testnet's, or its owner does not end.
    pub fn named(dir: &Path, config: WorldConfig) -> Result<Self, WorldError> {
        Self::within(Folder::named(dir)?, config)
    }

    fn within(folder: Folder, config: WorldConfig) -> Result<Self, WorldError> {
        let ports = Ports::take()?;
        Ok(Self { tor: Part::default(), bitcoind: Part::default(), config, folder, ports })
    }

    /// The Tor network.
    ///
    /// # Errors
    /// When it is not there and cannot be started.
    pub fn tor(&self) -> Result<&TorNetwork, WorldError> {
        self.start_tor(&unwatched)
    }

    /// [`tor`](Self::tor) for callers who watch.
    ///
    /// # Errors
    /// When it is not there and cannot be started.
    pub fn start_tor(&self, progress: Progress<'_>) -> Result<&TorNetwork, WorldError> {
        self.tor.get_or_start(|| {
            let programs = TorPrograms::find(progress)?;
            let config = TorNetworkConfig { relays: self.config.relays };
            Ok(TorNetwork::start(&self.folder, &self.ports, &programs, config, progress)?)
        })
    }

    /// The bitcoind.
    ///
    /// # Errors
    /// When it is not there and cannot be started.
    pub fn bitcoind(&self) -> Result<&Bitcoind, WorldError> {
        self.start_bitcoind(&unwatched)
    }

    /// [`bitcoind`](Self::bitcoind) for callers who watch.
    ///
    /// # Errors
    /// When it is not there and cannot be started.
    pub fn start_bitcoind(&self, progress: Progress<'_>) -> Result<&Bitcoind, WorldError> {
        self.bitcoind.get_or_start(|| {
            let program = provision::find_bitcoind(progress)?;
            Ok(Bitcoind::start(&self.folder, &self.ports, &program, progress)?)
        })
    }

    /// The world's folder, for pods and devices of it.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Names of processes that run no more, whoever ended them.
    pub fn ended(&self) -> Vec<String> {
        let tor = self.tor.get().map(TorNetwork::ended).unwrap_or_default();
        let bitcoind = self.bitcoind.get().filter(|node| !node.is_running());
        tor.into_iter().chain(bitcoind.map(|_| "bitcoind".to_owned())).collect()
    }

    /// What pods need to know of the parts that run; also written to `world.json` in the folder.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn describe(&self) -> Result<Value, WorldError> {
        let tor = self.tor.get().map(
            |tor| json!({"network_file": tor.network_file(), "relays": tor.relays(), "pids": tor.pids()}),
        );
        let bitcoind = self.bitcoind.get().map(|node| {
            json!({
                "rpc_url": node.rpc_url(), "cookie_file": node.cookie_file(), "p2p": node.p2p(), "pid": node.pid(),
            })
        });
        let description = json!({"dir": self.folder.path(), "tor": tor, "bitcoind": bitcoind});
        let path = self.folder.path().join("world.json");
        std::fs::write(&path, format!("{description:#}\n"))
            .map_err(|source| WorldError::Describe { path, source })?;
        Ok(description)
    }
}

/// A part of a world that starts once, when first asked for. A start that failed may be tried again.
#[derive(Debug)]
struct Part<T> {
    running: OnceLock<T>,
    starting: Mutex<()>,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self { running: OnceLock::new(), starting: Mutex::new(()) }
    }
}

impl<T> Part<T> {
    fn get(&self) -> Option<&T> {
        self.running.get()
    }

    fn get_or_start(&self, start: impl FnOnce() -> Result<T, WorldError>) -> Result<&T, WorldError> {
        // One starts it; who asks meanwhile waits here and finds it running.
        let _one = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = self.running.get() {
            return Ok(running);
        }
        let started = start()?;
        Ok(self.running.get_or_init(|| started))
    }
}
