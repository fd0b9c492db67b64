//! Somebody comes back from a backup between an introduction and the first words.

use std::collections::BTreeMap;

use autonomy_messaging::{
    messenger::{Command, ContactState, Notice, Reach},
    place::Place,
    wire::Request,
};

use super::{ALICE, BOB, HOUR, accept, introductions::leaves, invite, state, world::World};

const MINUTE: u64 = 60;

/// Alice confirms Bob while he is off, and comes back from a backup of that day, without her groups.
#[test]
fn inviter_restored_before_first_message_rejoins_the_redeemer() {
    let mut world = World::new(2, 0);
    let invite = invite(&mut world, ALICE);
    accept(&mut world, BOB, &invite);
    world.pass(MINUTE);
    world.off(BOB);
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    world.command(ALICE, Command::Confirm(bob));
    world.send(ALICE, bob, "welcome");
    let backup = world.backup(ALICE);
    world.pass(HOUR);
    world.off(ALICE);
    world.pods[ALICE].disk = backup;
    world.on(ALICE);
    world.pass(HOUR);
    world.on(BOB);
    world.pass(8 * HOUR);
    assert_eq!(world.texts(BOB, alice), ["welcome"]);
    world.send(BOB, alice, "thank you");
    world.pass(MINUTE);
    assert_eq!(world.texts(ALICE, bob), ["thank you"]);
}

/// Bob accepts while the only relay he is reached through is away, and introduces himself when it is back. Gives the place of
/// the invite, and a backup of Bob's of before that.
fn introduced_after_a_backup() -> (World, Place, BTreeMap<Vec<u8>, Vec<u8>>) {
    let mut world = World::new(2, 1);
    world.add_relay(BOB, 0);
    world.command(BOB, Command::SetReach(Reach::Relays));
    world.relays[0].1.dead = true;
    let invite = invite(&mut world, ALICE);
    accept(&mut world, BOB, &invite);
    world.pass(MINUTE);
    let backup = world.backup(BOB);
    world.relays[0].1.dead = false;
    world.pass(HOUR);
    (world, invite.address().place, backup)
}

#[test]
fn introduction_after_a_restore_replaces_the_earlier_keys() {
    for confirmed_before in [false, true] {
        let (mut world, _, backup) = introduced_after_a_backup();
        let (alice, bob) = (world.id(ALICE), world.id(BOB));
        world.off(BOB);
        if confirmed_before {
            world.command(ALICE, Command::Confirm(bob));
            world.pass(HOUR);
        }
        world.pods[BOB].disk = backup;
        world.on(BOB);
        world.pass(HOUR);
        if !confirmed_before {
            world.command(ALICE, Command::Confirm(bob));
        }
        world.send(ALICE, bob, "welcome");
        world.pass(8 * HOUR);
        assert_eq!(world.texts(BOB, alice), ["welcome"]);
        world.send(BOB, alice, "thank you");
        world.pass(MINUTE);
        assert_eq!(world.texts(ALICE, bob), ["thank you"]);
    }
}

#[test]
fn introduction_from_before_a_restore_does_not_undo_a_later_one() {
    let (mut world, at, backup) = introduced_after_a_backup();
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    // Bob leaves his introduction once more, and somebody on the way keeps it.
    world.off(BOB);
    world.on(BOB);
    while leaves(&world, BOB, at).is_empty() {
        world.step_calls(1);
    }
    let first = leaves(&world, BOB, at);
    world.command(ALICE, Command::Confirm(bob));
    world.off(BOB);
    world.send(ALICE, bob, "welcome");
    world.pass(HOUR);
    world.pods[BOB].disk = backup;
    world.on(BOB);
    let again = |world: &mut World| {
        for frame in first.clone() {
            drop(world.ask(at, Request::Deposit(frame)));
        }
    };
    // Bob's second introduction reaches Alice, and nothing of hers reaches Bob.
    while !world.pods[ALICE].notices.contains(&Notice::Rekeyed(bob)) {
        world.step_calls(1);
        if world.calls.is_empty() {
            world.pass(1);
        }
    }
    again(&mut world);
    world.off(ALICE);
    world.on(ALICE);
    again(&mut world);
    world.pass(8 * HOUR);
    assert_eq!(world.texts(BOB, alice), ["welcome"]);
    world.send(BOB, alice, "thank you");
    world.pass(MINUTE);
    again(&mut world);
    world.pass(HOUR);
    world.send(ALICE, bob, "still here");
    world.pass(MINUTE);
    assert_eq!(world.texts(ALICE, bob), ["thank you"]);
    assert_eq!(world.texts(BOB, alice), ["welcome", "still here"]);
}

#[test]
fn restored_redeemer_can_take_another_invite() {
    let mut world = World::new(2, 0);
    let first = invite(&mut world, ALICE);
    accept(&mut world, BOB, &first);
    world.pass(MINUTE);
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    let backup = world.backup(BOB);
    world.off(BOB);
    world.command(ALICE, Command::Confirm(bob));
    world.send(ALICE, bob, "welcome");
    world.pass(HOUR);
    world.pods[BOB].disk = backup;
    world.on(BOB);
    world.pass(MINUTE);
    let failed = |notice: &Notice| matches!(notice, Notice::JoinFailed(..));
    assert!(world.pods[BOB].notices.iter().any(failed));
    let second = invite(&mut world, ALICE);
    accept(&mut world, BOB, &second);
    world.pass(HOUR);
    assert_eq!(state(&mut world, BOB, alice), ContactState::Active, "she confirmed him already");
    assert_eq!(world.texts(BOB, alice), ["welcome"]);
    world.send(BOB, alice, "thank you");
    world.pass(MINUTE);
    assert_eq!(world.texts(ALICE, bob), ["thank you"]);
}
