//! How a pod is reached: directly or through relays only, and through which relays.

use autonomy_messaging::{
    invite::Invite,
    messenger::{Command, InviteState, MailAnswer, Notice, Reach, RefusedBecause, RelayState},
    place::Place,
};

use super::{ALICE, BOB, HOUR, contacts, invite, world::World};

const MINUTE: u64 = 60;

fn relay_state(world: &mut World, pod: usize, place: Place) -> RelayState {
    let MailAnswer::Relays(relays) = world.command(pod, Command::Relays) else { panic!() };
    relays.into_iter().find(|relay| relay.place == place).unwrap().state
}

fn replaced(world: &World, pod: usize) -> Vec<(Place, Place)> {
    let notices = world.pods[pod].notices.iter();
    let replaced = notices.filter_map(|notice| match notice {
        Notice::RelayReplaced(old, new) => Some((*old, *new)),
        _ => None,
    });
    replaced.collect()
}

/// Places that a pod has asked something of, and forgets that it did.
fn asked_places(world: &mut World, pod: usize) -> Vec<Place> {
    let mut places: Vec<Place> =
        world.calls.iter().filter(|(of, ..)| *of == pod).map(|(_, _, place, _)| *place).collect();
    places.sort();
    places.dedup();
    places
}

#[test]
fn relays_only_pod_never_tells_its_own_address() {
    let mut world = World::new(2, 2);
    let (alice, bob) = contacts(&mut world);
    let before = invite(&mut world, ALICE);
    assert_eq!(before.address().place, world.pods[ALICE].own.place);
    let refused = world.try_command(ALICE, Command::SetReach(Reach::Relays)).unwrap();
    assert!(matches!(refused, Err(RefusedBecause::Conflict(_))), "she has no relay: {refused:?}");

    world.add_relays(ALICE);
    world.pass(MINUTE);
    world.command(ALICE, Command::SetReach(Reach::Relays));
    world.pass(HOUR);
    let MailAnswer::Invites(invites) = world.command(ALICE, Command::Invites) else { panic!() };
    let old = invites.iter().find(|view| view.invite.address() == before.address()).unwrap();
    assert_eq!(old.state, InviteState::Failed, "an invite with her address leads nowhere any more");
    let fresh: Invite = invite(&mut world, ALICE);
    assert_ne!(fresh.address().place, world.pods[ALICE].own.place);

    // Bob has her new card by now. Both are there, and still he turns to her relays alone.
    world.send(BOB, alice, "hello");
    let relays: Vec<Place> = world.relays.iter().map(|(place, _)| *place).collect();
    assert_eq!(asked_places(&mut world, BOB), relays);
    world.pass(MINUTE);
    assert_eq!(world.texts(ALICE, bob), ["hello"]);
    world.send(ALICE, bob, "hello to you");
    world.pass(MINUTE);
    assert_eq!(world.texts(BOB, alice), ["hello to you"]);
    assert_eq!((world.status(ALICE).queued, world.status(BOB).queued), (0, 0));
    assert_eq!(world.status(ALICE).reach, Reach::Relays);

    // The last way to her is not given up by mistake.
    world.command(ALICE, Command::RemoveRelay(relays[0]));
    let refused = world.try_command(ALICE, Command::RemoveRelay(relays[1])).unwrap();
    assert!(matches!(refused, Err(RefusedBecause::Conflict(_))), "{refused:?}");

    // Directly again.
    world.command(ALICE, Command::SetReach(Reach::Direct));
    world.pass(HOUR);
    world.send(BOB, alice, "directly");
    assert_eq!(asked_places(&mut world, BOB), [world.pods[ALICE].own.place]);
    world.pass(MINUTE);
    assert_eq!(world.texts(ALICE, bob), ["hello", "directly"]);
}

#[test]
fn an_acknowledgement_that_a_busy_relay_refused_is_sent_again() {
    let mut world = World::new(2, 1);
    let (alice, bob) = contacts(&mut world);
    world.add_relays(ALICE);
    world.command(ALICE, Command::SetReach(Reach::Relays));
    world.pass(HOUR);
    world.relays[0].1.busy = true;
    world.send(BOB, alice, "hello");
    world.pass(MINUTE);
    assert_eq!(world.texts(ALICE, bob), ["hello"]);
    assert!(world.relays[0].1.frames() > 0, "the relay could not drop the frame");
    world.relays[0].1.busy = false;
    world.pass(HOUR);
    assert_eq!(world.relays[0].1.frames(), 0, "nothing new came, and the frame is acknowledged all the same");
}

#[test]
fn a_blocked_contact_lets_the_pod_sleep() {
    let mut world = World::new(2, 1);
    let (alice, _) = contacts(&mut world);
    world.add_relays(BOB);
    world.pass(HOUR);
    world.command(BOB, Command::SetBlocked(alice, true));
    world.pass(HOUR);
    let next = world.pods[BOB].messenger.next_wake();
    assert!(next.is_none_or(|at| at > world.now + MINUTE), "it wakes again at {next:?}, {}", world.now);
}

#[test]
fn a_relay_never_seen_since_start_is_replaced() {
    let mut world = World::new(2, 4);
    contacts(&mut world);
    world.add_relays(ALICE);
    world.pass(MINUTE);
    world.off(ALICE);
    world.relays[1].1.dead = true;
    world.on(ALICE);
    world.pass(10 * MINUTE);
    assert_eq!(replaced(&world, ALICE), []);
    world.pass(10 * MINUTE);
    assert_eq!(replaced(&world, ALICE), [(world.relays[1].0, world.relays[3].0)]);
}

#[test]
fn isolated_pod_retires_no_relay() {
    let mut world = World::new(2, 4);
    contacts(&mut world);
    world.add_relays(ALICE);
    world.pass(MINUTE);
    world.cut = true;
    world.pass(5 * HOUR);
    world.cut = false;
    world.pass(HOUR);
    assert_eq!(replaced(&world, ALICE), []);
}

#[test]
fn recovered_relay_can_be_promoted() {
    let mut world = World::new(2, 4);
    contacts(&mut world);
    world.add_relays(ALICE);
    world.pass(MINUTE);
    let places: Vec<Place> = world.relays.iter().map(|(place, _)| *place).collect();
    world.relays[0].1.dead = true;
    world.pass(20 * MINUTE);
    assert_eq!(replaced(&world, ALICE), [(places[0], places[3])]);
    world.relays[0].1.dead = false;
    // Too early: there is no other, and it stays.
    world.relays[1].1.dead = true;
    world.pass(HOUR);
    assert_eq!(relay_state(&mut world, ALICE, places[1]), RelayState::Active);
    world.pass(6 * HOUR);
    assert_eq!(relay_state(&mut world, ALICE, places[0]), RelayState::Active);
    assert_eq!(relay_state(&mut world, ALICE, places[1]), RelayState::Dead);
    assert_eq!(replaced(&world, ALICE)[1], (places[1], places[0]));
    let queues = |world: &World, relay: usize| world.relays[relay].1.queues.len();
    assert!(queues(&world, 0) > 0, "it holds queues again");
}

#[test]
fn unblocking_on_both_sides_restores_delivery() {
    let mut world = World::new(2, 3);
    let (alice, bob) = contacts(&mut world);
    world.add_relays(ALICE);
    world.pass(MINUTE);
    let queues = |world: &World| world.relays.iter().map(|(_, relay)| relay.queues.len()).sum::<usize>();
    let before = queues(&world);
    world.command(ALICE, Command::SetBlocked(bob, true));
    world.pass(HOUR);
    world.command(BOB, Command::SetBlocked(alice, true));
    world.off(ALICE);
    world.on(ALICE);
    world.pass(HOUR);
    world.command(ALICE, Command::SetBlocked(bob, false));
    world.command(BOB, Command::SetBlocked(alice, false));
    world.pass(HOUR);
    assert_eq!(queues(&world), before);
    world.off(ALICE);
    world.send(BOB, alice, "let us talk again");
    world.pass(HOUR);
    world.off(BOB);
    world.on(ALICE);
    world.pass(HOUR);
    assert_eq!(world.texts(ALICE, bob), ["let us talk again"]);
    assert_eq!(replaced(&world, ALICE), []);
    world.on(BOB);
    world.pass(HOUR);
    assert_eq!(world.status(BOB).queued, 0);
}

#[test]
fn pod_restored_from_before_a_relay_change_is_reachable() {
    let mut world = World::new(2, 4);
    let (alice, bob) = contacts(&mut world);
    world.add_relays(ALICE);
    world.pass(MINUTE);
    world.command(ALICE, Command::SetReach(Reach::Relays));
    world.pass(HOUR);
    let backup = world.backup(ALICE);
    // One after the other all her relays are away for a while, and have others in their place.
    for relay in 0..4 {
        world.relays[relay].1.dead = true;
        world.pass(20 * MINUTE);
        world.relays[relay].1.dead = false;
        world.pass(7 * HOUR);
    }
    assert!(replaced(&world, ALICE).len() >= 3, "{:?}", replaced(&world, ALICE));
    world.off(ALICE);
    world.send(BOB, alice, "while she was away");
    world.pass(HOUR);
    world.pods[ALICE].disk = backup;
    world.on(ALICE);
    world.send(ALICE, bob, "back again");
    world.pass(3 * HOUR);
    assert_eq!(world.texts(ALICE, bob), ["while she was away"]);
    assert_eq!(world.texts(BOB, alice), ["back again"]);
    assert_eq!((world.status(ALICE).queued, world.status(BOB).queued), (0, 0));
    // What she says of herself from now on counts: Bob learns of it.
    world.command(ALICE, Command::SetReach(Reach::Direct));
    world.pass(HOUR);
    world.send(BOB, alice, "directly");
    assert_eq!(asked_places(&mut world, BOB), [world.pods[ALICE].own.place]);
}
