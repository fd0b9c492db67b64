//! What must hold for any bytes at all.
#![allow(dead_code, reason = "each target uses one of them")]

use autonomy_messaging::provision::{DeviceRequest, PodRequest, SealedBundle, SealedGrant};
use autonomy_messaging::{
    AuthSeed, Name, Network, RoleKind, RootPublic, SealingSecret, SigningKey, UnverifiedCertificate,
};
use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

/// 23 November 2026.
const NOW: u64 = 1_795_392_000;

/// A certificate is refused, or verified, and then has exactly these bytes as its encoding.
pub(crate) fn certificate(bytes: &[u8]) {
    let Ok(certificate) = UnverifiedCertificate::parse(bytes) else { return };
    for kind in [RoleKind::Pod, RoleKind::Device] {
        if let Ok(verified) = certificate.verify(&certificate.claimed_root(), kind, NOW) {
            assert_eq!(verified.to_bytes(), bytes);
            assert_eq!(verified.role().kind(), kind);
            assert!(verified.replaces(&verified).is_ok());
        }
    }
}

/// A request is refused, or has one text; the bytes are tried as a text, and as the body of each kind of text.
pub(crate) fn request(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        one_request(text);
        let _ = text.parse::<RootPublic>();
        let _ = Name::new(text);
    }
    one_request(&armour("autonomy-pod-request", bytes));
    one_request(&armour("autonomy-device-request", bytes));
}

fn one_request(text: &str) {
    if let Ok(request) = PodRequest::from_text(text) {
        assert!(PodRequest::from_text(&request.to_text()).is_ok_and(|again| again == request));
        assert!(request.to_text().len() <= 300);
    }
    if let Ok(request) = DeviceRequest::from_text(text) {
        assert!(DeviceRequest::from_text(&request.to_text()).is_ok_and(|again| again == request));
        assert_eq!(request.to_text().lines().count(), 1);
    }
}

/// An answer is refused. The bytes are tried as a text, as a body with the right checksum, and sealed to the
/// receiver, so that what lies behind the seal is reached; only what the root signed could be taken.
pub(crate) fn answer(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        one_answer(text);
    }
    for prefix in ["autonomy-bundle", "autonomy-grant"] {
        one_answer(&armour(prefix, bytes));
        one_answer(&armour(prefix, &sealed(bytes)));
    }
}

fn one_answer(text: &str) {
    let (key, receiver) = (SigningKey::from_bytes(&[20; 32]), SealingSecret::from_bytes(&[21; 32]));
    if let Ok(bundle) = SealedBundle::from_text(text) {
        let request = PodRequest::new(Network::Regtest, &key, receiver.public(), [22; 32]);
        if let Ok(bundle) = bundle.open(&receiver, &request, NOW) {
            assert_eq!(bundle.root(), AuthSeed::from_bytes(&[1; 32]).root_key().public());
        }
    }
    if let Ok(grant) = SealedGrant::from_text(text) {
        let name = Name::new("laptop").expect("a plain name");
        let request = DeviceRequest::new(&key, receiver.public(), name);
        if let Ok(grant) = grant.open(&receiver, &request, NOW) {
            assert_eq!(grant.root(), AuthSeed::from_bytes(&[1; 32]).root_key().public());
        }
    }
}

/// Bytes as a text with the right checksum.
fn armour(prefix: &str, bytes: &[u8]) -> String {
    let sum = Sha256::digest([prefix.as_bytes(), b"\0", bytes].concat());
    format!("{prefix}1{}", BASE32_NOPAD.encode(&[bytes, &sum[..5]].concat()).to_ascii_lowercase())
}

/// Bytes in a sealed box for the receiver of [`one_answer`]; always the same box for the same bytes.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let receiver = crypto_box::SecretKey::from_bytes([21; 32]).public_key();
    let boxed = receiver.seal(&mut Counter(0), bytes).expect("small");
    [&[1], boxed.as_slice()].concat()
}

/// No random generator, and none is needed here.
struct Counter(u8);

impl rand_core::RngCore for Counter {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }
    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.iter_mut().for_each(|byte| {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        });
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl rand_core::CryptoRng for Counter {}
