//! The account map as JSON, for files, wires and decks.

use serde::{Deserialize, Serialize};

use super::parse::Parsed;
use super::{AccountError, AccountId, AccountMap, Birthday, MemberLabel};
use crate::bitcoin::Network;

/// Longest map that is read, in bytes. The largest has a descriptor of 15 keys (15 · 162 + 69 = 2,499), 15
/// labels of 32 bytes that JSON escapes to 64 and 3 around each (1,005), a name of 64 characters and 256 bytes, and 250
/// of other words and numbers: 4,010. A personal map has about 700.
pub const MAX_MAP_BYTES: usize = 4096;

/// Version of the form below.
const VERSION: u16 = 1;

/// Why bytes are not an account map.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapBytesError {
    /// Larger than any map.
    #[error("an account map of {0} bytes, at most {MAX_MAP_BYTES} are read")]
    TooLong(usize),
    /// Not JSON, wrong fields, or contents that contradict each other.
    #[error("not an account map: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Kind, threshold and keys stand in the descriptor, and nowhere else: two copies could differ.
/// The form on disk and on the wire.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u16,
    id: AccountId,
    name: String,
    network: Network,
    /// What the members are called, in the order of the descriptor's keys.
    members: Vec<MemberLabel>,
    birthday: Birthday,
    descriptor: String,
}

impl AccountMap {
    /// The canonical bytes: compact JSON with the fields in one fixed order. Equal maps give equal bytes.
    #[expect(clippy::expect_used, reason = "a map of plain values always has a JSON form")]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a map of plain values always has a JSON form")
    }

    /// Reads [`AccountMap::to_bytes`], or the same JSON with other white space and order.
    ///
    /// The descriptor is taken apart and written again from its keys; it must come out byte for byte, with the
    /// id that the map claims.
    ///
    /// # Errors
    /// [`MapBytesError`] says which field breaks which rule.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MapBytesError> {
        if bytes.len() > MAX_MAP_BYTES {
            return Err(MapBytesError::TooLong(bytes.len()));
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl From<&AccountMap> for Wire {
    fn from(map: &AccountMap) -> Self {
        let plan = map.plan();
        Self {
            version: VERSION,
            id: map.id(),
            name: plan.name.clone(),
            network: plan.network,
            members: map.members().iter().map(|member| member.label.clone()).collect(),
            birthday: plan.birthday,
            descriptor: map.descriptor().into(),
        }
    }
}

impl Wire {
    /// Builds the map from its descriptor, and compares it with what the form claims.
    fn rebuild(self) -> Result<AccountMap, AccountError> {
        if self.version != VERSION {
            return Err(AccountError::Foreign("a newer version of the account map; update this program"));
        }
        let Self { id, name, network, members, birthday, descriptor, .. } = self;
        let parsed = Parsed::read(&descriptor)?;
        let map = AccountMap::of_parsed(&descriptor, parsed, members, name, network, birthday)?;
        if map.id() != id {
            let (field, ours, theirs) = ("account id", map.id().to_string(), id.to_string());
            return Err(AccountError::Disagreement { field, ours, theirs });
        }
        Ok(map)
    }
}

impl Serialize for AccountMap {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AccountMap {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Wire::deserialize(deserializer)?.rebuild().map_err(serde::de::Error::custom)
    }
}
