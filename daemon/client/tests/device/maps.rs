//! Account maps that come from elsewhere: only this device's own are kept, and what is known of them is learnt anew.

use autonomy_client::{DeviceError, Distrust, MapRefusal, ProfileError, ProvisionError};
use autonomy_node::{Identity, Node};
use autonomy_wallet::{
    account::{AccountError, AccountId, AccountMap, Birthday, Keychain, Member, MemberLabel, Plan},
    bitcoin::Network,
    check::CheckRefusal,
    keys::Seed,
};

use crate::world::{World, now, read};

/// The same account under another name, and with P of another seed where one is given.
fn altered(map: &AccountMap, name: &str, seed: Option<u8>) -> AccountMap {
    let mut members = map.members().to_vec();
    if let Some(seed) = seed {
        let index = map.key(&MemberLabel::P).unwrap().account();
        let key = Seed::from_entropy(&[seed; 32]).unwrap().account_key(map.network(), index);
        members[0] = Member::new(MemberLabel::P, *key.public());
    }
    let mut plan = map.plan().clone();
    plan.name = name.into();
    AccountMap::rebuild(plan, &members, &members[0]).unwrap()
}

fn refused(world: &mut World, map: AccountMap) -> MapRefusal {
    let held = world.device.profile.accounts().count();
    let error = world.device.profile.import_account(map, now()).unwrap_err();
    assert_eq!(world.device.profile.accounts().count(), held, "nothing is kept");
    match error {
        ProfileError::Map(refusal) => refusal,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn map_with_another_devices_key_is_refused() {
    let mut world = World::new().await;
    let map = world.account().await.map;
    let refusal = refused(&mut world, altered(&map, "savings", Some(66)));
    assert_eq!(refusal, MapRefusal::Account(AccountError::OwnKeyMissing(MemberLabel::P)));
}

#[tokio::test]
async fn map_under_the_name_of_another_account_is_refused() {
    let mut world = World::new().await;
    let wish = autonomy_client::AccountWish { name: read("Caf\u{e9}"), ..World::wish() };
    let made = world.device.create_account(&wish, now()).await.unwrap().map;
    let other = world.device.create_account(&World::wish(), now()).await.unwrap().map;
    // Another account: with the keys of the second one.
    for twin in ["Caf\u{e9}", "Cafe\u{301}", "cafe\u{301}"] {
        let mut plan = other.plan().clone();
        plan.name = twin.into();
        let members = other.members().to_vec();
        let map = AccountMap::rebuild(plan, &members, &members[0]).unwrap();
        assert!(matches!(refused(&mut world, map), MapRefusal::NameTaken { .. }), "{twin:?}");
    }
    world.device.profile.import_account(made, now()).unwrap();
}

#[tokio::test]
async fn name_that_turns_the_direction_of_writing_is_refused() {
    let mut world = World::new().await;
    let map = world.account().await.map;
    assert_eq!(refused(&mut world, altered(&map, "ma\u{202e}in", None)), MapRefusal::Name);
    let wish = autonomy_client::AccountWish { name: read("sav\u{200b}ings"), ..World::wish() };
    let error = world.device.create_account(&wish, now()).await.unwrap_err();
    assert!(matches!(error, DeviceError::Decks(_)), "{error}");
}

#[tokio::test]
async fn account_of_an_interrupted_ceremony_keeps_its_name() {
    let mut world = World::new().await;
    world.change("POST", "/complete", |account| account["name"] = "other".into());
    world.device.create_account(&World::wish(), now()).await.unwrap_err();
    world.honest();
    let error = world.device.create_account(&World::wish(), now()).await.unwrap_err();
    assert!(matches!(error, DeviceError::NameTaken { .. }), "{error}");
    assert_eq!(world.device.profile.accounts().count(), 1, "the interrupted one is kept");
}

async fn pay(world: &mut World, id: &AccountId, sat: u64) {
    let draft = world.device.draft(id, &World::pays(sat)).await.unwrap();
    world.device.approve(draft.besides()).await.unwrap();
}

/// Twenty-five payments with change; then the device is lost, and another one has its words and its map.
async fn restored_after_much_change() -> (World, AccountId) {
    let mut world = World::new().await;
    let account = world.funded(1_000_000).await;
    let id = account.map.id();
    // A coin for each: change of a payment that no node took pays nothing.
    for _ in 0..30 {
        world.fund(&account.map.first_address().as_unchecked().clone(), 1_000_000).await;
    }
    for _ in 0..25 {
        pay(&mut world, &id, 100_000).await;
    }
    assert_eq!(world.device.profile.account(&id).unwrap().view.internal, Some(24));
    let world = world.restored().await;
    assert_eq!(world.device.profile.account(&id).unwrap().view.internal, None);
    (world, id)
}

#[tokio::test]
async fn restored_device_pays_after_many_change_addresses() {
    let (mut world, id) = restored_after_much_change().await;
    pay(&mut world, &id, 100_000).await;
    let held = world.device.profile.account(&id).unwrap();
    assert_eq!((held.view.internal, held.imported), (Some(25), false));

    // From now on the pod's word on change moves nothing.
    let change = |account: &mut serde_json::Value| account["change"] = 5_000.into();
    world.change("GET", format!("/v1/accounts/{id}").leak(), change);
    pay(&mut world, &id, 100_000).await;
    let view = world.device.profile.account(&id).unwrap().view;
    assert_eq!(view.internal, Some(26));
}

/// A payment without change shows nothing of how far change addresses are in use.
#[tokio::test]
async fn restored_device_pays_on_after_a_payment_without_change() {
    let (mut world, id) = restored_after_much_change().await;
    let draft = world.device.draft(&id, &World::pays(999_500)).await.unwrap();
    assert_eq!(draft.summary().outputs.len(), 1, "no change");
    world.device.approve(draft).await.unwrap();
    assert!(world.device.profile.account(&id).unwrap().imported);
    pay(&mut world, &id, 100_000).await;
    let held = world.device.profile.account(&id).unwrap();
    assert_eq!((held.view.internal, held.imported), (Some(25), false));

    // Another device pays meanwhile, beyond what this one looks ahead. Its own map, imported again, helps.
    let beyond =
        CheckRefusal::ChangeBeyondGap { output: 0, keychain: Keychain::Internal, index: 60, last: Some(25) };
    assert!(Distrust::Payment(beyond).help().contains("`autonomy account import @map.json`"));
    let map = held.map.clone();
    world.device.profile.import_account(map, now()).unwrap();
    assert!(world.device.profile.account(&id).unwrap().imported);
}

#[tokio::test]
async fn map_that_begins_in_the_future_is_refused() {
    let mut world = World::new().await;
    let map = world.account().await.map;
    let begun = |time, height| {
        let plan = Plan { birthday: Birthday { height, time }, ..map.plan().clone() };
        AccountMap::rebuild(plan, map.members(), &map.members()[0]).unwrap()
    };
    for future in [begun(now() + 86_400, 101), begun(now(), 100_000_000)] {
        let error = world.device.profile.import_account(future, now()).unwrap_err();
        assert!(matches!(error, ProfileError::Map(MapRefusal::Birthday)), "{error}");
    }
    world.device.profile.import_account(begun(now(), 101), now()).unwrap();
}

#[tokio::test]
async fn pod_of_another_network_is_not_taken_by_a_profile_with_accounts() {
    let mut world = World::new().await;
    world.account().await;
    let identity = Identity::draw(Network::Bitcoin, &mut rand::rngs::OsRng, now());
    let request = Node::create(identity).0.pod_request().to_text();
    let error = world.device.profile.provision(&request, "other", false, now()).unwrap_err();
    assert!(matches!(error, ProvisionError::Network { pod: Network::Bitcoin, .. }), "{error}");
}
