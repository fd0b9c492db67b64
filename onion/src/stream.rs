//! A connection through Tor.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use arti_client::DataStream;
use tokio::io::ReadBuf;

/// A connection to or from an onion service: bytes in both directions, in order, end to end
/// encrypted by Tor.
///
/// It implements tokio's I/O traits and those of `futures`. Writes are buffered until flushed. The
/// other end does not learn that this end was dropped unless it was shut down first. A dead circuit
/// may be noticed late or never, so the protocol above needs pings of its own.
#[derive(Debug)]
pub struct OnionStream {
    inner: DataStream,
    /// Tells the service's session that its circuit is in use.
    /// Counts the streams of an incoming circuit: the service closes a circuit without any.
    _circuit: Option<Arc<()>>,
}

impl OnionStream {
    /// A stream that this client opened.
    pub(crate) fn dialled(inner: DataStream) -> Self {
        Self { inner, _circuit: None }
    }

    /// A stream that a caller opened; `circuit` is held until the stream is dropped.
    pub(crate) fn accepted(inner: DataStream, circuit: Arc<()>) -> Self {
        Self { inner, _circuit: Some(circuit) }
    }
}

impl tokio::io::AsyncRead for OnionStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        tokio::io::AsyncRead::poll_read(Pin::new(&mut self.inner), cx, buf)
    }
}

impl tokio::io::AsyncWrite for OnionStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        tokio::io::AsyncWrite::poll_write(Pin::new(&mut self.inner), cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_flush(Pin::new(&mut self.inner), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.inner), cx)
    }
}

impl futures::AsyncRead for OnionStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        futures::AsyncRead::poll_read(Pin::new(&mut self.inner), cx, buf)
    }
}

impl futures::AsyncWrite for OnionStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        futures::AsyncWrite::poll_write(Pin::new(&mut self.inner), cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        futures::AsyncWrite::poll_flush(Pin::new(&mut self.inner), cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        futures::AsyncWrite::poll_close(Pin::new(&mut self.inner), cx)
    }
}
