//! The seeds of the fuzzer, and whatever it found, as ordinary tests.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

#[path = "../fuzz/properties.rs"]
mod properties;

use std::path::Path;

use autonomy_messaging::provision::{DeviceRequest, PodRequest, SealedBundle, SealedGrant};
use autonomy_messaging::{Access, Role, UnverifiedCertificate, Validity};
use support::{NOW, YEAR, bundle, device_request, grant, person, pod_request, public, sealing};

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
fn answers_hold() {
    for (_, bytes) in corpus("answer") {
        properties::answer(&bytes);
    }
}

/// The good seeds were written by the first version, byte for byte. Another encoding has to be another version,
/// and these files stay.
#[test]
fn the_formats_of_version_1_never_change() {
    let certify = |role| person(1).root_key().certify(role, &public(5), 3, Validity::lasting(NOW, YEAR));
    let device = Role::Device { access: Access::Limited };
    assert_eq!(certify(Role::Pod).to_bytes().to_vec(), seed("certificate", "good-pod"));
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
