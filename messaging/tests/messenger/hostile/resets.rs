//! New groups that nobody should begin, and old ones that come again.

use autonomy_messaging::messenger::RefusalReason;
use autonomy_messaging::{Access, CertificateRole, RootPublic, Validity, messenger::Notice};

use super::super::{
    ALICE, HOUR,
    insider::{Insider, Papers, long},
    world::{START, World},
};

fn alice(world: &World) -> RootPublic {
    world.pods[ALICE].own.root
}

fn rekeyed(world: &World) -> usize {
    world.pods[ALICE].notices.iter().filter(|notice| matches!(notice, Notice::Rekeyed(_))).count()
}

#[test]
fn a_reset_that_does_not_hold_changes_nothing() {
    let mut world = World::new(1, 0);
    let mut mallory = Insider::new(&mut world, 100);
    let to = alice(&world);
    let stranger = Papers::new(101, &mut world.rng);
    let bad = [
        mallory.certificate(CertificateRole::Device { access: Access::Full }, 6, long()),
        mallory.certificate(CertificateRole::Pod, 6, Validity::lasting(START - 1_000, 500)),
        mallory.certificate(CertificateRole::Pod, 4, long()),
        stranger.certificate(CertificateRole::Pod, 6, long()),
    ];
    let before = world.refused(ALICE).of(RefusalReason::Foreign);
    for certificate in &bad {
        let (_, frame) = mallory.reset(&mut world, &to, START + 1_000_000, certificate);
        mallory.deposit(&mut world, frame);
    }
    // Meant for somebody else.
    let good = mallory.certificate(CertificateRole::Pod, 5, long());
    let (_, frame) = mallory.reset(&mut world, &stranger.root.public(), START + 1_000_000, &good);
    mallory.deposit(&mut world, frame);
    assert_eq!(world.refused(ALICE).of(RefusalReason::Foreign), before + 5);
    assert_eq!(rekeyed(&world), 0);
    mallory.assert_talks(&mut world);
}

#[test]
fn an_old_reset_that_is_replayed_re_keys_nothing() {
    let mut world = World::new(1, 0);
    let mut mallory = Insider::new(&mut world, 100);
    let to = alice(&world);
    let certificate = mallory.certificate(CertificateRole::Pod, 5, long());
    let mut frames = Vec::new();
    for n in 1..4 {
        let (session, frame) = mallory.reset(&mut world, &to, START + n, &certificate);
        mallory.move_to(session);
        mallory.deposit(&mut world, frame.clone());
        frames.push(frame);
        mallory.assert_talks(&mut world);
    }
    assert_eq!(rekeyed(&world), 3);
    for _ in 0..5 {
        for frame in &frames {
            mallory.deposit(&mut world, frame.clone());
        }
        world.pass(HOUR);
    }
    assert_eq!(rekeyed(&world), 3);
    mallory.collect();
    mallory.assert_talks(&mut world);
}

#[test]
fn reset_with_an_older_generation_is_answered_by_ours() {
    let mut world = World::new(1, 0);
    let mut mallory = Insider::new(&mut world, 100);
    let to = alice(&world);
    let certificate = mallory.certificate(CertificateRole::Pod, 5, long());
    let (session, frame) = mallory.reset(&mut world, &to, START + 100, &certificate);
    mallory.move_to(session);
    mallory.deposit(&mut world, frame);
    mallory.assert_talks(&mut world);
    world.pass(HOUR);
    let before = world.pods[ALICE].disk.clone();
    for generation in 1..20 {
        let (_, frame) = mallory.reset(&mut world, &to, START + generation, &certificate);
        mallory.deposit(&mut world, frame);
    }
    // She begins one group of her own, and waits for the answer there.
    let pages = |disk: &std::collections::BTreeMap<Vec<u8>, Vec<u8>>| {
        disk.keys().filter(|key| key[0] == b'k').count()
    };
    assert!(pages(&world.pods[ALICE].disk) <= 2 * pages(&before));
    assert_eq!(rekeyed(&world), 1);
    // A reset with a higher number than hers is taken: the two talk again.
    let higher = world.now + 1_000;
    let (session, frame) = mallory.reset(&mut world, &to, higher, &certificate);
    world.pass(5);
    mallory.collect();
    mallory.move_to(session);
    mallory.deposit(&mut world, frame);
    world.pass(60);
    mallory.collect();
    mallory.assert_talks(&mut world);
}
