//! A contact who is blocked: what they send is dropped, and nothing tells them so.

use autonomy_messaging::{
    messenger::{Command, ContactState, Reach, RefusalReason},
    wire::{Request, Response},
};

use super::{ALICE, BOB, HOUR, contacts, state, world::World};

const DAY: u64 = 24 * HOUR;

/// Every frame that Bob leaves within this time, in turn, and how its place answers.
fn answers(world: &mut World, seconds: u64) -> Vec<Response> {
    let end = world.now + seconds;
    let mut answers = Vec::new();
    while world.now < end {
        for (from, _, place, request) in world.calls.clone() {
            if from == BOB && matches!(request, Request::Deposit(_)) {
                // A frame that arrives twice is answered as when it arrives once.
                answers.extend(world.ask(place, request));
            }
        }
        world.pass(30);
    }
    answers
}

/// Two contacts; Alice is reached through two relays too.
fn through_relays() -> World {
    let mut world = World::new(2, 2);
    contacts(&mut world);
    world.add_relays(ALICE);
    world.pass(HOUR);
    world
}

#[test]
fn blocked_contact_gets_the_answers_of_any_contact() {
    for reach in [Reach::Direct, Reach::Relays] {
        let mut world = through_relays();
        let (alice, bob) = (world.id(ALICE), world.id(BOB));
        world.command(ALICE, Command::SetReach(reach));
        world.pass(HOUR);
        world.command(ALICE, Command::SetBlocked(bob, true));
        for day in 0..20 {
            world.send(BOB, alice, &format!("day {day}"));
            let answers = answers(&mut world, 60);
            assert!(
                !answers.is_empty() && answers.iter().all(|answer| *answer == Response::Done),
                "{answers:?}"
            );
            assert!(world.refused(ALICE).of(RefusalReason::Blocked) > 0);
            world.pass(DAY);
            world.off(ALICE);
            world.on(ALICE);
        }
        assert_eq!(world.texts(ALICE, bob), Vec::<String>::new());
        assert_eq!(
            world.relays.iter().map(|(_, relay)| relay.frames()).sum::<usize>(),
            0,
            "no queue fills up"
        );
        let to_him = world
            .calls
            .iter()
            .filter(|(pod, _, _, request)| *pod == ALICE && matches!(request, Request::Deposit(_)));
        assert_eq!(to_him.count(), 0, "he gets nothing");
    }
}

#[test]
fn contact_who_was_blocked_goes_on_where_it_stopped() {
    for days in [1, 40] {
        let mut world = through_relays();
        let (alice, bob) = (world.id(ALICE), world.id(BOB));
        world.command(ALICE, Command::SetBlocked(bob, true));
        world.pass(days * DAY);
        world.off(ALICE);
        world.on(ALICE);
        world.send(BOB, alice, "while blocked");
        world.pass(HOUR);
        world.command(ALICE, Command::SetBlocked(bob, false));
        world.pass(HOUR);
        world.send(ALICE, bob, "welcome back");
        world.pass(HOUR);
        assert_eq!(world.texts(ALICE, bob), ["while blocked"], "after {days} days");
        assert_eq!(world.texts(BOB, alice), ["welcome back"]);
        assert_eq!((world.status(ALICE).queued, world.status(BOB).queued), (0, 0));
    }
}

#[test]
fn queues_of_a_blocked_contact_are_left_after_a_month() {
    let mut world = through_relays();
    let bob = world.id(BOB);
    let queues = |world: &World| world.relays.iter().map(|(_, relay)| relay.queues.len()).collect::<Vec<_>>();
    let before = queues(&world);
    world.command(ALICE, Command::SetBlocked(bob, true));
    world.pass(29 * DAY);
    assert!(world.collects(ALICE) > 0);
    world.pass(2 * DAY);
    assert_eq!(world.collects(ALICE), 0, "as where a pod is gone");
    assert_eq!(queues(&world), before, "a relay that is asked to forget one answers otherwise");
    assert_eq!(state(&mut world, ALICE, bob), ContactState::Blocked);
}
