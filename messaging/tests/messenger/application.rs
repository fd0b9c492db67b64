//! Payloads of sessions that the messenger does not know.

use std::collections::BTreeMap;

use autonomy_messaging::{
    messenger::{
        ApplicationEvent, Command, ContactId, FileState, MESSAGE_TTL, MailAnswer, RefusalReason,
        RefusedBecause,
    },
    payload::{ApplicationKind, MAX_APPLICATION_LEN, MAX_INLINE_LEN},
};

use crate::{ALICE, BOB, HOUR, contacts, world::World};

const COSIGNING: std::ops::RangeInclusive<u16> = 0x0200..=0x02ff;

fn kind(number: u16) -> ApplicationKind {
    ApplicationKind::new(number).unwrap()
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 + n / 251) as u8).collect()
}

fn send(world: &mut World, by: usize, to: ContactId, payload: &[u8]) -> u64 {
    let send = Command::SendApplication { contact: to, kind: kind(0x0201), bytes: payload.to_vec().into() };
    let MailAnswer::Queued(number) = world.command(by, send) else { panic!() };
    number
}

fn served() -> (World, ContactId, ContactId) {
    let mut world = World::new(2, 1);
    world.add_relays(ALICE);
    world.add_relays(BOB);
    let (alice, bob) = contacts(&mut world);
    world.serve(ALICE, COSIGNING);
    world.serve(BOB, COSIGNING);
    (world, alice, bob)
}

fn delivered(world: &World, pod: usize, of: ContactId, payload: &[u8]) -> usize {
    let expected = ApplicationEvent::Deliver { contact: of, kind: kind(0x0201), bytes: payload.to_vec() };
    world.pods[pod].application.iter().filter(|event| **event == expected).count()
}

fn settled(world: &World, pod: usize, to: ContactId, number: u64) -> Vec<bool> {
    let all = world.pods[pod].application.iter();
    all.filter_map(|event| match event {
        ApplicationEvent::Settled { contact, number: of, kind: of_kind, delivered }
            if (*contact, *of, *of_kind) == (to, number, kind(0x0201)) =>
        {
            Some(*delivered)
        }
        _ => None,
    })
    .collect()
}

fn listed(world: &mut World, pod: usize, of: ContactId) -> usize {
    let list = Command::Messages { contact: of, before: None, limit: 200 };
    let MailAnswer::Messages { entries, .. } = world.command(pod, list) else { panic!() };
    let MailAnswer::Files(files) = world.command(pod, Command::Files(of)) else { panic!() };
    entries.len() + files.len()
}

#[test]
fn payloads_are_delivered_once_and_not_shown() {
    let (mut world, alice, bob) = served();
    for len in [1, 1_000, MAX_INLINE_LEN] {
        let number = send(&mut world, BOB, alice, &bytes(len));
        world.pass(60);
        assert_eq!(delivered(&world, ALICE, bob, &bytes(len)), 1, "{len}");
        assert_eq!(settled(&world, BOB, alice, number), [true], "{len}");
    }
    assert_eq!((listed(&mut world, ALICE, bob), listed(&mut world, BOB, alice)), (0, 0));
    assert_eq!(world.status(ALICE).unread, 0);
}

#[test]
fn payloads_and_texts_keep_their_order() {
    let (mut world, alice, bob) = served();
    world.send(BOB, alice, "before");
    send(&mut world, BOB, alice, &bytes(30_000));
    world.send(BOB, alice, "after");
    world.pass(60);
    assert_eq!(world.texts(ALICE, bob), ["before", "after"]);
    assert_eq!(delivered(&world, ALICE, bob, &bytes(30_000)), 1);
}

#[test]
fn long_payloads_travel_as_files_and_are_delivered_once() {
    let (mut world, alice, bob) = served();
    for len in [MAX_INLINE_LEN + 1, MAX_APPLICATION_LEN] {
        let number = send(&mut world, BOB, alice, &bytes(len));
        world.pass(HOUR);
        assert_eq!(delivered(&world, ALICE, bob, &bytes(len)), 1, "{len}");
        assert_eq!(settled(&world, BOB, alice, number), [true], "{len}");
    }
    assert_eq!((listed(&mut world, ALICE, bob), listed(&mut world, BOB, alice)), (0, 0));
    let chunks = |pod: usize| world.pods[pod].disk.keys().filter(|key| key[0] == b'f').count();
    assert_eq!((chunks(ALICE), chunks(BOB)), (0, 0), "chunks go once they are delivered");
}

#[test]
fn long_payload_survives_restarts_of_both_pods() {
    let (mut world, alice, bob) = served();
    let payload = bytes(1_000_000);
    let number = send(&mut world, BOB, alice, &payload);
    for _ in 0..30 {
        world.step_calls(2);
        world.off(ALICE);
        world.off(BOB);
        world.on(ALICE);
        world.on(BOB);
    }
    world.pass(24 * HOUR);
    assert_eq!(delivered(&world, ALICE, bob, &payload), 1);
    assert_eq!(settled(&world, BOB, alice, number), [true]);
}

#[test]
fn payload_without_a_session_is_shown_or_declined() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    send(&mut world, BOB, alice, &bytes(10));
    world.pass(60);
    let delivered = |event: &ApplicationEvent| matches!(event, ApplicationEvent::Deliver { .. });
    assert!(!world.pods[ALICE].application.iter().any(delivered));
    assert_eq!(listed(&mut world, ALICE, bob), 1, "the owner learns of it");
    let number = send(&mut world, BOB, alice, &bytes(MAX_INLINE_LEN + 1));
    world.pass(HOUR);
    assert_eq!(settled(&world, BOB, alice, number), [false]);
    assert_eq!(world.refused(ALICE).of(RefusalReason::DeclinedPayload), 1);
}

#[test]
fn expired_payload_is_settled_as_undelivered() {
    let (mut world, alice, _) = served();
    world.off(ALICE);
    world.relays[0].1.dead = true;
    let (short, long) =
        (send(&mut world, BOB, alice, &bytes(9)), send(&mut world, BOB, alice, &bytes(MAX_INLINE_LEN + 1)));
    world.pass(MESSAGE_TTL + HOUR);
    assert_eq!(settled(&world, BOB, alice, short), [false]);
    assert_eq!(settled(&world, BOB, alice, long), [false]);
}

/// How often a number is said to be of a payload that cannot be read any more.
fn lost(world: &World, pod: usize, to: ContactId, number: u64) -> usize {
    let expected = ApplicationEvent::Lost { contact: to, number };
    world.pods[pod].application.iter().filter(|event| **event == expected).count()
}

/// The row of an entry.
fn entry(to: ContactId, number: u64) -> Vec<u8> {
    [b"e", &to.0[..], &number.to_be_bytes()].concat()
}

/// Not the text that the damage below makes of it.
const PAYLOAD: [u8; 3] = [1, 0xff, 0xff];

type Damage = fn(&mut BTreeMap<Vec<u8>, Vec<u8>>, &[u8]);

/// What can become of an entry: it is gone, it is no entry, or its payload cannot be read: a text that is not UTF-8.
const DAMAGES: [Damage; 3] = [
    |disk, entry| drop(disk.remove(entry).unwrap()),
    |disk, entry| disk.get_mut(entry).unwrap().truncate(3),
    |disk, entry| {
        let value = disk.get_mut(entry).unwrap();
        let payload = value.len() - 2 - PAYLOAD.len();
        assert_eq!(value[payload..], [&[0x02, 0x01][..], &PAYLOAD].concat());
        value[payload..payload + 2].copy_from_slice(&[0x00, 0x01]);
    },
];

#[test]
fn expired_payload_that_cannot_be_read_ends_as_lost() {
    for damage in DAMAGES {
        let (mut world, alice, _) = served();
        world.off(ALICE);
        world.relays[0].1.dead = true;
        let number = send(&mut world, BOB, alice, &PAYLOAD);
        damage(&mut world.pods[BOB].disk, &entry(alice, number));
        world.pass(MESSAGE_TTL + HOUR);
        assert_eq!((lost(&world, BOB, alice, number), settled(&world, BOB, alice, number)), (1, vec![]));
    }
}

#[test]
fn delivered_payload_that_cannot_be_read_ends_as_lost() {
    for damage in DAMAGES {
        let (mut world, alice, bob) = served();
        world.off(ALICE);
        let number = send(&mut world, BOB, alice, &PAYLOAD);
        world.pass(60);
        damage(&mut world.pods[BOB].disk, &entry(alice, number));
        world.on(ALICE);
        world.pass(HOUR);
        assert_eq!(delivered(&world, ALICE, bob, &PAYLOAD), 1);
        assert_eq!((lost(&world, BOB, alice, number), settled(&world, BOB, alice, number)), (1, vec![]));
    }
}

#[test]
fn long_payload_whose_offer_is_lost_is_settled_by_its_transfer() {
    let (mut world, alice, _) = served();
    world.off(ALICE);
    world.relays[0].1.dead = true;
    let number = send(&mut world, BOB, alice, &bytes(MAX_INLINE_LEN + 1));
    world.pods[BOB].disk.remove(&entry(alice, number)).unwrap();
    world.pass(MESSAGE_TTL + HOUR);
    assert_eq!((lost(&world, BOB, alice, number), settled(&world, BOB, alice, number)), (0, vec![false]));
}

#[test]
fn payloads_beyond_their_bounds_are_refused() {
    let (mut world, alice, _) = served();
    for len in [0, MAX_APPLICATION_LEN + 1] {
        let send = Command::SendApplication { contact: alice, kind: kind(0x0201), bytes: bytes(len).into() };
        let refused = world.try_command(BOB, send).unwrap().unwrap_err();
        assert!(matches!(refused, RefusedBecause::Invalid { field: "bytes", .. }), "{refused}");
    }
    world.off(ALICE);
    send(&mut world, BOB, alice, &bytes(MAX_INLINE_LEN + 1));
    send(&mut world, BOB, alice, &bytes(MAX_INLINE_LEN + 1));
    let third = Command::SendApplication {
        contact: alice,
        kind: kind(0x0201),
        bytes: bytes(MAX_INLINE_LEN + 1).into(),
    };
    let refused = world.try_command(BOB, third).unwrap().unwrap_err();
    assert!(matches!(refused, RefusedBecause::Full { limit: 2, .. }), "{refused}");
}

#[test]
fn files_of_people_and_long_payloads_do_not_wait_for_each_other() {
    let (mut world, alice, bob) = served();
    let file = super::files::send(&mut world, BOB, alice, &bytes(200_000));
    let number = send(&mut world, BOB, alice, &bytes(200_000));
    world.pass(HOUR);
    assert_eq!(super::files::view(&mut world, ALICE, bob, file).state, FileState::Complete);
    assert_eq!(settled(&world, BOB, alice, number), [true]);
}
