//! The seeds of the fuzzer, and whatever it found, as ordinary tests.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

mod support;

#[path = "../fuzz/properties.rs"]
mod properties;

use std::path::Path;

use autonomy_messaging::card::UnverifiedCard;
use autonomy_messaging::carrier::Parcel;
use autonomy_messaging::envelope::Envelope;
use autonomy_messaging::frame::Frame;
use autonomy_messaging::invite::Invite;
use autonomy_messaging::messenger::rewritten;
use autonomy_messaging::packet::Packet;
use autonomy_messaging::payload::Payload;
use autonomy_messaging::provision::{DeviceRequest, PodRequest, SealedBundle, SealedGrant};
use autonomy_messaging::queue::QueueRecord;
use autonomy_messaging::vcard::VCard;
use autonomy_messaging::wire::{Request, Response};
use autonomy_messaging::{Access, CertificateRole, UnverifiedCertificate, Validity, Window};
use rand::Rng as _;
use rand::rngs::StdRng;
use support::samples::{
    sample_envelopes, sample_frame, sample_key, sample_packet, sample_parcel, sample_payloads, sample_queue,
    sample_requests, sample_responses, sample_vcard, sample_window,
};
use support::wire::{card, invite};
use support::{NOW, YEAR, bundle, device_request, grant, key, person, pod_request, public, sealing};

/// Every file of one target's corpus, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus of {target} is empty");
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

fn seed(target: &str, name: &str) -> Vec<u8> {
    corpus(target).into_iter().find(|(found, _)| found == name).unwrap().1
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn certificates_hold() {
    for (name, bytes) in corpus("certificate") {
        properties::certificate(&bytes);
        let good = UnverifiedCertificate::parse(&bytes).is_ok();
        assert_eq!(good, !name.starts_with("bad"), "{name}");
    }
}

#[test]
fn requests_hold() {
    for (name, bytes) in corpus("request") {
        properties::request(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let good = PodRequest::from_text(&text).is_ok() || DeviceRequest::from_text(&text).is_ok();
        assert_eq!(good, name.starts_with("good"), "{name}");
    }
}

#[test]
fn any_answer_parses_or_is_refused() {
    for (_, bytes) in corpus("answer") {
        properties::answer(&bytes);
    }
}

/// Replays a corpus; what is taken is what is called good.
fn hold(target: &str, property: impl Fn(&[u8]), taken: impl Fn(&[u8]) -> bool) {
    for (name, bytes) in corpus(target) {
        property(&bytes);
        assert_eq!(taken(&bytes), name.starts_with("good"), "{target}: {name}");
    }
}

#[test]
fn what_goes_over_the_wire_holds() {
    hold("frame", properties::frame, |bytes| Frame::parse(bytes).is_ok());
    hold("wire", properties::wire, |bytes| Request::parse(bytes).is_ok() || Response::parse(bytes).is_ok());
    hold("queue", properties::queue, |bytes| QueueRecord::from_bytes(bytes).is_some());
    hold("envelope", properties::envelope, |bytes| Envelope::parse(bytes).is_ok());
    hold("packet", properties::packet, |bytes| Packet::parse(bytes).is_ok());
    hold("payload", properties::payload, |bytes| Payload::parse(bytes).is_ok());
    let window = |bytes: &[u8]| bytes.try_into().is_ok_and(|bytes| Window::from_bytes(bytes).is_some());
    hold("window", properties::window, window);
    let row = |bytes: &[u8]| {
        let (key, value) = properties::key_and_value(bytes);
        rewritten(key, value).is_ok()
    };
    hold("row", properties::row, row);
}

#[test]
fn what_people_carry_holds() {
    hold("card", properties::card, |bytes| UnverifiedCard::parse(bytes).is_ok());
    hold("invite", properties::invite, |bytes| Invite::from_text(&String::from_utf8_lossy(bytes)).is_ok());
    hold("parcel", properties::parcel, |bytes| Parcel::parse(bytes).is_ok());
    hold("vcard", properties::vcard, |bytes| VCard::from_text(&String::from_utf8_lossy(bytes)).is_ok());
}

type Property = fn(&[u8]);

const TARGETS: [(&str, Property); 15] = [
    ("certificate", properties::certificate),
    ("request", properties::request),
    ("answer", properties::answer),
    ("frame", properties::frame),
    ("wire", properties::wire),
    ("queue", properties::queue),
    ("packet", properties::packet),
    ("payload", properties::payload),
    ("envelope", properties::envelope),
    ("card", properties::card),
    ("invite", properties::invite),
    ("parcel", properties::parcel),
    ("vcard", properties::vcard),
    ("window", properties::window),
    ("row", properties::row),
];

/// What a fuzzer does in its first moments: each seed cut, prolonged, with bits flipped, with bytes of another seed.
#[test]
fn changed_seeds_hold() {
    let mut rng = support::rng(14);
    for (target, property) in TARGETS {
        let seeds: Vec<Vec<u8>> = corpus(target).into_iter().map(|(_, bytes)| bytes).collect();
        for _ in 0..CHANGES {
            property(&changed(&seeds, &mut rng));
        }
    }
}

/// Changed seeds tried for each target, a second in all.
const CHANGES: usize = 200;

fn changed(seeds: &[Vec<u8>], rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = seeds[rng.gen_range(0..seeds.len())].clone();
    for _ in 0..rng.gen_range(1..4) {
        let at = rng.gen_range(0..=bytes.len());
        match rng.gen_range(0..5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.r#gen()),
            2 => {
                let other = &seeds[rng.gen_range(0..seeds.len())];
                let rest = other.get(at..).unwrap_or_default().to_vec();
                bytes.truncate(at);
                bytes.extend(rest);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.gen_range(0..8);
                }
            }
        }
    }
    bytes
}

/// The good seeds were written by the first version, byte for byte. Another encoding has to be another version,
/// and these files stay.
#[test]
fn the_formats_of_version_1_never_change() {
    let certify = |role| person(1).root_key().certify(role, &public(5), 3, Validity::lasting(NOW, YEAR));
    let device = CertificateRole::Device { access: Access::Limited };
    assert_eq!(certify(CertificateRole::Pod).to_bytes().to_vec(), seed("certificate", "good-pod"));
    assert_eq!(certify(device).to_bytes().to_vec(), seed("certificate", "good-device"));
    assert_eq!(pod_request().to_text(), text(seed("request", "good-pod")));
    assert_eq!(device_request().to_text(), text(seed("request", "good-device")));

    let answer = text(seed("answer", "bundle"));
    let opened = SealedBundle::from_text(&answer).unwrap().open(&sealing(21), &pod_request(), NOW).unwrap();
    assert_eq!(opened.pod_certificate(), bundle().pod_certificate());

    let answer = text(seed("answer", "grant"));
    let opened = SealedGrant::from_text(&answer).unwrap().open(&sealing(41), &device_request(), NOW).unwrap();
    assert_eq!(opened.account_maps(), grant().account_maps());
}

/// The same for what pods say to each other and to places.
#[test]
fn the_formats_of_messages_of_version_1_never_change() {
    for (name, request) in sample_requests() {
        assert_eq!(request.to_bytes(), seed("wire", name), "{name}");
    }
    for (name, response) in sample_responses() {
        assert_eq!(response.to_bytes(), seed("wire", name), "{name}");
    }
    for (name, payload) in sample_payloads() {
        assert_eq!(payload.to_bytes().to_vec(), seed("payload", name), "{name}");
    }
    for (name, envelope) in sample_envelopes() {
        assert_eq!(envelope.to_bytes().unwrap(), seed("envelope", name), "{name}");
    }
    assert_eq!(sample_queue().to_bytes().to_vec(), seed("queue", "good"));
    assert_eq!(sample_packet().to_bytes().unwrap().to_vec(), seed("packet", "good"));
    assert_eq!(sample_window().to_bytes().to_vec(), seed("window", "good"));
    assert_eq!(sample_parcel().to_bytes(), seed("parcel", "good"));
    assert_eq!(sample_vcard().to_text(), text(seed("vcard", "good")));
    assert_eq!(card().sign(&key(20)).unwrap().into_bytes(), seed("card", "good"));
    assert_eq!(invite().to_text(), text(seed("invite", "good")));

    // A blob is never sealed the same way twice; what was sealed by the first version still opens.
    let frame = Frame::parse(&seed("frame", "good")).unwrap();
    assert_eq!(frame.queue, sample_frame().queue);
    assert_eq!(sample_key().open(&frame.queue, &frame.blob).unwrap().as_slice(), b"hello");
}
