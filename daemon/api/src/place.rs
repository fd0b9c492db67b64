//! Places as people write them: `/onion3/<address>:4001/p2p/<peer id>`, a libp2p multiaddr.
//!
//! One place has one text. What is not written so (another port, an address with a wrong checksum, a peer id that is
//! not the identity of an Ed25519 key) is refused: whoever pastes it should hear at once that it was cut or changed.
//!
//! Written and read here by the specifications alone (rend-spec-v3 section 6; libp2p peer-ids; multiaddr), so that the
//! types of the API need neither Tor nor libp2p. The daemon's tests compare with both libraries.

use std::{fmt, str::FromStr};

use autonomy_messaging::{
    Name, PublicKey,
    place::{PLACE_PORT, Place},
};
use data_encoding::{BASE32_NOPAD, Encoding, Specification};
use sha3::{Digest as _, Sha3_256};

/// The address of an onion service of version 3: its Ed25519 key, written with checksum and version as
/// `<56 characters>.onion`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OnionAddress(pub [u8; 32]);

/// Longest text of a place that is looked at: `/onion3/` 56 `:4001` `/p2p/` 52 are 126 characters.
pub const MAX_PLACE_TEXT: usize = 160;
/// Characters of an onion address: 35 bytes (key 32, checksum 2, version 1) in base32.
const ONION_LEN: usize = 56;
/// The version of onion addresses that is in use.
const ONION_VERSION: u8 = 3;
/// What stands before an Ed25519 key in a peer id: an identity multihash (`00`) of 36 bytes (`24`), which are a protobuf
/// of key type 1 (`08 01`) and 32 bytes of data (`12 20`).
const PEER_ID_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// Why a text names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPlace {
    /// Not of the form at all.
    #[error("a place is written /onion3/<56 characters>:{PLACE_PORT}/p2p/<peer id>")]
    Form,
    /// Not an onion address of version 3, or one with a wrong checksum.
    #[error("not a valid version 3 onion address; check it for a typing error")]
    Onion,
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
    let rest = text.strip_prefix("/onion3/").ok_or(BadPlace::Form)?;
    let (onion, rest) = rest.split_once(':').ok_or(BadPlace::Form)?;
    let (port, peer) = rest.split_once("/p2p/").ok_or(BadPlace::Form)?;
    let port: u16 = port.parse().map_err(|_| BadPlace::Form)?;
    let onion = onion_key(onion)?;
    if port != PLACE_PORT {
        return Err(BadPlace::Port(port));
    }
    Ok(Place::new(onion, peer_key(peer)?))
}

/// The text of a place.
#[must_use]
pub fn text(place: &Place) -> String {
    format!("/onion3/{}:{PLACE_PORT}/p2p/{}", onion_label(place.onion()), peer_id(place.peer()))
}

impl fmt::Display for OnionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.onion", onion_label(&self.0))
    }
}

/// Scrubbed: where a pod is has no place in a log.
impl fmt::Debug for OnionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[scrubbed].onion")
    }
}

impl FromStr for OnionAddress {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        onion_key(text.strip_suffix(".onion").ok_or(BadPlace::Onion)?).map(Self)
    }
}

/// What to call a place that nobody named: the first eight characters of its onion address, enough to tell sixteen
/// relays apart.
#[must_use]
#[expect(clippy::expect_used, reason = "eight characters of base32 are a visible line")]
pub fn short_name(place: &Place) -> Name {
    Name::new(&onion_label(place.onion())[..8]).expect("eight characters of base32 are a visible line")
}

/// The peer id of an Ed25519 key: the key itself, written as an identity multihash (libp2p peer-ids specification).
#[must_use]
pub fn peer_id(key: &PublicKey) -> String {
    bs58::encode([&PEER_ID_PREFIX[..], key.as_bytes()].concat()).into_string()
}

/// Key, checksum and version of an onion address in base32, without `.onion`.
fn onion_label(key: &[u8; 32]) -> String {
    let bytes = [&key[..], &checksum(key), &[ONION_VERSION]].concat();
    lower_base32().encode(&bytes)
}

fn onion_key(label: &str) -> Result<[u8; 32], BadPlace> {
    if label.len() != ONION_LEN {
        return Err(BadPlace::Onion);
    }
    let bytes = BASE32_NOPAD.decode(label.to_ascii_uppercase().as_bytes()).map_err(|_| BadPlace::Onion)?;
    let (key, rest) = bytes.split_first_chunk::<32>().ok_or(BadPlace::Onion)?;
    let whole = rest == [&checksum(key)[..], &[ONION_VERSION]].concat();
    whole.then_some(*key).ok_or(BadPlace::Onion)
}

/// The first two bytes of SHA3-256 over `.onion checksum`, the key and the version (rend-spec-v3 section 6).
fn checksum(key: &[u8; 32]) -> [u8; 2] {
    let digest =
        Sha3_256::new_with_prefix(b".onion checksum").chain_update(key).chain_update([ONION_VERSION]);
    let digest = digest.finalize();
    [digest[0], digest[1]]
}

#[expect(clippy::expect_used, reason = "32 distinct characters are an alphabet")]
fn lower_base32() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification.encoding().expect("32 distinct characters are an alphabet")
}

fn peer_key(text: &str) -> Result<PublicKey, BadPlace> {
    let bytes = bs58::decode(text).into_vec().map_err(|_| BadPlace::Form)?;
    let key = bytes.strip_prefix(&PEER_ID_PREFIX[..]).ok_or(BadPlace::Peer)?;
    let key: [u8; 32] = key.try_into().map_err(|_| BadPlace::Peer)?;
    PublicKey::from_bytes(&key).map_err(|_| BadPlace::Peer)
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

    /// The Tor Project's own onion address, and its key.
    #[test]
    fn a_known_onion_address_passes_its_checksum() {
        let label = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid";
        assert_eq!(onion_label(&onion_key(label).unwrap()), label);
    }

    #[test]
    fn what_was_cut_or_changed_is_refused_with_what_is_wrong() {
        let good = text(&Place::new(*key(1).as_bytes(), key(2)));
        let onion = good.split("/p2p/").next().unwrap().to_owned();
        let peer = good.split("/p2p/").nth(1).unwrap().to_owned();
        assert_eq!(parse(&onion), Err(BadPlace::Form), "a place without its peer is half a place");
        assert_eq!(parse(&good.replace(":4001", ":4002")), Err(BadPlace::Port(4002)));
        assert_eq!(parse(&format!("{good}/tcp/1")), Err(BadPlace::Form));
        assert_eq!(parse(&format!("/ip4/127.0.0.1/p2p/{peer}")), Err(BadPlace::Form));
        assert_eq!(parse(&good[..good.len() - 1]), Err(BadPlace::Peer));
        assert_eq!(parse(&"/".repeat(4_000)), Err(BadPlace::Form));
        let rsa = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
        assert_eq!(parse(&format!("{onion}/p2p/{rsa}")), Err(BadPlace::Peer));
        let other = onion.replacen("/onion3/", "/onion3/b", 1);
        let changed: String = other.chars().take(64).chain(":4001".chars()).collect();
        assert_eq!(parse(&format!("{changed}/p2p/{peer}")), Err(BadPlace::Onion));
    }
}
