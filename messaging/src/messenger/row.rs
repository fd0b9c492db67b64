//! All that a messenger remembers: rows of three classes, each the latest state of one thing under its key.
//!
//! A key is a tag byte and the name of the thing; a value is a version byte and the thing in postcard, which names no
//! field and no type: the bytes of one version must never be taken for those of another. A release that changes a type
//! that is [`Kept`] therefore
//!
//! 1. keeps the old shape as a type of its own,
//! 2. raises [`Kept::VERSION`] and reads the old shape in [`Kept::upgrade`],
//! 3. leaves the golden databases of earlier releases as they are: a test opens each of them.
//!
//! A row of an earlier version is written in the present one when its thing next changes.

use std::borrow::Cow;

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::ids::{ContactId, InviteId};
use crate::{
    SecretWriter, TransferId,
    place::{PLACE_LEN, Place},
};

/// Room that a value gets at first: most rows fit. A larger one costs a copy.
const USUAL_LEN: usize = 1024;

/// First bytes of the keys of all kinds of rows. A byte is never used for something else again.
pub const ROW_TAGS: [u8; 14] = *b"narictqepsofhk";

/// How a row is kept. The first byte of its key tells: `e`, `p` and `f` are cold, `k` is the ratchet's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowClass {
    /// Small, and held in memory too.
    Hot,
    /// Large, read when it is needed.
    Cold,
    /// Read when it is needed, and never part of a backup: keys that must not come back.
    Ratchet,
}

/// One thing's new state; `None` removes it.
#[derive(Clone, PartialEq, Eq)]
pub struct MailRow {
    /// Its name; its first byte says of what class it is.
    pub key: Vec<u8>,
    /// Its state. It may hold a secret, and is wiped when it is dropped.
    pub value: Option<Zeroizing<Vec<u8>>>,
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a row of the messenger (kind {tag}) cannot be read: {why}")]
pub struct BadRow {
    /// First byte of its key.
    pub tag: u8,
    /// What is wrong.
    pub why: Cow<'static, str>,
}

/// The name of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// The owner's chosen name.
    Name,
    /// How contacts reach the pod.
    Reach,
    Relay(Place),
    Invite(InviteId),
    Contact(ContactId),
    /// The state of a conversation: changes with every message.
    Thread(ContactId),
    /// A message in the outbox, by its first part.
    Queued(ContactId, u64),
    /// An entry of a conversation (cold).
    Entry(ContactId, u64),
    /// A part that waits for those before it (cold).
    Part(ContactId, u64),
    /// A file to a contact.
    Sending(ContactId, TransferId),
    /// A file from a contact.
    Taking(ContactId, TransferId),
    /// A chunk of either (cold).
    Chunk(ContactId, TransferId, u32),
    /// Chunks of a file from a contact that is not offered yet.
    Early(ContactId, TransferId),
}

impl RowClass {
    /// The class of the row with this key.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        match key.first() {
            Some(b'e' | b'p' | b'f') => Self::Cold,
            Some(b'k') => Self::Ratchet,
            _ => Self::Hot,
        }
    }
}

impl Key {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let (tag, name, number) = match self {
            Self::Name => (b'n', Vec::new(), None),
            Self::Reach => (b'a', Vec::new(), None),
            Self::Relay(place) => (b'r', place.to_bytes().to_vec(), None),
            Self::Invite(id) => (b'i', id.0.to_vec(), None),
            Self::Contact(id) => (b'c', id.0.to_vec(), None),
            Self::Thread(id) => (b't', id.0.to_vec(), None),
            Self::Queued(id, seq) => (b'q', id.0.to_vec(), Some(seq)),
            Self::Entry(id, number) => (b'e', id.0.to_vec(), Some(number)),
            Self::Part(id, seq) => (b'p', id.0.to_vec(), Some(seq)),
            Self::Sending(id, transfer) => (b's', [id.0, transfer.0].concat(), None),
            Self::Taking(id, transfer) => (b'o', [id.0, transfer.0].concat(), None),
            Self::Early(id, transfer) => (b'h', [id.0, transfer.0].concat(), None),
            Self::Chunk(id, transfer, index) => (b'f', [id.0, transfer.0].concat(), Some(u64::from(index))),
        };
        let mut key = vec![tag];
        key.extend_from_slice(&name);
        key.extend(number.iter().flat_map(|number| number.to_be_bytes()));
        key
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (tag, name) = bytes.split_first()?;
        let contact = || Some(ContactId(name.try_into().ok()?));
        let numbered = || {
            let (id, number) = name.split_first_chunk::<16>()?;
            Some((ContactId(*id), u64::from_be_bytes(number.try_into().ok()?)))
        };
        let file = || {
            let (id, transfer) = name.split_first_chunk::<16>()?;
            Some((ContactId(*id), TransferId(transfer.try_into().ok()?)))
        };
        Some(match tag {
            b'n' if name.is_empty() => Self::Name,
            b'a' if name.is_empty() => Self::Reach,
            b'r' => Self::Relay(Place::from_bytes(<&[u8; PLACE_LEN]>::try_from(name).ok()?)?),
            b'i' => Self::Invite(InviteId(name.try_into().ok()?)),
            b'c' => Self::Contact(contact()?),
            b't' => Self::Thread(contact()?),
            b'q' => numbered().map(|(id, seq)| Self::Queued(id, seq))?,
            b'e' => numbered().map(|(id, number)| Self::Entry(id, number))?,
            b'p' => numbered().map(|(id, seq)| Self::Part(id, seq))?,
            b's' => file().map(|(id, transfer)| Self::Sending(id, transfer))?,
            b'o' => file().map(|(id, transfer)| Self::Taking(id, transfer))?,
            b'h' => file().map(|(id, transfer)| Self::Early(id, transfer))?,
            b'f' => {
                let (file, index) = name.split_last_chunk::<8>()?;
                let (id, transfer) = file.split_first_chunk::<16>()?;
                let index = u32::try_from(u64::from_be_bytes(*index)).ok()?;
                Self::Chunk(ContactId(*id), TransferId(transfer.try_into().ok()?), index)
            }
            _ => return None,
        })
    }
}

impl MailRow {
    pub(super) fn put<T: Kept>(key: Key, value: &T) -> Self {
        Self { key: key.to_bytes(), value: Some(pack(value)) }
    }

    pub(super) fn remove(key: Key) -> Self {
        Self { key: key.to_bytes(), value: None }
    }

    /// A page of a contact's ratchet.
    pub(super) fn page(contact: ContactId, page: &[u8], value: Option<Zeroizing<Vec<u8>>>) -> Self {
        Self { key: page_key(contact, page), value }
    }
}

/// The name of a page of a contact's ratchet.
pub(super) fn page_key(contact: ContactId, page: &[u8]) -> Vec<u8> {
    [b"k", contact.0.as_slice(), page].concat()
}

/// Why a value cannot be read.
pub(super) type Unreadable = Cow<'static, str>;

/// What a kind of row keeps. Each type that is the value of a row implements it beside its definition.
pub(super) trait Kept: Serialize + DeserializeOwned {
    /// The version that is written; all up to it are read.
    const VERSION: u8 = 1;

    /// Reads the body of a value that an earlier version of the program wrote: `version` is below [`Self::VERSION`].
    ///
    /// # Errors
    /// The body is malformed, or there was no such version.
    fn upgrade(version: u8, body: &[u8]) -> Result<Self, Unreadable> {
        let _ = body;
        Err(format!("there was no version {version}").into())
    }
}

/// Parts of messages and chunks of files: bytes as they came.
impl Kept for Vec<u8> {}

/// The value as it is written, in the present version of its kind.
#[expect(clippy::expect_used, reason = "rows are plain data, and the buffer takes every byte")]
pub(super) fn pack<T: Kept>(value: &T) -> Zeroizing<Vec<u8>> {
    let mut bytes = SecretWriter::with_capacity(USUAL_LEN);
    bytes.push(T::VERSION);
    postcard::to_extend(value, bytes).expect("the buffer takes every byte").into_bytes()
}

/// Reads a value in any version up to the present one.
///
/// # Errors
/// The value is malformed, has bytes behind its end, or a newer program wrote it.
pub(super) fn unpack<T: Kept>(value: &[u8]) -> Result<T, Unreadable> {
    let (version, body) = value.split_first().ok_or("it is empty")?;
    match *version {
        version if version == T::VERSION => whole(body),
        version if version < T::VERSION => T::upgrade(version, body),
        version => {
            let read = T::VERSION;
            Err(format!("a newer program wrote it (version {version}, this one reads up to {read})").into())
        }
    }
}

/// Reads postcard with nothing behind it.
pub(super) fn whole<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok((_, behind)) => Err(format!("{} bytes stand behind it", behind.len()).into()),
        Err(_) => Err("it is malformed".into()),
    }
}

impl std::fmt::Debug for MailRow {
    /// Rows hold secrets: only what they are is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.value.as_ref().map(|value| value.len());
        let tag = self.key.first().copied().map(char::from);
        f.debug_struct("MailRow")
            .field("class", &RowClass::of(&self.key))
            .field("tag", &tag)
            .field("bytes", &value)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Deserialize;

    use super::*;
    use crate::{PublicKey, SigningKey};

    fn one_of_each() -> [Key; 13] {
        let key = |seed| PublicKey::from(&SigningKey::from_bytes(&[seed; 32]));
        let (contact, file) = (ContactId([3; 16]), TransferId([4; 16]));
        [
            Key::Name,
            Key::Reach,
            Key::Relay(Place::new(*key(9).as_bytes(), key(10))),
            Key::Invite(InviteId([1; 8])),
            Key::Contact(contact),
            Key::Thread(contact),
            Key::Queued(contact, 7),
            Key::Entry(contact, u64::MAX),
            Key::Part(contact, 0),
            Key::Sending(contact, file),
            Key::Taking(contact, file),
            Key::Chunk(contact, file, u32::MAX),
            Key::Early(contact, file),
        ]
    }

    #[test]
    fn every_key_reads_back_and_none_with_a_byte_more_or_less() {
        for key in one_of_each() {
            let bytes = key.to_bytes();
            assert_eq!(Key::parse(&bytes), Some(key));
            assert_eq!(Key::parse(&bytes[..bytes.len() - 1]), None, "{key:?}");
            assert_eq!(Key::parse(&[&bytes[..], &[0]].concat()), None, "{key:?}");
        }
        let mut beyond = Key::Chunk(ContactId([3; 16]), TransferId([4; 16]), 0).to_bytes();
        beyond[33] = 1;
        assert_eq!(Key::parse(&beyond), None, "a chunk's number has four bytes");
    }

    #[test]
    fn each_kind_of_row_has_a_tag_of_its_own() {
        let pages = page_key(ContactId([3; 16]), &[0])[0];
        let tags: BTreeSet<u8> =
            one_of_each().map(|key| key.to_bytes()[0]).into_iter().chain([pages]).collect();
        assert_eq!(tags, BTreeSet::from(ROW_TAGS));
        assert_eq!(tags.len(), ROW_TAGS.len());
    }
    /// A thing in its third version: the first kept a number, the second a text, the third both.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Third(u64, String);

    impl Kept for Third {
        const VERSION: u8 = 3;

        fn upgrade(version: u8, body: &[u8]) -> Result<Self, Unreadable> {
            match version {
                1 => whole(body).map(|number| Self(number, String::new())),
                2 => whole(body).map(|text| Self(0, text)),
                other => Err(format!("there was no version {other}").into()),
            }
        }
    }

    fn written<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
        postcard::to_extend(value, vec![version]).unwrap()
    }

    #[test]
    fn values_of_earlier_versions_are_upgraded_as_they_are_read() {
        assert_eq!(unpack(&written(1, &9_u64)), Ok(Third(9, String::new())));
        assert_eq!(unpack(&written(2, &"nine")), Ok(Third(0, "nine".into())));
        assert_eq!(unpack(&written(3, &(9_u64, "nine"))), Ok(Third(9, "nine".into())));
        assert!(unpack::<Third>(&written(0, &9_u64)).unwrap_err().contains("no version 0"));
    }

    #[test]
    fn a_value_of_an_unknown_version_or_with_a_tail_is_refused() {
        let newer = unpack::<Third>(&written(4, &(9_u64, "nine"))).unwrap_err();
        assert_eq!(newer, "a newer program wrote it (version 4, this one reads up to 3)");
        let longer = [written(3, &(9_u64, "nine")), vec![0]].concat();
        assert_eq!(unpack::<Third>(&longer).unwrap_err(), "1 bytes stand behind it");
        assert_eq!(unpack::<Third>(&[]).unwrap_err(), "it is empty");
        assert_eq!(unpack::<Third>(&[3, 1]).unwrap_err(), "it is malformed");
    }
}
