//! A contact who says more than is kept, to an owner who does not read.

use autonomy_messaging::{
    messenger::{Command, ContactId, MAX_ENTRIES, MailAnswer, RefusalReason},
    payload::Payload,
};

use crate::{ALICE, BOB, HOUR, contacts, world::World};

/// The text of the first entry that is kept, and its number.
fn oldest(world: &mut World, pod: usize, from: ContactId) -> (String, u64) {
    let list = |before| Command::Messages { contact: from, before, limit: 1 };
    let MailAnswer::Messages { first, .. } = world.command(pod, list(None)) else { panic!() };
    let MailAnswer::Messages { entries, .. } = world.command(pod, list(Some(first + 1))) else { panic!() };
    match entries.last().map(|entry| (entry.number, entry.payload.clone())) {
        Some((number, Payload::Text(text))) if number == first => (text.as_str().to_owned(), first),
        other => panic!("{first} is kept first, and is {other:?}"),
    }
}

/// Messages that wait for a contact, and those of the contact that are not read.
fn waiting(world: &mut World, pod: usize, contact: ContactId) -> (u32, u32) {
    let MailAnswer::Contact(view) = world.command(pod, Command::Contact(contact)) else { panic!() };
    (view.queued, view.unread)
}

#[test]
fn messages_beyond_the_limit_wait_until_old_ones_are_read() {
    const MORE: u64 = 60;
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    for message in 0..MAX_ENTRIES + MORE {
        world.send(BOB, alice, &message.to_string());
        if message % 400 == 399 {
            world.pass(10);
        }
    }
    world.pass(HOUR);
    assert_eq!(oldest(&mut world, ALICE, bob).0, "0", "the first message is still there");
    let (queued, _) = waiting(&mut world, BOB, alice);
    assert!(u64::from(queued) >= MORE, "{queued} wait, as their sender sees");
    let taken = MAX_ENTRIES + MORE - u64::from(queued);
    assert_eq!(u64::from(waiting(&mut world, ALICE, bob).1), taken, "none was pushed out");
    assert!(world.refused(ALICE).of(RefusalReason::Full) > 0);

    let MailAnswer::Contact(view) = world.command(ALICE, Command::Contact(bob)) else { panic!() };
    let up_to = view.next_entry - 1;
    world.command(ALICE, Command::MarkRead { contact: bob, up_to });
    world.pass(HOUR);
    assert_eq!(waiting(&mut world, BOB, alice).0, 0, "all are delivered");
    assert_eq!(u64::from(waiting(&mut world, ALICE, bob).1), u64::from(queued));
    let (text, first) = oldest(&mut world, ALICE, bob);
    assert!(text != "0" && first > 0, "the first that is kept is told");
    let last = world.texts(ALICE, bob).pop();
    assert_eq!(last, Some((MAX_ENTRIES + MORE - 1).to_string()));
}
