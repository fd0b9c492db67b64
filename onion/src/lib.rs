//! A pod's life on Tor.

mod address;
mod bootstrap;
mod config;
mod dial;
mod door;
mod echo;
pub mod https;
mod isolation;
mod keys;
pub mod network;
pub mod reachability;
mod service;
mod state;
mod stream;
mod task;
mod tls;
mod tor;
pub mod transport;

pub use address::{AddressError, OnionAddress};
pub use bootstrap::{BootstrapError, BootstrapProgress, install_crypto_provider};
pub use config::{BridgeTransport, DEFAULT_BOOTSTRAP_LIMIT, TorConfig};
pub use dial::{DialError, DialErrorKind, DialPolicy};
pub use door::{MAX_CIRCUITS, MAX_RENDEZVOUS, MAX_WAITING, PortTaken};
pub use isolation::Role;
pub use keys::{DescriptorKeyError, DescriptorPublicKey, DescriptorSecret, OnionKey};
pub use network::{NetworkError, PrivateNetwork, TorNetwork};
pub use service::{Access, LaunchError, MAX_DESCRIPTOR_KEYS, OnionService, PortListener, ServiceConfig};
pub use stream::OnionStream;
pub use tor::{DiscoveryKeyError, Tor};

/// An error with its causes in one line: Arti's own `Display` shows only the outermost.
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
