//! A device whose words were restored takes the maps of its accounts from the pod.

use autonomy_client::{
    Device, DeviceError, Distrust, MapRefusal, Profile, ProfileError, profile::NewProfile,
};
use autonomy_wallet::{
    account::{AccountMap, Keychain},
    bitcoin::{Address, address::NetworkUnchecked},
    keys::Seed,
};

use crate::world::{OUTSIDE, World, key, now, owner, read};

/// A pod with an account of one coin, and the same person's device as it was before the account was made.
async fn restored() -> (World, AccountMap) {
    let mut world = World::new().await;
    let (before, after) = (world.files(), world.dir.path().join("restored"));
    std::fs::create_dir(&after).unwrap();
    std::fs::copy(before.join("profile.redb"), after.join("profile.redb")).unwrap();
    let map = world.funded(100_000_000).await.map;
    let profile = Profile::open(&after, &key()).await.unwrap();
    world.device = Device { profile, pod: world.device.pod.clone() };
    assert!(!world.device.accounts().await.unwrap()[0].verified);
    (world, map)
}

fn address(map: &AccountMap, keychain: Keychain, index: u32) -> Address<NetworkUnchecked> {
    map.address(keychain, index).unwrap().into_unchecked()
}

#[tokio::test]
async fn map_from_the_pod_is_kept_once_a_known_address_is_in_it() {
    for (keychain, index) in [(Keychain::External, 0), (Keychain::External, 1), (Keychain::Internal, 19)] {
        let (mut world, map) = restored().await;
        let known = address(&map, keychain, index);
        let adopted = world.device.adopt_map(&map.id(), &known, now()).await.unwrap();
        assert_eq!((adopted.id(), adopted.to_bytes()), (map.id(), map.to_bytes()));
        let draft = world.device.draft(&map.id(), &World::pays(25_000_000)).await.unwrap();
        world.device.approve(draft).await.unwrap();
    }
}

#[tokio::test]
async fn map_without_the_known_address_is_not_kept() {
    let (mut world, map) = restored().await;
    let far = address(&map, Keychain::External, 1_000);
    for known in [read(OUTSIDE), far] {
        let error = world.device.adopt_map(&map.id(), &known, now()).await.unwrap_err();
        assert!(matches!(error, DeviceError::UnknownAddress { .. }), "{error}");
    }
    assert!(world.device.profile.account(&map.id()).is_none());
}

/// A search from its birthday on would miss its coins.
#[tokio::test]
async fn map_from_the_pod_that_begins_in_the_future_is_not_kept() {
    let (mut world, map) = restored().await;
    let known = address(&map, Keychain::External, 0);
    let tomorrow = now() + 2 * 86_400;
    world.change("GET", "/accounts/", move |account| account["birthday_time"] = tomorrow.into());
    let error = world.device.adopt_map(&map.id(), &known, now()).await.unwrap_err();
    assert!(matches!(error, DeviceError::Profile(ProfileError::Map(MapRefusal::Birthday))), "{error}");
    assert!(world.device.profile.account(&map.id()).is_none());
}

#[tokio::test]
async fn map_that_is_not_safe_or_differs_is_not_kept() {
    let changes: [fn(&mut serde_json::Value); 4] = [
        |account| {
            account["descriptor"] =
                account["descriptor"].as_str().unwrap().replace("multi(2", "multi(1").into()
        },
        |account| account["first_address"] = OUTSIDE.into(),
        |account| account["account_index"] = 7.into(),
        |account| account["name"] = "".into(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let (mut world, map) = restored().await;
        let known = address(&map, Keychain::External, 0);
        world.change("GET", "/accounts/", change);
        assert!(world.device.adopt_map(&map.id(), &known, now()).await.is_err(), "{number}");
        assert!(world.device.profile.account(&map.id()).is_none(), "{number}");
    }
}

#[tokio::test]
async fn map_with_the_key_of_another_device_is_not_kept() {
    let (mut world, map) = restored().await;
    let known = address(&map, Keychain::External, 0);
    let stranger = NewProfile { payment_seed: Some(Seed::from_entropy(&[4; 32]).unwrap()), ..owner() };
    let mut profile = Profile::create(&world.dir.path().join("stranger"), &key(), stranger).unwrap();
    profile.provision(&world.request, "home", false, now()).unwrap();
    world.device = Device { profile, pod: world.device.pod.clone() };
    let error = world.device.adopt_map(&map.id(), &known, now()).await.unwrap_err();
    assert!(matches!(error, DeviceError::Distrust(Distrust::Account(_))), "{error}");
}
