//! Places as people write them: `/onion3/<address>:4001/p2p/<peer id>`, a libp2p multiaddr.
//!
//! One place has one text. What is not written so (another port, an address with a wrong checksum, a peer id that is
//! not the identity of an Ed25519 key) is refused: whoever pastes it should hear at once that it was cut or changed.

use std::str::FromStr as _;

use autonomy_messaging::{
    PublicKey,
    place::{PLACE_PORT, Place},
};
use autonomy_onion::{AddressError, OnionAddress};
use libp2p::{
    Multiaddr, PeerId,
    identity::{self, ed25519},
    multiaddr::Protocol,
};

/// Longest text of a place that is looked at: `/onion3/` 56 `:4001` `/p2p/` 52 are 126 characters.
pub const MAX_PLACE_TEXT: usize = 160;

/// Why a text names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPlace {
    /// Not of the form at all.
    #[error("a place is written /onion3/<56 characters>:{PLACE_PORT}/p2p/<peer id>")]
    Form,
    /// The onion address is none.
    #[error(transparent)]
    Onion(#[from] AddressError),
    /// Another port.
    #[error("places are at port {PLACE_PORT}, not at {0}")]
    Port(u16),
    /// The peer id is not made of an Ed25519 key.
    #[error("the peer id behind /p2p/ is not that of an Ed25519 key")]
    Peer,
}

/// Reads the text of a place.
///
/// # Errors
/// [`BadPlace`] says what is wrong with it.
pub fn parse(text: &str) -> Result<Place, BadPlace> {
    if text.len() > MAX_PLACE_TEXT {
        return Err(BadPlace::Form);
    }
    let address = Multiaddr::from_str(text).map_err(|_| BadPlace::Form)?;
    let Some(Protocol::P2p(peer)) = address.iter().nth(1) else { return Err(BadPlace::Form) };
    let (onion, port) = OnionAddress::from_multiaddr(&address)?;
    if port != PLACE_PORT {
        return Err(BadPlace::Port(port));
    }
    Ok(Place::new(*onion.as_bytes(), key_of(&peer).ok_or(BadPlace::Peer)?))
}

/// The text of a place.
#[must_use]
pub fn text(place: &Place) -> String {
    let onion = OnionAddress::from_public_key(*place.onion());
    let address = onion.multiaddr(PLACE_PORT);
    match peer_id(place.peer()) {
        Some(peer) => address.with(Protocol::P2p(peer)).to_string(),
        // A `PublicKey` is a usable one, and libp2p takes every usable key.
        None => address.to_string(),
    }
}

/// The peer id of an Ed25519 key: the key itself, spelt as an identity multihash (libp2p peer-ids specification).
#[must_use]
pub fn peer_id(key: &PublicKey) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(key.as_bytes()).ok()?;
    Some(PeerId::from_public_key(&identity::PublicKey::from(key)))
}

/// The Ed25519 key in a peer id. None for hashes and keys of other kinds.
#[must_use]
pub fn key_of(peer: &PeerId) -> Option<PublicKey> {
    /// Multihash code of bytes that stand for themselves.
    const IDENTITY: u64 = 0;
    let hash = peer.as_ref();
    let key =
        (hash.code() == IDENTITY).then(|| identity::PublicKey::try_decode_protobuf(hash.digest()).ok())??;
    PublicKey::from_bytes(&key.try_into_ed25519().ok()?.to_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use autonomy_messaging::SigningKey;
    use proptest::prelude::*;

    fn key(seed: u8) -> PublicKey {
        PublicKey::from(&SigningKey::from_bytes(&[seed; 32]))
    }

    proptest! {
        #[test]
        fn every_place_reads_back_from_its_text(onion: u8, peer: u8) {
            let place = Place::new(*key(onion).as_bytes(), key(peer));
            prop_assert_eq!(parse(&text(&place)), Ok(place));
            prop_assert!(text(&place).len() <= MAX_PLACE_TEXT);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn what_was_cut_or_changed_is_refused_with_what_is_wrong() {
        let good = text(&Place::new(*key(1).as_bytes(), key(2)));
        let onion = good.split("/p2p/").next().unwrap().to_owned();
        let peer = good.split("/p2p/").nth(1).unwrap().to_owned();
        assert_eq!(parse(&onion), Err(BadPlace::Form), "a place without its peer is half a place");
        assert_eq!(parse(&good.replace(":4001", ":4002")), Err(BadPlace::Port(4002)));
        assert_eq!(parse(&format!("{good}/tcp/1")), Err(BadPlace::Onion(AddressError::NotOnionMultiaddr)));
        assert_eq!(
            parse(&format!("/ip4/127.0.0.1/p2p/{peer}")),
            Err(BadPlace::Onion(AddressError::NotOnionMultiaddr))
        );
        assert_eq!(parse(&good[..good.len() - 1]), Err(BadPlace::Form));
        assert_eq!(parse(&"/".repeat(4_000)), Err(BadPlace::Form));
        let rsa = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
        assert_eq!(parse(&format!("{onion}/p2p/{rsa}")), Err(BadPlace::Peer));
        let other = onion.replacen("/onion3/", "/onion3/b", 1);
        let changed: String = other.chars().take(64).chain(":4001".chars()).collect();
        assert!(matches!(
            parse(&format!("{changed}/p2p/{peer}")),
            Err(BadPlace::Onion(AddressError::Invalid(_)))
        ));
    }
}
