//! Files between contacts.

use autonomy_messaging::{
    CHUNK_LEN, FileContent, TransferId,
    messenger::{
        Command, ContactId, DISK_RESERVE, FileState, FileView, Input, MAX_LOADED, MailAnswer, Notice,
        RefusalReason, RefusedBecause, TAKEN_PER_LIMIT,
    },
    payload::FileName,
};
use sha2::{Digest as _, Sha256};

use crate::{ALICE, BOB, HOUR, contacts, world::World};

fn content(bytes: &[u8]) -> FileContent {
    FileContent { size: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
}

/// Bytes that are nowhere alike.
fn file(len: usize) -> Vec<u8> {
    (0..len.div_ceil(32)).flat_map(|n| <[u8; 32]>::from(Sha256::digest(n.to_be_bytes()))).take(len).collect()
}

pub(crate) fn view(world: &mut World, pod: usize, contact: ContactId, transfer: TransferId) -> FileView {
    let MailAnswer::File(view) = world.command(pod, Command::File(contact, transfer)) else { panic!() };
    view
}

/// Offers a file and loads all of it.
pub(crate) fn send(world: &mut World, by: usize, to: ContactId, bytes: &[u8]) -> TransferId {
    let name = FileName::new("letter.pdf").unwrap();
    let offer = Command::OfferFile { contact: to, name, content: content(bytes) };
    let MailAnswer::File(offered) = world.command(by, offer) else { panic!() };
    let piece = (MAX_LOADED * CHUNK_LEN) as usize;
    for (n, part) in (0..).zip(bytes.chunks(piece)) {
        let (transfer, first) = (offered.transfer, n * MAX_LOADED);
        let load = Command::LoadFile { contact: to, transfer, first, bytes: part.to_vec().into() };
        world.command(by, load);
    }
    offered.transfer
}

fn read(world: &mut World, by: usize, from: ContactId, transfer: TransferId) -> Vec<u8> {
    let chunks = view(world, by, from, transfer).content.chunks() as u32;
    let mut bytes = Vec::new();
    for first in (0..chunks).step_by(MAX_LOADED as usize) {
        let read = Command::ReadFile { contact: from, transfer, first, count: MAX_LOADED };
        let MailAnswer::Bytes(some) = world.command(by, read) else { panic!() };
        bytes.extend(some);
    }
    bytes
}

#[test]
fn a_file_arrives_whole_and_messages_overtake_it() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    let bytes = file(1_500_000);
    let transfer = send(&mut world, BOB, alice, &bytes);
    world.send(BOB, alice, "read the file");
    world.pass(HOUR);
    assert_eq!(view(&mut world, BOB, alice, transfer).state, FileState::Complete);
    assert_eq!(view(&mut world, ALICE, bob, transfer).state, FileState::Complete);
    assert_eq!(read(&mut world, ALICE, bob, transfer), bytes);
    assert!(world.pods[ALICE].notices.contains(&Notice::FileReceived(bob, transfer)));
    assert!(world.pods[BOB].notices.contains(&Notice::FileDelivered(alice, transfer)));
}

#[test]
fn a_file_goes_on_where_it_was_after_both_pods_were_killed() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    let bytes = file(1_200_000);
    let transfer = send(&mut world, BOB, alice, &bytes);
    for _ in 0..3 {
        world.step_calls(10);
        world.off(ALICE);
        world.off(BOB);
        world.on(BOB);
        world.pass(20);
        world.on(ALICE);
    }
    world.pass(2 * HOUR);
    assert_eq!(view(&mut world, ALICE, bob, transfer).state, FileState::Complete);
    assert_eq!(read(&mut world, ALICE, bob, transfer), bytes);
    // What was sent is no longer kept.
    world.pass(HOUR);
    let kept = world.pods[BOB].disk.keys().filter(|key| key.first() == Some(&b'f')).count();
    assert_eq!(kept, 0);
}

#[test]
fn file_over_the_limit_is_declined_and_reported() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    world.command(ALICE, Command::SetFileLimit(bob, 10_000));
    let transfer = send(&mut world, BOB, alice, &file(10_001));
    world.pass(HOUR);
    assert!(world.pods[BOB].notices.contains(&Notice::FileCancelled(alice, transfer)));
    let MailAnswer::Files(files) = world.command(ALICE, Command::Files(bob)) else { panic!() };
    assert!(files.is_empty());
    let taken = send(&mut world, BOB, alice, &file(10_000));
    world.pass(HOUR);
    assert_eq!(view(&mut world, ALICE, bob, taken).state, FileState::Complete);
}

#[test]
fn last_chunks_for_a_blocked_contact_are_refused() {
    let mut world = World::new(2, 0);
    let (alice, _) = contacts(&mut world);
    let bytes = file(10_000);
    let name = FileName::new("letter.pdf").unwrap();
    let offer = Command::OfferFile { contact: alice, name, content: content(&bytes) };
    let MailAnswer::File(offered) = world.command(BOB, offer) else { panic!() };
    world.command(BOB, Command::SetBlocked(alice, true));
    let transfer = offered.transfer;
    let load = || Command::LoadFile { contact: alice, transfer, first: 0, bytes: bytes.clone().into() };
    let refusal = world.try_command(BOB, load()).unwrap().unwrap_err();
    assert!(matches!(refusal, RefusedBecause::Conflict(why) if why.contains("blocked")));
    assert_eq!(view(&mut world, BOB, alice, transfer).state, FileState::Loading);
    world.command(BOB, Command::SetBlocked(alice, false));
    world.command(BOB, load());
    world.pass(HOUR);
    assert_eq!(view(&mut world, BOB, alice, transfer).state, FileState::Complete);
}

#[test]
fn restored_receiver_gets_missing_chunks_again() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    let bytes = file(1_000_000);
    let transfer = send(&mut world, BOB, alice, &bytes);
    world.step_calls(8);
    let backup = world.backup(ALICE);
    world.step_calls(40);
    world.off(ALICE);
    world.pods[ALICE].disk = backup;
    world.on(ALICE);
    world.pass(3 * HOUR);
    assert_eq!(view(&mut world, ALICE, bob, transfer).state, FileState::Complete);
    assert_eq!(read(&mut world, ALICE, bob, transfer), bytes);
}

/// Bob's disk goes back while he sends: a backup has no groups, a copy of the whole disk has all.
#[test]
fn sender_whose_disk_went_back_goes_on_where_the_receiver_is() {
    for whole_disk in [false, true] {
        let mut world = World::new(2, 0);
        let (alice, bob) = contacts(&mut world);
        let bytes = file(1_000_000);
        let transfer = send(&mut world, BOB, alice, &bytes);
        world.step_calls(10);
        let before = if whole_disk { world.pods[BOB].disk.clone() } else { world.backup(BOB) };
        world.step_calls(60);
        world.off(BOB);
        world.pods[BOB].disk = before;
        world.on(BOB);
        world.pass(3 * HOUR);
        assert_eq!(view(&mut world, BOB, alice, transfer).state, FileState::Complete, "{whole_disk}");
        assert_eq!(read(&mut world, ALICE, bob, transfer), bytes);
    }
}

/// Rows of chunks, and of what is known about those without an offer.
fn rows_of_chunks(world: &World, pod: usize) -> (usize, usize) {
    let count = |tag| world.pods[pod].disk.keys().filter(|key| key[0] == tag).count();
    (count(b'f'), count(b'h'))
}

/// Bob sends a file whose first chunks are with Alice before its offer, which is given back.
fn overtaken_offer(
    world: &mut World,
    alice: ContactId,
    len: usize,
) -> (TransferId, impl FnOnce(&mut World) + use<>) {
    let transfer = send(world, BOB, alice, &file(len));
    let offer = world.calls.pop_front().unwrap();
    world.step_calls(3);
    (transfer, move |world: &mut World| world.calls.push_back(offer))
}

#[test]
fn chunks_that_overtake_their_offer_wait_for_it() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    let (transfer, offer) = overtaken_offer(&mut world, alice, 100_000);
    assert_eq!(rows_of_chunks(&world, ALICE), (3, 1));
    world.off(ALICE);
    world.on(ALICE);
    offer(&mut world);
    world.pass(5);
    assert_eq!(view(&mut world, BOB, alice, transfer).state, FileState::Complete);
    assert_eq!(read(&mut world, ALICE, bob, transfer), file(100_000));
    assert_eq!(rows_of_chunks(&world, ALICE), (9, 0));
    assert_eq!(world.refused(ALICE).of(RefusalReason::Unoffered), 0);
}

#[test]
fn chunks_of_a_file_that_is_declined_leave_nothing() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    world.command(ALICE, Command::SetFileLimit(bob, 10_000));
    let (transfer, offer) = overtaken_offer(&mut world, alice, 100_000);
    assert_eq!(rows_of_chunks(&world, ALICE), (3, 1));
    offer(&mut world);
    // A chunk that was on its way when the file was declined waits in vain for an offer, for a day.
    world.pass(25 * HOUR);
    assert_eq!(rows_of_chunks(&world, ALICE), (0, 0));
    assert!(world.pods[BOB].notices.contains(&Notice::FileCancelled(alice, transfer)));
}

#[test]
fn file_whose_offer_never_comes_is_given_up_after_a_day() {
    let mut world = World::new(2, 0);
    let (alice, _) = contacts(&mut world);
    let (_, _offer) = overtaken_offer(&mut world, alice, 100_000);
    // Bob is away, and his offer with him.
    world.off(BOB);
    world.pass(23 * HOUR);
    assert_eq!((rows_of_chunks(&world, ALICE), world.status(ALICE).queued), ((3, 1), 0));
    world.pass(2 * HOUR);
    // A cancellation waits for him.
    assert_eq!((rows_of_chunks(&world, ALICE), world.status(ALICE).queued), ((0, 0), 1));
}

#[test]
fn more_than_four_files_at_once_all_arrive() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    let all: Vec<TransferId> = (0..24).map(|_| send(&mut world, BOB, alice, &file(100_000))).collect();
    world.pass(20);
    for transfer in all {
        assert_eq!(view(&mut world, BOB, alice, transfer).state, FileState::Complete);
        assert_eq!(read(&mut world, ALICE, bob, transfer), file(100_000));
    }
}

#[test]
fn files_of_a_contact_fill_no_more_than_their_share() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    world.command(ALICE, Command::SetFileLimit(bob, 20_000));
    let mut all = Vec::new();
    for _ in 0..=TAKEN_PER_LIMIT {
        all.push(send(&mut world, BOB, alice, &file(20_000)));
        world.pass(60);
    }
    let declined = all.pop().unwrap();
    assert!(world.pods[BOB].notices.contains(&Notice::FileCancelled(alice, declined)));
    // What is read and removed makes room again, from one who is blocked too.
    world.command(ALICE, Command::SetBlocked(bob, true));
    world.command(ALICE, Command::RemoveFile(bob, all[0]));
    world.pass(60);
    world.command(ALICE, Command::SetBlocked(bob, false));
    world.pass(HOUR);
    let again = send(&mut world, BOB, alice, &file(20_000));
    world.pass(HOUR);
    assert_eq!(view(&mut world, ALICE, bob, again).state, FileState::Complete);
}

#[test]
fn chunks_wait_at_their_sender_while_the_disk_is_nearly_full() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    world.handle(ALICE, Input::FreeSpace(DISK_RESERVE - 1));
    let transfer = send(&mut world, BOB, alice, &file(100_000));
    world.send(BOB, alice, "messages come all the same");
    world.pass(HOUR);
    assert_eq!(rows_of_chunks(&world, ALICE), (0, 0));
    assert_eq!(world.texts(ALICE, bob), ["messages come all the same"]);
    let name = FileName::new("letter.pdf").unwrap();
    let offer = Command::OfferFile { contact: bob, name, content: content(&file(9)) };
    let MailAnswer::File(own) = world.command(ALICE, offer) else { panic!() };
    let load = Command::LoadFile { contact: bob, transfer: own.transfer, first: 0, bytes: file(9).into() };
    assert!(matches!(world.try_command(ALICE, load), Some(Err(RefusedBecause::Conflict(_)))));
    world.handle(ALICE, Input::FreeSpace(DISK_RESERVE));
    world.send(ALICE, bob, "there is room again");
    world.pass(26 * HOUR);
    assert_eq!(view(&mut world, ALICE, bob, transfer).state, FileState::Complete);
}
