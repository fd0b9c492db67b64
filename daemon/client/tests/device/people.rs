//! Contacts, messages, relays and files: the pod's answers are checked against identities and
//! rules.

use autonomy_api::{
    AcceptInvite, AddRelay, Contact, ContactId, ContactState, Direction, File, FileState, Hex, InviteState,
    NewInvite, Reach, SafetyDigits, SetProfile, TransferId, UpdateContact, place,
};
use autonomy_client::{CallError, DeviceError, Distrust, MailFileError};
use autonomy_messaging::{
    AuthSeed, Name, PublicKey, SigningKey,
    invite::Invite,
    payload::{FileName, Text},
    place::{Capability, Place, QueueAddress, QueueId},
    safety::SafetyNumber,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::world::{Hand, World, now};

/// What a lying pod changes in an answer.
type Change = fn(&mut Value);

/// Somewhere that is not the pod.
fn elsewhere(seed: u8) -> Place {
    let key = |seed| PublicKey::from(&SigningKey::from_bytes(&[seed; 32]));
    Place::new(*key(seed).as_bytes(), key(seed + 1))
}

/// An invite of another person.
pub(crate) fn anothers_invite() -> Invite {
    let address = QueueAddress {
        place: elsewhere(20),
        queue: QueueId::from_bytes([4; 32]),
        deposit: Capability::from_bytes([5; 32]),
    };
    let root = AuthSeed::from_bytes(&[77; 32]).root_key().public();
    Invite::new(now() + 3_600, root, [6; 32], [7; 32], address)
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A contact that waits to be confirmed by the other.
pub(crate) async fn joining(world: &World) -> Contact {
    let wish = AcceptInvite { invite: anothers_invite(), name: Some(name("Bob")), again: false };
    world.device.mailbox().accept(&wish).await.unwrap()
}

#[track_caller]
pub(crate) fn assert_distrusted<T: std::fmt::Debug>(outcome: Result<T, DeviceError>, about: &str) {
    let error = outcome.unwrap_err();
    let DeviceError::Distrust(Distrust::Mail { field, .. }) = &error else { panic!("{about}: {error}") };
    assert_eq!(*field, about, "{error}");
}

#[track_caller]
pub(crate) fn assert_refused<T: std::fmt::Debug>(outcome: Result<T, DeviceError>, kind: &str) {
    let error = outcome.unwrap_err();
    let DeviceError::Call(CallError::Refused { kind: found, .. }) = &error else { panic!("{kind}: {error}") };
    assert_eq!(found, kind, "{error}");
}

#[tokio::test]
async fn invite_must_be_the_owners_and_ends_when_cancelled() {
    let world = World::new().await;
    let mailbox = world.device.mailbox();
    let wish = NewInvite { note: Some(name("for Bob")), valid_for: None };
    let made = mailbox.invite(&wish).await.unwrap();
    let invite = made.text;
    assert_eq!(invite.root(), world.device.profile.pod().unwrap().root());
    assert_eq!(made.state, InviteState::Ready, "without a relay it waits at the pod itself");
    assert!(made.expires_at.abs_diff(now() + 7 * 86_400) < 120);
    mailbox.cancel_invite(&made.id).await.unwrap();
    let invites = mailbox.invites().await.unwrap();
    assert_eq!((invites.len(), invites[0].state), (1, InviteState::Cancelled));
    let own = AcceptInvite { invite, name: None, again: false };
    assert_refused(mailbox.accept(&own).await, "conflict");
}

#[tokio::test]
async fn invite_with_foreign_identity_is_refused() {
    let changes: [(&str, Change); 3] = [
        ("text", |answer| answer["text"] = json!(anothers_invite().to_text())),
        ("end", |answer| answer["expires_at"] = json!(1)),
        ("place", |answer| answer["place"] = json!(place::text(&elsewhere(30)))),
    ];
    for (field, change) in changes {
        let world = World::new().await;
        world.change("POST", "/v1/invites", change);
        assert_distrusted(world.device.mailbox().invite(&NewInvite::default()).await, field);
    }
}

#[tokio::test]
async fn accepted_contact_must_match_the_invite() {
    let world = World::new().await;
    let invite = anothers_invite();
    let contact = joining(&world).await;
    assert_eq!((contact.state, contact.name.as_str()), (ContactState::Joining, "Bob"));
    assert_eq!(contact.identity, invite.root());
    let mailbox = world.device.mailbox();
    assert_refused(mailbox.say(&contact.id, Text::new("hello").unwrap()).await, "conflict");
    let other = AuthSeed::from_bytes(&[78; 32]).root_key().public().to_string();
    world.change("POST", "/v1/contacts", move |answer| answer["identity"] = json!(other));
    let wish = AcceptInvite { invite, name: None, again: false };
    assert_distrusted(mailbox.accept(&wish).await, "id");
}

#[tokio::test]
async fn a_contact_with_another_id_or_too_many_places_is_not_shown() {
    let changes: [(&str, Change); 2] = [
        ("id", |contact| contact["id"] = json!("00".repeat(16))),
        ("places", |contact| contact["places"] = json!(vec![place::text(&elsewhere(1)); 9])),
    ];
    for (field, change) in changes {
        let world = World::new().await;
        joining(&world).await;
        world.change("GET", "/v1/contacts", move |answer| change(&mut answer["contacts"][0]));
        assert_distrusted(world.device.mailbox().contacts().await, field);
    }
}

#[tokio::test]
async fn safety_number_is_computed_by_the_device() {
    let world = World::new().await;
    let contact = joining(&world).await;
    let mailbox = world.device.mailbox();
    let own = world.device.profile.pod().unwrap().root();
    let number = SafetyNumber::between(&own, &anothers_invite().root());
    assert_eq!(mailbox.safety(&contact).await.unwrap().digits, SafetyDigits::from(&number));
    let others = SafetyNumber::between(&own, &AuthSeed::from_bytes(&[78; 32]).root_key().public());
    for (field, lie) in
        [("digits", others.to_string()), ("words", others.words().join(" ")), ("qr", others.to_text())]
    {
        world.change("GET", "/safety", move |answer| answer[field] = json!(lie));
        assert_distrusted(mailbox.safety(&contact).await, "text");
        world.honest();
    }
    let digits = ["12345"; 12].join(" ");
    world.change("PATCH", "", move |answer| answer["safety_number"] = json!(digits));
    let change = UpdateContact { verified: Some(true), ..UpdateContact::default() };
    assert_distrusted(mailbox.update(&contact.id, &change).await, "safety number");
}

#[tokio::test]
async fn contact_change_must_be_complete() {
    let world = World::new().await;
    let contact = joining(&world).await;
    let mailbox = world.device.mailbox();
    let both = UpdateContact { name: Some(name("Robert")), verified: Some(true), ..UpdateContact::default() };
    let changed = mailbox.update(&contact.id, &both).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.verified), ("Robert", true));
    let refused = UpdateContact { name: Some(name("Rob")), blocked: Some(true), ..UpdateContact::default() };
    assert_refused(mailbox.update(&contact.id, &refused).await, "conflict");
    assert_eq!(mailbox.contact(&contact.id).await.unwrap().name.as_str(), "Robert", "nothing of it was done");
    assert_refused(mailbox.update(&contact.id, &UpdateContact::default()).await, "invalid");
    mailbox.remove(&contact.id).await.unwrap();
    assert_refused(mailbox.contact(&contact.id).await, "unknown");
}

/// A conversation as a pod could tell it.
fn reported(change: impl Fn(&mut Value)) -> Vec<u8> {
    let mut messages = json!([
        {"number": 1, "direction": "incoming", "at": 1, "state": "received", "kind": "text", "text": "hi"},
        {"number": 4, "direction": "outgoing", "at": 2, "state": "delivered", "settled_at": 3, "kind": "file",
         "file": {"transfer": "00".repeat(16), "name": "a.txt", "size": 3, "sha256": "00".repeat(32)}},
    ]);
    change(&mut messages);
    json!({ "messages": messages }).to_string().into_bytes()
}

#[tokio::test]
async fn conversation_out_of_order_is_refused() {
    let changes: [(&str, Change); 6] = [
        ("order", |reported| reported[0]["number"] = json!(4)),
        ("order", |reported| reported[1]["number"] = json!(10)),
        ("length", |reported| *reported = json!(vec![reported[0].clone(); 6])),
        ("state", |reported| reported[0]["state"] = json!("delivered")),
        ("content", |reported| reported[0]["kind"] = json!("card")),
        ("content", |reported| reported[1]["text"] = json!("and this")),
    ];
    let world = World::new().await;
    let contact = ContactId([0; 16]);
    let mailbox = world.device.mailbox();
    world.hand("GET", "/messages", Hand::Answer(reported(|_| {})));
    let messages = mailbox.messages(&contact, Some(10), 5).await.unwrap();
    assert_eq!(messages.iter().map(|message| message.number).collect::<Vec<_>>(), [1, 4]);
    for (field, change) in changes {
        world.honest();
        world.hand("GET", "/messages", Hand::Answer(reported(change)));
        assert_distrusted(mailbox.messages(&contact, Some(10), 5).await, field);
    }
}

#[tokio::test]
async fn relays_and_display_name_are_stored_and_checked() {
    let world = World::new().await;
    let mailbox = world.device.mailbox();
    assert_eq!(mailbox.profile().await.unwrap().name, None);
    let named = SetProfile { name: Some(name("Alice")), reach: None };
    assert_eq!(mailbox.set_profile(&named).await.unwrap().name, Some(name("Alice")));
    let reached = |reach| SetProfile { name: None, reach: Some(reach) };
    assert_refused(mailbox.set_profile(&reached(Reach::Relays)).await, "conflict");
    let token = Some(Capability::from_bytes([0; 32]));
    let wish = AddRelay { place: elsewhere(40), name: None, token };
    let relays = mailbox.add_relay(&wish).await.unwrap();
    assert_eq!((relays.len(), relays[0].name.as_str().len()), (1, 8));
    let profile = mailbox.set_profile(&reached(Reach::Relays)).await.unwrap();
    assert_eq!((profile.name, profile.reach), (Some(name("Alice")), Reach::Relays));
    assert_refused(mailbox.remove_relay(&relays[0]).await, "conflict");
    mailbox.set_profile(&reached(Reach::Direct)).await.unwrap();
    assert_eq!(mailbox.remove_relay(&relays[0]).await.unwrap(), []);
    assert_refused(mailbox.remove_relay(&relays[0]).await, "unknown");
    assert_eq!(mailbox.status().await.unwrap().name, Some(name("Alice")));
}

#[tokio::test]
async fn received_file_with_wrong_hash_is_not_kept() {
    let world = World::new().await;
    let content = b"all of it";
    let file = File {
        id: TransferId([0x11; 16]),
        direction: Direction::Incoming,
        name: FileName::new("a.txt").unwrap(),
        size: content.len() as u64,
        sha256: Hex(Sha256::digest(content).into()),
        state: FileState::Complete,
        done: content.len() as u64,
        at: 1,
    };
    let contact = ContactId([0; 16]);
    let (mailbox, path) = (world.device.mailbox(), world.dir.path().join("a.txt"));
    for bytes in [&b"all of IT"[..], b"all of it and more", b"all", b""] {
        world.honest();
        world.hand("GET", "/chunks", Hand::Answer(bytes.to_vec()));
        let error = mailbox.fetch_file(&contact, &file, &path, |_| {}).await.unwrap_err();
        assert!(matches!(error, MailFileError::Hash { .. }), "{error}");
        assert!(!path.exists());
    }
    world.honest();
    world.hand("GET", "/chunks", Hand::Answer(content.to_vec()));
    mailbox.fetch_file(&contact, &file, &path, |_| {}).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content);
    let again = mailbox.fetch_file(&contact, &file, &path, |_| {}).await.unwrap_err();
    assert!(matches!(again, MailFileError::Write(_)), "{again}");
}
