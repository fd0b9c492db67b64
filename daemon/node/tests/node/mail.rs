//! Contacts and messages, as a device asks for them: each field refused by name, and two pods that never see a network.

use autonomy_api::{
    AcceptInvite, Access, AddRelay, Contact, ContactState, EventKind, Id, Invite, MarkRead, MessageKind,
    MessageState, NewInvite, NewMessage, OfferFile, SetProfile, UpdateContact, place,
};
use autonomy_messaging::{AuthSeed, CHUNK_LEN, PublicKey, SigningKey, messenger, place::Place};
use autonomy_node::{
    Answer, Caller, ChunksRead, Command, Effect, Input, LoadedChunks, MailCommand, MessagesPage, Refusal,
};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::world::World;

pub(crate) const NOBODY: Id<16> = Id([0; 16]);

/// Another person's pod.
pub(crate) fn other() -> World {
    let mut world = World::seeded(8);
    world.device.auth = AuthSeed::from_bytes(&[42; 32]);
    let bundle = world.bundle(1);
    world.ask(Caller::Owner, Command::Adopt(bundle)).unwrap();
    world
}

fn relay_text() -> String {
    let key = |seed| PublicKey::from(&SigningKey::from_bytes(&[seed; 32]));
    place::text(&Place::new(*key(9).as_bytes(), key(10)))
}

pub(crate) fn asks(world: &mut World, command: MailCommand) -> Answer {
    world.device_asks(Command::Mail(command)).unwrap()
}

pub(crate) fn invites(world: &mut World) -> Invite {
    let wish = NewInvite { note: Some("a friend".into()), valid_for: Some(3_600) };
    let Answer::Invite(invite) = asks(world, MailCommand::NewInvite(wish)) else { panic!("no invite") };
    invite
}

pub(crate) fn only_contact(world: &mut World) -> Contact {
    let Answer::Contacts(contacts) = asks(world, MailCommand::Contacts) else { panic!("no contacts") };
    contacts.contacts.into_iter().next().unwrap()
}

pub(crate) fn id(contact: &Contact) -> Id<16> {
    contact.id.parse().unwrap()
}

#[test]
fn what_breaks_a_rule_is_refused_by_the_name_of_its_field() {
    let mut world = World::adopted();
    let add = |place: &str, name: Option<&str>, token: Option<&str>| {
        let name = name.map(str::to_owned);
        MailCommand::AddRelay(AddRelay { place: place.into(), name, token: token.map(Into::into) })
    };
    let page = |limit| MailCommand::Messages(NOBODY, MessagesPage { before: None, limit: Some(limit) });
    let offer = |name: &str, sha256: &str| {
        MailCommand::OfferFile(NOBODY, OfferFile { name: name.into(), size: 1, sha256: sha256.into() })
    };
    let invite = |note: &str| NewInvite { note: Some(note.into()), valid_for: None };
    let name = Some("two\nlines".to_owned());
    let hash = "00".repeat(32);
    for (field, command) in [
        ("name", MailCommand::SetProfile(SetProfile { name: Some(" Alice".into()), reach: None })),
        ("name", MailCommand::SetProfile(SetProfile::default())),
        ("note", MailCommand::NewInvite(invite(""))),
        ("valid_for", MailCommand::NewInvite(NewInvite { note: None, valid_for: Some(0) })),
        ("valid_for", MailCommand::NewInvite(NewInvite { note: None, valid_for: Some(31 * 86_400) })),
        ("invite", MailCommand::Accept(AcceptInvite { invite: "autonomy-invite1".into(), name: None })),
        ("name", MailCommand::UpdateContact(NOBODY, UpdateContact { name, ..UpdateContact::default() })),
        ("name", MailCommand::UpdateContact(NOBODY, UpdateContact::default())),
        ("text", MailCommand::Send(NOBODY, NewMessage { text: "".into() })),
        ("text", MailCommand::Send(NOBODY, NewMessage { text: "x".repeat(16_385).as_str().into() })),
        ("limit", page(0)),
        ("limit", page(201)),
        ("name", offer("../a", &hash)),
        ("sha256", offer("a", "00")),
        ("count", MailCommand::ReadFile(NOBODY, NOBODY, ChunksRead { first: 0, count: Some(41) })),
        ("place", add("/onion3/x:4001/p2p/y", None, None)),
        ("name", add(&relay_text(), Some("\u{202e}"), None)),
        ("token", add(&relay_text(), None, Some("00"))),
        ("place", MailCommand::RemoveRelay { place: String::new() }),
    ] {
        let refusal = world.refused(world.device.caller(), Command::Mail(command.clone()));
        let named = matches!(&refusal, Refusal::Invalid { field: found, .. } if *found == field);
        assert!(named, "{command:?}: {refusal}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let mut world = World::adopted();
    let update = UpdateContact { blocked: Some(true), ..UpdateContact::default() };
    for command in [
        MailCommand::Contact(NOBODY),
        MailCommand::Safety(NOBODY),
        MailCommand::Confirm(NOBODY),
        MailCommand::UpdateContact(NOBODY, update),
        MailCommand::RemoveContact(NOBODY),
        MailCommand::Send(NOBODY, NewMessage { text: "hello".into() }),
        MailCommand::Messages(NOBODY, MessagesPage::default()),
        MailCommand::MarkRead(NOBODY, MarkRead { up_to: 1 }),
        MailCommand::Files(NOBODY),
    ] {
        let refusal = world.refused(world.device.caller(), Command::Mail(command));
        assert!(matches!(&refusal, Refusal::Unknown { id, .. } if *id == NOBODY.to_string()), "{refusal}");
    }
    let relay = MailCommand::RemoveRelay { place: relay_text() };
    let refusal = world.refused(world.device.caller(), Command::Mail(relay));
    assert!(matches!(&refusal, Refusal::Unknown { id, .. } if *id == relay_text()), "{refusal}");
}

#[test]
fn who_becomes_a_contact_is_decided_with_full_access() {
    let invite = AcceptInvite { invite: "".into(), name: None };
    for (needed, command) in [
        (Access::Limited, MailCommand::Contacts),
        (Access::Limited, MailCommand::Send(NOBODY, NewMessage { text: "hello".into() })),
        (Access::Limited, MailCommand::Messages(NOBODY, MessagesPage::default())),
        (Access::Full, MailCommand::Invites),
        (Access::Full, MailCommand::Accept(invite)),
        (Access::Full, MailCommand::Confirm(NOBODY)),
        (Access::Full, MailCommand::RemoveRelay { place: String::new() }),
    ] {
        assert_eq!(Command::Mail(command.clone()).required_access(), needed, "{command:?}");
    }
}

#[test]
fn a_repeated_wish_makes_one_invite_and_sends_one_message() {
    let mut world = World::adopted();
    let wish = Command::Mail(MailCommand::NewInvite(NewInvite::default()));
    let caller = world.device.caller();
    let first = world.ask_with_key(caller, Some("k"), wish.clone()).unwrap();
    assert_eq!(world.ask_with_key(caller, Some("k"), wish).unwrap(), first);
    let Answer::Invites(all) = asks(&mut world, MailCommand::Invites) else { panic!("no invites") };
    assert_eq!(all.invites.len(), 1);
}

#[test]
fn nothing_private_is_printed_for_debugging() {
    let mut world = World::adopted();
    let invite = invites(&mut world);
    let said = MailCommand::Send(NOBODY, NewMessage { text: "meet me at noon".into() });
    let token = "5e".repeat(32);
    let relay = AddRelay { place: relay_text(), name: None, token: Some(token.as_str().into()) };
    let printed = format!("{invite:?} {said:?} {relay:?}");
    for secret in [&*invite.text, "noon", token.as_str()] {
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
fn deliver(from: &mut World, to: &mut World) -> usize {
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
    let invite = invites(&mut alice);
    let accept = AcceptInvite { invite: invite.text.clone(), name: Some("Alice".into()) };
    asks(&mut bob, MailCommand::Accept(accept));
    settle(&mut alice, &mut bob);
    let asking = only_contact(&mut alice);
    assert_eq!(asking.state, ContactState::Asking);
    asks(&mut alice, MailCommand::Confirm(id(&asking)));
    settle(&mut alice, &mut bob);
    (alice, bob)
}

/// Lets time pass for both until they have nothing to say.
fn settle(alice: &mut World, bob: &mut World) {
    for _ in 0..20 {
        for world in [&mut *alice, &mut *bob] {
            world.now += 2;
            world.give(Input::Wake);
        }
        converse(alice, bob);
    }
}

#[test]
fn two_people_become_contacts_and_their_words_arrive_and_are_told_as_delivered() {
    let (mut alice, mut bob) = contacts();
    let (of_alice, of_bob) = (only_contact(&mut alice), only_contact(&mut bob));
    assert_eq!((of_alice.state, of_bob.state), (ContactState::Active, ContactState::Active));
    assert_eq!(of_bob.name, "Alice");
    let number = |world: &mut World, of: &Contact| {
        let Answer::Safety(safety) = asks(world, MailCommand::Safety(id(of))) else { panic!("no number") };
        safety.digits
    };
    assert_eq!(number(&mut alice, &of_alice), number(&mut bob, &of_bob), "both compare the same");

    let hello = NewMessage { text: "hello\nBob".into() };
    let Answer::Queued(queued) = asks(&mut alice, MailCommand::Send(id(&of_alice), hello)) else { panic!() };
    settle(&mut alice, &mut bob);
    let page = MessagesPage::default();
    let Answer::Messages(there) = asks(&mut bob, MailCommand::Messages(id(&of_bob), page)) else { panic!() };
    let [message] = there.messages.as_slice() else { panic!("{there:?}") };
    assert_eq!(message.text.as_deref(), Some("hello\nBob"));
    assert_eq!((message.kind, message.state), (MessageKind::Text, MessageState::Received));
    assert_eq!(only_contact(&mut bob).unread, 1);
    asks(&mut bob, MailCommand::MarkRead(id(&of_bob), MarkRead { up_to: message.number }));
    assert_eq!(only_contact(&mut bob).unread, 0);

    let page = MailCommand::Messages(id(&of_alice), MessagesPage::default());
    let Answer::Messages(here) = asks(&mut alice, page) else { panic!() };
    let sent = here.messages.iter().find(|message| message.number == queued.number).unwrap();
    assert_eq!(sent.state, MessageState::Delivered);
    let Answer::Events(events) = alice.device_asks(Command::Events { after: 0 }).unwrap() else { panic!() };
    let kinds: Vec<&EventKind> = events.iter().map(|event| &event.kind).collect();
    let contact = of_alice.id.clone();
    for wanted in [
        EventKind::ContactAsked { contact: contact.clone() },
        EventKind::ContactConnected { contact: contact.clone() },
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
    let sha256 = HEXLOWER.encode(&Sha256::digest(&content));
    let offer = OfferFile { name: "photo.jpg".into(), size: content.len() as u64, sha256: sha256.clone() };
    let Answer::File(file) = asks(&mut alice, MailCommand::OfferFile(to, offer)) else { panic!() };
    let file_id: Id<16> = file.id.parse().unwrap();
    for (first, piece) in [(0, &content[..CHUNK_LEN as usize]), (1, &content[CHUNK_LEN as usize..])] {
        let chunks = LoadedChunks { first, bytes: piece.to_vec() };
        asks(&mut alice, MailCommand::LoadFile(to, file_id, chunks));
    }
    settle(&mut alice, &mut bob);
    let Answer::Files(files) = asks(&mut bob, MailCommand::Files(from)) else { panic!() };
    let [there] = files.files.as_slice() else { panic!("{files:?}") };
    assert_eq!(
        (there.name.as_str(), there.done, &there.sha256),
        ("photo.jpg", content.len() as u64, &sha256)
    );
    let wish = ChunksRead { first: 0, count: None };
    let Answer::Bytes(bytes) = asks(&mut bob, MailCommand::ReadFile(from, file_id, wish)) else { panic!() };
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
        asks(bob, MailCommand::Send(to, NewMessage { text: text.into() }));
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
    let page = MailCommand::Messages(from, MessagesPage::default());
    let Answer::Messages(there) = asks(&mut alice, page) else { panic!() };
    let texts: Vec<_> = there.messages.iter().filter_map(|message| message.text.as_deref()).collect();
    assert_eq!(texts, ["to the old keys", "to the new keys"]);
}
