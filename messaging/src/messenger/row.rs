//! All that a messenger remembers: rows of three classes, each the latest state of one thing under its key.
//!
//! A key is a tag byte and the name of the thing; a value is a version byte and the thing in postcard.

use serde::{Serialize, de::DeserializeOwned};

use super::ids::{ContactId, InviteId};
use crate::{
    TransferId,
    place::{PLACE_LEN, Place},
};

/// Version byte of every value.
const VERSION: u8 = 1;

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
    /// Its state.
    pub value: Option<Vec<u8>>,
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a row of the messenger (kind {tag}) cannot be read: {why}")]
pub struct BadRow {
    /// First byte of its key.
    pub tag: u8,
    /// What is wrong.
    pub why: &'static str,
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
            _ => return None,
        })
    }
}

impl MailRow {
    pub(super) fn put<T: Serialize>(key: Key, value: &T) -> Self {
        Self { key: key.to_bytes(), value: Some(pack(value)) }
    }

    pub(super) fn remove(key: Key) -> Self {
        Self { key: key.to_bytes(), value: None }
    }

    /// A page of a contact's ratchet.
    pub(super) fn page(contact: ContactId, page: &[u8], value: Option<Vec<u8>>) -> Self {
        Self { key: page_key(contact, page), value }
    }
}

/// The name of a page of a contact's ratchet.
pub(super) fn page_key(contact: ContactId, page: &[u8]) -> Vec<u8> {
    [b"k", contact.0.as_slice(), page].concat()
}

#[expect(clippy::expect_used, reason = "rows are plain data, and a vector takes every byte")]
pub(super) fn pack<T: Serialize>(value: &T) -> Vec<u8> {
    // Room for every row that holds a secret, so that growing leaves no copy of one behind.
    let mut bytes = Vec::with_capacity(1024);
    bytes.push(VERSION);
    postcard::to_extend(value, bytes).expect("rows are plain data, and a vector takes every byte")
}

pub(super) fn unpack<T: DeserializeOwned>(value: &[u8]) -> Result<T, &'static str> {
    match value.split_first() {
        Some((&VERSION, body)) => postcard::from_bytes(body).map_err(|_| "it is malformed"),
        Some(_) => Err("another version of the program wrote it"),
        None => Err("it is empty"),
    }
}

impl std::fmt::Debug for MailRow {
    /// Rows hold secrets: only what they are is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.value.as_ref().map(Vec::len);
        let tag = self.key.first().copied().map(char::from);
        f.debug_struct("MailRow")
            .field("class", &RowClass::of(&self.key))
            .field("tag", &tag)
            .field("bytes", &value)
            .finish_non_exhaustive()
    }
}
