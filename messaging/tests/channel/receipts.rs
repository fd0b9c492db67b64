//! When a receipt leaves, and to which places.

use autonomy_messaging::{ACK_AT_ONCE, Outcome};

use super::desk::{Desk, NOW, part, places};

#[test]
fn a_receipt_waits_a_second_for_company() {
    let mut desk = Desk::new(1, 3);
    desk.courier.owe_receipt(NOW, false);
    assert_eq!((desk.ship(NOW, &[]), desk.courier.next_wake(NOW)), (vec![], Some(NOW + 1)));
    let alone = desk.ship(NOW + 1, &[]);
    assert_eq!((places(&alone), alone[0].1.keys.len()), (vec![0], 0));
    assert_eq!(desk.ship(NOW + 2, &[]), []);
    desk.end_all(&alone, Outcome::Accepted, NOW + 2);
    assert_eq!((desk.ship(NOW + 3, &[]), desk.courier.next_wake(NOW + 3)), (vec![], None));

    desk.courier.owe_receipt(NOW + 4, false);
    let company = desk.ship(NOW + 4, &[part(0, 10)]);
    desk.end_all(&company, Outcome::Accepted, NOW + 5);
    assert_eq!(desk.ship(NOW + 6, &[]), []);
}

#[test]
fn a_receipt_that_many_parts_wait_for_leaves_at_once() {
    let mut desk = Desk::new(1, 3);
    (1..ACK_AT_ONCE).for_each(|_| desk.courier.owe_receipt(NOW, false));
    assert_eq!(desk.ship(NOW, &[]), []);
    desk.courier.owe_receipt(NOW, false);
    assert_eq!(places(&desk.ship(NOW, &[])), [0]);

    desk.courier.owe_receipt(NOW, false);
    assert_eq!(desk.ship(NOW, &[]), [], "what came since is counted anew");
    assert_eq!(places(&desk.ship(NOW + 1, &[])), [0]);
}

#[test]
fn a_receipt_goes_to_relays_when_the_pod_is_away() {
    let mut desk = Desk::new(1, 3);
    desk.courier.owe_receipt(NOW, false);
    let shipped = desk.ship(NOW + 1, &[]);
    desk.end_all(&shipped, Outcome::Unreached, NOW + 2);
    let relays = desk.ship(NOW + 2, &[]);
    assert_eq!(places(&relays), [2, 3]);
    desk.end_all(&relays, Outcome::Accepted, NOW + 3);
    assert_eq!((desk.ship(NOW + 500, &[]), desk.courier.next_wake(NOW + 500)), (vec![], None));
}

#[test]
fn a_receipt_that_went_missing_goes_to_all_relays() {
    let mut desk = Desk::new(0, 3);
    desk.courier.owe_receipt(NOW, false);
    let shipped = desk.ship(NOW + 1, &[]);
    assert_eq!(shipped.len(), 2);
    desk.end_all(&shipped, Outcome::Accepted, NOW + 1);
    // The copy that came by the second relay is no sign of that.
    desk.courier.owe_receipt(NOW + 20, true);
    let shipped = desk.ship(NOW + 21, &[]);
    assert_eq!(shipped.len(), 2);
    desk.end_all(&shipped, Outcome::Accepted, NOW + 21);
    // A stream of repeats does not put it off.
    (0..2).for_each(|after| desk.courier.owe_receipt(NOW + 100 + after, true));
    assert_eq!(places(&desk.ship(NOW + 101, &[])), [0, 1, 2]);
}

#[test]
fn news_that_came_while_a_receipt_was_on_its_way_need_another() {
    let mut desk = Desk::new(1, 0);
    desk.courier.owe_receipt(NOW, false);
    let first = desk.ship(NOW + 1, &[]);
    desk.courier.owe_receipt(NOW + 1, false);
    desk.end_all(&first, Outcome::Accepted, NOW + 2);
    assert_eq!(places(&desk.ship(NOW + 2, &[])), [0]);
}
