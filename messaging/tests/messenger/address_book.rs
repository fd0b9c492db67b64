//! Contacts that come from an address book, and what stays of that when they become more.

use autonomy_messaging::{
    Name,
    messenger::{Command, ContactId, ContactState, ContactView, MailAnswer, RefusedBecause},
    vcard::{Note, OtherProperties, VCard},
};

use super::{ALICE, BOB, HOUR, accept, contacts, invite, state, world::World};

fn card_of(world: &World, pod: usize, name: &str) -> Box<VCard> {
    let note = Note::new("met at the fair").unwrap();
    Box::new(VCard {
        name: Name::new(name).unwrap(),
        note: Some(note),
        root: world.pods[pod].own.root,
        others: OtherProperties::default(),
    })
}

fn view(world: &mut World, pod: usize, of: ContactId) -> ContactView {
    let MailAnswer::Contact(view) = world.command(pod, Command::Contact(of)) else { panic!() };
    *view
}

fn assert_kept(view: &ContactView, name: &str) {
    assert_eq!(view.name.as_str(), name);
    assert_eq!(view.note.as_ref().map(Note::as_str), Some("met at the fair"));
    assert!(view.verified);
}

#[test]
fn a_contact_goes_to_an_address_book_and_comes_back() {
    let mut world = World::new(3, 0);
    let (_, bob) = contacts(&mut world);
    world.command(ALICE, Command::Rename(bob, Name::new("Bob, the baker").unwrap()));
    let MailAnswer::Card(text) = world.command(ALICE, Command::ExportCard(bob)) else { panic!() };
    let card = VCard::from_text(&text).unwrap();
    world.command(2, Command::ImportCard(Box::new(card)));
    let known = view(&mut world, 2, bob);
    assert_eq!((known.state, known.name.as_str()), (ContactState::Known, "Bob, the baker"));
    assert_eq!(known.root, world.pods[BOB].own.root);
    let MailAnswer::Card(again) = world.command(2, Command::ExportCard(bob)) else { panic!() };
    assert_eq!(again, text);
}

#[test]
fn accepting_an_invite_keeps_known_name_note_and_mark() {
    let mut world = World::new(2, 0);
    let alice = world.id(ALICE);
    let card = card_of(&world, ALICE, "Alice of the fair");
    world.command(BOB, Command::ImportCard(card));
    world.command(BOB, Command::SetVerified(alice, true));
    contacts(&mut world);
    assert_kept(&view(&mut world, BOB, alice), "Alice of the fair");
    world.send(BOB, alice, "hello");
    world.pass(60);
    let bob = world.id(BOB);
    assert_eq!(world.texts(ALICE, bob), ["hello"]);
}

#[test]
fn declining_a_known_person_keeps_their_record() {
    let mut world = World::new(2, 0);
    let bob = world.id(BOB);
    let card = card_of(&world, BOB, "Bob of the fair");
    world.command(ALICE, Command::ImportCard(card));
    world.command(ALICE, Command::SetVerified(bob, true));
    let invite = invite(&mut world, ALICE);
    accept(&mut world, BOB, &invite);
    world.pass(60);
    let asking = view(&mut world, ALICE, bob);
    assert_eq!(asking.state, ContactState::Asking);
    assert_kept(&asking, "Bob of the fair");

    world.command(ALICE, Command::Remove(bob));
    let known = view(&mut world, ALICE, bob);
    assert_eq!(known.state, ContactState::Known);
    assert_kept(&known, "Bob of the fair");
    world.command(ALICE, Command::Remove(bob));
    let gone = world.try_command(ALICE, Command::Contact(bob)).unwrap();
    assert_eq!(gone.unwrap_err(), RefusedBecause::Unknown("contact"));
}

#[test]
fn failed_redemption_keeps_a_known_person() {
    let mut world = World::new(2, 0);
    let alice = world.id(ALICE);
    let card = card_of(&world, ALICE, "Alice of the fair");
    world.command(BOB, Command::ImportCard(card));
    world.command(BOB, Command::SetVerified(alice, true));
    world.off(ALICE);
    world.on(ALICE);
    let invite = invite(&mut world, ALICE);
    world.off(ALICE);
    accept(&mut world, BOB, &invite);
    world.pass(8 * 24 * HOUR);
    let known = view(&mut world, BOB, alice);
    assert_eq!(known.state, ContactState::Known);
    assert_kept(&known, "Alice of the fair");
}

#[test]
fn card_changes_no_contact_state() {
    let mut world = World::new(2, 0);
    let (_, bob) = contacts(&mut world);
    let conflict = |answer| matches!(answer, Some(Err(RefusedBecause::Conflict(_))));
    let (bobs, own) = (card_of(&world, BOB, "another name"), card_of(&world, ALICE, "myself"));
    assert!(conflict(world.try_command(ALICE, Command::ImportCard(bobs))));
    assert!(conflict(world.try_command(ALICE, Command::ImportCard(own))));
    assert_eq!(state(&mut world, ALICE, bob), ContactState::Active);
    assert_eq!(view(&mut world, ALICE, bob).name.as_str(), "person 1");
}
