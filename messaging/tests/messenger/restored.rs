//! Somebody comes back from a backup between an introduction and the first words.

use std::collections::{BTreeMap, BTreeSet};

use autonomy_messaging::{
    messenger::{Command, ContactId, ContactState, Notice, Reach},
    place::Place,
    wire::Request,
};

use super::{ALICE, BOB, HOUR, accept, contacts, introductions::leaves, invite, state, world::World};

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

/// The rows of a pod's groups: their names within the contact.
fn ratchet_rows(world: &World, pod: usize) -> BTreeSet<Vec<u8>> {
    let rows = world.pods[pod].disk.keys().filter(|key| key[0] == b'k');
    rows.map(|key| key[1 + 16..].to_vec()).collect()
}

/// The rows that the index of a pod's only group names, and its own.
fn indexed_rows(world: &World, pod: usize, contact: ContactId) -> BTreeSet<Vec<u8>> {
    let index = &world.pods[pod].disk[&[b"k", &contact.0[..], &[0]].concat()];
    let pages = index[1 + 16..].chunks(2).map(|id| [&[1][..], id].concat());
    pages.chain([vec![0]]).collect()
}

type Damage = fn(&mut BTreeMap<Vec<u8>, Vec<u8>>, &[u8]);

/// The key of a page of the group whose index has this key.
fn a_page(disk: &BTreeMap<Vec<u8>, Vec<u8>>, index: &[u8]) -> Vec<u8> {
    disk.keys().find(|key| key.starts_with(&[&index[..17], &[1]].concat())).unwrap().clone()
}

/// What can be wrong with the rows of a group: its index, which has this key, or a page.
const DAMAGES: [Damage; 4] = [
    |disk, index| disk.get_mut(index).unwrap().truncate(9),
    |disk, index| disk.get_mut(index).unwrap()[0] = u8::MAX,
    |disk, index| drop(disk.remove(&a_page(disk, index))),
    |disk, index| disk.get_mut(&a_page(disk, index)).unwrap()[0] ^= 1,
];

/// Two contacts who have talked for long enough that their group is larger than a new one; Alice's is damaged.
fn damaged(damage: Damage) -> (World, ContactId, ContactId) {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    for _ in 0..10 {
        world.send(ALICE, bob, "there");
        world.pass(MINUTE);
        world.send(BOB, alice, "back");
        world.pass(MINUTE);
    }
    assert_eq!(ratchet_rows(&world, ALICE), indexed_rows(&world, ALICE, bob));
    damage(&mut world.pods[ALICE].disk, &[b"k", &bob.0[..], &[0]].concat());
    world.off(ALICE);
    (world, alice, bob)
}

#[test]
fn group_begun_anew_leaves_no_page_of_a_damaged_one() {
    for damage in DAMAGES {
        let (mut world, alice, bob) = damaged(damage);
        let before = ratchet_rows(&world, ALICE).len();
        world.on(ALICE);
        world.send(ALICE, bob, "in a new group");
        world.pass(MINUTE);
        assert_eq!(world.texts(BOB, alice).last().unwrap(), "in a new group");
        assert!(ratchet_rows(&world, ALICE).len() < before, "the new group is smaller");
        assert_eq!(ratchet_rows(&world, ALICE), indexed_rows(&world, ALICE, bob));
    }
}

#[test]
fn blocked_contact_with_a_damaged_group_leaves_no_row() {
    for damage in DAMAGES {
        let (mut world, _, bob) = damaged(|_, _| {});
        world.on(ALICE);
        world.command(ALICE, Command::SetBlocked(bob, true));
        world.off(ALICE);
        damage(&mut world.pods[ALICE].disk, &[b"k", &bob.0[..], &[0]].concat());
        world.on(ALICE);
        world.command(ALICE, Command::Remove(bob));
        assert_eq!(ratchet_rows(&world, ALICE), BTreeSet::new());
    }
}
