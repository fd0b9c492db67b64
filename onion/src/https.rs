//! HTTPS over an onion service, both sides known by their keys.
//!
//! [`OnionTlsListener`] is what `axum::serve` listens on; each connection tells the handlers its [`Caller`].
//! [`HttpsClient`] is the other end. A caller's key is checked at the handshake; whoever serves requests must
//! check it again for each request, so that a revoked caller's open connection dies too.

mod client;
mod error;
mod limiter;
mod server;
#[cfg(test)]
mod tests;

pub use client::{HttpsClient, Server};
pub use error::HttpsError;
pub use server::{Caller, OnionTlsListener, TlsConnection, TlsListener};

pub use crate::tls::{ClientGate, TlsIdentity, TlsSetupError};
