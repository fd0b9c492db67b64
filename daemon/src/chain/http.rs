//! HTTP as bitcoind speaks it: one request after the other over a connection, each within a deadline that counts for the
//! whole of it. A bitcoind that gives a byte a second is away, as one is that gives none.

use std::{
    fmt,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    time::{Duration, Instant},
};

/// Where bitcoind listens if its URL does not say.
const MAINNET_PORT: u16 = 8332;
/// Most bytes of a status line and headers: bitcoind sends some 150.
const MAX_HEAD: usize = 16 * 1024;
/// Most bytes of an answer. A block of 4 MB is 8 MB of hexadecimal text; a list of a mempool of 300,000 transactions is 20 MB.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// Bytes read at once.
const PIECE: usize = 64 * 1024;

/// Where bitcoind listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Host and port.
    authority: String,
    /// `/`, or what the URL names.
    path: String,
}

impl Endpoint {
    /// Reads `http://host:port/path`, of which only the host has to be there.
    ///
    /// # Errors
    /// What is wrong with it, and what to do. A login in the URL is not repeated.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(format!(
                "`bitcoind.url` begins with {scheme}://, and bitcoind speaks http only, so nothing was sent to it: write \
                 http://, and reach a bitcoind elsewhere through a tunnel (ssh, WireGuard or Tor)"
            ));
        }
        let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        if authority.contains('@') {
            return Err(
                "`bitcoind.url` holds a login: move it to `bitcoind.user` and `bitcoind.password`".into()
            );
        }
        let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        let authority = port.map_or_else(|| format!("{authority}:{MAINNET_PORT}"), |_| authority.to_owned());
        Ok(Self { authority, path: path.to_owned() })
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum HttpError {
    /// The connection cannot be made, or breaks.
    Io(io::Error),
    /// The deadline is over.
    Deadline(Duration),
    /// What came is no answer that this program reads; says in what.
    Strange(&'static str),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Deadline(allowed) => write!(f, "no whole answer within {} s", allowed.as_secs()),
            Self::Strange(what) => write!(f, "what answers there is no bitcoind: {what}"),
        }
    }
}

/// An answer: its status and its body.
#[derive(Debug)]
pub(super) struct HttpAnswer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// A connection that is made when it is needed, and kept from one request to the next.
#[derive(Debug)]
pub(super) struct Connection {
    endpoint: Endpoint,
    /// The value of the header `Authorization`.
    authorization: String,
    kept: Option<TcpStream>,
}

impl Connection {
    pub(super) fn new(endpoint: Endpoint, authorization: String) -> Self {
        Self { endpoint, authorization, kept: None }
    }

    /// Posts a body and reads the answer. A connection that was kept may have been closed meanwhile: then the request is
    /// made once more on a new one.
    ///
    /// # Errors
    /// There is no whole answer before the deadline.
    pub(super) fn post(&mut self, body: &[u8], allowed: Duration) -> Result<HttpAnswer, HttpError> {
        let deadline = Deadline::after(allowed);
        if let Some(stream) = self.kept.take()
            && let Ok(answer) = self.exchange(stream, body, &deadline)
        {
            return Ok(answer);
        }
        let stream = self.connect(&deadline)?;
        self.exchange(stream, body, &deadline)
    }

    fn connect(&self, deadline: &Deadline) -> Result<TcpStream, HttpError> {
        let mut last = io::Error::new(ErrorKind::NotFound, "its host has no address");
        for address in self.endpoint.authority.to_socket_addrs().map_err(HttpError::Io)? {
            match TcpStream::connect_timeout(&address, deadline.left()?) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(HttpError::Io(last))
    }

    fn exchange(
        &mut self,
        mut stream: TcpStream,
        body: &[u8],
        deadline: &Deadline,
    ) -> Result<HttpAnswer, HttpError> {
        let Endpoint { authority, path } = &self.endpoint;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            self.authorization,
            body.len()
        );
        stream.set_write_timeout(Some(deadline.left()?)).map_err(HttpError::Io)?;
        stream.write_all(&[head.as_bytes(), body].concat()).map_err(|error| deadline.or(error))?;
        let (answer, more) = read_answer(&mut stream, deadline)?;
        self.kept = more.then_some(stream);
        Ok(answer)
    }
}

/// Reads an answer. Gives also whether another may follow on this connection.
fn read_answer(stream: &mut TcpStream, deadline: &Deadline) -> Result<(HttpAnswer, bool), HttpError> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if bytes.len() > MAX_HEAD {
            return Err(HttpError::Strange("its headers do not end"));
        }
        if read_piece(stream, &mut bytes, deadline)? == 0 {
            return Err(HttpError::Io(ErrorKind::UnexpectedEof.into()));
        }
    };
    let mut body = bytes.split_off(end + 4);
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status =
        status.filter(|_| head.starts_with("http/1.")).ok_or(HttpError::Strange("it speaks no HTTP"))?;
    let header = |name: &str| {
        let found = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.map(str::trim)
    };
    if header("transfer-encoding").is_some() {
        return Err(HttpError::Strange(
            "it sends its answer in chunks; ask it directly, without a proxy between",
        ));
    }
    let len: Option<usize> = header("content-length").and_then(|len| len.parse().ok());
    if len.is_some_and(|len| len > MAX_BODY) {
        return Err(HttpError::Strange("its answer is larger than any that it is asked for"));
    }
    while len.is_none_or(|len| body.len() < len) {
        let read = read_piece(stream, &mut body, deadline)?;
        match len {
            _ if body.len() > MAX_BODY => {
                return Err(HttpError::Strange("its answer is larger than any that it is asked for"));
            }
            Some(_) if read == 0 => return Err(HttpError::Io(ErrorKind::UnexpectedEof.into())),
            None if read == 0 => break,
            _ => {}
        }
    }
    let more = len == Some(body.len()) && header("connection") != Some("close");
    Ok((HttpAnswer { status, body }, more))
}

/// Appends what has come. Gives how many bytes; none at the end.
fn read_piece(stream: &mut TcpStream, bytes: &mut Vec<u8>, deadline: &Deadline) -> Result<usize, HttpError> {
    let mut piece = [0; PIECE];
    stream.set_read_timeout(Some(deadline.left()?)).map_err(HttpError::Io)?;
    let read = stream.read(&mut piece).map_err(|error| deadline.or(error))?;
    bytes.extend_from_slice(&piece[..read]);
    Ok(read)
}

/// When a request has to be answered.
struct Deadline {
    allowed: Duration,
    at: Instant,
}

impl Deadline {
    fn after(allowed: Duration) -> Self {
        Self { allowed, at: now() + allowed }
    }

    /// The time that is left; never zero, which would mean none.
    fn left(&self) -> Result<Duration, HttpError> {
        let left = self.at.saturating_duration_since(now());
        if left.is_zero() { Err(HttpError::Deadline(self.allowed)) } else { Ok(left) }
    }

    /// What an error on a socket with the time that is left comes to.
    fn or(&self, error: io::Error) -> HttpError {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => HttpError::Deadline(self.allowed),
            _ => HttpError::Io(error),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a deadline is about the clock of this machine")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_is_spoken_to_bitcoind() {
        let good = Endpoint { authority: "127.0.0.1:8332".into(), path: "/".into() };
        assert_eq!(Endpoint::parse("http://127.0.0.1:8332"), Ok(good.clone()));
        for same in ["HTTP://127.0.0.1:8332/", "http://127.0.0.1", "127.0.0.1:8332"] {
            assert_eq!(Endpoint::parse(same), Ok(good.clone()), "{same}");
        }
        assert!(
            Endpoint::parse("http://[::1]:8332/wallet/a").is_ok_and(|endpoint| endpoint.path == "/wallet/a")
        );
        for (url, says) in [
            ("https://10.0.0.1:8332", "https://, and bitcoind speaks http only"),
            ("socks5h://10.0.0.1:8332", "socks5h://"),
            ("http://me:hunter2@127.0.0.1:8332", "holds a login"),
        ] {
            let refused = Endpoint::parse(url).unwrap_err();
            assert!(refused.contains(says) && !refused.contains("hunter2"), "{url}: {refused}");
        }
    }
}
