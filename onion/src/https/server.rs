//! The server's end: a listener for `axum::serve`.
//!
//! A connection passes three steps: the handshake, bounded in number and time; the limit for its
//! caller; and a short queue for axum. What fails in one of them never reaches a handler.

use std::{
    collections::VecDeque,
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{extract::connect_info::Connected, serve::IncomingStream, serve::Listener};
use futures::{Stream, StreamExt as _};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{Instant, Sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::limiter::{ConnectionLimiter, ConnectionSlot};
use crate::{
    OnionStream,
    task::OwnedTask,
    tls::{self, ClientGate, TlsIdentity, TlsSetupError},
};

/// Handshakes under way at once. Each is a key exchange (about 0.2 ms) and two round trips through Tor. The oldest makes
/// room for a newcomer: whoever wants to keep others out with handshakes that hang has to begin 64 in the second or two
/// that an honest one takes.
pub(super) const MAX_HANDSHAKES: usize = 64;
/// A handshake is two round trips; slow circuits need some seconds.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);
/// Time to send a refused caller the TLS alert that says why.
const ALERT_LIMIT: Duration = Duration::from_secs(5);
/// A connection on which nothing is received for this long is dead or forgotten; our clients ping
/// every few seconds.
const IDLE_LIMIT: Duration = Duration::from_secs(600);
/// Connections with a finished handshake that wait for `axum`.
const READY: usize = 8;

/// The key of the client certificate of a connection. Handlers get it as `ConnectInfo<Caller>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller(pub [u8; 32]);

/// A listener for `axum::serve` over the streams of an onion service's port.
pub type OnionTlsListener = TlsListener<OnionStream>;

/// A listener for `axum::serve` over any streams.
///
/// Handshakes run side by side in the background, bounded in number and time, so that a slow or
/// hostile caller delays nobody. Refused callers get a TLS alert.
#[derive(Debug)]
pub struct TlsListener<S> {
    /// Connections whose handshake is done.
    ready: mpsc::Receiver<(TlsConnection<S>, Caller)>,
    _handshakes: OwnedTask,
}

/// A connection whose caller is known. It fails with `TimedOut` after `IDLE_LIMIT` without input.
pub struct TlsConnection<S> {
    /// The encrypted stream.
    tls: TlsStream<S>,
    /// Fires when nothing was received for [`IDLE_LIMIT`].
    idle: Pin<Box<Sleep>>,
    /// Counts against the caller's limit until the connection is dropped.
    _slot: ConnectionSlot,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsListener<S> {
    /// Serves `streams` as `identity` to the callers that `gate` accepts. The background work ends
    /// when the listener is dropped.
    ///
    /// # Errors
    /// TLS cannot be set up with `identity`.
    pub fn new(
        streams: impl Stream<Item = S> + Send + 'static,
        identity: &TlsIdentity,
        gate: ClientGate,
    ) -> Result<Self, TlsSetupError> {
        let config = tls::server_config(identity, gate)?;
        let (sender, ready) = mpsc::channel(READY);
        Ok(Self { ready, _handshakes: OwnedTask::spawn(accept_connections(streams, config, sender)) })
    }
}

/// Starts a handshake for each stream, at most [`MAX_HANDSHAKES`] at a time, until the listener is
/// gone. At the limit the one that has been under way longest ends.
async fn accept_connections<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    streams: impl Stream<Item = S> + Send,
    config: Arc<ServerConfig>,
    ready: mpsc::Sender<(TlsConnection<S>, Caller)>,
) {
    let acceptor = TlsAcceptor::from(config);
    let limiter = Arc::new(ConnectionLimiter::default());
    let mut streams = std::pin::pin!(streams.fuse());
    let mut handshakes = JoinSet::new();
    let mut by_age = VecDeque::new();
    loop {
        tokio::select! {
            Some(stream) = streams.next() => {
                by_age.retain(|handshake: &AbortHandle| !handshake.is_finished());
                if by_age.len() >= MAX_HANDSHAKES && let Some(oldest) = by_age.pop_front() {
                    tracing::debug!("a handshake makes room for a newer one");
                    oldest.abort();
                }
                let handshake = handshake(stream, acceptor.clone(), limiter.clone(), ready.clone());
                by_age.push_back(handshakes.spawn(timeout(HANDSHAKE_LIMIT, handshake)));
            }
            Some(_) = handshakes.join_next() => {}
            () = ready.closed() => return,
        }
    }
}

/// One handshake. A caller that the gate refuses gets the alert before its stream is closed.
async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    acceptor: TlsAcceptor,
    limiter: Arc<ConnectionLimiter>,
    ready: mpsc::Sender<(TlsConnection<S>, Caller)>,
) {
    let mut tls = match acceptor.accept(stream).into_fallible().await {
        Ok(tls) => tls,
        Err((error, mut stream)) => {
            // rustls wrote an alert, and an onion stream keeps it until flushed.
            let _ = timeout(ALERT_LIMIT, async { stream.flush().await.and(stream.shutdown().await) }).await;
            return tracing::debug!(%error, "a caller was refused");
        }
    };
    let certificate = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let Some(Ok(caller)) = certificate.map(tls::public_key) else { return };
    let Some(slot) = limiter.take(caller) else {
        let _ = timeout(ALERT_LIMIT, tls.shutdown()).await;
        return tracing::debug!("a caller was refused: too many connections");
    };
    let idle = Box::pin(tokio::time::sleep(IDLE_LIMIT));
    let _ = ready.send((TlsConnection { tls, idle, _slot: slot }, Caller(caller))).await;
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Listener for TlsListener<S> {
    type Io = TlsConnection<S>;
    type Addr = Caller;

    async fn accept(&mut self) -> (Self::Io, Caller) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The service is gone; axum ends by its shutdown signal.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Caller> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "an onion service has no socket address"))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connected<IncomingStream<'_, TlsListener<S>>>
    for Caller
{
    fn connect_info(stream: IncomingStream<'_, TlsListener<S>>) -> Self {
        *stream.remote_addr()
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({}…)", data_encoding::HEXLOWER.encode(&self.0[..4]))
    }
}

impl<S> fmt::Debug for TlsConnection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnection").finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsConnection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.tls).poll_read(cx, buf) {
            Poll::Ready(read) => {
                self.idle.as_mut().reset(Instant::now() + IDLE_LIMIT);
                Poll::Ready(read)
            }
            Poll::Pending => self.idle.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsConnection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}
