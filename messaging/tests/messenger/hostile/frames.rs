//! Those who see frames, and those who know a queue.

use autonomy_messaging::{
    frame::{BLOB_LEN, Blob, DepositId, Frame},
    lane::Unreached,
    messenger::{Command, Input, RefusalReason},
    place::{Capability, QueueId},
    wire::{PlaceRefusal, Request, Response},
};

use super::super::{ALICE, BOB, HOUR, contacts, world::World};

/// The frames that are on their way from a pod.
fn on_their_way(world: &World, from: usize) -> Vec<Frame> {
    let deposits = world.calls.iter().filter_map(|(pod, _, _, request)| match request {
        Request::Deposit(frame) if *pod == from => Some(frame.clone()),
        _ => None,
    });
    deposits.collect()
}

/// Takes the frames of Alice off their way: nobody answers.
fn caught(world: &mut World) -> Vec<Frame> {
    let frames = on_their_way(world, ALICE);
    for (pod, call, ..) in std::mem::take(&mut world.calls) {
        let outcome = Err(Unreached { detail: "caught".into() });
        world.handle(pod, Input::Called { call, outcome });
    }
    frames
}

fn deposit(world: &mut World, at: usize, frame: Frame) -> Response {
    let place = world.pods[at].own.place;
    world.ask(place, Request::Deposit(frame)).unwrap()
}

const UNKNOWN: Response = Response::Refused(PlaceRefusal::UnknownQueue);

#[test]
fn a_frame_needs_the_capability_of_its_queue() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    world.send(ALICE, bob, "hello");
    let frame = on_their_way(&world, ALICE).remove(0);
    let wrong = Capability::generate(&mut world.rng);
    assert_eq!(deposit(&mut world, BOB, Frame { capability: wrong, ..frame.clone() }), UNKNOWN);
    let elsewhere = QueueId::generate(&mut world.rng);
    assert_eq!(deposit(&mut world, BOB, Frame { queue: elsewhere, ..frame.clone() }), UNKNOWN);
    // It is an answer to the capability, not to the blob: garbage is taken and worth nothing.
    let garbage = Blob::from_slice(&[7; BLOB_LEN]).unwrap();
    let before = world.refused(BOB).of(RefusalReason::Foreign);
    assert_eq!(deposit(&mut world, BOB, Frame { blob: garbage, ..frame }), Response::Done);
    assert_eq!(world.refused(BOB).of(RefusalReason::Foreign), before + 1);
    world.pass(60);
    assert_eq!(world.texts(BOB, alice), ["hello"]);
}

#[test]
fn what_is_repeated_and_out_of_order_is_shown_once_and_in_order() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    let mut frames = Vec::new();
    for n in 0..12 {
        world.send(ALICE, bob, &format!("message {n}"));
        frames.extend(caught(&mut world));
        world.now += 90;
        world.handle(ALICE, Input::Wake);
        frames.extend(caught(&mut world));
    }
    assert!(frames.len() >= 4, "she tries again and again");
    for frame in frames.iter().rev().chain(&frames).chain(frames.iter().rev()) {
        let again = DepositId::generate(&mut world.rng);
        let frame = Frame { deposit: again, ..frame.clone() };
        assert_eq!(deposit(&mut world, BOB, frame), Response::Done);
    }
    world.off(ALICE);
    world.on(ALICE);
    world.pass(HOUR);
    let expected: Vec<String> = (0..12).map(|n| format!("message {n}")).collect();
    assert_eq!(world.texts(BOB, alice), expected);
    assert!(world.refused(BOB).of(RefusalReason::Repeat) >= 2 * frames.len() as u64);
    assert_eq!(world.status(ALICE).queued, 0);
}

#[test]
fn removed_contact_finds_no_queue() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    world.send(BOB, alice, "before");
    let frame = on_their_way(&world, BOB).remove(0);
    world.pass(60);
    world.command(ALICE, Command::Remove(bob));
    world.send(BOB, alice, "after the end");
    let last = on_their_way(&world, BOB).remove(0);
    assert_eq!(deposit(&mut world, ALICE, last), UNKNOWN);
    assert_eq!(deposit(&mut world, ALICE, frame), UNKNOWN);
    assert!(!world.pods[ALICE].disk.keys().any(|key| key[1..].starts_with(&bob.0)), "nothing of him is left");
}
