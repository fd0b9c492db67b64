//! The text of a place, written by specification alone, is the one that libp2p and Tor's libraries write.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use autonomy_api::place;
use autonomy_messaging::{
    PublicKey, SigningKey,
    place::{PLACE_PORT, Place},
};
use autonomy_onion::OnionAddress;
use libp2p::{
    Multiaddr, PeerId,
    identity::{self, ed25519},
    multiaddr::Protocol,
};

#[test]
fn place_text_equals_multiaddr_text() {
    for seed in 0..64 {
        let key = |seed: u8| PublicKey::from(&SigningKey::from_bytes(&[seed; 32]));
        let (onion, peer) = (key(seed), key(seed ^ 0xff));
        let text = place::text(&Place::new(*onion.as_bytes(), peer));
        assert_eq!(text, multiaddr(&onion, &peer).to_string());
        assert_eq!(text.parse::<Multiaddr>().unwrap().to_string(), text);
    }
}

fn multiaddr(onion: &PublicKey, peer: &PublicKey) -> Multiaddr {
    let key = ed25519::PublicKey::try_from_bytes(peer.as_bytes()).unwrap();
    let peer = PeerId::from_public_key(&identity::PublicKey::from(key));
    OnionAddress::from_public_key(*onion.as_bytes()).multiaddr(PLACE_PORT).with(Protocol::P2p(peer))
}
