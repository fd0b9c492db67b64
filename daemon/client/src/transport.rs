//! The ways to a pod: a Unix socket (its own, or an agent's), or an onion service. Both speak HTTP and give back
//! hyper's streaming bodies, so nothing above this file knows which one it is.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
};

#[cfg(feature = "tor")]
use autonomy_onion::https::{HttpsClient, HttpsError};
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::UnixStream;

/// Host written in requests over a Unix socket, where the name means nothing.
const SOCKET_HOST: &str = "pod.invalid";

/// One way to a pod. Connections are kept and used again.
#[derive(Clone)]
pub struct Transport {
    way: Way,
}

#[derive(Clone)]
enum Way {
    Socket(Box<Socket>),
    #[cfg(feature = "tor")]
    Onion(HttpsClient),
}

#[derive(Clone)]
struct Socket {
    client: Client<SocketConnector, Full<Bytes>>,
    path: PathBuf,
    agent: bool,
}

impl Transport {
    /// Over the pod's own Unix socket, on its machine.
    #[must_use]
    pub fn socket(path: &Path) -> Self {
        Self::over_socket(path, false)
    }

    /// Over the Unix socket of this user's agent, which is believed when it says that it did not reach the pod.
    #[must_use]
    pub fn agent(path: &Path) -> Self {
        Self::over_socket(path, true)
    }

    fn over_socket(path: &Path, agent: bool) -> Self {
        let connector = SocketConnector { path: path.to_owned() };
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { way: Way::Socket(Box::new(Socket { client, path: path.to_owned(), agent })) }
    }

    /// Whether an agent is at the other end.
    pub(crate) fn is_agent(&self) -> bool {
        match &self.way {
            Way::Socket(socket) => socket.agent,
            #[cfg(feature = "tor")]
            Way::Onion(_) => false,
        }
    }

    /// Over Tor, to the pod's app onion service.
    #[cfg(feature = "tor")]
    #[must_use]
    pub fn onion(client: HttpsClient) -> Self {
        Self { way: Way::Onion(client) }
    }

    /// Sends one request whose URI has a path and a query only.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, SendError> {
        match &self.way {
            Way::Socket(socket) => {
                let request = absolute(request, "http", SOCKET_HOST);
                socket.client.request(request).await.map_err(|error| SendError {
                    trouble: if error.is_connect() { Trouble::NoConnection } else { Trouble::Lost },
                    reason: chain(&error),
                })
            }
            #[cfg(feature = "tor")]
            Way::Onion(client) => client.send(request).await.map_err(SendError::from),
        }
    }

    /// The other end, as a person would name it.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.way {
            Way::Socket(socket) => format!("the socket {}", socket.path.display()),
            #[cfg(feature = "tor")]
            Way::Onion(_) => "the pod's onion service".to_owned(),
        }
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").field("to", &self.name()).finish_non_exhaustive()
    }
}

/// The legacy client routes by scheme and host, so a bare path gets both.
fn absolute(mut request: Request<Full<Bytes>>, scheme: &str, host: &str) -> Request<Full<Bytes>> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    if let Ok(uri) = format!("{scheme}://{host}{path}").parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request
}

/// Why a request got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct SendError {
    /// What a caller can act on.
    pub(crate) trouble: Trouble,
    /// The whole chain of causes.
    pub(crate) reason: String,
}

/// What kept an answer away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No connection came about, so the request was never sent.
    NoConnection,
    /// The connection broke, or no answer came; the request may have been carried out.
    Lost,
    /// The pod does not accept this device's key.
    NotAdmitted,
    /// Whoever answered does not have the pod's key.
    WrongPod,
}

#[cfg(feature = "tor")]
impl From<HttpsError> for SendError {
    fn from(error: HttpsError) -> Self {
        let trouble = match &error {
            HttpsError::Dial(_) | HttpsError::Handshake(_) | HttpsError::Request(_) => Trouble::NoConnection,
            HttpsError::Lost(_) | HttpsError::TimedOut(_) => Trouble::Lost,
            HttpsError::CertificateRefused => Trouble::NotAdmitted,
            HttpsError::WrongServer => Trouble::WrongPod,
        };
        Self { trouble, reason: error.to_string() }
    }
}

/// An error with all its causes: the outer ones say little (`client error (Connect)`).
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// Connects to one path, whatever the URI says.
#[derive(Clone, Debug)]
struct SocketConnector {
    path: PathBuf,
}

impl tower::Service<Uri> for SocketConnector {
    type Response = SocketStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<SocketStream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = self.path.clone();
        Box::pin(
            async move { UnixStream::connect(path).await.map(|stream| SocketStream(TokioIo::new(stream))) },
        )
    }
}

/// A Unix stream with the word "not a proxy, not HTTP/2" that hyper's pool asks for.
struct SocketStream(TokioIo<UnixStream>);

impl Connection for SocketStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for SocketStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl hyper::rt::Write for SocketStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
