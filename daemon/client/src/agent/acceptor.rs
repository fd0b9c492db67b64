//! The agent's socket: one agent per profile, and connections from its own user only.
//!
//! Three things keep others out: the folder's mode, the socket's mode, and the user id of each
//! connection. The lock beside the socket makes sure that there is one agent, and that a socket
//! without a lock is stale.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream, unix::SocketAddr};

/// Longest path of a Unix socket on Linux: `sun_path` has 108 bytes, the last of them zero.
pub const MAX_SOCKET_PATH: usize = 107;

/// Pause after the operating system refused to accept, for example because no file descriptors are
/// left.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// The lock of the one agent of a profile. Held until dropped; the operating system releases it
/// when the process ends in any way.
#[derive(Debug)]
pub struct AgentLock(#[expect(dead_code, reason = "held for its lock")] File);

impl AgentLock {
    /// Takes the lock beside the socket.
    ///
    /// # Errors
    /// [`AcceptorError::Running`] where another agent holds it; [`AcceptorError::Failed`] where the
    /// file cannot be opened.
    pub fn take(socket: &Path) -> Result<Self, AcceptorError> {
        let path = socket.with_extension("lock");
        let failed = |source| AcceptorError::Failed { path: path.clone(), source };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(AcceptorError::Running),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// A listener that accepts connections from processes of its own user only. Dropping it removes the
/// socket.
#[derive(Debug)]
pub struct Acceptor {
    /// The bound socket.
    listener: UnixListener,
    /// Where the socket's file is.
    path: PathBuf,
}

impl Acceptor {
    /// Binds the socket in a folder of the owner's. The lock proves that a socket file found there
    /// is stale.
    ///
    /// # Errors
    /// The path is too long for a socket, or the operating system refuses.
    pub fn open(path: &Path, _lock: &AgentLock) -> Result<Self, AcceptorError> {
        if path.as_os_str().len() > MAX_SOCKET_PATH {
            return Err(AcceptorError::PathTooLong { path: path.to_owned() });
        }
        let failed = |source| AcceptorError::Failed { path: path.to_owned(), source };
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned() })
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        // The next agent removes what is left.
        let _ = fs::remove_file(&self.path);
    }
}

impl axum::serve::Listener for Acceptor {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) if is_owner(&stream) => return (stream, address),
                Ok(_) => tracing::warn!("a connection from another user was refused"),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Whether the process at the other end runs under the same user id.
fn is_owner(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
}

/// Why the socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum AcceptorError {
    /// Another agent runs for this profile.
    #[error("an agent runs for this profile already")]
    Running,
    /// The system's limit.
    #[error(
        "the path {path} is longer than {MAX_SOCKET_PATH} bytes, the most a socket may have: choose a shorter --profile-dir"
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot use {path}: {source}")]
    Failed {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_agent_holds_the_lock_and_stale_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let lock = AgentLock::take(&path).unwrap();
        assert!(matches!(AgentLock::take(&path), Err(AcceptorError::Running)));
        let acceptor = Acceptor::open(&path, &lock).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        UnixStream::connect(&path).await.unwrap();
        drop(acceptor);
        assert!(!path.exists());
        drop(lock);
        AgentLock::take(&path).unwrap();
    }

    #[tokio::test]
    async fn too_long_socket_path_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let lock = AgentLock::take(&dir.path().join("agent.sock")).unwrap();
        let path = dir.path().join("x".repeat(120));
        assert!(matches!(Acceptor::open(&path, &lock), Err(AcceptorError::PathTooLong { .. })));
    }
}
