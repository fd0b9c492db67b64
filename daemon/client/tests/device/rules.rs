//! Answers with a field that breaks a rule: refused with the field and the rule, and no part of them is used.

use autonomy_api::{ContactId, NewInvite, UpdateContact};
use autonomy_client::{CallError, DeviceError};
use serde_json::{Value, json};

use crate::{
    people::joining,
    world::{Hand, THIEF, World, now},
};

/// A field by its path, and what a lying pod puts there.
type Lie = (&'static str, Value);

#[track_caller]
fn assert_names_field<T: std::fmt::Debug>(outcome: Result<T, impl Into<DeviceError>>, field: &str) {
    let error = outcome.map_err(Into::into).unwrap_err();
    let DeviceError::Call(CallError::Misshapen { why, .. }) = &error else { panic!("{field}: {error}") };
    let rule = why.strip_prefix(&format!("`{field}`: ")).unwrap_or_else(|| panic!("{field}: {why}"));
    assert!(rule.len() > 10 && !rule.contains("column") && !rule.contains('\u{1b}'), "{field}: {rule}");
}

/// Puts `lie` at a path such as `contacts[0].places[1]`.
fn tell((field, lie): Lie) -> impl Fn(&mut Value) + Send + 'static {
    let pointer = format!("/{}", field.replace(['.', '['], "/").replace(']', ""));
    move |answer| match answer.pointer_mut(&pointer) {
        Some(place) => *place = lie.clone(),
        None => panic!("{pointer} is not in {answer}"),
    }
}

#[tokio::test]
async fn people_with_a_field_that_breaks_a_rule_are_not_shown() {
    let world = World::new().await;
    let contact = joining(&world).await;
    let mailbox = world.device.mailbox();
    for lie in [
        ("contacts[0].id", json!("../../v1/pod")),
        ("contacts[0].id", json!("00".repeat(15))),
        ("contacts[0].identity", json!("did:key:zNobody")),
        ("contacts[0].name", json!("Bob\u{1b}[2J")),
        ("contacts[0].card_name", json!("\u{202e}boB")),
        ("contacts[0].places[0]", json!("/ip4/10.0.0.1/tcp/4001")),
        ("contacts[0].state", json!("friend of the family")),
        ("contacts[0].unread", json!(-1)),
    ] {
        let field = lie.0;
        // This contact has no place yet: the lie about one stands in the place of it.
        let about_a_place = field.contains("places");
        world.change("GET", "/v1/contacts", move |answer| {
            if about_a_place {
                answer["contacts"][0]["places"] = json!([""]);
            }
        });
        world.change("GET", "/v1/contacts", tell(lie));
        assert_names_field(mailbox.contacts().await, field);
        world.honest();
    }
    world.change("GET", "/safety", tell(("digits", json!("12345 12345"))));
    assert_names_field(mailbox.safety(&contact).await, "digits");
    world.honest();
    world.change("PATCH", "", tell(("safety_number", json!("the same as yours"))));
    let change = UpdateContact { verified: Some(true), ..UpdateContact::default() };
    assert_names_field(mailbox.update(&contact.id, &change).await, "safety_number");
}

#[tokio::test]
async fn an_invite_with_a_field_that_breaks_a_rule_is_not_handed_over() {
    for lie in [
        ("text", json!("autonomy-invite1aaaa")),
        ("id", json!("../../v1/pod")),
        ("place", json!("/onion3/x?place=y")),
        ("state", json!("redeemed by your best friend")),
    ] {
        let (world, field) = (World::new().await, lie.0);
        world.change("POST", "/v1/invites", tell(lie));
        assert_names_field(world.device.mailbox().invite(&NewInvite::default()).await, field);
    }
}

#[tokio::test]
async fn words_and_files_that_break_a_rule_are_not_shown() {
    let messages = json!({ "messages": [
        {"number": 1, "direction": "incoming", "at": 1, "state": "received", "kind": "text", "text": "hi"},
        {"number": 4, "direction": "outgoing", "at": 2, "state": "delivered", "settled_at": 3, "kind": "file",
         "file": {"transfer": "00".repeat(16), "name": "a.txt", "size": 3, "sha256": "00".repeat(32)}},
    ]});
    let world = World::new().await;
    let mailbox = world.device.mailbox();
    for lie in [
        ("messages[0].text", json!("x".repeat(16_385))),
        ("messages[1].file.name", json!("../../.ssh/authorized_keys")),
        ("messages[1].file.transfer", json!("00")),
        ("messages[1].file.sha256", json!("Z0".repeat(32))),
    ] {
        let (field, mut answer) = (lie.0, messages.clone());
        tell(lie)(&mut answer);
        world.hand("GET", "/messages", Hand::Answer(answer.to_string().into_bytes()));
        assert_names_field(mailbox.messages(&ContactId([0; 16]), Some(10), 5).await, field);
        world.honest();
    }
}

#[tokio::test]
async fn a_status_that_breaks_a_rule_is_refused() {
    let mut world = World::new().await;
    for lie in [
        ("pod_key", json!("00".repeat(31))),
        ("network", json!("dogecoin, as far as anybody knows")),
        ("owner", json!("the one you think of")),
        ("chain.state", json!("better than ever\u{1b}[2J")),
        ("chain.tip", json!("")),
        ("onion.app.state", json!("wide open to everybody")),
    ] {
        let field = lie.0;
        world.change("GET", "/v1/status", tell(lie));
        assert_names_field(world.device.status().await, field);
        world.honest();
    }
}

#[tokio::test]
async fn money_that_breaks_a_rule_is_not_shown() {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    for lie in [
        ("accounts[0].balance.total_sat", json!(2_100_000_000_000_001_u64)),
        ("accounts[0].id", json!("main")),
        ("accounts[0].name", json!("a\nb")),
        ("accounts[0].first_address", json!(THIEF[..20])),
        ("accounts[0].account_index", json!(1_u32 << 31)),
    ] {
        let field = lie.0;
        world.change("GET", "/v1/accounts", tell(lie));
        assert_names_field(world.device.accounts().await, field);
        world.honest();
    }
    for lie in [
        ("entries[0].net_sat", json!(-2_100_000_000_000_001_i64)),
        ("entries[0].txid", json!("00".repeat(31))),
    ] {
        let field = lie.0;
        world.change("GET", "/history", tell(lie));
        assert_names_field(world.device.pod.history(&id, 10).await, field);
        world.honest();
    }
    for lie in [
        ("recipients[0].address", json!("nonsense")),
        ("recipients[0].amount_sat", json!(1.5)),
        ("fee_rate", json!(1e12)),
        ("psbt", json!("AAA")),
        ("psbt", json!("A".repeat(5_400_000))),
        ("id", json!("../../v1/devices")),
    ] {
        let field = lie.0;
        world.change("POST", "/payments", tell(lie));
        assert_names_field(world.device.draft(&id, &World::pays(25_000_000)).await, field);
        world.honest();
        // The pod made the draft, which holds the coins that the next one needs.
        for payment in world.device.pod.payments(&id).await.unwrap().payments {
            world.device.pod.cancel_payment(&payment.id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_offer_that_breaks_a_rule_makes_no_account() {
    for lie in [
        ("pod_member_key", json!("tpub".repeat(20))),
        ("pod_member_key", json!("")),
        ("signature", json!("nonsense")),
        ("entropy", json!("00".repeat(31))),
        ("ceremony", json!("x/complete")),
    ] {
        let (mut world, field) = (World::new().await, lie.0);
        world.change("POST", "/v1/accounts", tell(lie));
        assert_names_field(world.device.create_account(&World::wish(), now()).await, field);
        assert_eq!(world.device.profile.accounts().count(), 0);
        assert!(!world.files().join("decks").exists(), "no decks are dealt");
    }
}
