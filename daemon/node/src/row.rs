//! The rows of a pod: one entity's latest state each, under its key.
//!
//! On disk a row is `(key, value)`: the key is a tag byte and the entity's name, the value a version byte and
//! CBOR. Memory and disk change by the same row, so there is no log to replay or compact. Rows of the wallet and of
//! the messenger are opaque: what stands behind the tag (and account) is theirs.
//!
//! Most rows are held in memory too. Cold ones are large and many, and are read when they are needed:
//!
//! | row | held in memory | in backups |
//! |---|---|---|
//! | `Ratchet` | no | no: a ratchet that went back would use a key twice |
//! | `Letter` | no | yes |
//! | all others | yes | yes |

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    AccountId, CeremonyId, DeviceKey, Id, PaymentId,
    accounts::{AccountRecord, Ceremony},
    devices::{DeviceRecord, Owner},
    identity::Identity,
    input::ChainPoint,
    payments::PaymentRecord,
    replies::{ReplyKey, StoredReply},
};
use autonomy_api::Event;

/// Version byte of every value.
const VALUE_VERSION: u8 = 1;

/// One entity's new state under its key; `None` removes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// The pod's own secrets; written once.
    Identity(Identity),
    /// Whom the pod belongs to.
    Owner(Owner),
    /// Counters that only grow.
    Counters(Counters),
    /// The last blocks, oldest first.
    Chain(Vec<ChainPoint>),
    /// A device.
    Device(DeviceKey, Option<DeviceRecord>),
    /// The making of an account.
    Ceremony(CeremonyId, Option<Ceremony>),
    /// An account.
    Account(AccountId, Box<AccountRecord>),
    /// A row of an account's ledger; key and value are the wallet's own.
    Ledger(AccountId, Vec<u8>, Option<Vec<u8>>),
    /// A payment.
    Payment(PaymentId, Option<PaymentRecord>),
    /// An event.
    Event(u64, Option<Event>),
    /// The answer to a command with an idempotency key.
    Reply(ReplyKey, Option<StoredReply>),
    /// A row of the messenger; key and value are its own.
    Mail(Vec<u8>, Option<Vec<u8>>),
    /// A page of a ratchet, by the messenger's own key. Cold, and never part of a backup.
    Ratchet(Vec<u8>, Option<Vec<u8>>),
    /// The body of a message or a chunk of a file, by the messenger's own key. Cold.
    Letter(Vec<u8>, Option<Vec<u8>>),
}

/// Counters that only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Grows with everything that must never be forgotten: a debit, a change of devices, an account.
    pub state_epoch: u64,
    /// The next account number to offer; a number is never offered twice.
    pub next_account: u32,
    /// Id of the next event.
    pub next_event: u64,
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a row of kind {tag} cannot be read: {why}; restore the pod from a backup")]
pub struct RowError {
    /// First byte of the key.
    pub tag: u8,
    /// What is wrong with it.
    pub why: String,
}

mod tag {
    // One of a kind, up to CHAIN: the tag is the whole key.
    pub(super) const IDENTITY: u8 = 0;
    pub(super) const OWNER: u8 = 1;
    pub(super) const COUNTERS: u8 = 2;
    pub(super) const CHAIN: u8 = 3;
    pub(super) const DEVICE: u8 = 4;
    pub(super) const CEREMONY: u8 = 5;
    pub(super) const ACCOUNT: u8 = 6;
    pub(super) const LEDGER: u8 = 7;
    pub(super) const PAYMENT: u8 = 8;
    pub(super) const EVENT: u8 = 9;
    pub(super) const REPLY: u8 = 10;
    pub(super) const MAIL: u8 = 11;
    pub(super) const RATCHET: u8 = 12;
    pub(super) const LETTER: u8 = 13;
}

impl Row {
    /// The key and value that lie in the store.
    #[must_use]
    pub fn encode(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        match self {
            Self::Identity(value) => (vec![tag::IDENTITY], Some(pack(value))),
            Self::Owner(value) => (vec![tag::OWNER], Some(pack(value))),
            Self::Counters(value) => (vec![tag::COUNTERS], Some(pack(value))),
            Self::Chain(value) => (vec![tag::CHAIN], Some(pack(value))),
            Self::Device(id, value) => (key(tag::DEVICE, &id.0), value.as_ref().map(pack)),
            Self::Ceremony(id, value) => (key(tag::CEREMONY, &id.0), value.as_ref().map(pack)),
            Self::Account(id, value) => (key(tag::ACCOUNT, &id.to_bytes()), Some(pack(value))),
            Self::Ledger(id, name, value) => {
                let mut key = key(tag::LEDGER, &id.to_bytes());
                key.extend_from_slice(name);
                (key, value.clone())
            }
            Self::Payment(id, value) => (key(tag::PAYMENT, &id.0), value.as_ref().map(pack)),
            Self::Event(id, value) => (key(tag::EVENT, &id.to_be_bytes()), value.as_ref().map(pack)),
            Self::Reply(id, value) => (key(tag::REPLY, &id.to_bytes()), value.as_ref().map(pack)),
            Self::Mail(name, value) => (key(tag::MAIL, name), value.clone()),
            Self::Ratchet(name, value) => (key(tag::RATCHET, name), value.clone()),
            Self::Letter(name, value) => (key(tag::LETTER, name), value.clone()),
        }
    }

    /// Whether the row is large and one of many, so that it is read when it is needed and not held.
    #[must_use]
    pub fn is_cold(&self) -> bool {
        matches!(self, Self::Ratchet(..) | Self::Letter(..))
    }

    /// Whether an encoded key is that of a cold row: such rows need not be decoded when a pod starts.
    #[must_use]
    pub fn is_cold_key(row_key: &[u8]) -> bool {
        matches!(row_key.first(), Some(&(tag::RATCHET | tag::LETTER)))
    }

    /// Whether the row under an encoded key belongs into a backup. A ratchet does not: put back to an older day it
    /// would encrypt two messages with one key.
    #[must_use]
    pub fn is_in_backup(row_key: &[u8]) -> bool {
        row_key.first() != Some(&tag::RATCHET)
    }

    /// Reads a row as [`Row::encode`] wrote it.
    ///
    /// # Errors
    /// A key or value that this version did not write.
    pub fn decode(row_key: &[u8], value: &[u8]) -> Result<Self, RowError> {
        let (&tag, name) =
            row_key.split_first().ok_or(RowError { tag: u8::MAX, why: "its key is empty".into() })?;
        let refused = |why: String| RowError { tag, why };
        if tag <= tag::CHAIN && !name.is_empty() {
            return Err(refused("there is one of its kind, and it has a name".into()));
        }
        Ok(match tag {
            tag::IDENTITY => Self::Identity(unpack(value).map_err(refused)?),
            tag::OWNER => Self::Owner(unpack(value).map_err(refused)?),
            tag::COUNTERS => Self::Counters(unpack(value).map_err(refused)?),
            tag::CHAIN => Self::Chain(unpack(value).map_err(refused)?),
            tag::DEVICE => Self::Device(Id(fixed(name).map_err(refused)?), unpack(value).map_err(refused)?),
            tag::CEREMONY => {
                Self::Ceremony(Id(fixed(name).map_err(refused)?), unpack(value).map_err(refused)?)
            }
            tag::ACCOUNT => Self::Account(
                AccountId::from_bytes(fixed(name).map_err(refused)?),
                unpack(value).map_err(refused)?,
            ),
            tag::LEDGER => {
                let (id, name) = name
                    .split_first_chunk::<16>()
                    .ok_or_else(|| refused("its key is too short for an account".into()))?;
                Self::Ledger(AccountId::from_bytes(*id), name.to_vec(), Some(value.to_vec()))
            }
            tag::PAYMENT => Self::Payment(Id(fixed(name).map_err(refused)?), unpack(value).map_err(refused)?),
            tag::EVENT => {
                let id = u64::from_be_bytes(fixed(name).map_err(refused)?);
                Self::Event(id, unpack(value).map_err(refused)?)
            }
            tag::REPLY => {
                let id = ReplyKey::from_bytes(name).ok_or_else(|| refused("its key is malformed".into()))?;
                Self::Reply(id, unpack(value).map_err(refused)?)
            }
            tag::MAIL => Self::Mail(name.to_vec(), Some(value.to_vec())),
            tag::RATCHET => Self::Ratchet(name.to_vec(), Some(value.to_vec())),
            tag::LETTER => Self::Letter(name.to_vec(), Some(value.to_vec())),
            _ => return Err(refused("a newer version of the program may have written it".into())),
        })
    }
}

fn key(tag: u8, name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + name.len());
    key.push(tag);
    key.extend_from_slice(name);
    key
}

fn fixed<const N: usize>(name: &[u8]) -> Result<[u8; N], String> {
    name.try_into().map_err(|_| format!("its key has {} bytes in place of {N}", name.len()))
}

fn pack<T: Serialize>(value: &T) -> Vec<u8> {
    // Room for every row that holds a secret, so that growing leaves no copy of one behind.
    let mut bytes = Vec::with_capacity(1024);
    bytes.push(VALUE_VERSION);
    ciborium::into_writer(value, &mut bytes).expect("rows are plain data, and a vector takes every byte");
    bytes
}

fn unpack<T: DeserializeOwned>(value: &[u8]) -> Result<T, String> {
    match value.split_first() {
        Some((&VALUE_VERSION, mut body)) => {
            let value = ciborium::from_reader(&mut body).map_err(|error| error.to_string())?;
            if body.is_empty() { Ok(value) } else { Err(format!("{} bytes stand behind it", body.len())) }
        }
        Some((version, _)) => Err(format!("it has version {version}, this program reads {VALUE_VERSION}")),
        None => Err("it is empty".into()),
    }
}
