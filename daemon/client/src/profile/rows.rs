//! How rows lie in the store: a short key, and CBOR behind a version byte.

use std::collections::BTreeMap;

use rand_core::{OsRng, RngCore};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use autonomy_messaging::SecretWriter;
use autonomy_store::RowChange;

/// Version of every value.
const VERSION: u8 = 1;

pub(super) const IDENTITY: &[u8] = b"identity";
pub(super) const AUTH: &[u8] = b"auth-seed";
pub(super) const PAYMENT: &[u8] = b"payment-seed";
pub(super) const POD: &[u8] = b"pod";
pub(super) const EPOCH: &[u8] = b"state-epoch";
pub(super) const CURSOR: &[u8] = b"event-cursor";
/// Followed by the account's id.
pub(super) const ACCOUNT: &[u8] = b"account/";
/// Followed by the account's id.
pub(super) const PENDING: &[u8] = b"pending/";

/// How the names of all rows begin; of each kind, the golden profile of a release holds a row.
#[must_use]
pub fn row_kinds() -> [&'static [u8]; 8] {
    [IDENTITY, AUTH, PAYMENT, POD, EPOCH, CURSOR, ACCOUNT, PENDING]
}

/// All rows of a profile by key.
pub(super) type Rows = BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>;

/// The device's own keys.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct IdentityRow {
    /// Seed of its Ed25519 key.
    pub(super) device_seed: [u8; 32],
    /// x25519 key that grants are sealed to.
    pub(super) sealing_secret: [u8; 32],
    /// x25519 key for the descriptor of the app onion, until a grant brings another.
    pub(super) descriptor_secret: [u8; 32],
    /// What it calls itself.
    pub(super) name: String,
}

impl IdentityRow {
    /// Fresh keys from the system's generator, each from a draw of its own.
    pub(super) fn draw(name: String) -> Self {
        let mut row =
            Self { device_seed: [0; 32], sealing_secret: [0; 32], descriptor_secret: [0; 32], name };
        for key in [&mut row.device_seed, &mut row.sealing_secret, &mut row.descriptor_secret] {
            OsRng.fill_bytes(key);
        }
        row
    }
}

/// Room that a value gets at first: every row of a profile but the largest account maps fits. A larger one costs a copy.
const USUAL_LEN: usize = 4_096;

/// The change that writes a value.
#[expect(clippy::expect_used, reason = "rows are plain values, written to memory")]
pub(super) fn put(key: impl Into<Vec<u8>>, value: &impl Serialize) -> RowChange {
    let mut bytes = SecretWriter::with_capacity(USUAL_LEN);
    bytes.push(VERSION);
    ciborium::into_writer(value, &mut bytes).expect("rows are plain values, written to memory");
    RowChange { key: key.into(), value: Some(bytes.into_bytes()) }
}

/// Key of one entity's row.
pub(super) fn key(prefix: &[u8], id: &[u8]) -> Vec<u8> {
    [prefix, id].concat()
}

/// Reads the value of one key.
pub(super) fn take<T: DeserializeOwned>(rows: &Rows, key: &[u8]) -> Result<Option<T>, RowFault> {
    rows.get(key).map(|bytes| decode(key, bytes)).transpose()
}

/// Reads the values of all keys with a prefix.
pub(super) fn take_all<T: DeserializeOwned>(rows: &Rows, prefix: &[u8]) -> Result<Vec<T>, RowFault> {
    let with_prefix = rows.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
    with_prefix.map(|(key, bytes)| decode(key, bytes)).collect()
}

fn decode<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, RowFault> {
    let name = || String::from_utf8_lossy(key.split(|byte| *byte == b'/').next().unwrap_or(key)).into_owned();
    match bytes.split_first() {
        Some((&VERSION, value)) => ciborium::from_reader(value).map_err(|_| RowFault::new(&name())),
        Some((&version, _)) => Err(RowFault::Newer { what: name(), version }),
        None => Err(RowFault::new(&name())),
    }
}

/// A row that opens, and makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// Not what this program writes.
    #[error(
        "the profile's {what} makes no sense: restore the profile from a copy, or start anew from its words"
    )]
    Damaged {
        /// Which part.
        what: String,
    },
    /// A newer program wrote it.
    #[error("a newer program wrote the profile's {what} (form {version}): update this one")]
    Newer {
        /// Which part.
        what: String,
        /// Its version.
        version: u8,
    },
}

impl RowFault {
    pub(super) fn new(what: &str) -> Self {
        Self::Damaged { what: what.to_owned() }
    }

    pub(super) fn missing(what: &str) -> Self {
        Self::Damaged { what: format!("{what} (missing)") }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(key: &[u8], value: Vec<u8>) -> Rows {
        Rows::from([(key.to_vec(), Zeroizing::new(value))])
    }

    #[test]
    fn rows_round_trip_and_newer_versions_are_named() {
        let change = put(EPOCH, &7_u64);
        let mut value = change.value.unwrap().to_vec();
        assert_eq!(take(&rows(EPOCH, value.clone()), EPOCH), Ok(Some(7_u64)));
        value[0] = VERSION + 1;
        let newer = RowFault::Newer { what: "state-epoch".into(), version: 2 };
        assert_eq!(take::<u64>(&rows(EPOCH, value), EPOCH), Err(newer));
        assert_eq!(take::<u64>(&rows(EPOCH, vec![]), EPOCH), Err(RowFault::new("state-epoch")));
        assert_eq!(take::<u64>(&Rows::new(), EPOCH), Ok(None));
    }

    #[test]
    fn id_of_a_row_is_not_printed() {
        let key = key(ACCOUNT, &[0xab; 16]);
        let fault = take_all::<u64>(&rows(&key, vec![VERSION, 0xff]), ACCOUNT).unwrap_err();
        assert_eq!(fault, RowFault::new("account"));
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes: Vec<u8>) {
            let _ = take::<IdentityRow>(&rows(IDENTITY, bytes), IDENTITY);
        }
    }
}
