//! What is carried by hand: a pod that packs or counts falsely is not believed.

use autonomy_api::{ContactState, NewInvite};
use autonomy_messaging::{
    AuthSeed, Name,
    carrier::{MAX_BLOBS, MAX_PARCEL, Parcel},
    vcard::{OtherProperties, VCard},
};
use serde_json::json;

use crate::{
    people::{assert_distrusted, assert_refused, joining},
    world::{Hand, World},
};

fn card(seed: u8) -> VCard {
    let root = AuthSeed::from_bytes(&[seed; 32]).root_key().public();
    VCard { name: Name::new("Carol").unwrap(), note: None, root, others: OtherProperties::default() }
}

#[tokio::test]
async fn an_invite_is_carried_as_a_parcel_and_every_frame_is_counted() {
    let world = World::new().await;
    let mailbox = world.device.mailbox();
    let invite = mailbox.invite(&NewInvite::default()).await.unwrap();
    let parcel = mailbox.export_invite(&invite.id).await.unwrap();
    assert_eq!(parcel.entries().len(), 1);
    let told = mailbox.import_parcel(&parcel).await.unwrap();
    assert_eq!((told.opened, told.refused), (0, 1), "it is for somebody else");
    for count in [1, u32::MAX] {
        world.honest();
        world.change("POST", "/v1/parcels", move |answer| answer["opened"] = json!(count));
        assert_distrusted(mailbox.import_parcel(&parcel).await, "count");
    }
    for bytes in [&b""[..], b"{}", b"apcl\x01\x00\x00", &[0xff; 16_363]] {
        world.honest();
        world.hand("POST", "/parcel", Hand::Answer(bytes.to_vec()));
        assert_distrusted(mailbox.export_invite(&invite.id).await, "bytes");
        assert_distrusted(mailbox.export_parcel(&"00".repeat(16)).await, "bytes");
    }
    world.honest();
    assert_refused(mailbox.export_parcel(&"00".repeat(16)).await, "unknown");
}

#[tokio::test]
async fn the_longest_parcel_is_taken() {
    let world = World::new().await;
    let mailbox = world.device.mailbox();
    let invite = mailbox.invite(&NewInvite::default()).await.unwrap();
    let entry = mailbox.export_invite(&invite.id).await.unwrap().into_entries().remove(0);
    let longest = Parcel::new(vec![entry; MAX_BLOBS]).unwrap();
    assert_eq!(longest.to_bytes().len(), MAX_PARCEL);
    assert_eq!(mailbox.import_parcel(&longest).await.unwrap().refused as usize, MAX_BLOBS);
}

#[tokio::test]
async fn a_card_is_the_contacts_own() {
    let world = World::new().await;
    let mailbox = world.device.mailbox();
    let contact = joining(&world).await;
    let told = mailbox.export_card(&contact).await.unwrap();
    assert_eq!((told.name.as_str(), told.root.to_string()), ("Bob", contact.identity.clone()));
    let another = card(78).to_text().into_bytes();
    for (field, bytes) in
        [("identity", another), ("text", b"\xff".to_vec()), ("text", b"BEGIN:VCARD".to_vec())]
    {
        world.honest();
        world.hand("GET", "/vcard", Hand::Answer(bytes));
        assert_distrusted(mailbox.export_card(&contact).await, field);
    }
}

#[tokio::test]
async fn who_is_put_on_record_is_who_the_card_says() {
    let world = World::new().await;
    let mailbox = world.device.mailbox();
    let known = mailbox.import_card(&card(78)).await.unwrap();
    assert_eq!((known.state, known.name.as_str()), (ContactState::Known, "Carol"));
    let other = card(79).root.to_string();
    world.change("POST", "/v1/vcards", move |answer| answer["identity"] = json!(other));
    assert_distrusted(mailbox.import_card(&card(78)).await, "id");
}
