//! When a receipt leaves, and to which places.

use autonomy_messaging::{ACK_AT_ONCE, CallOutcome};

use super::harness::{Harness, NOW, part, places};

#[test]
fn receipt_waits_a_second_for_a_frame() {
    let mut harness = Harness::new(1, 3);
    harness.courier.owe_receipt(NOW, false);
    assert_eq!((harness.ship(NOW, &[]), harness.courier.next_wake(NOW)), (vec![], Some(NOW + 1)));
    let alone = harness.ship(NOW + 1, &[]);
    assert_eq!((places(&alone), alone[0].1.keys.len()), (vec![0], 0));
    assert_eq!(harness.ship(NOW + 2, &[]), []);
    harness.end_all(&alone, CallOutcome::Accepted, NOW + 2);
    assert_eq!((harness.ship(NOW + 3, &[]), harness.courier.next_wake(NOW + 3)), (vec![], None));

    harness.courier.owe_receipt(NOW + 4, false);
    let company = harness.ship(NOW + 4, &[part(0, 10)]);
    harness.end_all(&company, CallOutcome::Accepted, NOW + 5);
    assert_eq!(harness.ship(NOW + 6, &[]), []);
}

#[test]
fn a_receipt_that_many_parts_wait_for_leaves_at_once() {
    let mut harness = Harness::new(1, 3);
    (1..ACK_AT_ONCE).for_each(|_| harness.courier.owe_receipt(NOW, false));
    assert_eq!(harness.ship(NOW, &[]), []);
    harness.courier.owe_receipt(NOW, false);
    assert_eq!(places(&harness.ship(NOW, &[])), [0]);

    harness.courier.owe_receipt(NOW, false);
    assert_eq!(harness.ship(NOW, &[]), [], "what came since is counted anew");
    assert_eq!(places(&harness.ship(NOW + 1, &[])), [0]);
}

#[test]
fn a_receipt_goes_to_relays_when_the_pod_is_away() {
    let mut harness = Harness::new(1, 3);
    harness.courier.owe_receipt(NOW, false);
    let shipped = harness.ship(NOW + 1, &[]);
    harness.end_all(&shipped, CallOutcome::Unreached, NOW + 2);
    let relays = harness.ship(NOW + 2, &[]);
    assert_eq!(places(&relays), [2, 3]);
    harness.end_all(&relays, CallOutcome::Accepted, NOW + 3);
    assert_eq!((harness.ship(NOW + 500, &[]), harness.courier.next_wake(NOW + 500)), (vec![], None));
}

#[test]
fn a_receipt_that_went_missing_goes_to_all_relays() {
    let mut harness = Harness::new(0, 3);
    harness.courier.owe_receipt(NOW, false);
    let shipped = harness.ship(NOW + 1, &[]);
    assert_eq!(shipped.len(), 2);
    harness.end_all(&shipped, CallOutcome::Accepted, NOW + 1);
    // The copy that came by the second relay is no sign of that.
    harness.courier.owe_receipt(NOW + 20, true);
    let shipped = harness.ship(NOW + 21, &[]);
    assert_eq!(shipped.len(), 2);
    harness.end_all(&shipped, CallOutcome::Accepted, NOW + 21);
    // A stream of repeats does not put it off.
    (0..2).for_each(|after| harness.courier.owe_receipt(NOW + 100 + after, true));
    assert_eq!(places(&harness.ship(NOW + 101, &[])), [0, 1, 2]);
}

#[test]
fn parts_arriving_during_a_receipt_need_another() {
    let mut harness = Harness::new(1, 0);
    harness.courier.owe_receipt(NOW, false);
    let first = harness.ship(NOW + 1, &[]);
    harness.courier.owe_receipt(NOW + 1, false);
    harness.end_all(&first, CallOutcome::Accepted, NOW + 2);
    assert_eq!(places(&harness.ship(NOW + 2, &[])), [0]);
}
