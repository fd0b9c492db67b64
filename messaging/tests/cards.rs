//! A card says who somebody's pod is and where it is reached; it convinces whoever pinned the root, and cannot be bent.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use autonomy_messaging::card::{
    BadCard, Card, CardError, CardPlace, MAX_CARD, MAX_PLACES, MalformedCard, UnverifiedCard, WrongPodKey,
};
use autonomy_messaging::ratchet::MAX_KEY_PACKAGE;
use autonomy_messaging::{
    Access, Certificate, CertificateError, CertificateRole, MAX_NAME_LEN, MalformedCertificate, RootPublic,
    Validity,
};
use proptest::prelude::*;
use support::wire::{address, card, card_places, pod_certificate};
use support::{NOW, YEAR, key, name, person, public};

fn root(byte: u8) -> RootPublic {
    person(byte).root_key().public()
}

fn signed() -> Vec<u8> {
    card().sign(&key(20)).unwrap().into_bytes()
}

fn with_places(places: Vec<CardPlace>) -> Result<Card, BadCard> {
    Card::new(3, name("Alice"), pod_certificate(), public(50), places, vec![9; 100])
}

#[test]
fn card_written_and_read_verifies() {
    let came = UnverifiedCard::parse(&signed()).unwrap();
    assert_eq!(came.claimed_root(), root(1));
    let came = came.verify(&root(1), NOW).unwrap();
    assert_eq!(came, card());
    assert_eq!((came.version(), came.name().as_str(), came.root()), (3, "Alice", root(1)));
    assert_eq!((came.leaf_key(), came.certificate().subject()), (public(50), public(20)));
    assert_eq!((came.places(), came.key_package()), (card_places(2).as_slice(), [9; 100].as_slice()));
}

#[test]
fn the_longest_card_is_as_long_as_it_may_be() {
    let name = name(&"n".repeat(MAX_NAME_LEN));
    let places = card_places(MAX_PLACES);
    let full = Card::new(u32::MAX, name, pod_certificate(), public(50), places, vec![9; MAX_KEY_PACKAGE]);
    let bytes = full.unwrap().sign(&key(20)).unwrap().into_bytes();
    assert_eq!(bytes.len(), MAX_CARD);
    assert!(UnverifiedCard::parse(&bytes).unwrap().verify(&root(1), NOW).is_ok());
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(UnverifiedCard::parse(&longer).unwrap_err(), MalformedCard::Length(MAX_CARD + 1));
}

#[test]
fn a_card_has_places_and_none_twice() {
    let own = |mut place: CardPlace, own| {
        place.own = own;
        place
    };
    let [first, second] = card_places(2).try_into().unwrap();
    assert_eq!(with_places(vec![]).unwrap_err(), BadCard::Places(0));
    assert_eq!(with_places(card_places(9)).unwrap_err(), BadCard::Places(9));
    let twice = vec![first.clone(), second.clone(), own(first.clone(), false)];
    assert_eq!(with_places(twice).unwrap_err(), BadCard::Repeated(2));
    assert_eq!(with_places(vec![second.clone(), first]).unwrap_err(), BadCard::OwnPlace(1));
    assert!(with_places(vec![own(second, false)]).is_ok(), "who lives behind relays only has no own place");
}

#[test]
fn a_card_is_of_a_pod_and_signed_by_that_pod() {
    assert_eq!(card().sign(&key(21)).unwrap_err(), WrongPodKey);
    let device = CertificateRole::Device { access: Access::Full };
    let device = person(1).root_key().certify(device, &public(20), 1, Validity::lasting(NOW, YEAR));
    let made = Card::new(3, name("Alice"), device, public(50), card_places(1), vec![9]);
    assert_eq!(made.unwrap_err(), BadCard::NotAPod);
    for len in [0, MAX_KEY_PACKAGE + 1] {
        let made = Card::new(3, name("Alice"), pod_certificate(), public(50), card_places(1), vec![9; len]);
        assert_eq!(made.unwrap_err(), BadCard::KeyPackage(len));
    }
}

#[test]
fn card_is_refused_when_expired_or_of_another_root() {
    let verify =
        |root: &RootPublic, now| UnverifiedCard::parse(&signed()).unwrap().verify(root, now).unwrap_err();
    let stranger = CertificateError::WrongRoot { expected: root(2), found: root(1) };
    assert_eq!(verify(&root(2), NOW), CardError::Certificate(stranger));
    let over = CertificateError::Expired { not_after: NOW + YEAR, now: NOW + YEAR + 1 };
    assert_eq!(verify(&root(1), NOW + YEAR + 1), CardError::Certificate(over));
}

/// The root replaced a lost pod; whoever found it makes a card of its own, which is still well signed.
#[test]
fn a_card_of_a_replaced_pod_is_older_than_the_one_known() {
    let newer =
        person(1).root_key().certify(CertificateRole::Pod, &public(21), 2, Validity::lasting(NOW, YEAR));
    let of = |certificate: Certificate, pod| {
        let card = Card::new(9, name("Alice"), certificate, public(50), card_places(1), vec![9]).unwrap();
        let bytes = card.sign(&key(pod)).unwrap().into_bytes();
        UnverifiedCard::parse(&bytes).unwrap().verify(&root(1), NOW).unwrap()
    };
    let (known, found) = (of(newer, 21), of(pod_certificate(), 20));
    let older = CertificateError::OlderEpoch { pinned: 2, found: 1 };
    assert_eq!(found.certificate().replaces(known.certificate()).unwrap_err(), older);
    assert!(known.certificate().replaces(found.certificate()).is_ok());
}

#[test]
fn malformed_cards_say_what_is_wrong() {
    let good = signed();
    let with = |at: usize, new: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + new.len()].copy_from_slice(new);
        UnverifiedCard::parse(&bytes).unwrap_err()
    };
    assert_eq!(with(0, b"x"), MalformedCard::NotACard);
    assert_eq!(with(4, &[2]), MalformedCard::Format(2));
    assert_eq!(with(9, b"x"), MalformedCard::Certificate(MalformedCertificate::NotACertificate));
    assert_eq!(with(9 + 158, &[0; 32]), MalformedCard::Field);
    assert_eq!(with(9 + 158 + 32 + 1, b"\n"), MalformedCard::Field);
    let places = 9 + 158 + 32 + 1 + 5;
    assert_eq!(with(places, &[0]), MalformedCard::Field);
    assert_eq!(with(places, &[9]), MalformedCard::Field);
    assert_eq!(with(places + 1, &[2]), MalformedCard::Field);
    // The second place flagged as the own pod; the second queue as the first.
    assert_eq!(with(places + 1 + 129, &[1]), MalformedCard::Content(BadCard::OwnPlace(1)));
    let queue = address(60).queue;
    assert_eq!(with(places + 1 + 129 + 65, queue.as_bytes()), MalformedCard::Content(BadCard::Repeated(1)));
    for len in 0..good.len() {
        assert!(UnverifiedCard::parse(&good[..len]).is_err(), "{len}");
    }
    assert_eq!(UnverifiedCard::parse(&[good.as_slice(), &[0]].concat()).unwrap_err(), MalformedCard::Field);
}

#[test]
fn every_single_flipped_bit_is_refused() {
    let good = signed();
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let taken = UnverifiedCard::parse(&bytes).is_ok_and(|card| card.verify(&root(1), NOW).is_ok());
        assert!(!taken, "bit {bit} was flipped and nobody saw it");
    }
}

#[test]
fn the_rights_in_a_card_are_not_printed() {
    let unverified = UnverifiedCard::parse(&signed()).unwrap();
    let shown = format!("{:?} {unverified:?} {:?}", card(), card().sign(&key(20)).unwrap());
    assert!(!shown.contains("60, 60"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_card_reads_as_it_was_written(version: u32, places in 1usize..=MAX_PLACES, leaf in 1u8.., package in proptest::collection::vec(any::<u8>(), 1..400)) {
        let card = Card::new(version, name("Zoë"), pod_certificate(), public(leaf), card_places(places), package).unwrap();
        let bytes = card.sign(&key(20)).unwrap().into_bytes();
        prop_assert_eq!(UnverifiedCard::parse(&bytes).unwrap().verify(&root(1), NOW).unwrap(), card);
    }

    #[test]
    fn a_changed_card_is_refused(at: prop::sample::Index, new in proptest::collection::vec(any::<u8>(), 1..40)) {
        let good = signed();
        let at = at.index(good.len() - new.len());
        let mut bytes = good.clone();
        bytes[at..at + new.len()].copy_from_slice(&new);
        let taken = UnverifiedCard::parse(&bytes).is_ok_and(|card| card.verify(&root(1), NOW).is_ok());
        prop_assert_eq!(taken, bytes == good);
    }
}
