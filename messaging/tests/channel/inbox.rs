//! What a contact may send us, and what becomes of it.

use std::collections::BTreeMap;

use autonomy_messaging::{
    Inbox, MAX_INCARNATIONS, MAX_PART, Origin, PartShape, PartVerdict, Released, WINDOW_LEN, Window,
};
use proptest::prelude::*;

const HERE: [u8; 16] = [1; 16];

const WHOLE: PartShape = PartShape { first: true, last: true, len: 10, origin: None };
const START: PartShape = PartShape { first: true, last: false, len: MAX_PART, origin: None };
const MIDDLE: PartShape = PartShape { first: false, last: false, len: MAX_PART, origin: None };
const END: PartShape = PartShape { first: false, last: true, len: 10, origin: None };
const VOID: PartShape = PartShape { first: true, last: true, len: 0, origin: None };

fn released(seqs: std::ops::Range<u64>) -> Released {
    let last = seqs.end - 1;
    Released { seqs, origin: Origin { incarnation: HERE, last } }
}

/// Feeds parts, keeps what is to be kept, and says which messages came out.
#[derive(Default)]
struct Kept(BTreeMap<u64, PartShape>);

impl Kept {
    fn feed(&mut self, inbox: &mut Inbox, seq: u64, part: PartShape) -> (PartVerdict, Vec<Released>, u32) {
        let accepted = inbox.accept(seq, part);
        for message in &accepted.released {
            assert!(message.seqs.clone().all(|part| part == seq || self.0.contains_key(&part)));
        }
        if accepted.keep {
            assert_eq!(self.0.insert(seq, part), None);
        }
        for gone in &accepted.forget {
            self.0.remove(gone).expect("only kept parts are forgotten");
        }
        (accepted.verdict, accepted.released, accepted.stray)
    }
}

#[test]
fn what_comes_in_order_is_never_kept() {
    let mut inbox = Inbox::new(HERE);
    for seq in 0..1_000 {
        let accepted = inbox.accept(seq, WHOLE);
        assert_eq!((accepted.verdict, accepted.keep), (PartVerdict::New, false));
        assert_eq!(accepted.released, [released(seq..seq + 1)]);
        assert_eq!(inbox.accept(seq, WHOLE).verdict, PartVerdict::Repeat);
    }
    assert_eq!(inbox.receipt(), &Window::below(1_000));
}

#[test]
fn a_message_waits_for_its_parts_and_its_turn() {
    let (mut inbox, mut kept) = (Inbox::new(HERE), Kept::default());
    assert_eq!(kept.feed(&mut inbox, 4, WHOLE), (PartVerdict::New, vec![], 0));
    assert_eq!(kept.feed(&mut inbox, 2, MIDDLE), (PartVerdict::New, vec![], 0));
    assert_eq!(kept.feed(&mut inbox, 0, WHOLE), (PartVerdict::New, vec![released(0..1)], 0));
    assert_eq!(kept.feed(&mut inbox, 1, START), (PartVerdict::New, vec![], 0));
    assert_eq!(kept.0.keys().copied().collect::<Vec<_>>(), [1, 2, 4]);
    let both = vec![released(1..4), released(4..5)];
    assert_eq!(kept.feed(&mut inbox, 3, END), (PartVerdict::New, both, 0));
    assert!(kept.0.is_empty());
}

#[test]
fn held_parts_never_exceed_the_window() {
    let (mut inbox, mut kept) = (Inbox::new(HERE), Kept::default());
    for seq in 0..5 {
        kept.feed(&mut inbox, seq, if seq == 0 { START } else { MIDDLE });
    }
    for seq in 6..10_000 {
        let (verdict, ..) = kept.feed(&mut inbox, seq, WHOLE);
        assert_eq!(verdict == PartVerdict::New, seq < 5 + WINDOW_LEN, "{seq}");
    }
    assert_eq!(kept.0.len() as u64, 5 + WINDOW_LEN - 1);
    assert!(inbox.record().len() < 2_000);
    assert_eq!(Inbox::restore(&inbox.record()), Ok(inbox));
}

#[test]
fn malformed_parts_do_not_stop_the_order() {
    let origin = Some(Origin { incarnation: HERE, last: 3 });
    let nonsense = [
        PartShape { len: MAX_PART + 1, ..WHOLE },
        PartShape { len: 0, ..END },
        PartShape { len: 10, ..START },
        PartShape { origin, ..WHOLE },
        PartShape { origin, ..VOID },
        PartShape { origin: Some(Origin { incarnation: [9; 16], last: 1 }), ..START },
        PartShape { origin: Some(Origin { incarnation: [9; 16], last: u64::MAX }), ..WHOLE },
    ];
    let (mut inbox, mut kept) = (Inbox::new(HERE), Kept::default());
    let mut seq = 0;
    for part in nonsense {
        kept.feed(&mut inbox, seq, START);
        assert_eq!(kept.feed(&mut inbox, seq + 1, part), (PartVerdict::Malformed, vec![], 1), "{part:?}");
        assert_eq!(
            kept.feed(&mut inbox, seq + 2, WHOLE),
            (PartVerdict::New, vec![released(seq + 2..seq + 3)], 0)
        );
        seq += 3;
    }
    assert!(kept.0.is_empty());
}

#[test]
fn an_endless_message_is_dropped_as_it_grows() {
    let (mut inbox, mut kept) = (Inbox::new(HERE), Kept::default());
    kept.feed(&mut inbox, 0, START);
    for seq in 1..2_000 {
        let (_, messages, _) = kept.feed(&mut inbox, seq, MIDDLE);
        assert!(messages.is_empty() && kept.0.len() <= 5);
    }
    // One byte too many counts too.
    for (len, fits) in [(8_036, true), (8_037, false)] {
        let from = inbox.receipt().next();
        kept.feed(&mut inbox, from, START);
        (1..5).for_each(|part| {
            kept.feed(&mut inbox, from + part, MIDDLE);
        });
        let (_, messages, _) = kept.feed(&mut inbox, from + 5, PartShape { len, ..END });
        assert_eq!(!messages.is_empty(), fits);
    }
}

#[test]
fn a_message_that_was_given_up_half_sent_leaves_nothing() {
    let (mut inbox, mut kept) = (Inbox::new(HERE), Kept::default());
    kept.feed(&mut inbox, 0, START);
    kept.feed(&mut inbox, 2, END);
    assert_eq!(kept.feed(&mut inbox, 1, VOID), (PartVerdict::New, vec![], 2));
    assert_eq!(kept.feed(&mut inbox, 3, WHOLE), (PartVerdict::New, vec![released(3..4)], 0));
    assert!(kept.0.is_empty());
}

#[test]
fn two_messages_are_never_glued_together() {
    let (mut inbox, mut kept) = (Inbox::new(HERE), Kept::default());
    kept.feed(&mut inbox, 0, START);
    assert_eq!(kept.feed(&mut inbox, 1, START), (PartVerdict::New, vec![], 1));
    assert_eq!(kept.feed(&mut inbox, 2, END), (PartVerdict::New, vec![released(1..3)], 0));
    assert_eq!(kept.feed(&mut inbox, 3, END), (PartVerdict::New, vec![], 1));
}

#[test]
fn a_message_of_an_earlier_group_is_known_again() {
    let mut inbox = Inbox::new(HERE);
    let _ = inbox.accept(0, WHOLE);
    let held = inbox.accept(2, WHOLE);
    assert!(held.keep);
    assert_eq!(inbox.restart([2; 16]), [2]);
    assert_eq!(inbox.restart([2; 16]), [0; 0]);
    let again = |last| PartShape { origin: Some(Origin { incarnation: HERE, last }), ..WHOLE };
    let known = inbox.accept(0, again(0));
    assert_eq!((known.released.len(), known.known), (0, 1));
    for last in [1, 2] {
        let released = inbox.accept(last, again(last)).released;
        assert_eq!(released[0].origin, Origin { incarnation: HERE, last });
    }
    // Known through the second group too, though it was never whole in the first.
    let _ = inbox.restart([3; 16]);
    assert_eq!(inbox.accept(0, again(1)).known, 1);
    assert_eq!(inbox.accept(1, again(2)).known, 1);
}

#[test]
fn recurring_message_stays_known_among_new_ones() {
    let mut inbox = Inbox::new(HERE);
    let _ = inbox.accept(0, WHOLE);
    let again = PartShape { origin: Some(Origin { incarnation: HERE, last: 0 }), ..WHOLE };
    for group in 2..100 {
        let _ = inbox.restart([group; 16]);
        assert_eq!(inbox.accept(0, again).known, 1);
        assert_eq!(inbox.accept(1, WHOLE).released.len(), 1);
    }
    assert!(inbox.record().len() <= 66 + 24 * MAX_INCARNATIONS);
}

fn part() -> impl Strategy<Value = PartShape> {
    let origin = proptest::option::weighted(
        0.2,
        (0..4_u8, 0..40_u64).prop_map(|(group, last)| Origin { incarnation: [group; 16], last }),
    );
    let odd = (any::<bool>(), any::<bool>(), 0..20_000_u32, origin.clone());
    prop_oneof![
        4 => origin.prop_map(|origin| PartShape { origin, ..WHOLE }),
        3 => Just(START),
        3 => Just(MIDDLE),
        3 => Just(END),
        1 => Just(VOID),
        1 => odd.prop_map(|(first, last, len, origin)| PartShape { first, last, len, origin }),
    ]
}

proptest! {
    #[test]
    fn restored_equals_running_whatever_comes(parts in proptest::collection::vec((0..60_u64, part(), 0..40_u8), 1..200)) {
        let (mut inbox, mut kept, mut group) = (Inbox::new(HERE), Kept::default(), 1);
        let mut shown = Vec::new();
        for (ahead, part, chance) in parts {
            if chance == 0 {
                group += 1;
                for gone in inbox.restart([group; 16]) {
                    kept.0.remove(&gone).unwrap();
                }
            }
            let seq = (inbox.receipt().next() + ahead / 4).saturating_sub(3);
            let (_, messages, _) = kept.feed(&mut inbox, seq, part);
            shown.extend(messages.into_iter().map(|message| message.origin));
            let restored = Inbox::restore(&inbox.record());
            prop_assert_eq!(restored.as_ref(), Ok(&inbox));
        }
        let (all, mut once) = (shown.len(), shown);
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), all);
    }

    /// A record that was changed is refused, or holds another inbox whose record it is.
    #[test]
    fn a_record_has_one_meaning(parts in proptest::collection::vec((0..20_u64, part()), 0..20), changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        let mut inbox = Inbox::new(HERE);
        parts.into_iter().for_each(|(seq, part)| { let _ = inbox.accept(seq, part); });
        let mut record = inbox.record();
        for (at, byte) in changes {
            let at = at.index(record.len());
            record[at] = byte;
        }
        if let Ok(inbox) = Inbox::restore(&record) {
            prop_assert_eq!(inbox.record(), record);
        }
    }

    #[test]
    fn records_of_any_bytes_never_panic(record in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Inbox::restore(&record);
    }
}
