//! A place keeps what it was given for whoever may have it: bounded, in order, and not for ever.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::collections::VecDeque;

use autonomy_messaging::frame::DepositId;
use autonomy_messaging::place::Capability;
use autonomy_messaging::queue::{
    Deposited, Expired, Pressure, QUEUE_RECORD_LEN, QueueLimits, QueueRecord, work_bits,
};
use autonomy_messaging::wire::{MAX_WORK_BITS, PlaceRefusal, Ticket, work};
use proptest::prelude::*;
use support::NOW;
use support::wire::{capability, queue};

const DAY: u64 = 86_400;

fn limits() -> QueueLimits {
    QueueLimits { frames_per_queue: 4, max_frames: 1_000, ..QueueLimits::default() }
}

fn id(number: u64) -> DepositId {
    DepositId::from_bytes(u128::from(number).to_be_bytes())
}

fn writer() -> Capability {
    capability(1)
}

fn reader() -> Capability {
    capability(2)
}

fn record() -> QueueRecord {
    QueueRecord::open(writer().hash(), reader().hash(), false, NOW)
}

fn deposit(record: &mut QueueRecord, now: u64, number: u64) -> Result<Deposited, PlaceRefusal> {
    record.deposit(now, &writer(), id(number), &limits(), 0)
}

fn number(deposited: Result<Deposited, PlaceRefusal>) -> u64 {
    let Ok(Deposited::New(number)) = deposited else { panic!("not stored: {deposited:?}") };
    number
}

#[test]
fn frames_are_numbered_in_order_and_go_when_acknowledged() {
    let mut queue = record();
    let numbers: Vec<u64> = (0..3).map(|n| number(deposit(&mut queue, NOW, n))).collect();
    assert_eq!(numbers, [numbers[0], numbers[0] + 1, numbers[0] + 2]);
    assert_eq!(queue.kept(), numbers[0]..numbers[0] + 3);
    assert_eq!(queue.ack(NOW, &reader(), numbers[1]).unwrap(), numbers[0]..numbers[2]);
    assert_eq!(queue.kept(), numbers[2]..numbers[2] + 1);
    // The same again, or something older, changes nothing.
    assert!(queue.ack(NOW, &reader(), numbers[1]).unwrap().is_empty());
}

#[test]
fn each_capability_opens_its_own_side_only() {
    let mut queue = record();
    assert!(queue.may_deposit(&writer()) && !queue.may_deposit(&reader()));
    assert!(queue.may_collect(&reader()) && !queue.may_collect(&writer()));
    let before = queue.clone();
    let refused = queue.deposit(NOW, &reader(), id(1), &limits(), 0);
    assert_eq!(refused, Err(PlaceRefusal::UnknownQueue));
    assert_eq!(queue.ack(NOW, &writer(), u64::MAX), Err(PlaceRefusal::UnknownQueue));
    assert_eq!(queue.reopen(&reader().hash(), &writer().hash(), false, NOW), Err(PlaceRefusal::UnknownQueue));
    assert_eq!(queue.reopen(&writer().hash(), &reader().hash(), false, NOW), Ok(()));
    assert_eq!(queue, before);
}

#[test]
fn reopening_a_queue_without_notice_removes_it_for_good() {
    let mut queue = QueueRecord::open(writer().hash(), reader().hash(), true, NOW);
    queue.reopen(&writer().hash(), &reader().hash(), true, NOW).unwrap();
    assert!(queue.has_notice(), "asked twice because an answer was lost");
    for with_notice in [false, true] {
        queue.reopen(&writer().hash(), &reader().hash(), with_notice, NOW).unwrap();
        assert!(!queue.has_notice());
    }
}

#[test]
fn a_repeated_deposit_is_stored_once_even_when_it_was_collected() {
    let mut queue = record();
    let first = number(deposit(&mut queue, NOW, 7));
    assert_eq!(deposit(&mut queue, NOW, 7), Ok(Deposited::Repeat));
    queue.ack(NOW, &reader(), first).unwrap();
    assert_eq!(deposit(&mut queue, NOW, 7), Ok(Deposited::Repeat));
    // It is remembered over the next seven, whatever becomes of them.
    for other in 10..17 {
        let number = number(deposit(&mut queue, NOW, other));
        queue.ack(NOW, &reader(), number).unwrap();
    }
    assert_eq!(deposit(&mut queue, NOW, 7), Ok(Deposited::Repeat));
}

#[test]
fn full_queue_and_full_place_are_refused() {
    let mut queue = record();
    let first = number(deposit(&mut queue, NOW, 0));
    (1..4).for_each(|n| assert!(deposit(&mut queue, NOW, n).is_ok()));
    let before = queue.clone();
    assert_eq!(deposit(&mut queue, NOW, 4), Err(PlaceRefusal::QueueFull));
    assert_eq!(deposit(&mut queue, NOW, 3), Ok(Deposited::Repeat));
    assert_eq!(queue, before);
    queue.ack(NOW, &reader(), first).unwrap();
    let at_place = |queue: &mut QueueRecord, frames| queue.deposit(NOW, &writer(), id(5), &limits(), frames);
    assert_eq!(at_place(&mut queue, 1_000), Err(PlaceRefusal::PlaceFull));
    assert!(at_place(&mut queue, 999).is_ok());
}

#[test]
fn ack_of_an_unknown_number_removes_nothing() {
    let mut queue = record();
    let first = number(deposit(&mut queue, NOW, 0));
    for wrong in [0, first - 1, first + 1, u64::MAX] {
        assert!(queue.ack(NOW, &reader(), wrong).unwrap().is_empty(), "{wrong}");
    }
    // A queue made again an hour later has none of the numbers of the first.
    let again = QueueRecord::open(writer().hash(), reader().hash(), false, NOW + 3_600);
    assert!(again.kept().start > first + 1_000_000);
}

#[test]
fn frames_lie_for_three_weeks_and_at_most_a_day_more() {
    let mut queue = record();
    let first = number(deposit(&mut queue, NOW, 0));
    let second = number(deposit(&mut queue, NOW + 5 * DAY, 1));
    assert_eq!(queue.expire(NOW + 21 * DAY - 1, &limits()), Expired::Nothing);
    assert_eq!(queue.expire(NOW + 22 * DAY, &limits()), Expired::Frames(first..second));
    assert_eq!(queue.expire(NOW + 22 * DAY, &limits()), Expired::Nothing);
    assert_eq!(queue.expire(NOW + 27 * DAY, &limits()), Expired::Frames(second..second + 1));
}

#[test]
fn abandoned_queue_expires_despite_deposits() {
    let mut queue = record();
    assert_eq!(queue.expire(NOW + 90 * DAY, &limits()), Expired::Nothing);
    deposit(&mut queue, NOW + 90 * DAY, 1).unwrap();
    assert_eq!(queue.expire(NOW + 90 * DAY + 1, &limits()), Expired::Queue);
    assert!(queue.touch(NOW + 90 * DAY));
    assert_eq!(queue.expire(NOW + 90 * DAY + 1, &limits()), Expired::Nothing);
    assert!(!queue.touch(NOW + 91 * DAY - 1), "presence is written down once a day");
}

#[test]
fn clock_that_jumps_keeps_the_counts() {
    let mut queue = record();
    for (n, now) in [NOW, NOW + 400 * DAY, NOW, 0].into_iter().enumerate() {
        deposit(&mut queue, now, n as u64).unwrap();
    }
    let kept = queue.kept();
    assert_eq!(kept.end - kept.start, 4);
    assert_eq!(QueueRecord::from_bytes(&queue.to_bytes()).unwrap(), queue);
    assert_eq!(
        queue.expire(u64::MAX, &QueueLimits { queue_age: u64::MAX, ..limits() }),
        Expired::Frames(kept)
    );
}

#[test]
fn a_record_is_small_and_a_torn_one_is_seen() {
    let mut queue = record();
    (0..4).for_each(|n| assert!(deposit(&mut queue, NOW, n).is_ok()));
    let good = queue.to_bytes();
    assert_eq!(QUEUE_RECORD_LEN, 277);
    assert_eq!(QueueRecord::from_bytes(&good).unwrap(), queue);
    for len in 0..good.len() {
        assert!(QueueRecord::from_bytes(&good[..len]).is_none());
    }
    // Numbers that do not fit the counts by day, a list of nine, bytes where none may be.
    for (at, byte) in
        [(0, 2), (65, 2), (97, 9), (98, 9), (130, 9), (130 + 4 * 16 + 1, 1), (QUEUE_RECORD_LEN - 1, 1)]
    {
        let mut bytes = good;
        bytes[at] = byte;
        let read = QueueRecord::from_bytes(&bytes);
        assert!(read.is_none_or(|read| read.to_bytes() == bytes && read != queue), "byte {at}");
    }
}

#[test]
fn a_place_above_half_load_wants_work_and_when_full_refuses() {
    let limits = QueueLimits { max_queues: 1_000, ..limits() };
    let pressure = Pressure::new([5; 32], vec![capability(9).hash()], true);
    let admit = |queues, ticket: &Ticket| pressure.admit(NOW, queues, &limits, &queue(1), ticket);
    assert_eq!(admit(0, &Ticket::Open), Ok(()));
    assert_eq!(admit(499, &Ticket::Open), Ok(()));
    let Err(PlaceRefusal::WorkNeeded { challenge, bits: 12 }) = admit(500, &Ticket::Open) else { panic!() };
    let nonce = work(&challenge, &queue(1), 12).unwrap();
    let done = Ticket::Work { challenge, nonce };
    assert_eq!(admit(500, &done), Ok(()));
    assert_eq!(pressure.admit(NOW, 500, &limits, &queue(2), &done), Err(PlaceRefusal::BadTicket));
    let token = Ticket::Token(capability(9));
    assert_eq!(admit(999, &token), Ok(()));
    assert_eq!(admit(999, &Ticket::Token(capability(8))), Err(PlaceRefusal::BadTicket));
    for ticket in [Ticket::Open, done, token] {
        assert_eq!(admit(1_000, &ticket), Err(PlaceRefusal::TooManyQueues));
    }
}

#[test]
fn work_is_taken_for_some_time_only() {
    let limits = QueueLimits { max_queues: 1_000, ..limits() };
    let pressure = Pressure::new([5; 32], vec![], true);
    let admit = |now, ticket: &Ticket| pressure.admit(now, 500, &limits, &queue(1), ticket);
    let Err(PlaceRefusal::WorkNeeded { challenge, bits }) = admit(NOW, &Ticket::Open) else { panic!() };
    let done = Ticket::Work { challenge, nonce: work(&challenge, &queue(1), bits).unwrap() };
    assert_eq!(admit(NOW + 600, &done), Ok(()));
    assert!(matches!(admit(NOW + 1_200, &done), Err(PlaceRefusal::WorkNeeded { .. })));
    let invented = Ticket::Work { challenge: [0; 32], nonce: 0 };
    assert!(matches!(admit(NOW, &invented), Err(PlaceRefusal::WorkNeeded { .. })));
}

#[test]
fn place_with_tokens_refuses_callers_without_one() {
    let pressure = Pressure::new([5; 32], vec![capability(9).hash()], false);
    let admit = |ticket: &Ticket| pressure.admit(NOW, 0, &limits(), &queue(1), ticket);
    assert_eq!(admit(&Ticket::Token(capability(9))), Ok(()));
    assert_eq!(admit(&Ticket::Open), Err(PlaceRefusal::BadTicket));
    assert_eq!(admit(&Ticket::Work { challenge: [0; 32], nonce: 0 }), Err(PlaceRefusal::BadTicket));
}

#[test]
fn required_work_grows_with_load_up_to_its_limit() {
    for max_queues in [0, 1, 2, 7, 1_000, u64::MAX] {
        let limits = QueueLimits { max_queues, ..limits() };
        let mut last = 0;
        for sixteenth in 0..=16 {
            let bits = work_bits((u128::from(max_queues) * sixteenth / 16) as u64, &limits);
            assert!(bits >= last && bits <= MAX_WORK_BITS);
            last = bits;
        }
    }
}

#[derive(Debug, Clone)]
enum Act {
    Deposit { id: u64, right: bool },
    Ack { behind: u64, right: bool },
    Expire,
    Wait(u64),
    Restart,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0u64..12, prop::bool::weighted(0.9)).prop_map(|(id, right)| Act::Deposit { id, right }),
        3 => (0u64..6, prop::bool::weighted(0.9)).prop_map(|(behind, right)| Act::Ack { behind, right }),
        1 => Just(Act::Expire),
        2 => (0..4 * DAY).prop_map(Act::Wait),
        1 => Just(Act::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Against a list of (number, time) that is as simple as can be.
    #[test]
    fn a_queue_does_what_a_list_would(acts in proptest::collection::vec(any_act(), 1..120)) {
        let limits = QueueLimits { queue_age: u64::MAX, ..limits() };
        let (mut queue, mut now) = (record(), NOW);
        let (mut list, mut recent) = (VecDeque::<(u64, u64)>::new(), VecDeque::<u64>::new());
        for act in acts {
            match act {
                Act::Deposit { id: named, right } => {
                    let capability = if right { writer() } else { reader() };
                    let found = queue.deposit(now, &capability, id(named), &limits, 0);
                    if !right {
                        prop_assert_eq!(found, Err(PlaceRefusal::UnknownQueue));
                    } else if recent.contains(&named) {
                        prop_assert_eq!(found, Ok(Deposited::Repeat));
                    } else if list.len() == 4 {
                        prop_assert_eq!(found, Err(PlaceRefusal::QueueFull));
                    } else {
                        let Ok(Deposited::New(number)) = found else { panic!("{found:?}") };
                        prop_assert!(list.back().is_none_or(|(last, _)| number == last + 1));
                        list.push_back((number, now));
                        recent.push_back(named);
                        if recent.len() > 8 { recent.pop_front(); }
                    }
                }
                Act::Ack { behind, right } => {
                    let up_to = queue.kept().end.saturating_sub(behind);
                    let capability = if right { reader() } else { writer() };
                    let gone = queue.ack(now, &capability, up_to);
                    if right {
                        let known = list.iter().any(|(number, _)| *number == up_to);
                        let expected = if known { list.iter().filter(|(n, _)| *n <= up_to).count() } else { 0 };
                        let gone = gone.unwrap();
                        prop_assert_eq!(gone.end - gone.start, expected as u64);
                        list.drain(..expected);
                    } else {
                        prop_assert_eq!(gone, Err(PlaceRefusal::UnknownQueue));
                    }
                }
                Act::Expire => {
                    let gone = match queue.expire(now, &limits) {
                        Expired::Frames(gone) => gone.end - gone.start,
                        _ => 0,
                    };
                    for _ in 0..gone {
                        let (_, came) = list.pop_front().unwrap();
                        prop_assert!(now - came >= 21 * DAY, "gone after {} s", now - came);
                    }
                    prop_assert!(list.iter().all(|(_, came)| now - came < 22 * DAY));
                }
                Act::Wait(seconds) => now += seconds,
                Act::Restart => queue = QueueRecord::from_bytes(&queue.to_bytes()).unwrap(),
            }
            let kept = queue.kept();
            prop_assert_eq!(kept.end - kept.start, list.len() as u64);
        }
    }
}
