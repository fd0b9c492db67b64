//! Fields that JSON carries as text and a rule reads: ids, names, places, invites, addresses, hashes, certificates.
//!
//! A request is read once, here, and so is an answer: its fields have the types that node and device work with, and a text
//! that breaks its rule is an error of serde. The field's name comes from where it stands, the rule from the type.
//!
//! `#[serde(with = "written")]` is for a field, `#[serde(default, with = "written::optional")]` for one that may be
//! absent or `null`, `#[serde(with = "written::list")]` for a list. Always text, in every format of serde: answers and
//! events are kept in CBOR too, where a type's own form would be another one.

use std::fmt::Display;

use autonomy_messaging::{
    Name, Network, PublicKey, RootPublic, TransferId, UnknownNetwork, UnverifiedCertificate,
    invite::{Invite, InviteError},
    messenger::{BadId, ContactId, InviteId},
    payload::{BadFileName, BadText, FileName, Text},
    place::{Capability, Place},
    provision::SealedBundle,
    vcard::{VCard, VCardError},
};
use autonomy_wallet::{
    account::{AccountError, AccountId},
    bitcoin::{Address, BlockHash, Txid, address::NetworkUnchecked, hex::HexToArrayError},
    keys::{KeyError, MemberKey},
    payment::parse_address,
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

use crate::{
    CeremonyId, DeviceKey, Hex, PaymentId,
    place::{self, BadPlace, OnionAddress},
};

/// A value that stands in JSON as text.
pub trait Written: Sized {
    /// Says which rule a text breaks, and nothing of a secret in it.
    type Error: Display;

    /// Reads the text.
    ///
    /// # Errors
    /// The rule that the text breaks.
    fn read(text: &str) -> Result<Self, Self::Error>;

    /// The text that reads back to this value.
    fn write(&self) -> Zeroizing<String>;
}

/// Writes a field.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<T: Written, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.write())
}

/// Reads a field.
///
/// # Errors
/// The rule that it breaks.
pub fn deserialize<'de, T: Written, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = Zeroizing::new(String::deserialize(deserializer)?);
    T::read(&text).map_err(D::Error::custom)
}

/// A field that may be absent.
pub mod optional {
    use super::*;

    /// Writes the text or `null`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<T: Written, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.serialize_some(value.write().as_str()),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a text or `null`.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn deserialize<'de, T: Written, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.map(Zeroizing::new);
        text.map(|text| T::read(&text)).transpose().map_err(D::Error::custom)
    }
}

/// A list of such fields.
pub mod list {
    use super::*;

    /// Writes one text for each value.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<T: Written, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(AsText))
    }

    /// Reads each text; an error names the place of the text in the list.
    ///
    /// # Errors
    /// The rule that a text breaks.
    pub fn deserialize<'de, T: Written, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
        let read = Vec::<FromText<T>>::deserialize(deserializer)?;
        Ok(read.into_iter().map(|FromText(value)| value).collect())
    }

    struct AsText<'a, T>(&'a T);

    impl<T: Written> Serialize for AsText<'_, T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            super::serialize(self.0, serializer)
        }
    }

    struct FromText<T>(T);

    impl<'de, T: Written> Deserialize<'de> for FromText<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            super::deserialize(deserializer).map(Self)
        }
    }
}

/// Not so many bytes in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} lower-case hexadecimal characters")]
pub struct NotHex(usize);

/// Why a text is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotACertificate {
    /// Not hexadecimal.
    #[error("lower-case hexadecimal")]
    Hex,
    /// Not the bytes of one.
    #[error(transparent)]
    Malformed(#[from] autonomy_messaging::MalformedCertificate),
}

/// Types whose `Display` writes what their `FromStr` reads.
macro_rules! by_their_own_text {
    ($($name:ty: $error:ty;)+) => {$(
        impl Written for $name {
            type Error = $error;

            fn read(text: &str) -> Result<Self, $error> {
                text.parse()
            }

            fn write(&self) -> Zeroizing<String> {
                Zeroizing::new(self.to_string())
            }
        }
    )+};
}

by_their_own_text! {
    ContactId: BadId;
    InviteId: BadId;
    TransferId: BadId;
    DeviceKey: BadId;
    PaymentId: BadId;
    CeremonyId: BadId;
    AccountId: AccountError;
    Txid: HexToArrayError;
    BlockHash: HexToArrayError;
    PublicKey: autonomy_messaging::BadKey;
    RootPublic: autonomy_messaging::BadDid;
    Network: UnknownNetwork;
    OnionAddress: BadPlace;
}

impl<const N: usize> Written for Hex<N> {
    type Error = BadId;

    fn read(text: &str) -> Result<Self, BadId> {
        text.parse()
    }

    fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(self.to_string())
    }
}

/// Types whose `new` reads what their `as_str` gives.
macro_rules! by_new {
    ($($name:ty: $error:ty;)+) => {$(
        impl Written for $name {
            type Error = $error;

            fn read(text: &str) -> Result<Self, $error> {
                Self::new(text)
            }

            fn write(&self) -> Zeroizing<String> {
                Zeroizing::new(self.as_str().to_owned())
            }
        }
    )+};
}

by_new! {
    Name: autonomy_messaging::BadName;
    FileName: BadFileName;
    Text: BadText;
}

/// Not a Bitcoin address of any network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a bitcoin address; check for a missing or mistyped character")]
pub struct NotAnAddress;

/// For any network: whoever uses it says which one it must be of.
impl Written for Address<NetworkUnchecked> {
    type Error = NotAnAddress;

    fn read(text: &str) -> Result<Self, NotAnAddress> {
        parse_address(text).map_err(|_| NotAnAddress)
    }

    fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(self.assume_checked_ref().to_string())
    }
}

impl Written for MemberKey {
    type Error = KeyError;

    fn read(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }

    fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(self.to_string())
    }
}

impl Written for SealedBundle {
    type Error = autonomy_messaging::TextError;

    fn read(text: &str) -> Result<Self, Self::Error> {
        Self::from_text(text)
    }

    fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(self.to_text())
    }
}

impl Written for Place {
    type Error = BadPlace;

    fn read(text: &str) -> Result<Self, Self::Error> {
        place::parse(text)
    }

    fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(place::text(self))
    }
}

impl Written for Invite {
    type Error = InviteError;

    /// Space around it is of no account: people paste.
    fn read(text: &str) -> Result<Self, Self::Error> {
        Self::from_text(text.trim())
    }

    fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(self.to_text())
    }
}

impl Written for VCard {
    type Error = VCardError;

    fn read(text: &str) -> Result<Self, Self::Error> {
        Self::from_text(text)
    }

    fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(self.to_text())
    }
}

impl Written for Capability {
    type Error = NotHex;

    /// The text is not in the error: it may be a token with a typing error.
    fn read(text: &str) -> Result<Self, NotHex> {
        let bytes: Hex<32> = text.parse().map_err(|_| NotHex(64))?;
        Ok(Self::from_bytes(bytes.0))
    }

    fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(HEXLOWER.encode(self.as_bytes()))
    }
}

impl Written for UnverifiedCertificate {
    type Error = NotACertificate;

    fn read(text: &str) -> Result<Self, NotACertificate> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| NotACertificate::Hex)?;
        Ok(Self::parse(&bytes)?)
    }

    fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(HEXLOWER.encode(&self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        AcceptInvite, AddDevice, AddRelay, ImportCard, NewInvite, NewMessage, OfferFile, SetProfile,
        UpdateContact, place,
    };
    use autonomy_messaging::{PublicKey, SigningKey, place::Place};
    use serde::{Serialize, de::DeserializeOwned};
    use serde_json::{Value, json};

    fn refused<T: DeserializeOwned>(request: Value) -> String {
        match serde_json::from_value::<T>(request.clone()) {
            Ok(_) => panic!("{request} is taken"),
            Err(error) => error.to_string(),
        }
    }

    fn place() -> String {
        let key = |seed| PublicKey::from(&SigningKey::from_bytes(&[seed; 32]));
        place::text(&Place::new(*key(9).as_bytes(), key(10)))
    }

    #[test]
    fn a_field_that_breaks_a_rule_makes_no_request() {
        let hash = "00".repeat(32);
        let rules = [
            refused::<SetProfile>(json!({"name": " Alice"})),
            refused::<SetProfile>(json!({"name": "Al\u{200b}ice"})),
            refused::<NewInvite>(json!({"note": ""})),
            refused::<AcceptInvite>(json!({"invite": "autonomy-invite1"})),
            refused::<UpdateContact>(json!({"name": "two\nlines"})),
            refused::<NewMessage>(json!({"text": ""})),
            refused::<NewMessage>(json!({"text": "x".repeat(16_385)})),
            refused::<OfferFile>(json!({"name": "../a", "size": 1, "sha256": hash})),
            refused::<OfferFile>(json!({"name": "a", "size": 1, "sha256": "00"})),
            refused::<AddRelay>(json!({"place": "/onion3/x:4001/p2p/y"})),
            refused::<AddRelay>(json!({"place": place(), "name": "\u{202e}"})),
            refused::<AddRelay>(json!({"place": place(), "token": "00"})),
            refused::<ImportCard>(json!({"vcard": "BEGIN:VCARD"})),
            refused::<AddDevice>(json!({"certificate": "00", "name": "a", "descriptor_key": hash})),
        ];
        assert!(rules.iter().all(|rule| rule.len() > 10 && !rule.contains("missing")), "{rules:#?}");
    }

    #[test]
    fn a_token_that_is_refused_is_not_repeated() {
        let token = "5e".repeat(31);
        let rule = refused::<AddRelay>(json!({"place": place(), "token": token}));
        assert!(!rule.contains("5e5e"), "{rule}");
    }

    fn reads_back<T: Serialize + DeserializeOwned>(request: Value) {
        let read: T = serde_json::from_value(request.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), request);
    }

    #[test]
    fn a_request_is_written_as_it_was_read() {
        let hash = "0a".repeat(32);
        reads_back::<SetProfile>(json!({"name": "Alice"}));
        reads_back::<NewMessage>(json!({"text": "two\nlines"}));
        reads_back::<OfferFile>(json!({"name": "a.txt", "size": 1, "sha256": hash}));
        reads_back::<AddRelay>(json!({"place": place(), "name": null, "token": hash}));
        reads_back::<UpdateContact>(
            json!({"name": "Rob", "verified": null, "blocked": null, "file_limit": 1}),
        );
    }
}
