//! A connection through Tor.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use arti_client::DataStream;
use tokio::io::ReadBuf;

/// A connection to or from an onion service: bytes in both directions, in order, end to end encrypted by Tor.
///
/// It speaks tokio's I/O traits and those of `futures`. Writes are gathered until flushed. The other end is
/// not told that this end was dropped unless it was closed first; a dead circuit may be noticed late or never,
/// so the protocol above needs its own sign of life.
#[derive(Debug)]
pub struct OnionStream {
    inner: DataStream,
    /// Tells the service's session that its circuit is in use.
    _circuit: Option<Arc<()>>,
}

impl OnionStream {
    pub(crate) fn dialled(inner: DataStream) -> Self {
        Self { inner, _circuit: None }
    }

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
