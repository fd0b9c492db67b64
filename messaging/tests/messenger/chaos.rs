//! Anything may happen at any moment, in any order; and when it is quiet again, everything has been said once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use autonomy_messaging::{
    messenger::{ContactId, Input},
    place::Place,
};
use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};

use super::{
    ALICE, BOB, HOUR, contacts,
    relay::Relay,
    world::{World, unreached},
};

/// One thing that happens.
#[derive(Debug, Clone, Copy)]
enum Event {
    Send(usize),
    /// The call at this position is carried out.
    Carry(usize),
    /// The same, but the call, or its answer, is lost.
    Lose(usize),
    LoseAnswer(usize),
    /// A relay hands a frame over.
    Push,
    /// Subscriptions break, and begin again with what was not acknowledged.
    Subscribe,
    /// The pod crashes at its next input, after so many effects.
    Crash(usize, usize),
    /// Nothing of a crashed pod's calls happens, or all of it.
    Orphans(bool),
    Off(usize),
    On(usize),
    Relay(usize, bool),
    Wait(u64),
    Backup,
    Restore,
}

fn event() -> impl Strategy<Value = Event> {
    let pod = || 0..2_usize;
    prop_oneof![
        8 => pod().prop_map(Event::Send),
        14 => any::<usize>().prop_map(Event::Carry),
        3 => any::<usize>().prop_map(Event::Lose),
        3 => any::<usize>().prop_map(Event::LoseAnswer),
        12 => Just(Event::Push),
        1 => Just(Event::Subscribe),
        4 => (pod(), 0..6_usize).prop_map(|(pod, effects)| Event::Crash(pod, effects)),
        2 => any::<bool>().prop_map(Event::Orphans),
        1 => pod().prop_map(Event::Off),
        2 => pod().prop_map(Event::On),
        2 => (pod(), any::<bool>()).prop_map(|(relay, dead)| Event::Relay(relay, dead)),
        8 => prop_oneof![Just(1), Just(12), Just(70), Just(4_000)].prop_map(Event::Wait),
        1 => Just(Event::Backup),
        1 => Just(Event::Restore),
    ]
}

type Disk = BTreeMap<Vec<u8>, Vec<u8>>;

/// The disks of both, the relays, and the time.
type Beginning = (Vec<Disk>, Vec<(Place, Relay)>, u64);

/// Two contacts with two relays, as they were after they became contacts: made once.
fn beginning() -> &'static Beginning {
    static BEGINNING: OnceLock<Beginning> = OnceLock::new();
    BEGINNING.get_or_init(|| {
        let mut world = World::new(2, 2);
        world.add_relays(ALICE);
        world.add_relays(BOB);
        world.pass(10);
        contacts(&mut world);
        world.pass(HOUR);
        let disks = world.pods.iter().map(|pod| pod.disk.clone()).collect();
        (disks, world.relays.clone(), world.now)
    })
}

struct Story {
    world: World,
    /// Who the other is, for each.
    other: [ContactId; 2],
    sent: [u64; 2],
    /// Numbers of messages, by sender, that a restore may have made undone.
    excused: [BTreeSet<u64>; 2],
    /// Alice's disk at the backup, with how much she had said.
    backup: Option<(Disk, u64)>,
    restored: bool,
}

impl Story {
    fn begin(seed: u64) -> Self {
        let (disks, relays, now) = beginning();
        let mut world = World::new(2, 0);
        world.now = *now;
        world.rng = StdRng::seed_from_u64(seed);
        world.relays.clone_from(relays);
        for (pod, disk) in disks.iter().enumerate() {
            world.pods[pod].disk.clone_from(disk);
            world.on(pod);
        }
        let other = [world.id(BOB), world.id(ALICE)];
        Self { world, other, sent: [0, 0], excused: Default::default(), backup: None, restored: false }
    }

    fn happen(&mut self, event: Event) {
        let world = &mut self.world;
        match event {
            Event::Send(pod) if world.pods[pod].online => {
                let number = self.sent[pod];
                self.sent[pod] += 1;
                world.send(pod, self.other[pod], &number.to_string());
            }
            Event::Carry(at) => self.call(at, true, true),
            Event::Lose(at) => self.call(at, false, false),
            Event::LoseAnswer(at) => self.call(at, true, false),
            Event::Push => drop(world.push_one()),
            Event::Subscribe => world.subscribe_again(),
            Event::Crash(pod, effects) => world.crash = Some((pod, effects)),
            Event::Orphans(happen) => {
                for (_, _, place, request) in std::mem::take(&mut world.orphans) {
                    if happen {
                        drop(world.ask(place, request));
                    }
                }
            }
            Event::Off(pod) => world.off(pod),
            Event::On(pod) if !world.pods[pod].online => world.on(pod),
            Event::Relay(relay, dead) => world.relays[relay].1.dead = dead,
            Event::Wait(seconds) => self.wait(seconds),
            Event::Backup if self.backup.is_none() && !self.restored => {
                self.backup = Some((world.backup(ALICE), self.sent[ALICE]));
            }
            Event::Restore => self.restore(),
            Event::Send(_) | Event::On(_) | Event::Backup => {}
        }
        self.restart_crashed();
    }

    /// A pod that crashed starts again; it may crash at once.
    fn restart_crashed(&mut self) {
        let crashed = self.world.crashed.take();
        if let Some(pod) = crashed {
            self.world.on(pod);
        }
    }

    fn call(&mut self, at: usize, arrives: bool, answered: bool) {
        let world = &mut self.world;
        let Some(at) = at.checked_rem(world.calls.len()) else { return };
        let (pod, call, place, request) = world.calls.remove(at).unwrap();
        let outcome = if arrives { world.ask(place, request) } else { Err(unreached()) };
        let outcome = if answered { outcome } else { Err(unreached()) };
        if world.pods[pod].online {
            world.handle(pod, Input::Called { call, outcome });
        }
    }

    fn wait(&mut self, seconds: u64) {
        let world = &mut self.world;
        world.now += seconds;
        for pod in 0..2 {
            let due = world.pods[pod].messenger.next_wake().is_some_and(|at| at <= world.now);
            if world.pods[pod].online && due {
                world.handle(pod, Input::Wake);
            }
        }
    }

    /// Alice's pod is restored from its backup.
    fn restore(&mut self) {
        let Some((disk, said)) = self.backup.take() else { return };
        let world = &mut self.world;
        // What she says from here on is new; what she said since is gone unless it had arrived. What she had heard
        // since is gone.
        self.excused[ALICE].extend(said..self.sent[ALICE]);
        let heard = numbers(world, ALICE, self.other[ALICE]);
        self.excused[BOB].extend(heard);
        world.off(ALICE);
        world.pods[ALICE].disk = disk;
        world.on(ALICE);
        self.restored = true;
    }

    /// Everybody is there, and nothing goes wrong any more.
    fn quiet(&mut self) {
        let world = &mut self.world;
        world.crash = None;
        world.crashed = None;
        world.relays.iter_mut().for_each(|(_, relay)| relay.dead = false);
        for pod in 0..2 {
            if !world.pods[pod].online {
                world.on(pod);
            }
        }
        world.subscribe_again();
        for _ in 0..30 {
            world.pass(6 * HOUR);
            if (0..2).all(|pod| world.status(pod).queued == 0) {
                break;
            }
        }
    }

    fn assert_said_once(&mut self) {
        for (by, to) in [(ALICE, BOB), (BOB, ALICE)] {
            let heard = numbers(&mut self.world, to, self.other[to]);
            assert!(heard.is_sorted_by(|a, b| a < b), "once and in order: {heard:?}");
            let missing: Vec<u64> = (0..self.sent[by])
                .filter(|number| !heard.contains(number) && !self.excused[by].contains(number))
                .collect();
            assert!(missing.is_empty(), "{by} said {missing:?}, and {to} heard {heard:?}");
            assert_eq!(self.world.status(by).queued, 0, "its sender knows");
        }
    }
}

fn numbers(world: &mut World, pod: usize, from: ContactId) -> Vec<u64> {
    world.texts(pod, from).iter().map(|text| text.parse().unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn messages_arrive_once_and_in_order_despite_faults(
        seed in any::<u64>(),
        events in prop::collection::vec(event(), 20..160),
    ) {
        let mut story = Story::begin(seed);
        for event in events {
            story.happen(event);
        }
        story.quiet();
        story.assert_said_once();
    }
}
