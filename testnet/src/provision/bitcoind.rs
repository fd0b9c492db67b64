//! bitcoind: the one that `BITCOIND` names, the system's, or a private copy of Debian's Bitcoin Knots.

use std::env;
use std::path::PathBuf;

use super::debian::{self, Package};
use super::{Program, ProvisionError};
use crate::clock::Progress;

/// Environment variable with the path of a bitcoind.
const VARIABLE: &str = "BITCOIND";
/// The package for a private copy: Bitcoin Knots, which Debian has.
const PACKAGE: Package = Package {
    name: "bitcoin-knots",
    program: "bitcoind",
    remedy: "install Bitcoin Core 27 or later and name it: BITCOIND=/path/to/bitcoind",
};

/// Finds bitcoind, or makes a private copy.
///
/// # Errors
/// When `BITCOIND` names something that does not run, or there is none and a private copy cannot be made.
pub fn find_bitcoind(progress: Progress<'_>) -> Result<Program, ProvisionError> {
    if let Some(path) = env::var_os(VARIABLE).map(PathBuf::from) {
        let program = Program::new(&path);
        return match program.version() {
            Ok(_) => Ok(program),
            Err(why) => Err(ProvisionError::Environment { variable: VARIABLE, path, why }),
        };
    }
    if let Some(program) = Program::on_path(PACKAGE.program) {
        return Ok(program);
    }
    Ok(debian::private_copy(PACKAGE, progress)?.program("usr/bin/bitcoind"))
}
