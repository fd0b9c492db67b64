//! A stream of a peer's connection, and what its use reveals about the connection.

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use libp2p::Stream;
use tokio::{io::ReadBuf, time::Instant};

/// How a connection is used; shared by its lane and its streams. Times are milliseconds since it
/// was made.
#[derive(Debug)]
pub(super) struct Usage {
    since: Instant,
    /// Whether it is established.
    connected: AtomicBool,
    /// Streams open now.
    streams: AtomicUsize,
    /// When a stream was last opened or ended.
    last_use: AtomicU64,
    /// When something was last received.
    last_heard: AtomicU64,
    /// When a stream last carried a byte, either way, or was opened or ended.
    last_moved: AtomicU64,
}

impl Usage {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            since: Instant::now(),
            connected: AtomicBool::new(false),
            streams: AtomicUsize::new(0),
            last_use: AtomicU64::new(0),
            last_heard: AtomicU64::new(0),
            last_moved: AtomicU64::new(0),
        })
    }

    /// Whether the connection is established.
    pub(super) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// The connection is established from now on.
    pub(super) fn connected(&self) {
        self.connected.store(true, Ordering::Relaxed);
        self.heard();
        self.used();
    }

    /// Streams open.
    pub(super) fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    /// When a stream was last opened or ended.
    pub(super) fn last_use(&self) -> Instant {
        self.since + Duration::from_millis(self.last_use.load(Ordering::Relaxed))
    }

    /// When a stream last carried a byte, either way, or was opened or ended. Pings do not count.
    pub(super) fn last_moved(&self) -> Instant {
        self.since + Duration::from_millis(self.last_moved.load(Ordering::Relaxed))
    }

    /// When something was last received from the other end.
    pub(super) fn last_heard(&self) -> Instant {
        self.since + Duration::from_millis(self.last_heard.load(Ordering::Relaxed))
    }

    /// Something was received.
    pub(super) fn heard(&self) {
        self.last_heard.store(self.now(), Ordering::Relaxed);
    }

    /// A stream was opened or ended.
    pub(super) fn used(&self) {
        self.last_use.store(self.now(), Ordering::Relaxed);
        self.moved();
    }

    /// A stream carried a byte.
    fn moved(&self) {
        self.last_moved.store(self.now(), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A stream to or from a peer, with tokio's I/O traits. Dropping it before it was shut down resets
/// it.
pub struct PeerStream {
    inner: Stream,
    usage: Arc<Usage>,
}

impl PeerStream {
    pub(super) fn new(inner: Stream, usage: Arc<Usage>) -> Self {
        usage.streams.fetch_add(1, Ordering::Relaxed);
        usage.used();
        Self { inner, usage }
    }
}

impl Drop for PeerStream {
    fn drop(&mut self) {
        self.usage.used();
        self.usage.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for PeerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerStream").finish_non_exhaustive()
    }
}

impl tokio::io::AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = futures::AsyncRead::poll_read(Pin::new(&mut self.inner), cx, buf.initialize_unfilled());
        read.map_ok(|len| {
            if len > 0 {
                self.usage.heard();
                self.usage.moved();
            }
            buf.advance(len);
        })
    }
}

impl tokio::io::AsyncWrite for PeerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = futures::AsyncWrite::poll_write(Pin::new(&mut self.inner), cx, buf);
        written.map_ok(|len| {
            self.usage.moved();
            len
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        futures::AsyncWrite::poll_flush(Pin::new(&mut self.inner), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        futures::AsyncWrite::poll_close(Pin::new(&mut self.inner), cx)
    }
}
