//! The Unix socket for the machine's owner: the same API, without Tor and certificates.
//!
//! The file system decides who may connect: the socket lies in the pod's folder (mode 0700) and has
//! mode 0600 itself. Whoever connects acts as [`Caller::Owner`].

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::Instant,
};

use autonomy_node::Caller;

/// Connections at once; further ones wait to be accepted. At some 30 kB each 8 MB, and a quarter of the 1,024 files that a
/// process may have open by default.
pub const MAX_CONNECTIONS: usize = 256;
/// Time for the head of a request to arrive, and for the next request on an open connection. Whoever asks is on this
/// machine.
pub const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// Time after the stop for answers under way.
const STOP_LIMIT: Duration = Duration::from_secs(2);
/// Pause between two lines in the log about connections that wait.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);
/// Pause after the system refused to accept: no file descriptor is free, and one will be.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves `router` until `stop` turns true.
///
/// A connection that says nothing for [`HEAD_LIMIT`] ends, so that silent ones keep others waiting no longer than that.
/// A caller that shuts its own direction after the request is answered.
pub(crate) async fn serve(socket: Socket, router: Router, mut stop: watch::Receiver<bool>) {
    let Socket { listener, path: _path } = socket;
    let service = TowerToHyperService::new(router.layer(Extension(Caller::Owner)));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut complained = None;
    let mut connections = JoinSet::new();
    let stopping = stop.clone();
    let mut stopped = pin!(async move { drop(stop.wait_for(|stop| *stop).await) });
    loop {
        if places.available_permits() == 0 {
            complain(&mut complained);
        }
        let accepted = async {
            let place = places.clone().acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        tokio::select! {
            Some((place, accepted)) = accepted => match accepted {
                Ok((stream, _)) => {
                    let connection = serve_connection(stream, service.clone(), stopping.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the pod's socket accepts nobody for a moment");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = &mut stopped => break,
        }
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(STOP_LIMIT, ended).await;
}

/// One line a minute at most.
fn complain(last: &mut Option<Instant>) {
    if last.is_none_or(|last| last.elapsed() > COMPLAIN_EVERY) {
        *last = Some(Instant::now());
        tracing::warn!(
            "{MAX_CONNECTIONS} connections to the pod's socket are open; others wait until one of them ends"
        );
    }
}

/// Serves one connection until its end; after the stop only what is under way.
async fn serve_connection(
    stream: UnixStream,
    service: TowerToHyperService<Router>,
    mut stop: watch::Receiver<bool>,
) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).half_close(true);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    tokio::select! {
        ended = connection.as_mut() => return note(ended),
        () = stopped => connection.as_mut().graceful_shutdown(),
    }
    note(connection.await);
}

/// A connection that broke is nothing that the owner has to know.
fn note(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the socket ended");
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

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: pod\r\n\r\n";

    /// A served socket, until what is given is dropped.
    async fn served() -> (tempfile::TempDir, PathBuf, watch::Sender<bool>, JoinSet<()>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pod.sock");
        let (stop, stopping) = watch::channel(false);
        let routes = Router::new().route("/", get(async || "hello"));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(Socket::bind(&path).await.unwrap(), routes, stopping));
        (folder, path, stop, tasks)
    }

    async fn answer(stream: &mut UnixStream) -> String {
        let mut answer = vec![0; 1024];
        let length = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    #[tokio::test]
    async fn a_caller_that_shut_its_direction_is_answered() {
        let (_folder, path, _stop, _tasks) = served().await;
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(answer(&mut stream).await.ends_with("hello"));
    }

    /// The clock of this test runs ahead whenever all wait.
    #[tokio::test(start_paused = true)]
    async fn silent_connections_keep_nobody_out() {
        let (_folder, path, _stop, _tasks) = served().await;
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            silent.push(UnixStream::connect(&path).await.unwrap());
        }
        silent[0].write_all(b"GET / HTTP/1.1\r\nHost").await.unwrap();
        let since = Instant::now();
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        assert!(answer(&mut stream).await.ends_with("hello"));
        assert!(since.elapsed() <= 2 * HEAD_LIMIT);
        assert_eq!(silent[1].read(&mut [0]).await.unwrap(), 0, "it was closed");
    }
}
