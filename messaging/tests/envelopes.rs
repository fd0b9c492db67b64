//! What lies under the outer seal; and that a new session is begun by the contact's pod, with us, and by nobody else.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use autonomy_messaging::envelope::{
    Envelope, EnvelopeTooLong, Hello, MAX_HELLO_PACKET, MAX_RESET_PACKET, MalformedEnvelope, Ratchet, Reset,
    ResetError,
};
use autonomy_messaging::frame::MAX_CONTENT;
use autonomy_messaging::packet::MAX_PACKET;
use autonomy_messaging::ratchet::{MAX_COMMIT, MAX_WELCOME, OVERHEAD};
use autonomy_messaging::{Access, CertificateError, CertificateRole, RoleKind, RootPublic, Validity};
use proptest::prelude::*;
use support::wire::pod_certificate;
use support::{NOW, YEAR, key, person, public};

fn root(byte: u8) -> RootPublic {
    person(byte).root_key().public()
}

/// Alice's pod begins session 3 with Bob.
fn reset() -> Reset {
    Reset::sign(&key(20), &pod_certificate(), &root(2), 3, vec![7; 100], vec![8; 50])
}

fn envelopes() -> Vec<Envelope> {
    vec![
        Envelope::Hello(Hello { welcome: vec![1; 40], message: vec![2; 30] }),
        Envelope::Ratchet(Ratchet { commit: None, message: vec![2; 30] }),
        Envelope::Ratchet(Ratchet { commit: Some(vec![3; 20]), message: vec![2; 30] }),
        Envelope::Reset(Box::new(reset())),
    ]
}

#[test]
fn every_envelope_travels() {
    for sent in envelopes() {
        let bytes = sent.to_bytes().unwrap();
        assert_eq!(bytes.len(), sent.encoded_len());
        assert_eq!(Envelope::parse(&bytes).unwrap(), sent);
    }
}

#[test]
fn the_longest_of_each_fits_a_frame() {
    let message = |packet| vec![2; packet + OVERHEAD];
    let welcome = || vec![1; MAX_WELCOME];
    let ratchet = Ratchet { commit: Some(vec![3; MAX_COMMIT]), message: message(MAX_PACKET) };
    let hello = Hello { welcome: welcome(), message: message(MAX_HELLO_PACKET) };
    let reset = Reset::sign(&key(20), &pod_certificate(), &root(2), 3, welcome(), message(MAX_RESET_PACKET));
    for sent in [Envelope::Ratchet(ratchet), Envelope::Hello(hello), Envelope::Reset(Box::new(reset))] {
        assert_eq!(Envelope::parse(&sent.to_bytes().unwrap()).unwrap(), sent);
    }
    let hello = Hello { welcome: welcome(), message: message(MAX_HELLO_PACKET + 1) };
    assert_eq!(Envelope::Hello(hello).to_bytes().unwrap_err(), EnvelopeTooLong(MAX_CONTENT + 1));
}

#[test]
fn malformed_envelopes_say_what_is_wrong() {
    for sent in envelopes() {
        let good = sent.to_bytes().unwrap();
        for len in 0..good.len() {
            assert_eq!(Envelope::parse(&good[..len]).unwrap_err(), MalformedEnvelope::Field, "{len}");
        }
        assert!(Envelope::parse(&[good.as_slice(), &[0]].concat()).is_err());
    }
    assert_eq!(Envelope::parse(&[2, 1]).unwrap_err(), MalformedEnvelope::Version(2));
    assert_eq!(Envelope::parse(&[1, 9]).unwrap_err(), MalformedEnvelope::Kind(9));
    let long = vec![1; MAX_CONTENT + 1];
    assert_eq!(Envelope::parse(&long).unwrap_err(), MalformedEnvelope::Length(MAX_CONTENT + 1));
}

#[test]
fn oversized_welcome_or_commit_and_empty_message_are_refused() {
    let refused = |envelope: Envelope| {
        let bytes = envelope.to_bytes().unwrap();
        assert_eq!(Envelope::parse(&bytes).unwrap_err(), MalformedEnvelope::Field);
    };
    refused(Envelope::Hello(Hello { welcome: vec![1; MAX_WELCOME + 1], message: vec![2] }));
    refused(Envelope::Hello(Hello { welcome: vec![], message: vec![2] }));
    refused(Envelope::Hello(Hello { welcome: vec![1], message: vec![] }));
    refused(Envelope::Ratchet(Ratchet { commit: Some(vec![1; MAX_COMMIT + 1]), message: vec![2] }));
    refused(Envelope::Ratchet(Ratchet { commit: None, message: vec![] }));
}

#[test]
fn a_reset_convinces_the_one_it_is_for() {
    let verified = reset().verify(&root(1), &root(2), NOW).unwrap();
    assert_eq!((verified.generation, verified.certificate), (3, pod_certificate()));
    assert_eq!((verified.welcome, verified.message), (vec![7; 100], vec![8; 50]));
    assert_eq!(reset().claimed_generation(), 3);
}

#[test]
fn a_reset_for_somebody_else_or_from_somebody_else_is_refused() {
    // Carol passes Alice's reset for Bob on to Dora, or back to Alice as if it were Bob's.
    assert_eq!(reset().verify(&root(1), &root(3), NOW).unwrap_err(), ResetError::BadSignature);
    let refused = |error| ResetError::Certificate(error);
    let stranger = CertificateError::WrongRoot { expected: root(2), found: root(1) };
    assert_eq!(reset().verify(&root(2), &root(1), NOW).unwrap_err(), refused(stranger));
    // Somebody who has Alice's certificate but not her pod's key.
    let forged = Reset::sign(&key(21), &pod_certificate(), &root(2), 3, vec![7], vec![8]);
    assert_eq!(forged.verify(&root(1), &root(2), NOW).unwrap_err(), ResetError::BadSignature);
    let over = CertificateError::Expired { not_after: NOW + YEAR, now: NOW + YEAR + 1 };
    assert_eq!(reset().verify(&root(1), &root(2), NOW + YEAR + 1).unwrap_err(), refused(over));
    // A device of Alice is not her pod.
    let device = CertificateRole::Device { access: Access::Full };
    let device = person(1).root_key().certify(device, &public(20), 1, Validity::lasting(NOW, YEAR));
    let role = CertificateError::WrongRole { expected: RoleKind::Pod, found: RoleKind::Device };
    let forged = Reset::sign(&key(20), &device, &root(2), 3, vec![7], vec![8]);
    assert_eq!(forged.verify(&root(1), &root(2), NOW).unwrap_err(), refused(role));
}

/// The message authenticates itself (the ratchet); everything before it is under the pod's signature.
#[test]
fn every_bit_of_a_reset_up_to_its_message_counts() {
    let good = Envelope::Reset(Box::new(reset())).to_bytes().unwrap();
    for bit in 0..(good.len() - 52) * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(Envelope::Reset(reset)) = Envelope::parse(&bytes) {
            assert!(
                reset.verify(&root(1), &root(2), NOW).is_err(),
                "bit {bit} was flipped and nobody saw it"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes_are_one_envelope_or_none(kind in 0u8..5, which in 0usize..4, at: prop::sample::Index, new: u8, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut changed = envelopes()[which].to_bytes().unwrap();
        let at = at.index(changed.len());
        changed[at] = new;
        for bytes in [changed, [&[1, kind], bytes.as_slice()].concat()] {
            if let Ok(envelope) = Envelope::parse(&bytes) {
                prop_assert_eq!(envelope.to_bytes().unwrap(), bytes);
            }
        }
    }
}
