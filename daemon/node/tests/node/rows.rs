//! Rows: every kind comes back as it was written, and bytes that are no row are refused in words.
//!
//! Rows of the wallet and of the messenger are opaque to the node: their bytes are refused by those who own them.

use std::collections::BTreeSet;

use autonomy_messaging::messenger::MailRow;
use autonomy_node::{Node, Row, RowError, row_kinds};
use proptest::prelude::*;

use crate::story;

/// The rows of a pod that has some of everything.
fn rows() -> Vec<Row> {
    story::rows().iter().map(|(key, value)| Row::found(key.clone(), value.clone())).collect()
}

fn messenger_row(key: &[u8], value: &[u8]) -> Row {
    MailRow { key: key.to_vec(), value: Some(value.to_vec().into()) }.into()
}

/// Rows that are read together: of an account's ledger, and of a contact's ratchet.
fn is_part_of_a_whole(row: &Row) -> bool {
    matches!(row.key[0], 7 | 12)
}

#[test]
fn every_kind_of_row_comes_back_as_it_was_written() {
    let rows = rows();
    let kinds: BTreeSet<Vec<u8>> = rows.iter().map(|row| row.kind().to_vec()).collect();
    assert_eq!(kinds, row_kinds(), "a pod with some of everything");
    for row in &rows {
        assert_eq!(row.rewritten().unwrap(), *row);
    }
}

#[test]
fn a_row_of_an_unknown_version_or_with_a_tail_is_refused() {
    for row in rows().iter().filter(|row| !is_part_of_a_whole(row)) {
        let (key, value) = (&row.key, row.value.as_ref().unwrap());
        let version = value[0] + 1;
        let newer = [&[version], &value[1..]].concat();
        let error = rewrite(key, &newer).unwrap_err().to_string();
        assert!(error.contains(&format!("version {version}")), "{error}");
        let longer = [&value[..], &[0]].concat();
        assert!(rewrite(key, &longer).is_err(), "{row:?}");
        for length in [0, 1, value.len() / 2, value.len() - 1] {
            let error = rewrite(key, &value[..length]).unwrap_err();
            assert_eq!(error.tag, key[0]);
        }
        assert!(rewrite(&[&key[..], &[0]].concat(), value).is_err(), "{row:?}");
    }
    assert!(rewrite(&[], &[1]).is_err());
    assert!(rewrite(&[200], &[1]).unwrap_err().to_string().contains("newest version"));
}

/// The first row of each holds the version of all of it.
#[test]
fn a_ledger_or_a_ratchet_of_a_newer_program_is_refused() {
    let (mut rows, mut ledgers, mut ratchets) = (rows(), 0, 0);
    for row in &mut rows {
        let (tag, key) = (row.key[0], row.key.clone());
        let value = row.value.as_mut().unwrap();
        if tag == 7 && key[17..] == *b"m" {
            value[0] = 2;
            ledgers += 1;
        }
        if tag == 12 && key.len() == 1 + 1 + 16 + 1 {
            let newer = [&[2], &value[1..]].concat();
            let error = rewrite(&key, &newer).unwrap_err().to_string();
            assert!(error.contains("newer program") && error.contains("version 2"), "{error}");
            ratchets += 1;
        }
    }
    assert!(ledgers > 0 && ratchets > 0);
    let error = Node::restore(rows).unwrap_err().to_string();
    assert!(error.contains("version 2") && error.contains("newer program"), "{error}");
}

#[test]
fn a_messenger_row_under_the_tag_of_another_class_is_refused() {
    let row = messenger_row(b"n", b"\x01\x05Alice");
    assert_eq!(row.rewritten().unwrap(), row);
    for tag in [12, 13] {
        assert!(rewrite(&[tag, b'n'], row.value.as_ref().unwrap()).is_err());
    }
}

/// A row that is read by its table and written anew.
fn rewrite(key: &[u8], value: &[u8]) -> Result<Row, RowError> {
    Row::found(key, value.to_vec()).rewritten()
}

#[test]
fn a_row_of_which_there_is_one_has_no_name() {
    let error = rewrite(&[2, 0], &[1, 0x80]).unwrap_err();
    assert_eq!(error.tag, 2);
    assert!(error.to_string().contains("it has a name"), "{error}");
}

#[test]
fn cold_rows_are_known_by_their_keys_and_are_not_held() {
    for row in rows() {
        let tag = row.key[0];
        assert_eq!(row.is_cold(), tag == 12 || tag == 13);
        assert_eq!(Row::is_in_backup(&row.key), tag != 12);
    }
    let (with, _) = Node::restore(rows()).unwrap();
    let (without, _) = Node::restore(rows().into_iter().filter(|row| !row.is_cold())).unwrap();
    assert!(with == without);
}

#[test]
fn a_pod_is_not_made_from_rows_that_do_not_belong_together() {
    let rows = rows();
    let without = |kind: u8| Node::restore(rows.iter().filter(|row| row.key[0] != kind).cloned());
    assert!(without(0).unwrap_err().to_string().contains("pod init"));
    let orphan = without(6).unwrap_err().to_string();
    assert!(orphan.contains("is missing"), "{orphan}");
    assert!(without(7).is_err(), "an account without its ledger");
    assert!(Node::restore([]).is_err());
    let mut mixed = rows.clone();
    mixed.iter_mut().filter(|row| matches!(row.key[0], 6 | 7)).for_each(|row| row.key[1] ^= 1);
    assert!(Node::restore(mixed).is_err(), "an account under a name that is not its own");
}

fn bytes(below: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..below)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_row_or_refused(key in bytes(70), value in bytes(300)) {
        take_any(&key, &value);
    }

    #[test]
    fn any_bytes_of_the_messenger_are_a_row_or_refused(name in bytes(70), value in bytes(300)) {
        let row = messenger_row(&name, &value);
        prop_assert_eq!(&row.key[1..], &name[..]);
        take_any(&row.key, &value);
    }

    #[test]
    fn any_bytes_behind_a_row_key_are_a_row_or_refused(
        kind in 0_u8..15,
        name in bytes(40),
        value in bytes(300),
    ) {
        take_any(&[&[kind], &name[..]].concat(), &[&[1], &value[..]].concat());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn one_changed_byte_gives_a_row_or_a_refusal_and_never_a_crash(seed in any::<u64>()) {
        change_a_byte_of_each(seed);
    }
}

/// A number that is none (NaN) stood in a row after the change.
#[test]
fn a_changed_byte_that_made_a_number_none() {
    change_a_byte_of_each(12_288_703_184_313_388_129);
}

/// Changes 16 single bytes of each row, chosen by `seed`.
fn change_a_byte_of_each(mut seed: u64) {
    for row in &rows() {
        let (key, mut value) = (row.key.clone(), row.value.clone().unwrap());
        for _ in 0..16 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if value.is_empty() {
                break;
            }
            let place = (seed >> 33) as usize % value.len();
            let was = value[place];
            value[place] ^= (seed >> 20) as u8;
            take_any(&key, &value);
            value[place] = was;
        }
    }
}

/// A row that is read is written so that it reads the same; a pod made from it alone is refused in words.
fn take_any(key: &[u8], value: &[u8]) {
    match rewrite(key, value) {
        Ok(row) => {
            assert_eq!(row.key, key);
            assert_eq!(row.rewritten().unwrap(), row);
            let _ = Node::restore([row]);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
