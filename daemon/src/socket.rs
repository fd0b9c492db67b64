//! The Unix socket for the machine's owner: the same API, without Tor and certificates.
//!
//! The file system decides who may connect: the socket lies in the pod's folder (mode 0700) and has
//! mode 0600 itself. Whoever connects acts as [`Caller::Owner`].

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use axum::{Extension, Router};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use autonomy_node::Caller;

/// Serves `router` at `path` until `stop` turns true.
pub(crate) async fn serve(listener: Socket, router: Router, mut stop: watch::Receiver<bool>) {
    let router = router.layer(Extension(Caller::Owner));
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let Socket { listener, path: _path } = listener;
    let served = axum::serve(listener, router).with_graceful_shutdown(stopped).await;
    if let Err(error) = served {
        tracing::error!("the pod's socket failed: {error}");
    }
}

/// A bound socket. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Accepts connections.
    listener: UnixListener,
    /// Removes the file when dropped.
    path: SocketPath,
}

/// The path of a bound socket, removed when dropped.
#[derive(Debug)]
struct SocketPath(PathBuf);

impl Drop for SocketPath {
    fn drop(&mut self) {
        // Where it cannot be removed, the next pod replaces it.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Socket {
    /// Binds the socket. A file that a killed pod left behind is replaced.
    ///
    /// # Errors
    /// Another process answers at the socket, or the operating system refuses. The database's lock
    /// excludes a second pod in the same folder, so another process there is not a pod.
    pub(crate) async fn bind(path: &Path) -> io::Result<Self> {
        if path.exists() {
            if UnixStream::connect(path).await.is_ok() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "another process answers at the pod's socket",
                ));
            }
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        let owned_path = SocketPath(path.to_owned());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: owned_path })
    }
}
