//! Fields of cards as rows and payloads have them.

use autonomy_api::{BadCardField, CardField, CardFields, CardNote, Email, OtherWay, Picture};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Fields as rows and payloads have them: read, they are valid.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PlainFields", into = "PlainFields")]
pub(crate) struct Fields(pub(super) CardFields);

/// Fields before they are checked, in the order of [`CardField`].
type PlainFields = (Option<String>, Option<String>, Option<String>, Option<ByteBuf>);

/// A set of fields: a bit each. A bit is never used for something else again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FieldSet(u8);

impl FieldSet {
    /// Which bit is which field's.
    const BITS: [(CardField, u8); 4] =
        [(CardField::Note, 1), (CardField::Email, 2), (CardField::Way, 4), (CardField::Picture, 8)];

    /// The set of these fields; each may be named more than once.
    pub(super) fn of(fields: &[CardField]) -> Self {
        let bits = Self::BITS.iter().filter(|(field, _)| fields.contains(field)).map(|(_, bit)| *bit);
        Self(bits.sum())
    }

    /// In the order of [`CardField`], each once.
    pub(super) fn fields(self) -> Vec<CardField> {
        Self::BITS.iter().filter(|(_, bit)| self.0 & bit != 0).map(|(field, _)| *field).collect()
    }
}

impl TryFrom<PlainFields> for Fields {
    type Error = BadCardField;

    fn try_from((note, email, way, picture): PlainFields) -> Result<Self, Self::Error> {
        Ok(Self(CardFields {
            note: note.map(|note| CardNote::new(&note)).transpose()?,
            email: email.map(|email| Email::new(&email)).transpose()?,
            way: way.map(|way| OtherWay::new(&way)).transpose()?,
            picture: picture.map(|picture| Picture::new(picture.into_vec())).transpose()?,
        }))
    }
}

impl From<Fields> for PlainFields {
    fn from(Fields(fields): Fields) -> Self {
        let CardFields { note, email, way, picture } = fields;
        (
            note.map(|note| note.as_str().to_owned()),
            email.map(|email| email.as_str().to_owned()),
            way.map(|way| way.as_str().to_owned()),
            picture.map(|picture| ByteBuf::from(picture.as_bytes())),
        )
    }
}
