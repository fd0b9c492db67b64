//! Invites: redeemed twice, too late, and with crashes at every step of either side.

use autonomy_messaging::messenger::ContactState;
use autonomy_sim::{Answer, Command, Config, Crash, DAY, HOUR, World};

use crate::{MINUTE, run, state, until};

#[test]
fn invite_redeemed_by_two_makes_one_contact() {
    let mut world = World::new(Config::scripted(41, 3, 3));
    let invite = match world.command(0, Command::Invite { valid_for: 86_400 }).unwrap().unwrap() {
        Answer::Invite(view) => Box::new(view.invite),
        other => panic!("{other:?}"),
    };
    run(&mut world, MINUTE);
    for pod in [1, 2] {
        world.command(pod, Command::Accept { invite: invite.clone(), again: false }).unwrap().unwrap();
    }
    until(&mut world, HOUR, |world| world.now() > 10 * MINUTE);
    assert_eq!(state(&mut world, 0, 1), Some(ContactState::Asking));
    assert_eq!(state(&mut world, 0, 2), Some(ContactState::Asking));
    let second = world.contact(2);
    world.command(0, Command::Confirm(second)).unwrap().unwrap();
    run(&mut world, HOUR);
    assert_eq!(state(&mut world, 0, 1), None);
    assert_eq!(state(&mut world, 0, 2), Some(ContactState::Active));
    assert_eq!(state(&mut world, 2, 0), Some(ContactState::Active));
    assert_eq!(state(&mut world, 1, 0), Some(ContactState::Joining));
    // Nobody confirms the other one: after 30 days the attempt ends.
    run(&mut world, 31 * DAY);
    assert_eq!(state(&mut world, 1, 0), None);
}

#[test]
fn expired_invite_is_refused_and_makes_no_contact() {
    let mut world = World::new(Config::scripted(42, 2, 3));
    let invite = match world.command(0, Command::Invite { valid_for: 60 }).unwrap().unwrap() {
        Answer::Invite(view) => Box::new(view.invite),
        other => panic!("{other:?}"),
    };
    run(&mut world, 5 * MINUTE);
    world.command(1, Command::Accept { invite, again: false }).unwrap().unwrap_err();
    assert_eq!(state(&mut world, 1, 0), None);
}

/// One of two crashes at each step of becoming contacts and of a first message each, one step a run.
fn crashes_at_every_step(who: usize, crash: Crash) {
    let mut reached = true;
    let mut step = 0;
    while reached {
        let mut world = World::new(Config::scripted(61, 2, 2));
        world.befriend(0, 1);
        world.crash_after(who, step, crash);
        until(&mut world, 3 * DAY, World::all_are_contacts);
        until(&mut world, HOUR, |_| true);
        for (from, to) in [(0, 1), (1, 0)] {
            // The crash may come in this very step, before the message is on disk.
            if !world.say(from, to, 20) {
                run(&mut world, HOUR);
                assert!(world.say(from, to, 20), "step {step}");
            }
        }
        until(&mut world, 2 * DAY, |world| world.waiting() == 0);
        reached = !world.crash_is_due(who);
        step += 1;
    }
    assert!(step > 20, "a handshake has more steps than {step}");
}

#[test]
fn inviter_crashes_before_commit_at_every_step() {
    crashes_at_every_step(0, Crash::BeforeCommit);
}

#[test]
fn inviter_crashes_before_effects_at_every_step() {
    crashes_at_every_step(0, Crash::AfterEffects(0));
}

#[test]
fn invitee_crashes_before_commit_at_every_step() {
    crashes_at_every_step(1, Crash::BeforeCommit);
}

#[test]
fn invitee_crashes_amid_effects_at_every_step() {
    crashes_at_every_step(1, Crash::AfterEffects(1));
}
