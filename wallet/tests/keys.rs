//! Keys: what an announced key may look like, and what secrets never show.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use autonomy_wallet::keys::{AccountIndex, KeyError, MemberKey, RecoveryKey, Seed};
use common::{Members, NETWORK, randomness};

#[test]
fn refused_key_expression_names_the_rule() {
    let good = Members::new(1).p.public().to_string();
    let parse = MemberKey::parse;
    assert_eq!(parse(&good).unwrap(), *Members::new(1).p.public());
    assert!(parse(&good.replace("h/", "'/").replace("h]", "']")).is_ok());

    let long = format!("{good}{}", "0".repeat(400));
    assert!(matches!(parse(&long), Err(KeyError::TooLong(len)) if len == long.len()));
    for bad in [
        good.replace('[', ""),
        good.replace("[", "[zz"),
        good.replace("48h", "fortyeight"),
        good.replace("tpub", "tpuc"),
        String::new(),
    ] {
        assert!(matches!(parse(&bad), Err(KeyError::Malformed(_))), "{bad}");
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
    assert!(parse(&r).is_ok());
    let stranger = format!("[00000000]{}", r.split_once(']').unwrap().1);
    assert!(matches!(parse(&stranger), Err(KeyError::Inconsistent("fingerprint"))));
    for step in ["", "/", "/00", "/+0", "/x", "/0/1", "/2147483648", "/4294967296"] {
        let text = format!("{}{step}", r.strip_suffix("/0").unwrap());
        assert!(matches!(parse(&text), Err(KeyError::WrongOrigin { .. })), "{text}");
    }
    assert_eq!(AccountIndex::new(1 << 31), Err(KeyError::AccountIndex(1 << 31)));
}

#[test]
fn recovery_key_from_parts_is_the_drawn_one() {
    let drawn = RecoveryKey::draw(&randomness(2), &[b"dice", b"camera"]).unwrap();
    let again = RecoveryKey::from_parts(&drawn.scalar_bytes(), drawn.chain_code()).unwrap();
    assert_eq!(drawn.public(NETWORK, AccountIndex::FIRST), again.public(NETWORK, AccountIndex::FIRST));
    assert!(RecoveryKey::from_parts(&[0; 32], &[1; 32]).is_err());
    assert!(RecoveryKey::from_parts(&[0xff; 32], &[1; 32]).is_err());
    let other = RecoveryKey::draw(&randomness(2), &[b"dice", b"Camera"]).unwrap();
    assert_ne!(*drawn.scalar_bytes(), *other.scalar_bytes());
}

#[test]
fn seed_words_are_read_back_and_errors_hide_them() {
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
fn debug_output_holds_no_secret() {
    let seed = Seed::generate(&randomness(3), &[]).unwrap();
    let key = seed.account_key(NETWORK, AccountIndex::FIRST);
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
