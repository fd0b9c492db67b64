//! The root says "this is my pod" and "this is my device"; others believe it, or have a reason not to.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use autonomy_messaging::{
    Access, CERTIFICATE_LEN, CLOCK_SKEW, Certificate, CertificateError, CertificateRole, EmptyValidity,
    MalformedCertificate, RoleKind, RootPublic, UnverifiedCertificate, Validity,
};
use proptest::prelude::*;
use support::{NOW, YEAR, person, public};

const DEVICE: CertificateRole = CertificateRole::Device { access: Access::Limited };

fn root() -> RootPublic {
    person(1).root_key().public()
}

fn certify(role: CertificateRole, subject: u8, epoch: u64) -> Certificate {
    person(1).root_key().certify(role, &public(subject), epoch, Validity::lasting(NOW, YEAR))
}

fn parsed(certificate: &Certificate) -> UnverifiedCertificate {
    UnverifiedCertificate::parse(&certificate.to_bytes()).unwrap()
}

#[test]
fn certificate_written_and_read_verifies() {
    let sent = certify(DEVICE, 5, 3);
    let came = parsed(&sent).verify(&root(), RoleKind::Device, NOW + 1).unwrap();
    assert_eq!(came, sent);
    assert_eq!(came.subject(), public(5));
    assert_eq!(came.role(), DEVICE);
    assert_eq!(came.access(), Some(Access::Limited));
    assert_eq!(came.epoch(), 3);
    assert_eq!(came.root(), root());
    assert_eq!((came.validity().not_before(), came.validity().not_after()), (NOW, NOW + YEAR));
    assert_eq!(certify(CertificateRole::Pod, 5, 3).access(), None);
}

#[test]
fn a_stranger_s_certificate_is_refused() {
    let found = person(2).root_key().public();
    let forged = person(2).root_key().certify(DEVICE, &public(5), 3, Validity::lasting(NOW, YEAR));
    let error = parsed(&forged).verify(&root(), RoleKind::Device, NOW).unwrap_err();
    assert_eq!(error, CertificateError::WrongRoot { expected: root(), found });
    // Alice's name on Bob's signature does not help.
    let mut bytes = forged.to_bytes();
    bytes[62..94].copy_from_slice(root().as_bytes());
    let error =
        UnverifiedCertificate::parse(&bytes).unwrap().verify(&root(), RoleKind::Device, NOW).unwrap_err();
    assert_eq!(error, CertificateError::BadSignature);
}

#[test]
fn a_pod_is_no_device_and_a_device_no_pod() {
    let error =
        parsed(&certify(CertificateRole::Pod, 5, 3)).verify(&root(), RoleKind::Device, NOW).unwrap_err();
    assert_eq!(error, CertificateError::WrongRole { expected: RoleKind::Device, found: RoleKind::Pod });
    assert_eq!(error.to_string(), "this is the certificate of a pod, not of a device");
    let error = parsed(&certify(DEVICE, 5, 3)).verify(&root(), RoleKind::Pod, NOW).unwrap_err();
    assert_eq!(error, CertificateError::WrongRole { expected: RoleKind::Pod, found: RoleKind::Device });
}

#[test]
fn it_holds_from_its_first_to_its_last_second() {
    let certificate = parsed(&certify(DEVICE, 5, 3));
    let at = |now| certificate.verify(&root(), RoleKind::Device, now).map(|_| ());
    assert_eq!(at(NOW), Ok(()));
    assert_eq!(at(NOW + YEAR), Ok(()));
    let now = NOW + YEAR + 1;
    assert_eq!(at(now), Err(CertificateError::Expired { not_after: NOW + YEAR, now }));
    assert_eq!(at(u64::MAX), Err(CertificateError::Expired { not_after: NOW + YEAR, now: u64::MAX }));
}

#[test]
fn clock_skew_of_a_day_is_accepted_and_no_more() {
    let certificate = parsed(&certify(DEVICE, 5, 3));
    let at = |now| certificate.verify(&root(), RoleKind::Device, now).map(|_| ());
    assert_eq!(at(NOW - CLOCK_SKEW), Ok(()));
    let now = NOW - CLOCK_SKEW - 1;
    assert_eq!(at(now), Err(CertificateError::NotYetValid { not_before: NOW, now }));
    assert_eq!(at(0), Err(CertificateError::NotYetValid { not_before: NOW, now: 0 }));
}

#[test]
fn a_newer_epoch_replaces_an_older_one_and_never_the_other_way() {
    let (old, new) = (certify(CertificateRole::Pod, 5, 3), certify(CertificateRole::Pod, 6, 4));
    assert_eq!(new.replaces(&old), Ok(()));
    assert_eq!(old.replaces(&new), Err(CertificateError::OlderEpoch { pinned: 4, found: 3 }));
    // The same key may be certified again in its epoch, a second key may not.
    assert_eq!(old.replaces(&certify(CertificateRole::Pod, 5, 3)), Ok(()));
    assert_eq!(certify(CertificateRole::Pod, 7, 3).replaces(&old), Err(CertificateError::SameEpoch(3)));
}

#[test]
fn a_validity_ends_after_it_begins() {
    assert_eq!(Validity::new(2, 1), Err(EmptyValidity));
    assert!(Validity::new(1, 1).is_ok());
    assert_eq!(Validity::lasting(NOW, u64::MAX).not_after(), u64::MAX);
}

#[test]
fn every_single_flipped_bit_is_refused() {
    let good = certify(DEVICE, 5, 3).to_bytes();
    for bit in 0..good.len() * 8 {
        let mut bytes = good;
        bytes[bit / 8] ^= 1 << (bit % 8);
        let verify = |c: UnverifiedCertificate| {
            c.verify(&root(), RoleKind::Device, NOW)
                .or_else(|_| c.verify(&root(), RoleKind::Pod, NOW))
                .is_ok()
        };
        assert!(
            !UnverifiedCertificate::parse(&bytes).is_ok_and(verify),
            "bit {bit} was flipped and nobody saw it"
        );
    }
}

#[test]
fn malformed_bytes_say_what_is_wrong() {
    let good = certify(DEVICE, 5, 3).to_bytes();
    let with = |at: usize, new: &[u8]| {
        let mut bytes = good;
        bytes[at..at + new.len()].copy_from_slice(new);
        UnverifiedCertificate::parse(&bytes).unwrap_err()
    };
    assert_eq!(with(0, b"x"), MalformedCertificate::NotACertificate);
    assert_eq!(with(4, &[2]), MalformedCertificate::Version(2));
    assert_eq!(with(5, &[4]), MalformedCertificate::CertificateRole(4));
    assert_eq!(with(6, &[0; 32]), MalformedCertificate::Subject);
    assert_eq!(with(46, &[0xff; 8]), MalformedCertificate::Validity);
    assert_eq!(with(62, &[0; 32]), MalformedCertificate::Root);
    for len in [0, 1, CERTIFICATE_LEN - 1, CERTIFICATE_LEN + 1, 100_000] {
        let mut bytes = good.to_vec();
        bytes.resize(len, 0);
        assert_eq!(UnverifiedCertificate::parse(&bytes).unwrap_err(), MalformedCertificate::Length(len));
    }
}

/// What was stored is checked again when it is read.
#[test]
fn a_certificate_from_the_store_is_unverified_again() {
    let stored: UnverifiedCertificate = certify(DEVICE, 5, 3).into();
    assert_eq!(stored.claimed_root(), root());
    assert!(stored.verify(&root(), RoleKind::Device, NOW + 2 * YEAR).is_err());
}

fn any_role() -> impl Strategy<Value = CertificateRole> {
    prop_oneof![
        Just(CertificateRole::Pod),
        prop_oneof![Just(Access::Minimal), Just(Access::Limited), Just(Access::Full)]
            .prop_map(|access| CertificateRole::Device { access }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_certificate_reads_as_it_was_written(
        role in any_role(), subject in 1u8.., epoch: u64, from: u64, lasts: u64,
    ) {
        let validity = Validity::lasting(from, lasts);
        let sent = person(1).root_key().certify(role, &public(subject), epoch, validity);
        let came = parsed(&sent).verify(&root(), role.kind(), from).unwrap();
        prop_assert_eq!(came, sent);
        prop_assert_eq!(came.to_bytes(), sent.to_bytes());
    }

    #[test]
    fn any_bytes_are_read_one_way_or_refused(at in 0usize..158, new in proptest::collection::vec(any::<u8>(), 1..40)) {
        let mut bytes = certify(DEVICE, 5, 3).to_bytes();
        let at = at.min(bytes.len() - new.len());
        let good = bytes;
        bytes[at..at + new.len()].copy_from_slice(&new);
        if let Ok(certificate) = UnverifiedCertificate::parse(&bytes) {
            let taken = certificate.verify(&root(), RoleKind::Device, NOW);
            prop_assert_eq!(taken.is_ok(), bytes == good);
        }
    }
}
