//! One request to the local socket of a pod or relay: what its own command line would send, without
//! a process for each request.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use data_encoding::HEXLOWER;
use rand::{RngCore as _, rngs::OsRng};
use serde_json::Value;

/// Time for an answer on the same machine.
const LIMIT: Duration = Duration::from_secs(60);
/// Longest answer that is read: 200 messages of 16 KiB.
const MAX_ANSWER: u64 = 8 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No process listens, or the connection broke.
    #[error("{request}: {source}")]
    Io {
        /// Method and path.
        request: String,
        /// What the system said.
        source: io::Error,
    },
    /// The answer has an error status.
    #[error("{request}: {answer}")]
    Refused {
        /// Method and path.
        request: String,
        /// Status line and body.
        answer: String,
    },
}

/// Sends a request with `key` as its idempotency key and returns the JSON of the answer, null where
/// it is empty.
///
/// # Errors
/// The socket fails, or the answer has an error status.
pub(super) fn ask(socket: &Path, request: &str, body: Option<&Value>, key: &str) -> Result<Value, AskError> {
    let failed = |source| AskError::Io { request: request.to_owned(), source };
    let answer = exchange(socket, request, body, key).map_err(failed)?;
    let (head, json) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let accepted = head.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
    if !accepted {
        let line = head.lines().next().unwrap_or_default();
        return Err(AskError::Refused { request: request.to_owned(), answer: format!("{line} {json}") });
    }
    if json.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(json).map_err(|error| failed(io::Error::other(error)))
}

/// Sends the request and reads the answer with its head.
fn exchange(socket: &Path, request: &str, body: Option<&Value>, key: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let body = body.map_or_else(String::new, Value::to_string);
    let head = format!(
        "{request} HTTP/1.0\r\nHost: pod\r\nIdempotency-Key: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        key,
        body.len()
    );
    stream.write_all((head + &body).as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A random idempotency key. A repeated request has the same key as the first one.
#[must_use]
pub fn fresh_key() -> String {
    let mut key = [0; 16];
    OsRng.fill_bytes(&mut key);
    HEXLOWER.encode(&key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::net::UnixListener;

    /// Answers one request with `answer`; gives what was asked and what `ask` made of the answer.
    fn asked(answer: &str) -> (String, Result<Value, AskError>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::scope(|scope| {
            let server = scope.spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut heard = [0; 1024];
                let length = stream.read(&mut heard).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                String::from_utf8_lossy(&heard[..length]).into_owned()
            });
            let told = ask(&path, "POST /v1/thing", Some(&json!({ "a": 1 })), "one");
            (server.join().unwrap(), told)
        })
    }

    #[test]
    fn body_of_an_answer_is_read() {
        let (heard, told) = asked("HTTP/1.0 201 Created\r\nx: y\r\n\r\n{\"number\":7}");
        assert!(heard.contains("\r\nIdempotency-Key: one\r\n"), "{heard}");
        assert!(heard.starts_with("POST /v1/thing HTTP/1.0\r\n") && heard.ends_with("{\"a\":1}"), "{heard}");
        assert_eq!(told.unwrap()["number"], 7);
        assert_eq!(asked("HTTP/1.0 204 No Content\r\n\r\n").1.unwrap(), Value::Null);
    }

    #[test]
    fn refusals_and_malformed_answers_are_errors() {
        let (_, told) = asked("HTTP/1.0 409 Conflict\r\n\r\n{\"detail\":\"full\"}");
        assert!(told.unwrap_err().to_string().contains("full"));
        assert!(matches!(asked("HTTP/1.0 200 OK\r\n\r\nhello").1, Err(AskError::Io { .. })));
        assert!(matches!(asked("").1, Err(AskError::Refused { .. })));
    }
}
