//! A further device: it requests access, is added, checks what it sees, and cannot pay.

use autonomy_client::{
    Device, DeviceError, PodClient, Profile, ProvisionError, Transport, profile::NewProfile,
};
use autonomy_messaging::Access;
use autonomy_wallet::{
    account::{AccountMap, Birthday, MapKind, Member, MemberLabel, Plan},
    bitcoin::Network,
    keys::{AccountIndex, RecoveryKey, Seed},
};

use crate::world::{World, key, now};

fn newcomer(world: &World) -> Profile {
    let new_profile = NewProfile { name: "laptop".into(), auth_seed: None, payment_seed: None };
    Profile::create(&world.dir.path().join("laptop"), &key(), new_profile).unwrap()
}

#[tokio::test]
async fn new_device_checks_addresses_and_cannot_pay() {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    let mut laptop = newcomer(&world);
    let request = laptop.device_request().unwrap();
    let let_in = world.device.let_in(&request, Some("Laptop"), Access::Limited, now()).await.unwrap();
    laptop.join(&let_in.grant, now()).unwrap();
    assert!(
        world
            .device
            .pod
            .devices()
            .await
            .unwrap()
            .devices
            .iter()
            .any(|device| device.name.as_str() == "Laptop")
    );

    let pod = PodClient::new(Transport::socket(&world.socket));
    let mut laptop = Device { profile: laptop, pod };
    laptop.status().await.unwrap();
    laptop.receive(&id, false).await.unwrap();
    let error = laptop.draft(&id, &World::pays(10_000)).await.unwrap_err();
    assert!(matches!(error, DeviceError::NoPaymentKey { .. }), "{error}");
    let request = laptop.profile.device_request().unwrap();
    let error = laptop.let_in(&request, None, Access::Full, now()).await.unwrap_err();
    assert!(matches!(error, ProvisionError::NoAuthSeed), "{error}");
}

/// A map of the owner's own, as if the account had been made long ago.
fn old_map(index: u32) -> AccountMap {
    let (network, account) = (Network::Regtest, AccountIndex::new(index).unwrap());
    let member = |label, byte: u8| {
        let seed = Seed::from_entropy(&[byte; 32]).unwrap();
        Member::new(label, *seed.account_key(network, account).public())
    };
    let recovery = RecoveryKey::from_parts(&[5; 32], &[6; 32]).unwrap().public(network, account);
    let recovery = Member::new(MemberLabel::R, recovery);
    let members = [member(MemberLabel::P, 3), recovery, member(MemberLabel::G, 9)];
    let plan = Plan {
        name: format!("account {index}"),
        kind: MapKind::Personal,
        threshold: 2,
        network,
        birthday: Birthday { height: 100 + index, time: 1_700_000_000 },
    };
    AccountMap::rebuild(plan, &members, &members[0]).unwrap()
}

#[tokio::test]
async fn grant_holds_newest_maps_and_names_omitted_ones() {
    let mut world = World::new().await;
    for index in (0..18).rev() {
        world.device.profile.import_account(old_map(index), now()).unwrap();
    }
    let mut laptop = newcomer(&world);
    let request = laptop.device_request().unwrap();
    let let_in = world.device.let_in(&request, None, Access::Limited, now()).await.unwrap();
    assert_eq!(let_in.left_out, ["account 0", "account 1"]);
    laptop.join(&let_in.grant, now()).unwrap();
    assert_eq!(laptop.accounts().count(), 16);
    assert!(laptop.account(&old_map(17).id()).is_some() && laptop.account(&old_map(1).id()).is_none());
}

#[tokio::test]
async fn each_device_gets_its_own_descriptor_key_until_none_left() {
    let mut world = World::new().await;
    for number in 0..4 {
        let new_profile =
            NewProfile { name: format!("device {number}"), auth_seed: None, payment_seed: None };
        let dir = world.dir.path().join(format!("d{number}"));
        let request = Profile::create(&dir, &key(), new_profile).unwrap().device_request().unwrap();
        world.device.let_in(&request, None, Access::Minimal, now()).await.unwrap();
    }
    assert!(world.device.pod.devices().await.unwrap().spare_descriptor_keys.is_empty());
    let request = newcomer(&world).device_request().unwrap();
    let error = world.device.let_in(&request, None, Access::Minimal, now()).await.unwrap_err();
    assert!(matches!(error, ProvisionError::NoSpareKey), "{error}");
}

#[tokio::test]
async fn foreign_or_altered_grant_is_refused_without_effect() {
    let mut world = World::new().await;
    let request = newcomer(&world).device_request().unwrap();
    let let_in = world.device.let_in(&request, None, Access::Limited, now()).await.unwrap();
    let new_profile = NewProfile { name: "other".into(), auth_seed: None, payment_seed: None };
    let mut other = Profile::create(&world.dir.path().join("other"), &key(), new_profile).unwrap();
    assert!(matches!(other.join(&let_in.grant, now()), Err(ProvisionError::Answer(_))));
    assert!(matches!(other.join(&request, now()), Err(ProvisionError::Text(_))));
    assert!(other.pod().is_none());
}

#[tokio::test]
async fn reprovisioned_pod_keeps_address_and_restarts_epoch() {
    let mut world = World::new().await;
    world.account().await;
    let (onion, epoch) = {
        let pod = world.device.profile.pod().unwrap();
        (*pod.app_onion(), pod.epoch())
    };
    let identity = autonomy_node::Identity::draw(Network::Regtest, &mut rand::rngs::OsRng, now());
    let (node, _) = autonomy_node::Node::create(identity);
    world.device.profile.provision(&node.pod_request().to_text(), "new home", false, now()).unwrap();
    let world = world.reopen().await;
    let pod = world.device.profile.pod().unwrap();
    assert_eq!((pod.app_onion(), pod.epoch()), (&onion, epoch + 1));
    assert_eq!(world.device.profile.state_epoch(), 0);
    assert_eq!(world.device.profile.accounts().count(), 1, "accounts are money: they stay");
}
