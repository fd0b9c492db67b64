//! Peers over Tor: streams to other pods and relays, and a server for theirs.
//!
//! **Outgoing** ([`Peers`]): one connection for each peer and [`CircuitRole`], called a *lane*.
//! Each connection has a libp2p identity made for it alone, and circuits that no other lane uses: a
//! peer learns only that somebody calls. A connection is made when a stream is asked for and kept
//! warm while it is used. It ends when it was idle for [`KEEP_WARM`], or when another lane needs
//! its room. Pings find a circuit that died without notice within 15 s; it is never used again.
//!
//! **Incoming** ([`PeerServer`]): a swarm under the pod's own key hands out the streams of one
//! protocol. Callers are anonymous, so connections, streams of each, and streams a second are all
//! limited.
//!
//! A failed dial is not repeated here: whoever asked for the stream knows when another try is worth
//! it.

mod behaviour;
mod handler;
mod lane;
mod lanes;
mod ping;
mod server;
mod stream;
#[cfg(test)]
mod tests;
mod wake;

use std::{fmt, str::FromStr};

use libp2p::{Multiaddr, PeerId, identity::ed25519, multiaddr::Protocol};

pub use self::{
    lanes::{KEEP_WARM, MAX_DIALS, MAX_LANES, MAX_UNCONNECTED, Peers},
    server::{Arrival, MAX_CONNECTIONS, MAX_STREAMS, PeerServer, PeerServerError},
    stream::PeerStream,
};
use crate::{AddressError, CircuitRole, OnionAddress};

/// Where a peer is and who it must prove to be.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerAddress {
    /// Its onion service.
    pub onion: OnionAddress,
    /// The virtual port of its protocol.
    pub port: u16,
    /// The Ed25519 public key of its libp2p identity.
    pub key: [u8; 32],
}

/// Why a text is not the address of a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerAddressError {
    /// Not a multiaddr at all.
    #[error("not an address of the form /onion3/<56 characters>:<port>/p2p/<peer id>: {0}")]
    NotMultiaddr(String),
    /// Its onion address is wrong.
    #[error(transparent)]
    Onion(#[from] AddressError),
    /// It has no peer id, or one that is no Ed25519 key.
    #[error("the address does not end in /p2p/ and the id of an Ed25519 key")]
    Peer,
}

/// Why there is no stream to a peer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PeerError {
    /// The connection could not be made.
    #[error("{0}")]
    Dial(String),
    /// A peer with another key answers at this address.
    #[error("another peer than expected answers at this address")]
    WrongPeer,
    /// The connection ended before the stream was open.
    #[error("the connection ended")]
    Ended,
    /// All connections are in use, or too many are being made. Nothing was dialled.
    #[error("too many connections to peers are in use or being made")]
    NoRoom,
    /// The key in the address is not an Ed25519 key.
    #[error("the peer's key is no Ed25519 key")]
    Key,
}

impl PeerAddress {
    /// The peer's libp2p id; `None` where the key is not a point of the curve.
    fn peer_id(&self) -> Option<PeerId> {
        let key = ed25519::PublicKey::try_from_bytes(&self.key).ok()?;
        Some(libp2p::identity::PublicKey::from(key).to_peer_id())
    }
}

/// `/onion3/<address>:<port>/p2p/<peer id>`.
impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.onion.multiaddr(self.port);
        match self.peer_id() {
            Some(peer) => address.with(Protocol::P2p(peer)).fmt(f),
            None => address.fmt(f),
        }
    }
}

/// Says little, as the onion address in it.
impl fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerAddress")
            .field("onion", &self.onion)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl FromStr for PeerAddress {
    type Err = PeerAddressError;

    fn from_str(text: &str) -> Result<Self, PeerAddressError> {
        let address: Multiaddr = text
            .parse()
            .map_err(|error: libp2p::multiaddr::Error| PeerAddressError::NotMultiaddr(error.to_string()))?;
        let (onion, port) = OnionAddress::from_multiaddr(&address)?;
        let Some(Protocol::P2p(peer)) = address.iter().nth(1) else { return Err(PeerAddressError::Peer) };
        let key = ed25519_key(&peer).ok_or(PeerAddressError::Peer)?;
        Ok(Self { onion, port, key })
    }
}

/// The key inside a peer id. Ids of short keys hold the key itself, in an identity multihash (code
/// 0).
fn ed25519_key(peer: &PeerId) -> Option<[u8; 32]> {
    let hash = peer.as_ref();
    if hash.code() != 0 {
        return None;
    }
    let key = libp2p::identity::PublicKey::try_decode_protobuf(hash.digest()).ok()?;
    Some(key.try_into_ed25519().ok()?.to_bytes())
}
