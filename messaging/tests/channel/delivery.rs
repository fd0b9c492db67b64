//! Two people talk over bad links, dead relays and crashes: nothing is lost, each word comes once and in order, and
//! both learn that it came.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::world::{BAD, GOOD, Kind, Link, World};
use Kind::{Dead, Full, Liar, Own, Relay};

fn body(peer: usize, log: u64) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(log * 2 + peer as u64);
    let len = if log.is_multiple_of(10) { rng.gen_range(1..=65_536) } else { rng.gen_range(1..=2_000) };
    (0..len).map(|_| rng.r#gen()).collect()
}

/// Both say so many things, one every few seconds.
fn talk(world: &mut World, messages: u64, apart: u64) {
    for log in 0..messages {
        for peer in [0, 1] {
            let at = world.now + log * apart;
            world.plan(at, peer, move |world, peer| world.say(peer, log, &body(peer, log)));
        }
    }
}

fn all_came(world: &World, messages: u64) {
    for peer in [0, 1] {
        let said: Vec<Vec<u8>> = (0..messages).map(|log| body(peer, log)).collect();
        let shown = &world.peers[1 - peer].shown;
        assert_eq!(shown.len(), said.len(), "of what {peer} said");
        assert!(*shown == said, "another order or other words");
        assert_eq!(world.peers[peer].delivered, (0..messages).collect::<Vec<_>>());
        assert_eq!(world.peers[peer].waiting(), 0);
    }
}

#[test]
fn over_a_good_link_every_message_is_sent_once() {
    let mut world = World::new(1, GOOD, &[Own, Relay, Relay, Relay], true);
    talk(&mut world, 100, 5);
    world.run(2_000);
    all_came(&world, 100);
    assert_eq!((1..4).map(|relay| world.calls(0, relay)).sum::<usize>(), 0, "relays were troubled");
    let parts: usize = (0..100).map(|log| body(0, log).len().div_ceil(11_500)).sum();
    assert!(world.peers[0].frames <= parts + 120, "{} frames for {parts} parts", world.peers[0].frames);
}

#[test]
fn over_a_bad_link_nothing_is_lost_or_doubled() {
    for seed in 0..8 {
        let mut world = World::new(seed, BAD, &[Own, Relay, Relay, Relay], true);
        talk(&mut world, 100, 4);
        world.run(200_000);
        all_came(&world, 100);
    }
}

#[test]
fn with_both_pods_out_of_reach_relays_do() {
    let mut world = World::new(2, GOOD, &[Dead, Relay, Relay, Relay], true);
    talk(&mut world, 100, 5);
    world.run(3_000);
    all_came(&world, 100);
    assert!(world.calls(0, 0) < 60, "{} calls to a dead pod in 9 minutes", world.calls(0, 0));
}

#[test]
fn one_working_relay_of_three_is_enough() {
    for (seed, kinds) in [
        (1, [Dead, Relay, Dead, Dead]),
        (2, [Dead, Dead, Relay, Full]),
        (3, [Full, Full, Dead, Relay]),
        (4, [Relay, Full, Dead, Dead]),
    ] {
        let mut world = World::new(seed, GOOD, &kinds, true);
        talk(&mut world, 1, 1);
        world.run(1_060);
        assert_eq!((world.peers[0].shown.len(), world.peers[1].shown.len()), (1, 1), "within a minute");
        world.run(1_180);
        all_came(&world, 1);
        let mut world = World::new(seed, BAD, &kinds, true);
        talk(&mut world, 50, 4);
        world.run(2_000_000);
        all_came(&world, 50);
    }
}

#[test]
fn relays_that_accept_and_deliver_nothing_only_cost_time() {
    for (seed, kinds) in
        [(1, [Dead, Liar, Liar, Relay]), (2, [Liar, Relay, Liar, Liar]), (3, [Dead, Relay, Liar, Liar])]
    {
        let mut world = World::new(seed, GOOD, &kinds, true);
        talk(&mut world, 1, 1);
        world.run(1_180);
        assert_eq!((world.peers[0].shown.len(), world.peers[1].shown.len()), (1, 1));
        world.run(1_000 + 86_400);
        all_came(&world, 1);
        let mut world = World::new(seed, BAD, &kinds, true);
        talk(&mut world, 50, 4);
        world.run(4_000_000);
        all_came(&world, 50);
    }
}

#[test]
fn delivery_works_without_common_online_time() {
    let mut world = World::new(5, Link { delay: 5, ..BAD }, &[Own, Relay, Dead, Relay], true);
    world.set_online(1, false);
    for hour in 1..400 {
        let at = world.now + hour * 3_600;
        world.plan(at, 0, move |world, peer| world.set_online(peer, hour % 2 == 0));
        world.plan(at, 1, move |world, peer| world.set_online(peer, hour % 2 == 1));
    }
    for log in 0..60 {
        for peer in [0, 1] {
            let at = world.now + (2 * log + peer as u64) * 3_600 + 60 * log;
            world.plan(at, peer, move |world, peer| world.say(peer, log, &body(peer, log)));
        }
    }
    world.run(400 * 3_600);
    all_came(&world, 60);
}

#[test]
fn crashes_at_any_moment_change_nothing() {
    for seed in 10..14 {
        let mut world = World::new(seed, BAD, &[Own, Relay, Relay], true);
        talk(&mut world, 60, 7);
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..60 {
            let at = world.now + rng.gen_range(0..1_000);
            world.plan(at, rng.gen_range(0..2), World::crash);
        }
        world.run(300_000);
        all_came(&world, 60);
    }
}

#[test]
fn pods_out_of_reach_exchange_messages_by_relays() {
    let mut world = World::new(6, BAD, &[Relay, Relay, Relay], false);
    talk(&mut world, 50, 10);
    world.run(200_000);
    all_came(&world, 50);
}

#[test]
fn contact_away_for_three_weeks_costs_few_frames() {
    let mut world = World::new(7, GOOD, &[Own, Relay, Relay, Relay], true);
    world.set_online(1, false);
    for log in 0..20 {
        let at = world.now + log * 100;
        world.plan(at, 0, move |world, peer| world.say(peer, log, &[7; 11_000]));
    }
    world.run(21 * 86_400);
    for relay in 1..4 {
        let copies = world.calls(1, relay);
        assert!((20..=20 * 4).contains(&copies), "{copies} frames of 20 lie at relay {relay}");
    }
    // One try of the pod about every 5 to 7.5 minutes.
    let tries = world.calls(1, 0);
    assert!((3_500..7_000).contains(&tries), "{tries} tries of the pod");
    let back = world.now;
    world.plan(back, 1, |world, peer| world.set_online(peer, true));
    world.run(back + 60);
    assert_eq!((world.peers[1].shown.len(), world.peers[0].waiting()), (20, 0));
}
