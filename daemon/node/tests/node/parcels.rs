//! Two pods that never see a network: all that they say to each other is carried by hand.

use autonomy_api::{Access, Contact, ContactId, ContactState, Imported, InviteId, MessageState};
use autonomy_messaging::{
    carrier::Parcel, frame::Blob, messenger::Command as Mail, payload::Text, vcard::VCard,
};
use autonomy_node::{Answer, Command, Input, Refusal};

use crate::{
    mail::{NOBODY, accept, asks, contacts, id, invites, newest, only_contact, other, person, text_to},
    world::World,
};

/// What a command gives to be carried.
fn packs(world: &mut World, command: Mail) -> Vec<u8> {
    let Answer::Bytes(bytes) = asks(world, command) else { panic!("no parcel") };
    Parcel::parse(&bytes).unwrap();
    bytes.into_vec()
}

/// Takes a parcel in; a second or two pass on the way.
fn unpacks(world: &mut World, bytes: Vec<u8>) -> Imported {
    world.now += 2;
    let carried = Parcel::parse(&bytes).unwrap();
    let Answer::Imported(told) = asks(world, Mail::ImportParcel(carried)) else { panic!("no counts") };
    world.give(Input::Wake);
    told
}

/// Carries all that waits for the only contact of `from`.
fn carry(from: &mut World, to: &mut World) -> Imported {
    let contact = id(&only_contact(from));
    let bytes = packs(from, Mail::ExportParcel(contact));
    unpacks(to, bytes)
}

fn says(world: &mut World, to: ContactId, text: &str) -> u64 {
    let Answer::Queued(queued) = asks(world, text_to(to, text)) else { panic!("not taken") };
    queued.number
}

fn texts(world: &mut World, of: ContactId) -> Vec<(String, MessageState)> {
    let Answer::Messages(page) = asks(world, newest(of)) else { panic!("no page") };
    page.messages.iter().map(|m| (m.text.as_ref().map_or("", Text::as_str).to_owned(), m.state)).collect()
}

#[test]
fn two_people_become_contacts_and_talk_by_parcels_alone() {
    let (mut alice, mut bob) = (World::adopted(), other());
    let invite = invites(&mut alice);
    let notice = packs(&mut alice, Mail::ExportInvite(invite.id));
    asks(&mut bob, accept(&invite));
    let of_bob = id(&only_contact(&mut bob));
    let early = bob.refused(bob.device.caller(), Command::Mail(Mail::ExportParcel(of_bob)));
    assert!(matches!(&early, Refusal::Conflict(why) if why.contains("key package")), "{early}");

    assert_eq!(unpacks(&mut bob, notice).opened, 1);
    assert_eq!(carry(&mut bob, &mut alice).opened, 1);
    let asking = only_contact(&mut alice);
    assert_eq!(asking.state, ContactState::Asking);
    asks(&mut alice, Mail::Confirm(id(&asking)));
    let number = says(&mut alice, id(&asking), "by hand");
    assert!(carry(&mut alice, &mut bob).opened >= 1);
    assert_eq!(only_contact(&mut bob).state, ContactState::Active);
    assert!(texts(&mut bob, of_bob).contains(&("by hand".into(), MessageState::Received)));

    says(&mut bob, of_bob, "and back");
    carry(&mut bob, &mut alice);
    let all = texts(&mut alice, id(&asking));
    assert!(all.contains(&("by hand".into(), MessageState::Delivered)), "{number}: {all:?}");
    assert!(all.contains(&("and back".into(), MessageState::Received)), "{all:?}");
}

#[test]
fn a_parcel_is_taken_once_and_only_by_whom_it_is_for() {
    let (mut alice, mut bob) = contacts();
    let (to_bob, to_alice) = (id(&only_contact(&mut alice)), id(&only_contact(&mut bob)));
    says(&mut alice, to_bob, "once");
    let bytes = packs(&mut alice, Mail::ExportParcel(to_bob));
    let back = unpacks(&mut alice, bytes.clone());
    assert_eq!((back.opened, back.repeats, back.refused), (0, 0, 1), "her own queues are others");
    assert_eq!(unpacks(&mut bob, bytes.clone()).opened, 1);
    let again = unpacks(&mut bob, bytes);
    assert_eq!((again.opened, again.refused + again.repeats), (0, 1), "{again:?}");
    assert_eq!(texts(&mut bob, to_alice).len(), 1);
}

/// What breaks the form of a parcel is refused where it comes in; what is broken within it, message by message.
#[test]
fn a_damaged_message_in_a_parcel_is_counted_and_changes_nothing() {
    let (mut alice, mut bob) = contacts();
    let (to_bob, to_alice) = (id(&only_contact(&mut alice)), id(&only_contact(&mut bob)));
    says(&mut alice, to_bob, "whole");
    let whole = packs(&mut alice, Mail::ExportParcel(to_bob));
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(
        Parcel::parse(&damaged).is_err() && Parcel::parse(&whole[1..]).is_err(),
        "it is no parcel at all"
    );
    let mut entries = Parcel::parse(&whole).unwrap().into_entries();
    let mut blob = entries[0].blob.as_bytes().to_vec();
    blob[1_000] ^= 1;
    entries[0].blob = Blob::from_slice(&blob).unwrap();
    let before = bob.rows.clone();
    let told = unpacks(&mut bob, Parcel::new(entries).unwrap().to_bytes());
    assert_eq!((told.opened, told.repeats, told.refused), (0, 0, 1));
    assert!(bob.rows == before, "a damaged message left a trace");
    assert_eq!(unpacks(&mut bob, whole).opened, 1, "the whole one is taken all the same");
    assert_eq!(texts(&mut bob, to_alice).len(), 1);
}

#[test]
fn a_repeat_under_one_key_is_answered_as_the_first_time() {
    let (mut alice, mut bob) = contacts();
    let to_bob = id(&only_contact(&mut alice));
    says(&mut alice, to_bob, "once");
    let bytes = packs(&mut alice, Mail::ExportParcel(to_bob));
    let import = Command::Mail(Mail::ImportParcel(Parcel::parse(&bytes).unwrap()));
    let caller = bob.device.caller();
    let first = bob.ask_with_key(caller, Some("k"), import.clone()).unwrap();
    assert_eq!(bob.ask_with_key(caller, Some("k"), import).unwrap(), first);
}

#[test]
fn a_card_makes_a_person_known_to_another_pod() {
    let (mut alice, _) = contacts();
    let bob = only_contact(&mut alice);
    let Answer::Card(vcard) = asks(&mut alice, Mail::ExportCard(id(&bob))) else { panic!("no card") };
    let import = Mail::ImportCard(Box::new(VCard::from_text(&vcard).unwrap()));
    let mut carol = person(9, 43);
    let Answer::Contact(known) = asks(&mut carol, import.clone()) else { panic!("no contact") };
    let who = |contact: &Contact| (contact.identity, contact.name.clone());
    assert_eq!((known.state, who(&known)), (ContactState::Known, who(&bob)));
    let refusal = alice.refused(alice.device.caller(), Command::Mail(import));
    assert!(matches!(refusal, Refusal::Conflict(_)), "{refusal}");
}

#[test]
fn what_cannot_be_carried_is_refused_by_its_name() {
    let (mut world, _) = contacts();
    let bob = only_contact(&mut world);
    let Answer::Card(vcard) = asks(&mut world, Mail::ExportCard(id(&bob))) else { panic!("no card") };
    says(&mut world, id(&bob), "carried");
    let parcel = packs(&mut world, Mail::ExportParcel(id(&bob)));
    let parcel = Parcel::parse(&parcel).unwrap();
    let (caller, nobody, no_invite) = (world.device.caller(), NOBODY, InviteId([0; 8]));
    for (name, command) in [
        (NOBODY.to_string(), Mail::ExportParcel(nobody)),
        (NOBODY.to_string(), Mail::ExportCard(nobody)),
        (no_invite.to_string(), Mail::ExportInvite(no_invite)),
    ] {
        let refusal = world.refused(caller, Command::Mail(command));
        assert!(matches!(&refusal, Refusal::Unknown { id, .. } if *id == name), "{refusal}");
    }
    for (needed, command) in [
        (Access::Limited, Mail::ExportParcel(nobody)),
        (Access::Limited, Mail::ImportParcel(parcel)),
        (Access::Limited, Mail::ExportCard(nobody)),
        (Access::Full, Mail::ExportInvite(no_invite)),
        (Access::Full, Mail::ImportCard(Box::new(VCard::from_text(&vcard).unwrap()))),
    ] {
        let command = Command::Mail(command);
        assert_eq!(command.required_access(), needed, "{command:?}");
    }
}
