//! Plain helpers of the tests.
#![allow(dead_code, reason = "each test file uses some of them")]

pub(crate) mod samples;
pub(crate) mod wire;

use autonomy_messaging::provision::{Bundle, BundleTerms, DeviceRequest, Grant, GrantTerms, PodRequest};
use autonomy_messaging::{
    Access, AuthSeed, CertificateRole, DescriptorPublic, DescriptorSecret, Name, Network, PublicKey,
    SealingPublic, SealingSecret, SigningKey, Validity,
};
use crypto_box::SecretKey;
use data_encoding::BASE32_NOPAD;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sha2::{Digest, Sha256};

/// 23 November 2026, and a year.
pub(crate) const NOW: u64 = 1_795_392_000;
pub(crate) const YEAR: u64 = 365 * 86_400;

/// A generator that gives the same numbers in every run.
pub(crate) fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Alice, or anybody else.
pub(crate) fn person(byte: u8) -> AuthSeed {
    AuthSeed::from_bytes(&[byte; 32])
}

pub(crate) fn key(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32])
}

pub(crate) fn public(byte: u8) -> PublicKey {
    PublicKey::from(&key(byte))
}

pub(crate) fn sealing(byte: u8) -> SealingSecret {
    SealingSecret::from_bytes(&[byte; 32])
}

pub(crate) fn descriptor(byte: u8) -> DescriptorPublic {
    DescriptorSecret::from_bytes(&[byte; 32]).public()
}

/// A pod that was just made: key 20, sealing key 21.
pub(crate) fn pod_request() -> PodRequest {
    pod_asks(20, sealing(21).public())
}

pub(crate) fn pod_asks(pod: u8, sealing_key: SealingPublic) -> PodRequest {
    PodRequest::new(Network::Regtest, &key(pod), sealing_key, [22; 32])
}

/// Alice's phone: key 30, descriptor key 31.
pub(crate) fn bundle_terms() -> BundleTerms {
    BundleTerms {
        pod_name: name("Alice's pod"),
        device_key: public(30),
        descriptor_key: descriptor(31),
        epoch: 1,
        onion_epoch: 0,
        validity: Validity::lasting(NOW, YEAR),
    }
}

pub(crate) fn bundle() -> Bundle {
    Bundle::new(&person(1), &pod_request(), bundle_terms())
}

/// Alice's laptop: key 40, sealing key 41.
pub(crate) fn device_request() -> DeviceRequest {
    DeviceRequest::new(&key(40), sealing(41).public(), name("laptop"))
}

pub(crate) fn grant_terms() -> GrantTerms {
    let validity = Validity::lasting(NOW, YEAR);
    GrantTerms {
        pod_certificate: person(1).root_key().certify(CertificateRole::Pod, &public(20), 1, validity),
        access: Access::Limited,
        epoch: 2,
        validity,
        onion_epoch: 0,
        spare_index: 2,
        network: Network::Regtest,
        account_maps: vec![b"wsh(sortedmulti(2,P,R,G))".to_vec(), b"a second map".to_vec()],
    }
}

pub(crate) fn grant() -> Grant {
    Grant::new(&person(1), &device_request(), grant_terms()).unwrap()
}

/// The bytes in one of our lines.
pub(crate) fn unarmour(text: &str) -> Vec<u8> {
    let (_, line) = text.split_once('1').unwrap();
    let mut bytes = BASE32_NOPAD.decode(line.to_ascii_uppercase().as_bytes()).unwrap();
    bytes.truncate(bytes.len() - 5);
    bytes
}

/// Any bytes as one of our lines, with the right checksum: what somebody can do who means ill.
pub(crate) fn armour(prefix: &str, bytes: &[u8]) -> String {
    let sum = Sha256::digest([prefix.as_bytes(), b"\0", bytes].concat());
    let line = BASE32_NOPAD.encode(&[bytes, &sum[..5]].concat()).to_ascii_lowercase();
    format!("{prefix}1{line}")
}

/// What the faulty or hostile program of the *right* owner could send: opens the answer, changes its body, signs
/// and seals it again.
pub(crate) fn resigned(
    text: &str,
    (domain, request_domain, request): (&str, &str, &[u8]),
    receiver: &SealingSecret,
    change: impl FnOnce(&mut Vec<u8>),
) -> String {
    use ed25519_dalek::Signer;
    let (prefix, _) = text.split_once('1').unwrap();
    let secret = SecretKey::from_bytes(*receiver.as_bytes());
    let mut body = secret.unseal(&unarmour(text)[1..]).unwrap();
    body.truncate(body.len() - 64);
    change(&mut body);
    let digest = Sha256::digest([request_domain.as_bytes(), &request[..request.len() - 64]].concat());
    let signature = root_of(1).sign(&[domain.as_bytes(), &digest, &body].concat());
    let plain = [body.as_slice(), &signature.to_bytes()].concat();
    let sealed = secret.public_key().seal(&mut rng(9), &plain).unwrap();
    armour(prefix, &[&[1], sealed.as_slice()].concat())
}

/// The root key of a person, derived here by the words of the documentation.
fn root_of(person: u8) -> SigningKey {
    let mut seed = [0; 32];
    hkdf::Hkdf::<Sha256>::new(Some(b"autonomy auth seed v1"), &[person; 32])
        .expand(b"root", &mut seed)
        .unwrap();
    SigningKey::from_bytes(&seed)
}
