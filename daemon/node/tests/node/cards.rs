//! Fields of cards: set, shared, changed and withdrawn between two pods, one of which may come from an old backup.

use std::collections::BTreeSet;

use autonomy_api::{
    CardDelivery, CardField, CardFields, CardNote, ContactCard, Email, EventKind, MAX_CARD_NOTE, MAX_EMAIL,
    MAX_OTHER_WAY, MAX_PICTURE, OtherWay, Picture, SetProfile, ShareCard,
};
use autonomy_messaging::{
    Access, Name,
    messenger::{self, Command as Mail, ContactId},
    payload::MAX_INLINE_LEN,
    vcard::VCard,
};
use autonomy_node::{
    Answer, Command, Effect, Input, Refusal, Row, SessionAnswer, SessionCommand,
    sessions::card::{CardAnswer, CardCommand},
};

use crate::{
    mail::{NOBODY, accept, asks, contacts, id, invites, only_contact, other, settle},
    world::World,
};

fn card(command: CardCommand) -> Command {
    Command::Session(SessionCommand::Card(command))
}

fn set(world: &mut World, fields: &CardFields) {
    let answer = world.device_asks(card(CardCommand::SetOwn(Box::new(fields.clone())))).unwrap();
    assert_eq!(answer, Answer::Session(SessionAnswer::Card(CardAnswer::Own(Box::new(fields.clone())))));
}

fn share(world: &mut World, contact: ContactId, fields: &[CardField]) -> ContactCard {
    let wish = ShareCard { fields: fields.to_vec() };
    of_contact(world.device_asks(card(CardCommand::Share(contact, wish))).unwrap())
}

fn of(world: &mut World, contact: ContactId) -> ContactCard {
    of_contact(world.device_asks(card(CardCommand::Of(contact))).unwrap())
}

fn of_contact(answer: Answer) -> ContactCard {
    match answer {
        Answer::Session(SessionAnswer::Card(CardAnswer::Of(card))) => *card,
        other => panic!("{other:?}"),
    }
}

fn picture(len: usize) -> Picture {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.resize(len, 7);
    Picture::new(bytes).unwrap()
}

fn fields(note: &str) -> CardFields {
    CardFields {
        note: Some(CardNote::new(note).unwrap()),
        email: Some(Email::new("alice@example.org").unwrap()),
        way: Some(OtherWay::new("xmpp:alice@example.org").unwrap()),
        picture: Some(picture(100)),
    }
}

fn note_of(card: &ContactCard) -> Option<&str> {
    card.theirs.note.as_ref().map(CardNote::as_str)
}

const ALL: [CardField; 4] = [CardField::Note, CardField::Email, CardField::Way, CardField::Picture];

#[test]
fn a_contact_gets_the_fields_that_were_chosen_and_no_other() {
    let (mut alice, mut bob) = contacts();
    let (to, from) = (id(&only_contact(&mut alice)), id(&only_contact(&mut bob)));
    set(&mut alice, &fields("hello"));
    settle(&mut alice, &mut bob);
    assert_eq!(of(&mut bob, from).theirs, CardFields::default(), "nothing is shared unasked");
    assert_eq!(of(&mut alice, to).delivery, CardDelivery::Delivered, "nothing waits either");

    assert_eq!(share(&mut alice, to, &[CardField::Email, CardField::Note]).delivery, CardDelivery::Sent);
    bob.told();
    settle(&mut alice, &mut bob);
    let card = of(&mut alice, to);
    assert_eq!(
        (card.delivery, card.shared),
        (CardDelivery::Delivered, vec![CardField::Note, CardField::Email])
    );
    let there = of(&mut bob, from);
    assert_eq!(there.theirs, fields("hello").only(&[CardField::Note, CardField::Email]));
    assert_eq!(there.shared, [], "Bob shares nothing");
}

#[test]
fn contacts_hear_of_changes_and_lose_what_is_withdrawn() {
    let (mut alice, mut bob) = contacts();
    let (to, from) = (id(&only_contact(&mut alice)), id(&only_contact(&mut bob)));
    set(&mut alice, &fields("one"));
    share(&mut alice, to, &ALL);
    settle(&mut alice, &mut bob);
    assert_eq!(of(&mut bob, from).theirs, fields("one"));
    let changed = EventKind::ContactChanged { contact: from };
    let told = |bob: &mut World| {
        let Answer::Events(events) = bob.device_asks(Command::Events { after: 0 }).unwrap() else { panic!() };
        events.iter().filter(|event| event.kind == changed).count()
    };
    let before = told(&mut bob);
    set(&mut alice, &CardFields { picture: None, ..fields("two") });
    settle(&mut alice, &mut bob);
    assert_eq!(told(&mut bob), before + 1);
    assert_eq!(of(&mut bob, from).theirs, CardFields { picture: None, ..fields("two") });
    share(&mut alice, to, &[]);
    settle(&mut alice, &mut bob);
    assert_eq!(of(&mut bob, from).theirs, CardFields::default());
    assert_eq!(told(&mut bob), before + 2);
    // A field that they do not see is none of their business.
    set(&mut alice, &fields("three"));
    settle(&mut alice, &mut bob);
    assert_eq!(told(&mut bob), before + 2);
}

#[test]
fn fields_chosen_before_the_first_contact_are_sent_once_active() {
    let (mut alice, mut bob) = (World::adopted(), other());
    set(&mut alice, &fields("from Alice"));
    set(&mut bob, &fields("from Bob"));
    let invite = invites(&mut alice);
    asks(&mut bob, accept(&invite));
    let from = id(&only_contact(&mut bob));
    assert_eq!(share(&mut bob, from, &[CardField::Note]).delivery, CardDelivery::Waiting);
    settle(&mut alice, &mut bob);
    let to = id(&only_contact(&mut alice));
    assert_eq!(share(&mut alice, to, &[CardField::Note]).delivery, CardDelivery::Waiting);
    assert!(alice.node.next_wake().is_none_or(|at| at > alice.now), "waiting costs no sleep");
    set(&mut alice, &fields("edited"));
    asks(&mut alice, Mail::Confirm(to));
    settle(&mut alice, &mut bob);
    assert_eq!(note_of(&of(&mut bob, from)), Some("edited"));
    assert_eq!(note_of(&of(&mut alice, to)), Some("from Bob"));
}

#[test]
fn of_several_changes_only_the_last_is_sent() {
    let (mut alice, mut bob) = contacts();
    let (to, from) = (id(&only_contact(&mut alice)), id(&only_contact(&mut bob)));
    share(&mut alice, to, &ALL);
    set(&mut alice, &fields("0"));
    let queued = only_contact(&mut alice).queued;
    for number in 1..50 {
        set(&mut alice, &fields(&number.to_string()));
    }
    assert_eq!(only_contact(&mut alice).queued, queued, "one is on its way");
    assert_eq!(of(&mut alice, to).delivery, CardDelivery::Waiting);
    bob.told();
    settle(&mut alice, &mut bob);
    assert_eq!(note_of(&of(&mut bob, from)), Some("49"));
    let Answer::Events(events) = bob.device_asks(Command::Events { after: 0 }).unwrap() else { panic!() };
    let changed = events.iter().filter(|event| matches!(event.kind, EventKind::ContactChanged { .. }));
    assert!(changed.count() <= 3, "the name's card, the first, and the last");
    assert_eq!(of(&mut alice, to).delivery, CardDelivery::Delivered);
}

/// The rows that a backup has.
fn backup(world: &World) -> Vec<(Vec<u8>, Vec<u8>)> {
    let kept = world.rows.iter().filter(|(key, _)| Row::is_in_backup(key));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn restore_backup(world: &mut World, backup: Vec<(Vec<u8>, Vec<u8>)>) {
    world.rows = backup.into_iter().collect();
    world.restart();
}

#[test]
fn a_sharer_from_an_old_backup_says_again_what_it_knows() {
    let (mut alice, mut bob) = contacts();
    let (to, from) = (id(&only_contact(&mut alice)), id(&only_contact(&mut bob)));
    set(&mut alice, &fields("old"));
    share(&mut alice, to, &ALL);
    settle(&mut alice, &mut bob);
    let old = backup(&alice);
    set(&mut alice, &fields("newer"));
    settle(&mut alice, &mut bob);
    share(&mut alice, to, &[CardField::Note]);
    settle(&mut alice, &mut bob);
    assert_eq!(of(&mut bob, from).theirs, fields("newer").only(&[CardField::Note]));
    restore_backup(&mut alice, old);
    settle(&mut alice, &mut bob);
    assert_eq!(of(&mut bob, from).theirs, fields("old"), "as the pod of the owner has it");
    assert_eq!(of(&mut alice, to).delivery, CardDelivery::Delivered);
}

#[test]
fn a_sharer_from_a_backup_of_before_the_first_share_withdraws() {
    let (mut alice, mut bob) = contacts();
    let (to, from) = (id(&only_contact(&mut alice)), id(&only_contact(&mut bob)));
    let old = backup(&alice);
    set(&mut alice, &fields("shared"));
    share(&mut alice, to, &ALL);
    settle(&mut alice, &mut bob);
    restore_backup(&mut alice, old);
    settle(&mut alice, &mut bob);
    assert_eq!(of(&mut alice, to).shared, []);
    assert_eq!(of(&mut bob, from).theirs, CardFields::default(), "as the pod of the owner has it");
}

/// The card with the new name would have the number that the one of after the backup had.
#[test]
fn a_name_given_right_after_a_restore_reaches_contacts() {
    let (mut alice, mut bob) = contacts();
    let called = |world: &mut World, name: &str| {
        let profile = SetProfile { name: Some(Name::new(name).unwrap()), reach: None };
        world.device_asks(Command::SetProfile(profile)).unwrap();
    };
    let known = |bob: &mut World| only_contact(bob).card_name.map(|name| name.as_str().to_owned());
    let old = backup(&alice);
    called(&mut alice, "Ann");
    settle(&mut alice, &mut bob);
    assert_eq!(known(&mut bob).as_deref(), Some("Ann"));
    restore_backup(&mut alice, old);
    called(&mut alice, "Anne");
    settle(&mut alice, &mut bob);
    assert_eq!(known(&mut bob).as_deref(), Some("Anne"));
}

#[test]
fn a_receiver_from_an_old_backup_gets_again_what_it_forgot() {
    let (mut alice, mut bob) = contacts();
    let (to, from) = (id(&only_contact(&mut alice)), id(&only_contact(&mut bob)));
    let old = backup(&bob);
    set(&mut alice, &fields("shared"));
    share(&mut alice, to, &ALL);
    settle(&mut alice, &mut bob);
    restore_backup(&mut bob, old);
    assert_eq!(of(&mut bob, from).theirs, CardFields::default());
    settle(&mut alice, &mut bob);
    assert_eq!(of(&mut bob, from).theirs, fields("shared"));
}

#[test]
fn a_removed_contact_leaves_no_row() {
    let (mut alice, mut bob) = contacts();
    let (to, from) = (id(&only_contact(&mut alice)), id(&only_contact(&mut bob)));
    set(&mut alice, &fields("shared"));
    share(&mut alice, to, &ALL);
    settle(&mut alice, &mut bob);
    let cards = |world: &World| world.rows.keys().filter(|key| key[0] == 15).count();
    assert_eq!((cards(&alice), cards(&bob)), (1, 1));
    asks(&mut alice, Mail::Remove(to));
    asks(&mut bob, Mail::Remove(from));
    assert_eq!((cards(&alice), cards(&bob)), (0, 0));
    let refusal = alice.refused(alice.device.caller(), card(CardCommand::Of(to)));
    assert!(matches!(refusal, Refusal::Unknown { what: "contact", .. }), "{refusal}");
}

#[test]
fn who_may_not_is_refused_and_who_is_not_there_is_named() {
    let nobody: ContactId = NOBODY;
    for (needed, command) in [
        (Access::Limited, CardCommand::Own),
        (Access::Limited, CardCommand::Of(nobody)),
        (Access::Full, CardCommand::SetOwn(Box::default())),
        (Access::Full, CardCommand::Share(nobody, ShareCard::default())),
    ] {
        assert_eq!(card(command).required_access(), needed);
    }
    let mut world = World::adopted();
    for command in [CardCommand::Of(nobody), CardCommand::Share(nobody, ShareCard::default())] {
        let refusal = world.refused(world.device.caller(), card(command));
        assert!(matches!(&refusal, Refusal::Unknown { id, .. } if *id == NOBODY.to_string()), "{refusal}");
    }
}

#[test]
fn the_largest_card_fits_a_message_and_arrives_whole() {
    let host = "x".repeat(MAX_EMAIL - 2);
    let largest = CardFields {
        note: Some(CardNote::new(&"n".repeat(MAX_CARD_NOTE)).unwrap()),
        email: Some(Email::new(&format!("a@{host}")).unwrap()),
        way: Some(OtherWay::new(&format!("tel:{}", "1".repeat(MAX_OTHER_WAY - 4))).unwrap()),
        picture: Some(picture(MAX_PICTURE)),
    };
    // Names, lengths and the revision take less than 100 bytes.
    const { assert!(1 + 100 + MAX_CARD_NOTE + MAX_EMAIL + MAX_OTHER_WAY + MAX_PICTURE <= MAX_INLINE_LEN) };
    let (mut alice, mut bob) = contacts();
    let (to, from) = (id(&only_contact(&mut alice)), id(&only_contact(&mut bob)));
    set(&mut alice, &largest);
    share(&mut alice, to, &ALL);
    let Answer::Files(files) = asks(&mut alice, Mail::Files(to)) else { panic!() };
    assert!(files.files.is_empty());
    settle(&mut alice, &mut bob);
    assert_eq!(of(&mut bob, from).theirs, largest);
}

#[test]
fn fields_survive_an_export_to_vcard_and_its_import() {
    let (mut alice, mut bob) = contacts();
    let (to, from) = (id(&only_contact(&mut alice)), id(&only_contact(&mut bob)));
    set(&mut alice, &fields("a note"));
    share(&mut alice, to, &ALL);
    settle(&mut alice, &mut bob);
    let Answer::Card(text) = asks(&mut bob, Mail::ExportCard(from)) else { panic!("no card") };
    let vcard = VCard::from_text(&text).unwrap();
    assert_eq!(vcard.note.as_ref().map(|note| note.as_str()), Some("a note"));
    let mut carol = World::seeded(9);
    carol.device.auth = autonomy_messaging::AuthSeed::from_bytes(&[43; 32]);
    let bundle = carol.bundle(1);
    carol.ask(autonomy_node::Caller::Owner, Command::Adopt(bundle)).unwrap();
    asks(&mut carol, Mail::ImportCard(Box::new(vcard)));
    let known = of(&mut carol, from).theirs;
    assert_eq!(known, CardFields { note: None, ..fields("a note") }, "the note is the importer's own");
}

/// A contact whose pod is another program sends what it likes.
#[test]
fn payloads_that_break_a_rule_or_are_newer_change_nothing() {
    let (mut alice, mut bob) = contacts();
    let (to, from) = (id(&only_contact(&mut alice)), id(&only_contact(&mut bob)));
    set(&mut alice, &fields("good"));
    share(&mut alice, to, &ALL);
    settle(&mut alice, &mut bob);
    let kind = autonomy_messaging::payload::ApplicationKind::new(0x0400).unwrap();
    for bytes in [vec![1], vec![2, 0xa0], vec![1, 0xff], [&[1][..], &[0xa0; 65_000]].concat()] {
        let send = Mail::SendApplication { contact: to, kind, bytes: bytes.into() };
        asks(&mut alice, send);
        settle(&mut alice, &mut bob);
        assert_eq!(of(&mut bob, from).theirs, fields("good"));
    }
    let Answer::Messages(page) = asks(&mut bob, crate::mail::newest(from)) else { panic!() };
    assert!(page.messages.is_empty(), "a card is no entry of the conversation");
}

#[test]
fn a_card_that_expired_is_sent_again() {
    let (mut alice, mut bob) = contacts();
    let (to, from) = (id(&only_contact(&mut alice)), id(&only_contact(&mut bob)));
    set(&mut alice, &fields("late"));
    share(&mut alice, to, &ALL);
    outlast(&mut alice);
    assert_eq!(of(&mut alice, to).delivery, CardDelivery::Sent, "once more");
    catch_up(&mut alice, &mut bob);
    assert_eq!(of(&mut bob, from).theirs, fields("late"));
}

#[test]
fn a_card_whose_payload_is_lost_is_sent_again() {
    let (mut alice, mut bob) = contacts();
    let (to, from) = (id(&only_contact(&mut alice)), id(&only_contact(&mut bob)));
    set(&mut alice, &fields("late"));
    let entries = |world: &World| {
        let entry = [b"e", &to.0[..]].concat();
        let rows = world.rows.keys().filter(|key| key.windows(17).any(|part| part == entry));
        rows.cloned().collect::<BTreeSet<_>>()
    };
    let before = entries(&alice);
    share(&mut alice, to, &ALL);
    let written: Vec<_> = entries(&alice).difference(&before).cloned().collect();
    assert_eq!(written.len(), 1, "the payload");
    alice.rows.remove(&written[0]);
    outlast(&mut alice);
    catch_up(&mut alice, &mut bob);
    assert_eq!(of(&mut bob, from).theirs, fields("late"));
    assert_eq!(of(&mut alice, to).delivery, CardDelivery::Delivered);
}

/// The contact's pod is away for longer than messages are kept.
fn outlast(alice: &mut World) {
    let end = alice.now + messenger::MESSAGE_TTL + 86_400;
    while alice.now < end {
        alice.now += 43_200;
        alice.give(Input::Wake);
        let calls: Vec<_> = std::mem::take(&mut alice.effects)
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Mail(messenger::Effect::Call { call, .. }) => Some(call),
                _ => None,
            })
            .collect();
        for call in calls {
            let outcome = Err(autonomy_messaging::lane::Unreached { detail: "away".into() });
            alice.give(Input::Mail(messenger::Input::Called { call, outcome }));
        }
    }
}

/// It is back, and both go on for a day.
fn catch_up(alice: &mut World, bob: &mut World) {
    bob.now = alice.now;
    for _ in 0..20 {
        settle(alice, bob);
        alice.now += 3_600;
        bob.now += 3_600;
    }
}
