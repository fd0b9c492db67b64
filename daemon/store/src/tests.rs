//! A store under people who mistype, disks that rot and thieves who rearrange.

mod backup;
mod crash;
mod renewal;
mod rollback;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use redb::ReadableTable as _;
use tempfile::TempDir;

use super::*;

/// A folder that nobody else can enter: files in it are safe whatever their own mode.
pub(crate) fn private_folder() -> TempDir {
    tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir().unwrap()
}

/// A folder, a store in it, and what opens it.
struct Place {
    folder: TempDir,
    unlock: Unlock,
}

impl Place {
    fn new() -> Self {
        Self { folder: private_folder(), unlock: Unlock::key([7; 32]) }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("pod.redb")
    }

    fn create(&self) -> Store {
        Store::create(self.path(), &self.unlock).unwrap()
    }

    fn open(&self) -> Result<Store, OpenError> {
        Store::open(self.path(), &self.unlock)
    }

    /// A closed store with these rows.
    fn with(rows: &[(&str, &str)]) -> Self {
        let place = Self::new();
        place.create().commit(&puts(rows)).unwrap();
        place
    }

    /// Changes the database behind the store's back, as a thief with the file could: checksums come out right.
    fn forge(&self, forge: impl FnOnce(&mut redb::Table<'_, [u8; 32], &'static [u8]>)) {
        let database = Database::open(self.path()).unwrap();
        let transaction = database.begin_write().unwrap();
        forge(&mut transaction.open_table(ROWS).unwrap());
        transaction.commit().unwrap();
    }
}

fn puts(rows: &[(&str, &str)]) -> Vec<RowChange> {
    rows.iter().map(|(key, value)| RowChange::put(*key, *value)).collect()
}

fn all(store: &Store) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, ReadError> {
    store.rows()?.map(|row| row.map(|(key, value)| (key, value.to_vec()))).collect()
}

fn sealed_rows(table: &redb::Table<'_, [u8; 32], &'static [u8]>) -> Vec<([u8; 32], Vec<u8>)> {
    table
        .iter()
        .unwrap()
        .map(|row| row.map(|(id, value)| (id.value(), value.value().to_vec())).unwrap())
        .collect()
}

#[test]
fn rows_come_back_after_closing() {
    let place = Place::with(&[("a", "1"), ("b", "2"), ("c", "")]);
    let store = place.open().unwrap();
    store
        .commit(&[RowChange::put("a", "3"), RowChange::remove("b"), RowChange::remove("never was")])
        .unwrap();
    drop(store);
    let store = place.open().unwrap();
    assert_eq!(
        all(&store).unwrap(),
        BTreeMap::from([(b"a".to_vec(), b"3".to_vec()), (b"c".to_vec(), vec![])])
    );
    assert_eq!(store.read(b"a").unwrap().unwrap().as_slice(), b"3");
    assert!(store.read(b"b").unwrap().is_none());
}

#[test]
fn the_file_shows_no_names_or_values_and_is_private_to_its_user() {
    let place = Place::with(&[("name of a contact", "what she wrote")]);
    let bytes = fs::read(place.path()).unwrap();
    for secret in [&b"name of a contact"[..], b"what she wrote", &[7; 32]] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
    assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_store_is_never_overwritten() {
    let place = Place::with(&[("a", "1")]);
    assert!(matches!(Store::create(place.path(), &place.unlock), Err(CreateError::Exists { .. })));
    assert_eq!(all(&place.open().unwrap()).unwrap().len(), 1);
}

#[test]
fn a_wrong_passphrase_is_told_from_a_wrong_lock() {
    let place = Place::new();
    let right = Unlock::passphrase("correct horse".to_owned()).unwrap();
    drop(Store::create(place.path(), &right).unwrap());
    let wrong = Unlock::passphrase("battery staple".to_owned()).unwrap();
    assert!(matches!(Store::open(place.path(), &wrong), Err(OpenError::WrongPassphrase { .. })));
    assert!(matches!(place.open(), Err(OpenError::NeedsPassphrase { .. })));
    Store::open(place.path(), &right).unwrap();

    let other = Place::with(&[]);
    assert!(matches!(Store::open(other.path(), &right), Err(OpenError::NeedsKeyFile { .. })));
    assert!(matches!(Store::open(other.path(), &Unlock::key([8; 32])), Err(OpenError::WrongKeyFile { .. })));
}

#[test]
fn only_one_process_opens_it() {
    let place = Place::new();
    let first = place.create();
    assert!(matches!(place.open(), Err(OpenError::InUse { .. })));
    drop(first);
    place.open().unwrap();
}

#[test]
fn every_flipped_byte_of_a_row_is_found() {
    let place = Place::with(&[("a", "some value")]);
    let mut original = Vec::new();
    place.forge(|table| original = sealed_rows(table));
    let (id, sealed) = original.remove(0);
    for at in 0..sealed.len() {
        let mut bad = sealed.clone();
        bad[at] ^= 0x40;
        place.forge(|table| drop(table.insert(id, bad.as_slice()).unwrap()));
        let store = place.open().unwrap();
        let error = store.read(b"a").unwrap_err();
        assert!(matches!(&error, ReadError::Row { row, .. } if row.len() == 12), "byte {at}: {error}");
        assert!(matches!(all(&store), Err(ReadError::Row { .. })), "byte {at}");
    }
    for short in [&sealed[..39], &sealed[..10], &[]] {
        place.forge(|table| drop(table.insert(id, short).unwrap()));
        assert!(matches!(place.open().unwrap().read(b"a"), Err(ReadError::Row { .. })));
    }
}

#[test]
fn swapped_rows_are_found() {
    let place = Place::with(&[("limit", "1"), ("spent", "9")]);
    place.forge(|table| {
        let rows = sealed_rows(table);
        table.insert(rows[0].0, rows[1].1.as_slice()).unwrap();
        table.insert(rows[1].0, rows[0].1.as_slice()).unwrap();
    });
    let store = place.open().unwrap();
    assert!(matches!(store.read(b"limit"), Err(ReadError::Row { .. })));
    assert!(matches!(all(&store), Err(ReadError::Row { .. })));
}

#[test]
fn a_row_taken_away_is_found() {
    let place = Place::with(&[("spent", "9"), ("limit", "1")]);
    place.forge(|table| {
        let rows = sealed_rows(table);
        table.remove(rows[0].0).unwrap();
    });
    let error = place.open().unwrap_err();
    assert!(error.to_string().contains("1 rows in place of 2"), "{error}");
}

#[test]
fn a_row_of_an_older_day_is_found() {
    let place = Place::with(&[("spent", "1")]);
    let mut yesterday = Vec::new();
    place.forge(|table| yesterday = sealed_rows(table));
    place.open().unwrap().commit(&puts(&[("spent", "9")])).unwrap();
    place.forge(|table| drop(table.insert(yesterday[0].0, yesterday[0].1.as_slice()).unwrap()));
    let store = place.open().unwrap();
    assert!(matches!(all(&store), Err(ReadError::Rows { .. })));
    assert!(matches!(store.backup(place.folder.path().join("copy"), |_| true), Err(BackupError::Read(_))));
}

#[test]
fn what_is_too_large_is_refused_before_anything_is_written() {
    let place = Place::with(&[("a", "1")]);
    let store = place.open().unwrap();
    let fits = RowChange::put(vec![1; MAX_KEY_LEN], "x");
    let long = RowChange::put(vec![1; MAX_KEY_LEN + 1], "x");
    let large = RowChange::put("b", vec![0; MAX_VALUE_LEN + 1]);
    assert!(matches!(
        store.commit(&[fits.clone(), long]),
        Err(CommitError::LongKey { kind: 1, len }) if len == MAX_KEY_LEN + 1
    ));
    assert!(matches!(store.commit(&[fits.clone(), large]), Err(CommitError::LargeValue { kind: b'b', .. })));
    assert_eq!(all(&store).unwrap().len(), 1);
    store.commit(&[fits, RowChange::put("b", vec![0; MAX_VALUE_LEN])]).unwrap();
    assert_eq!(store.read(b"b").unwrap().unwrap().len(), MAX_VALUE_LEN);
}

#[test]
fn a_reader_sees_one_moment() {
    let place = Place::with(&[("a", "1")]);
    let store = place.open().unwrap();
    let rows = store.rows().unwrap();
    store.commit(&puts(&[("a", "2"), ("b", "2")])).unwrap();
    let seen: Vec<_> = rows.map(|row| row.unwrap().1.to_vec()).collect();
    assert_eq!(seen, [b"1"]);
}

#[test]
fn files_that_are_no_stores_are_named() {
    let place = Place::new();
    assert!(matches!(place.open(), Err(OpenError::Missing { .. })));
    fs::write(place.path(), "not a database, but long enough to be looked at as one".repeat(100)).unwrap();
    assert!(matches!(place.open(), Err(OpenError::Damaged { .. } | OpenError::NotAStore { .. })));
    fs::write(place.path(), "").unwrap();
    assert!(matches!(place.open(), Err(OpenError::Damaged { .. })));
    fs::remove_file(place.path()).unwrap();
    drop(Database::create(place.path()).unwrap());
    assert!(matches!(place.open(), Err(OpenError::NotAStore { .. })));
}

#[test]
fn a_store_of_a_newer_program_is_left_alone() {
    let place = Place::with(&[]);
    let database = Database::open(place.path()).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(HEADER).unwrap();
        let mut wrap = table.get(HEADER_WRAP).unwrap().unwrap().value().to_vec();
        wrap[9] += 1;
        table.insert(HEADER_WRAP, wrap.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    assert!(matches!(place.open(), Err(OpenError::Newer { found: 2, known: 1, .. })));
}

/// Opens the file at `path` and reads all of it. `Ok` is what it holds.
fn open_and_read(path: &Path, unlock: &Unlock) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, String> {
    let store = Store::open(path, unlock).map_err(|error| error.to_string())?;
    all(&store).map_err(|error| error.to_string())
}

#[test]
fn a_truncated_file_is_an_error_and_never_half_a_store() {
    let place = Place::with(&[("a", "1"), ("b", "2")]);
    let whole = fs::read(place.path()).unwrap();
    let expected = open_and_read(&place.path(), &place.unlock).unwrap();
    let cut = place.folder.path().join("cut");
    for len in (0..whole.len()).step_by(1021) {
        fs::write(&cut, &whole[..len]).unwrap();
        match open_and_read(&cut, &place.unlock) {
            // The end of the file is free pages: nothing is missing.
            Ok(rows) => assert_eq!(rows, expected, "cut at {len}"),
            Err(error) => assert!(error.contains("cut"), "cut at {len}: {error}"),
        }
    }
}

#[test]
fn rot_anywhere_in_the_file_is_an_error_and_never_another_value() {
    let place = Place::with(&[("a", "1"), ("b", "2")]);
    place.open().unwrap().commit(&puts(&[("a", "3")])).unwrap();
    let whole = fs::read(place.path()).unwrap();
    let expected = open_and_read(&place.path(), &place.unlock).unwrap();
    let rotten = place.folder.path().join("rotten");
    // The first page byte by byte (it says where all else lies), the rest in steps.
    let places = (0..512).chain((512..whole.len()).step_by(389));
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&rotten, bytes).unwrap();
        if let Ok(rows) = open_and_read(&rotten, &place.unlock) {
            assert_eq!(rows, expected, "byte {at}");
        }
    }
}

/// What a person does to a store in a day.
#[derive(Debug, Clone)]
enum Act {
    Commit(Vec<(u8, Option<Vec<u8>>)>),
    Reopen,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let change = (0..12_u8, prop::option::of(prop::collection::vec(any::<u8>(), 0..300)));
    let commit = prop::collection::vec(change, 0..6).prop_map(Act::Commit);
    prop::collection::vec(prop_oneof![4 => commit, 1 => Just(Act::Reopen)], 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_store_holds_what_a_map_would(acts in acts()) {
        let place = Place::new();
        let mut store = place.create();
        let mut model = BTreeMap::new();
        for act in acts {
            match act {
                Act::Commit(changes) => {
                    let changes: Vec<_> = changes
                        .into_iter()
                        .map(|(key, value)| RowChange { key: vec![key], value: value.map(Into::into) })
                        .collect();
                    store.commit(&changes).unwrap();
                    for RowChange { key, value } in changes {
                        match value {
                            Some(value) => drop(model.insert(key, value.to_vec())),
                            None => drop(model.remove(&key)),
                        }
                    }
                }
                Act::Reopen => {
                    drop(store);
                    store = place.open().unwrap();
                }
            }
            prop_assert_eq!(&all(&store).unwrap(), &model);
        }
        for (key, value) in &model {
            let read = store.read(key).unwrap().unwrap();
            prop_assert_eq!(&*read, value);
        }
    }
}
