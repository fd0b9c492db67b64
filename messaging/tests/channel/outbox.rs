//! What waits for a contact, and when it counts as delivered.

use autonomy_messaging::{
    Forged, MAX_MESSAGE_LEN, MAX_PART, MAX_QUEUED_PARTS, Origin, Outbox, PartRef, QueueError, Settled,
    WINDOW_LEN, Window,
};
use proptest::prelude::*;

const HERE: [u8; 16] = [1; 16];
const LATER: [u8; 16] = [2; 16];

fn delivered(log: u64) -> Settled {
    Settled { log, void: false }
}

fn send_all(outbox: &mut Outbox) {
    let seqs: Vec<u64> = outbox.unacknowledged().collect();
    for seq in seqs {
        outbox.mark_sent(seq);
    }
}

fn window(seqs: impl IntoIterator<Item = u64>) -> Window {
    let mut window = Window::new();
    for seq in seqs {
        window.insert(seq);
    }
    window
}

fn restored(outbox: &Outbox) -> Outbox {
    let records: Vec<(u64, Vec<u8>)> = outbox.logs().map(|log| (log, outbox.record(log).unwrap())).collect();
    let backwards = records.iter().rev().map(|(log, record)| (*log, record.as_slice()));
    Outbox::restore(&outbox.head(), backwards).unwrap()
}

#[test]
fn a_long_message_is_cut_into_full_parts_and_a_rest() {
    let mut outbox = Outbox::new(HERE);
    assert_eq!(outbox.queue(7, MAX_MESSAGE_LEN), Ok(0..6));
    assert_eq!(outbox.queue(8, MAX_PART), Ok(6..7));
    let parts: Vec<PartRef> = (0..8).filter_map(|seq| outbox.part(seq)).collect();
    assert_eq!(parts.len(), 7);
    assert_eq!(parts.iter().map(|part| part.len).sum::<u32>(), MAX_MESSAGE_LEN + MAX_PART);
    let part = |offset, len, first, last| PartRef { log: 7, offset, len, first, last, origin: None };
    assert_eq!(parts[0], part(0, MAX_PART, true, false));
    assert_eq!(parts[5], part(5 * MAX_PART, MAX_MESSAGE_LEN - 5 * MAX_PART, false, true));
    assert_eq!(parts[6], PartRef { log: 8, ..part(0, MAX_PART, true, true) });
}

#[test]
fn nonsense_is_not_queued() {
    let mut outbox = Outbox::new(HERE);
    assert_eq!(outbox.queue(1, 0), Err(QueueError::Length(0)));
    assert_eq!(outbox.queue(1, MAX_MESSAGE_LEN + 1), Err(QueueError::Length(65_537)));
    outbox.queue(5, 1).unwrap();
    assert_eq!(outbox.queue(5, 1), Err(QueueError::Log { log: 5, latest: 5 }));
    assert_eq!(outbox.queued_parts(), 1);
}

#[test]
fn full_outbox_refuses_until_something_is_delivered() {
    let mut outbox = Outbox::new(HERE);
    for log in 0..MAX_QUEUED_PARTS {
        outbox.queue(log, 100).unwrap();
    }
    let full = outbox.clone();
    assert_eq!(outbox.queue(5_000, 1), Err(QueueError::Full { queued: 1_024 }));
    assert_eq!(outbox, full);
    assert_eq!(outbox.unacknowledged().count() as u64, WINDOW_LEN);

    send_all(&mut outbox);
    assert_eq!(outbox.acknowledge(&Window::below(3)).unwrap().len(), 3);
    assert!(outbox.queue(5_000, 4 * MAX_PART).is_err());
    assert_eq!(outbox.queue(5_000, 3 * MAX_PART), Ok(1_024..1_027));
}

#[test]
fn delivered_is_what_was_shown_and_no_more() {
    let mut outbox = Outbox::new(HERE);
    outbox.queue(10, 3 * MAX_PART).unwrap();
    outbox.queue(11, 1).unwrap();
    outbox.queue(12, 1).unwrap();
    send_all(&mut outbox);
    // Everything but the middle of the first: the contact holds it and has shown nothing.
    assert_eq!(outbox.acknowledge(&window([0, 2, 3, 4])), Ok(vec![]));
    assert_eq!(outbox.unacknowledged().collect::<Vec<_>>(), [1]);
    assert_eq!(outbox.acknowledge(&window([0, 1, 2, 3])), Ok([10, 11, 12].map(delivered).to_vec()));
    assert_eq!(outbox.acknowledge(&window([0, 1, 2, 3, 4])), Ok(vec![]));
    assert_eq!(outbox.queued_parts(), 0);
}

#[test]
fn forged_receipt_settles_no_message() {
    let mut outbox = Outbox::new(HERE);
    for log in 0..4 {
        outbox.queue(log, 10).unwrap();
    }
    outbox.mark_sent(0);
    outbox.mark_sent(1);
    let before = outbox.clone();
    assert_eq!(outbox.acknowledge(&Window::below(3)), Err(Forged { claimed: 2, sent: 2 }));
    assert_eq!(outbox.acknowledge(&window([0, 1, 3])), Err(Forged { claimed: 3, sent: 2 }));
    assert_eq!(outbox.acknowledge(&Window::below(u64::MAX)).unwrap_err().sent, 2);
    assert_eq!(outbox, before);
    assert_eq!(outbox.acknowledge(&Window::below(2)), Ok([0, 1].map(delivered).to_vec()));
}

#[test]
fn an_expired_message_leaves_its_place_in_the_order() {
    let mut outbox = Outbox::new(HERE);
    outbox.queue(1, 2 * MAX_PART).unwrap();
    outbox.queue(2, 5).unwrap();
    assert!(outbox.void(1));
    assert!(!outbox.void(1));
    assert!(!outbox.void(9));
    let void = PartRef { log: 1, offset: 0, len: 0, first: true, last: true, origin: None };
    assert_eq!((outbox.part(0), outbox.part(1)), (Some(void), Some(void)));
    assert_eq!(outbox.part(2).unwrap().log, 2);
    send_all(&mut outbox);
    let settled = outbox.acknowledge(&Window::below(3)).unwrap();
    assert_eq!(settled, [Settled { log: 1, void: true }, delivered(2)]);
}

#[test]
fn a_new_incarnation_numbers_anew_and_keeps_the_first_names() {
    let mut outbox = Outbox::new(HERE);
    for (log, len) in [(1, 5), (2, 2 * MAX_PART), (3, 5), (4, 5)] {
        outbox.queue(log, len).unwrap();
    }
    send_all(&mut outbox);
    outbox.acknowledge(&Window::below(1)).unwrap();
    outbox.void(3);
    let name = Origin { incarnation: HERE, last: 2 };
    assert_eq!(outbox.origin(2), Some(name));

    assert_eq!(outbox.restart(LATER), [3]);
    assert_eq!(outbox.restart(LATER), [0; 0]);
    assert_eq!(outbox.logs().collect::<Vec<_>>(), [2, 4]);
    assert_eq!(outbox.part(0).unwrap().origin, None);
    assert_eq!(outbox.part(1).unwrap().origin, Some(name));
    // A receipt of the old incarnation has no meaning here.
    assert!(outbox.acknowledge(&Window::below(1)).is_err());
    outbox.queue(5, 1).unwrap();
    outbox.restart([3; 16]);
    assert_eq!(outbox.part(1).unwrap().origin, Some(name));
    assert_eq!(outbox.origin(5), Some(Origin { incarnation: LATER, last: 3 }));
}

#[test]
fn damaged_records_are_refused() {
    let mut outbox = Outbox::new(HERE);
    for log in 0..3 {
        outbox.queue(log, 20_000).unwrap();
    }
    let records: Vec<Vec<u8>> = outbox.logs().map(|log| outbox.record(log).unwrap()).collect();
    let head = outbox.head();
    let restore = |head: &[u8], rows: &[(u64, &[u8])]| Outbox::restore(head, rows.iter().copied());
    let [a, b, c] = [&records[0][..], &records[1][..], &records[2][..]];
    assert_eq!(restore(&head, &[(0, a), (1, b), (2, c)]), Ok(outbox));
    assert!(restore(&head, &[(0, a), (2, c)]).is_err());
    assert!(restore(&head, &[(1, b), (2, c)]).is_err());
    assert!(restore(&head, &[(0, a), (1, b)]).is_err());
    assert!(restore(&head, &[(0, b), (1, a), (2, c)]).is_err());
    assert!(restore(&head[1..], &[(0, a), (1, b), (2, c)]).is_err());
    assert!(restore(&head, &[(0, a), (1, b), (2, &c[1..])]).is_err());
}

#[derive(Debug, Clone)]
enum Step {
    Queue(u32),
    Send(u64),
    Receive(u64),
    Void(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..40_000_u32).prop_map(Step::Queue),
        4 => (0..20_u64).prop_map(Step::Send),
        4 => (0..20_u64).prop_map(Step::Receive),
        1 => (0..20_u64).prop_map(Step::Void),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #[test]
    fn restored_equals_running_and_each_is_settled_once(steps in proptest::collection::vec(step(), 1..80)) {
        let (mut outbox, mut received) = (Outbox::new(HERE), Window::new());
        let (mut log, mut incarnation, mut left) = (0, 1, Vec::new());
        for step in steps {
            let some = |ahead: u64| outbox.unacknowledged().nth(usize::try_from(ahead).unwrap());
            match step {
                Step::Queue(len) => { log += 1; outbox.queue(log, len).unwrap(); }
                Step::Send(ahead) => { if let Some(seq) = some(ahead) { outbox.mark_sent(seq); } }
                Step::Receive(ahead) => {
                    if let Some(seq) = some(ahead) {
                        outbox.mark_sent(seq);
                        received.insert(seq);
                        left.extend(outbox.acknowledge(&received).unwrap().iter().map(|settled| settled.log));
                    }
                }
                Step::Void(ago) => { outbox.void(log.saturating_sub(ago)); }
                Step::Restart => {
                    incarnation += 1;
                    received = Window::new();
                    left.extend(outbox.restart([incarnation; 16]));
                }
            }
            prop_assert_eq!(&restored(&outbox), &outbox);
            let mut all: Vec<u64> = left.iter().copied().chain(outbox.logs()).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (1..=log).collect::<Vec<_>>());
        }
    }

    #[test]
    fn records_of_any_bytes_never_panic(head in proptest::collection::vec(any::<u8>(), 60..80), row in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = Outbox::restore(&head, [(1, row.as_slice())]);
    }
}
