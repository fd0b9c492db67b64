//! What others can derive from what they see: each statement of the documents about relays and contacts, held against
//! recorded traffic. A relay sees connections, names of queues, kinds of requests, times, and the token of its operator.

use std::collections::{BTreeMap, BTreeSet};

use autonomy_messaging::Name;
use autonomy_messaging::messenger::Reach;
use autonomy_messaging::place::{Place, QueueId};
use autonomy_sim::{Answered, Asked, Command, Config, Connection, DAY, HOUR, SECOND, Seen, Traffic, World};

use crate::{MINUTE, run, until};

/// Pod 0 with so many contacts, at so many relays; everything has been quiet for an hour.
fn contacts_of_one(seed: u64, contacts: usize, relays: usize) -> World {
    let mut world = World::new(Config::scripted(seed, contacts + 1, relays));
    (1..=contacts).for_each(|other| world.befriend(0, other));
    until(&mut world, DAY, World::all_are_contacts);
    run(&mut world, HOUR);
    world
}

/// What a relay knows to belong together, since it came over one connection.
fn queues_by_connection(traffic: &Traffic, relay: Place) -> BTreeMap<Connection, BTreeSet<QueueId>> {
    let mut known: BTreeMap<Connection, BTreeSet<QueueId>> = BTreeMap::new();
    for seen in traffic.at(relay) {
        known.entry(seen.connection).or_default().insert(seen.queue);
    }
    known
}

/// When something of one pod came to a relay first, by queue, in order.
fn firsts(traffic: &Traffic, relay: Place, pod: usize, what: Asked) -> Vec<u64> {
    let mut first: BTreeMap<QueueId, u64> = BTreeMap::new();
    for seen in traffic.at(relay).filter(|seen| seen.connection.pod == pod && seen.what == what) {
        first.entry(seen.queue).or_insert(seen.at);
    }
    let mut times: Vec<u64> = first.into_values().collect();
    times.sort_unstable();
    times
}

/// So many queues come one by one: over a minute at least, and never a third of them within ten seconds.
fn assert_spread(times: &[u64], queues: usize) {
    assert_eq!(times.len(), queues);
    assert!(times[queues - 1] - times[0] > MINUTE, "{times:?}");
    let within = |from: &u64| times.iter().filter(|at| (*from..from + 10 * SECOND).contains(*at)).count();
    assert!(times.iter().all(|from| within(from) <= queues / 3), "{times:?}");
}

fn restart(world: &mut World, pod: usize) {
    world.switch_to(pod, false);
    run(world, 10 * MINUTE);
    world.switch_to(pod, true);
    run(world, 10 * MINUTE);
}

#[test]
fn relay_gets_no_two_queues_over_one_connection() {
    let mut world = World::new(Config::scripted(201, 13, 2));
    world.record_traffic();
    (1..=12).for_each(|other| world.befriend(0, other));
    until(&mut world, DAY, World::all_are_contacts);
    (1..=12).for_each(|other| assert!(world.say(0, other, 50) && world.say(other, 0, 50)));
    restart(&mut world, 0);
    (1..=12).for_each(|other| world.switch_to(other, false));
    (1..=12).for_each(|other| assert!(world.say(0, other, 50)));
    run(&mut world, HOUR);
    let traffic = world.traffic();
    for relay in 0..2 {
        let known = queues_by_connection(&traffic, world.relay_place(relay));
        assert!(known.len() > 24, "{}", known.len());
        let shared: Vec<_> = known.iter().filter(|(_, queues)| queues.len() > 1).collect();
        assert!(shared.is_empty(), "{shared:?}");
    }
}

#[test]
fn only_queues_beyond_sixteen_share_connections() {
    let mut world = contacts_of_one(202, 20, 1);
    world.record_traffic();
    restart(&mut world, 0);
    restart(&mut world, 0);
    let traffic = world.traffic();
    let mut known: BTreeMap<Connection, BTreeSet<QueueId>> = BTreeMap::new();
    for seen in traffic.of(0).filter(|seen| seen.what == Asked::Subscribe) {
        known.entry(seen.connection).or_default().insert(seen.queue);
    }
    let known: Vec<BTreeSet<QueueId>> = known.into_values().collect();
    assert_eq!(known.len(), 2 * 16, "as many connections in each of two runs");
    let shared: BTreeSet<&BTreeSet<QueueId>> = known.iter().filter(|queues| queues.len() > 1).collect();
    assert_eq!(shared.len(), 4, "the same queues share one in each run: {shared:?}");
}

#[test]
fn queues_come_to_a_new_relay_one_by_one() {
    let mut world = World::new(Config { relays_per_pod: 1, ..Config::scripted(203, 13, 2) });
    (1..=12).for_each(|other| world.befriend(0, other));
    until(&mut world, DAY, World::all_are_contacts);
    run(&mut world, HOUR);
    world.record_traffic();
    let (place, name) = (world.relay_place(1), Name::new("another").unwrap());
    world.command(0, Command::AddRelay { place, name, token: None }).unwrap().unwrap();
    run(&mut world, HOUR);
    let traffic = world.traffic();
    for what in [Asked::Open, Asked::Subscribe] {
        assert_spread(&firsts(&traffic, place, 0, what), 12);
    }
}

#[test]
fn queues_are_collected_one_by_one_after_a_start() {
    let mut world = contacts_of_one(204, 12, 2);
    world.switch_to(0, false);
    run(&mut world, 10 * MINUTE);
    world.record_traffic();
    world.switch_to(0, true);
    run(&mut world, 10 * MINUTE);
    let traffic = world.traffic();
    for relay in 0..2 {
        assert_spread(&firsts(&traffic, world.relay_place(relay), 0, Asked::Subscribe), 12);
    }
}

#[test]
fn conversation_that_is_opened_after_a_start_does_not_wait() {
    let mut world = contacts_of_one(205, 12, 2);
    world.switch_to(0, false);
    assert!(world.say(3, 0, 50));
    run(&mut world, HOUR);
    world.switch_to(0, true);
    let (contact, up_to) = (world.contact(3), 1);
    world.command(0, Command::MarkRead { contact, up_to }).unwrap().unwrap();
    run(&mut world, 30 * SECOND);
    assert_eq!(world.shown_to(3, 0), 1, "as soon as its relay is dialled");
}

#[test]
fn redemption_and_later_frames_use_different_connections() {
    let mut world = World::new(Config::scripted(206, 2, 1));
    world.record_traffic();
    world.befriend(0, 1);
    until(&mut world, DAY, World::all_are_contacts);
    world.switch_to(0, false);
    assert!(world.say(1, 0, 50));
    run(&mut world, HOUR);
    let traffic = world.traffic();
    let invite: BTreeSet<QueueId> =
        traffic.of(1).filter(|seen| seen.what == Asked::Redeem).map(|seen| seen.queue).collect();
    assert_eq!(invite.len(), 1);
    let of = |wanted: &dyn Fn(&&Seen) -> bool| -> BTreeSet<Connection> {
        traffic.of(1).filter(wanted).map(|seen| seen.connection).collect()
    };
    let redeemed = of(&|seen| seen.what == Asked::Redeem);
    let introduced = of(&|seen| seen.is_deposit() && invite.contains(&seen.queue));
    let later = of(&|seen| seen.is_deposit() && !invite.contains(&seen.queue));
    let all = [&redeemed, &introduced, &later];
    assert!(all.iter().all(|connections| !connections.is_empty()), "{all:?}");
    let together: BTreeSet<Connection> = all.into_iter().flatten().copied().collect();
    assert_eq!(
        together.len(),
        redeemed.len() + introduced.len() + later.len(),
        "none is used for two of them"
    );
}

#[test]
fn operator_with_tokens_learns_which_queues_are_one_pods() {
    // What docs/relay.md warns of: it changes with blind tokens.
    let report = Config { pods: 6, relays: 3, messages: 20, payments: 0, days: 1, ..Config::default() };
    let mut world = World::new(Config { faults: autonomy_sim::Faults::none(), ..report });
    world.record_traffic();
    run(&mut world, DAY);
    let traffic = world.traffic();
    let opens = |relay: usize| traffic.at(world.relay_place(relay)).filter(|seen| seen.what == Asked::Open);
    assert!(opens(2).count() > 0 && opens(2).all(|seen| seen.token), "each shows the token");
    assert!(opens(0).count() > 0 && opens(0).all(|seen| !seen.token), "an open relay gets none");
}

#[test]
fn blocked_contact_gets_the_same_answers_and_nothing_else() {
    let mut world = contacts_of_one(207, 2, 2);
    let blocked = world.contact(1);
    world.command(0, Command::SetBlocked(blocked, true)).unwrap().unwrap();
    run(&mut world, MINUTE);
    world.record_traffic();
    for _ in 0..10 {
        // The one who is blocked, and one who is not.
        (1..=2).for_each(|contact| assert!(world.say(contact, 0, 500)));
        run(&mut world, 2 * HOUR);
        restart(&mut world, 0);
    }
    let traffic = world.traffic();
    let deposits = |contact: usize| traffic.of(contact).filter(|seen| seen.is_deposit());
    assert!(deposits(1).count() >= 10);
    let answered = |seen: &Seen| seen.answer != Some(Answered::Refused);
    assert!(deposits(1).all(answered) && deposits(2).all(answered));
    let accepted = |seen: &&Seen| seen.answer == Some(Answered::Done);
    assert!(deposits(1).filter(accepted).count() >= 10);
    let to_him = traffic.of(0).filter(|seen| seen.is_deposit() && seen.connection.lane.party == blocked.0);
    assert_eq!(to_him.count(), 0);
    assert_eq!((world.shown_to(1, 0), world.waiting()), (0, 10));
}

#[test]
fn blocked_contact_loses_sight_of_the_pod_after_a_week() {
    let mut world = contacts_of_one(209, 2, 1);
    let (known, blocked) = (world.pod_place(0), world.contact(1));
    world.command(0, Command::SetBlocked(blocked, true)).unwrap().unwrap();
    run(&mut world, 10 * MINUTE);
    let moved = world.pod_place(0);
    assert_ne!(moved, known, "its peer service moved");
    world.record_traffic();
    (1..=2).for_each(|contact| assert!(world.say(contact, 0, 50)));
    run(&mut world, MINUTE);
    let traffic = world.traffic();
    let direct = |contact: usize, place: Place| -> Vec<Option<Answered>> {
        traffic.of(contact).filter(|seen| seen.place == place).map(|seen| seen.answer).collect()
    };
    assert_eq!(direct(1, known), [Some(Answered::Done)], "he is answered as before");
    assert_eq!((direct(1, moved).len(), direct(2, known).len()), (0, 0));
    assert_eq!(direct(2, moved)[0], Some(Answered::Done), "the other one knows the new address by card");
    run(&mut world, 8 * DAY);
    world.record_traffic();
    (1..=2).for_each(|contact| assert!(world.say(contact, 0, 50)));
    run(&mut world, HOUR);
    let traffic = world.traffic();
    let answers: Vec<_> = traffic.of(1).filter(|seen| seen.place == known).map(|seen| seen.answer).collect();
    assert!(!answers.is_empty() && answers.iter().all(|answer| *answer == Some(Answered::Unreached)));
    assert_eq!(world.shown_to(2, 0), 4, "messages are numbered over the world");
}

#[test]
fn reading_a_message_sends_nothing() {
    let mut world = contacts_of_one(210, 2, 2);
    assert!(world.say(1, 0, 50));
    run(&mut world, HOUR);
    world.record_traffic();
    let (contact, up_to) = (world.contact(1), 100);
    world.command(0, Command::MarkRead { contact, up_to }).unwrap().unwrap();
    run(&mut world, HOUR);
    assert_eq!(world.traffic().of(0).filter(|seen| seen.is_deposit()).count(), 0);
}

#[test]
fn relays_only_pod_is_asked_nothing_and_its_receipts_wait() {
    let mut world = contacts_of_one(208, 1, 2);
    world.command(0, Command::SetReach(Reach::Relays)).unwrap().unwrap();
    run(&mut world, HOUR);
    let (mut waits, own) = (Vec::new(), world.pod_place(0));
    for _ in 0..20 {
        world.record_traffic();
        assert!(world.say(1, 0, 50));
        run(&mut world, MINUTE);
        assert_eq!(world.traffic().at(own).count(), 0, "no contact turns to its own address");
        run(&mut world, 30 * MINUTE);
        assert_eq!(world.waiting(), 0);
        let traffic = world.traffic();
        let said = traffic.of(1).find(|seen| seen.is_deposit()).unwrap().at;
        let receipt = traffic.of(0).find(|seen| seen.is_deposit()).unwrap().at;
        waits.push((receipt - said) / MINUTE);
    }
    let minutes: BTreeSet<u64> = waits.iter().copied().collect();
    assert!(minutes.len() >= 5 && waits.iter().all(|wait| *wait <= 11), "{waits:?}");
}
