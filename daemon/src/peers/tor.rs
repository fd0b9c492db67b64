//! The lanes over Tor.
//!
//! A lane of the messenger becomes a role of the Tor client: its own circuits and its own libp2p
//! identity.

use std::fmt;

use autonomy_messaging::{
    lane::{FILE_LANES, Lane, LaneRole, Unreached},
    place::{PLACE_PORT, Place},
    wire::PROTOCOL,
};
use autonomy_onion::{
    CircuitRole, OnionAddress, Tor,
    peers::{PeerAddress, Peers},
};
use futures::future::BoxFuture;
use rand::RngCore as _;
use tokio::sync::watch;

use super::{Dial, Duplex};

/// Circuits for long files.
const FILES: [CircuitRole; FILE_LANES as usize] =
    [CircuitRole::named("first lane of files"), CircuitRole::named("second lane of files")];

/// Reaches places through Tor, over one connection for each place and lane.
#[derive(Clone)]
pub struct OverTor {
    peers: Peers,
    /// Sets the lanes of this pod apart from those of other pods on the same client. The messenger names lanes for sending
    /// by the contact: without it two pods of one person would leave frames for somebody over the same circuits, and
    /// the relay would know that they belong together.
    salt: [u8; 16],
}

impl OverTor {
    /// Lanes on this client. They share no circuit with those of any other value made here.
    #[must_use]
    pub fn new(tor: &Tor) -> Self {
        let mut salt = [0; 16];
        rand::rngs::OsRng.fill_bytes(&mut salt);
        Self { peers: Peers::new(tor, PROTOCOL), salt }
    }
}

impl fmt::Debug for OverTor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverTor").field("peers", &self.peers).field("salt", &"[hidden]").finish()
    }
}

impl Dial for OverTor {
    /// The stream belongs to the lane's connection, which is made if there is none.
    fn open<'a>(&'a self, place: &'a Place, lane: Lane) -> BoxFuture<'a, Result<Box<dyn Duplex>, Unreached>> {
        Box::pin(async move {
            let stream = self.peers.open(&address(place), role(lane, &self.salt)).await;
            let stream = stream.map_err(|error| Unreached { detail: error.to_string() })?;
            Ok(Box::new(stream) as Box<dyn Duplex>)
        })
    }

    fn woken(&self) -> watch::Receiver<u64> {
        self.peers.woken()
    }
}

/// The network address of a place.
#[must_use]
pub fn address(place: &Place) -> PeerAddress {
    let onion = OnionAddress::from_public_key(*place.onion());
    PeerAddress { onion, port: PLACE_PORT, key: *place.peer().as_bytes() }
}

/// The circuits of a lane. Two pods draw different salts, so their lanes have different roles:
/// equal results of 128 random bits are not to be expected.
fn role(lane: Lane, salt: &[u8; 16]) -> CircuitRole {
    let role = match lane.role {
        LaneRole::Deposit => CircuitRole::DEPOSIT,
        LaneRole::Files(number) => FILES[usize::from(number % FILE_LANES)],
        LaneRole::Collect => CircuitRole::COLLECT,
    };
    role.of(std::array::from_fn(|index| lane.party[index] ^ salt[index]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pods_on_one_client_share_no_circuit_role() {
        let lane = |party| Lane { role: LaneRole::Collect, party: [party; 16] };
        let (one, other) = ([3; 16], [9; 16]);
        assert_eq!(role(lane(1), &one), role(lane(1), &one), "a pod keeps its circuits");
        assert_ne!(role(lane(1), &one), role(lane(2), &one));
        assert_ne!(role(lane(1), &one), role(lane(1), &other));
    }
}
