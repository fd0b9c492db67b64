//! What must hold for any bytes at all.
#![allow(dead_code, reason = "each target uses one of them")]

use autonomy_messaging::card::UnverifiedCard;
use autonomy_messaging::carrier::{Assembler, Assembly, Parcel, parts};
use autonomy_messaging::envelope::Envelope;
use autonomy_messaging::frame::{Frame, QueueKey};
use autonomy_messaging::invite::Invite;
use autonomy_messaging::messenger::rewritten;
use autonomy_messaging::packet::Packet;
use autonomy_messaging::payload::{FileName, Payload, Text};
use autonomy_messaging::provision::{DeviceRequest, PodRequest, SealedBundle, SealedGrant};
use autonomy_messaging::queue::QueueRecord;
use autonomy_messaging::safety::SafetyNumber;
use autonomy_messaging::vcard::VCard;
use autonomy_messaging::wire::{Request, Response};
use autonomy_messaging::{
    AuthSeed, Name, Network, RoleKind, RootPublic, SealingSecret, SigningKey, UnverifiedCertificate, Window,
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

/// A frame is refused, or has exactly these bytes; no key of ours opens what it did not seal.
pub(crate) fn frame(bytes: &[u8]) {
    let Ok(frame) = Frame::parse(bytes) else { return };
    assert_eq!(frame.to_bytes().as_slice(), bytes);
    assert!(QueueKey::derive(&[90; 32], "fuzz").open(&frame.queue, &frame.blob).is_none());
}

/// What is said to a place, and what it says, is refused or has exactly these bytes.
pub(crate) fn wire(bytes: &[u8]) {
    if let Ok(request) = Request::parse(bytes) {
        assert_eq!(request.to_bytes(), bytes);
    }
    if let Ok(response) = Response::parse(bytes) {
        assert_eq!(response.to_bytes(), bytes);
    }
}

/// What a place stores about a queue is refused, or has exactly these bytes.
pub(crate) fn queue(bytes: &[u8]) {
    let Some(mut record) = QueueRecord::from_bytes(bytes) else { return };
    assert_eq!(record.to_bytes(), bytes);
    record.expire(u64::MAX / 2, &autonomy_messaging::queue::QueueLimits::default());
    assert!(QueueRecord::from_bytes(&record.to_bytes()).is_some_and(|again| again == record));
}

/// A packet is refused, or has exactly these bytes.
pub(crate) fn packet(bytes: &[u8]) {
    let Ok(packet) = Packet::parse(bytes) else { return };
    assert_eq!(packet.encoded_len(), bytes.len());
    assert!(packet.to_bytes().is_ok_and(|again| again.as_slice() == bytes));
}

/// A payload is refused, or has exactly these bytes; nothing of a known kind is taken for an unknown one.
pub(crate) fn payload(bytes: &[u8]) {
    if let Ok(payload) = Payload::parse(bytes) {
        assert_eq!(payload.to_bytes().as_slice(), bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(Text::new(text).is_err() || !text.contains('\0'));
        assert!(FileName::new(text).is_err() || !text.contains(['/', '\\']));
    }
}

/// An envelope is refused, or has exactly these bytes; nobody but the pod begins a new session.
pub(crate) fn envelope(bytes: &[u8]) {
    let Ok(envelope) = Envelope::parse(bytes) else { return };
    assert!(envelope.to_bytes().is_ok_and(|again| again == bytes));
    if let Envelope::Reset(reset) = envelope {
        let [from, to] = [1, 2].map(|byte| AuthSeed::from_bytes(&[byte; 32]).root_key().public());
        if let Ok(verified) = reset.verify(&from, &to, NOW) {
            assert_eq!(verified.generation, reset.claimed_generation());
        }
    }
}

/// A card is refused, or verified, and then signs to exactly these bytes. The bytes are tried as a card, and as one that
/// a faulty pod signed.
pub(crate) fn card(bytes: &[u8]) {
    use ed25519_dalek::Signer as _;
    let pod = SigningKey::from_bytes(&[20; 32]);
    let signature = pod.sign(&[b"autonomy card v1\0", bytes].concat()).to_bytes();
    for bytes in [bytes, &[bytes, &signature].concat()] {
        let Ok(card) = UnverifiedCard::parse(bytes) else { continue };
        let root = card.claimed_root();
        if let Ok(card) = card.verify(&root, NOW) {
            assert!(card.sign(&pod).is_ok_and(|again| again.as_bytes() == bytes));
        }
    }
}

/// An invite is refused, or has one text. The bytes are tried as a text, and as the body of one; so is a safety number.
pub(crate) fn invite(bytes: &[u8]) {
    let texts = [String::from_utf8_lossy(bytes).into_owned(), armour("autonomy-invite", bytes)];
    for text in texts {
        if let Ok(invite) = Invite::from_text(&text) {
            assert!(
                Invite::from_text(&invite.to_text()).is_ok_and(|again| again.to_bytes() == invite.to_bytes())
            );
        }
    }
    let [one, other] = [1, 2].map(|byte| AuthSeed::from_bytes(&[byte; 32]).root_key().public());
    let _ = SafetyNumber::between(&one, &other).compare(&armour("autonomy-safety", bytes));
}

/// A parcel is refused, or has exactly these bytes; what is cut into codes is put together again. The bytes are tried as
/// a parcel, as one with the right checksum, and as a code.
pub(crate) fn parcel(bytes: &[u8]) {
    let sum = Sha256::digest([b"autonomy parcel v1\0", bytes].concat());
    for bytes in [bytes, &[bytes, &sum[..8]].concat()] {
        if let Ok(parcel) = Parcel::parse(bytes) {
            assert_eq!(parcel.to_bytes(), bytes);
        }
    }
    let mut assembler = Assembler::new();
    let _ = assembler.add(&armour("autonomy-parcel", bytes));
    let mut assembler = Assembler::new();
    let row = parts(bytes).unwrap_or_default();
    if let Some(last) = row.iter().map(|line| assembler.add(line)).last() {
        assert_eq!(last, Ok(Assembly::Whole(bytes.to_vec())));
    }
}

/// A vCard is refused, or comes back from what is written of it.
pub(crate) fn vcard(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(card) = VCard::from_text(text) {
        assert_eq!(VCard::from_text(&card.to_text()), Ok(card));
    }
}

/// A window is refused, or has exactly these bytes, and goes on as one.
pub(crate) fn window(bytes: &[u8]) {
    let Ok(bytes) = bytes.try_into() else { return };
    let Some(mut window) = Window::from_bytes(bytes) else { return };
    assert_eq!(window.to_bytes(), *bytes);
    window.insert(window.next());
    assert!(!window.contains(window.next()) && window.end() >= window.next());
    assert_eq!(Window::from_bytes(&window.to_bytes()), Some(window));
}

/// A row of the messenger is refused, or written so that it reads the same. The first byte is the length of its key.
pub(crate) fn row(bytes: &[u8]) {
    let (key, value) = key_and_value(bytes);
    if let Ok(written) = rewritten(key, value) {
        assert_eq!(rewritten(key, &written).as_ref(), Ok(&written));
    }
}

/// Bytes of the corpus as the key and value of a row.
pub(crate) fn key_and_value(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (len, rest) = bytes.split_first().unwrap_or((&0, bytes));
    rest.split_at(usize::from(*len).min(rest.len()))
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
