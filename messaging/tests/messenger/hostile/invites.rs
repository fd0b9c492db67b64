//! Places of invites that answer what they like.

use autonomy_messaging::{
    invite::Invite,
    lane::Unreached,
    messenger::{Command, ContactState, MailAnswer, Notice},
    wire::{PlaceRefusal, QueueNotice, Request, Response},
};

use super::super::{
    ALICE, BOB, HOUR, accept, invite, state,
    world::{World, unreached},
};

/// Alice's invite at a relay that answers so to whoever redeems it.
fn at_a_relay(answer: impl Fn() -> Result<Response, Unreached> + 'static) -> (World, Invite) {
    let mut world = World::new(2, 1);
    world.add_relays(ALICE);
    let invite = invite(&mut world, ALICE);
    world.pass(10);
    world.stranger(invite.address().place, Box::new(move |_| answer()));
    (world, invite)
}

fn failed(world: &World) -> bool {
    world.pods[BOB].notices.iter().any(|notice| matches!(notice, Notice::JoinFailed(..)))
}

fn known(world: &mut World) -> bool {
    let MailAnswer::Contacts(contacts) = world.command(BOB, Command::Contacts) else { panic!() };
    !contacts.is_empty()
}

/// A place that is honest serves the next invite.
fn assert_the_next_works(world: &mut World) {
    world.command(ALICE, Command::RemoveRelay(super::super::world::place(100)));
    super::super::contacts(world);
}

#[test]
fn wrong_notice_fails_the_redemption() {
    for len in [0, 100, 16_300] {
        let notice = QueueNotice::new(vec![7; len]).unwrap();
        let (mut world, invite) = at_a_relay(move || Ok(Response::Notice(notice.clone())));
        accept(&mut world, BOB, &invite);
        world.pass(60);
        assert!(failed(&world) && !known(&mut world));
        assert_the_next_works(&mut world);
    }
}

#[test]
fn redemption_fails_after_repeated_unknown_queue() {
    let (mut world, invite) = at_a_relay(|| Ok(Response::Refused(PlaceRefusal::UnknownQueue)));
    accept(&mut world, BOB, &invite);
    world.pass(5);
    assert!(!failed(&world), "it may just not have it yet");
    world.pass(600);
    assert!(failed(&world) && !known(&mut world));
    assert_the_next_works(&mut world);
}

#[test]
fn redemption_retries_a_broken_place_until_the_invite_expires() {
    let answers: [fn() -> Result<Response, Unreached>; 3] =
        [|| Ok(Response::Done), || Ok(Response::Refused(PlaceRefusal::Malformed)), || Err(unreached())];
    for answer in answers {
        let (mut world, invite) = at_a_relay(answer);
        accept(&mut world, BOB, &invite);
        world.pass(6 * 24 * HOUR);
        assert!(!failed(&world));
        let alice = world.id(ALICE);
        assert_eq!(state(&mut world, BOB, alice), ContactState::Joining);
        world.pass(2 * 24 * HOUR);
        assert!(failed(&world) && !known(&mut world));
        assert_the_next_works(&mut world);
    }
}

#[test]
fn redemption_fails_when_the_invite_expires_first() {
    let mut world = World::new(2, 0);
    let invite = invite(&mut world, ALICE);
    accept(&mut world, BOB, &invite);
    // The key package came; the introduction is on its way, and Alice is gone until the invite is over.
    world.step_calls(1);
    assert!(matches!(world.calls.front(), Some((BOB, _, _, Request::Deposit(_)))));
    world.calls.clear();
    world.off(ALICE);
    world.off(BOB);
    world.now = invite.expires() + HOUR;
    world.on(ALICE);
    world.on(BOB);
    world.pass(HOUR);
    let MailAnswer::Contacts(contacts) = world.command(ALICE, Command::Contacts) else { panic!() };
    assert!(contacts.is_empty(), "nobody comes with an invite that is over");
    world.pass(31 * 24 * HOUR);
    assert!(failed(&world) && !known(&mut world));
    super::super::contacts(&mut world);
}
