//! Contacts and messages, as a device asks for them: each field refused by name, and two pods that never see a network.

use autonomy_api::{
    Access, AddRelay, Contact, ContactId, ContactState, EventKind, Hex, Invite, MessageKind, MessageState,
    SetProfile, UpdateContact, place,
};
use autonomy_messaging::{
    AuthSeed, CHUNK_LEN, FileContent, Name, PublicKey, SigningKey,
    messenger::{self, Command as Mail},
    payload::{FileName, Text},
    place::{Capability, Place},
};
use autonomy_node::{Answer, Caller, Command, Effect, Input, Refusal};
use sha2::{Digest as _, Sha256};

use crate::world::World;

pub(crate) const NOBODY: ContactId = ContactId([0; 16]);

/// Another person's pod.
pub(crate) fn other() -> World {
    person(8, 42)
}

/// The pod of the person with this auth seed.
pub(crate) fn person(seed: u64, auth: u8) -> World {
    let mut world = World::seeded(seed);
    world.device.auth = AuthSeed::from_bytes(&[auth; 32]);
    let bundle = world.bundle(1);
    world.ask(Caller::Owner, Command::Adopt(bundle)).unwrap();
    world
}

fn relay() -> Place {
    let key = |seed| PublicKey::from(&SigningKey::from_bytes(&[seed; 32]));
    Place::new(*key(9).as_bytes(), key(10))
}

pub(crate) fn asks(world: &mut World, command: Mail) -> Answer {
    world.device_asks(Command::Mail(command)).unwrap()
}

pub(crate) fn invites(world: &mut World) -> Invite {
    let wish = Mail::Invite { note: Some(Name::new("a friend").unwrap()), valid_for: 3_600 };
    let Answer::Invite(invite) = asks(world, wish) else { panic!("no invite") };
    invite
}

pub(crate) fn only_contact(world: &mut World) -> Contact {
    let Answer::Contacts(contacts) = asks(world, Mail::Contacts) else { panic!("no contacts") };
    contacts.contacts.into_iter().next().unwrap()
}

/// Redeems an invite of Alice's.
pub(crate) fn accept(invite: &Invite) -> Mail {
    let invite = Box::new(invite.text.clone());
    Mail::Accept { invite, name: Some(Name::new("Alice").unwrap()), again: false }
}

pub(crate) fn text_to(contact: ContactId, text: &str) -> Mail {
    Mail::Send { contact, text: Text::new(text).unwrap() }
}

/// The newest of what was said.
pub(crate) fn newest(contact: ContactId) -> Mail {
    Mail::Messages { contact, before: None, limit: 50 }
}

pub(crate) fn id(contact: &Contact) -> ContactId {
    contact.id
}

/// The other rules are those of the requests' types, which cannot be built with a field that breaks one.
#[test]
fn what_breaks_a_rule_is_refused_by_the_name_of_its_field() {
    let mut world = World::adopted();
    let invite = |valid_for| Command::Mail(Mail::Invite { note: None, valid_for });
    for (field, command) in [
        ("name", Command::SetProfile(SetProfile::default())),
        ("valid_for", invite(0)),
        ("valid_for", invite(31 * 86_400)),
        ("name", Command::UpdateContact(NOBODY, UpdateContact::default())),
    ] {
        let refusal = world.refused(world.device.caller(), command.clone());
        let named = matches!(&refusal, Refusal::Invalid { field: found, .. } if *found == field);
        assert!(named, "{command:?}: {refusal}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let mut world = World::adopted();
    let nobody = NOBODY;
    let update = UpdateContact { blocked: Some(true), ..UpdateContact::default() };
    for command in [
        Command::Mail(Mail::Contact(nobody)),
        Command::Safety(nobody),
        Command::Mail(Mail::Confirm(nobody)),
        Command::UpdateContact(nobody, update),
        Command::Mail(Mail::Remove(nobody)),
        Command::Mail(text_to(NOBODY, "hello")),
        Command::Mail(newest(NOBODY)),
        Command::Mail(Mail::MarkRead { contact: nobody, up_to: 1 }),
        Command::Mail(Mail::Files(nobody)),
    ] {
        let refusal = world.refused(world.device.caller(), command);
        assert!(matches!(&refusal, Refusal::Unknown { id, .. } if *id == NOBODY.to_string()), "{refusal}");
    }
    let relay = Mail::RemoveRelay(relay());
    let refusal = world.refused(world.device.caller(), Command::Mail(relay));
    assert!(
        matches!(&refusal, Refusal::Unknown { id, .. } if *id == place::text(&self::relay())),
        "{refusal}"
    );
}

#[test]
fn who_becomes_a_contact_is_decided_with_full_access() {
    let nobody = NOBODY;
    for (needed, command) in [
        (Access::Limited, Command::Mail(Mail::Contacts)),
        (Access::Limited, Command::Mail(text_to(NOBODY, "hello"))),
        (Access::Limited, Command::Mail(newest(NOBODY))),
        (Access::Limited, Command::Profile),
        (Access::Limited, Command::Safety(nobody)),
        (Access::Full, Command::Mail(Mail::Invites)),
        (Access::Full, Command::Mail(accept(&invites(&mut World::adopted())))),
        (Access::Full, Command::Mail(Mail::Confirm(nobody))),
        (Access::Full, Command::Mail(Mail::RemoveRelay(relay()))),
        (Access::Full, Command::SetProfile(SetProfile::default())),
        (Access::Full, Command::UpdateContact(nobody, UpdateContact::default())),
    ] {
        assert_eq!(command.required_access(), needed, "{command:?}");
    }
}

#[test]
fn a_repeated_wish_makes_one_invite_and_sends_one_message() {
    let mut world = World::adopted();
    let wish = Command::Mail(Mail::Invite { note: None, valid_for: 3_600 });
    let caller = world.device.caller();
    let first = world.ask_with_key(caller, Some("k"), wish.clone()).unwrap();
    assert_eq!(world.ask_with_key(caller, Some("k"), wish).unwrap(), first);
    let Answer::Invites(all) = asks(&mut world, Mail::Invites) else { panic!("no invites") };
    assert_eq!(all.invites.len(), 1);
}

#[test]
fn nothing_private_is_printed_for_debugging() {
    let mut world = World::adopted();
    let invite = invites(&mut world);
    let said = text_to(NOBODY, "meet me at noon");
    let token = "5e".repeat(32);
    let relay = AddRelay { place: relay(), name: None, token: Some(Capability::from_bytes([0x5e; 32])) };
    let printed = format!("{invite:?} {said:?} {relay:?}");
    for secret in [&*invite.text.to_text(), "noon", token.as_str()] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

/// Carries what two pods ask of each other's queues to and fro, until both are silent.
fn converse(alice: &mut World, bob: &mut World) {
    for _ in 0..200 {
        let moved = deliver(alice, bob) + deliver(bob, alice);
        if moved == 0 {
            return;
        }
    }
    panic!("they never fall silent");
}

/// Carries the calls of one pod to the other, and the answers back.
pub(crate) fn deliver(from: &mut World, to: &mut World) -> usize {
    let calls: Vec<_> = std::mem::take(&mut from.effects)
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Mail(messenger::Effect::Call { call, request, .. }) => Some((call, request)),
            Effect::Notify(_) => None,
            _ => None,
        })
        .collect();
    for (call, request) in calls.clone() {
        let before = to.effects.len();
        to.give(Input::Mail(messenger::Input::Asked { ticket: 1, request }));
        let answer = to.effects[before..].iter().find_map(|effect| match effect {
            Effect::Mail(messenger::Effect::Answer { response, .. }) => Some(response.clone()),
            _ => None,
        });
        to.effects.retain(|effect| !matches!(effect, Effect::Mail(messenger::Effect::Answer { .. })));
        from.give(Input::Mail(messenger::Input::Called { call, outcome: Ok(answer.unwrap()) }));
    }
    calls.len()
}

/// Two pods whose owners are contacts: Alice invited, Bob accepted.
pub(crate) fn contacts() -> (World, World) {
    let (mut alice, mut bob) = (World::adopted(), other());
    contacts_of(&mut alice, &mut bob);
    (alice, bob)
}

/// Makes the owners of two pods contacts: the first invites, the second accepts.
pub(crate) fn contacts_of(alice: &mut World, bob: &mut World) {
    let invite = invites(alice);
    asks(bob, accept(&invite));
    settle(alice, bob);
    let asking = only_contact(alice);
    assert_eq!(asking.state, ContactState::Asking);
    asks(alice, Mail::Confirm(id(&asking)));
    settle(alice, bob);
}

/// Lets time pass for both until they have nothing to say.
pub(crate) fn settle(alice: &mut World, bob: &mut World) {
    for _ in 0..20 {
        for world in [&mut *alice, &mut *bob] {
            world.now += 2;
            world.give(Input::Wake);
        }
        converse(alice, bob);
    }
}

#[test]
fn two_contacts_exchange_messages_and_see_them_delivered() {
    let (mut alice, mut bob) = contacts();
    let (of_alice, of_bob) = (only_contact(&mut alice), only_contact(&mut bob));
    assert_eq!((of_alice.state, of_bob.state), (ContactState::Active, ContactState::Active));
    assert_eq!(of_bob.name.as_str(), "Alice");
    let number = |world: &mut World, of: &Contact| {
        let asked = world.device_asks(Command::Safety(id(of))).unwrap();
        let Answer::Safety(safety) = asked else { panic!("no number") };
        safety.digits
    };
    assert_eq!(number(&mut alice, &of_alice), number(&mut bob, &of_bob), "both compare the same");

    let hello = text_to(id(&of_alice), "hello\nBob");
    let Answer::Queued(queued) = asks(&mut alice, hello) else { panic!() };
    settle(&mut alice, &mut bob);
    let Answer::Messages(there) = asks(&mut bob, newest(id(&of_bob))) else { panic!() };
    let [message] = there.messages.as_slice() else { panic!("{there:?}") };
    assert_eq!(message.text.as_ref().map(Text::as_str), Some("hello\nBob"));
    assert_eq!((message.kind, message.state), (MessageKind::Text, MessageState::Received));
    assert_eq!(only_contact(&mut bob).unread, 1);
    asks(&mut bob, Mail::MarkRead { contact: id(&of_bob), up_to: message.number });
    assert_eq!(only_contact(&mut bob).unread, 0);

    let Answer::Messages(here) = asks(&mut alice, newest(id(&of_alice))) else { panic!() };
    let sent = here.messages.iter().find(|message| message.number == queued.number).unwrap();
    assert_eq!(sent.state, MessageState::Delivered);
    let Answer::Events(events) = alice.device_asks(Command::Events { after: 0 }).unwrap() else { panic!() };
    let kinds: Vec<&EventKind> = events.iter().map(|event| &event.kind).collect();
    let contact = of_alice.id;
    for wanted in [
        EventKind::ContactAsked { contact },
        EventKind::ContactConnected { contact },
        EventKind::MessageDelivered { contact, number: queued.number },
    ] {
        assert!(kinds.contains(&&wanted), "{wanted:?} in {kinds:?}");
    }
}

#[test]
fn a_file_goes_in_pieces_and_is_read_out_as_it_was() {
    let (mut alice, mut bob) = contacts();
    let (to, from) = (id(&only_contact(&mut alice)), id(&only_contact(&mut bob)));
    let content: Vec<u8> = (0..2 * CHUNK_LEN + 77).map(|number| (number % 251) as u8).collect();
    let sha256: [u8; 32] = Sha256::digest(&content).into();
    let told = FileContent { size: content.len() as u64, sha256 };
    let name = FileName::new("photo.jpg").unwrap();
    let offer = Mail::OfferFile { contact: to, name, content: told };
    let Answer::File(file) = asks(&mut alice, offer) else { panic!() };
    let transfer = file.id;
    for (first, piece) in [(0, &content[..CHUNK_LEN as usize]), (1, &content[CHUNK_LEN as usize..])] {
        let (contact, bytes) = (to, piece.to_vec().into());
        asks(&mut alice, Mail::LoadFile { contact, transfer, first, bytes });
    }
    settle(&mut alice, &mut bob);
    let Answer::Files(files) = asks(&mut bob, Mail::Files(from)) else { panic!() };
    let [there] = files.files.as_slice() else { panic!("{files:?}") };
    assert_eq!(
        (there.name.as_str(), there.done, there.sha256),
        ("photo.jpg", content.len() as u64, Hex(sha256))
    );
    let read = Mail::ReadFile { contact: from, transfer, first: 0, count: 40 };
    let Answer::Bytes(bytes) = asks(&mut bob, read) else { panic!() };
    assert!(bytes.as_slice() == content, "not what was sent");
}

#[test]
fn a_pod_changes_its_keys_and_its_contacts_follow() {
    let (mut alice, mut bob) = contacts();
    let (to, from) = (id(&only_contact(&mut bob)), id(&only_contact(&mut alice)));
    let before = alice.node.pod_request().pod_key();
    alice.ask(Caller::Owner, Command::DrawKeys).unwrap();
    let drawn = alice.node.pod_request().pod_key();
    assert_ne!(drawn, before);
    // Nothing has changed for anybody yet.
    let asked = |bob: &mut World, text: &str| {
        asks(bob, text_to(to, text));
        let places = bob.effects.iter().filter_map(|effect| match effect {
            Effect::Mail(messenger::Effect::Call { place, .. }) => Some(*place.peer()),
            _ => None,
        });
        places.collect::<Vec<_>>()
    };
    assert_eq!(asked(&mut bob, "to the old keys"), [before]);
    settle(&mut alice, &mut bob);
    alice.restart();

    let bundle = alice.bundle(2);
    alice.ask(Caller::Owner, Command::Adopt(bundle.clone())).unwrap();
    assert_eq!(alice.node.pod_request().pod_key(), drawn, "no others are waiting");
    alice.ask(Caller::Owner, Command::Adopt(bundle)).unwrap();
    alice.restart();
    settle(&mut alice, &mut bob);
    assert_eq!(asked(&mut bob, "to the new keys"), [drawn]);
    settle(&mut alice, &mut bob);
    let Answer::Messages(there) = asks(&mut alice, newest(from)) else { panic!() };
    let texts: Vec<_> =
        there.messages.iter().filter_map(|message| message.text.as_ref()).map(Text::as_str).collect();
    assert_eq!(texts, ["to the old keys", "to the new keys"]);
}
