//! Small worlds in virtual time: searches with all faults, and scripted stories.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

mod choices;
mod files;
mod invites;
mod observers;

use autonomy_messaging::{
    Name,
    messenger::{ContactState, Reach},
};
use autonomy_sim::{Answer, Command, Conduct, Config, DAY, Fault, Faults, HOUR, SECOND, World};

/// A minute.
const MINUTE: u64 = 60 * SECOND;

fn autonomous(seed: u64, faults: Faults) -> Config {
    Config { seed, pods: 12, relays: 5, messages: 300, payments: 30, days: 2, faults, ..Config::default() }
}

/// A dozen pods with every kind of fault keep every promise.
fn all_faults(seed: u64) {
    let report = autonomy_sim::run(autonomous(seed, Faults::all()), &|_, _| {})
        .unwrap_or_else(|broken| panic!("{broken}"));
    assert!(report.sent >= 200 && report.figures.crashes > 0, "{report:?}");
    assert_eq!(report.sent, report.delivered + report.expired + report.forgotten + report.withdrawn);
    assert!(report.figures.card_fields > 0, "{report:?}");
}

fn until(world: &mut World, limit: u64, done: impl Fn(&World) -> bool) {
    let end = world.now() + limit;
    while !done(world) {
        assert!(world.now() < end, "not within {} s", limit / SECOND);
        world.run_for(10 * SECOND).unwrap_or_else(|broken| panic!("{broken}"));
    }
}

fn run(world: &mut World, millis: u64) {
    world.run_for(millis).unwrap_or_else(|broken| panic!("{broken}"));
}

fn all_is_well(world: &mut World) {
    // Acknowledgements are still on their way, or told again after five minutes.
    run(world, 10 * MINUTE);
    world.check_the_end();
    run(world, SECOND);
}

/// One of two is on, then the other, and never both; until `done`.
fn in_turns(world: &mut World, limit: u64, done: impl Fn(&World) -> bool) {
    let end = world.now() + limit;
    let mut turn = 0;
    while !done(world) {
        assert!(world.now() < end, "not within {} hours", limit / HOUR);
        world.switch_to(1 - turn, false);
        run(world, MINUTE);
        world.switch_to(turn, true);
        run(world, HOUR);
        turn = 1 - turn;
    }
}

/// Two pods that are contacts, and nothing on its way.
fn two_contacts(seed: u64, relays: usize) -> World {
    let mut world = World::new(Config::scripted(seed, 2, relays));
    world.befriend(0, 1);
    until(&mut world, DAY, World::all_are_contacts);
    run(&mut world, 10 * MINUTE);
    world
}

fn state(world: &mut World, of: usize, with: usize) -> Option<ContactState> {
    let contact = world.contact(with);
    match world.command(of, Command::Contact(contact))? {
        Ok(Answer::Contact(view)) => Some(view.state),
        _ => None,
    }
}

#[test]
fn world_without_faults_delivers_every_message() {
    let report = autonomy_sim::run(autonomous(1, Faults::none()), &|_, _| {})
        .unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!(report.sent, report.delivered);
    assert_eq!((report.expired, report.forgotten, report.shown_again), (0, 0, 0));
    assert!(report.figures.card_fields > 0, "{report:?}");
}

#[test]
fn payments_match_the_chain_after_reorganisations() {
    let faults = Faults::only(&[Fault::Links, Fault::Crashes, Fault::Chain]);
    let config = Config { payments: 60, messages: 50, days: 3, ..autonomous(5, faults) };
    let report = autonomy_sim::run(config, &|_, _| {}).unwrap_or_else(|broken| panic!("{broken}"));
    let of = report.figures;
    assert!(of.accounts == 4 && of.paid_in > 5 && of.payments > 5, "{of:?}");
    assert!(of.reorganisations > 0 && of.evictions > 0, "{of:?}");
}

#[test]
fn owners_change_devices_keys_names_and_contacts_safely() {
    let faults = Faults::only(&[Fault::Links, Fault::Crashes, Fault::Owners]);
    let config = Config { payments: 0, messages: 200, days: 4, ..autonomous(8, faults) };
    let report = autonomy_sim::run(config, &|_, _| {}).unwrap_or_else(|broken| panic!("{broken}"));
    let of = report.figures;
    assert!(of.files > 0 && of.repeats > 0 && of.probes > 0 && of.revoked > 0, "{of:?}");
    assert!(of.renewed > 0 && of.partings > 0, "{of:?}");
}

#[test]
fn all_faults_at_once_lose_no_message_1() {
    all_faults(1);
}

#[test]
fn all_faults_at_once_lose_no_message_2() {
    all_faults(2);
}

#[test]
fn all_faults_at_once_lose_no_message_3() {
    all_faults(3);
}

#[test]
fn equal_seeds_make_equal_decisions() {
    let config = || Config { messages: 100, days: 1, ..autonomous(7, Faults::all()) };
    let first = autonomy_sim::run(config(), &|_, _| {}).unwrap_or_else(|broken| panic!("{broken}"));
    let again = autonomy_sim::run(config(), &|_, _| {}).unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!((first.digest, first.figures.events), (again.digest, again.figures.events));
    let other = autonomy_sim::run(Config { seed: 8, ..config() }, &|_, _| {})
        .unwrap_or_else(|broken| panic!("{broken}"));
    assert_ne!(first.digest, other.digest);
}

#[test]
fn pods_never_on_together_talk_with_two_of_three_relays_dead() {
    let mut world = World::new(Config::scripted(11, 2, 3));
    world.switch_to(1, false);
    run(&mut world, MINUTE);
    world.befriend(0, 1);
    run(&mut world, HOUR);
    in_turns(&mut world, 2 * DAY, World::all_are_contacts);
    world.conduct(0, Conduct::Dead);
    world.conduct(1, Conduct::Dead);
    in_turns(&mut world, DAY, |world| world.now() % (8 * HOUR) < HOUR);
    for (from, to) in [(0, 1), (1, 0)] {
        world.switch_to(to, false);
        run(&mut world, MINUTE);
        world.switch_to(from, true);
        run(&mut world, MINUTE);
        (0..50).for_each(|n| assert!(world.say(from, to, 1 + 97 * n)));
        run(&mut world, MINUTE * 10);
    }
    in_turns(&mut world, 3 * DAY, |world| world.waiting() == 0);
}

#[test]
fn pods_never_on_together_meet_through_the_one_relay_left() {
    let mut world = World::new(Config::scripted(12, 2, 3));
    world.conduct(0, Conduct::Dead);
    world.conduct(2, Conduct::Dead);
    world.switch_to(1, false);
    run(&mut world, HOUR);
    world.befriend(0, 1);
    in_turns(&mut world, 4 * DAY, World::all_are_contacts);
}

#[test]
fn restored_pod_rekeys_and_gets_what_contacts_still_hold() {
    let mut world = two_contacts(21, 3);
    (0..10).for_each(|_| assert!(world.say(0, 1, 100) && world.say(1, 0, 100)));
    until(&mut world, HOUR, |world| world.waiting() == 0);
    world.back_up(0);
    (0..10).for_each(|_| assert!(world.say(0, 1, 100) && world.say(1, 0, 100)));
    until(&mut world, HOUR, |world| world.waiting() == 0);
    world.switch_to(0, false);
    (0..5).for_each(|_| assert!(world.say(1, 0, 2_000)));
    let last = 45;
    run(&mut world, HOUR);
    world.switch_to(0, true);
    world.restore_backup(0);
    until(&mut world, 2 * HOUR, |world| world.waiting() == 0);
    assert_eq!(world.shown_to(1, 0), last);
    assert!(world.report().figures.rekeyed >= 1);
    (0..10).for_each(|_| assert!(world.say(0, 1, 100) && world.say(1, 0, 100)));
    until(&mut world, HOUR, |world| world.waiting() == 0);
    all_is_well(&mut world);
}

#[test]
fn two_restored_pods_rekey_with_each_other() {
    let mut world = two_contacts(22, 3);
    (0..20).for_each(|_| assert!(world.say(0, 1, 300) && world.say(1, 0, 300)));
    world.back_up(0);
    world.back_up(1);
    until(&mut world, HOUR, |world| world.waiting() == 0);
    (0..20).for_each(|_| assert!(world.say(0, 1, 300) && world.say(1, 0, 300)));
    until(&mut world, HOUR, |world| world.waiting() == 0);
    world.restore_backup(0);
    world.restore_backup(1);
    (0..20).for_each(|_| assert!(world.say(0, 1, 300) && world.say(1, 0, 300)));
    until(&mut world, 6 * HOUR, |world| world.waiting() == 0);
    all_is_well(&mut world);
}

#[test]
fn repeated_restores_lose_no_message() {
    let mut world = two_contacts(23, 3);
    for round in 0..6 {
        world.back_up(round % 2);
        (0..5).for_each(|_| assert!(world.say(0, 1, 50) && world.say(1, 0, 50)));
        run(&mut world, 10 * SECOND * round as u64);
        world.restore_backup(round % 2);
        (0..5).for_each(|_| assert!(world.say(0, 1, 50) && world.say(1, 0, 50)));
        run(&mut world, 10 * MINUTE);
    }
    until(&mut world, DAY, |world| world.waiting() == 0);
    all_is_well(&mut world);
}

#[test]
fn restored_outbox_is_sent_again_and_shown_once() {
    let mut world = two_contacts(29, 3);
    world.switch_to(1, false);
    (0..600).for_each(|_| assert!(world.say(0, 1, 50)));
    world.back_up(0);
    world.switch_to(1, true);
    until(&mut world, DAY, |world| world.waiting() == 0);
    world.switch_to(1, false);
    world.restore_backup(0);
    (0..100).for_each(|_| assert!(world.say(0, 1, 50)));
    world.switch_to(1, true);
    until(&mut world, DAY, |world| world.waiting() == 0);
    all_is_well(&mut world);
}

#[test]
fn relay_that_withholds_frames_is_replaced() {
    let mut world = World::new(Config { relays_per_pod: 4, ..Config::scripted(31, 2, 5) });
    world.befriend(0, 1);
    until(&mut world, DAY, World::all_are_contacts);
    world.conduct(1, Conduct::Withholding);
    for round in 0..40 {
        // Away as one whose machine is off, or who has no network.
        if round % 2 == 0 {
            world.switch_to(1, false)
        } else {
            world.unplug(1, true)
        }
        run(&mut world, MINUTE);
        (0..4).for_each(|_| assert!(world.say(0, 1, 500)));
        run(&mut world, 30 * MINUTE);
        if round % 2 == 0 {
            world.switch_to(1, true)
        } else {
            world.unplug(1, false)
        }
        run(&mut world, 30 * MINUTE);
    }
    until(&mut world, DAY, |world| world.waiting() == 0);
    assert!(world.report().figures.relays_replaced >= 1, "nobody noticed");
}

#[test]
fn wiped_relay_is_used_again_and_loses_no_message() {
    let mut world = two_contacts(32, 1);
    world.switch_to(1, false);
    run(&mut world, MINUTE);
    (0..10).for_each(|_| assert!(world.say(0, 1, 500)));
    run(&mut world, HOUR);
    world.wipe(0);
    world.switch_to(1, true);
    until(&mut world, DAY, |world| world.waiting() == 0);
    in_turns(&mut world, 5 * HOUR, |world| world.now() % (4 * HOUR) < HOUR);
    world.switch_to(1, false);
    world.switch_to(0, true);
    (0..10).for_each(|_| assert!(world.say(0, 1, 500)));
    in_turns(&mut world, DAY, |world| world.waiting() == 0);
}

#[test]
fn messages_to_a_pod_away_for_a_month_expire_reported() {
    let mut world = two_contacts(51, 2);
    world.switch_to(1, false);
    (0..5).for_each(|_| assert!(world.say(0, 1, 200)));
    run(&mut world, 25 * DAY);
    assert_eq!(world.waiting(), 0);
    assert_eq!(world.report().expired, 5);
    world.switch_to(1, true);
    run(&mut world, HOUR);
    (0..5).for_each(|_| assert!(world.say(0, 1, 200) && world.say(1, 0, 200)));
    until(&mut world, DAY, |world| world.waiting() == 0);
    assert_eq!(world.report().delivered, 10);
    all_is_well(&mut world);
}

/// One request that is two tasks of the messenger, with more contacts than it keeps ratchets of in memory: the second
/// task must read the ratchets as the first has left them, or one key encrypts two messages.
#[test]
fn one_request_with_two_changes_uses_no_message_key_twice() {
    const OTHERS: usize = 40;
    let mut world = World::new(Config::scripted(91, OTHERS + 1, 2));
    (1..=OTHERS).for_each(|other| world.befriend(0, other));
    until(&mut world, DAY, World::all_are_contacts);
    (1..=OTHERS).for_each(|other| assert!(world.say(other, 0, 50)));
    until(&mut world, HOUR, |world| world.waiting() == 0);
    run(&mut world, 10 * MINUTE);
    let name = Name::new("one of many").unwrap();
    world.command(0, Command::SetNameAndReach(name, Reach::Relays)).unwrap().unwrap();
    run(&mut world, HOUR);
    assert_eq!(world.report().figures.rekeyed, 0, "a conversation broke");
    all_is_well(&mut world);
}

#[test]
fn clocks_a_day_off_lose_no_message() {
    let mut world = two_contacts(71, 3);
    for (ahead, behind) in [(86_400, -86_400), (-86_400, 86_400), (0, 0)] {
        world.shift_clock_by(0, ahead);
        world.shift_clock_by(1, behind);
        run(&mut world, 2 * MINUTE);
        (0..10).for_each(|_| assert!(world.say(0, 1, 300) && world.say(1, 0, 300)));
        until(&mut world, 2 * DAY, |world| world.waiting() == 0);
    }
    all_is_well(&mut world);
}

#[test]
fn faults_parse_from_their_names() {
    assert_eq!("all".parse::<Faults>().unwrap(), Faults::all());
    assert_eq!("none".parse::<Faults>().unwrap(), Faults::none());
    let some: Faults = "crashes,relays".parse().unwrap();
    assert_eq!(some, Faults::only(&[Fault::Crashes, Fault::Relays]));
    assert_eq!(some.to_string(), "crashes,relays");
    assert!("crashes,floods".parse::<Faults>().unwrap_err().to_string().contains("floods"));
}
