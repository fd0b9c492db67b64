//! A pod gets another key, another address, or both, and nobody loses it.

use autonomy_messaging::{
    messenger::{Command, ContactId, ContactView, Input, InviteState, MailAnswer, Notice, RefusalReason},
    place::Place,
};

use super::{
    ALICE, BOB, HOUR, contacts, invite,
    world::{World, place},
};

const NEW_KEY: u8 = 90;

fn view(world: &mut World, pod: usize, of: ContactId) -> ContactView {
    let MailAnswer::Contact(view) = world.command(pod, Command::Contact(of)) else { panic!() };
    *view
}

/// Both can still talk, and nothing was re-keyed.
fn assert_talk(world: &mut World, (alice, bob): (ContactId, ContactId), word: &str) {
    world.send(ALICE, bob, word);
    world.send(BOB, alice, word);
    world.pass(HOUR);
    assert_eq!(world.texts(BOB, alice).last().map(String::as_str), Some(word));
    assert_eq!(world.texts(ALICE, bob).last().map(String::as_str), Some(word));
}

#[test]
fn a_new_pod_key_reaches_the_contacts_and_changes_nothing_else() {
    let mut world = World::new(2, 0);
    let pair = contacts(&mut world);
    world.command(BOB, Command::SetVerified(pair.0, true));
    let home = world.pods[ALICE].own.place;
    world.adopt(ALICE, 2, NEW_KEY, home);
    world.pass(60);
    assert!(world.pods[BOB].notices.contains(&Notice::CardChanged(pair.0)));
    assert!(view(&mut world, BOB, pair.0).verified);
    assert_talk(&mut world, pair, "under the new key");
    assert!(!world.pods[BOB].notices.contains(&Notice::Rekeyed(pair.0)));
}

#[test]
fn an_older_certificate_is_refused_in_cards_and_in_resets() {
    let mut world = World::new(2, 0);
    let pair = contacts(&mut world);
    let home = world.pods[ALICE].own.place;
    let backup = world.backup(ALICE);
    world.adopt(ALICE, 2, NEW_KEY, home);
    world.pass(60);
    // Whoever holds the old key can sign a card with it.
    let before = world.refused(BOB);
    world.adopt(ALICE, 1, 50, home);
    world.pass(60);
    // Refused, and once more, since Bob says that he has the older one: then not within an hour.
    assert_eq!(world.refused(BOB).of(RefusalReason::Malformed), before.of(RefusalReason::Malformed) + 2);
    // And a reset.
    world.pods[ALICE].disk = backup;
    world.on(ALICE);
    world.pass(60);
    assert!(world.refused(BOB).of(RefusalReason::Foreign) > before.of(RefusalReason::Foreign));
    assert!(!world.pods[BOB].notices.contains(&Notice::Rekeyed(pair.0)));
    // The reset still waits, and is taken once it is signed with the key of today.
    world.adopt(ALICE, 2, NEW_KEY, home);
    world.pass(24 * HOUR);
    assert!(world.pods[BOB].notices.contains(&Notice::Rekeyed(pair.0)));
    assert_talk(&mut world, pair, "under the new key");
}

#[test]
fn reset_with_newer_certificate_supersedes_the_older() {
    let mut world = World::new(2, 0);
    let pair = contacts(&mut world);
    let home = world.pods[ALICE].own.place;
    let backup = world.backup(ALICE);
    world.pods[ALICE].disk.clone_from(&backup);
    world.certify(ALICE, 2, NEW_KEY, home);
    world.on(ALICE);
    world.step_calls(1);
    assert!(world.pods[BOB].notices.contains(&Notice::Rekeyed(pair.0)));
    // The new card is not here yet, and the thief of the old pod begins a group.
    world.calls.clear();
    world.pods[BOB].notices.clear();
    let before = world.refused(BOB).of(RefusalReason::Foreign);
    world.pods[ALICE].disk = backup;
    world.now += 60;
    world.certify(ALICE, 1, 50, home);
    world.on(ALICE);
    world.step_calls(1);
    assert!(world.refused(BOB).of(RefusalReason::Foreign) > before);
    assert!(!world.pods[BOB].notices.contains(&Notice::Rekeyed(pair.0)));
}

#[test]
fn new_onion_address_reaches_contacts_directly() {
    let mut world = World::new(2, 0);
    let pair = contacts(&mut world);
    world.adopt(ALICE, 2, NEW_KEY, place(120));
    world.pass(60);
    assert_eq!(view(&mut world, BOB, pair.0).places, [place(120)]);
    assert_talk(&mut world, pair, "at the new address");
}

#[test]
fn new_onion_address_reaches_contacts_by_a_relay() {
    let mut world = World::new(2, 3);
    world.add_relays(ALICE);
    world.add_relays(BOB);
    world.pass(10);
    let pair = contacts(&mut world);
    world.off(BOB);
    world.adopt(ALICE, 2, NEW_KEY, place(120));
    world.relays[0].1.dead = true;
    world.relays[1].1.dead = true;
    world.send(ALICE, pair.1, "I have moved");
    world.pass(2 * HOUR);
    world.off(ALICE);
    world.on(BOB);
    world.send(BOB, pair.0, "I heard");
    world.pass(2 * HOUR);
    assert_eq!(world.texts(BOB, pair.0), ["I have moved"]);
    assert_eq!(view(&mut world, BOB, pair.0).places[0], place(120));
    // The relay that told them is gone too: they meet at the new address.
    world.relays[2].1.dead = true;
    world.on(ALICE);
    world.pass(2 * HOUR);
    assert_talk(&mut world, pair, "at the new address");
    assert!(!world.pods[BOB].notices.contains(&Notice::Rekeyed(pair.0)));
}

#[test]
fn an_invite_at_an_address_that_is_gone_ends() {
    let mut world = World::new(2, 0);
    invite(&mut world, ALICE);
    world.adopt(ALICE, 1, 50, place(120));
    let MailAnswer::Invites(invites) = world.command(ALICE, Command::Invites) else { panic!() };
    assert_eq!(invites[0].state, InviteState::Failed);
    assert!(world.pods[ALICE].notices.iter().any(|notice| matches!(notice, Notice::InviteFailed(..))));
    contacts(&mut world);
}

/// The peer service of a pod is at these addresses from now on.
fn moved(world: &mut World, pod: usize, to: Place, earlier: Option<Place>) {
    let it = &mut world.pods[pod];
    (it.own.place, it.own.earlier) = (to, earlier);
    it.messenger.adopt(it.own.clone());
    world.handle(pod, Input::Wake);
}

fn asked(world: &World, pod: usize) -> Vec<Place> {
    world.calls.iter().filter(|(of, ..)| *of == pod).map(|(_, _, place, _)| *place).collect()
}

#[test]
fn pod_that_moved_is_reached_at_both_addresses_meanwhile() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    let before = world.pods[ALICE].own.place;
    let after = Place::new([99; 32], *before.peer());
    moved(&mut world, ALICE, after, Some(before));
    world.send(BOB, alice, "to the address that I know");
    assert_eq!(asked(&world, BOB), [before]);
    world.pass(HOUR);
    world.send(BOB, alice, "to the one on your new card");
    assert_eq!(asked(&world, BOB), [after]);
    world.pass(HOUR);
    moved(&mut world, ALICE, after, None);
    assert!(!asked(&world, ALICE).contains(&before), "nothing is closed at an address of its own");
    world.pass(HOUR);
    world.send(ALICE, bob, "I have moved");
    world.send(BOB, alice, "I know");
    world.pass(HOUR);
    let all = ["to the address that I know", "to the one on your new card", "I know"];
    assert_eq!(world.texts(ALICE, bob), all);
    assert_eq!(world.texts(BOB, alice), ["I have moved"]);
}
