//! Messages carried by hand: from pocket to pocket, twice, to the wrong person.

use autonomy_messaging::{
    carrier::Parcel,
    messenger::{Command, ContactId, ContactState, Imported, InviteId, MailAnswer, Notice, RefusedBecause},
};

use super::{ALICE, BOB, HOUR, accept, contacts, invite, state, world::World};

pub(crate) fn export(world: &mut World, pod: usize, to: ContactId) -> Parcel {
    let MailAnswer::Parcel(bytes) = world.command(pod, Command::ExportParcel(to)) else { panic!() };
    Parcel::parse(&bytes).unwrap()
}

pub(crate) fn import(world: &mut World, pod: usize, parcel: &Parcel) -> Imported {
    let MailAnswer::Imported(imported) = world.command(pod, Command::ImportParcel(parcel.clone())) else {
        panic!()
    };
    imported
}

/// What is in a parcel once; twice; and how many of it were refused.
fn counts(opened: u32, repeats: u32, refused: u32) -> Imported {
    Imported { opened, repeats, refused }
}

/// Nobody reaches anybody.
fn without_network(pods: u8) -> World {
    let mut world = World::new(pods, 0);
    world.cut = true;
    world
}

/// Two who became contacts through parcels alone.
fn contacts_by_hand(world: &mut World) -> (ContactId, ContactId) {
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    let id = {
        let invite = invite(world, ALICE);
        accept(world, BOB, &invite);
        invite_id(world)
    };
    let MailAnswer::Parcel(bytes) = world.command(ALICE, Command::ExportInvite(id)) else { panic!() };
    let notice = Parcel::parse(&bytes).unwrap();
    assert_eq!(import(world, BOB, &notice), counts(1, 0, 0));
    let hello = export(world, BOB, alice);
    assert_eq!(import(world, ALICE, &hello), counts(1, 0, 0));
    assert_eq!(import(world, ALICE, &hello), counts(0, 1, 0));
    assert_eq!(state(world, ALICE, bob), ContactState::Asking);
    world.command(ALICE, Command::Confirm(bob));
    let card = export(world, ALICE, bob);
    assert_eq!(import(world, BOB, &card), counts(1, 0, 0));
    assert_eq!(state(world, BOB, alice), ContactState::Active);
    (alice, bob)
}

pub(crate) fn invite_id(world: &mut World) -> InviteId {
    let MailAnswer::Invites(invites) = world.command(ALICE, Command::Invites) else { panic!() };
    invites[0].id
}

#[test]
fn parcels_alone_make_contacts_and_carry_messages() {
    let mut world = without_network(2);
    let (alice, bob) = contacts_by_hand(&mut world);
    world.pass(HOUR);
    for n in 0..20 {
        world.send(ALICE, bob, &format!("message {n}"));
    }
    world.send(BOB, alice, "hello Alice");
    let there = export(&mut world, ALICE, bob);
    assert_eq!(there.entries().len(), 1, "what is short travels together");
    assert_eq!(import(&mut world, BOB, &there), counts(1, 0, 0));
    let back = export(&mut world, BOB, alice);
    assert_eq!(import(&mut world, ALICE, &back), counts(1, 0, 0));
    let expected: Vec<String> = (0..20).map(|n| format!("message {n}")).collect();
    assert_eq!(world.texts(BOB, alice), expected);
    assert_eq!(world.texts(ALICE, bob), ["hello Alice"]);
    let delivered = |notice: &&Notice| matches!(notice, Notice::Delivered(..));
    assert_eq!(world.pods[ALICE].notices.iter().filter(delivered).count(), 20, "receipts ride along");
    // Nothing waits: the next parcel takes the receipt for Bob's.
    let receipt = export(&mut world, ALICE, bob);
    import(&mut world, BOB, &receipt);
    assert_eq!(world.pods[BOB].notices.iter().filter(delivered).count(), 1);
}

#[test]
fn a_parcel_may_come_twice_or_late_or_beside_the_network() {
    let mut world = World::new(2, 0);
    let (alice, bob) = contacts(&mut world);
    world.cut = true;
    world.send(ALICE, bob, "one");
    let early = export(&mut world, ALICE, bob);
    world.send(ALICE, bob, &"long ".repeat(3_000));
    let late = export(&mut world, ALICE, bob);
    assert!(late.entries().len() > 1);
    import(&mut world, BOB, &late);
    assert_eq!(import(&mut world, BOB, &early), counts(0, 1, 0));
    assert_eq!(import(&mut world, BOB, &late), counts(0, late.entries().len() as u32, 0));
    world.cut = false;
    world.pass(HOUR);
    assert_eq!(world.texts(BOB, alice), ["one".to_owned(), "long ".repeat(3_000)]);
    assert_eq!(import(&mut world, BOB, &early), counts(0, 1, 0));
    world.send(BOB, alice, "and now by the network");
    world.pass(60);
    assert_eq!(world.texts(ALICE, bob), ["and now by the network"]);
}

#[test]
fn a_parcel_for_somebody_else_changes_nothing() {
    let mut world = World::new(3, 0);
    let (alice, bob) = contacts(&mut world);
    world.cut = true;
    world.send(ALICE, bob, "for Bob");
    let parcel = export(&mut world, ALICE, bob);
    let before = world.pods[2].disk.clone();
    assert_eq!(import(&mut world, 2, &parcel), counts(0, 0, 1));
    assert_eq!(import(&mut world, ALICE, &parcel), counts(0, 0, 1));
    assert_eq!(world.pods[2].disk, before);
    assert_eq!(import(&mut world, BOB, &parcel), counts(1, 0, 0));
    assert_eq!(world.texts(BOB, alice), ["for Bob"]);
}

#[test]
fn a_pod_back_from_a_backup_re_keys_by_parcel() {
    let mut world = without_network(2);
    let (alice, bob) = contacts_by_hand(&mut world);
    world.pass(60);
    let backup = world.backup(ALICE);
    world.send(BOB, alice, "to the one before");
    world.pods[ALICE].disk = backup;
    world.on(ALICE);
    let reset = export(&mut world, ALICE, bob);
    assert_eq!(import(&mut world, BOB, &reset), counts(1, 0, 0));
    assert_eq!(import(&mut world, BOB, &reset), counts(0, 1, 0));
    world.send(ALICE, bob, "from the one after");
    let answer = export(&mut world, BOB, alice);
    import(&mut world, ALICE, &answer);
    let more = export(&mut world, ALICE, bob);
    import(&mut world, BOB, &more);
    assert_eq!(world.texts(ALICE, bob), ["to the one before"]);
    assert_eq!(world.texts(BOB, alice), ["from the one after"]);
}

#[test]
fn there_is_no_parcel_before_there_is_something_to_say() {
    let mut world = without_network(2);
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    let invite = invite(&mut world, ALICE);
    accept(&mut world, BOB, &invite);
    let conflict = |answer| matches!(answer, Some(Err(RefusedBecause::Conflict(_))));
    let refused = world.try_command(BOB, Command::ExportParcel(alice));
    assert!(conflict(refused), "the key package of the invite is missing");
    assert_eq!(
        world.try_command(ALICE, Command::ExportParcel(bob)).map(Result::unwrap_err),
        Some(RefusedBecause::Unknown("contact"))
    );
    let id = invite_id(&mut world);
    world.command(ALICE, Command::CancelInvite(id));
    assert!(conflict(world.try_command(ALICE, Command::ExportInvite(id))));
}

#[test]
fn an_invite_parcel_of_another_invite_is_refused() {
    let mut world = without_network(3);
    let alice = world.id(ALICE);
    let hers = invite(&mut world, ALICE);
    accept(&mut world, BOB, &hers);
    invite(&mut world, 2);
    let MailAnswer::Invites(invites) = world.command(2, Command::Invites) else { panic!() };
    let MailAnswer::Parcel(bytes) = world.command(2, Command::ExportInvite(invites[0].id)) else { panic!() };
    let carols = Parcel::parse(&bytes).unwrap();
    assert_eq!(import(&mut world, BOB, &carols), counts(0, 0, 1));
    // The right queue and another's key package.
    let mut entry = carols.entries()[0].clone();
    entry.queue = hers.address().queue;
    assert_eq!(import(&mut world, BOB, &Parcel::new(vec![entry]).unwrap()), counts(0, 0, 1));
    assert_eq!(state(&mut world, BOB, alice), ContactState::Joining);
}
