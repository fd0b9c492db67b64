//! Shared accounts: m of n members with one key each, from the announced keys to the finished transaction.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use autonomy_wallet::account::{
    AccountError, AccountMap, Birthday, Keychain, MAX_KEYS, MAX_MAP_BYTES, MapKind, Member, MemberLabel,
};
use autonomy_wallet::bitcoin::{Psbt, Transaction};
use autonomy_wallet::check::{CheckRefusal, Unchecked};
use autonomy_wallet::keys::{AccountKey, KeyForm};
use common::{Members, NETWORK, SHOP, World, pay, sharer};

fn shared(threshold: u8, members: &[Member]) -> Result<AccountMap, AccountError> {
    let plan = common::plan(MapKind::Shared, threshold);
    AccountMap::rebuild(plan, members, members.first().unwrap_or(&sharer(0).0))
}

fn party(count: u8) -> (Vec<Member>, Vec<AccountKey>) {
    (0..count).map(sharer).unzip()
}

/// Each of these members approves on its own and signs; the first one collects.
fn signed(world: &World, draft: &Unchecked<Psbt>, keys: &[AccountKey]) -> Result<Transaction, CheckRefusal> {
    let mut all = keys.iter().map(|key| {
        let proposal = world.on_device(&draft.to_bytes(), None).unwrap();
        let digest = proposal.summary().digest();
        proposal.approve(&digest).unwrap().sign(key).unwrap()
    });
    let mut first = all.next().unwrap();
    for other in all {
        first.merge(&Unchecked::from_bytes(&other.to_bytes())?)?;
    }
    assert_eq!(first.signers().len(), keys.len());
    first.finalise()
}

#[test]
fn m_of_n_members_pay_and_one_fewer_does_not() {
    for (threshold, count) in [(1, 2), (2, 2), (2, 3), (3, 5), (1, MAX_KEYS), (MAX_KEYS, MAX_KEYS)] {
        let (members, keys) = party(count as u8);
        let map = shared(threshold as u8, &members).unwrap();
        let mut world = World::of_map(map).with_coins(&[50_000_000, 30_000_000]);
        let draft = world.draft(&pay(SHOP, 60_000_000));
        let tx = signed(&world, &draft, &keys[count - threshold..]).unwrap();
        assert_eq!(tx.input.len(), 2);
        if threshold > 1 {
            let (found, needed) = (threshold - 1, threshold);
            let refusal = signed(&world, &draft, &keys[..found]).unwrap_err();
            assert_eq!(refusal, CheckRefusal::MissingSignatures { input: 0, found, needed });
        }
    }
}

#[test]
fn member_that_signs_again_counts_once() {
    let (members, keys) = party(3);
    let map = shared(2, &members).unwrap();
    let mut world = World::of_map(map).with_coins(&[50_000_000]);
    let draft = world.draft(&pay(SHOP, 1_000_000));
    let sign = |bytes: &[u8]| {
        let proposal = world.on_device(bytes, None).unwrap();
        let digest = proposal.summary().digest();
        proposal.approve(&digest).unwrap().sign(&keys[0]).unwrap()
    };
    let mut signed = sign(&sign(&draft.to_bytes()).to_bytes());
    signed.merge(&Unchecked::from_bytes(&sign(&draft.to_bytes()).to_bytes()).unwrap()).unwrap();
    assert_eq!(signed.signers(), [members[0].label.clone()]);
    assert!(!signed.is_complete());
    let refusal = signed.finalise().unwrap_err();
    assert_eq!(refusal, CheckRefusal::MissingSignatures { input: 0, found: 1, needed: 2 });
}

#[test]
fn key_outside_the_account_does_not_sign() {
    let (members, _) = party(3);
    let mut world = World::of_map(shared(2, &members).unwrap()).with_coins(&[50_000_000]);
    let draft = world.draft(&pay(SHOP, 1_000_000));
    let (_, stranger) = sharer(9);
    // The seed of a member at another account index is a stranger too.
    for key in [stranger, common::seed_key(100, 5)] {
        let proposal = world.on_device(&draft.to_bytes(), None).unwrap();
        let digest = proposal.summary().digest();
        let refusal = proposal.approve(&digest).unwrap().sign(&key).unwrap_err();
        assert_eq!(refusal, CheckRefusal::NotAMember(key.public().fingerprint()));
    }
}

#[test]
fn weight_shown_is_never_below_the_real_weight() {
    for (threshold, count) in [(1, 2), (3, 5), (MAX_KEYS, MAX_KEYS)] {
        let (members, keys) = party(count as u8);
        let map = shared(threshold as u8, &members).unwrap();
        let mut world = World::of_map(map).with_coins(&[50_000_000, 30_000_000]);
        let draft = world.draft(&pay(SHOP, 60_000_000));
        let shown = world.on_pod(&draft.to_bytes(), None).unwrap().summary().weight;
        let real = signed(&world, &draft, &keys[..threshold]).unwrap().weight();
        // Signatures of 71 or 72 bytes are counted as 73, in each of two inputs.
        let slack = 2 * 3 * threshold as u64;
        assert!(real <= shown && shown.to_wu() - real.to_wu() <= slack, "{real} of {shown}");
    }
}

#[test]
fn order_of_members_does_not_change_the_descriptor() {
    let (mut members, _) = party(5);
    let map = shared(3, &members).unwrap();
    members.reverse();
    members.swap(1, 3);
    let again = shared(3, &members).unwrap();
    assert_eq!((again.descriptor(), again.id()), (map.descriptor(), map.id()));
    assert_eq!(again, map);
    for member in &members {
        map.check_own(member).unwrap();
        assert_eq!(map.key(&member.label), member.key());
    }
}

#[test]
fn threshold_and_member_count_have_bounds() {
    let (members, _) = party(MAX_KEYS as u8 + 1);
    for threshold in [0, 4, u8::MAX] {
        let expected = AccountError::Threshold { found: threshold, least: 1, most: 3 };
        assert_eq!(shared(threshold, &members[..3]), Err(expected));
    }
    for found in [0, 1, MAX_KEYS + 1] {
        let expected = AccountError::Members { found, least: 2, most: MAX_KEYS };
        assert_eq!(shared(1, &members[..found]), Err(expected));
    }
}

#[test]
fn shared_account_refuses_foreign_members() {
    let (members, _) = party(3);
    let (stranger, _) = sharer(9);
    let missing = AccountMap::rebuild(common::plan(MapKind::Shared, 2), &members, &stranger);
    assert_eq!(missing, Err(AccountError::OwnKeyMissing(stranger.label.clone())));

    let twin = Member { label: members[0].label.clone(), ..stranger.clone() };
    let expected = AccountError::Label { label: twin.label.clone(), count: 2 };
    assert_eq!(shared(2, &[members[0].clone(), twin]), Err(expected));

    let again = Member { label: stranger.label.clone(), ..members[0].clone() };
    let expected = AccountError::DuplicateKey(members[0].label.clone(), again.label.clone());
    let error = shared(2, &[members[0].clone(), again]).unwrap_err();
    assert_eq!(error, expected);

    let [p, r, _] = Members::new(1).announced();
    let error = shared(2, &[members[0].clone(), p]).unwrap_err();
    assert_eq!(error, AccountError::UnexpectedLabel(MemberLabel::P));
    let split = Member { label: stranger.label.clone(), ..r };
    let error = shared(2, &[members[0].clone(), split]).unwrap_err();
    assert_eq!(error, AccountError::KeyForm { member: stranger.label, expected: KeyForm::Bip48 });
}

/// The same seed at two account indices is one holder, whose two signatures would be worth two members.
#[test]
fn one_seed_at_two_account_indices_is_refused() {
    let (member, _) = sharer(1);
    let label = MemberLabel::new("other").unwrap();
    let twin = Member::new(label.clone(), *common::seed_key(101, 77).public());
    let error = shared(2, &[member.clone(), twin]).unwrap_err();
    assert!(matches!(error, AccountError::DuplicateKey(..)), "{error}");
}

#[test]
fn descriptor_of_a_shared_account_is_read_back() {
    let (members, _) = party(5);
    let map = shared(3, &members).unwrap();
    let birthday = Birthday { height: 0, time: 0 };
    let read = AccountMap::from_descriptor(map.descriptor(), "ours", NETWORK, birthday).unwrap();
    assert_eq!((read.id(), read.kind(), read.threshold()), (map.id(), MapKind::Shared, 3));
    for (member, key) in read.members().iter().zip(map.keys()) {
        assert_eq!(member.label.as_str(), key.fingerprint().to_string());
    }
    // The announced form of two addresses of Bitcoin Core: both keychains, every key.
    let import = map.core_import().to_string();
    assert_eq!(import.matches("tpub").count(), 2 * members.len());
    assert!(map.address(Keychain::Internal, 3).is_ok());
}

#[test]
fn longest_shared_map_fits_the_limit() {
    let label = |number: usize| MemberLabel::new(format!("{:\"<31}{}", "", (b'a' + number as u8) as char));
    let members: Vec<_> = (0..MAX_KEYS)
        .map(|number| {
            let key = common::seed_key(100 + number as u8, (1 << 31) - 1);
            Member::new(label(number).unwrap(), *key.public())
        })
        .collect();
    let mut plan = common::plan(MapKind::Shared, MAX_KEYS as u8);
    plan.name = "\\".repeat(64);
    plan.birthday = Birthday { height: u32::MAX, time: u64::MAX };
    let map = AccountMap::rebuild(plan, &members, &members[0]).unwrap();
    let bytes = map.to_bytes();
    assert!((MAX_MAP_BYTES - 500..=MAX_MAP_BYTES).contains(&bytes.len()), "{} bytes", bytes.len());
    assert_eq!(AccountMap::from_bytes(&bytes).unwrap(), map);
}

#[test]
fn labels_are_one_short_line() {
    for text in ["", "a\nb", &"x".repeat(33)] {
        assert!(MemberLabel::new(text).is_err());
        assert!(serde_json::from_value::<MemberLabel>(text.into()).is_err());
    }
    assert_eq!(MemberLabel::new("P").unwrap(), MemberLabel::P);
}
