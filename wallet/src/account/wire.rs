//! The account map as JSON, for files, wires and decks.

use serde::{Deserialize, Serialize};

use super::{AccountError, AccountId, AccountMap, Birthday, Kind, Plan};
use crate::bitcoin::Network;
use crate::keys::{AccountIndex, MemberKey, Role};

/// Longest map that is read, in bytes. Written out, a map has about 1,400 (descriptor 713, three keys of 153,
/// name 64, the rest words); 4 KiB leaves room for indentation and is refused unparsed beyond.
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u16,
    id: AccountId,
    name: String,
    kind: Kind,
    threshold: u8,
    network: Network,
    account: AccountIndex,
    keys: Keys,
    birthday: Birthday,
    descriptor: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(non_snake_case, reason = "the members' names as people write them")]
struct Keys {
    P: String,
    R: String,
    G: String,
}

impl AccountMap {
    /// The canonical bytes: compact JSON with the fields in one fixed order. Equal maps give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a map of plain values always has a JSON form")
    }

    /// Reads [`AccountMap::to_bytes`], or the same JSON with other white space and order.
    ///
    /// Everything is derived again from the keys; the id and descriptor inside must agree with it.
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
        let key = |role| map.key(role).to_string();
        Self {
            version: VERSION,
            id: map.id(),
            name: plan.name.clone(),
            kind: plan.kind,
            threshold: plan.threshold,
            network: plan.network,
            account: plan.account,
            keys: Keys { P: key(Role::P), R: key(Role::R), G: key(Role::G) },
            birthday: plan.birthday,
            descriptor: map.descriptor().into(),
        }
    }
}

impl Wire {
    fn rebuild(self) -> Result<AccountMap, AccountError> {
        if self.version != VERSION {
            return Err(AccountError::Foreign("a newer version of the account map; update this program"));
        }
        let keys = [
            MemberKey::parse(Role::P, &self.keys.P)?,
            MemberKey::parse(Role::R, &self.keys.R)?,
            MemberKey::parse(Role::G, &self.keys.G)?,
        ];
        let plan = Plan {
            name: self.name,
            kind: self.kind,
            threshold: self.threshold,
            network: self.network,
            account: self.account,
            birthday: self.birthday,
        };
        let map = AccountMap::assemble(plan, &keys)?;
        let differ =
            |field, ours: String, theirs: String| Err(AccountError::Disagreement { field, ours, theirs });
        if map.descriptor() != self.descriptor {
            return differ("descriptor", map.descriptor().into(), self.descriptor);
        }
        if map.id() != self.id {
            return differ("account id", map.id().to_string(), self.id.to_string());
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
