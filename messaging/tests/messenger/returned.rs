//! A contact who lost everything comes back with a new pod, or somebody pretends to.

use autonomy_messaging::{
    invite::Invite,
    messenger::{Command, ContactId, ContactState, ContactView, MailAnswer},
};

use super::{
    ALICE, BOB, HOUR, accept, contacts, invite, state,
    world::{World, place},
};

const MINUTE: u64 = 60;

fn view(world: &mut World, pod: usize, of: ContactId) -> ContactView {
    let MailAnswer::Contact(view) = world.command(pod, Command::Contact(of)) else { panic!() };
    *view
}

/// The pod burns, and its owner adopts another, in this epoch of certificates.
fn lose_everything(world: &mut World, pod: usize, epoch: u64) {
    world.off(pod);
    world.pods[pod].disk.clear();
    world.certify(pod, epoch, 40 + epoch as u8, place(60 + epoch as u8));
    world.on(pod);
    assert!(matches!(world.command(pod, Command::Contacts), MailAnswer::Contacts(all) if all.is_empty()));
}

fn accept_again(world: &mut World, by: usize, invite: &Invite) {
    world.command(by, Command::Accept { invite: Box::new(invite.clone()), name: None, again: true });
}

/// Two contacts who compared safety numbers and talked; then Bob's pod burns while a message to him waits.
fn one_lost() -> (World, ContactId, ContactId) {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    world.command(ALICE, Command::SetVerified(bob, true));
    world.send(BOB, alice, "before");
    world.send(ALICE, bob, "seen");
    world.pass(MINUTE);
    world.off(BOB);
    world.send(ALICE, bob, "waits");
    world.pass(HOUR);
    lose_everything(&mut world, BOB, 2);
    world.pass(HOUR);
    (world, alice, bob)
}

/// What was said before is still there, and both go on.
fn assert_they_talk(world: &mut World, alice: ContactId, bob: ContactId) {
    assert_eq!(world.texts(BOB, alice), ["waits"], "what had not arrived arrives, and only that");
    world.send(BOB, alice, "back");
    world.send(ALICE, bob, "welcome");
    world.pass(MINUTE);
    assert_eq!(world.texts(ALICE, bob), ["before", "back"]);
    assert_eq!(world.texts(BOB, alice), ["waits", "welcome"]);
    let seen = view(world, ALICE, bob);
    assert_eq!(
        (seen.state, seen.returns, seen.verified, seen.queued),
        (ContactState::Active, false, true, 0)
    );
}

#[test]
fn one_who_lost_everything_asks_again_and_the_talk_goes_on() {
    let (mut world, alice, bob) = one_lost();
    let invite = invite(&mut world, ALICE);
    accept(&mut world, BOB, &invite);
    world.pass(HOUR);
    let asks = view(&mut world, ALICE, bob);
    assert_eq!((asks.state, asks.returns, asks.verified), (ContactState::Asking, true, true));
    assert_eq!(world.texts(ALICE, bob), ["before"], "the conversation is there");
    assert_eq!(world.texts(BOB, alice), [""; 0], "nothing leaves before the owner agrees");
    world.command(ALICE, Command::Confirm(bob));
    world.pass(HOUR);
    assert_they_talk(&mut world, alice, bob);
}

#[test]
fn the_invite_of_one_who_lost_everything_is_accepted_again() {
    let (mut world, alice, bob) = one_lost();
    let invite = invite(&mut world, BOB);
    world.pass(MINUTE);
    let unasked = Command::Accept { invite: Box::new(invite.clone()), name: None, again: false };
    let refused = world.try_command(ALICE, unasked).unwrap().unwrap_err().to_string();
    assert!(refused.contains("accept it again"), "{refused}");
    accept_again(&mut world, ALICE, &invite);
    world.pass(MINUTE);
    let joins = view(&mut world, ALICE, bob);
    assert_eq!((joins.state, joins.returns, joins.verified), (ContactState::Joining, true, true));
    assert_eq!(state(&mut world, BOB, alice), ContactState::Asking);
    world.command(BOB, Command::Confirm(alice));
    world.pass(HOUR);
    assert_they_talk(&mut world, alice, bob);
}

#[test]
fn a_return_that_leads_nowhere_leaves_the_contact_as_it_was() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    world.send(BOB, alice, "first words");
    world.pass(MINUTE);
    let invite = invite(&mut world, ALICE);
    accept_again(&mut world, BOB, &invite);
    world.send(ALICE, bob, "said meanwhile");
    world.pass(HOUR);
    assert!(view(&mut world, BOB, alice).returns, "{:?}", world.pods[BOB].notices);
    assert!(view(&mut world, ALICE, bob).returns, "{:?}", world.status(ALICE));
    world.command(BOB, Command::Remove(alice));
    world.command(ALICE, Command::Remove(bob));
    assert_eq!(state(&mut world, ALICE, bob), ContactState::Active);
    assert_eq!(state(&mut world, BOB, alice), ContactState::Active);
    world.pass(HOUR);
    world.send(BOB, alice, "no harm done");
    world.pass(MINUTE);
    assert_eq!(world.texts(BOB, alice), ["said meanwhile"]);
    assert_eq!(world.texts(ALICE, bob), ["first words", "no harm done"]);
}

#[test]
fn an_older_pod_of_a_contact_does_not_take_the_place_of_the_new_one() {
    let (mut world, alice, bob) = one_lost();
    let first = invite(&mut world, ALICE);
    accept(&mut world, BOB, &first);
    world.pass(HOUR);
    world.command(ALICE, Command::Confirm(bob));
    world.pass(HOUR);
    assert_they_talk(&mut world, alice, bob);
    let second = invite(&mut world, ALICE);
    lose_everything(&mut world, BOB, 1);
    accept(&mut world, BOB, &second);
    world.pass(HOUR);
    let seen = view(&mut world, ALICE, bob);
    assert_eq!((seen.state, seen.returns), (ContactState::Active, false));
}

#[test]
fn one_who_returns_is_the_contact_of_before_after_a_backup() {
    let (mut world, alice, bob) = one_lost();
    let invite = invite(&mut world, ALICE);
    accept(&mut world, BOB, &invite);
    world.pass(MINUTE);
    assert_eq!(state(&mut world, ALICE, bob), ContactState::Asking);
    world.off(ALICE);
    world.pods[ALICE].disk = world.backup(ALICE);
    world.on(ALICE);
    assert_eq!(state(&mut world, ALICE, bob), ContactState::Active, "the group of the request is lost");
    world.pass(7 * HOUR);
    assert_eq!(state(&mut world, ALICE, bob), ContactState::Asking, "they ask again within hours");
    world.command(ALICE, Command::Confirm(bob));
    world.pass(HOUR);
    assert_they_talk(&mut world, alice, bob);
}
