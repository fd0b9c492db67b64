//! Two persons compare a number; it is the same for both, and for nobody else.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use autonomy_messaging::safety::{Comparison, SafetyNumber};
use autonomy_messaging::{RootPublic, TextError, TextKind};
use proptest::prelude::*;
use support::{armour, person, unarmour};

fn root(byte: u8) -> RootPublic {
    person(byte).root_key().public()
}

fn alice_and_bob() -> SafetyNumber {
    SafetyNumber::between(&root(1), &root(2))
}

#[test]
fn both_see_the_same_number() {
    let (at_alice, at_bob) = (alice_and_bob(), SafetyNumber::between(&root(2), &root(1)));
    assert_eq!(at_alice, at_bob);
    assert_eq!(at_alice.to_string(), at_bob.to_string());
    assert_eq!(at_alice.words(), at_bob.words());
    assert_eq!(at_alice.compare(&at_bob.to_text()).unwrap(), Comparison::Same);
    assert_eq!(at_alice.compare(&at_bob.to_text().to_ascii_uppercase()).unwrap(), Comparison::Same);
}

/// Values computed outside of this project (Python's hashlib and the list of BIP-39): people have written them down.
#[test]
fn a_number_never_changes() {
    assert_eq!(
        alice_and_bob().to_string(),
        "17483 02807 05924 36577 30427 09343 96904 83811 51758 72970 91396 43595"
    );
    assert_eq!(
        alice_and_bob().words().join(" "),
        "exercise pave drum strong this virtual short upset venture jungle harvest people express woman goat advice globe glimpse"
    );
}

#[test]
fn a_number_is_sixty_digits_and_eighteen_words() {
    let number = alice_and_bob();
    assert!(
        number.groups().iter().all(|group| group.len() == 5 && group.bytes().all(|c| c.is_ascii_digit()))
    );
    assert_eq!(number.to_string().len(), 12 * 5 + 11);
    assert!(number.words().iter().all(|word| (3..=8).contains(&word.len())));
}

#[test]
fn person_in_between_changes_the_safety_number() {
    // Mallory shows each of them a root of her own.
    let (at_alice, at_bob) =
        (SafetyNumber::between(&root(1), &root(66)), SafetyNumber::between(&root(66), &root(2)));
    assert_ne!(at_alice.groups(), at_bob.groups());
    assert_ne!(at_alice.words(), at_bob.words());
    assert_eq!(at_alice.compare(&at_bob.to_text()).unwrap(), Comparison::Different);
}

#[test]
fn a_text_that_is_no_number_says_nothing_about_the_contact() {
    let number = alice_and_bob();
    let expected = TextKind::SafetyNumber;
    assert_eq!(number.compare("12345").unwrap_err(), TextError::Unknown { expected });
    let body = unarmour(&number.to_text());
    for other in
        [vec![], vec![1], [&[2], &body[1..]].concat(), [body.as_slice(), &[0]].concat(), body[..64].to_vec()]
    {
        assert!(number.compare(&armour("autonomy-safety", &other)).is_err());
    }
    let mut text = number.to_text();
    text.pop();
    assert_eq!(number.compare(&text).unwrap_err(), TextError::Checksum { expected });
    assert!(number.to_text().len() <= 154, "a QR code of version 5");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn other_persons_have_another_number(one in 1u8.., other in 1u8.., third in 1u8..) {
        prop_assume!(third != one && third != other);
        let number = SafetyNumber::between(&root(one), &root(other));
        prop_assert_ne!(number.groups(), SafetyNumber::between(&root(one), &root(third)).groups());
    }
}
