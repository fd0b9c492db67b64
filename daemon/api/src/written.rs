//! Fields that JSON carries as text and a rule reads: names, places, invites, hashes, certificates.
//!
//! A request is read once, here: its fields have the types that the node works with, and a text that breaks its rule is
//! an error of serde. The field's name comes from where it stands in the request, the rule from the type.
//!
//! `#[serde(with = "written")]` is for a field, `#[serde(default, with = "written::optional")]` for one that may be
//! absent or `null`.

use std::fmt::Display;

use autonomy_messaging::{
    Name, UnverifiedCertificate,
    invite::{Invite, InviteError},
    payload::{BadFileName, BadText, FileName, Text},
    place::{Capability, Place},
    vcard::{VCard, VCardError},
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
use zeroize::Zeroizing;

use crate::{
    Id,
    place::{self, BadPlace},
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
pub(crate) fn serialize<T: Written, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.write())
}

/// Reads a field.
///
/// # Errors
/// The rule that it breaks.
pub(crate) fn deserialize<'de, T: Written, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = Zeroizing::new(String::deserialize(deserializer)?);
    T::read(&text).map_err(D::Error::custom)
}

/// A field that may be absent.
pub(crate) mod optional {
    use super::*;

    /// Writes the text or `null`.
    pub(crate) fn serialize<T: Written, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.serialize_some(value.write().as_str()),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a text or `null`.
    pub(crate) fn deserialize<'de, T: Written, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.map(Zeroizing::new);
        text.map(|text| T::read(&text)).transpose().map_err(D::Error::custom)
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

impl Written for Name {
    type Error = autonomy_messaging::BadName;

    fn read(text: &str) -> Result<Self, Self::Error> {
        Self::new(text)
    }

    fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(self.as_str().to_owned())
    }
}

impl Written for FileName {
    type Error = BadFileName;

    fn read(text: &str) -> Result<Self, Self::Error> {
        Self::new(text)
    }

    fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(self.as_str().to_owned())
    }
}

impl Written for Text {
    type Error = BadText;

    fn read(text: &str) -> Result<Self, Self::Error> {
        Self::new(text)
    }

    fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(self.as_str().to_owned())
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
        let bytes: Id<32> = text.parse().map_err(|_| NotHex(64))?;
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
