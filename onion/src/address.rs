//! Onion addresses: the 32-byte public key of an onion service and the text people exchange.

use std::{fmt, str::FromStr};

use libp2p::multiaddr::{Multiaddr, Protocol};
use safelog::DisplayRedacted as _;
use tor_hscrypto::pk::HsId;

/// Characters of an address without `.onion`: 35 bytes (key 32, checksum 2, version 1) in base32 = 56.
const LABEL_LEN: usize = 56;
/// Length of the text that [`OnionAddress::from_str`] accepts: the label and `.onion`.
const MAX_TEXT_LEN: usize = LABEL_LEN + ".onion".len();

/// The address of an onion service (version 3, rend-spec-v3 section 6).
///
/// It holds the service's 32-byte identity key. `Display` prints the whole address, as a person needs it;
/// `Debug` prints only its end, so that an address which slips into a log or an error says little. Use
/// [`OnionAddress::scrubbed`] where a line at `info` must name a service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OnionAddress([u8; 32]);

/// Why a text is not an onion address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The text has another length than 56 characters and `.onion`.
    #[error(
        "an onion address has {LABEL_LEN} characters before \".onion\"; this text has {found} characters in all"
    )]
    Length {
        /// Bytes in the text given.
        found: usize,
    },
    /// The text does not end in `.onion`, or a subdomain stands before it.
    #[error("an onion address is one label followed by \".onion\"")]
    NotOnion,
    /// Characters outside base32, a wrong checksum, or a version other than 3.
    #[error("not a valid version 3 onion address ({0}); check it for a typing error")]
    Invalid(String),
    /// A multiaddr that is not `/onion3/<address>:<port>`, with an optional `/p2p/<peer>` behind it.
    #[error("expected /onion3/<56 characters>:<port> or /onion3/<56 characters>:<port>/p2p/<peer id>")]
    NotOnionMultiaddr,
}

impl OnionAddress {
    /// The address of the service with this Ed25519 public key. Whether the bytes are a point of
    /// the curve is not checked: a dial to such an address finds nothing.
    #[must_use]
    pub const fn from_public_key(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The Ed25519 public key of the service.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A form for logs that shows only the last characters (`[…]xyz.onion`).
    #[must_use]
    pub fn scrubbed(&self) -> impl fmt::Display + '_ {
        Scrubbed(self)
    }

    /// The libp2p address `/onion3/<address>:<port>`.
    #[must_use]
    #[expect(clippy::expect_used, reason = "Display writes 56 base32 characters")]
    pub fn multiaddr(&self, port: u16) -> Multiaddr {
        let mut hash = [0u8; 35];
        let text = self.to_string();
        let decoded = data_encoding::BASE32_NOPAD
            .decode(text[..LABEL_LEN].to_ascii_uppercase().as_bytes())
            .expect("Display writes 56 base32 characters");
        hash.copy_from_slice(&decoded);
        Multiaddr::empty().with(Protocol::Onion3((hash, port).into()))
    }

    /// The address and port of `/onion3/<address>:<port>`, with or without `/p2p/<peer>` behind it.
    ///
    /// # Errors
    /// The address has any other shape, or a wrong checksum or version: libp2p parses `/onion3`
    /// without looking at those two, so they are checked here.
    pub fn from_multiaddr(address: &Multiaddr) -> Result<(Self, u16), AddressError> {
        let mut parts = address.iter();
        let Some(Protocol::Onion3(onion)) = parts.next() else { return Err(AddressError::NotOnionMultiaddr) };
        match (parts.next(), parts.next()) {
            (None, None) | (Some(Protocol::P2p(_)), None) => {}
            _ => return Err(AddressError::NotOnionMultiaddr),
        }
        let label = data_encoding::BASE32_NOPAD.encode(onion.hash()).to_ascii_lowercase();
        Ok((format!("{label}.onion").parse()?, onion.port()))
    }

    /// The address in Arti's form.
    pub(crate) fn hs_id(&self) -> HsId {
        HsId::from(self.0)
    }

    /// The address from Arti's form.
    pub(crate) fn from_hs_id(id: HsId) -> Self {
        let bytes: &[u8; 32] = id.as_ref();
        Self(*bytes)
    }
}

impl FromStr for OnionAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() != MAX_TEXT_LEN {
            return Err(AddressError::Length { found: text.len() });
        }
        let lower = text.to_ascii_lowercase();
        if !lower.ends_with(".onion") || lower[..].matches('.').count() != 1 {
            return Err(AddressError::NotOnion);
        }
        let id: HsId = lower
            .parse()
            .map_err(|e: tor_hscrypto::pk::HsIdParseError| AddressError::Invalid(e.to_string()))?;
        Ok(Self::from_hs_id(id))
    }
}

impl fmt::Display for OnionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hs_id().fmt_unredacted(f)
    }
}

impl fmt::Debug for OnionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OnionAddress({})", self.scrubbed())
    }
}

/// Prints the end of an address only.
struct Scrubbed<'a>(&'a OnionAddress);

impl fmt::Display for Scrubbed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        write!(f, "[…]{}", &text[LABEL_LEN - 3..])
    }
}

impl serde::Serialize for OnionAddress {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for OnionAddress {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The Tor Project's own service, from its website.
    const KNOWN: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

    #[test]
    fn known_address_round_trips() {
        let address: OnionAddress = KNOWN.parse().unwrap();
        assert_eq!(address.to_string(), KNOWN);
        assert_eq!(KNOWN.to_ascii_uppercase().parse::<OnionAddress>().unwrap(), address);
    }

    #[test]
    fn debug_and_scrubbed_hide_the_address() {
        let address: OnionAddress = KNOWN.parse().unwrap();
        for text in [format!("{address:?}"), address.scrubbed().to_string()] {
            assert!(text.contains("wid.onion") && !text.contains("2gzy"), "{text}");
        }
    }

    #[test]
    fn one_wrong_character_fails_the_checksum() {
        let wrong = KNOWN.replacen('g', "h", 1);
        assert!(matches!(wrong.parse::<OnionAddress>(), Err(AddressError::Invalid(_))));
    }

    #[test]
    fn invalid_texts_are_refused_with_the_reason() {
        assert!(matches!("".parse::<OnionAddress>(), Err(AddressError::Length { found: 0 })));
        assert!(matches!("x".repeat(1 << 20).parse::<OnionAddress>(), Err(AddressError::Length { .. })));
        let subdomain = format!("a.{}", &KNOWN[2..]);
        assert_eq!(subdomain.parse::<OnionAddress>(), Err(AddressError::NotOnion));
    }

    #[test]
    fn multiaddr_with_wrong_checksum_is_refused() {
        let good: OnionAddress = KNOWN.parse().unwrap();
        let text = good.multiaddr(9).to_string().replacen('g', "h", 1);
        let bad: Multiaddr = text.parse().unwrap();
        assert!(OnionAddress::from_multiaddr(&bad).is_err());
        let tcp: Multiaddr = "/ip4/127.0.0.1/tcp/9".parse().unwrap();
        assert_eq!(OnionAddress::from_multiaddr(&tcp), Err(AddressError::NotOnionMultiaddr));
        let more: Multiaddr = format!("{}/tcp/9", good.multiaddr(9)).parse().unwrap();
        assert_eq!(OnionAddress::from_multiaddr(&more), Err(AddressError::NotOnionMultiaddr));
    }

    proptest! {
        #[test]
        fn every_key_round_trips_as_text_and_multiaddr(key: [u8; 32], port in 1u16..) {
            let address = OnionAddress::from_public_key(key);
            prop_assert_eq!(address.to_string().parse::<OnionAddress>().unwrap(), address);
            prop_assert_eq!(OnionAddress::from_multiaddr(&address.multiaddr(port)).unwrap(), (address, port));
        }

        #[test]
        fn parsing_multiaddr_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            // 445 is the code of onion3, as an unsigned varint.
            bytes.splice(0..0, [0xbd, 0x03]);
            if let Ok(address) = Multiaddr::try_from(bytes) {
                let _ = OnionAddress::from_multiaddr(&address);
            }
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,80}") {
            let _ = text.parse::<OnionAddress>();
        }

        #[test]
        fn parsing_text_of_right_length_never_panics(text in "[\\x00-\\x7fäß]{54,62}") {
            let _ = text.parse::<OnionAddress>();
        }
    }
}
