//! Whether a path can be a Unix socket's.

use std::{
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// Longest path of a Unix socket, bytes: `sun_path` has 108, the last of which is 0.
pub const MAX_SOCKET_PATH: usize = 107;

/// The path of a socket is too long for the system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path} has {len} bytes, and a socket's path has at most {MAX_SOCKET_PATH}; choose a folder with a shorter path, or \
     reach it through a symbolic link"
)]
pub struct SocketPathTooLong {
    /// The path.
    pub path: PathBuf,
    /// Its length in bytes.
    pub len: usize,
}

/// Checks the path of a socket before anything is made that would need it.
///
/// # Errors
/// It is longer than [`MAX_SOCKET_PATH`].
pub fn check(path: &Path) -> Result<(), SocketPathTooLong> {
    let len = path.as_os_str().as_bytes().len();
    if len > MAX_SOCKET_PATH {
        return Err(SocketPathTooLong { path: path.to_owned(), len });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_path_passes_and_one_byte_more_is_named() {
        let path = |len: usize| PathBuf::from(format!("/{}", "d".repeat(len - 1)));
        assert_eq!(check(&path(MAX_SOCKET_PATH)), Ok(()));
        let error = check(&path(MAX_SOCKET_PATH + 1)).unwrap_err();
        assert!(
            error.to_string().contains("108 bytes") && error.to_string().contains("at most 107"),
            "{error}"
        );
    }
}
