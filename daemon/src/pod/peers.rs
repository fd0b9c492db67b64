//! The libp2p swarm behind the peer service.
//!
//! Contacts come with the messaging protocol; until then the swarm proves to a caller that this pod key lives at
//! this address (noise), answers pings, and lets nobody in further.

use autonomy_onion::{DialPolicy, PortListener, Role, Tor, transport};
use futures::StreamExt as _;
use libp2p::{PeerId, Swarm, identity::Keypair, ping};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// The virtual port of the peer service.
pub(super) const PEER_PORT: u16 = 4001;

/// Why the swarm cannot start.
#[derive(Debug, thiserror::Error)]
#[error("the peer service cannot start: {0}")]
pub(super) struct PeersError(String);

/// Serves peers on `listener` as the pod with this Ed25519 seed, until `stop` turns true.
pub(super) fn swarm(
    tor: &Tor,
    listener: PortListener,
    pod_seed: &Zeroizing<[u8; 32]>,
) -> Result<Swarm<ping::Behaviour>, PeersError> {
    let refused = |error: &dyn std::fmt::Display| PeersError(error.to_string());
    let mut seed = Zeroizing::new(**pod_seed);
    let keypair = Keypair::ed25519_from_bytes(&mut *seed).map_err(|error| refused(&error))?;
    let policy = DialPolicy::new(Role::named("peer"));
    let mut onion = transport::OnionTransport::new(tor.clone(), policy);
    let address = onion.serve(listener);
    let peer = PeerId::from(keypair.public());
    let transport = transport::authenticated(onion, &keypair).map_err(|error| refused(&error))?;
    let behaviour = ping::Behaviour::new(transport::ping_config());
    let mut swarm = Swarm::new(transport, behaviour, peer, transport::swarm_config());
    swarm.listen_on(address).map_err(|error| refused(&error))?;
    Ok(swarm)
}

/// Runs the swarm until `stop` turns true.
pub(super) async fn serve(mut swarm: Swarm<ping::Behaviour>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            event = swarm.select_next_some() => tracing::debug!(?event, "peer service"),
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
