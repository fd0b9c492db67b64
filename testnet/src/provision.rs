//! The programs a world needs: the system's own if it has them, else a private copy from Debian.
//!
//! A private copy lies in the user's cache folder and runs with its own libraries: nothing is installed,
//! no service starts, neither root nor sudo is needed. Packages come through `apt-get`, which verifies them
//! against Debian's keyring as for any installation.

mod bitcoind;
mod debian;
mod program;
mod tor;

use std::io;
use std::path::PathBuf;

pub use bitcoind::find_bitcoind;
pub use program::Program;
pub use tor::TorPrograms;

/// Why a program is missing.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// It is not installed, and a private copy cannot be made on this system.
    #[error("{program} is missing and a private copy needs Debian ({why}): {remedy}")]
    Missing {
        /// The program.
        program: &'static str,
        /// What stands in the way of a private copy.
        why: String,
        /// What to do, in one line.
        remedy: &'static str,
    },
    /// The program that the environment names does not run.
    #[error("{variable} names {path}, which does not run: {why}")]
    Environment {
        /// The environment variable.
        variable: &'static str,
        /// What it holds.
        path: PathBuf,
        /// What happened.
        why: String,
    },
    /// A step of making a private copy failed.
    #[error("cannot make a private copy of {package}: {step} failed: {why}")]
    Step {
        /// The Debian package.
        package: &'static str,
        /// The step.
        step: &'static str,
        /// What the tool said.
        why: String,
    },
    /// The cache folder cannot be used.
    #[error("cannot write the cache folder {path} (set AUTONOMY_TESTNET_CACHE to another): {source}")]
    Cache {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no cache folder.
    #[error("neither AUTONOMY_TESTNET_CACHE nor XDG_CACHE_HOME nor HOME says where private copies may lie")]
    NoCache,
}
