//! A file of which a bit has flipped, or whose last commit a power cut has torn.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// Where redb keeps its flags.
const FLAGS: usize = 9;
/// Bytes of the database's header: 64, and 128 for each of the last two commits.
const HEADER_LEN: usize = 64 + 2 * 128;
/// Bytes of a page.
const PAGE: usize = 4096;

/// A store's file as a killed process leaves it, before and after its last commit.
struct Killed {
    place: Place,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Killed {
    fn new() -> Self {
        let place = Place::with(&[("spent", "1"), ("left", "1")]);
        let store = place.open().unwrap();
        store.commit(&puts(&[("spent", "2"), ("left", "2")])).unwrap();
        let before = fs::read(place.path()).unwrap();
        store.commit(&puts(&[("spent", "3"), ("left", "3")])).unwrap();
        let after = fs::read(place.path()).unwrap();
        assert_eq!(before.len(), after.len());
        drop(store);
        Self { place, before, after }
    }

    /// What a store with this file says was spent.
    fn spent(&self, bytes: &[u8]) -> Result<String, String> {
        let found = self.place.folder.path().join("found");
        fs::write(&found, bytes).unwrap();
        fs::set_permissions(&found, fs::Permissions::from_mode(0o600)).unwrap();
        let rows = open_and_read(&found, &self.place.unlock)?;
        let row = |name: &str| String::from_utf8(rows[name.as_bytes()].clone()).unwrap();
        assert_eq!(row("spent"), row("left"), "half a commit");
        Ok(row("spent"))
    }
}

#[test]
fn one_flipped_bit_after_a_kill_forgets_no_commit() {
    let killed = Killed::new();
    let bits = (0..8).map(|bit| (FLAGS, bit)).chain((0..HEADER_LEN).map(|byte| (byte, byte % 8)));
    for (byte, bit) in bits {
        let mut bytes = killed.after.clone();
        bytes[byte] ^= 1 << bit;
        if let Ok(spent) = killed.spent(&bytes) {
            assert_eq!(spent, "3", "bit {bit} of byte {byte}");
        }
    }
    let mut wrong_slot = killed.after.clone();
    wrong_slot[FLAGS] ^= 1;
    assert_eq!(killed.spent(&wrong_slot).unwrap(), "3", "the other slot is the last commit, and whole");
}

#[test]
fn power_cut_in_a_commit_leaves_it_or_the_one_before() {
    let killed = Killed::new();
    let Killed { before, after, .. } = &killed;
    let pages: Vec<_> = (0..before.len() / PAGE)
        .map(|page| page * PAGE..(page + 1) * PAGE)
        .filter(|page| before[page.clone()] != after[page.clone()])
        .collect();
    assert!((3..=10).contains(&pages.len()), "{} pages in a commit", pages.len());
    let mut seen = [0; 2];
    // Before the flags change, any of the pages may be on the disk and any other not.
    for written in 0..1_u32 << pages.len() {
        let mut torn = before.clone();
        for (_, page) in pages.iter().enumerate().filter(|(number, _)| written & 1 << number != 0) {
            torn[page.clone()].copy_from_slice(&after[page.clone()]);
        }
        torn[FLAGS] = before[FLAGS];
        match killed.spent(&torn).unwrap().as_str() {
            "2" => seen[0] += 1,
            "3" => seen[1] += 1,
            other => panic!("{other}"),
        }
    }
    assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
}

#[test]
fn damaged_page_of_the_last_commit_is_an_error_and_no_rollback() {
    let killed = Killed::new();
    for (page, (old, new)) in killed.before.chunks(PAGE).zip(killed.after.chunks(PAGE)).enumerate().skip(1) {
        if old == new {
            continue;
        }
        let mut bytes = killed.after.clone();
        bytes[page * PAGE + 100] ^= 1;
        if let Ok(spent) = killed.spent(&bytes) {
            assert_eq!(spent, "3", "page {page}");
        }
    }
}

#[test]
fn older_file_put_under_an_open_store_is_noticed() {
    let place = Place::with(&[("spent", "1")]);
    let older = place.folder.path().join("older");
    fs::copy(place.path(), &older).unwrap();
    let mut store = place.open().unwrap();
    store.commit(&puts(&[("spent", "2")])).unwrap();
    store.commit(&puts(&[("spent", "3")])).unwrap();
    store.reopen().unwrap();
    fs::rename(&older, place.path()).unwrap();
    let error = store.reopen().unwrap_err();
    assert!(error.to_string().contains("its last 2 commits are missing"), "{error}");
    assert!(store.read(b"spent").is_err(), "nothing is given from it");
}
