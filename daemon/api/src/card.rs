//! What a contact card may carry beside the name, and who gets it.
//!
//! An owner keeps one set of fields. Each contact gets those of them that the owner chose for that contact: none, until
//! one is chosen.

use std::fmt;

use autonomy_messaging::vcard::{Note, VCard};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{BrokenRule, ContactId, Exchange, schema, written, written::Written};

/// Longest note on a card, bytes of UTF-8: a line or two of a letter.
pub const MAX_CARD_NOTE: usize = 256;
/// Longest e-mail address, bytes (RFC 5321, section 4.5.3.1.3, without its brackets).
pub const MAX_EMAIL: usize = 254;
/// Longest URI of another way to be reached, bytes: the longest known, a Matrix user, has 255 and its scheme.
pub const MAX_OTHER_WAY: usize = 270;
/// Largest picture, bytes: 96 by 96 points as JPEG have some 4 kB.
pub const MAX_PICTURE: usize = 8_192;
/// The longest answer: a picture is 4/3 · 8,192 = 10,923 characters of base64; each byte of the texts takes at most six
/// in JSON, 6 · (256 + 254 + 270) = 4,680. With names of fields and room to grow.
const MAX_ANSWER: usize = 32 * 1024;

/// Some words of the owner: one visible line of 1 to [`MAX_CARD_NOTE`] bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct CardNote(String);

/// An e-mail address: something before one `@` and something behind it, without spaces, at most [`MAX_EMAIL`] bytes.
/// Whether mail arrives there is not known.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

/// Schemes of another way to be reached. Apps make links of it, so none is here that runs or opens anything of the reader's
/// own machine (`javascript:`, `data:`, `file:`).
pub const WAY_SCHEMES: [&str; 9] =
    ["https", "http", "mailto", "matrix", "nostr", "sip", "sips", "tel", "xmpp"];

/// Another way to be reached: a URI of one of [`WAY_SCHEMES`], of at most [`MAX_OTHER_WAY`] bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct OtherWay(String);

/// A picture of at most [`MAX_PICTURE`] bytes: PNG, JPEG or WebP by its first bytes. It is not decoded here: who shows it
/// must not trust what follows them.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture(Vec<u8>);

/// Why something cannot be a field of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCardField {
    /// Not one line that can be seen, or too long.
    #[error("one visible line of 1 to {0} bytes, without spaces at its ends")]
    Line(usize),
    /// Not an e-mail address.
    #[error("an e-mail address, like name@example.org, of at most {MAX_EMAIL} bytes")]
    Email,
    /// Not a URI.
    #[error("a URI like xmpp:name@example.org, of at most {MAX_OTHER_WAY} bytes; its scheme is one of {}", WAY_SCHEMES.join(", "))]
    Uri,
    /// Not base64.
    #[error("base64 with padding (RFC 4648, section 4)")]
    Base64,
    /// Not a picture, or a large one.
    #[error("a picture of at most {MAX_PICTURE} bytes that is PNG, JPEG or WebP")]
    Picture,
}

/// The kind of picture that begins so: the signatures of PNG (RFC 2083, section 3.1), JPEG (a start of image and the next
/// marker) and WebP (RFC 9649, section 2.4).
fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("png"),
        [0xff, 0xd8, 0xff, ..] => Some("jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("webp"),
        _ => None,
    }
}

/// One visible line of 1 to `max` bytes.
fn line(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text.trim() == text
        && !text.chars().any(autonomy_messaging::is_invisible)
}

/// The same without any space.
fn word(text: &str, max: usize) -> bool {
    line(text, max) && !text.contains(char::is_whitespace)
}

impl CardNote {
    /// Takes words as a person wrote them.
    ///
    /// # Errors
    /// Not one visible line of so many bytes.
    pub fn new(text: &str) -> Result<Self, BadCardField> {
        line(text, MAX_CARD_NOTE).then(|| Self(text.to_owned())).ok_or(BadCardField::Line(MAX_CARD_NOTE))
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Email {
    /// Takes an address.
    ///
    /// # Errors
    /// It has no one `@` with something on each side, or is no visible word of so many bytes.
    pub fn new(text: &str) -> Result<Self, BadCardField> {
        let sides = text
            .split_once('@')
            .filter(|(name, domain)| !name.is_empty() && !domain.is_empty() && !domain.contains('@'));
        match sides {
            Some(_) if word(text, MAX_EMAIL) => Ok(Self(text.to_owned())),
            _ => Err(BadCardField::Email),
        }
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl OtherWay {
    /// Takes a URI.
    ///
    /// # Errors
    /// Its scheme is not one of [`WAY_SCHEMES`] (in upper or lower case, RFC 3986, section 3.1), nothing follows the scheme,
    /// or it is no visible word of so many bytes.
    pub fn new(text: &str) -> Result<Self, BadCardField> {
        let known = |name: &str| WAY_SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(name));
        let parts = text.split_once(':').filter(|(name, rest)| known(name) && !rest.is_empty());
        match parts {
            Some(_) if word(text, MAX_OTHER_WAY) => Ok(Self(text.to_owned())),
            _ => Err(BadCardField::Uri),
        }
    }

    /// The URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Picture {
    /// Takes the bytes of a picture.
    ///
    /// # Errors
    /// They are too many, or begin as none of the three kinds.
    pub fn new(bytes: Vec<u8>) -> Result<Self, BadCardField> {
        match kind_of(&bytes) {
            Some(_) if bytes.len() <= MAX_PICTURE => Ok(Self(bytes)),
            _ => Err(BadCardField::Picture),
        }
    }

    /// The media type: `image/png`, `image/jpeg` or `image/webp`.
    #[must_use]
    pub fn media_type(&self) -> String {
        // Checked when it was taken: there is a kind.
        format!("image/{}", kind_of(&self.0).unwrap_or("*"))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The picture in a URI (RFC 2397), as vCards carry it.
    fn to_data_uri(&self) -> String {
        format!("data:{};base64,{}", self.media_type(), BASE64.encode(&self.0))
    }

    /// Reads a data URI of any media type: what the bytes are, they say themselves.
    fn from_data_uri(uri: &str) -> Option<Self> {
        let (head, text) = uri.strip_prefix("data:")?.split_once(',')?;
        Self::read(text).ok().filter(|_| head.ends_with(";base64"))
    }
}

/// Gives a field its text in JSON, and a `Debug` that shows its length only: a card is about a person.
macro_rules! field {
    ($field:ident, $read:expr, $write:expr) => {
        impl Written for $field {
            type Error = BadCardField;

            fn read(text: &str) -> Result<Self, BadCardField> {
                $read(text)
            }

            fn write(&self) -> Zeroizing<String> {
                Zeroizing::new($write(self))
            }
        }

        impl fmt::Debug for $field {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($field), "({} bytes)"), self.0.len())
            }
        }
    };
}

field!(CardNote, Self::new, |note: &Self| note.0.clone());
field!(Email, Self::new, |email: &Self| email.0.clone());
field!(OtherWay, Self::new, |way: &Self| way.0.clone());
field!(
    Picture,
    |text: &str| { Self::new(BASE64.decode(text.as_bytes()).map_err(|_| BadCardField::Base64)?) },
    |picture: &Self| BASE64.encode(&picture.0)
);

/// `GET` and `PUT /v1/card`: what the owner's card may carry beside the name. A `PUT` replaces all of it, and contacts
/// that a changed field is shared with get it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CardFields {
    /// Some words: one visible line of 1 to 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "written::optional")]
    #[schema(value_type = Option<String>)]
    pub note: Option<CardNote>,
    /// An e-mail address of at most 254 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "written::optional")]
    #[schema(value_type = Option<String>)]
    pub email: Option<Email>,
    /// Another way to be reached: an https, http, mailto, matrix, nostr, sip, sips, tel or xmpp URI of at most 270 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "written::optional")]
    #[schema(value_type = Option<String>)]
    pub way: Option<OtherWay>,
    /// A PNG, JPEG or WebP picture of at most 8,192 bytes, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "written::optional")]
    #[schema(value_type = Option<String>)]
    pub picture: Option<Picture>,
}

/// A field of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CardField {
    /// [`CardFields::note`].
    Note,
    /// [`CardFields::email`].
    Email,
    /// [`CardFields::way`].
    Way,
    /// [`CardFields::picture`].
    Picture,
}

/// Whether a contact has what is shared with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CardDelivery {
    /// They have it; or nothing was ever shared with them.
    Delivered,
    /// It is on its way.
    Sent,
    /// It waits: for the contact to be connected, or for what is on its way.
    Waiting,
}

/// `PUT /v1/contacts/{id}/card`: which fields a contact gets, in place of those they got. It may be said before they are
/// connected, and of fields that are not set yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareCard {
    /// The fields; none withdraws all.
    pub fields: Vec<CardField>,
}

/// `GET /v1/contacts/{id}/card`: what a contact shares, and what is shared with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContactCard {
    /// The contact.
    #[schema(value_type = schema::ContactId)]
    pub contact: ContactId,
    /// What they share with the owner; or what an imported vCard said, until they share something.
    pub theirs: CardFields,
    /// The fields that they get.
    pub shared: Vec<CardField>,
    /// Whether they have them.
    pub delivery: CardDelivery,
}

impl CardFields {
    /// What of it is among these fields.
    #[must_use]
    pub fn only(&self, fields: &[CardField]) -> Self {
        let Self { note, email, way, picture } = self.clone();
        Self {
            note: note.filter(|_| fields.contains(&CardField::Note)),
            email: email.filter(|_| fields.contains(&CardField::Email)),
            way: way.filter(|_| fields.contains(&CardField::Way)),
            picture: picture.filter(|_| fields.contains(&CardField::Picture)),
        }
    }

    /// Adds it to a vCard. Words that the owner noted about the person stay.
    pub fn extend_vcard(&self, card: &mut VCard) {
        let note = || self.note.as_ref().and_then(|note| Note::new(note.as_str()).ok());
        card.note = card.note.take().or_else(note);
        card.others.email = self.email.as_ref().map(|email| email.0.clone());
        card.others.impp = self.way.as_ref().map(|way| way.0.clone());
        card.others.photo = self.picture.as_ref().map(Picture::to_data_uri);
    }

    /// What of a vCard fits a card. The note is not taken: it is what the owner noted.
    #[must_use]
    pub fn of_vcard(card: &VCard) -> Self {
        let others = &card.others;
        Self {
            note: None,
            email: others.email.as_deref().and_then(|email| Email::new(email).ok()),
            way: others.impp.as_deref().and_then(|way| OtherWay::new(way).ok()),
            picture: others.photo.as_deref().and_then(Picture::from_data_uri),
        }
    }
}

/// Asks for the owner's own fields.
#[must_use]
pub fn read_card() -> Exchange<(), CardFields> {
    Exchange::get("/v1/card", MAX_ANSWER)
}

/// Replaces the owner's own fields.
#[must_use]
pub fn write_card(fields: CardFields) -> Exchange<CardFields, CardFields> {
    let wanted = fields.clone();
    Exchange::put("/v1/card", fields, MAX_ANSWER).checked(move |told| match *told == wanted {
        true => Ok(()),
        false => Err(broken("fields", "are others than those that were set".into())),
    })
}

/// Asks what a contact shares, and what is shared with them.
#[must_use]
pub fn read_contact_card(contact: ContactId) -> Exchange<(), ContactCard> {
    Exchange::get(path_of(contact), MAX_ANSWER).checked(move |told: &ContactCard| told.check(contact))
}

/// Chooses which fields a contact gets.
#[must_use]
pub fn share_card(contact: ContactId, wish: ShareCard) -> Exchange<ShareCard, ContactCard> {
    let wanted = wish.fields.clone();
    Exchange::put(path_of(contact), wish, MAX_ANSWER).checked(move |told: &ContactCard| {
        told.check(contact)?;
        let same = wanted.iter().all(|field| told.shared.contains(field))
            && told.shared.iter().all(|field| wanted.contains(field));
        match same {
            true => Ok(()),
            false => Err(broken("shared fields", "are others than those that were chosen".into())),
        }
    })
}

impl ContactCard {
    /// It is about this contact, and names each field once.
    fn check(&self, contact: ContactId) -> Result<(), BrokenRule> {
        if self.contact != contact {
            return Err(broken("contact", format!("is not {contact}, which was asked for")));
        }
        match self.shared.is_sorted_by(|a, b| a < b) {
            true => Ok(()),
            false => Err(broken("shared fields", "are not in order, each once".into())),
        }
    }
}

fn broken(field: &'static str, rule: String) -> BrokenRule {
    BrokenRule { what: "card", field, rule }
}

fn path_of(contact: ContactId) -> String {
    format!("/v1/contacts/{contact}/card")
}
