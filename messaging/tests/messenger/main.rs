//! Two people, their pods and some relays: how they become contacts, and what becomes of what they say.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod address_book;
mod application;
mod blocked;
mod chaos;
mod files;
mod hostile;
mod insider;
mod introductions;
mod parcels;
mod reach;
mod relay;
mod restored;
mod returned;
mod rolled_back;
mod rotation;
mod unread;
mod world;

use autonomy_messaging::{
    invite::Invite,
    messenger::{Command, ContactId, ContactState, InviteState, MailAnswer, Notice},
};
use world::World;

const ALICE: usize = 0;
const BOB: usize = 1;
const HOUR: u64 = 60 * 60;

fn invite(world: &mut World, by: usize) -> Invite {
    let MailAnswer::Invite(view) =
        world.command(by, Command::Invite { note: None, valid_for: 7 * 24 * HOUR })
    else {
        panic!()
    };
    view.invite
}

fn accept(world: &mut World, by: usize, invite: &Invite) {
    world.command(by, Command::Accept { invite: Box::new(invite.clone()), name: None, again: false });
}

fn state(world: &mut World, pod: usize, of: ContactId) -> ContactState {
    let MailAnswer::Contact(view) = world.command(pod, Command::Contact(of)) else { panic!() };
    view.state
}

/// Two contacts who are both online.
fn contacts(world: &mut World) -> (ContactId, ContactId) {
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    let invite = invite(world, ALICE);
    world.pass(5);
    accept(world, BOB, &invite);
    world.pass(60);
    assert_eq!(state(world, ALICE, bob), ContactState::Asking);
    world.command(ALICE, Command::Confirm(bob));
    world.pass(60);
    assert_eq!(state(world, BOB, alice), ContactState::Active);
    (alice, bob)
}

#[test]
fn two_pods_become_contacts_and_talk() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    world.send(BOB, alice, "hello Alice");
    world.send(ALICE, bob, "hello Bob");
    world.pass(30);
    assert_eq!(world.texts(ALICE, bob), ["hello Alice"]);
    assert_eq!(world.texts(BOB, alice), ["hello Bob"]);
    assert!(world.pods[ALICE].notices.iter().any(|notice| matches!(notice, Notice::Delivered(..))));
    assert!(world.pods[BOB].notices.iter().any(|notice| matches!(notice, Notice::Delivered(..))));
}

#[test]
fn pods_never_online_together_become_contacts() {
    let mut world = World::new(2, 3);
    world.add_relays(ALICE);
    world.add_relays(BOB);
    world.pass(10);
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    world.off(BOB);
    let invite = invite(&mut world, ALICE);
    world.pass(10);
    let MailAnswer::Invites(invites) = world.command(ALICE, Command::Invites) else { panic!() };
    assert_eq!(invites[0].state, InviteState::Ready);
    world.off(ALICE);

    world.on(BOB);
    accept(&mut world, BOB, &invite);
    world.pass(HOUR);
    world.off(BOB);

    world.on(ALICE);
    world.pass(60);
    assert_eq!(state(&mut world, ALICE, bob), ContactState::Asking);
    world.command(ALICE, Command::Confirm(bob));
    world.send(ALICE, bob, "welcome");
    world.pass(HOUR);
    world.off(ALICE);

    // From here on two of the three relays are gone.
    world.relays[0].1.dead = true;
    world.on(BOB);
    world.pass(60);
    assert_eq!(state(&mut world, BOB, alice), ContactState::Active);
    assert_eq!(world.texts(BOB, alice), ["welcome"]);
    for n in 0..20 {
        world.send(BOB, alice, &format!("message {n}"));
    }
    world.pass(HOUR);
    world.off(BOB);
    world.relays[0].1.dead = false;
    world.relays[1].1.dead = true;

    world.on(ALICE);
    world.pass(HOUR);
    let expected: Vec<String> = (0..20).map(|n| format!("message {n}")).collect();
    assert_eq!(world.texts(ALICE, bob), expected);
}

#[test]
fn restored_pod_resets_the_group_and_keeps_queued_messages() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    world.send(BOB, alice, "before the backup");
    world.pass(30);
    let backup = world.backup(ALICE);
    world.send(BOB, alice, "after the backup");
    world.send(ALICE, bob, "one more");
    world.pass(30);
    world.off(ALICE);
    world.send(BOB, alice, "while she was away");
    world.pass(HOUR);

    world.pods[ALICE].disk = backup;
    world.on(ALICE);
    world.send(ALICE, bob, "back again");
    world.pass(2 * HOUR);
    assert_eq!(world.texts(ALICE, bob), ["before the backup", "while she was away"]);
    assert_eq!(world.texts(BOB, alice), ["one more", "back again"]);
    assert!(world.pods[BOB].notices.contains(&Notice::Rekeyed(alice)));
}

#[test]
fn an_invite_is_for_one() {
    let mut world = World::new(3, 0);
    let (bob, carol) = (world.id(BOB), world.id(2));
    let invite = invite(&mut world, ALICE);
    accept(&mut world, BOB, &invite);
    accept(&mut world, 2, &invite);
    world.pass(60);
    assert_eq!(state(&mut world, ALICE, bob), ContactState::Asking);
    assert_eq!(state(&mut world, ALICE, carol), ContactState::Asking);
    world.command(ALICE, Command::Confirm(carol));
    world.pass(60);
    assert_eq!(state(&mut world, ALICE, carol), ContactState::Active);
    let MailAnswer::Contacts(contacts) = world.command(ALICE, Command::Contacts) else { panic!() };
    assert_eq!(contacts.len(), 1, "every other redeemer is declined");
    let alice = world.id(ALICE);
    assert_eq!(state(&mut world, BOB, alice), ContactState::Joining);
}
