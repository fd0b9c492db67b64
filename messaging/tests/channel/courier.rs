//! When a courier turns to which place.

use autonomy_messaging::{
    BACK_OFF_DIRECT, CallOutcome, Courier, DIRECT_WAIT, FileContent, ITEM_BYTES, Incoming, MAX_IN_FLIGHT,
    Outgoing, Pending, Route, SHIPMENT_BYTES, Shipment,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::harness::{Harness, NOW, part, places};

#[test]
fn small_items_ride_together_and_full_ones_alone() {
    let mut harness = Harness::new(1, 3);
    let items = [part(0, 100), part(1, 200), part(2, 11_500), part(3, 5_000), part(4, 6_000), part(5, 510)];
    let shipped = harness.ship(NOW, &items);
    let keys: Vec<Vec<u64>> = shipped.iter().map(|(_, shipment)| shipment.keys.clone()).collect();
    assert_eq!(keys, [vec![0, 1], vec![2], vec![3, 4]]);
    assert_eq!(places(&shipped), [0; 3]);
    const { assert!(5_000 + 6_000 + 510 + 3 * ITEM_BYTES > SHIPMENT_BYTES) };
    // The last one is small, and others are on their way: it goes when they have left room.
    assert_eq!(harness.ship(NOW, &items), []);
    harness.end_all(&shipped[..2], CallOutcome::Accepted, NOW + 1);
    assert_eq!(harness.ship(NOW + 1, &items)[0].1.keys, [5]);
}

#[test]
fn single_messages_leave_at_once_and_bursts_share_frames() {
    let mut harness = Harness::new(1, 0);
    let mut items = Vec::new();
    let mut calls = Vec::new();
    for key in 0..200 {
        items.push(part(key, 100));
        calls.extend(harness.ship(NOW, &items));
    }
    let keys = |shipped: &[(u64, Shipment<u64>)]| -> Vec<usize> {
        shipped.iter().map(|(_, shipment)| shipment.keys.len()).collect()
    };
    // Two alone; then each leaves as soon as its frame is half full: 43 items of 136 B of 11,540.
    assert_eq!(keys(&calls), [1, 1, 43, 43]);
    harness.end(calls[0].0, CallOutcome::Accepted, NOW + 1);
    // What has gathered fills a frame, and the rest still waits: three are on their way.
    let full = harness.ship(NOW + 1, &items);
    assert_eq!(keys(&full), [84]);
    harness.end_all(&calls[1..], CallOutcome::Accepted, NOW + 1);
    let last = harness.ship(NOW + 1, &items);
    assert_eq!((keys(&last), last[0].1.keys[0]), (vec![28], 172));
}

#[test]
fn burst_does_not_wait_for_a_silent_pod() {
    let mut harness = Harness::new(1, 2);
    let mut items = vec![part(0, 100), part(1, 100)];
    harness.ship(NOW, &items[..1]);
    harness.ship(NOW, &items);
    items.push(part(2, 100));
    assert_eq!(harness.ship(NOW, &items), []);
    let away = harness.ship(NOW + DIRECT_WAIT, &items);
    assert_eq!(places(&away), [1, 2]);
    assert_eq!(away[0].1.keys, [0, 1, 2]);
}

#[test]
fn relays_get_two_copies_when_no_receipt_comes() {
    let mut harness = Harness::new(1, 3);
    let items = [part(0, 100)];
    assert_eq!(places(&harness.ship(NOW, &items)), [0]);
    assert_eq!(harness.courier.next_wake(NOW), Some(NOW + DIRECT_WAIT));
    assert_eq!(harness.ship(NOW + DIRECT_WAIT - 1, &items), []);
    assert_eq!(places(&harness.ship(NOW + DIRECT_WAIT, &items)), [1, 2]);
}

#[test]
fn what_the_pod_accepted_waits_longer_for_its_receipt() {
    let mut harness = Harness::new(1, 3);
    let items = [part(0, 100)];
    let shipped = harness.ship(NOW, &items);
    harness.end_all(&shipped, CallOutcome::Accepted, NOW + 1);
    assert_eq!(harness.ship(NOW + 59, &items), []);
    assert_eq!(places(&harness.ship(NOW + 60, &items)), [1, 2]);
}

#[test]
fn unanswered_direct_call_falls_back_to_relays() {
    let mut harness = Harness::new(1, 3);
    let items = [part(0, 100)];
    let shipped = harness.ship(NOW, &items);
    harness.end_all(&shipped, CallOutcome::Unreached, NOW + 3);
    let relays = harness.ship(NOW + 3, &items);
    assert_eq!(places(&relays), [1, 2]);
    harness.end_all(&relays, CallOutcome::Accepted, NOW + 4);
    let again = harness.ship(NOW + 100, &items);
    assert_eq!(places(&again), [0, 3]);
    assert_eq!(again.iter().map(|(_, shipment)| shipment.probe).collect::<Vec<_>>(), [true, false]);
    // Both took it. After ten more minutes only the pod is asked again: relays have it.
    harness.end_all(&again, CallOutcome::Accepted, NOW + 101);
    assert_eq!(places(&harness.ship(NOW + 1_100, &items)), [0]);
}

#[test]
fn a_relay_that_fails_or_is_silent_is_replaced_by_the_next() {
    let mut harness = Harness::new(0, 3);
    let items = [part(0, 100)];
    let shipped = harness.ship(NOW, &items);
    assert_eq!(places(&shipped), [0, 1]);
    harness.end(shipped[0].0, CallOutcome::Refused { wait: 0 }, NOW + 1);
    assert_eq!(places(&harness.ship(NOW + 1, &items)), [2]);

    let mut harness = Harness::new(0, 3);
    harness.ship(NOW, &items);
    assert_eq!(harness.courier.next_wake(NOW), Some(NOW + DIRECT_WAIT));
    assert_eq!(places(&harness.ship(NOW + DIRECT_WAIT, &items)), [2]);
}

#[test]
fn silent_pod_gets_single_probes_with_growing_pauses() {
    let mut harness = Harness::new(1, 0);
    let items: Vec<Pending<u64>> = (0..100).map(|key| part(key, 11_500)).collect();
    let mut now = NOW;
    let shipped = harness.ship(now, &items);
    assert_eq!(shipped.len(), 4, "a place that never answered gets few calls");
    harness.end_all(&shipped, CallOutcome::Unreached, now);
    let mut waits = Vec::new();
    while waits.len() < 15 {
        let wake = harness.courier.next_wake(now).unwrap();
        let probe = harness.ship(wake, &items);
        if let [(call, shipment)] = &probe[..] {
            assert!(shipment.probe);
            waits.push(wake - now);
            now = wake;
            harness.end(*call, CallOutcome::Unreached, now);
        } else {
            assert_eq!(probe, []);
            now = wake;
        }
    }
    assert!(waits[0] <= 2 && waits.iter().all(|wait| *wait <= BACK_OFF_DIRECT * 3 / 2));
    assert!(*waits.iter().max().unwrap() > 100, "{waits:?}");
    // A sign of life, and it is asked soon; an answer, and everything goes there.
    harness.courier.heard_from(now);
    assert_eq!(harness.ship(now + 9, &items), []);
    let probe = harness.ship(now + 10, &items);
    harness.end_all(&probe, CallOutcome::Accepted, now + 11);
    assert_eq!(harness.ship(now + 11, &items).len(), 4);
}

#[test]
fn calls_grow_with_success_up_to_their_bound() {
    let mut harness = Harness::new(1, 0);
    let items: Vec<Pending<u64>> = (0..256).map(|key| part(key, 11_500)).collect();
    let (mut most, mut underway) = (0, harness.ship(NOW, &items));
    while let Some((call, _)) = underway.pop() {
        most = most.max(underway.len() + 1);
        harness.end(call, CallOutcome::Accepted, NOW);
        underway.extend(harness.ship(NOW, &items));
    }
    assert_eq!((most, harness.calls), (MAX_IN_FLIGHT, 256));
    assert_eq!(harness.courier.accepted(0), 256);
}

#[test]
fn messages_overtake_files() {
    let mut harness = Harness::new(1, 0);
    let mut items: Vec<Pending<u64>> =
        (100..200).map(|key| Pending { key, len: 11_500, bulk: true }).collect();
    assert_eq!(harness.ship(NOW, &items).len(), 3);
    items.insert(0, part(0, 100));
    let shipped = harness.ship(NOW, &items);
    assert_eq!((shipped.len(), &shipped[0].1.keys), (1, &vec![0]));
}

#[test]
fn chunks_spread_over_relays_and_messages_start_at_one() {
    let mut harness = Harness::new(0, 3);
    let chunks: Vec<Pending<u64>> = (0..3).map(|key| Pending { key, len: 11_500, bulk: true }).collect();
    assert_eq!(places(&harness.ship(NOW, &chunks)), [0, 1, 2]);
    let routes = [Route { own: false, was: None, accepted: 0 }; 3];
    for spread in 0..6 {
        let mut courier = Courier::new(&routes, spread);
        let shipped = courier.next(NOW, &mut StdRng::seed_from_u64(1), &[part(0, 1)]);
        let mut expected = [spread % 3, (spread + 1) % 3];
        expected.sort_unstable();
        assert_eq!([shipped[0].place, shipped[1].place], expected);
    }
}

#[test]
fn a_card_without_a_place_moves_what_was_there() {
    let mut harness = Harness::new(1, 3);
    let items = [part(0, 100)];
    let direct = harness.ship(NOW, &items);
    harness.end_all(&direct, CallOutcome::Unreached, NOW);
    let relays = harness.ship(NOW, &items);
    assert_eq!(places(&relays), [1, 2]);
    // Relay 1 is gone, a new one came; the rest moved up.
    let kept = |was, own| Route { own, was: Some(was), accepted: 0 };
    let new = Route { own: false, was: None, accepted: 0 };
    harness.courier.change_places(&[kept(0, true), kept(2, false), kept(3, false), new]);
    assert_eq!(places(&harness.ship(NOW, &items)), [2]);
    harness.end(relays[0].0, CallOutcome::Accepted, NOW);
    harness.end(relays[1].0, CallOutcome::Accepted, NOW);
    assert_eq!((0..4).map(|place| harness.courier.accepted(place)).collect::<Vec<_>>(), [0, 1, 0, 0]);
    assert!(!harness.courier.is_up(0));
    harness.courier.change_places(&[]);
    assert_eq!(harness.ship(NOW + 5, &items), []);
}

#[test]
fn withholding_relay_is_bypassed_once_the_contact_appears() {
    let mut harness = Harness::new(0, 3);
    let items = [part(0, 100)];
    let mut sent = vec![];
    let mut now = NOW;
    // 10 hours: everybody has it.
    while now < NOW + 36_000 {
        let shipped = harness.ship(now, &items);
        harness.end_all(&shipped, CallOutcome::Accepted, now);
        sent.extend(places(&shipped));
        now = harness.courier.next_wake(now).unwrap_or(now + 1_000);
    }
    assert!((3..=6).contains(&sent.len()));
    let now = NOW + 36_000;
    harness.courier.heard_from(now);
    assert_eq!(harness.ship(now + 59, &items), []);
    assert_eq!(places(&harness.ship(now + 60, &items)), [0, 1, 2]);
}

#[test]
fn after_a_restart_everything_is_due_again() {
    let routes = [Route { own: true, was: None, accepted: 7 }];
    let mut courier = Courier::new(&routes, 0);
    let mut rng = StdRng::seed_from_u64(1);
    assert_eq!(courier.accepted(0), 7);
    // A call of the life before ends now.
    courier.outcome(55, CallOutcome::Accepted, NOW, &mut rng);
    assert_eq!(courier.next(NOW, &mut rng, &[part(3, 10)])[0].keys, [3]);
}

#[test]
fn clock_set_back_delays_no_delivery() {
    let mut harness = Harness::new(1, 3);
    let items = [part(0, 100)];
    let direct = harness.ship(NOW * 1_000, &items);
    harness.end_all(&direct, CallOutcome::Unreached, NOW * 1_000);
    let relays = harness.ship(NOW * 1_000, &items);
    harness.end_all(&relays, CallOutcome::Accepted, NOW * 1_000);
    // A day and more earlier.
    assert_eq!(harness.ship(NOW, &items), []);
    assert_eq!(places(&harness.ship(NOW + 3, &items)), [0]);
    assert_eq!(places(&harness.ship(NOW + 95, &items)), [3]);
}

/// A file of 20 MB and some messages, while every call may get lost, over the pod or relays.
#[test]
fn files_and_messages_share_a_connection() {
    for own in [1, 0] {
        let mut harness = Harness::new(own, 2);
        let content = FileContent { size: 20_000_000, sha256: [0; 32] };
        let mut file = Outgoing::new(content, content.size).unwrap();
        let mut arrived = Incoming::new(content, content.size).unwrap();
        let (mut now, mut sent, mut message) = (NOW, 0, true);
        while !file.is_complete() {
            let chunks = file.unacknowledged().map(|index| {
                let bytes = content.chunk(index).unwrap();
                Pending { key: 1 + u64::from(index), len: (bytes.end - bytes.start) as usize, bulk: true }
            });
            let items: Vec<Pending<u64>> =
                message.then_some(part(0, 100)).into_iter().chain(chunks).collect();
            let shipped = harness.ship(now, &items);
            now += 1;
            for (call, shipment) in shipped {
                sent += shipment.keys.len();
                shipment.keys.iter().filter(|key| **key > 0).for_each(|key| {
                    file.mark_sent(*key as u32 - 1);
                });
                if harness.rng.gen_bool(0.2) {
                    harness.end(call, CallOutcome::Unreached, now);
                    continue;
                }
                for key in shipment.keys {
                    match key.checked_sub(1).map(|index| index as u32) {
                        None => message = false,
                        Some(index) => {
                            let bytes = content.chunk(index).unwrap();
                            let _ = arrived.accept(index, (bytes.end - bytes.start) as usize);
                        }
                    }
                }
                harness.end(call, CallOutcome::Accepted, now);
            }
            assert!(!message || now < NOW + 100, "the message waits behind the file");
            file.acknowledge(arrived.receipt()).unwrap();
        }
        assert!(arrived.is_complete() && sent < 2 * 1_740, "{sent} items for 1,740 chunks");
        assert!(now < NOW + 3_000, "{} s", now - NOW);
    }
}
