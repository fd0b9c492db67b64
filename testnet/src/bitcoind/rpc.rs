//! JSON-RPC to a bitcoind on loopback: one connection a call, a limit on each.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jsonrpc::Client;
use jsonrpc::minreq_http::MinreqHttpTransport;
use serde_json::Value;
use serde_json::value::to_raw_value;

/// From the start of a call to its whole answer. The slowest call here mines some hundred blocks: seconds.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The node has written no credentials that can be read: it does not run yet, or has ended.
    #[error("cannot ask bitcoind for {method}: cannot read its credentials in {}: {source}", cookie.display())]
    NoCredentials {
        /// The call.
        method: String,
        /// Where the credentials should be.
        cookie: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The node said no.
    #[error("bitcoind refuses {method}: {message} (code {code})")]
    Refused {
        /// The call.
        method: String,
        /// bitcoind's error code.
        code: i32,
        /// bitcoind's words.
        message: String,
    },
    /// The node could not be reached, was too slow, or what came back is not an answer to the call.
    #[error("cannot ask bitcoind at {address} for {method}: {source}")]
    Failed {
        /// Where it should listen.
        address: SocketAddr,
        /// The call.
        method: String,
        /// What went wrong on the way.
        source: jsonrpc::Error,
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
        let credentials = self.credentials(method)?;
        self.exchange(&credentials, method, params).map_err(|error| self.error(method, error))
    }

    /// What the node wrote at its last start, as `USER:PASSWORD`.
    fn credentials(&self, method: &str) -> Result<String, RpcError> {
        fs::read_to_string(&self.cookie).map_err(|source| {
            let (method, cookie) = (method.to_owned(), self.cookie.clone());
            RpcError::NoCredentials { method, cookie, source }
        })
    }

    fn exchange(&self, credentials: &str, method: &str, params: &Value) -> Result<Value, jsonrpc::Error> {
        let url = format!("http://{}{}", self.address, self.path);
        let transport = MinreqHttpTransport::builder().timeout(CALL_LIMIT).cookie_auth(credentials.trim());
        let client = Client::with_transport(transport.url(&url)?.build());
        client.call(method, Some(&to_raw_value(params)?))
    }

    fn error(&self, method: &str, error: jsonrpc::Error) -> RpcError {
        let method = method.to_owned();
        match error {
            jsonrpc::Error::Rpc(said) => RpcError::Refused { method, code: said.code, message: said.message },
            source => RpcError::Failed { address: self.address, method, source },
        }
    }
}
