//! Introductions: what may become of them, and of those who wait, until both have heard each other.

use autonomy_messaging::{
    Name,
    carrier::Parcel,
    frame::Frame,
    invite::Invite,
    messenger::{Command, ContactId, ContactState, Input, MailAnswer, Notice, Reach, RefusedBecause},
    place::Place,
    wire::{PlaceRefusal, Request, Response},
};

use super::{
    ALICE, BOB, HOUR, accept, invite,
    parcels::{export, import, invite_id},
    state,
    world::World,
};

const CAROL: usize = 2;
const MINUTE: u64 = 60;

/// Alice invites Bob, who is reached through two relays only.
fn invited() -> (World, Invite) {
    let mut world = World::new(2, 2);
    world.add_relays(BOB);
    world.pass(MINUTE);
    world.command(BOB, Command::SetReach(Reach::Relays));
    let invite = invite(&mut world, ALICE);
    (world, invite)
}

#[test]
fn relays_only_redeemer_waits_for_a_relay_to_introduce() {
    let (mut world, invite) = invited();
    world.relays.iter_mut().for_each(|(_, relay)| relay.dead = true);
    world.command(BOB, Command::Accept { invite: Box::new(invite), name: None, again: false });
    world.pass(HOUR);
    let bob = world.id(BOB);
    let stranger = world.try_command(ALICE, Command::Contact(bob)).unwrap();
    assert!(stranger.is_err(), "she could not answer him: {stranger:?}");

    world.relays[1].1.dead = false;
    world.pass(HOUR);
    world.command(ALICE, Command::Confirm(bob));
    world.pass(MINUTE);
    let alice = world.id(ALICE);
    world.send(BOB, alice, "hello");
    world.send(ALICE, bob, "hello to you");
    world.pass(MINUTE);
    assert_eq!(
        (world.texts(ALICE, bob), world.texts(BOB, alice)),
        (vec!["hello".into()], vec!["hello to you".into()])
    );
}

#[test]
fn redeemer_whose_places_changed_introduces_again() {
    let (mut world, invite) = invited();
    world.relays[1].1.dead = true;
    world.command(BOB, Command::Accept { invite: Box::new(invite), name: None, again: false });
    world.pass(HOUR);
    world.relays[1].1.dead = false;
    world.pass(HOUR);
    world.relays[0].1.dead = true;
    let bob = world.id(BOB);
    world.command(ALICE, Command::Confirm(bob));
    world.send(ALICE, bob, "welcome");
    world.pass(HOUR);
    let alice = world.id(ALICE);
    assert_eq!(world.texts(BOB, alice), ["welcome"]);
}

#[test]
fn second_redemption_before_confirmation_replaces_the_first() {
    for same in [true, false] {
        let mut world = World::new(2, 2);
        world.add_relays(ALICE);
        world.pass(10);
        let (alice, bob) = (world.id(ALICE), world.id(BOB));
        let first = invite(&mut world, ALICE);
        world.pass(10);
        let second = if same { first.clone() } else { invite(&mut world, ALICE) };
        world.pass(10);
        world.off(ALICE);
        accept(&mut world, BOB, &first);
        world.pass(HOUR);
        world.command(BOB, Command::Remove(alice));
        accept(&mut world, BOB, &second);
        world.pass(HOUR);

        world.on(ALICE);
        world.pass(60);
        world.command(ALICE, Command::Confirm(bob));
        world.send(ALICE, bob, "welcome");
        world.pass(60);
        assert_eq!(state(&mut world, BOB, alice), ContactState::Active);
        assert_eq!(world.texts(BOB, alice), ["welcome"]);
    }
}

/// Bob, whom only relays 0 and 1 know, accepts an invite while relay 1 is away. The invite waits at relay 2, or at Alice's
/// own pod.
fn accepted(at_relay: bool) -> (World, Invite) {
    let mut world = World::new(3, 3);
    if at_relay {
        world.add_relay(ALICE, 2);
    }
    world.add_relay(BOB, 0);
    world.add_relay(BOB, 1);
    world.command(BOB, Command::SetReach(Reach::Relays));
    world.relays[1].1.dead = true;
    let invite = invite(&mut world, ALICE);
    world.pass(MINUTE);
    accept(&mut world, BOB, &invite);
    (world, invite)
}

/// Alice confirms Bob when relay 0 is gone as well: her answer reaches nobody.
fn confirmed_and_not_reached(at_relay: bool) -> (World, Invite) {
    let (mut world, invite) = accepted(at_relay);
    world.pass(HOUR);
    world.relays[0].1.dead = true;
    let bob = world.id(BOB);
    world.command(ALICE, Command::Confirm(bob));
    world.send(ALICE, bob, "welcome");
    world.pass(HOUR);
    (world, invite)
}

fn waits(world: &mut World, invite: &Invite) -> bool {
    let request =
        Request::Redeem { queue: invite.address().queue, deposit: invite.address().deposit.clone() };
    world.ask(invite.address().place, request) != Ok(Response::Refused(PlaceRefusal::UnknownQueue))
}

fn has_queue(world: &World, invite: &Invite) -> bool {
    world.relays[2].1.queues.contains_key(&invite.address().queue)
}

#[test]
fn confirmed_redeemer_without_places_uses_the_invite_queue() {
    for at_relay in [false, true] {
        for restarts in [false, true] {
            let (mut world, invite) = confirmed_and_not_reached(at_relay);
            let (alice, bob) = (world.id(ALICE), world.id(BOB));
            assert_eq!(state(&mut world, BOB, alice), ContactState::Joining);
            assert!(!waits(&mut world, &invite), "nobody else can redeem it");
            if restarts {
                world.off(ALICE);
                world.on(ALICE);
            }
            world.relays[1].1.dead = false;
            world.pass(2 * HOUR);
            assert_eq!(state(&mut world, BOB, alice), ContactState::Active);
            assert_eq!(world.texts(BOB, alice), ["welcome"]);
            world.send(BOB, alice, "here I am");
            world.pass(MINUTE);
            assert_eq!(world.texts(ALICE, bob), ["here I am"]);
            assert!(!has_queue(&world, &invite), "they heard each other: it is closed");
        }
    }
}

#[test]
fn redeemer_confirmed_after_expiry_can_introduce_again() {
    let (mut world, invite) = accepted(true);
    world.pass(8 * 24 * HOUR);
    assert!(!has_queue(&world, &invite), "it ran out");
    world.relays[0].1.dead = true;
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    world.command(ALICE, Command::Confirm(bob));
    world.send(ALICE, bob, "welcome");
    world.pass(HOUR);
    world.relays[1].1.dead = false;
    world.pass(8 * HOUR);
    assert_eq!(world.texts(BOB, alice), ["welcome"]);
    assert!(!has_queue(&world, &invite));
}

#[test]
fn confirmed_invite_refuses_other_redeemers() {
    for at_relay in [false, true] {
        let (mut world, invite) = confirmed_and_not_reached(at_relay);
        accept(&mut world, CAROL, &invite);
        world.pass(HOUR);
        let failed = |notice: &Notice| matches!(notice, Notice::JoinFailed(_, why) if why.contains("used"));
        assert!(world.pods[CAROL].notices.iter().any(failed));
        let carol = world.id(CAROL);
        let known = world.try_command(ALICE, Command::Contact(carol)).unwrap();
        assert_eq!(known.unwrap_err(), RefusedBecause::Unknown("contact"));
    }
}

#[test]
fn invite_queue_closes_with_its_redeemer_or_after_its_time() {
    let block = |id: ContactId| Command::SetBlocked(id, true);
    for end in [Some(block as fn(ContactId) -> Command), Some(Command::Remove), None] {
        let (mut world, invite) = confirmed_and_not_reached(true);
        let bob = world.id(BOB);
        assert!(has_queue(&world, &invite));
        match end {
            Some(command) => drop(world.command(ALICE, command(bob))),
            None => world.pass((7 + 30) * 24 * HOUR),
        }
        world.pass(MINUTE);
        assert!(!has_queue(&world, &invite));
    }
}

#[test]
fn confirmed_invite_is_republished_without_its_notice() {
    let (mut world, invite) = confirmed_and_not_reached(true);
    world.relays[2].1.queues.clear();
    world.handle(ALICE, Input::Missing { place: invite.address().place, queue: invite.address().queue });
    world.relays[1].1.dead = false;
    world.pass(MINUTE);
    assert!(!waits(&mut world, &invite));
    world.pass(8 * HOUR);
    let alice = world.id(ALICE);
    assert_eq!(world.texts(BOB, alice), ["welcome"]);
}

#[test]
fn lost_invite_is_republished_when_the_relay_has_room() {
    let mut world = World::new(2, 1);
    world.add_relay(ALICE, 0);
    let invite = invite(&mut world, ALICE);
    world.pass(MINUTE);
    accept(&mut world, BOB, &invite);
    world.off(ALICE);
    world.pass(MINUTE);
    world.relays[0].1.queues.clear();
    world.relays[0].1.full = true;
    world.on(ALICE);
    world.handle(ALICE, Input::Missing { place: invite.address().place, queue: invite.address().queue });
    world.pass(HOUR);
    let failed = |notice: &Notice| matches!(notice, Notice::InviteFailed(..));
    assert!(!world.pods[ALICE].notices.iter().any(failed));
    world.relays[0].1.full = false;
    world.pass(8 * HOUR);
    let bob = world.id(BOB);
    assert_eq!(state(&mut world, ALICE, bob), ContactState::Asking);
}

/// What a pod is about to leave at a place.
pub(crate) fn leaves(world: &World, pod: usize, at: Place) -> Vec<Frame> {
    let calls = world.calls.iter().filter(|(of, _, place, _)| *of == pod && *place == at);
    calls
        .filter_map(|(.., request)| match request {
            Request::Deposit(frame) => Some(frame.clone()),
            _ => None,
        })
        .collect()
}

#[test]
fn an_older_introduction_that_is_left_again_changes_nothing() {
    let (mut world, invite) = confirmed_and_not_reached(false);
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    let at = invite.address().place;
    // Bob leaves his introduction once more, and somebody on the way keeps a copy.
    world.off(BOB);
    world.on(BOB);
    while leaves(&world, BOB, at).is_empty() {
        world.step_calls(1);
    }
    let older = leaves(&world, BOB, at);
    world.relays[1].1.dead = false;
    world.off(ALICE);
    world.pass(2 * HOUR);
    world.on(ALICE);
    world.pass(HOUR);
    assert_eq!(state(&mut world, BOB, alice), ContactState::Active);
    let places = |world: &mut World| {
        let MailAnswer::Contact(view) = world.command(ALICE, Command::Contact(bob)) else { panic!() };
        view.places
    };
    let before = places(&mut world);
    for frame in older {
        drop(world.ask(at, Request::Deposit(frame)));
    }
    world.pass(HOUR);
    assert_eq!(places(&mut world), before);
    world.send(ALICE, bob, "still here");
    world.pass(MINUTE);
    assert_eq!(world.texts(BOB, alice), ["welcome", "still here"]);
}

#[test]
fn name_whose_introduction_was_lost_is_said_again() {
    let mut world = World::new(2, 1);
    world.add_relay(ALICE, 0);
    let invite = invite(&mut world, ALICE);
    world.pass(MINUTE);
    accept(&mut world, BOB, &invite);
    world.pass(HOUR);
    // The place of the invite takes no second introduction, and Alice confirms Bob by the first.
    world.relays[0].1.dead = true;
    let robert = Name::new("Robert").unwrap();
    world.command(BOB, Command::SetName(robert.clone()));
    let bob = world.id(BOB);
    world.command(ALICE, Command::Confirm(bob));
    world.pass(MINUTE);
    let MailAnswer::Contact(view) = world.command(ALICE, Command::Contact(bob)) else { panic!() };
    assert_eq!((view.state, view.card_name), (ContactState::Active, Some(robert)));
}

#[test]
fn expired_card_is_sent_again() {
    let (mut world, _) = confirmed_and_not_reached(false);
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    world.pass(22 * 24 * HOUR);
    let given_up = |notice: &Notice| matches!(notice, Notice::Expired(id, _) if *id == bob);
    assert!(world.pods[ALICE].notices.iter().any(given_up));
    world.relays[1].1.dead = false;
    world.pass(8 * HOUR);
    assert_eq!(state(&mut world, BOB, alice), ContactState::Active);
    world.send(ALICE, bob, "better late");
    world.pass(MINUTE);
    assert_eq!(world.texts(BOB, alice), ["better late"]);
}

#[test]
fn invite_at_a_removed_place_is_not_read_again() {
    let mut world = World::new(2, 1);
    let invite = invite(&mut world, ALICE);
    accept(&mut world, BOB, &invite);
    world.pass(8 * 24 * HOUR);
    world.add_relay(ALICE, 0);
    world.pass(MINUTE);
    world.command(ALICE, Command::SetReach(Reach::Relays));
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    world.off(BOB);
    world.command(ALICE, Command::Confirm(bob));
    assert!(!world.serves(ALICE, invite.address().queue), "contacts do not learn when it runs");
    world.on(BOB);
    world.pass(HOUR);
    assert_eq!(state(&mut world, BOB, alice), ContactState::Active);
}

#[test]
fn invite_redeemed_by_parcel_is_still_opened_at_its_place() {
    let mut world = World::new(2, 3);
    world.add_relay(ALICE, 2);
    world.add_relay(BOB, 0);
    world.add_relay(BOB, 1);
    world.command(BOB, Command::SetReach(Reach::Relays));
    world.pass(MINUTE);
    world.relays[1].1.dead = true;
    world.relays[2].1.dead = true;
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    let invite = invite(&mut world, ALICE);
    accept(&mut world, BOB, &invite);
    let id = invite_id(&mut world);
    let MailAnswer::Parcel(notice) = world.command(ALICE, Command::ExportInvite(id)) else { panic!() };
    import(&mut world, BOB, &Parcel::parse(&notice).unwrap());
    world.pass(MINUTE);
    let hello = export(&mut world, BOB, alice);
    import(&mut world, ALICE, &hello);
    world.relays[0].1.dead = true;
    world.command(ALICE, Command::Confirm(bob));
    world.send(ALICE, bob, "welcome");
    world.pass(HOUR);
    world.relays[1].1.dead = false;
    world.relays[2].1.dead = false;
    world.pass(8 * HOUR);
    assert_eq!(world.texts(BOB, alice), ["welcome"]);
}

#[test]
fn redemption_collects_once_before_it_times_out() {
    let (mut world, invite) = invited();
    accept(&mut world, BOB, &invite);
    world.pass(HOUR);
    world.off(BOB);
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    world.command(ALICE, Command::Confirm(bob));
    world.pass(31 * 24 * HOUR);
    world.off(ALICE);
    world.on(BOB);
    world.pass(HOUR);
    assert_eq!(state(&mut world, BOB, alice), ContactState::Active);
}

/// Whether a row of a pod holds these bytes.
fn holds(world: &World, pod: usize, bytes: &[u8]) -> bool {
    world.pods[pod].disk.values().any(|row| row.windows(bytes.len()).any(|window| window == bytes))
}

#[test]
fn secrets_of_a_used_invite_are_in_no_row() {
    let mut world = World::new(2, 2);
    world.add_relays(ALICE);
    world.pass(MINUTE);
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    let invite = invite(&mut world, ALICE);
    // Behind version, flags, end and root.
    let psk = &invite.to_bytes()[1 + 2 + 4 + 32..][..32];
    accept(&mut world, BOB, &invite);
    world.pass(MINUTE);
    assert!(holds(&world, ALICE, psk) && holds(&world, BOB, psk));

    world.command(ALICE, Command::Confirm(bob));
    world.pass(MINUTE);
    world.send(BOB, alice, "hello");
    world.pass(MINUTE);
    assert_eq!(world.texts(ALICE, bob), ["hello"]);
    assert!(!holds(&world, ALICE, psk) && !holds(&world, BOB, psk));
    let MailAnswer::Invites(invites) = world.command(ALICE, Command::Invites) else { panic!() };
    assert_eq!(invites[0].invite.address().queue, invite.address().queue, "it is still named");
    world.off(ALICE);
    world.on(ALICE);
    world.send(BOB, alice, "again");
    world.pass(MINUTE);
    assert_eq!(world.texts(ALICE, bob), ["hello", "again"]);
}
