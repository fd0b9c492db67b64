//! The client's end: one connection, kept and shared by all requests.

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Request, Response, Uri, uri::PathAndQuery};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::HttpsError;
use crate::{
    DialError, DialPolicy, OnionAddress, Tor,
    tls::{self, TlsIdentity, TlsSetupError},
};

/// A ping is sent after this long without anything from the server …
const PING_AFTER: Duration = Duration::from_secs(6);
/// … and the connection is given up this long after it: a dead circuit is found within 14 s.
const PONG_WITHIN: Duration = Duration::from_secs(8);
/// An idle connection is kept this long; after that its circuit may be closed too.
const KEEP_IDLE: Duration = Duration::from_secs(600);
/// Usual limit of a request, from the call to the head of the answer. It includes a dial of up to a
/// minute.
const REQUEST_LIMIT: Duration = Duration::from_secs(90);
/// TLS needs one round trip after the dial.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(20);

/// The server to call: where it is, and the key it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// The onion service.
    pub onion: OnionAddress,
    /// Its port.
    pub port: u16,
    /// The Ed25519 key its certificate must hold.
    pub key: [u8; 32],
}

/// An HTTPS client for one server. Cheap to clone; all clones share one HTTP/2 connection, which is opened by
/// the first request, kept alive by pings, and replaced when it dies.
#[derive(Clone)]
pub struct HttpsClient(Arc<Inner>);

/// What the clones of a client share.
struct Inner {
    /// Makes a new connection when there is none.
    connector: Connector,
    /// hyper's client with its pool of one connection; replaced as a whole by
    /// [`HttpsClient::reconnect`].
    client: Mutex<Pooled>,
    /// The authority of every request's URI.
    host: String,
    /// Called when a connection proved dead, to discard its circuits.
    on_dead: Box<dyn Fn() + Send + Sync>,
}

/// hyper's client for one server.
type Pooled = Client<Connector, Full<Bytes>>;
/// Opens a stream to the server.
type Dial = Arc<dyn Fn() -> BoxFuture<'static, Result<BoxedIo, DialError>> + Send + Sync>;
/// A stream to the server, whatever carries it: tests use streams without Tor.
type BoxedIo = Box<dyn Io>;

/// What TLS needs of a stream.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl HttpsClient {
    /// A client for `server` that shows it the key of `identity`. Nothing is dialled yet.
    ///
    /// # Errors
    /// TLS cannot be set up with `identity`.
    pub fn new(
        tor: &Tor,
        server: Server,
        identity: &TlsIdentity,
        policy: DialPolicy,
    ) -> Result<Self, TlsSetupError> {
        let (dialler, rotated) = (tor.clone(), tor.clone());
        let dial = move || -> BoxFuture<'static, _> {
            let tor = dialler.clone();
            Box::pin(async move {
                let stream = tor.connect(&server.onion, server.port, &policy).await?;
                Ok(Box::new(stream) as BoxedIo)
            })
        };
        let host = format!("{}:{}", server.onion, server.port);
        let on_dead = Box::new(move || rotated.rotate(&server.onion));
        Self::over(Arc::new(dial), host, server.key, identity, on_dead)
    }

    /// The same over any kind of stream.
    fn over(
        dial: Dial,
        host: String,
        server: [u8; 32],
        identity: &TlsIdentity,
        on_dead: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Self, TlsSetupError> {
        let tls = TlsConnector::from(tls::client_config(identity, server)?);
        let connector = Connector { dial, tls, verdict: Arc::default() };
        let client = Mutex::new(pooled(connector.clone()));
        Ok(Self(Arc::new(Inner { connector, client, host, on_dead })))
    }

    /// Sends a request and waits for the head of the answer; its body streams in after. Only path
    /// and query of the request's URI count.
    ///
    /// # Errors
    /// [`HttpsError`]: its [`retry_after`](HttpsError::retry_after) says whether the same request
    /// may succeed later, and each variant whether the request may have been carried out.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, HttpsError> {
        self.send_within(request, REQUEST_LIMIT).await
    }

    /// The same with another limit than the usual 90 s.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_within(
        &self,
        mut request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<Response<Incoming>, HttpsError> {
        *request.uri_mut() = self.absolute(request.uri())?;
        let client = self.pool().clone();
        let result = match timeout(limit, client.request(request)).await {
            Ok(answer) => answer.map_err(|error| self.0.connector.verdict.on(HttpsError::classify(&error))),
            Err(_) => Err(HttpsError::TimedOut(limit)),
        };
        if result.as_ref().is_err_and(HttpsError::connection_is_dead) {
            self.reconnect();
        }
        result
    }

    /// Discards the connection and its circuits: the next request dials anew. Requests under way
    /// are not interrupted.
    pub fn reconnect(&self) {
        *self.pool() = pooled(self.0.connector.clone());
        (self.0.on_dead)();
    }

    /// The pool, locked for the moment of taking or replacing it.
    fn pool(&self) -> std::sync::MutexGuard<'_, Pooled> {
        self.0.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The URI with this server as its authority, which HTTP/2 demands.
    fn absolute(&self, uri: &Uri) -> Result<Uri, HttpsError> {
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let parts = Uri::builder().scheme("https").authority(self.0.host.as_str()).path_and_query(path);
        parts.build().map_err(|e| HttpsError::Request(e.to_string()))
    }
}

impl fmt::Debug for HttpsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpsClient").finish_non_exhaustive()
    }
}

/// A pool for one HTTP/2 connection that is kept alive by pings.
fn pooled(connector: Connector) -> Pooled {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEEP_IDLE)
        .http2_only(true)
        .http2_keep_alive_interval(PING_AFTER)
        .http2_keep_alive_timeout(PONG_WITHIN)
        .http2_keep_alive_while_idle(true)
        .build(connector)
}

/// Makes the HTTP/2 connection: dials, then does the TLS handshake.
#[derive(Clone)]
struct Connector {
    dial: Dial,
    tls: TlsConnector,
    /// Shared with the connection, which sets it.
    verdict: Arc<Verdict>,
}

/// What the server's TLS said about this client on the newest connection. In TLS 1.3 a client is
/// refused after its own handshake is done, when its first request is on the way, and HTTP/2 keeps
/// only the text of that error.
#[derive(Default)]
struct Verdict(Mutex<Option<HttpsError>>);

impl Verdict {
    /// Replaces the verdict; `None` at the start of a connection.
    fn set(&self, verdict: Option<HttpsError>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = verdict;
    }

    /// The verdict in place of `error`, where a connection was lost because of it.
    fn on(&self, error: HttpsError) -> HttpsError {
        let verdict = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (error, verdict.as_ref()) {
            (HttpsError::Lost(_), Some(verdict)) => verdict.clone(),
            (error, _) => error,
        }
    }
}

impl Connector {
    /// Dials and does the handshake, within the dial's limits and [`HANDSHAKE_LIMIT`].
    async fn connect(self) -> Result<ClientIo, HttpsError> {
        self.verdict.set(None);
        let stream = (self.dial)().await?;
        // The server is known by its key; the name is a form to be filled in.
        let name = ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
        let handshake = timeout(HANDSHAKE_LIMIT, self.tls.connect(name, stream)).await;
        let tls = handshake.map_err(|_| HttpsError::Handshake("no answer".to_owned()))?;
        let tls = TokioIo::new(tls.map_err(|error| of_handshake(&error))?);
        Ok(ClientIo { tls, verdict: self.verdict })
    }
}

/// A connection lost during the handshake is an error of the handshake: no request was sent yet.
fn of_handshake(error: &io::Error) -> HttpsError {
    match HttpsError::classify(error) {
        HttpsError::Lost(text) => HttpsError::Handshake(text),
        known => known,
    }
}

impl tower::Service<Uri> for Connector {
    type Response = ClientIo;
    type Error = HttpsError;
    type Future = BoxFuture<'static, Result<ClientIo, HttpsError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HttpsError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

/// The connection as hyper reads and writes it. Reading notes a TLS alert about this client's key.
struct ClientIo {
    tls: TokioIo<TlsStream<BoxedIo>>,
    verdict: Arc<Verdict>,
}

impl Connection for ClientIo {
    fn connected(&self) -> Connected {
        Connected::new().negotiated_h2()
    }
}

impl hyper::rt::Read for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.tls).poll_read(cx, buf);
        if let Poll::Ready(Err(error)) = &read
            && let refused @ HttpsError::CertificateRefused = HttpsError::classify(error)
        {
            self.verdict.set(Some(refused));
        }
        read
    }
}

impl hyper::rt::Write for ClientIo {
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
