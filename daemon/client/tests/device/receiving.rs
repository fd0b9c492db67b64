//! Receive addresses are shown only if the device derives the same ones.

use autonomy_client::{DeviceError, Distrust};
use autonomy_wallet::account::Keychain;
use serde_json::json;

use crate::world::{Hand, THIEF, World};

#[tokio::test]
async fn shown_address_is_the_one_the_device_derives() {
    let mut world = World::new().await;
    let made = world.account().await;
    let address = world.device.receive(&made.map.id(), false).await.unwrap();
    assert_eq!(
        address.address,
        made.map.address(Keychain::External, address.index).unwrap().into_unchecked()
    );
    let view = world.reopen().await.device.profile.account(&made.map.id()).unwrap().view;
    assert_eq!(view.external, Some(address.index), "it is remembered as used");
}

#[tokio::test]
async fn foreign_address_is_refused() {
    let mut world = World::new().await;
    let id = world.account().await.map.id();
    world.change("POST", "/addresses", |answer| answer["address"] = json!(THIEF));
    let error = world.device.receive(&id, true).await.unwrap_err();
    assert!(matches!(error, DeviceError::Distrust(Distrust::Address { .. })), "{error}");
    assert_eq!(world.device.profile.account(&id).unwrap().view.external, None);
}

#[tokio::test]
async fn own_address_under_a_wrong_index_is_refused() {
    let mut world = World::new().await;
    let id = world.account().await.map.id();
    world.change("POST", "/addresses", |answer| answer["index"] = json!(3));
    let error = world.device.receive(&id, true).await.unwrap_err();
    assert!(matches!(error, DeviceError::Distrust(Distrust::Address { index: 3, .. })), "{error}");
}

#[tokio::test]
async fn reused_address_is_not_shown_as_fresh() {
    let mut world = World::new().await;
    let id = world.account().await.map.id();
    let first = world.device.receive(&id, false).await.unwrap();
    let old = serde_json::to_value(&first).unwrap();
    world.change("POST", "/addresses", move |answer| *answer = old.clone());
    let mut world = world.reopen().await;
    for trust_index in [false, true] {
        let error = world.device.receive(&id, trust_index).await.unwrap_err();
        assert!(matches!(error, DeviceError::Distrust(Distrust::AddressNotFresh { index: 0 })), "{error}");
    }
}

#[tokio::test]
async fn earlier_address_is_shown_again_without_the_pod() {
    let mut world = World::new().await;
    let id = world.account().await.map.id();
    let first = world.device.receive(&id, false).await.unwrap();
    for _ in 1..20 {
        world.device.receive(&id, false).await.unwrap();
    }
    let error = world.device.receive(&id, false).await.unwrap_err();
    assert!(error.to_string().contains("the oldest unpaid one, number 0"), "{error}");

    let profile = &world.device.profile;
    assert_eq!(profile.address_again(&id, 0, false).unwrap(), first);
    assert_eq!(profile.address_again(&id, 19, false).unwrap().index, 19);
    let error = profile.address_again(&id, 20, false).unwrap_err();
    assert!(matches!(error, DeviceError::AddressNotSeen { index: 20, .. }), "{error}");
    assert_eq!(profile.address_again(&id, 20, true).unwrap().index, 20);
}

#[tokio::test]
async fn lower_state_epoch_blocks_new_addresses() {
    let mut world = World::new().await;
    let id = world.account().await.map.id();
    world.device.status().await.unwrap();
    world.change("GET", "/v1/status", |status| status["state_epoch"] = json!(0));
    let error = world.device.receive(&id, false).await.unwrap_err();
    assert!(matches!(error, DeviceError::Distrust(Distrust::OlderState { .. })), "{error}");
    world.honest();
    assert_eq!(world.device.receive(&id, false).await.unwrap().index, 0, "none was used up");
}

#[tokio::test]
async fn own_address_at_a_far_index_needs_trust_index() {
    let mut world = World::new().await;
    let made = world.account().await;
    let id = made.map.id();
    let far = made.map.address(Keychain::External, 500).unwrap().to_string();
    world.change("POST", "/addresses", move |answer| *answer = json!({ "index": 500, "address": far }));
    let error = world.device.receive(&id, false).await.unwrap_err();
    assert!(matches!(error, DeviceError::Distrust(Distrust::AddressTooFar { index: 500, .. })), "{error}");
    assert_eq!(world.device.receive(&id, true).await.unwrap().index, 500);
}

#[tokio::test]
async fn repeated_request_uses_one_address() {
    let mut world = World::new().await;
    let id = world.account().await.map.id();
    let first = world.device.receive(&id, false).await.unwrap().index;
    world.hand("POST", "/addresses", Hand::Break(2));
    assert_eq!(world.device.receive(&id, false).await.unwrap().index, first + 1);
    assert_eq!(world.device.receive(&id, false).await.unwrap().index, first + 2);
}
