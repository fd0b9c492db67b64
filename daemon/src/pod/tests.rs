//! A pod's folder, without a running pod.

use std::collections::BTreeMap;

use super::*;
use autonomy_store::RowChange;

fn key() -> Unlock {
    Unlock::key([7; 32])
}

fn rows(dir: &PodDir) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let store = Store::open(dir.store(), &key()).unwrap();
    store.rows().unwrap().map(|row| row.map(|(name, value)| (name, value.to_vec())).unwrap()).collect()
}

#[test]
fn a_backup_holds_letters_and_no_ratchets() {
    let folder = tempfile::tempdir().unwrap();
    let (home, other) = (PodDir::new(folder.path().join("a")), PodDir::new(folder.path().join("b")));
    let copy = folder.path().join("copy.redb");
    let request = init(&home, &key(), Network::Regtest).unwrap();
    // The name that the owner goes by: a version byte, and a string behind its length.
    let mail = Row::Mail(b"n".to_vec(), Some(b"\x01\x05Alice".to_vec()));
    let letter = Row::Letter(b"1".to_vec(), Some(b"hello".to_vec()));
    let ratchet = |name: &[u8]| Row::Ratchet(name.to_vec(), Some(vec![7; 70_000]));
    let rows_of_mail = [mail.clone(), letter.clone(), ratchet(b"tree"), ratchet(b"secrets"), ratchet(b"")];
    driver::commit(&Store::open(home.store(), &key()).unwrap(), &rows_of_mail).unwrap();

    backup(&home, &key(), &copy).unwrap();
    restore(&other, &key(), &copy).unwrap();
    assert_eq!(super::request(&other, &key()).unwrap(), request, "the copy is the same pod");
    let (mut all, kept) = (rows(&home), rows(&other));
    assert_eq!(all.len(), kept.len() + 3);
    for (name, _) in [ratchet(b"tree"), ratchet(b"secrets"), ratchet(b"")].map(|row| row.encode()) {
        assert!(all.remove(&name).is_some() && !kept.contains_key(&name), "a ratchet in a backup");
    }
    assert!([mail, letter].iter().all(|row| kept.contains_key(&row.encode().0)));
    assert_eq!(kept, all, "and everything else is in it");
}

#[test]
fn a_pod_starts_without_a_look_at_cold_rows() {
    let folder = tempfile::tempdir().unwrap();
    let home = PodDir::new(folder.path().join("a"));
    init(&home, &key(), Network::Regtest).unwrap();
    let (with, ..) = open(&home, &key()).unwrap();
    let cold = [Row::Ratchet(b"x".to_vec(), Some(vec![])), Row::Letter(vec![], Some(vec![0; 12_000]))];
    let changes: Vec<RowChange> = driver::changes(&cold);
    Store::open(home.store(), &key()).unwrap().commit(&changes).unwrap();
    assert!(open(&home, &key()).unwrap().0 == with);
}
