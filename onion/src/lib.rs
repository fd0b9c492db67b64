//! Tor for pods and devices: onion services, dials, HTTPS and libp2p over both. This is the only
//! crate that names Arti, and nothing of Arti's is in its interface.
//!
//! | a caller asks | and gets |
//! |---|---|
//! | [`Tor::bootstrap`] | a client, with progress on the way, on the public network or a [private](network) one |
//! | [`Tor::launch`] | an [`OnionService`] under the address of an [`OnionKey`], open or restricted to holders of a [descriptor key](DescriptorSecret) |
//! | [`OnionService::listen`] | the streams that callers open to one port |
//! | [`Tor::connect`] | an [`OnionStream`], or a [`DialError`] that says whether and when to try again |
//! | [`peers`] | requests to other pods and relays over connections that share nothing, and a server for theirs |
//! | [`transport`] | libp2p over `/onion3` addresses, dialling and listening |
//! | [`https`] | HTTPS with both sides known by their Ed25519 keys: a listener for axum, and a client |
//! | [`reachability`] | whether a service can be reached, found out by dialling it, and repair when it cannot |
//!
//! What must stay true:
//!
//! * **No key on disk.** The keystore lives in memory. Onion keys come from the caller's encrypted
//!   rows at each launch, descriptor keys likewise. Arti writes in clear its guards, the public
//!   directory, and for each service the introduction points in use.
//! * **A failed rendezvous affects its caller only.** A service ends when it is dropped and by
//!   nothing that a caller does. Circuits, rendezvous, handshakes, waiting streams and connections
//!   are counted and bounded.
//! * **Every dial ends.** Each attempt and the whole have limits, a slow attempt is joined by a
//!   second on fresh circuits, and circuits on which a dial failed are not used again.
//! * **Restricted discovery hides a service and is no access control.** TLS decides who may
//!   connect, and whoever serves a request checks the key again for each request.
//! * **Logs name nobody.** Nothing at `info` is caused by a single caller; addresses are scrubbed.
//!
//! Shut down in this order, which neither hangs nor panics: stop accepting; drop streams, swarms
//! and servers; drop services; drop [`Tor`]; end the runtime with
//! [`tokio::runtime::Runtime::shutdown_timeout`].
//!
//! Arti's feature `hs-pow-full` must not be compiled in: with it, a dropped service never ends.

mod acceptor;
mod address;
mod bootstrap;
mod circuits;
mod clock;
mod config;
mod dial;
mod dial_rtt;
mod echo;
pub mod https;
mod isolation;
mod keys;
pub mod network;
pub mod peers;
pub mod reachability;
mod service;
mod state;
mod stream;
mod task;
mod tls;
mod tor;
pub mod transport;

pub use acceptor::{MAX_WAITING, PortTaken};
pub use address::{AddressError, OnionAddress};
pub use bootstrap::{BootstrapError, BootstrapProgress, install_crypto_provider};
pub use circuits::{MAX_CIRCUITS, MAX_RENDEZVOUS};
pub use config::{BridgeTransport, DEFAULT_BOOTSTRAP_LIMIT, TorConfig};
pub use dial::{DialError, DialErrorKind, DialPolicy};
pub use isolation::CircuitRole;
pub use keys::{DescriptorKeyError, DescriptorPublicKey, DescriptorSecret, OnionKey};
pub use network::{NetworkError, PrivateNetwork, TorNetwork};
pub use service::{
    LaunchError, MAX_DESCRIPTOR_KEYS, OnionService, PortListener, ServiceAccess, ServiceConfig,
};
pub use stream::OnionStream;
pub use tor::{DiscoveryKeyError, Tor};

/// An error and its causes in one line, joined by `: `. Arti's own `Display` shows only the
/// outermost error. A cause whose text the line ends with already is not repeated.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
