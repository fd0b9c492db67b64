//! The programs a world needs.
mod tor;

pub use tor::TorPrograms;

/// Why a program is missing.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// Not there.
    #[error("{program} is missing: {remedy}")]
    Missing {
        /// Its name.
        program: &'static str,
        /// What to do.
        remedy: String,
    },
}

/// Looks for `program` on the PATH, then where system programs lie (not on every user's PATH).
fn on_path(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(Into::into));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}
