//! What a network might try, or a contact with another program.

use autonomy_messaging::ratchet::{
    JoinError, KeyPackageError, MAX_COMMIT, OpenError, PeerKeyPackage, Sealed, Session,
};
use ed25519_dalek::SigningKey;
use openmls::group::PURE_PLAINTEXT_WIRE_FORMAT_POLICY;
use openmls::prelude::tls_codec::Serialize as _;
use openmls::prelude::{Ciphersuite, KeyPackage, LeafNodeParameters, NewSignerBundle, WireFormatPolicy};
use openmls_libcrux_crypto::Provider;
use proptest::prelude::*;

use super::raw::{PSK_ID, Raw, RawSigner, SUITE};
use super::{Side, key_package, pair, psk};

/// A session with such a contact, whose turn it is.
fn with_raw() -> (Raw, Side) {
    let own = key_package(1);
    let mut raw = Raw::new(WireFormatPolicy::default());
    let proposal = raw.psk(PSK_ID, &psk(1));
    let welcome = raw.add(&[&own], vec![proposal]);
    let joined = Session::join(&own, &welcome, &psk(1)).expect("so far it keeps to the rules");
    let mut side = Side::new(own, joined, 2);
    let hello = side.seal(b"hello");
    raw.take_commit(&hello);
    (raw, side)
}

/// Holds that `sealed` is refused so, and that nothing is different afterwards.
fn assert_refused(side: &mut Side, sealed: &Sealed, expected: OpenError) {
    side.store();
    let before = side.stored();
    assert_eq!(side.open(sealed), Err(expected));
    assert!(side.session == before, "what is refused changes nothing");
    assert_eq!(side.store(), 0);
}

#[test]
fn other_program_with_the_same_rules_interoperates() {
    let (mut raw, mut side) = with_raw();
    let sealed = raw.commit(Vec::new());
    assert_eq!(side.open(&sealed).unwrap(), b"after");
    let answer = side.seal(b"answer");
    raw.take_commit(&answer);
}

#[test]
fn a_welcome_without_the_key_of_the_invite_is_refused() {
    let own = key_package(1);
    let welcome = Raw::new(WireFormatPolicy::default()).add(&[&own], Vec::new());
    assert_eq!(Session::join(&own, &welcome, &psk(1)).unwrap_err(), JoinError::WrongPsk);

    let mut raw = Raw::new(WireFormatPolicy::default());
    let other = raw.psk(b"another key", &psk(1));
    let welcome = raw.add(&[&own], vec![other]);
    assert_eq!(Session::join(&own, &welcome, &psk(1)).unwrap_err(), JoinError::WrongPsk);
}

#[test]
fn a_group_of_another_kind_is_refused() {
    let own = key_package(1);
    let mut raw = Raw::new(WireFormatPolicy::default());
    let proposal = raw.psk(PSK_ID, &psk(1));
    let crowd = raw.add(&[&own, &key_package(2)], vec![proposal]);
    // Too long already; were it shorter, its members would give it away.
    assert_eq!(Session::join(&own, &crowd, &psk(1)).unwrap_err(), JoinError::Length(crowd.len()));

    let mut raw = Raw::new(WireFormatPolicy::default());
    raw.commit(Vec::new());
    let proposal = raw.psk(PSK_ID, &psk(1));
    let late = raw.add(&[&own], vec![proposal]);
    assert_eq!(Session::join(&own, &late, &psk(1)).unwrap_err(), JoinError::OtherGroup);
}

#[test]
fn a_key_package_of_another_suite_is_refused() {
    let provider = Provider::new().unwrap();
    let signer = RawSigner(SigningKey::from_bytes(&[3; 32]));
    let classic = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;
    let bundle = KeyPackage::builder().build(classic, &provider, &signer, signer.credential(b"raw")).unwrap();
    let bytes = bundle.key_package().tls_serialize_detached().unwrap();
    assert_eq!(PeerKeyPackage::parse(&bytes).unwrap_err(), KeyPackageError::Suite);

    let bundle = KeyPackage::builder().build(SUITE, &provider, &signer, signer.credential(b"raw")).unwrap();
    let bytes = bundle.key_package().tls_serialize_detached().unwrap();
    assert!(matches!(PeerKeyPackage::parse(&bytes), Err(KeyPackageError::Malformed(_))));
}

#[test]
fn a_commit_out_of_turn_is_refused() {
    let own = key_package(1);
    let mut raw = Raw::new(WireFormatPolicy::default());
    let proposal = raw.psk(PSK_ID, &psk(1));
    let welcome = raw.add(&[&own], vec![proposal]);
    let joined = Session::join(&own, &welcome, &psk(1)).unwrap();
    let mut side = Side::new(own, joined, 2);
    let sealed = raw.commit(Vec::new());
    assert_refused(&mut side, &sealed, OpenError::Foreign);
    // The session goes on without it.
    assert!(side.session.is_our_turn());
    side.seal(b"on it goes");
}

type Trick<'a> = &'a dyn Fn(&mut Raw) -> Sealed;

#[test]
fn a_commit_that_does_more_than_renew_is_refused() {
    let third = key_package(3);
    let add = |raw: &mut Raw| raw.commit_adding(&third);
    let remove = |raw: &mut Raw| {
        let removed = raw.group.members().nth(1).unwrap().index;
        let bundle = raw.group.remove_members(&raw.provider, &raw.signer, &[removed]).unwrap();
        raw.after(bundle.0)
    };
    let another_psk = |raw: &mut Raw| {
        let proposal = raw.psk(PSK_ID, &psk(1));
        raw.commit(vec![proposal])
    };
    let another_key = |raw: &mut Raw| {
        let signer = RawSigner(SigningKey::from_bytes(&[4; 32]));
        let new = NewSignerBundle { signer: &signer, credential_with_key: signer.credential(b"raw") };
        let parameters = LeafNodeParameters::default();
        let bundle = raw.group.self_update_with_new_signer(&raw.provider, &raw.signer, new, parameters);
        let commit = bundle.unwrap().into_commit();
        raw.signer = signer;
        raw.after(commit)
    };
    let another_name = |raw: &mut Raw| {
        let parameters =
            LeafNodeParameters::builder().with_credential_with_key(raw.signer.credential(b"war")).build();
        let bundle = raw.group.self_update(&raw.provider, &raw.signer, parameters).unwrap();
        raw.after(bundle.into_commit())
    };
    let tricks: [(&str, Trick); 5] = [
        ("a third member", &add),
        ("removing us", &remove),
        ("another key of the invite", &another_psk),
        ("another signature key", &another_key),
        ("another name", &another_name),
    ];
    for (what, trick) in tricks {
        let (mut raw, mut side) = with_raw();
        let sealed = trick(&mut raw);
        assert!(sealed.commit.as_ref().unwrap().len() <= MAX_COMMIT, "{what} is not just too long");
        assert_refused(&mut side, &sealed, OpenError::Foreign);
    }
}

#[test]
fn what_is_not_an_encrypted_message_is_refused() {
    let (mut raw, mut side) = with_raw();
    let (proposal, _) =
        raw.group.propose_self_update(&raw.provider, &raw.signer, LeafNodeParameters::default()).unwrap();
    let proposal = Sealed { commit: None, message: proposal.to_bytes().unwrap() };
    assert_refused(&mut side, &proposal, OpenError::Malformed);

    let (mut raw, mut side) = with_raw();
    raw.group.set_aad(b"in clear".to_vec());
    let labelled = raw.group.create_message(&raw.provider, &raw.signer, b"text").unwrap();
    let labelled = Sealed { commit: None, message: labelled.to_bytes().unwrap() };
    assert_refused(&mut side, &labelled, OpenError::Malformed);

    let mut open = Raw::new(PURE_PLAINTEXT_WIRE_FORMAT_POLICY);
    let in_clear = open.commit(Vec::new());
    assert_refused(&mut side, &in_clear, OpenError::Malformed);
    let public = key_package(1).public().to_vec();
    assert_refused(&mut side, &Sealed { commit: None, message: public }, OpenError::Malformed);
}

#[test]
fn commit_and_message_of_different_epochs_are_refused() {
    let (mut creator, mut joiner) = pair(1);
    let first = joiner.seal(b"1");
    creator.open(&first).unwrap();
    let second = creator.seal(b"2");
    let mixed = Sealed { commit: first.commit.clone(), message: second.message.clone() };
    assert_refused(&mut joiner, &mixed, OpenError::Malformed);
    let swapped = Sealed { commit: Some(second.message.clone()), message: second.commit.clone().unwrap() };
    assert_refused(&mut joiner, &swapped, OpenError::Malformed);
    joiner.open(&second).unwrap();
}

#[test]
fn a_message_of_another_session_is_foreign() {
    let (mut creator, _) = pair(1);
    let (_, mut stranger) = pair(9);
    assert_refused(&mut creator, &stranger.seal(b"hello"), OpenError::Foreign);
}

#[test]
fn tampered_invite_traffic_is_refused_and_changes_nothing() {
    let (mut creator, mut joiner) = pair(1);
    let first = joiner.seal(b"one");
    let commit = first.commit.clone().unwrap();
    creator.store();
    let before = creator.stored();
    for at in (0..commit.len()).step_by(83) {
        let mut changed = commit.clone();
        changed[at] ^= 0x10;
        assert!(creator.session.open(Some(&changed), &first.message).is_err(), "byte {at} of the commit");
        assert!(creator.session.open(Some(&commit[..at]), &first.message).is_err(), "{at} bytes");
        assert!(creator.session == before);
    }
    for at in 0..first.message.len() {
        let mut changed = first.message.clone();
        changed[at] ^= 0x10;
        assert!(creator.session.open(Some(&commit), &changed).is_err(), "byte {at} of the message");
        assert!(creator.session.open(Some(&commit), &first.message[..at]).is_err(), "{at} bytes");
    }
    assert!(creator.session == before, "not even the commit counts without its message");
    assert_eq!(creator.store(), 0);
    assert_eq!(creator.open(&first).unwrap(), b"one", "and the true one still opens");
}

#[test]
fn what_is_too_long_is_not_even_read() {
    let (mut creator, mut joiner) = pair(1);
    let sealed = joiner.seal(b"one");
    let long = Sealed { commit: Some(vec![0; 1 << 20]), message: sealed.message.clone() };
    assert_refused(&mut creator, &long, OpenError::Malformed);
    let long = Sealed { commit: sealed.commit.clone(), message: vec![0; 1 << 20] };
    assert_refused(&mut creator, &long, OpenError::Malformed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_bytes_are_a_message_by_chance(
        commit in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
        message in prop::collection::vec(any::<u8>(), 0..200),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut creator, mut joiner) = pair(1);
        creator.store();
        let true_one = joiner.seal(b"true");
        prop_assert!(creator.session.open(commit.as_deref(), &message).is_err());
        // The beginning of a true one, and then anything.
        let head = &true_one.message[..cut.index(true_one.message.len())];
        let spliced = [head, message.as_slice()].concat();
        prop_assert!(creator.session.open(true_one.commit.as_deref(), &spliced).is_err());
        prop_assert_eq!(creator.store(), 0);
        creator.open(&true_one).unwrap();
    }
}
