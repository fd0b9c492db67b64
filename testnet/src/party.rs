//! Pods, devices and relays of a world: each a folder with settings of its own, and the real `autonomy` program.
//!
//! ```text
//! WORLD/NAME/config.toml      settings: this world's Tor network and bitcoind, folders, passphrase file
//! WORLD/NAME/passphrase
//! WORLD/NAME/data/            what the program keeps
//! WORLD/NAME/log              what a running pod or relay writes
//! WORLD/NAME/commands/        output of each command, numbered
//! WORLD/NAME/autonomy         a script for a person: the program with these settings
//! ```

mod command;
mod device;
mod pod;
mod relay;
mod settings;
mod socket;

use std::env;
use std::io;
use std::path::{Path, PathBuf};

pub use command::{CommandError, Done};
pub use device::Device;
pub use pod::{Pod, PodError};
pub use relay::Relay;
pub use socket::{AskError, fresh_key};

use crate::folder::FolderError;
use crate::provision::Program;
use crate::world::WorldError;

const VARIABLE: &str = "AUTONOMY_BIN";
const NAME: &str = "autonomy";

/// Why a pod or a device cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum PartyError {
    /// There is no program to run.
    #[error("no `autonomy` program beside {beside}: cargo build -p autonomy-cli, or set {VARIABLE}")]
    NoProgram {
        /// This program's own folder.
        beside: PathBuf,
    },
    /// A part of its world is missing.
    #[error(transparent)]
    World(#[from] WorldError),
    /// Its folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The `autonomy` program.
#[derive(Debug, Clone)]
pub struct Autonomy(Program);

impl Autonomy {
    /// The program that `AUTONOMY_BIN` names, else the one beside this program, else (for test programs,
    /// which cargo puts one folder deeper) the one a folder above.
    ///
    /// # Errors
    /// When there is none.
    pub fn find() -> Result<Self, PartyError> {
        if let Some(path) = env::var_os(VARIABLE) {
            return Ok(Self::at(Path::new(&path)));
        }
        let own = env::current_exe().unwrap_or_default();
        let beside = own.parent().unwrap_or(Path::new("/")).to_owned();
        let mut candidates = beside.ancestors().take(2).map(|folder| folder.join(NAME));
        match candidates.find(|file| file.is_file()) {
            Some(file) => Ok(Self::at(&file)),
            None => Err(PartyError::NoProgram { beside }),
        }
    }

    /// The program's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.program().executable()
    }

    /// The program at `path`.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(Program::new(path))
    }

    fn program(&self) -> &Program {
        &self.0
    }
}
