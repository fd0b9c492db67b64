//! JSON-RPC to a bitcoind on loopback: one connection a call, a limit on each.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

/// The slowest call here mines some hundred blocks: seconds.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// The largest answer read: a list of 10,000 transactions of some 500 bytes is 5 MB.
const MAX_ANSWER: u64 = 32 << 20;

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The node could not be asked.
    #[error("cannot ask bitcoind at {address} for {method}: {source}")]
    Unreachable {
        /// Where it should listen.
        address: SocketAddr,
        /// The call.
        method: String,
        /// What the system said.
        source: io::Error,
    },
    /// The node said no.
    #[error("bitcoind refuses {method}: {message} (code {code})")]
    Refused {
        /// The call.
        method: String,
        /// bitcoind's error code.
        code: i64,
        /// bitcoind's words.
        message: String,
    },
    /// What came back is not an answer to the call.
    #[error("bitcoind's answer to {method} is not understood: {what}")]
    NotUnderstood {
        /// The call.
        method: String,
        /// The beginning of what came.
        what: String,
    },
}

/// A way to call a node, or one of its wallets.
#[derive(Debug, Clone)]
pub struct Rpc {
    address: SocketAddr,
    cookie: PathBuf,
    path: String,
}

impl Rpc {
    /// Calls go to `address` with the credentials found in `cookie` at the time of each call.
    #[must_use]
    pub fn new(address: SocketAddr, cookie: PathBuf) -> Self {
        Self { address, cookie, path: "/".into() }
    }

    /// The same node's wallet `name`.
    #[must_use]
    pub fn wallet(&self, name: &str) -> Self {
        Self { path: format!("/wallet/{name}"), ..self.clone() }
    }

    /// Calls `method` with `params`, an array or an object of named arguments.
    ///
    /// # Errors
    /// When the node cannot be reached, refuses, or answers nonsense.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        let unreachable =
            |source| RpcError::Unreachable { address: self.address, method: method.to_owned(), source };
        let answer = self.exchange(method, params).map_err(unreachable)?;
        result(method, &answer)
    }

    /// Sends the request and reads the answer, HTTP head included.
    fn exchange(&self, method: &str, params: &Value) -> io::Result<String> {
        let cookie = fs::read_to_string(&self.cookie)?;
        let credentials = data_encoding::BASE64.encode(cookie.trim().as_bytes());
        let body = json!({"jsonrpc": "1.0", "id": 0, "method": method, "params": params}).to_string();
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {credentials}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.path,
            self.address,
            body.len(),
        );
        let mut stream = TcpStream::connect_timeout(&self.address, CALL_LIMIT)?;
        stream.set_read_timeout(Some(CALL_LIMIT))?;
        stream.set_write_timeout(Some(CALL_LIMIT))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// Takes the result, or the error, out of an answer.
fn result(method: &str, answer: &str) -> Result<Value, RpcError> {
    let not_understood =
        || RpcError::NotUnderstood { method: method.to_owned(), what: answer.chars().take(200).collect() };
    let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(not_understood)?;
    let mut body: Value = serde_json::from_str(body).map_err(|_| not_understood())?;
    let error = body["error"].take();
    if error.is_null() {
        return Ok(body["result"].take());
    }
    Err(RpcError::Refused {
        method: method.to_owned(),
        code: error["code"].as_i64().unwrap_or_default(),
        message: error["message"].as_str().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn result_is_extracted_from_the_answer() {
        let value = result("getblockcount", &answer(r#"{"result":7,"error":null,"id":0}"#)).unwrap();
        assert_eq!(value, 7);
    }

    #[test]
    fn refusal_keeps_bitcoinds_message() {
        let body = r#"{"result":null,"error":{"code":-8,"message":"Block height out of range"},"id":0}"#;
        let error = result("getblockhash", &answer(body)).unwrap_err();
        assert_eq!(error.to_string(), "bitcoind refuses getblockhash: Block height out of range (code -8)");
    }

    #[test]
    fn malformed_answer_is_quoted_and_shortened() {
        for text in ["", "HTTP/1.1 401 Unauthorized\r\n\r\n", &answer(&"x".repeat(10_000))] {
            let RpcError::NotUnderstood { what, .. } = result("stop", text).unwrap_err() else {
                panic!("taken for an answer: {text}")
            };
            assert!(what.len() <= 200);
        }
    }
}
