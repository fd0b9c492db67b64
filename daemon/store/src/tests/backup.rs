//! Copies of a store: whole, and with rows left out.

use super::*;

/// Keeps all rows of a backup.
fn everything(_: &[u8]) -> bool {
    true
}

#[test]
fn a_backup_opens_and_is_equal() {
    let place = Place::with(&[("a", "1"), ("b", "2")]);
    let copy = place.folder.path().join("copy.redb");
    let store = place.open().unwrap();
    store.backup(&copy, everything).unwrap();
    store.commit(&puts(&[("a", "later")])).unwrap();
    let restored = Store::open(&copy, &place.unlock).unwrap();
    assert_eq!(all(&restored).unwrap()[&b"a"[..]], b"1");
    // The copy is a store like any other.
    restored.commit(&puts(&[("c", "3")])).unwrap();
    assert_eq!(all(&restored).unwrap().len(), 3);
    assert!(matches!(store.backup(&copy, everything), Err(BackupError::Write(CreateError::Exists { .. }))));
    // Nothing unfinished stays behind.
    assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 2);
}

#[test]
fn a_backup_can_leave_rows_out() {
    let place = Place::with(&[("keep a", "1"), ("leave b", "2"), ("keep c", "3"), ("leave d", "4")]);
    let copy = place.folder.path().join("copy.redb");
    let store = place.open().unwrap();
    store.backup(&copy, |name| name.starts_with(b"keep")).unwrap();
    let restored = Store::open(&copy, &place.unlock).unwrap();
    let names: Vec<_> = all(&restored).unwrap().into_keys().collect();
    assert_eq!(names, [b"keep a", b"keep c"], "and the tally fits what is there");
    assert_eq!(restored.commits().unwrap(), store.commits().unwrap());
    restored.commit(&[RowChange::remove("keep a"), RowChange::put("leave b", "5")]).unwrap();
    assert_eq!(all(&restored).unwrap().len(), 2);
    assert_eq!(all(&store).unwrap().len(), 4, "the store itself is as it was");

    let none = place.folder.path().join("none.redb");
    store.backup(&none, |_| false).unwrap();
    assert!(all(&Store::open(&none, &place.unlock).unwrap()).unwrap().is_empty());
}

#[test]
fn a_damaged_row_gives_no_backup_even_if_it_is_left_out() {
    let place = Place::with(&[("keep", "1"), ("leave", "2")]);
    let id = place.open().unwrap().keys.row_id(b"leave");
    place.forge(|table| {
        let mut sealed = table.get(id).unwrap().unwrap().value().to_vec();
        sealed[45] ^= 1;
        table.insert(id, sealed.as_slice()).unwrap();
    });
    let copy = place.folder.path().join("copy.redb");
    let store = place.open().unwrap();
    assert!(matches!(store.backup(&copy, |name| name == b"keep"), Err(BackupError::Read(_))));
    assert!(!copy.exists());
}
