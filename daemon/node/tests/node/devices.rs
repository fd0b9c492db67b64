//! Who may enter a pod, and how far.

use autonomy_api::{Access, AccountKind, BeginAccount, DeviceKey, EventKind};
use autonomy_messaging::{AuthSeed, SigningKey, provision::SealedBundle};
use autonomy_node::{Answer, Caller, Command, Effect, Refusal};

use crate::world::{World, read};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn caller(key: &SigningKey) -> Caller {
    Caller::Device(DeviceKey(key.verifying_key().to_bytes()))
}

#[test]
fn a_pod_without_an_owner_does_nothing_but_wait_for_one() {
    let mut world = World::new();
    assert_eq!(world.refused(world.device.caller(), Command::Status), Refusal::NotAdmitted);
    let begin = Command::BeginAccount(BeginAccount { name: read("main"), kind: AccountKind::TwoOfThree });
    assert_eq!(world.refused(Caller::Owner, begin), Refusal::NotAdopted);
    let bundle = world.bundle(1);
    assert_eq!(world.ask(Caller::Owner, Command::Adopt(bundle)), Ok(Answer::Adopted));
    assert!(world.effects.contains(&Effect::Adopted));
    assert!(world.ask(world.device.caller(), Command::Status).is_ok());
}

#[test]
fn a_pod_with_an_owner_is_nobody_elses() {
    let mut world = World::adopted();
    world.device.auth = AuthSeed::from_bytes(&[66; 32]);
    let bundle = world.bundle(2);
    let refusal = world.refused(Caller::Owner, Command::Adopt(bundle));
    assert!(refusal.to_string().contains("belongs to somebody else"), "{refusal}");
}

#[test]
fn a_pod_whose_certificate_has_run_out_gets_another() {
    let mut world = World::adopted();
    world.now += 11 * 365 * 86_400;
    world.restart();
    let older = world.bundle(0);
    assert!(matches!(world.refused(Caller::Owner, Command::Adopt(older)), Refusal::Invalid { .. }));
    let newer = world.bundle(2);
    assert_eq!(world.ask(Caller::Owner, Command::Adopt(newer)), Ok(Answer::Adopted));
    assert!(world.device_asks(Command::Status).is_ok());
}

#[test]
fn a_bundle_for_another_pod_or_a_damaged_one_is_refused() {
    let mut other = World::seeded(8);
    let foreign = {
        let mut elsewhere = World::adopted();
        elsewhere.restart();
        elsewhere.bundle(1)
    };
    let text = foreign.to_text();
    let refusal = other.refused(Caller::Owner, Command::Adopt(foreign));
    assert!(matches!(refusal, Refusal::Invalid { field: "bundle", .. }), "{refusal}");
    for text in [text.replace('a', "b").as_str(), "", "autonomy-bundle1xyz"] {
        assert!(SealedBundle::from_text(text).is_err(), "{text}");
    }
}

#[test]
fn a_device_goes_as_far_as_its_access_level() {
    let mut world = World::adopted();
    let laptop = key(20);
    let newcomer = world.newcomer(&laptop, Access::Limited);
    world.device_asks(Command::AddDevice(newcomer)).unwrap();
    assert!(world.ask(caller(&laptop), Command::Accounts).is_ok());
    let refusal = world.refused(caller(&laptop), Command::Devices);
    assert_eq!(refusal, Refusal::AccessTooLow { needed: Access::Full, has: Access::Limited });

    let watch = key(21);
    let newcomer = world.newcomer(&watch, Access::Minimal);
    world.device_asks(Command::AddDevice(newcomer)).unwrap();
    assert!(world.ask(caller(&watch), Command::Status).is_ok());
    assert!(matches!(world.refused(caller(&watch), Command::Accounts), Refusal::AccessTooLow { .. }));
}

#[test]
fn a_revoked_device_is_shut_out_with_the_very_next_request() {
    let mut world = World::adopted();
    let laptop = key(20);
    let newcomer = world.newcomer(&laptop, Access::Full);
    world.device_asks(Command::AddDevice(newcomer)).unwrap();
    world.told();
    let id = DeviceKey(laptop.verifying_key().to_bytes());
    world.device_asks(Command::RevokeDevice(id)).unwrap();
    let admitted = world.effects.iter().rev().find_map(|effect| match effect {
        Effect::Admit { devices, .. } => Some(devices.clone()),
        _ => None,
    });
    assert!(admitted.unwrap().iter().all(|(device, _)| *device != id));
    assert!(world.told().iter().any(|event| matches!(event, EventKind::DeviceRevoked { .. })));
    assert_eq!(world.refused(caller(&laptop), Command::Status), Refusal::NotAdmitted);
    world.restart();
    assert_eq!(world.refused(caller(&laptop), Command::Status), Refusal::NotAdmitted);
}

#[test]
fn a_revoked_device_returns_only_with_a_newer_certificate() {
    let mut world = World::adopted();
    let laptop = key(20);
    let newcomer = world.newcomer(&laptop, Access::Full);
    world.device_asks(Command::AddDevice(newcomer.clone())).unwrap();
    let id = DeviceKey(laptop.verifying_key().to_bytes());
    world.device_asks(Command::RevokeDevice(id)).unwrap();
    world.restart();
    let refusal = world.refused(world.device.caller(), Command::AddDevice(newcomer.clone()));
    assert!(matches!(refusal, Refusal::Invalid { field: "certificate", .. }), "{refusal}");
    let bundle = world.bundle(2);
    world.ask(Caller::Owner, Command::Adopt(bundle)).unwrap();
    let refusal = world.refused(world.device.caller(), Command::AddDevice(newcomer));
    assert!(refusal.to_string().contains("revoked"), "a new bundle does not forget it: {refusal}");

    let renewed = world.certified(&laptop, Access::Full, 2);
    world.device_asks(Command::AddDevice(renewed)).unwrap();
    assert!(world.ask(caller(&laptop), Command::Status).is_ok());
}

#[test]
fn a_descriptor_key_is_given_once_and_goes_with_its_device() {
    let mut world = World::adopted();
    let spare = |world: &mut World| match world.device_asks(Command::Devices).unwrap() {
        Answer::Devices(devices) => devices.spare_descriptor_keys,
        other => panic!("{other:?}"),
    };
    let before = spare(&mut world);
    assert_eq!(before.len(), 4);
    let laptop = key(20);
    let mut newcomer = world.newcomer(&laptop, Access::Full);
    newcomer.descriptor_key = before[0];
    world.device_asks(Command::AddDevice(newcomer)).unwrap();
    assert_eq!(spare(&mut world), before[1..]);
    world.device_asks(Command::RevokeDevice(DeviceKey(laptop.verifying_key().to_bytes()))).unwrap();
    assert_eq!(spare(&mut world), before[1..], "the shut-out device knows this key");
}

#[test]
fn an_expired_or_foreign_certificate_admits_nobody() {
    let mut world = World::adopted();
    let laptop = key(20);
    let mut forged = world.newcomer(&laptop, Access::Full);
    let honest = std::mem::replace(&mut world.device.auth, AuthSeed::from_bytes(&[66; 32]));
    forged.certificate = world.newcomer(&laptop, Access::Full).certificate;
    world.device.auth = honest;
    let refusal = world.refused(world.device.caller(), Command::AddDevice(forged));
    assert!(matches!(refusal, Refusal::Invalid { field: "certificate", .. }), "{refusal}");

    let newcomer = world.newcomer(&laptop, Access::Full);
    world.device_asks(Command::AddDevice(newcomer)).unwrap();
    world.now += 2 * 86_400;
    let refusal = world.refused(caller(&laptop), Command::Status);
    assert!(matches!(refusal, Refusal::CertificateInvalid(_)), "{refusal}");
}
