//! Alice makes a pod her own, and then lets a laptop in. Mallory would like to be part of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use autonomy_messaging::provision::{
    AnswerError, BadGrant, Bundle, DeviceRequest, Grant, MAX_MAP_LEN, MAX_MAPS, PodRequest, RequestError,
    SealedBundle, SealedGrant,
};
use autonomy_messaging::{
    Access, CLOCK_SKEW, CertificateError, CertificateRole, MAX_NAME_LEN, MalformedCertificate, Network,
    OnionService, RoleKind, TextError, TextKind, Validity,
};
use proptest::prelude::*;
use support::{
    NOW, YEAR, armour, bundle, bundle_terms, descriptor, device_request, grant, grant_terms, key, name,
    person, pod_asks, pod_request, public, resigned, rng, sealing, unarmour,
};

fn bundle_text() -> String {
    bundle().seal(&person(1), &pod_request(), &mut rng(1)).to_text()
}

fn grant_text() -> String {
    grant().seal(&person(1), &device_request(), &mut rng(1)).to_text()
}

fn open_bundle(text: &str) -> Result<Bundle, AnswerError> {
    SealedBundle::from_text(text)?.open(&sealing(21), &pod_request(), NOW)
}

fn open_grant(text: &str) -> Result<Grant, AnswerError> {
    SealedGrant::from_text(text)?.open(&sealing(41), &device_request(), NOW)
}

#[test]
fn a_pod_finds_its_owner() {
    let shown = pod_request().to_text();
    let request = PodRequest::from_text(&shown).unwrap();
    assert_eq!(request, pod_request());
    assert_eq!((request.network(), request.pod_key()), (Network::Regtest, public(20)));
    assert_eq!(request.entropy(), &[22; 32]);

    let alice = person(1);
    let answer = Bundle::new(&alice, &request, bundle_terms()).seal(&alice, &request, &mut rng(1)).to_text();
    let bundle = open_bundle(&answer).unwrap();

    assert_eq!(bundle.root(), alice.root_key().public());
    assert_eq!(bundle.pod_certificate().subject(), public(20));
    assert_eq!(bundle.device_certificate().subject(), public(30));
    assert_eq!(bundle.device_certificate().access(), Some(Access::Full));
    assert_eq!(bundle.onion_epoch(), 0);
    assert_eq!(bundle.app_onion().as_bytes(), alice.onion_seed(OnionService::App, 0).as_bytes());
    assert_eq!(bundle.peer_onion().as_bytes(), alice.onion_seed(OnionService::Peer, 0).as_bytes());
    assert_eq!(bundle.descriptor_key(), descriptor(31));
    assert_eq!(bundle.spare_keys()[3], alice.spare_descriptor_key(3).public());
    assert_eq!(bundle.pod_name().as_str(), "Alice's pod");
}

#[test]
fn a_further_device_gets_in() {
    let request = DeviceRequest::from_text(&device_request().to_text()).unwrap();
    assert_eq!(request, device_request());
    assert_eq!(request.name().as_str(), "laptop");

    let alice = person(1);
    let grant = open_grant(&grant_text()).unwrap();
    assert_eq!(grant.root(), alice.root_key().public());
    assert_eq!(grant.pod_certificate(), grant_terms().pod_certificate);
    assert_eq!(grant.device_certificate().subject(), public(40));
    assert_eq!(grant.device_certificate().access(), Some(Access::Limited));
    assert_eq!(grant.device_certificate().epoch(), 2);
    assert_eq!(grant.app_onion(), alice.onion_seed(OnionService::App, 0).public());
    assert_eq!(grant.spare_key().index, 2);
    // The public half of this key is in the pod since it adopted the bundle.
    assert_eq!(grant.spare_key().secret.public(), bundle().spare_keys()[2]);
    assert_eq!(grant.network(), Network::Regtest);
    assert_eq!(grant.account_maps(), grant_terms().account_maps);
}

#[test]
fn texts_have_the_sizes_that_are_promised() {
    assert_eq!(pod_request().to_text().len(), 289);
    let request = DeviceRequest::new(&key(40), sealing(41).public(), name(&"x".repeat(MAX_NAME_LEN)));
    assert!(request.to_text().len() <= 400);
    let terms = autonomy_messaging::provision::BundleTerms {
        pod_name: name(&"x".repeat(MAX_NAME_LEN)),
        ..bundle_terms()
    };
    let bundle = Bundle::new(&person(1), &pod_request(), terms).seal(&person(1), &pod_request(), &mut rng(1));
    assert!((1_150..1_200).contains(&bundle.to_text().len()), "{}", bundle.to_text().len());
    let mut terms = grant_terms();
    terms.account_maps.clear();
    let grant = Grant::new(&person(1), &device_request(), terms).unwrap();
    let text = grant.seal(&person(1), &device_request(), &mut rng(1)).to_text();
    assert!(text.len() < 850, "{}", text.len());
}

#[test]
fn a_text_survives_mail_and_careless_copying() {
    let text = bundle_text();
    let chunks: Vec<&str> = text.as_bytes().chunks(64).map(|c| std::str::from_utf8(c).unwrap()).collect();
    for variant in
        [text.to_uppercase(), format!("\u{feff} \n{text}\r\n"), chunks.join("\r\n"), chunks.join(" ")]
    {
        open_bundle(&variant).unwrap();
    }
}

#[test]
fn wrong_text_is_named() {
    let (expected, request, bundle) = (TextKind::Bundle, pod_request().to_text(), bundle_text());
    let wrong = |text: &str| SealedBundle::from_text(text).unwrap_err();
    assert_eq!(wrong(&request).to_string(), "this is a pod request, not a bundle");
    assert_eq!(wrong(&device_request().to_text()).to_string(), "this is a device request, not a bundle");
    assert_eq!(wrong(&grant_text()).to_string(), "this is a grant, not a bundle");
    assert_eq!(wrong("autonomy-deck1abcd").to_string(), "this is a deck, not a bundle");
    assert_eq!(
        wrong(&format!("autonomy-deck1{}", "a".repeat(60_000))).to_string(),
        "this is a deck, not a bundle"
    );
    for other in ["", "hello", "autonomy-", "autonomy-1abc", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"] {
        assert_eq!(wrong(other), TextError::Unknown { expected });
    }
    let error = PodRequest::from_text(&bundle).unwrap_err();
    assert_eq!(error.to_string(), "this is a bundle, not a pod request");
    let error = PodRequest::from_text("autonomy-pod").unwrap_err();
    let expected = "this is not a pod request: it would start with \"autonomy-pod-request1\"";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_text_cut_changed_or_too_long_is_refused() {
    let (expected, text) = (TextKind::Bundle, bundle_text());
    let wrong = |text: &str| SealedBundle::from_text(text).unwrap_err();
    assert_eq!(wrong("autonomy-bundle1"), TextError::Checksum { expected });
    assert_eq!(
        wrong(&text.replace("autonomy-bundle1", "autonomy-bundle10")),
        TextError::Character { expected }
    );
    assert_eq!(
        wrong(&text.replace("autonomy-bundle1", "autonomy-bundle1é")),
        TextError::Character { expected }
    );
    let cut = text[..text.len() - 8].to_owned();
    assert_eq!(wrong(&cut), TextError::Checksum { expected });
    let found = 100_000;
    let long = format!("hello{}", " ".repeat(found - 5));
    assert!(matches!(wrong(&long), TextError::TooLong { found: 100_000, .. }));
    // The head of another kind on it.
    let swapped = text.replace("bundle", "grant");
    let expected = TextKind::Grant;
    assert_eq!(SealedGrant::from_text(&swapped).unwrap_err(), TextError::Checksum { expected });
}

#[test]
fn flipped_bits_are_refused_even_with_a_valid_checksum() {
    fn flips(text: &str, taken: impl Fn(&str) -> bool) {
        let (prefix, good) = (text.split_once('1').unwrap().0, unarmour(text));
        assert!(taken(&armour(prefix, &good)));
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!taken(&armour(prefix, &bytes)), "bit {bit} of {prefix} was flipped and nobody saw it");
        }
    }
    flips(&pod_request().to_text(), |text| PodRequest::from_text(text).is_ok());
    flips(&device_request().to_text(), |text| DeviceRequest::from_text(text).is_ok());
    flips(&bundle_text(), |text| open_bundle(text).is_ok());
    flips(&grant_text(), |text| open_grant(text).is_ok());
}

#[test]
fn a_request_with_mallory_s_sealing_key_is_refused() {
    let mut bytes = unarmour(&pod_request().to_text());
    bytes[34..66].copy_from_slice(sealing(66).public().as_bytes());
    let forged = armour("autonomy-pod-request", &bytes);
    assert_eq!(PodRequest::from_text(&forged).unwrap_err(), RequestError::BadSignature);
    let mut bytes = unarmour(&device_request().to_text());
    bytes[33..65].copy_from_slice(sealing(66).public().as_bytes());
    let forged = armour("autonomy-device-request", &bytes);
    assert_eq!(DeviceRequest::from_text(&forged).unwrap_err(), RequestError::BadSignature);
}

#[test]
fn malformed_requests_say_what_is_wrong() {
    let pod = |bytes: &[u8]| PodRequest::from_text(&armour("autonomy-pod-request", bytes)).unwrap_err();
    let good = unarmour(&pod_request().to_text());
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    assert_eq!(pod(&with(0, 2)), RequestError::Version(2));
    assert_eq!(pod(&with(1, 9)), RequestError::Field("a key or the network"));
    assert_eq!(pod(&[]), RequestError::Field("its length"));
    assert_eq!(pod(&good[..good.len() - 1]), RequestError::Field("its length"));
    let device =
        |bytes: &[u8]| DeviceRequest::from_text(&armour("autonomy-device-request", bytes)).unwrap_err();
    let good = unarmour(&device_request().to_text());
    assert_eq!(device(&[]), RequestError::Field("its length"));
    let field = RequestError::Field("a key, the name, or its length");
    assert_eq!(device(&good[..good.len() - 1]), field);
    let mut line_break = good.clone();
    line_break[67] = b'\n';
    assert_eq!(device(&line_break), field);
}

#[test]
fn only_the_requester_opens_an_answer() {
    let sealed = SealedBundle::from_text(&bundle_text()).unwrap();
    assert_eq!(sealed.open(&sealing(66), &pod_request(), NOW).unwrap_err(), AnswerError::NotForUs);
    let sealed = SealedGrant::from_text(&grant_text()).unwrap();
    assert_eq!(sealed.open(&sealing(66), &device_request(), NOW).unwrap_err(), AnswerError::NotForUs);
    let short = armour("autonomy-bundle", &[&[1][..], &[0; 40]].concat());
    assert_eq!(open_bundle(&short).unwrap_err(), AnswerError::NotForUs);
    assert_eq!(open_bundle(&armour("autonomy-bundle", &[])).unwrap_err(), AnswerError::Field("its length"));
    assert_eq!(open_bundle(&armour("autonomy-bundle", &[2, 0])).unwrap_err(), AnswerError::Version(2));
}

#[test]
fn an_answer_serves_one_request_only() {
    // The same pod asks again with the same keys, as after a restore: the old answer does not count.
    let again = PodRequest::new(Network::Regtest, &key(20), sealing(21).public(), [23; 32]);
    let sealed = SealedBundle::from_text(&bundle_text()).unwrap();
    assert_eq!(sealed.open(&sealing(21), &again, NOW).unwrap_err(), AnswerError::BadSignature);
    // An answer for another pod, sealed to this one.
    let other = pod_asks(25, sealing(21).public());
    let misdirected =
        Bundle::new(&person(1), &other, bundle_terms()).seal(&person(1), &pod_request(), &mut rng(1));
    let error = misdirected.open(&sealing(21), &pod_request(), NOW).unwrap_err();
    let expected = AnswerError::Subject { which: RoleKind::Pod, expected: public(20), found: public(25) };
    assert_eq!(error, expected);
}

#[test]
fn mallory_cannot_sign_for_alice() {
    let forged = bundle().seal(&person(66), &pod_request(), &mut rng(1)).to_text();
    assert_eq!(open_bundle(&forged).unwrap_err(), AnswerError::BadSignature);
    let forged = grant().seal(&person(66), &device_request(), &mut rng(1)).to_text();
    assert_eq!(open_grant(&forged).unwrap_err(), AnswerError::BadSignature);
}

#[test]
fn certificates_in_an_answer_must_hold_now() {
    let sealed = SealedBundle::from_text(&bundle_text()).unwrap();
    let at = |now| sealed.open(&sealing(21), &pod_request(), now).map(|_| ());
    assert_eq!(at(NOW - CLOCK_SKEW), Ok(()));
    assert_eq!(at(NOW + YEAR), Ok(()));
    let now = NOW + YEAR + 1;
    let error = CertificateError::Expired { not_after: NOW + YEAR, now };
    assert_eq!(at(now), Err(AnswerError::Certificate { which: RoleKind::Pod, error }));
    let now = NOW - CLOCK_SKEW - 1;
    let error = CertificateError::NotYetValid { not_before: NOW, now };
    assert_eq!(at(now), Err(AnswerError::Certificate { which: RoleKind::Pod, error }));
}

/// Alice's own program has a fault, or was replaced: her signature is good, the contents are not.
#[test]
fn signed_bundle_that_breaks_a_rule_is_refused() {
    let request = unarmour(&pod_request().to_text());
    let bound = ("autonomy bundle v1\0", "autonomy pod request v1\0", request.as_slice());
    let open =
        |change: &dyn Fn(&mut Vec<u8>)| open_bundle(&resigned(&bundle_text(), bound, &sealing(21), change));
    assert!(open(&|_| {}).is_ok());
    let field = "a key, the name, or its length";
    let error = |change: &dyn Fn(&mut Vec<u8>)| open(change).unwrap_err();
    assert_eq!(error(&|body| body.push(0)), AnswerError::Field(field));
    assert_eq!(error(&|body| body.truncate(body.len() - 1)), AnswerError::Field(field));
    assert_eq!(error(&|body| body[388..420].fill(0)), AnswerError::Field(field), "a descriptor key of zeros");
    assert_eq!(error(&|body| body.truncate(20)), AnswerError::Field("a certificate is missing"));
    assert_eq!(error(&Vec::clear), AnswerError::Field("a certificate is missing"));
    let which = RoleKind::Pod;
    let malformed = MalformedCertificate::NotACertificate;
    assert_eq!(error(&|body| body[0] = b'x'), AnswerError::Malformed { which, error: malformed });
    let twice = AnswerError::Field("one key for two purposes");
    assert_eq!(error(&|body| body.copy_within(388..420, 420)), twice, "a spare key is the device's own");
    assert_eq!(error(&|body| body.copy_within(420..452, 452)), twice, "a spare key comes twice");
    assert_eq!(error(&|body| body.copy_within(324..356, 356)), twice, "one key for both onion services");
    let limited = person(1).root_key().certify(
        CertificateRole::Device { access: Access::Limited },
        &public(30),
        1,
        Validity::lasting(NOW, YEAR),
    );
    let full = AnswerError::Field("the first device must have full access");
    assert_eq!(error(&|body| body[158..316].copy_from_slice(&limited.to_bytes())), full);
    let stranger =
        person(66).root_key().certify(limited.role(), &public(30), 1, Validity::lasting(NOW, YEAR));
    assert!(matches!(
        error(&|body| body[158..316].copy_from_slice(&stranger.to_bytes())),
        AnswerError::Certificate { which: RoleKind::Device, error: CertificateError::WrongRoot { .. } }
    ));
}

#[test]
fn signed_grant_that_breaks_a_rule_is_refused() {
    let request = unarmour(&device_request().to_text());
    let bound = ("autonomy grant v1\0", "autonomy device request v1\0", request.as_slice());
    let open =
        |change: &dyn Fn(&mut Vec<u8>)| open_grant(&resigned(&grant_text(), bound, &sealing(41), change));
    assert!(open(&|_| {}).is_ok());
    let field = AnswerError::Field("a key, an account map, or its length");
    let error = |change: &dyn Fn(&mut Vec<u8>)| open(change).unwrap_err();
    assert_eq!(error(&|body| body.push(0)), field);
    assert_eq!(error(&|body| body[316..348].fill(0)), field, "an onion address of zeros");
    assert_eq!(error(&|body| body[384] = 9), field, "an unknown network");
    assert_eq!(error(&|body| body[385] = 255), field, "more maps than there are");
    let other = person(1).root_key().certify(
        CertificateRole::Device { access: Access::Full },
        &public(66),
        2,
        Validity::lasting(NOW, YEAR),
    );
    let expected = AnswerError::Subject { which: RoleKind::Device, expected: public(40), found: public(66) };
    assert_eq!(error(&|body| body[158..316].copy_from_slice(&other.to_bytes())), expected);
}

#[test]
fn a_bundle_does_not_pass_for_a_grant() {
    // Same body, same key, but signed as the other kind of answer.
    let request = unarmour(&device_request().to_text());
    let bound = ("autonomy bundle v1\0", "autonomy device request v1\0", request.as_slice());
    let crossed = resigned(&grant_text(), bound, &sealing(41), |_| {});
    assert_eq!(open_grant(&crossed).unwrap_err(), AnswerError::BadSignature);
}

#[test]
fn grants_keep_their_limits() {
    let with = |maps: Vec<Vec<u8>>| {
        let mut terms = grant_terms();
        terms.account_maps = maps;
        Grant::new(&person(1), &device_request(), terms).map(|grant| {
            let text = grant.seal(&person(1), &device_request(), &mut rng(1)).to_text();
            assert_eq!(open_grant(&text).unwrap().account_maps(), grant.account_maps());
        })
    };
    assert_eq!(with(vec![]), Ok(()));
    assert_eq!(with(vec![vec![1; MAX_MAP_LEN]; MAX_MAPS]), Ok(()));
    assert_eq!(with(vec![vec![1]; MAX_MAPS + 1]), Err(BadGrant::TooManyMaps(MAX_MAPS + 1)));
    assert_eq!(with(vec![vec![1], vec![]]), Err(BadGrant::MapLength { number: 1, len: 0 }));
    let len = MAX_MAP_LEN + 1;
    assert_eq!(with(vec![vec![1; len]]), Err(BadGrant::MapLength { number: 0, len }));
    // The pod must be Alice's, and a pod.
    for (seed, role) in [(66, CertificateRole::Pod), (1, CertificateRole::Device { access: Access::Full })] {
        let mut terms = grant_terms();
        terms.pod_certificate = person(seed).root_key().certify(role, &public(20), 1, terms.validity);
        assert_eq!(Grant::new(&person(1), &device_request(), terms).unwrap_err(), BadGrant::ForeignPod);
    }
}

#[test]
fn networks_have_the_names_that_bitcoind_gives_them() {
    for (text, network) in [
        ("bitcoin", Network::Bitcoin),
        ("testnet", Network::Testnet),
        ("signet", Network::Signet),
        ("regtest", Network::Regtest),
    ] {
        assert_eq!(text.parse(), Ok(network));
        assert_eq!(network.to_string(), text);
        let request = PodRequest::new(network, &key(20), sealing(21).public(), [0; 32]);
        assert_eq!(PodRequest::from_text(&request.to_text()).unwrap().network(), network);
    }
    assert!("main".parse::<Network>().is_err());
    assert!("Bitcoin".parse::<Network>().is_err());
}

#[test]
fn nothing_secret_is_printed() {
    let seen = format!("{:?} {:?} {:?}", bundle(), grant(), SealedGrant::from_text(&grant_text()).unwrap());
    let digits = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    for secret in [bundle().app_onion().as_bytes(), grant().spare_key().secret.as_bytes()] {
        assert!(!seen.contains(&digits(secret)));
        assert!(!seen.contains(&format!("{}, {}", secret[0], secret[1])));
    }
    assert!(!seen.contains("sortedmulti"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_request_reads_as_it_was_written(pod: [u8; 32], sealing_key: [u8; 32], entropy: [u8; 32]) {
        let pod = autonomy_messaging::SigningKey::from_bytes(&pod);
        let sealing_key = autonomy_messaging::SealingSecret::from_bytes(&sealing_key).public();
        let request = PodRequest::new(Network::Signet, &pod, sealing_key, entropy);
        prop_assert_eq!(&PodRequest::from_text(&request.to_text()).unwrap(), &request);
        prop_assert_eq!(&PodRequest::from_text(&request.to_text().to_uppercase()).unwrap(), &request);
        let request = DeviceRequest::new(&pod, sealing_key, name("a device"));
        prop_assert_eq!(&DeviceRequest::from_text(&request.to_text()).unwrap(), &request);
    }

    #[test]
    fn every_answer_opens_as_it_was_sealed(seed: [u8; 32], epoch: u64, onion_epoch: u64, draw: u64, maps in
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 0..5)) {
        let owner = autonomy_messaging::AuthSeed::from_bytes(&seed);
        let mut terms = bundle_terms();
        (terms.epoch, terms.onion_epoch) = (epoch, onion_epoch);
        let text = Bundle::new(&owner, &pod_request(), terms).seal(&owner, &pod_request(), &mut rng(draw)).to_text();
        let bundle = open_bundle(&text).unwrap();
        prop_assert_eq!(bundle.root(), owner.root_key().public());
        prop_assert_eq!((bundle.pod_certificate().epoch(), bundle.onion_epoch()), (epoch, onion_epoch));

        let mut terms = grant_terms();
        terms.pod_certificate = bundle.pod_certificate();
        terms.account_maps = maps.clone();
        let grant = Grant::new(&owner, &device_request(), terms).unwrap();
        let grant = open_grant(&grant.seal(&owner, &device_request(), &mut rng(draw)).to_text()).unwrap();
        prop_assert_eq!(grant.account_maps(), maps.as_slice());
        prop_assert_eq!(grant.app_onion(), owner.onion_seed(OnionService::App, 0).public());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,300}") {
        for prefix in ["", "autonomy-pod-request1", "autonomy-bundle1", "autonomy-device-request1", "autonomy-grant1"] {
            let text = format!("{prefix}{text}");
            let _ = PodRequest::from_text(&text);
            let _ = DeviceRequest::from_text(&text);
            let _ = SealedBundle::from_text(&text);
            let _ = SealedGrant::from_text(&text);
        }
    }
}
