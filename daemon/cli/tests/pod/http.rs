//! HTTP requests written byte by byte, so that they can be malformed in any way.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

use serde_json::Value;

use crate::home::TEST_TIMEOUT;

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// 0 where nothing came back.
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The JSON of an answer that is no refusal.
    pub(crate) fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.json()
    }

    /// Fails if this is not a refusal as every refusal should be; gives the stable part of its type.
    pub(crate) fn problem(&self) -> String {
        assert!((400..500).contains(&self.status) || matches!(self.status, 503 | 507), "{self:?}");
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        let problem = self.json();
        for field in ["type", "title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {self:?}");
        }
        assert_eq!(problem["status"], self.status);
        problem["type"].as_str().and_then(|kind| kind.rsplit('/').next()).unwrap().to_owned()
    }

    /// Fails if this is not a refusal with this status and of this kind.
    pub(crate) fn refused(&self, status: u16, kind: &str) {
        assert_eq!((self.status, self.problem().as_str()), (status, kind), "{self:?}");
    }
}

/// Sends bytes, whatever they are, and reads until the pod closes.
pub(crate) fn send(socket: &Path, request: &[u8]) -> Answer {
    let Ok(mut stream) = UnixStream::connect(socket) else { return Answer::read(b"") };
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    // Who refuses early may close before all is sent.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Answer::read(&answer)
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// An open event stream. HTTP/1.0, so that the answer comes as it is and not in chunks.
pub(crate) struct Listener {
    stream: UnixStream,
    heard: Vec<u8>,
}

impl Listener {
    pub(crate) fn open(socket: &Path, query: &str, headers: &[&str]) -> Self {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        write!(stream, "GET /v1/events{query} HTTP/1.0\r\n{headers}\r\n").unwrap();
        let mut listener = Self { stream, heard: Vec::new() };
        listener.until("\r\n\r\n");
        listener
    }

    /// Reads until `text` was heard; gives all since the beginning.
    pub(crate) fn until(&mut self, text: &str) -> String {
        loop {
            let heard = String::from_utf8_lossy(&self.heard).into_owned();
            if heard.contains(text) {
                return heard;
            }
            assert!(self.more(), "the stream ended before {text:?}: {heard}");
        }
    }

    /// Reads until the pod ends the stream; gives all since the beginning.
    pub(crate) fn read_out(mut self) -> String {
        while self.more() {}
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    fn more(&mut self) -> bool {
        let mut part = [0; 4096];
        let count = self.stream.read(&mut part).unwrap();
        self.heard.extend_from_slice(&part[..count]);
        count > 0
    }
}

/// The ids of the events in what was heard, in order.
pub(crate) fn ids(heard: &str) -> Vec<u64> {
    heard.lines().filter_map(|line| line.strip_prefix("id: ")?.trim().parse().ok()).collect()
}
