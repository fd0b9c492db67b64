//! Names of entities: what stands behind the tag in the key of a row.
//!
//! A name has one encoding and a fixed length, so that no two names of a table give one key and every key reads back.

use autonomy_api::{CeremonyId, ContactId, DeviceKey, PaymentId};
use autonomy_wallet::account::AccountId;

/// The name of an entity within its table. Equal names have equal bytes, and different names different ones: two entities
/// under one key would overwrite each other.
pub trait TableKey: Sized + Ord {
    /// The bytes behind the tag.
    fn to_bytes(&self) -> Vec<u8>;

    /// Reads [`TableKey::to_bytes`]; says what is wrong otherwise.
    ///
    /// # Errors
    /// The bytes name nothing of this table.
    fn from_bytes(bytes: &[u8]) -> Result<Self, String>;
}

/// No name: the table has one entity.
impl TableKey for () {
    fn to_bytes(&self) -> Vec<u8> {
        Vec::new()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() { Ok(()) } else { Err("there is one of its kind, and it has a name".into()) }
    }
}

/// Big endian, so that rows sort by number.
impl TableKey for u32 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        fixed(bytes).map(Self::from_be_bytes)
    }
}

impl TableKey for u64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        fixed(bytes).map(Self::from_be_bytes)
    }
}

/// Ids that are bytes of a fixed size.
macro_rules! id_keys {
    ($($name:ty),+) => {$(
        impl TableKey for $name {
            fn to_bytes(&self) -> Vec<u8> {
                self.0.to_vec()
            }

            fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
                fixed(bytes).map(Self)
            }
        }
    )+};
}

id_keys!(DeviceKey, CeremonyId, PaymentId, ContactId);

impl TableKey for AccountId {
    fn to_bytes(&self) -> Vec<u8> {
        (*self).to_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        fixed(bytes).map(Self::from_bytes)
    }
}

/// Exactly `N` bytes of a key.
///
/// # Errors
/// There are more or fewer; the text says how many.
fn fixed<const N: usize>(name: &[u8]) -> Result<[u8; N], String> {
    name.try_into().map_err(|_| format!("its key has {} bytes in place of {N}", name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads_back<K: TableKey + std::fmt::Debug>(key: &K) {
        let bytes = key.to_bytes();
        assert_eq!(K::from_bytes(&bytes).as_ref(), Ok(key));
        assert!(K::from_bytes(&[&bytes[..], &[0]].concat()).is_err(), "{key:?} with a byte behind it");
    }

    #[test]
    fn every_name_reads_back_and_none_with_a_byte_more_or_less() {
        reads_back(&());
        reads_back(&u64::MAX);
        reads_back(&DeviceKey([7; 32]));
        reads_back(&AccountId::from_bytes([7; 16]));
        assert!(u64::from_bytes(&[0; 7]).unwrap_err().contains("7 bytes in place of 8"));
        assert!(<()>::from_bytes(&[0]).unwrap_err().contains("it has a name"));
    }
}
