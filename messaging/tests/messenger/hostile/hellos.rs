//! Those who have an invite.

use autonomy_messaging::{
    Access, CertificateRole, SigningKey, Validity,
    envelope::{Envelope, Ratchet},
    messenger::{Command, ContactId, ContactState, MailAnswer, RefusalReason},
    ratchet::Psk,
    wire::{Request, Response},
};
use ed25519_dalek::Signer as _;

use super::super::{
    ALICE, BOB, HOUR, accept,
    insider::{Papers, card, frame, long, redeem},
    invite, state,
    world::{START, World},
};

/// Most who may wait for confirmation of one invite.
const MAX_ASKING: usize = 8;

fn asking(world: &mut World) -> Vec<ContactId> {
    let MailAnswer::Contacts(contacts) = world.command(ALICE, Command::Contacts) else { panic!() };
    contacts.into_iter().map(|contact| contact.id).collect()
}

#[test]
fn requests_for_one_invite_are_bounded() {
    let mut world = World::new(2, 0);
    let invite = invite(&mut world, ALICE);
    let package = redeem(&mut world, &invite);
    for n in 0..20 {
        let papers = Papers::new(100 + n, &mut world.rng);
        let card = papers.card(1, papers.certificate(CertificateRole::Pod, 1, long()));
        let (_, hello) = papers.hello(&invite, &package, &invite.mls_psk(), &card, &mut world.rng);
        for _ in 0..2 {
            let answer = world.ask(invite.address().place, Request::Deposit(hello.clone()));
            assert_eq!(answer, Ok(Response::Done));
        }
    }
    let crowd = asking(&mut world);
    assert_eq!(crowd.len(), MAX_ASKING);
    let rows = world.pods[ALICE].disk.len();
    assert!(rows < 40 * MAX_ASKING, "{rows} rows");
    // The one it was meant for comes last, gets no refusal, and is accepted once there is room.
    accept(&mut world, BOB, &invite);
    world.pass(60);
    let bob = world.id(BOB);
    assert!(!asking(&mut world).contains(&bob));
    crowd.into_iter().for_each(|id| drop(world.command(ALICE, Command::Remove(id))));
    world.pass(7 * HOUR);
    assert_eq!(asking(&mut world), [bob]);
    world.command(ALICE, Command::Confirm(bob));
    world.pass(60);
    let alice = world.id(ALICE);
    assert_eq!(state(&mut world, BOB, alice), ContactState::Active);
}

/// The same card, with another certificate in it and signed again.
fn with_certificate(card: &[u8], certificate: &[u8], key: &SigningKey) -> Vec<u8> {
    // Magic and format (5), version (4), certificate; signature (64) at the end.
    let mut unsigned = card[..card.len() - 64].to_vec();
    unsigned[9..9 + certificate.len()].copy_from_slice(certificate);
    let signature = key.sign(&[b"autonomy card v1\0", unsigned.as_slice()].concat());
    [unsigned, signature.to_bytes().to_vec()].concat()
}

#[test]
fn an_introduction_that_does_not_hold_is_dropped() {
    let mut world = World::new(2, 0);
    let invite = invite(&mut world, ALICE);
    let package = redeem(&mut world, &invite);
    let papers = Papers::new(100, &mut world.rng);
    let other = Papers::new(101, &mut world.rng);
    let good = papers.certificate(CertificateRole::Pod, 1, long());
    let fine = papers.card(1, good);
    let device = papers.certificate(CertificateRole::Device { access: Access::Full }, 1, long());
    let over = papers.certificate(CertificateRole::Pod, 1, Validity::lasting(START - 1_000, 500));
    let early = papers.certificate(CertificateRole::Pod, 1, Validity::lasting(START + 3 * 86_400, 500));
    let of_alice = Papers::new(1, &mut world.rng);
    let herself = of_alice.certificate(CertificateRole::Pod, 1, long());
    let cards = [
        with_certificate(&fine, &device.to_bytes(), &papers.pod_key),
        papers.card(1, over),
        papers.card(1, early),
        card(1, good, other.own.leaf_key(), &papers.address, &papers.own, &papers.pod_key),
        with_certificate(
            &fine,
            &other.certificate(CertificateRole::Pod, 1, long()).to_bytes(),
            &papers.pod_key,
        ),
        card(1, herself, papers.own.leaf_key(), &papers.address, &papers.own, &of_alice.pod_key),
        fine[..100].to_vec(),
        vec![0; 4_000],
    ];
    let mut frames = Vec::new();
    for card in &cards {
        frames.push(papers.hello(&invite, &package, &invite.mls_psk(), card, &mut world.rng).1);
    }
    let psk = Psk::from_bytes(&[9; 32]);
    frames.push(papers.hello(&invite, &package, &psk, &fine, &mut world.rng).1);
    let elsewhere = other.own.public();
    frames.push(papers.hello(&invite, elsewhere, &invite.mls_psk(), &fine, &mut world.rng).1);
    let talk = Envelope::Ratchet(Ratchet { commit: None, message: vec![1; 100] }).to_bytes().unwrap();
    frames.push(frame(invite.address(), &invite.hello_key(), &talk, &mut world.rng));
    let count = frames.len() as u64;
    for frame in frames {
        assert_eq!(world.ask(invite.address().place, Request::Deposit(frame)), Ok(Response::Done));
    }
    assert_eq!(world.refused(ALICE).of(RefusalReason::Malformed), count);
    assert!(asking(&mut world).is_empty());

    let (_, hello) = papers.hello(&invite, &package, &invite.mls_psk(), &fine, &mut world.rng);
    assert_eq!(world.ask(invite.address().place, Request::Deposit(hello)), Ok(Response::Done));
    assert_eq!(asking(&mut world).len(), 1);
}
