//! The Unix socket for the machine's owner: the same API, no Tor, no certificate.
//!
//! Who may connect is decided by the file system: the socket lies in the pod's folder (mode 0700) and has mode
//! 0600 itself.

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
    let Socket { listener, place: _place } = listener;
    let served = axum::serve(listener, router).with_graceful_shutdown(stopped).await;
    if let Err(error) = served {
        tracing::error!("the pod's socket failed: {error}");
    }
}

/// A bound socket. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    place: Place,
}

/// Where a socket lies.
#[derive(Debug)]
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        // Where it cannot be removed, the next pod replaces it.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Socket {
    /// Binds the socket. One that a killed pod left behind is replaced; one that answers is not: the store's
    /// lock has told already that no other pod runs here.
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
        let place = Place(path.to_owned());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, place })
    }
}
