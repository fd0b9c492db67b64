//! Typed tables: what stands in a row, in which version, and how an older version is read.
//!
//! A kind of row is one [`Table`] constant beside the type that it keeps, and one line in
//! [`TABLES`](super::rewrite::TABLES). The parts of the node hold their rows in a [`Held`] or a [`Single`]: memory changes
//! only through them, and each change gives the row that makes it last, so neither can be forgotten.
//!
//! A release that changes the type of a table keeps the old shape as a type of its own, raises the version of the table
//! and gives it an upgrade function. Rows of the old version stay on disk until their entity next changes.

mod key;

use std::{collections::BTreeMap, marker::PhantomData, ops::Deref};

use autonomy_messaging::SecretWriter;
use serde::{Serialize, de::DeserializeOwned};

pub use self::key::TableKey;
use super::row::{Row, RowError};

/// Room that a value gets at first: most rows fit. A larger one costs a copy.
const USUAL_LEN: usize = 1024;

/// Reads the body of a value that an earlier version wrote, by that version's number. It is called for every version
/// below the present one, those included that never were; what it refuses stops the pod from starting.
type Upgrade<V> = fn(version: u8, body: &[u8]) -> Result<V, String>;

/// A kind of row: entities of type `V` under keys of type `K`.
#[derive(Debug)]
pub struct Table<K, V> {
    /// First byte of every key.
    tag: u8,
    /// First byte of every value that is written.
    version: u8,
    upgrade: Upgrade<V>,
    key: PhantomData<fn(K)>,
}

impl<K, V> Table<K, V> {
    /// A table in its first version.
    pub(crate) const fn new(tag: u8) -> Self {
        Self { tag, version: 1, upgrade: no_earlier, key: PhantomData }
    }

    /// The same in a later version: `upgrade` reads what all versions before it wrote.
    #[cfg(test)]
    const fn upgraded(self, version: u8, upgrade: Upgrade<V>) -> Self {
        Self { version, upgrade, ..self }
    }
}

fn no_earlier<V>(version: u8, _: &[u8]) -> Result<V, String> {
    Err(format!("there was no version {version}"))
}

impl<K: TableKey, V: Serialize + DeserializeOwned> Table<K, V> {
    /// The row that keeps `value` under `key`, in the present version. Memory does not change: [`Held`] and [`Single`] do
    /// both.
    #[expect(clippy::expect_used, reason = "rows are plain data, and the buffer takes every byte")]
    pub(crate) fn put(&self, key: &K, value: &V) -> Row {
        let mut bytes = SecretWriter::with_capacity(USUAL_LEN);
        bytes.push(self.version);
        ciborium::into_writer(value, &mut bytes)
            .expect("rows are plain data, and the buffer takes every byte");
        Row { key: self.row_key(key), value: Some(bytes.into_bytes()) }
    }

    /// The row that removes `key`.
    pub(crate) fn remove(&self, key: &K) -> Row {
        Row { key: self.row_key(key), value: None }
    }

    fn row_key(&self, key: &K) -> Vec<u8> {
        [&[self.tag], &key.to_bytes()[..]].concat()
    }

    /// Reads a row of this table, in this version or an earlier one.
    ///
    /// # Errors
    /// The key or the value is not of this table, or a newer program wrote it.
    pub fn read(&self, key: &[u8], value: &[u8]) -> Result<(K, V), RowError> {
        let refused = |why| RowError { tag: self.tag, why };
        let name = key.strip_prefix(&[self.tag]).ok_or_else(|| refused("it is of another table".into()))?;
        let key = K::from_bytes(name).map_err(refused)?;
        let (version, body) = value.split_first().ok_or_else(|| refused("it is empty".into()))?;
        let value = match *version {
            version if version == self.version => whole(body),
            version if version < self.version => (self.upgrade)(version, body),
            version => {
                let read = self.version;
                Err(format!("a newer program wrote it (version {version}, this one reads up to {read})"))
            }
        };
        Ok((key, value.map_err(refused)?))
    }
}

/// Reads CBOR with nothing behind it.
///
/// # Errors
/// It is malformed, of another shape, or bytes stand behind it: then another program wrote it, and what it meant is not
/// known.
pub(crate) fn whole<V: DeserializeOwned>(mut body: &[u8]) -> Result<V, String> {
    let value = ciborium::from_reader(&mut body).map_err(|error| error.to_string())?;
    if body.is_empty() { Ok(value) } else { Err(format!("{} bytes stand behind it", body.len())) }
}

/// A table whatever it keeps.
pub(crate) trait AnyTable: Sync {
    fn tag(&self) -> u8;

    /// Reads a row and writes it anew, in the present version.
    ///
    /// # Errors
    /// As [`Table::read`].
    fn rewrite(&self, key: &[u8], value: &[u8]) -> Result<Row, RowError>;
}

impl<K: TableKey, V: Serialize + DeserializeOwned> AnyTable for Table<K, V> {
    fn tag(&self) -> u8 {
        self.tag
    }

    fn rewrite(&self, key: &[u8], value: &[u8]) -> Result<Row, RowError> {
        let (key, value) = self.read(key, value)?;
        Ok(self.put(&key, &value))
    }
}

/// A part of the node's state that is restored row by row.
pub(crate) trait Restore {
    fn tag(&self) -> u8;

    /// Takes a row of its table. A later row of the same key wins.
    ///
    /// # Errors
    /// As [`Table::read`]; then the part is as before.
    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), RowError>;
}

/// The entities of a table in memory. It reads as a map, and changes only together with a row.
#[derive(Debug)]
pub(crate) struct Held<K: 'static, V: 'static> {
    table: &'static Table<K, V>,
    entities: BTreeMap<K, V>,
}

impl<K: TableKey, V: Serialize + DeserializeOwned> Held<K, V> {
    pub(crate) const fn new(table: &'static Table<K, V>) -> Self {
        Self { table, entities: BTreeMap::new() }
    }

    /// Sets an entity's state; gives the row to be committed.
    #[must_use = "what is changed in memory and not on disk is lost with the next start"]
    pub(crate) fn put(&mut self, key: K, value: V) -> Row {
        let row = self.table.put(&key, &value);
        self.entities.insert(key, value);
        row
    }

    /// Removes an entity; gives the row to be committed.
    #[must_use = "what is changed in memory and not on disk comes back with the next start"]
    pub(crate) fn remove(&mut self, key: &K) -> Row {
        self.entities.remove(key);
        self.table.remove(key)
    }
}

impl<K, V> Deref for Held<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.entities
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Held<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.entities == other.entities
    }
}

impl<K: TableKey, V: Serialize + DeserializeOwned> Restore for Held<K, V> {
    fn tag(&self) -> u8 {
        self.table.tag
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), RowError> {
        let (key, value) = self.table.read(key, value)?;
        self.entities.insert(key, value);
        Ok(())
    }
}

/// The one entity of a table: there is one of its kind, and it has no name.
#[derive(Debug)]
pub(crate) struct Single<V: 'static> {
    table: &'static Table<(), V>,
    value: V,
}

impl<V: Serialize + DeserializeOwned> Single<V> {
    pub(crate) const fn new(table: &'static Table<(), V>, value: V) -> Self {
        Self { table, value }
    }

    /// Sets its state; gives the row to be committed.
    #[must_use = "what is changed in memory and not on disk is lost with the next start"]
    pub(crate) fn put(&mut self, value: V) -> Row {
        let row = self.table.put(&(), &value);
        self.value = value;
        row
    }
}

impl<V> Deref for Single<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}

impl<V: PartialEq> PartialEq for Single<V> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<V: Serialize + DeserializeOwned> Restore for Single<V> {
    fn tag(&self) -> u8 {
        self.table.tag
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), RowError> {
        ((), self.value) = self.table.read(key, value)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table in its third version: the first kept a number, the second a text, the third both.
    const TABLE: Table<u64, (u64, String)> = Table::new(77).upgraded(3, |version, body| match version {
        1 => whole(body).map(|number: u64| (number, String::new())),
        2 => whole(body).map(|text: String| (0, text)),
        other => no_earlier(other, body),
    });

    fn written<V: Serialize>(version: u8, value: &V) -> Vec<u8> {
        let mut bytes = vec![version];
        ciborium::into_writer(value, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn rows_of_earlier_versions_are_upgraded_as_they_are_read() {
        let key = TABLE.put(&5, &(0, String::new())).key;
        let read = |bytes: &[u8]| TABLE.read(&key, bytes).map(|(key, value)| (key, value.0, value.1));
        assert_eq!(read(&written(1, &9_u64)), Ok((5, 9, String::new())));
        assert_eq!(read(&written(2, &"nine")), Ok((5, 0, "nine".into())));
        assert_eq!(read(&written(3, &(9_u64, "nine"))), Ok((5, 9, "nine".into())));
        assert!(read(&written(4, &(9_u64, "nine"))).unwrap_err().why.contains("version 4"));
        assert!(read(&written(0, &9_u64)).unwrap_err().why.contains("no version 0"));
        let upgraded = TABLE.rewrite(&key, &written(1, &9_u64)).unwrap();
        assert_eq!(*upgraded.value.unwrap(), written(3, &(9_u64, "")));
    }

    #[test]
    fn memory_and_row_change_together() {
        static NUMBERS: Table<u64, u64> = Table::new(78);
        let mut held = Held::new(&NUMBERS);
        let (put, removed) = (held.put(1, 10), held.remove(&2));
        assert_eq!((held.get(&1), put.value.is_some(), removed.value), (Some(&10), true, None));
        let mut again = Held::new(&NUMBERS);
        again.restore(&put.key, &put.value.unwrap()).unwrap();
        assert!(again == held, "restored equals running");
    }
}
