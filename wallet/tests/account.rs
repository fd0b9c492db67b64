//! Account maps: what members refuse when they rebuild one, and what a file may not contain.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use autonomy_wallet::account::{
    AccountError, AccountMap, Birthday, Keychain, MAX_MAP_BYTES, MapBytesError, MapKind, Member, MemberKeys,
    MemberLabel, Plan,
};
use autonomy_wallet::bitcoin::Network;
use autonomy_wallet::bitcoin::bip32::{ChildNumber, Xpub};
use autonomy_wallet::bitcoin::secp256k1::Secp256k1;
use autonomy_wallet::keys::{KeyError, KeyForm, MemberKey};
use common::{Members, NETWORK, seed_key};

const LOCKED: MapKind = MapKind::PersonalOrRecovery { blocks: 52_560 };

fn plan() -> Plan {
    common::plan(MapKind::Personal, 2)
}

fn rebuild(plan: Plan, announced: &[Member]) -> Result<AccountMap, AccountError> {
    AccountMap::rebuild(plan, announced, &Members::new(1).announced()[0])
}

fn gordian(key: MemberKey) -> Member {
    Member::new(MemberLabel::G, key)
}

#[test]
fn members_rebuild_the_same_map_in_any_order() {
    let [p, r, g] = Members::new(1).announced();
    let device = AccountMap::rebuild(plan(), &[p.clone(), r.clone(), g.clone()], &p).unwrap();
    let pod = AccountMap::rebuild(plan(), &[g.clone(), p, r], &g).unwrap();
    assert_eq!(device, pod);
    device.confirm(&pod.confirmation()).unwrap();
    assert_eq!(device.confirmation().first_address, pod.first_address().to_string());
}

#[test]
fn replaced_key_is_noticed_by_every_honest_member() {
    let [p, r, g] = Members::new(1).announced();
    let mallory = gordian(*Members::new(60).g.public());
    // The pod's key was replaced on the way to the device. The pod finds itself missing ...
    let forged = [p.clone(), r.clone(), mallory];
    let missing = |label| Err(AccountError::OwnKeyMissing(label));
    assert_eq!(AccountMap::rebuild(plan(), &forged, &g), missing(MemberLabel::G));
    // ... and the device, which cannot know, comes to another first address.
    let device = AccountMap::rebuild(plan(), &forged, &p).unwrap();
    let pod = AccountMap::rebuild(plan(), &[p, r, g.clone()], &g).unwrap();
    let error = device.confirm(&pod.confirmation()).unwrap_err();
    assert!(matches!(error, AccountError::Disagreement { field: "first address", .. }), "{error}");
}

#[test]
fn own_key_under_another_label_counts_as_missing() {
    let [p, r, g] = Members::new(1).announced();
    let swapped = [Member { label: MemberLabel::G, ..p.clone() }, r, Member { label: MemberLabel::P, ..g }];
    assert_eq!(rebuild(plan(), &swapped), Err(AccountError::OwnKeyMissing(MemberLabel::P)));
}

#[test]
fn one_seed_may_not_be_two_members() {
    let [p, r, _] = Members::new(1).announced();
    // G from the seed of P.
    let g = gordian(*seed_key(1, 0).public());
    let twice = AccountError::DuplicateKey(MemberLabel::P, MemberLabel::G);
    assert_eq!(rebuild(plan(), &[p, r, g]), Err(twice));
}

#[test]
fn one_key_under_another_fingerprint_is_refused() {
    let [p, r, _] = Members::new(1).announced();
    let text = p.key().unwrap().to_string();
    let renamed = format!("[00000001{}", &text[9..]);
    let g = gordian(MemberKey::parse(&renamed).unwrap());
    let twice = AccountError::DuplicateKey(MemberLabel::P, MemberLabel::G);
    assert_eq!(rebuild(plan(), &[p, r, g]), Err(twice));
}

/// R's xpub is public to the members: whoever derives its first step and announces the result as a key of a
/// seed gives R two places in every script.
#[test]
fn key_derived_from_another_member_is_refused() {
    let [p, r, _] = Members::new(1).announced();
    let recovery = r.key().unwrap();
    let derived = recovery.xpub().derive_pub(&Secp256k1::new(), &recovery.steps()).unwrap();
    let disguised = Xpub { depth: 4, child_number: ChildNumber::Hardened { index: 2 }, ..derived };
    let key = MemberKey::new(KeyForm::Bip48, recovery.account(), [7; 4].into(), disguised).unwrap();
    let twice = AccountError::DuplicateKey(MemberLabel::R, MemberLabel::G);
    assert_eq!(rebuild(plan(), &[p, r, gordian(key)]), Err(twice));
}

#[test]
fn personal_account_takes_p_r_and_g_once_each() {
    let [p, r, g] = Members::new(1).announced();
    let refused = |announced: &[&Member]| {
        let announced: Vec<_> = announced.iter().map(|member| (*member).clone()).collect();
        rebuild(plan(), &announced).unwrap_err()
    };
    let counted = |label, count| AccountError::Label { label, count };
    assert_eq!(refused(&[&p, &r]), counted(MemberLabel::G, 0));
    assert_eq!(refused(&[&p, &r, &g, &g]), counted(MemberLabel::G, 2));
    assert_eq!(refused(&[]), counted(MemberLabel::P, 0));
    assert_eq!(refused(&[&r, &r, &r]), counted(MemberLabel::P, 0));
    let (stranger, _) = common::sharer(1);
    assert_eq!(refused(&[&p, &r, &g, &stranger]), AccountError::UnexpectedLabel(stranger.label.clone()));
}

#[test]
fn personal_account_checks_the_form_of_each_key() {
    let [p, r, g] = Members::new(1).announced();
    let relabel = |member: &Member, label: &MemberLabel| Member { label: label.clone(), ..member.clone() };
    let swapped = [relabel(&r, &MemberLabel::P), relabel(&p, &MemberLabel::R), g];
    let error = rebuild(plan(), &swapped).unwrap_err();
    assert_eq!(error, AccountError::KeyForm { member: MemberLabel::P, expected: KeyForm::Bip48 });
    assert_eq!(
        error.to_string(),
        "key P must have the form [fingerprint/48h/coin/accounth/2h]xpub in this kind of account"
    );
}

#[test]
fn person_as_member_is_refused_by_name() {
    let [p, r, g] = Members::new(1).announced();
    let keys = vec![*g.key().unwrap(), *seed_key(90, 0).public()];
    let person = Member { keys: MemberKeys::Person { threshold: 2, keys }, ..g };
    assert_eq!((person.keys().len(), person.threshold()), (2, 2));
    let json = serde_json::to_string(&person).unwrap();
    assert_eq!(serde_json::from_str::<Member>(&json).unwrap(), person);
    assert_eq!(rebuild(plan(), &[p, r, person]), Err(AccountError::PersonMember(MemberLabel::G)));
}

#[test]
fn another_threshold_network_or_account_is_refused() {
    let announced = Members::new(1).announced();
    for threshold in [0, 1, 3] {
        let error = rebuild(Plan { threshold, ..plan() }, &announced).unwrap_err();
        assert_eq!(error, AccountError::Threshold { found: threshold, least: 2, most: 2 });
    }
    let error = rebuild(Plan { network: Network::Bitcoin, ..plan() }, &announced).unwrap_err();
    let (found, expected) = ("a test network", "mainnet");
    let foreign = KeyError::ForeignNetwork { found, expected };
    assert_eq!(error, AccountError::Key { member: MemberLabel::P, error: foreign });

    let [p, r, _] = announced;
    let error = rebuild(plan(), &[p, r, gordian(*seed_key(3, 3).public())]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "key G: it has the origin path m/48h/1h/3h/2h, this account needs m/48h/1h/0h/2h"
    );
    let map = Members::new(1).map(MapKind::Personal);
    map.check_network(Network::Regtest).unwrap();
    assert!(matches!(map.check_network(Network::Signet), Err(AccountError::Network { .. })));
}

#[test]
fn locks_and_names_have_bounds() {
    let announced = Members::new(1).announced();
    for (blocks, fine) in [(0, false), (1, true), (65_535, true), (65_536, false), (u32::MAX, false)] {
        let kind = MapKind::PersonalOrRecovery { blocks };
        let result = rebuild(Plan { kind, ..plan() }, &announced);
        assert_eq!(result.is_ok(), fine);
        assert!(fine || result == Err(AccountError::Lock(blocks)));
    }
    for name in ["", "a\nb", "\u{7}", &"x".repeat(65), &"漢".repeat(65)] {
        assert_eq!(rebuild(Plan { name: name.into(), ..plan() }, &announced), Err(AccountError::Name));
    }
    let longest = rebuild(Plan { name: "\u{1f3e6}".repeat(64), ..plan() }, &announced).unwrap();
    assert_eq!(AccountMap::from_bytes(&longest.to_bytes()).unwrap(), longest);
}

#[test]
fn foreign_descriptors_are_refused() {
    let map = Members::new(1).map(MapKind::Personal);
    let read = |text: &str| {
        AccountMap::from_descriptor(text, "x", NETWORK, Birthday { height: 0, time: 0 }).map(|map| map.id())
    };
    let with_checksum = |text: &str| {
        use autonomy_wallet::miniscript::descriptor::checksum::desc_checksum;
        let body = text.split('#').next().unwrap();
        format!("{body}#{}", desc_checksum(body).unwrap())
    };
    let good = map.descriptor();
    assert_eq!(read(good).unwrap(), map.id());

    let body = good.split('#').next().unwrap();
    assert!(matches!(read(body), Err(AccountError::Descriptor(_))), "no checksum");
    assert!(matches!(read(&good.replace("tpub", "tpuc")), Err(AccountError::Descriptor(_))));
    assert!(matches!(read(&"x".repeat(2_000)), Err(AccountError::Descriptor(_))));
    assert!(matches!(read("wsh(ü)#12345678"), Err(AccountError::Descriptor(_))));
    let one = with_checksum(&good.replace("sortedmulti(2,", "sortedmulti(1,"));
    assert_eq!(read(&one), Err(AccountError::Threshold { found: 1, least: 2, most: 2 }));
    let three = with_checksum(&good.replace("sortedmulti(2,", "sortedmulti(3,"));
    assert_eq!(read(&three), Err(AccountError::Threshold { found: 3, least: 2, most: 2 }));
    let unsorted = with_checksum(&good.replace("sortedmulti(2,", "multi(2,"));
    assert!(matches!(read(&unsorted), Err(AccountError::Foreign(_))));
    let quotes = with_checksum(&good.replace("h/", "'/").replace("h]", "']"));
    assert!(matches!(read(&quotes), Err(AccountError::Foreign(_))), "{quotes}");
    let other_steps = with_checksum(&good.replace("<0;1>", "<0;2>"));
    assert!(matches!(read(&other_steps), Err(AccountError::Foreign(_))));

    let locked = Members::new(1).map(LOCKED);
    assert_eq!(read(locked.descriptor()).unwrap(), locked.id());
    let shorter = with_checksum(&locked.descriptor().replace("older(52560)", "older(1)"));
    assert_ne!(read(&shorter).unwrap(), locked.id());
    let by_time = with_checksum(&locked.descriptor().replace("older(52560)", "older(4194305)"));
    assert_eq!(read(&by_time), Err(AccountError::Lock(4_194_305)));
}

#[test]
fn map_from_bytes_is_derived_again_and_compared() {
    let map = Members::new(1).map(LOCKED);
    let bytes = map.to_bytes();
    assert!(bytes.len() < MAX_MAP_BYTES / 2);
    assert_eq!(AccountMap::from_bytes(&bytes).unwrap(), map);
    let pretty = serde_json::to_vec_pretty(&map).unwrap();
    assert_eq!(AccountMap::from_bytes(&pretty).unwrap().to_bytes(), bytes);

    let text = String::from_utf8(bytes).unwrap();
    let other = Members::new(60).map(LOCKED);
    for (from, to) in [
        (map.id().to_string(), other.id().to_string()),
        (map.key(&MemberLabel::G).unwrap().to_string(), other.key(&MemberLabel::G).unwrap().to_string()),
        ("multi(2,".into(), "multi(1,".into()),
        ("older(52560)".into(), "older(52561)".into()),
        (map.descriptor().into(), other.descriptor().into()),
        ("[\"P\",".into(), "[\"X\",".into()),
        ("[\"P\",".into(), "[".into()),
        ("regtest".into(), "bitcoin".into()),
        ("\"version\":1".into(), "\"version\":2".into()),
        ("\"name\"".into(), "\"nome\"".into()),
        ("{\"version\"".into(), "{\"extra\":1,\"version\"".into()),
    ] {
        assert!(text.contains(&from), "{from}");
        let changed = text.replacen(&from, &to, 1);
        assert!(AccountMap::from_bytes(changed.as_bytes()).is_err(), "{from} -> {to}");
    }
    let deep = "[".repeat(MAX_MAP_BYTES);
    assert!(matches!(AccountMap::from_bytes(deep.as_bytes()), Err(MapBytesError::Malformed(_))));
    let long = " ".repeat(MAX_MAP_BYTES + 1);
    assert!(matches!(AccountMap::from_bytes(long.as_bytes()), Err(MapBytesError::TooLong(4097))));
}

#[test]
fn core_import_has_two_descriptors_with_checksums() {
    let map = Members::new(1).map(LOCKED);
    let import = map.core_import();
    let entries = import.as_array().unwrap();
    assert_eq!(entries.len(), 2);
    for (entry, keychain) in entries.iter().zip(Keychain::ALL) {
        let text = entry["desc"].as_str().unwrap();
        assert!(text.contains(&format!("/{}/*", keychain.step())) && text.contains('#'));
        assert!(text.contains(&format!("/{}/*),older", keychain.step() + 2)));
        assert_eq!(entry["internal"], keychain == Keychain::Internal);
        assert_eq!(entry["timestamp"], 1_700_000_000);
        // miniscript reads it, checksum included, and derives what the map derives.
        let descriptor: autonomy_wallet::miniscript::Descriptor<
            autonomy_wallet::miniscript::DescriptorPublicKey,
        > = text.parse().unwrap();
        let script = descriptor.at_derivation_index(7).unwrap().script_pubkey();
        assert_eq!(script, map.script_pubkey(keychain, 7).unwrap());
    }
}

#[test]
fn address_index_ends_at_two_to_the_thirty_one() {
    let map = Members::new(1).map(MapKind::Personal);
    assert!(map.address(Keychain::External, (1 << 31) - 1).is_ok());
    assert_eq!(map.address(Keychain::External, 1 << 31), Err(AccountError::AddressIndex(1 << 31)));
}
