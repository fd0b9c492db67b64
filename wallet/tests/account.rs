//! Account maps: what members refuse when they rebuild one, and what a file may not contain.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use autonomy_wallet::account::{
    AccountError, AccountMap, Birthday, Keychain, Kind, MAX_MAP_BYTES, MapBytesError, Plan,
};
use autonomy_wallet::bitcoin::Network;
use autonomy_wallet::keys::{AccountIndex, KeyError, MemberKey, RecoveryKey, Role, Seed};
use common::{Members, NETWORK, randomness};

const LOCKED: Kind = Kind::TwoOfThreeOrRecovery { blocks: 52_560 };

fn plan() -> Plan {
    Members::new(1).map(Kind::TwoOfThree).plan().clone()
}

fn keys(members: &Members) -> [MemberKey; 3] {
    [*members.p.public(), *members.r.public(), *members.g.public()]
}

fn rebuild(plan: Plan, keys: &[MemberKey]) -> Result<AccountMap, AccountError> {
    AccountMap::rebuild(plan, keys, Members::new(1).p.public())
}

#[test]
fn every_member_comes_to_the_same_map_whatever_the_order() {
    let members = Members::new(1);
    let [p, r, g] = keys(&members);
    let device = AccountMap::rebuild(plan(), &[p, r, g], &p).unwrap();
    let pod = AccountMap::rebuild(plan(), &[g, p, r], &g).unwrap();
    assert_eq!(device, pod);
    device.confirm(&pod.confirmation()).unwrap();
    assert_eq!(device.confirmation().first_address, pod.first_address().to_string());
}

#[test]
fn a_replaced_key_is_noticed_by_its_owner_and_by_the_others() {
    let [p, r, g] = keys(&Members::new(1));
    let mallory = *Members::new(60).g.public();
    // The pod's key was replaced on the way to the device. The pod finds itself missing ...
    assert_eq!(AccountMap::rebuild(plan(), &[p, r, mallory], &g), Err(AccountError::OwnKeyMissing(Role::G)));
    // ... and the device, which cannot know, comes to another first address.
    let device = AccountMap::rebuild(plan(), &[p, r, mallory], &p).unwrap();
    let pod = AccountMap::rebuild(plan(), &[p, r, g], &g).unwrap();
    let error = device.confirm(&pod.confirmation()).unwrap_err();
    assert!(matches!(error, AccountError::Disagreement { field: "first address", .. }), "{error}");
}

#[test]
fn one_person_may_not_be_two_members() {
    let [p, r, _] = keys(&Members::new(1));
    // G from the seed of P, at the same place or at another.
    let same_seed = Seed::generate(&randomness(1), &[]).unwrap();
    let g = *same_seed.account_key(Role::G, NETWORK, AccountIndex::FIRST).public();
    assert_eq!(rebuild(plan(), &[p, r, g]), Err(AccountError::DuplicateKey(Role::P, Role::G)));
}

#[test]
fn each_role_once() {
    let [p, r, g] = keys(&Members::new(1));
    let roles = |role, count| Err(AccountError::Roles { role, count });
    assert_eq!(rebuild(plan(), &[p, r]), roles(Role::G, 0));
    assert_eq!(rebuild(plan(), &[p, r, g, g]), roles(Role::G, 2));
    assert_eq!(rebuild(plan(), &[]), roles(Role::P, 0));
    assert_eq!(rebuild(plan(), &[r, r, r]), roles(Role::P, 0));
}

#[test]
fn another_threshold_network_or_account() {
    let announced = keys(&Members::new(1));
    for threshold in [0, 1, 3] {
        let error = rebuild(Plan { threshold, ..plan() }, &announced).unwrap_err();
        assert_eq!(error, AccountError::Threshold { found: threshold.into() });
    }
    let error = rebuild(Plan { network: Network::Bitcoin, ..plan() }, &announced).unwrap_err();
    let (found, expected) = ("a test network", "mainnet");
    assert_eq!(error, AccountError::Key(KeyError::ForeignNetwork { role: Role::P, found, expected }));

    let account = AccountIndex::new(3).unwrap();
    let error = rebuild(Plan { account, ..plan() }, &announced).unwrap_err();
    assert_eq!(
        error.to_string(),
        "key P has the origin path m/48h/1h/0h/2h, this account needs m/48h/1h/3h/2h"
    );
    let map = Members::new(1).map(Kind::TwoOfThree);
    map.check_network(Network::Regtest).unwrap();
    assert!(matches!(map.check_network(Network::Signet), Err(AccountError::Network { .. })));
}

#[test]
fn locks_and_names_have_bounds() {
    let announced = keys(&Members::new(1));
    for (blocks, fine) in [(0, false), (1, true), (65_535, true), (65_536, false), (u32::MAX, false)] {
        let kind = Kind::TwoOfThreeOrRecovery { blocks };
        let result = rebuild(Plan { kind, ..plan() }, &announced);
        assert_eq!(result.is_ok(), fine);
        assert!(fine || result == Err(AccountError::Lock(blocks)));
    }
    for name in ["", "a\nb", "\u{7}", &"x".repeat(65)] {
        assert_eq!(rebuild(Plan { name: name.into(), ..plan() }, &announced), Err(AccountError::Name));
    }
}

#[test]
fn key_expressions_say_what_is_wrong() {
    let good = Members::new(1).p.public().to_string();
    let parse = |text: &str| MemberKey::parse(Role::P, text);
    assert_eq!(parse(&good).unwrap(), *Members::new(1).p.public());
    assert!(parse(&good.replace("h/", "'/").replace("h]", "']")).is_ok());

    let long = format!("{good}{}", "0".repeat(400));
    assert!(matches!(parse(&long), Err(KeyError::TooLong { len, .. }) if len == long.len()));
    for bad in [
        good.replace('[', ""),
        good.replace("[", "[zz"),
        good.replace("48h", "fortyeight"),
        good.replace("tpub", "tpuc"),
        String::new(),
    ] {
        assert!(matches!(parse(&bad), Err(KeyError::Malformed { .. })), "{bad}");
    }
    for bad in [
        good.replace("48h", "44h"),
        good.replace("/1h", "/0h"),
        good.replace("/2h]", "/1h]"),
        good.replace("/0h", "/0"),
        format!("{good}/0"),
    ] {
        assert!(matches!(parse(&bad), Err(KeyError::WrongOrigin { .. })), "{bad}");
    }
    // R: depth 0, fingerprint its own, one step.
    let r = Members::new(1).r.public().to_string();
    let parse = |text: &str| MemberKey::parse(Role::R, text);
    assert!(parse(&r).is_ok());
    let stranger = format!("[00000000]{}", r.split_once(']').unwrap().1);
    assert!(matches!(parse(&stranger), Err(KeyError::Inconsistent { field: "fingerprint", .. })));
    for step in ["", "/", "/00", "/x", "/0/1", "/4294967296"] {
        let text = format!("{}{step}", r.strip_suffix("/0").unwrap());
        assert!(matches!(parse(&text), Err(KeyError::WrongOrigin { .. })), "{text}");
    }
    assert!(matches!(parse(&good), Err(KeyError::WrongOrigin { .. })));
    assert_eq!(AccountIndex::new(1 << 31), Err(KeyError::AccountIndex(1 << 31)));
}

#[test]
fn descriptors_that_are_not_ours() {
    let map = Members::new(1).map(Kind::TwoOfThree);
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
    assert_eq!(read(&one), Err(AccountError::Threshold { found: 1 }));
    let three = with_checksum(&good.replace("sortedmulti(2,", "sortedmulti(3,"));
    assert_eq!(read(&three), Err(AccountError::Threshold { found: 3 }));
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
fn a_map_in_a_file_is_derived_again() {
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
        (map.key(Role::G).to_string(), other.key(Role::G).to_string()),
        ("\"threshold\":2".into(), "\"threshold\":1".into()),
        ("52560}".into(), "52561}".into()),
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
fn bitcoin_core_gets_two_descriptors_with_checksums() {
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
fn addresses_end_at_two_to_the_thirty_one() {
    let map = Members::new(1).map(Kind::TwoOfThree);
    assert!(map.address(Keychain::External, (1 << 31) - 1).is_ok());
    assert_eq!(map.address(Keychain::External, 1 << 31), Err(AccountError::AddressIndex(1 << 31)));
}

#[test]
fn the_recovered_key_is_the_one_that_was_split() {
    let drawn = RecoveryKey::draw(&randomness(2), &[b"dice", b"camera"]).unwrap();
    let again = RecoveryKey::from_parts(&drawn.scalar_bytes(), drawn.chain_code()).unwrap();
    assert_eq!(drawn.public(NETWORK, AccountIndex::FIRST), again.public(NETWORK, AccountIndex::FIRST));
    assert!(RecoveryKey::from_parts(&[0; 32], &[1; 32]).is_err());
    assert!(RecoveryKey::from_parts(&[0xff; 32], &[1; 32]).is_err());
    let other = RecoveryKey::draw(&randomness(2), &[b"dice", b"Camera"]).unwrap();
    assert_ne!(*drawn.scalar_bytes(), *other.scalar_bytes());
}

#[test]
fn words_are_read_back_and_faults_named_without_them() {
    use autonomy_wallet::keys::SeedError;
    let seed = Seed::generate(&randomness(3), &[]).unwrap();
    let words = seed.words();
    assert_eq!(words.split(' ').count(), 24);
    assert_eq!(Seed::from_words(&words).unwrap(), seed);
    assert_eq!(Seed::from_words(&format!("  {}\n", words.to_uppercase())).unwrap(), seed);
    assert_eq!(Seed::from_entropy(seed.entropy()).unwrap(), seed);
    assert_eq!(Seed::from_entropy(&[1; 31]), Err(SeedError::EntropyLength(31)));

    let mut list: Vec<&str> = words.split(' ').collect();
    assert_eq!(Seed::from_words(&list[1..].join(" ")), Err(SeedError::WordCount(23)));
    let fifth = std::mem::replace(&mut list[4], "abandom");
    assert_eq!(Seed::from_words(&list.join(" ")), Err(SeedError::UnknownWord(5)));
    list[4] = if fifth == "zoo" { "zone" } else { "zoo" };
    assert_eq!(Seed::from_words(&list.join(" ")), Err(SeedError::Checksum));
}

#[test]
fn nothing_secret_is_printed() {
    let seed = Seed::generate(&randomness(3), &[]).unwrap();
    let key = seed.account_key(Role::P, NETWORK, AccountIndex::FIRST);
    let recovery = RecoveryKey::draw(&randomness(2), &[]).unwrap();
    let printed = format!("{seed:?} {key:?} {recovery:?}");
    assert!(!printed.contains("prv"));
    for word in seed.words().split(' ').filter(|word| word.len() > 4) {
        assert!(!printed.contains(word));
    }
    for secret in [seed.entropy(), &recovery.scalar_bytes()[..], recovery.chain_code()] {
        assert!(!printed.contains(&data_encoding::HEXLOWER.encode(secret)));
        assert!(!printed.contains(&format!("{secret:?}")));
    }
}
