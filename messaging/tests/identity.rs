//! A person is 32 bytes; all the rest follows from them, the same in every version and on every machine.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use autonomy_messaging::{
    AuthSeed, BadDid, BadKey, DescriptorPublic, DescriptorSecret, OnionService, PublicKey, RootPublic,
    SealingPublic,
};
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use support::{person, public, rng};

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Values computed outside of this project (Python's hmac, OpenSSL's Ed25519). Were one of them to change, every
/// person would lose their identity and their pod's address.
#[test]
fn what_follows_from_a_seed_never_changes() {
    let alice = person(1);
    let root = "e481a3158195d21c09c59e738c66b3575a79ed59791a862366c121f106dbadba";
    assert_eq!(hex(alice.root_key().public().as_bytes()), root);
    let onion = |service, epoch| hex(alice.onion_seed(service, epoch).as_bytes());
    let app = "2bbc8c49d7fa49d7934c66f552611407fb75d09ec0b7763836d92d8e23cdb395";
    assert_eq!(onion(OnionService::App, 0), app);
    let peer = "498200f5af1ea41b943defd576bf4fea97eb20ee5fff2c1c6f2c68826924b945";
    assert_eq!(onion(OnionService::Peer, 0), peer);
    let later = "0df4528380d8ac3b1ae45babbc72fce7fdfb958d4ea9174bd4ab1974a69829a0";
    assert_eq!(onion(OnionService::App, 1), later);
    let spare = |index| hex(alice.spare_descriptor_key(index).as_bytes());
    assert_eq!(spare(0), "863eda7af94bb6b69f50ca3e28bb3df4bb0b839207b54ab167c704c681f1fd4f");
    assert_eq!(spare(3), "5bd5faca65ba61b8251c6e57c30738f46e39f6e1ed30758b615c505f73a1d14f");
}

/// The example of the did:key specification.
#[test]
fn a_root_is_written_as_did_key() {
    let did = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
    let key = "2e6fcce36701dc791488e0d0b1745cc1e33a4c1c9fcc41c63bd343dbbe0970e6";
    let root: RootPublic = did.parse().unwrap();
    assert_eq!(hex(root.as_bytes()), key);
    assert_eq!(root.to_string(), did);
}

#[test]
fn other_dids_are_refused() {
    let good = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
    for bad in [
        "",
        "did:key:",
        "did:key:z",
        "did:web:example.com",
        &good[8..],
        &good.to_lowercase(),
        &format!("{good}1"),
        &good[..good.len() - 1],
        // secp256k1, and Ed25519 with another first byte
        "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
        &format!("did:key:z{}", "1".repeat(10_000)),
    ] {
        assert_eq!(bad.parse::<RootPublic>().unwrap_err(), BadDid, "{bad}");
    }
}

#[test]
fn one_person_s_keys_have_nothing_in_common() {
    let (alice, bob) = (person(1), person(2));
    let mut all: Vec<[u8; 32]> = Vec::new();
    for seed in [&alice, &bob] {
        all.push(*seed.as_bytes());
        all.push(*seed.root_key().public().as_bytes());
        for epoch in [0, 1, u64::MAX] {
            all.push(*seed.onion_seed(OnionService::App, epoch).as_bytes());
            all.push(*seed.onion_seed(OnionService::Peer, epoch).as_bytes());
        }
        all.extend([0, 1, u32::MAX].map(|index| *seed.spare_descriptor_key(index).as_bytes()));
    }
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn two_new_persons_differ() {
    let mut rng = rng(1);
    let (a, b) = (AuthSeed::generate(&mut rng), AuthSeed::generate(&mut rng));
    assert_ne!(a.as_bytes(), b.as_bytes());
}

#[test]
fn keys_that_fit_every_signature_or_secret_are_refused() {
    // Ed25519: the neutral element, a point of order 8, and one whose y is written beyond the prime.
    let order_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
    let beyond = "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
    let mut neutral = [0; 32];
    neutral[0] = 1;
    for bad in [hex(&neutral), order_8.into(), beyond.into(), "00".repeat(32)] {
        assert_eq!(bad.parse::<PublicKey>().unwrap_err(), BadKey, "{bad}");
    }
    // x25519: the points of small order (RFC 7748, section 6.1), and a set top bit.
    for bad in [
        "00".repeat(32),
        format!("01{}", "00".repeat(31)),
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800".into(),
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157".into(),
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f".into(),
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f".into(),
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f".into(),
        format!("{}ff", "09".repeat(31)),
    ] {
        assert_eq!(bad.parse::<SealingPublic>().unwrap_err(), BadKey, "{bad}");
        assert_eq!(bad.parse::<DescriptorPublic>().unwrap_err(), BadKey, "{bad}");
    }
}

#[test]
fn keys_are_written_as_64_digits() {
    let key = public(1);
    assert_eq!(key.to_string(), hex(key.as_bytes()));
    assert_eq!(key.to_string().to_uppercase().parse(), Ok(key));
    let digits = key.to_string();
    for bad in ["", &digits[1..], &format!("{digits}0"), &format!("{digits}00"), &digits.replace('a', "g")] {
        assert_eq!(bad.parse::<PublicKey>().unwrap_err(), BadKey, "{bad}");
    }
}

#[test]
fn nothing_secret_is_printed() {
    let alice = person(1);
    assert_eq!(format!("{alice:?}"), "AuthSeed(..)");
    let root = alice.root_key();
    assert_eq!(format!("{root:?}"), format!("RootKey {{ public: RootPublic({}), .. }}", root.public()));
    assert_eq!(format!("{:?}", alice.onion_seed(OnionService::App, 0)), "OnionSeed(..)");
    assert_eq!(format!("{:?}", alice.spare_descriptor_key(0)), "DescriptorSecret(..)");
}

proptest! {
    #[test]
    fn every_root_can_be_written_and_read(seed: [u8; 32]) {
        let root = AuthSeed::from_bytes(&seed).root_key().public();
        prop_assert!(root.to_string().starts_with("did:key:z6Mk"));
        prop_assert_eq!(root.to_string().parse(), Ok(root));
        prop_assert_eq!(RootPublic::from_bytes(root.as_bytes()), Ok(root));
    }

    #[test]
    fn every_descriptor_key_can_be_written_and_read(secret: [u8; 32]) {
        let public = DescriptorSecret::from_bytes(&secret).public();
        prop_assert_eq!(DescriptorPublic::from_bytes(public.as_bytes()), Ok(public));
        prop_assert_eq!(public.to_string().parse(), Ok(public));
    }

    #[test]
    fn any_text_is_a_root_or_is_refused(text in "\\PC{0,80}") {
        let _ = text.parse::<RootPublic>();
        let _ = format!("did:key:z{text}").parse::<RootPublic>();
    }
}
