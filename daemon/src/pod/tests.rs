//! A pod's folder, without a running pod.

use std::collections::BTreeMap;

use super::*;
use autonomy_messaging::messenger::MailRow;

fn key() -> Unlock {
    Unlock::key([7; 32])
}

/// A row of the messenger: `k…` is a ratchet's, `e…` a cold one.
fn row(key: &str, value: &[u8]) -> Row {
    MailRow { key: key.as_bytes().to_vec(), value: Some(value.to_vec().into()) }.into()
}

fn rows(dir: &PodDir) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let store = Store::open(dir.store(), &key()).unwrap();
    store.rows().unwrap().map(|row| row.map(|(name, value)| (name, value.to_vec())).unwrap()).collect()
}

#[test]
fn backup_holds_messages_and_no_ratchets() {
    let folder = tempfile::tempdir().unwrap();
    let (home, other) = (PodDir::new(folder.path().join("a")), PodDir::new(folder.path().join("b")));
    let copy = folder.path().join("copy.redb");
    let request = init(&home, &key(), Network::Regtest).unwrap();
    // The name that the owner goes by: a version byte, and a string behind its length.
    let mail = row("n", b"\x01\x05Alice");
    let letter = row("e1", b"hello");
    let ratchet = |name: &str| row(&format!("k{name}"), &[7; 70_000]);
    let rows_of_mail = [mail.clone(), letter.clone(), ratchet("tree"), ratchet("secrets"), ratchet("")];
    driver::commit(&Store::open(home.store(), &key()).unwrap(), rows_of_mail.into()).unwrap();

    backup(&home, &key(), &copy).unwrap();
    restore(&other, &key(), &copy).unwrap();
    assert_eq!(super::request(&other, &key()).unwrap(), request, "the copy is the same pod");
    let (mut all, kept) = (rows(&home), rows(&other));
    assert_eq!(all.len(), kept.len() + 3);
    for name in [ratchet("tree"), ratchet("secrets"), ratchet("")].map(|row| row.key) {
        assert!(all.remove(&name).is_some() && !kept.contains_key(&name), "a ratchet in a backup");
    }
    assert!([mail, letter].iter().all(|row| kept.contains_key(&row.key)));
    assert_eq!(kept, all, "and everything else is in it");
}

#[test]
fn open_does_not_read_cold_rows() {
    let folder = tempfile::tempdir().unwrap();
    let home = PodDir::new(folder.path().join("a"));
    init(&home, &key(), Network::Regtest).unwrap();
    let (with, ..) = open(&home, &key()).unwrap();
    let cold = vec![row("kx", &[]), row("e", &[0; 12_000])];
    driver::commit(&Store::open(home.store(), &key()).unwrap(), cold).unwrap();
    assert!(open(&home, &key()).unwrap().0 == with);
}
