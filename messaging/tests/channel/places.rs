//! Shares of calls among contacts, and relays that keep what they accept.

use std::collections::BTreeMap;

use autonomy_messaging::{Budget, MAX_CALLS, RelayAudit, SUSPECT_AFTER};
use proptest::prelude::*;

#[test]
fn thousand_silent_contacts_leave_room_for_another() {
    let mut budget = Budget::new(MAX_CALLS);
    (0..1_000).for_each(|contact| budget.ask(contact, true));
    let probes = std::iter::from_fn(|| budget.grant()).count();
    assert_eq!(probes, MAX_CALLS / 2);
    budget.ask(5_000, false);
    assert_eq!(budget.grant(), Some((5_000, false)));
    assert_eq!(budget.grant(), None);
    budget.release(true);
    assert_eq!(budget.grant(), Some((128, true)));
}

#[test]
fn contacts_take_turns() {
    let mut budget = Budget::new(8);
    let mut calls: BTreeMap<u32, u32> = BTreeMap::new();
    (0..3).for_each(|contact| budget.ask(contact, false));
    for _ in 0..300 {
        let (contact, probe) = budget.grant().unwrap();
        *calls.entry(contact).or_default() += 1;
        budget.ask(contact, false);
        budget.ask(contact, false);
        budget.release(probe);
    }
    assert_eq!(calls, BTreeMap::from([(0, 100), (1, 100), (2, 100)]));
    (0..20).for_each(|contact| budget.ask(contact, false));
    assert_eq!(std::iter::from_fn(|| budget.grant()).count(), 8);
    assert_eq!(budget.in_flight(), 8);
}

#[test]
fn withholding_relay_is_detected() {
    let mut watch = RelayAudit::new(0);
    watch.connected(true, 0);
    watch.claimed(2, 100);
    assert!(!watch.is_suspect(1_000_000), "two may be missing");
    watch.claimed(3, 200);
    assert!(!watch.is_suspect(200 + SUSPECT_AFTER - 1));
    assert!(watch.is_suspect(200 + SUSPECT_AFTER));
    // One frame late: no longer.
    watch.collected(900);
    assert!(!watch.is_suspect(1_000_000));
}

#[test]
fn time_in_which_we_were_not_connected_does_not_count() {
    let mut watch = RelayAudit::new(0);
    watch.claimed(10, 100);
    assert!(!watch.is_suspect(1_000_000));
    watch.connected(true, 5_000);
    assert!(!watch.is_suspect(5_000 + SUSPECT_AFTER - 1));
    watch.connected(false, 5_400);
    watch.connected(true, 5_500);
    assert!(!watch.is_suspect(5_500 + SUSPECT_AFTER - 1));
    assert!(watch.is_suspect(5_500 + SUSPECT_AFTER));
    let (claimed, collected) = watch.counts();
    let mut resumed = RelayAudit::resume(claimed, collected, 5_600);
    resumed.connected(true, 6_000);
    resumed.claimed(10, 6_000);
    assert!(!resumed.is_suspect(6_000 + SUSPECT_AFTER - 1) && resumed.is_suspect(6_000 + SUSPECT_AFTER));
}

#[test]
fn a_clock_that_jumps_convicts_no_relay() {
    let mut watch = RelayAudit::new(0);
    watch.connected(true, 0);
    watch.claimed(10, 1_000);
    // The clock was an hour behind. Nobody looked when the time was up: the relay has it once more.
    watch.look_again(4_600);
    assert!(!watch.is_suspect(4_600) && watch.is_suspect(4_600 + SUSPECT_AFTER));
    // Looked at in time, it is what it was.
    watch.look_again(4_600 + SUSPECT_AFTER + 5);
    assert!(watch.is_suspect(4_600 + SUSPECT_AFTER + 5));
    // And a clock that goes back does not give it days.
    watch.clock_went_back(2_000);
    assert!(!watch.is_suspect(2_000) && watch.is_suspect(2_000 + SUSPECT_AFTER));
}

#[test]
fn expired_frames_are_not_held_against_a_relay() {
    let mut watch = RelayAudit::new(0);
    watch.connected(true, 0);
    watch.connected(false, 100);
    watch.claimed(10, 200);
    watch.connected(true, 100 + 20 * 86_400);
    assert!(!watch.is_suspect(u64::MAX));
}

#[test]
fn busy_relay_behind_the_latest_claim_is_not_suspect() {
    let mut watch = RelayAudit::new(0);
    watch.connected(true, 0);
    for now in 0..50_000 {
        watch.claimed(now + 100, u64::from(now));
        if now > 50 {
            watch.collected(u64::from(now));
        }
        // What was claimed 150 s ago is here, always: the rest is on its way.
        assert!(!watch.is_suspect(u64::from(now)), "{now}");
    }
}

proptest! {
    /// Frames are accepted at some time, collected up to 9 minutes later in any order, and claimed in packets that are
    /// sealed and arrive in any order.
    #[test]
    fn a_relay_that_delivers_is_never_suspected(frames in proptest::collection::vec((0..5_000_u64, 0..540_u64, 0..3_000_u64), 1..200)) {
        let mut events = Vec::new();
        for (accepted, delay, claim_delay) in &frames {
            events.push((accepted + delay, None));
            let count = frames.iter().filter(|frame| frame.0 <= *accepted).count();
            events.push((accepted + claim_delay, Some(u32::try_from(count).unwrap())));
        }
        events.sort_unstable();
        let mut watch = RelayAudit::new(0);
        watch.connected(true, 0);
        for (now, claim) in events {
            // The clock may look at any time.
            prop_assert!(!watch.is_suspect(now.saturating_sub(1)));
            match claim {
                Some(count) => watch.claimed(count, now),
                None => watch.collected(now),
            }
            prop_assert!(!watch.is_suspect(now));
        }
        prop_assert!(!watch.is_suspect(u64::MAX));
    }

    #[test]
    fn a_relay_that_drops_is_always_found(dropped in 3..50_u32, total in 50..200_u32) {
        let mut watch = RelayAudit::new(0);
        watch.connected(true, 0);
        for count in 1..=total {
            watch.claimed(count, u64::from(count));
            if count > dropped {
                watch.collected(u64::from(count));
            }
        }
        prop_assert!(watch.is_suspect(u64::from(total) + SUSPECT_AFTER));
    }
}
