//! Fields of cards: what a pod tells of them is held against what was asked for.

use autonomy_api::{
    CardField, CardFields, CardNote, Contact, ContactId, Picture, ShareCard, read_card, read_contact_card,
    share_card, write_card,
};
use autonomy_client::{CallError, DeviceError};
use serde_json::{Value, json};

use crate::{
    people::{assert_distrusted, assert_refused, joining},
    world::World,
};

/// What a lying pod changes in an answer.
type Change = fn(&mut Value);

fn id(contact: &Contact) -> ContactId {
    contact.id
}

fn fields() -> CardFields {
    let picture = Picture::new(vec![0xff, 0xd8, 0xff, 0xe0]).unwrap();
    CardFields {
        note: Some(CardNote::new("at the fair").unwrap()),
        picture: Some(picture),
        ..CardFields::default()
    }
}

fn some_note() -> ShareCard {
    ShareCard { fields: vec![CardField::Note] }
}

#[tokio::test]
async fn a_card_is_set_and_shared_by_a_device() {
    let world = World::new().await;
    let mailbox = world.device.mailbox();
    assert_eq!(mailbox.exchange(&read_card()).await.unwrap(), CardFields::default());
    assert_eq!(mailbox.exchange(&write_card(fields())).await.unwrap(), fields());
    assert_eq!(mailbox.exchange(&read_card()).await.unwrap(), fields());
    let contact = joining(&world).await;
    let card = mailbox.exchange(&share_card(id(&contact), some_note())).await.unwrap();
    assert_eq!(card.shared, [CardField::Note]);
    assert_eq!(mailbox.exchange(&read_contact_card(id(&contact))).await.unwrap(), card);
    let nobody = ContactId([0; 16]);
    assert_refused(mailbox.exchange(&read_contact_card(nobody)).await, "unknown");
}

#[tokio::test]
async fn a_card_of_somebody_else_or_with_other_fields_is_not_believed() {
    let changes: [(&str, Change); 3] = [
        ("contact", |card| card["contact"] = json!("00".repeat(16))),
        ("shared fields", |card| card["shared"] = json!(["note", "email"])),
        ("shared fields", |card| card["shared"] = json!(["note", "note"])),
    ];
    for (about, change) in changes {
        let world = World::new().await;
        let contact = id(&joining(&world).await);
        let path: &'static str = format!("/v1/contacts/{contact}/card").leak();
        world.change("PUT", path, change);
        assert_distrusted(world.device.mailbox().exchange(&share_card(contact, some_note())).await, about);
    }
}

#[tokio::test]
async fn card_with_wrong_or_invalid_fields_is_refused() {
    let world = World::new().await;
    let mailbox = world.device.mailbox();
    world.change("PUT", "/v1/card", |card| card["note"] = json!("another"));
    assert_distrusted(mailbox.exchange(&write_card(fields())).await, "fields");
    let changes: [Change; 4] = [
        |card| card["note"] = json!("\u{202e}"),
        |card| card["email"] = json!("nobody"),
        |card| card["way"] = json!("no scheme"),
        |card| card["picture"] = json!("R0lGODlh"),
    ];
    for change in changes {
        world.honest();
        world.change("GET", "/v1/card", change);
        let error = mailbox.exchange(&read_card()).await.unwrap_err();
        assert!(matches!(error, DeviceError::Call(CallError::Misshapen { .. })), "{error}");
    }
}
