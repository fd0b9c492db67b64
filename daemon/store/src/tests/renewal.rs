//! A store written anew: what is gone from it, what opens it, and what is left where it is cut short.

use std::{
    io::Read as _,
    os::unix::fs::{MetadataExt as _, chown, symlink},
};

use super::*;

/// A time of day, seconds since 1970.
const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

fn new_lock() -> Unlock {
    Unlock::key([9; 32])
}

fn holds(file: &Path, bytes: &[u8]) -> bool {
    fs::read(file).unwrap().windows(bytes.len()).any(|window| window == bytes)
}

fn len(file: &Path) -> u64 {
    fs::metadata(file).unwrap().len()
}

#[test]
fn renewed_store_has_its_rows_and_nothing_that_was_removed() {
    let place = Place::with(&[("a", "1"), ("ratchet", "of yesterday")]);
    let mut yesterday = Vec::new();
    place.forge(|table| yesterday = sealed_rows(table));
    let mut store = place.open().unwrap();
    store.commit(&[RowChange::remove("ratchet"), RowChange::put("b", "2")]).unwrap();
    let (before, commits) = (all(&store).unwrap(), store.commits().unwrap());
    assert!(yesterday.iter().all(|(_, sealed)| holds(&place.path(), sealed)), "it lies in a free page");
    let old_keys = Keys::derive(&data_key(&store, &place.unlock));
    store.renew(NOW).unwrap();

    assert!(!yesterday.iter().any(|(_, sealed)| holds(&place.path(), sealed)));
    assert_eq!((all(&store).unwrap(), store.commits().unwrap()), (before.clone(), commits));
    store.commit(&puts(&[("c", "3")])).unwrap();
    store.reopen().unwrap();
    drop(store);
    let store = place.open().unwrap();
    assert_eq!(all(&store).unwrap().len(), before.len() + 1, "the same secret opens it");
    let (id, sealed) = (store.keys.row_id(b"a"), sealed_row(&store, b"a"));
    assert!(old_keys.open_row(&id, &sealed).is_none(), "and the old key opens nothing");
}

fn data_key(store: &Store, unlock: &Unlock) -> keys::DataKey {
    let found = file::read_header(store.path(), store.database().unwrap()).unwrap();
    Header::parse(&found.wrap).unwrap().unwrap(unlock).unwrap().0
}

fn sealed_row(store: &Store, name: &[u8]) -> Vec<u8> {
    let rows = store.database().unwrap().begin_read().unwrap().open_table(ROWS).unwrap();
    rows.get(store.keys.row_id(name)).unwrap().unwrap().value().to_vec()
}

#[test]
fn relocked_store_opens_with_the_new_secret_only() {
    let place = Place::with(&[("a", "1")]);
    let mut store = place.open().unwrap();
    let old_wrap = file::read_header(store.path(), store.database().unwrap()).unwrap().wrap;
    store.relock(&new_lock(), NOW).unwrap();
    store.commit(&puts(&[("b", "2")])).unwrap();
    store.renew(NOW).unwrap();
    drop(store);
    assert!(matches!(place.open(), Err(OpenError::WrongKeyFile { .. })));
    assert!(!holds(&place.path(), &old_wrap), "no key in the file that the old secret opens");
    assert_eq!(all(&Store::open(place.path(), &new_lock()).unwrap()).unwrap().len(), 2);
}

#[test]
fn renewal_cut_short_before_its_place_leaves_the_old_store() {
    let place = Place::with(&[("a", "1")]);
    let store = place.open().unwrap();
    let data_key = keys::fresh_data_key();
    let wrap = Wrapping::new(&new_lock()).wrap(&data_key);
    let beside = store.build_beside(&Keys::derive(&data_key), &wrap, NOW).unwrap();
    drop((beside, store));
    assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 2);
    assert!(matches!(Store::open(place.path(), &new_lock()), Err(OpenError::WrongKeyFile { .. })));
    assert_eq!(all(&place.open().unwrap()).unwrap().len(), 1);
    assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1, "what was begun is removed");
}

#[test]
fn renewal_that_cannot_be_written_leaves_the_store_as_it_was() {
    let place = Place::with(&[("a", "1")]);
    let mut store = place.open().unwrap();
    fs::create_dir(place.folder.path().join(".pod.redb.anew")).unwrap();
    let error = store.relock(&new_lock(), NOW).unwrap_err();
    assert!(error.to_string().starts_with("nothing was changed: "), "{error}");
    store.commit(&puts(&[("b", "2")])).unwrap();
    drop(store);
    assert_eq!(all(&place.open().unwrap()).unwrap().len(), 2);
}

#[test]
fn old_file_is_erased_unless_it_has_another_name() {
    let place = Place::with(&[("a", "1")]);
    let mut store = place.open().unwrap();
    let mut old = fs::File::open(place.path()).unwrap();
    store.renew(NOW).unwrap();
    let mut bytes = Vec::new();
    old.read_to_end(&mut bytes).unwrap();
    assert!(bytes.len() > 4096 && bytes.iter().all(|byte| *byte == 0));

    let copy = place.folder.path().join("copy");
    fs::hard_link(place.path(), &copy).unwrap();
    store.renew(NOW).unwrap();
    assert_eq!(all(&Store::open(&copy, &place.unlock).unwrap()).unwrap(), all(&store).unwrap());
}

#[test]
fn linked_store_is_renewed_where_it_lies() {
    let (place, elsewhere) = (Place::with(&[("a", "1")]), tempfile::tempdir().unwrap());
    let target = elsewhere.path().join("there.redb");
    fs::rename(place.path(), &target).unwrap();
    symlink(&target, place.path()).unwrap();
    place.open().unwrap().renew(NOW).unwrap();
    assert!(fs::symlink_metadata(place.path()).unwrap().is_symlink());
    assert_eq!(all(&Store::open(&target, &place.unlock).unwrap()).unwrap().len(), 1);
}

#[test]
fn renewal_is_due_a_day_after_the_last_for_each_part() {
    let place = Place::with(&[("a", "1")]);
    let mut store = place.open().unwrap();
    assert!(store.is_renewal_due(NOW), "nobody has said when it was");
    store.renew(NOW).unwrap();
    drop(store);
    let store = place.open().unwrap();
    assert!(!store.is_renewal_due(NOW + DAY - 1) && store.is_renewal_due(NOW + DAY));
    assert!(store.is_renewal_due(NOW - DAY), "a clock that went back counts as time");
    // Two parts of 64 MiB wait for two days.
    extend(&place.path(), (64 << 20) + 1);
    assert!(!store.is_renewal_due(NOW + 2 * DAY - 1) && store.is_renewal_due(NOW + 2 * DAY));
}

/// Makes a file longer; what is added is sparse, and to a database free pages.
fn extend(file: &Path, len: u64) {
    fs::File::options().write(true).open(file).unwrap().set_len(len).unwrap();
}

#[test]
fn mostly_free_file_is_written_anew_when_it_is_opened() {
    let place = Place::with(&[("a", "1"), ("b", "2")]);
    extend(&place.path(), 16 << 20);
    let store = place.open().unwrap();
    assert!(len(&place.path()) < 4 << 20, "{} bytes", len(&place.path()));
    assert_eq!(all(&store).unwrap().len(), 2);
    store.commit(&puts(&[("c", "3")])).unwrap();
    drop(store);
    assert_eq!(all(&place.open().unwrap()).unwrap().len(), 3);
}

/// The machine's administrator writes a store anew that belongs to the user of a service: it stays theirs. Whoever is no
/// administrator can only try it with a store of their own.
#[test]
fn renewed_store_belongs_to_whom_it_belonged() {
    let place = Place::with(&[("a", "1")]);
    let owner = |file: &Path| {
        let found = fs::metadata(file).unwrap();
        (found.uid(), found.gid())
    };
    let own = owner(&place.path());
    let other = if own.0 == 0 { (12_345, 23_456) } else { own };
    chown(place.path(), Some(other.0), Some(other.1)).unwrap();
    let mut store = place.open().unwrap();
    store.renew(NOW).unwrap();
    assert_eq!(owner(&place.path()), other);
    store.relock(&new_lock(), NOW).unwrap();
    assert_eq!(owner(&place.path()), other);
}
