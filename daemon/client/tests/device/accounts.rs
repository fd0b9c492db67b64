//! Creating an account with an honest pod, with a hostile one, and with interruptions.

use autonomy_api::{AccountOffer, Hex, offer_message};
use autonomy_client::{AccountWish, DeviceError, Distrust};
use autonomy_messaging::SigningKey;
use autonomy_shards::{Deck, recover};
use autonomy_wallet::account::MemberLabel;
use autonomy_wallet::bitcoin::Network;
use autonomy_wallet::keys::{AccountIndex, RecoveryKey, Seed};
use ed25519_dalek::Signer as _;
use serde_json::{Value, json};

use crate::world::{Hand, World, now, read};

#[tokio::test]
async fn any_two_decks_of_a_new_account_give_the_recovery_key() {
    let mut world = World::new().await;
    let made = world.account().await;
    assert_eq!(world.device.accounts().await.unwrap()[0].reported.descriptor, made.map.descriptor());
    let expected = made.map.key(&MemberLabel::R).unwrap().xpub().public_key.serialize();
    let decks: Vec<Deck> = made
        .decks
        .iter()
        .map(|path| Deck::from_text(&std::fs::read_to_string(path).unwrap()).unwrap())
        .collect();
    assert_eq!(decks.iter().map(|deck| deck.holder().as_str()).collect::<Vec<_>>(), ["Ada", "Bert", "Cleo"]);
    for pair in [[0, 1], [0, 2], [1, 2]] {
        let recovered = recover(&pair.map(|number| decks[number].clone()), &expected).unwrap();
        let key =
            RecoveryKey::from_parts(recovered.secret.as_bytes(), recovered.contents.chain_code()).unwrap();
        assert_eq!(
            key.public(Network::Regtest, AccountIndex::FIRST),
            *made.map.key(&MemberLabel::R).unwrap()
        );
        assert!(recovered.contents.account_maps().eq([made.map.to_bytes()]));
    }
    assert!(recover(&decks[..1], &expected).is_err());
}

#[tokio::test]
async fn account_is_kept_across_reopening_the_profile() {
    let mut world = World::new().await;
    let id = world.account().await.map.id();
    let mut world = world.reopen().await;
    assert!(world.device.profile.account(&id).is_some());
    assert!(world.device.accounts().await.unwrap()[0].verified);
}

/// What a pod can do that holds its own key: sign whatever it likes.
fn signed(
    world: &World,
    change: impl Fn(&mut AccountOffer) + Send + 'static,
) -> impl Fn(&mut Value) + Send + 'static {
    let key = SigningKey::from_bytes(&world.pod_seed);
    move |value| {
        let mut offer: AccountOffer = serde_json::from_value(value.clone()).unwrap();
        change(&mut offer);
        offer.signature = Hex(key.sign(&offer_message(&offer)).to_bytes());
        *value = serde_json::to_value(&offer).unwrap();
    }
}

async fn refused(world: &mut World) -> Distrust {
    let error = world.device.create_account(&World::wish(), now()).await.unwrap_err();
    assert_eq!(world.device.profile.accounts().count(), 0, "kept after {error}");
    assert!(!world.files().join("decks").exists(), "decks dealt after {error}");
    match error {
        DeviceError::Distrust(distrust) => distrust,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn altered_offer_is_refused() {
    for (field, value) in [
        ("account_index", json!(7)),
        ("entropy", json!("00".repeat(32))),
        ("birthday_height", json!(0)),
        ("signature", json!("00".repeat(64))),
    ] {
        let mut world = World::new().await;
        world.change("POST", "/v1/accounts", move |offer| offer[field] = value.clone());
        assert!(matches!(refused(&mut world).await, Distrust::OfferSignature), "{field}");
    }
}

#[tokio::test]
async fn pod_key_must_be_foreign_and_of_right_network_and_path() {
    let of = |seed: u8, network, index| {
        let seed = Seed::from_entropy(&[seed; 32]).unwrap();
        *seed.account_key(network, AccountIndex::new(index).unwrap()).public()
    };
    for key in [of(3, Network::Regtest, 0), of(9, Network::Bitcoin, 0), of(9, Network::Regtest, 5)] {
        let mut world = World::new().await;
        let change = signed(&world, move |offer| offer.pod_member_key = key);
        world.change("POST", "/v1/accounts", change);
        assert!(matches!(refused(&mut world).await, Distrust::Account(_)));
    }
}

#[tokio::test]
async fn birthday_in_the_future_is_refused() {
    let mut world = World::new().await;
    let change = signed(&world, |offer| offer.birthday_time = now() + 86_400);
    world.change("POST", "/v1/accounts", change);
    assert!(matches!(refused(&mut world).await, Distrust::Offer { field: "birthday", .. }));
}

#[tokio::test]
async fn account_index_is_never_reused() {
    let mut world = World::new().await;
    world.account().await;
    let change = signed(&world, |offer| offer.account_index = AccountIndex::FIRST);
    world.change("POST", "/v1/accounts", change);
    let second = AccountWish { name: read("second"), ..World::wish() };
    let error = world.device.create_account(&second, now()).await.unwrap_err();
    assert!(matches!(error, DeviceError::Distrust(Distrust::Offer { field: "index", .. })), "{error}");
}

#[tokio::test]
async fn account_stored_differently_by_the_pod_is_refused() {
    for (field, value) in [
        ("descriptor", json!("wsh(sortedmulti(2,a,b,c))")),
        ("first_address", json!(crate::world::THIEF)),
        ("id", json!("00".repeat(16))),
        ("birthday_height", json!(900_000)),
        ("birthday_time", json!(1)),
        ("account_index", json!(1)),
        ("name", json!("savings")),
        ("kind", json!("two_of_three_or_recovery")),
    ] {
        let mut world = World::new().await;
        world.change("POST", "/complete", move |account| account[field] = value.clone());
        let error = world.device.create_account(&World::wish(), now()).await.unwrap_err();
        assert!(matches!(error, DeviceError::Distrust(Distrust::AccountDiffers { .. })), "{field}: {error}");
        assert_eq!(world.device.profile.accounts().count(), 0);
    }
}

#[tokio::test]
async fn list_with_an_altered_known_account_is_refused() {
    let mut world = World::new().await;
    world.account().await;
    world.change("GET", "/v1/accounts", |list| {
        list["accounts"][0]["first_address"] = json!(crate::world::THIEF)
    });
    let error = world.device.accounts().await.unwrap_err();
    assert!(matches!(error, DeviceError::Distrust(Distrust::AccountDiffers { field: "first address", .. })));
}

#[tokio::test]
async fn account_with_lost_completion_is_recovered() {
    let mut world = World::new().await;
    world.hand("POST", "/complete", Hand::Break(3));
    let error = world.device.create_account(&World::wish(), now()).await.unwrap_err();
    assert!(matches!(error, DeviceError::Call(_)), "{error}");
    world.honest();
    let mut world = world.reopen().await;
    assert_eq!(world.device.profile.pending_accounts().len(), 1);
    let accounts = world.device.accounts().await.unwrap();
    assert!(accounts[0].verified, "the pod has it, so the device keeps it");
    assert!(world.device.profile.pending_accounts().is_empty());
    let decks =
        std::fs::read_dir(world.files().join("decks").join(accounts[0].reported.id.to_string())).unwrap();
    assert_eq!(decks.count(), 3, "its decks are still there");
}

#[tokio::test]
async fn ceremony_that_never_reached_the_pod_leaves_no_decks() {
    let mut world = World::new().await;
    world.hand("POST", "/complete", Hand::Refuse(503));
    world.device.create_account(&World::wish(), now()).await.unwrap_err();
    world.honest();
    let mut world = world.reopen().await;
    assert!(world.device.accounts().await.unwrap().is_empty());
    assert!(world.device.profile.pending_accounts().is_empty());
    for folder in std::fs::read_dir(world.files().join("decks")).unwrap() {
        assert_eq!(std::fs::read_dir(folder.unwrap().path()).unwrap().count(), 0);
    }
    assert_eq!(world.account().await.reported.account_index.to_u32(), 1, "the first index is burnt");
}

#[tokio::test]
async fn invalid_names_are_refused_before_an_offer_is_used() {
    let mut world = World::new().await;
    let wish = |name: &str, holders: [&str; 3]| AccountWish {
        name: read(name),
        holders: holders.map(str::to_owned),
        ..World::wish()
    };
    for wish in [wish(" x", ["a", "b", "c"]), wish("x", ["a", "b\u{1b}[2J", "c"]), wish("x", ["a", "b", "a"])]
    {
        let error = world.device.create_account(&wish, now()).await.unwrap_err();
        assert!(matches!(error, DeviceError::Decks(_)), "{error}");
    }
    assert_eq!(world.account().await.reported.account_index.to_u32(), 0, "no index was used up");
    let error = world.device.create_account(&World::wish(), now()).await.unwrap_err();
    assert!(matches!(error, DeviceError::NameTaken { .. }), "{error}");
}
