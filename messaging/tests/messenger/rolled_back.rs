//! A disk that is older than what was said: no word after that is lost, and no group stays in keys that a backup opens.

use super::{ALICE, BOB, HOUR, contacts, world::World};

/// The epoch of the group in which a pod talks to a contact.
fn epoch(world: &World, pod: usize, other: usize) -> Option<u64> {
    let (messenger, disk) = (world.pods[pod].restored(), &world.pods[pod].disk);
    messenger.ratchet_epoch(disk, world.id(other))
}

/// The disk of a pod is this one, which it had before; nobody tells it.
fn put_back(world: &mut World, pod: usize, disk: &std::collections::BTreeMap<Vec<u8>, Vec<u8>>) {
    world.off(pod);
    world.pods[pod].disk = disk.clone();
    world.on(pod);
}

#[test]
fn words_after_a_disk_went_back_arrive_both_ways() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    let copy = world.pods[ALICE].disk.clone();
    world.send(ALICE, bob, "one");
    world.send(BOB, alice, "eins");
    world.pass(HOUR);
    assert_eq!(world.texts(ALICE, bob), ["eins"]);
    put_back(&mut world, ALICE, &copy);
    world.send(ALICE, bob, "two");
    world.send(BOB, alice, "zwei");
    world.pass(6 * HOUR);
    assert_eq!(world.texts(BOB, alice), ["one", "two"]);
    assert_eq!(world.texts(ALICE, bob), ["zwei"], "the first was shown on the disk that is lost");
    assert_eq!((world.status(ALICE).queued, world.status(BOB).queued), (0, 0));
}

#[test]
fn pod_that_only_listens_notices_that_its_disk_went_back() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    let copy = world.pods[ALICE].disk.clone();
    for n in 0..40 {
        world.send(BOB, alice, &format!("before, {n}"));
        world.pass(30);
    }
    put_back(&mut world, ALICE, &copy);
    world.pass(HOUR);
    world.send(BOB, alice, "after");
    world.pass(6 * HOUR);
    assert_eq!(world.texts(ALICE, bob), ["after"]);
    assert_eq!(world.status(BOB).queued, 0);
}

#[test]
fn disk_that_goes_back_again_and_again_loses_no_word() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    let copy = world.pods[ALICE].disk.clone();
    let mut said = Vec::new();
    for n in 0..5 {
        let word = format!("time {n}");
        world.send(ALICE, bob, &word);
        said.push(word);
        world.pass(12 * HOUR);
        assert_eq!(world.texts(BOB, alice), said);
        put_back(&mut world, ALICE, &copy);
    }
}

#[test]
fn receipts_alone_leave_the_first_epoch_of_a_new_group() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    let backup = world.backup(BOB);
    world.pass(HOUR);
    put_back(&mut world, BOB, &backup);
    world.pass(HOUR);
    for n in 0..10 {
        world.send(BOB, alice, &format!("all to myself, {n}"));
        world.pass(60);
    }
    assert_eq!(world.texts(ALICE, bob).len(), 10);
    assert_eq!((epoch(&world, ALICE, BOB) >= Some(2), epoch(&world, BOB, ALICE) >= Some(2)), (true, true));
    let before = epoch(&world, BOB, ALICE);
    world.pass(2 * HOUR);
    for n in 0..2 {
        world.send(BOB, alice, &format!("an hour later, {n}"));
        world.pass(60);
    }
    assert!(epoch(&world, BOB, ALICE) > before, "one who only reads begins new epochs");
}

/// A clock two days ahead while a reset waits for its next try: once it is right, the pause is over.
#[test]
fn pause_that_a_wrong_clock_began_ends_with_it() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    world.off(ALICE);
    world.pods[ALICE].disk = world.backup(ALICE);
    world.cut = true;
    world.now += 2 * 24 * HOUR;
    world.on(ALICE);
    world.pass(HOUR);
    world.now -= 2 * 24 * HOUR;
    world.cut = false;
    world.send(ALICE, bob, "soon");
    world.pass(30 * 60);
    assert_eq!(world.texts(BOB, alice), ["soon"]);
}

#[test]
fn relay_that_came_back_from_a_backup_is_told_again_what_has_arrived() {
    let mut world = World::new(2, 1);
    world.add_relays(ALICE);
    let (alice, bob) = contacts(&mut world);
    world.off(ALICE);
    for n in 0..3 {
        world.send(BOB, alice, &format!("word {n}"));
        world.pass(60);
    }
    let backup = world.relays[0].1.clone();
    assert!(backup.frames() > 0);
    world.on(ALICE);
    world.pass(HOUR);
    assert_eq!(world.relays[0].1.frames(), 0);
    world.relays[0].1 = backup;
    world.subscribe_again();
    world.pass(60);
    assert_eq!(world.relays[0].1.frames(), 0, "what is not taken away fills the queue in time");
    assert_eq!(world.texts(ALICE, bob).len(), 3, "and nothing is shown twice");
}
