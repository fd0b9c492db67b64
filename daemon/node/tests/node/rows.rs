//! Rows: every kind comes back as it was written, and bytes that are no row are refused in words.
//!
//! Rows of the wallet and of the messenger are opaque to the node: their bytes are refused by those who own them.

use std::collections::BTreeSet;

use autonomy_api::{AccountKind, BeginAccount};
use autonomy_messaging::{Access, SigningKey};
use autonomy_node::{Command, Node, Row};
use proptest::prelude::*;

use crate::world::World;

/// The rows of a pod that has some of everything.
fn rows() -> Vec<Row> {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let newcomer = world.newcomer(&SigningKey::from_bytes(&[20; 32]), Access::Limited);
    world.device_asks(Command::AddDevice(newcomer)).unwrap();
    world.draft(&account, 20_000).unwrap();
    let body = BeginAccount { name: "second".into(), kind: AccountKind::TwoOfThreeOrRecovery };
    let caller = world.device.caller();
    world.ask_with_key(caller, Some("k"), Command::BeginAccount(body)).unwrap();
    let rows = world.rows.iter().map(|(key, value)| Row::decode(key, value).unwrap());
    rows.chain(mail()).collect()
}

/// Rows of a messenger, of each kind.
fn mail() -> [Row; 3] {
    let (name, value) = (b"name".to_vec(), Some(b"value".to_vec()));
    [
        Row::Mail(name.clone(), value.clone()),
        Row::Ratchet(name.clone(), value.clone()),
        Row::Letter(name, value),
    ]
}

fn is_opaque(row: &Row) -> bool {
    matches!(row, Row::Ledger(..) | Row::Mail(..) | Row::Ratchet(..) | Row::Letter(..))
}

#[test]
fn every_kind_of_row_comes_back_as_it_was_written() {
    let rows = rows();
    let kinds: BTreeSet<u8> = rows.iter().map(|row| row.encode().0[0]).collect();
    assert_eq!(kinds, (0..=13).collect(), "a pod with some of everything");
    for row in &rows {
        let (key, value) = row.encode();
        assert_eq!(Row::decode(&key, &value.unwrap()).unwrap(), *row);
    }
}

#[test]
fn a_row_of_another_version_or_with_something_behind_it_is_refused() {
    for row in rows().iter().filter(|row| !is_opaque(row)) {
        let (key, value) = row.encode();
        let value = value.unwrap();
        let newer = [&[2], &value[1..]].concat();
        let error = Row::decode(&key, &newer).unwrap_err().to_string();
        assert!(error.contains("version 2"), "{error}");
        let longer = [&value[..], &[0]].concat();
        assert!(Row::decode(&key, &longer).is_err(), "{row:?}");
        for length in [0, 1, value.len() / 2, value.len() - 1] {
            let error = Row::decode(&key, &value[..length]).unwrap_err();
            assert_eq!(error.tag, key[0]);
        }
        assert!(Row::decode(&[&key[..], &[0]].concat(), &value).is_err() || key.len() == 1, "{row:?}");
    }
    assert!(Row::decode(&[], &[1]).is_err());
    assert!(Row::decode(&[200], &[1]).unwrap_err().to_string().contains("newer version"));
}

#[test]
fn a_row_of_which_there_is_one_has_no_name() {
    let error = Row::decode(&[3, 0], &[1, 64]).unwrap_err();
    assert_eq!(error.tag, 3);
    assert!(error.to_string().contains("it has a name"), "{error}");
}

#[test]
fn cold_rows_are_known_by_their_keys_and_are_not_held() {
    for row in rows() {
        let (key, _) = row.encode();
        assert_eq!(Row::is_cold_key(&key), row.is_cold());
        assert_eq!(row.is_cold(), matches!(row, Row::Ratchet(..) | Row::Letter(..)));
        assert_eq!(Row::is_in_backup(&key), !matches!(row, Row::Ratchet(..)));
    }
    let readable = |row: &Row| !matches!(row, Row::Mail(..));
    let rows = rows().into_iter().filter(readable);
    let (with, _) = Node::restore(rows.clone()).unwrap();
    let (without, _) = Node::restore(rows.filter(|row| !row.is_cold())).unwrap();
    assert!(with == without);
}

#[test]
fn a_removed_row_of_the_messenger_keeps_its_key() {
    for row in mail() {
        let key = row.encode().0;
        let removed = match row {
            Row::Mail(name, _) => Row::Mail(name, None),
            Row::Ratchet(name, _) => Row::Ratchet(name, None),
            Row::Letter(name, _) => Row::Letter(name, None),
            other => panic!("{other:?}"),
        };
        assert_eq!(removed.encode(), (key, None));
    }
}

#[test]
fn a_pod_is_not_made_from_rows_that_do_not_belong_together() {
    let rows = rows();
    let without = |kind: u8| Node::restore(rows.iter().filter(|row| row.encode().0[0] != kind).cloned());
    assert!(without(0).unwrap_err().to_string().contains("pod init"));
    let orphan = without(6).unwrap_err().to_string();
    assert!(orphan.contains("is missing"), "{orphan}");
    assert!(without(7).is_err(), "an account without its ledger");
    assert!(Node::restore([]).is_err());
    let mut mixed = rows.clone();
    let ids: Vec<_> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Account(id, _) => Some(*id),
            _ => None,
        })
        .collect();
    mixed.iter_mut().for_each(|row| {
        if let Row::Account(id, _) | Row::Ledger(id, ..) = row {
            let mut bytes = ids[0].to_bytes();
            bytes[0] ^= 1;
            *id = autonomy_node::AccountId::from_bytes(bytes);
        }
    });
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
    fn a_row_of_the_messenger_comes_back_as_it_was_written(name in bytes(70), value in bytes(300)) {
        for row in [
            Row::Mail(name.clone(), Some(value.clone())),
            Row::Ratchet(name.clone(), Some(value.clone())),
            Row::Letter(name.clone(), Some(value.clone())),
        ] {
            let (key, bytes) = row.encode();
            prop_assert_eq!(Row::decode(&key, &bytes.unwrap()).unwrap(), row);
        }
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
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

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

/// Changes 64 single bytes of each row, chosen by `seed`.
fn change_a_byte_of_each(mut seed: u64) {
    for row in &rows() {
        let (key, value) = row.encode();
        let mut value = value.unwrap();
        for _ in 0..64 {
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

/// A row that is taken says itself again; a pod made from it alone is refused in words.
fn take_any(key: &[u8], value: &[u8]) {
    match Row::decode(key, value) {
        Ok(row) => {
            let (again, text) = row.encode();
            assert_eq!(again, key);
            let again = Row::decode(&again, &text.unwrap()).unwrap();
            // By its text: a number that is none equals nothing.
            assert_eq!(format!("{again:?}"), format!("{row:?}"));
            let _ = Node::restore([row]);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
