//! Values within rows that are checked when a row is read back, so that whoever uses them need not check again.
//!
//! Each is kept in its plain form (a name as its text, an invite as its bytes), and a row with one that breaks a rule is not
//! read: the messenger is not restored from it. What a constructor here has taken can be used without an error.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::row::Kept;
use crate::{
    BadName, Name,
    invite::{Invite, InviteError},
    payload::{BadFileName, FileName},
    vcard::{BadNote, Note},
};

/// A value that somebody chose and typed, kept as its text.
pub(super) trait Typed: Sized {
    /// Which rule a text breaks that cannot be such a value.
    type Error: std::fmt::Display;

    /// The text as it was typed.
    fn text(&self) -> &str;

    /// Takes a text that was kept.
    ///
    /// # Errors
    /// The text breaks a rule of this type.
    fn from_text(text: &str) -> Result<Self, Self::Error>;
}

impl Typed for Name {
    type Error = BadName;

    fn text(&self) -> &str {
        self.as_str()
    }

    fn from_text(text: &str) -> Result<Self, BadName> {
        Self::new(text)
    }
}

impl Typed for FileName {
    type Error = BadFileName;

    fn text(&self) -> &str {
        self.as_str()
    }

    fn from_text(text: &str) -> Result<Self, BadFileName> {
        Self::new(text)
    }
}

impl Typed for Note {
    type Error = BadNote;

    fn text(&self) -> &str {
        self.as_str()
    }

    fn from_text(text: &str) -> Result<Self, BadNote> {
        Self::new(text)
    }
}

/// A value as its text: for `#[serde(with = "…")]`.
pub(super) mod text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::Typed;

    pub(crate) fn serialize<T: Typed, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.text())
    }

    pub(crate) fn deserialize<'de, T: Typed, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::from_text(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A value that may be missing as its text, which is empty then: no value of these types has an empty text.
pub(super) mod optional_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::Typed;

    pub(crate) fn serialize<T: Typed, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.as_ref().map_or("", Typed::text))
    }

    pub(crate) fn deserialize<'de, T: Typed, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(deserializer)?;
        (!text.is_empty()).then(|| T::from_text(&text)).transpose().map_err(D::Error::custom)
    }
}

/// A name where one may be missing, in the form that serde gives an `Option`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct StoredName(#[serde(with = "text")] pub(super) Name);

/// The owner's chosen name is a row by itself.
impl Kept for StoredName {}

/// An invite as its canonical bytes, wiped when dropped: a secret of it is among them. To read one checks its keys, so it is
/// done where the invite is needed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Zeroizing<Vec<u8>>", into = "Zeroizing<Vec<u8>>")]
pub(super) struct StoredInvite(Zeroizing<Vec<u8>>);

impl StoredInvite {
    /// Keeps an invite.
    pub(super) fn new(invite: &Invite) -> Self {
        Self(invite.to_bytes())
    }

    /// The invite that is kept.
    #[expect(
        clippy::expect_used,
        reason = "the bytes were read as an invite, or written from one, when this was made"
    )]
    pub(super) fn invite(&self) -> Invite {
        Invite::from_bytes(&self.0).expect("checked when it was made or read")
    }

    /// Whether this is that invite: its encoding is canonical, so equal bytes say it.
    pub(super) fn is(&self, invite: &Invite) -> bool {
        self.0 == invite.to_bytes()
    }
}

impl TryFrom<Zeroizing<Vec<u8>>> for StoredInvite {
    type Error = InviteError;

    fn try_from(bytes: Zeroizing<Vec<u8>>) -> Result<Self, InviteError> {
        Invite::from_bytes(&bytes)?;
        Ok(Self(bytes))
    }
}

impl From<StoredInvite> for Zeroizing<Vec<u8>> {
    fn from(stored: StoredInvite) -> Self {
        stored.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Row {
        #[serde(with = "text")]
        name: Name,
        #[serde(with = "optional_text")]
        note: Option<Note>,
    }

    fn row(name: &str, note: &str) -> Vec<u8> {
        postcard::to_stdvec(&(name, note)).unwrap()
    }

    #[test]
    fn rows_keep_names_and_notes_as_their_text() {
        let kept = Row { name: Name::new("Ann").unwrap(), note: None };
        assert_eq!(postcard::to_stdvec(&kept).unwrap(), row("Ann", ""));
        assert_eq!(postcard::from_bytes::<Row>(&row("Ann", "")).unwrap(), kept);
        let noted = postcard::from_bytes::<Row>(&row("Ann", "met in Rome")).unwrap();
        assert_eq!(noted.note, Some(Note::new("met in Rome").unwrap()));
    }

    #[test]
    fn a_row_with_an_invalid_name_note_or_invite_is_not_read() {
        assert!(postcard::from_bytes::<Row>(&row("", "")).is_err());
        assert!(postcard::from_bytes::<Row>(&row("two\nlines", "")).is_err());
        assert!(postcard::from_bytes::<Row>(&row("Ann", "a \u{1} control")).is_err());
        let no_invite = postcard::to_stdvec(&vec![7_u8; 231]).unwrap();
        assert!(postcard::from_bytes::<StoredInvite>(&no_invite).is_err());
    }
}
