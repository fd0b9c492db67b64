//! What owners choose: who is blocked, and who gets which fields of their card.

use autonomy_api::{CardField, CardFields, CardNote, Email, ShareCard};
use autonomy_node::{SessionCommand, sessions::card::CardCommand};
use autonomy_sim::{Answer, Command, Crash, DAY, HOUR, Refused, World};

use crate::{all_is_well, run, two_contacts, until};

#[test]
fn messages_of_a_blocked_contact_arrive_after_unblocking() {
    let mut world = two_contacts(81, 3);
    let other = world.contact(1);
    world.command(0, Command::SetBlocked(other, true)).unwrap().unwrap();
    (0..10).for_each(|_| assert!(world.say(1, 0, 300)));
    run(&mut world, 6 * HOUR);
    assert_eq!(world.shown_to(1, 0), 0);
    world.command(0, Command::SetBlocked(other, false)).unwrap().unwrap();
    until(&mut world, 2 * DAY, |world| world.waiting() == 0);
    assert_eq!(world.report().figures.blocked, 1);
}

fn card_command(world: &mut World, pod: usize, command: CardCommand) -> Option<Result<Answer, Refused>> {
    world.command(pod, Command::Session(SessionCommand::Card(command)))
}

/// An owner shares fields with a contact. None where the pod crashes.
fn share(world: &mut World, from: usize, to: usize, fields: &[CardField]) -> Option<Result<Answer, Refused>> {
    let (contact, fields) = (world.contact(to), fields.to_vec());
    card_command(world, from, CardCommand::Share(contact, ShareCard { fields }))
}

/// An owner writes a note and an address on their card.
fn write_card(world: &mut World, pod: usize) {
    let (note, email) = (CardNote::new("on Sundays").unwrap(), Email::new("a@example.org").unwrap());
    let fields = CardFields { note: Some(note), email: Some(email), ..CardFields::default() };
    card_command(world, pod, CardCommand::SetOwn(Box::new(fields))).unwrap().unwrap();
}

#[test]
fn contacts_who_parted_get_no_field_chosen_before() {
    let mut world = two_contacts(82, 2);
    write_card(&mut world, 0);
    share(&mut world, 0, 1, &[CardField::Note]).unwrap().unwrap();
    run(&mut world, HOUR);
    assert_eq!(world.report().figures.card_fields, 1);
    for (pod, other) in [(0, 1), (1, 0)] {
        let contact = world.contact(other);
        world.command(pod, Command::Remove(contact)).unwrap().unwrap();
    }
    run(&mut world, HOUR);
    world.befriend(0, 1);
    until(&mut world, DAY, World::all_are_contacts);
    run(&mut world, HOUR);
    assert_eq!(world.report().figures.card_fields, 1);
    share(&mut world, 0, 1, &[CardField::Email]).unwrap().unwrap();
    run(&mut world, HOUR);
    assert_eq!(world.report().figures.card_fields, 2);
    all_is_well(&mut world);
}

#[test]
fn choice_of_fields_cut_off_by_a_crash_is_kept_or_not() {
    for crash in [Crash::BeforeCommit, Crash::AfterEffects(0)] {
        let mut world = two_contacts(83, 2);
        write_card(&mut world, 0);
        world.crash_after(0, 0, crash);
        assert!(share(&mut world, 0, 1, &[CardField::Note]).is_none());
        run(&mut world, 2 * HOUR);
        let arrived = u64::from(crash != Crash::BeforeCommit);
        assert_eq!(world.report().figures.card_fields, arrived, "{crash:?}");
        all_is_well(&mut world);
    }
}
