//! C tor and `tor-gencert`, from the system's package `tor`.

use std::path::PathBuf;

use super::ProvisionError;

/// The programs of the package `tor`.
#[derive(Debug, Clone)]
pub struct TorPrograms {
    /// `tor`.
    pub tor: PathBuf,
    /// `tor-gencert`, which makes the keys of directory authorities.
    pub gencert: PathBuf,
}

impl TorPrograms {
    /// Finds the programs on the PATH and in the folders for system programs.
    ///
    /// # Errors
    /// Names what is missing and how to install it.
    pub fn find() -> Result<Self, ProvisionError> {
        let find = |program| {
            super::on_path(program)
                .ok_or(ProvisionError::Missing { program, remedy: "apt-get install tor".into() })
        };
        Ok(Self { tor: find("tor")?, gencert: find("tor-gencert")? })
    }
}
