//! The lanes over Tor.

use autonomy_messaging::{
    lane::{Lane, LaneRole, Unreached},
    place::{PLACE_PORT, Place},
    wire::PROTOCOL,
};
use autonomy_onion::{
    OnionAddress, Role, Tor,
    peers::{PeerAddress, Peers},
};
use futures::future::BoxFuture;
use tokio::sync::watch;

use super::{Dial, Duplex};

/// Reaches places through Tor: one connection for each place and lane.
#[derive(Debug, Clone)]
pub struct OverTor(Peers);

impl OverTor {
    /// Lanes on this client.
    #[must_use]
    pub fn new(tor: &Tor) -> Self {
        Self(Peers::new(tor, PROTOCOL))
    }
}

impl Dial for OverTor {
    fn open<'a>(&'a self, place: &'a Place, lane: Lane) -> BoxFuture<'a, Result<Box<dyn Duplex>, Unreached>> {
        Box::pin(async move {
            let stream = self.0.open(&address(place), role(lane)).await;
            let stream = stream.map_err(|error| Unreached { detail: error.to_string() })?;
            Ok(Box::new(stream) as Box<dyn Duplex>)
        })
    }

    fn woken(&self) -> watch::Receiver<u64> {
        self.0.woken()
    }
}

/// Where a place is.
#[must_use]
pub fn address(place: &Place) -> PeerAddress {
    let onion = OnionAddress::from_public_key(*place.onion());
    PeerAddress { onion, port: PLACE_PORT, key: *place.peer().as_bytes() }
}

fn role(lane: Lane) -> Role {
    let role = match lane.role {
        LaneRole::Deposit => Role::DEPOSIT,
        LaneRole::Collect => Role::COLLECT,
    };
    role.of(lane.party)
}
