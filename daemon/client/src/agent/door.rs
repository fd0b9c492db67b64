//! The agent's socket: one agent a profile, and nobody but its owner comes in.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream, unix::SocketAddr};

/// Longest path of a Unix socket on Linux: `sun_path` has 108 bytes, the last of them zero.
pub const MAX_SOCKET_PATH: usize = 107;

/// Pause after the system refused a connection, for example because no file descriptors are left.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// The lock of the one agent of a profile. Held until dropped; the system drops it with the process.
#[derive(Debug)]
pub struct AgentLock(#[expect(dead_code, reason = "held for its lock")] File);

impl AgentLock {
    /// Takes the lock beside the socket.
    ///
    /// # Errors
    /// [`DoorError::Running`] where another agent holds it.
    pub fn take(socket: &Path) -> Result<Self, DoorError> {
        let path = socket.with_extension("lock");
        let failed = |source| DoorError::Failed { path: path.clone(), source };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(DoorError::Running),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// A listener that lets in processes of its own user only.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
}

impl Door {
    /// Opens the socket in a folder of the owner's alone. The lock shows that a socket found there is stale.
    ///
    /// # Errors
    /// [`DoorError`] with the path.
    pub fn open(path: &Path, _lock: &AgentLock) -> Result<Self, DoorError> {
        if path.as_os_str().len() > MAX_SOCKET_PATH {
            return Err(DoorError::PathTooLong { path: path.to_owned() });
        }
        let failed = |source| DoorError::Failed { path: path.to_owned(), source };
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned() })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // The next agent removes what is left.
        let _ = fs::remove_file(&self.path);
    }
}

impl axum::serve::Listener for Door {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) if is_owner(&stream) => return (stream, address),
                Ok(_) => tracing::warn!("a process of another user knocked and was turned away"),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

fn is_owner(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
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
    async fn one_agent_holds_the_door_and_a_stale_socket_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let lock = AgentLock::take(&path).unwrap();
        assert!(matches!(AgentLock::take(&path), Err(DoorError::Running)));
        let door = Door::open(&path, &lock).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        UnixStream::connect(&path).await.unwrap();
        drop(door);
        assert!(!path.exists());
        drop(lock);
        AgentLock::take(&path).unwrap();
    }

    #[tokio::test]
    async fn a_path_that_no_socket_can_have_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let lock = AgentLock::take(&dir.path().join("agent.sock")).unwrap();
        let path = dir.path().join("x".repeat(120));
        assert!(matches!(Door::open(&path, &lock), Err(DoorError::PathTooLong { .. })));
    }
}
