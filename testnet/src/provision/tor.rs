//! C tor and `tor-gencert`, both of Debian's package `tor`.

use super::debian::{self, Package};
use super::{Program, ProvisionError};
use crate::clock::Progress;

/// The package for a private copy.
const PACKAGE: Package =
    Package { name: "tor", program: "tor", remedy: "install tor, with tor-gencert (apt-get install tor)" };

/// The programs of the package `tor`.
#[derive(Debug, Clone)]
pub struct TorPrograms {
    /// `tor`.
    pub tor: Program,
    /// `tor-gencert`, which makes the keys of directory authorities.
    pub gencert: Program,
}

impl TorPrograms {
    /// The system's programs, else a private copy, made now if there is none yet.
    ///
    /// # Errors
    /// When there are none and a private copy cannot be made; the error says what to do.
    pub fn find(progress: Progress<'_>) -> Result<Self, ProvisionError> {
        if let (Some(tor), Some(gencert)) = (Program::on_path("tor"), Program::on_path("tor-gencert")) {
            return Ok(Self { tor, gencert });
        }
        let copy = debian::private_copy(PACKAGE, progress)?;
        Ok(Self { tor: copy.program("usr/sbin/tor"), gencert: copy.program("usr/bin/tor-gencert") })
    }
}
