//! What a conversation leaves in the store.

use std::collections::BTreeMap;

use rand::{SeedableRng as _, rngs::StdRng};

use super::*;
use crate::payload::Text;

const ID: ContactId = ContactId([7; 16]);

/// Entry rows that are left after a step, by number.
fn entries(cx: &Context<'_>) -> Vec<u64> {
    let mut rows = BTreeMap::new();
    for row in &cx.step.rows {
        rows.insert(row.key.clone(), row.value.is_some());
    }
    let number = |(key, kept): (&Vec<u8>, &bool)| match Key::parse(key) {
        Some(Key::Entry(_, number)) if *kept => Some(number),
        _ => None,
    };
    rows.iter().filter_map(number).collect()
}

#[test]
fn entry_that_waited_past_its_turn_goes_when_it_is_settled() {
    let text = |text: &str| Payload::Text(Text::new(text).unwrap());
    let (rows, mut rng) = (BTreeMap::new(), StdRng::seed_from_u64(1));
    let mut cx = Context::new(1_000, &mut rng, &rows);
    cx.clock_is_right = true;
    let mut conversation = Conversation::default();
    conversation.restart(&mut cx, ID);
    assert_eq!(conversation.queue(&mut cx, ID, &text("not read for weeks")), Some(0));
    let answer = text("and yet they write").to_bytes().to_vec();
    for _ in 0..MAX_ENTRIES + 1 {
        conversation.receive(&mut cx, ID, answer.clone());
    }
    assert_eq!(entries(&cx).len() as u64, MAX_ENTRIES + 2, "nothing goes before it was read");
    assert!(conversation.is_full_of_unread());
    conversation.mark_read(&mut cx, ID, u64::MAX);
    // Number 1 had its turn to go, number 0 waits.
    assert_eq!(entries(&cx).iter().take(2).copied().collect::<Vec<_>>(), [0, 2]);
    cx.now += MESSAGE_TTL + 1;
    assert!(conversation.expire(&mut cx, ID).is_some());
    assert_eq!(entries(&cx).first(), Some(&2));
    conversation.remove_all(&mut cx, ID);
    assert_eq!(entries(&cx), [0; 0]);
}

#[test]
fn removal_takes_entries_that_still_wait_along() {
    let (rows, mut rng) = (BTreeMap::new(), StdRng::seed_from_u64(1));
    let mut cx = Context::new(1_000, &mut rng, &rows);
    let mut conversation = Conversation::default();
    conversation.restart(&mut cx, ID);
    let payload = Payload::Text(Text::new("waits").unwrap());
    conversation.queue(&mut cx, ID, &payload);
    for _ in 0..MAX_ENTRIES + 1 {
        conversation.receive(&mut cx, ID, payload.to_bytes().to_vec());
    }
    conversation.remove_all(&mut cx, ID);
    assert_eq!(entries(&cx), [0; 0]);
}

#[test]
fn message_is_not_given_up_while_the_clock_may_be_wrong() {
    let (rows, mut rng) = (BTreeMap::new(), StdRng::seed_from_u64(1));
    let mut cx = Context::new(0, &mut rng, &rows);
    let mut conversation = Conversation::default();
    conversation.restart(&mut cx, ID);
    conversation.queue(&mut cx, ID, &Payload::Text(Text::new("queued in 1970").unwrap()));
    // Five years ahead, and nothing outside says so.
    cx.now = 1_950_000_000;
    assert!(conversation.expire(&mut cx, ID).is_none());
    // Today: it was queued now.
    (cx.now, cx.clock_is_right) = (1_795_392_000, true);
    conversation.date_anew(&mut cx, ID);
    assert!(conversation.expire(&mut cx, ID).is_none());
    cx.now += MESSAGE_TTL + 1;
    assert!(conversation.expire(&mut cx, ID).is_some());
}

#[test]
fn unread_entries_stay_until_they_are_read_and_are_counted() {
    let (rows, mut rng) = (BTreeMap::new(), StdRng::seed_from_u64(1));
    let mut cx = Context::new(1_000, &mut rng, &rows);
    let mut conversation = Conversation::default();
    conversation.restart(&mut cx, ID);
    let words = Payload::Text(Text::new("x").unwrap()).to_bytes();
    let mut seq = 0;
    let mut take = |conversation: &mut Conversation, cx: &mut Context<'_>| {
        let part = Part { seq, first: true, last: true, origin: None, bytes: words.to_vec() };
        let PartTaken { owes_receipt, payloads } = conversation.accept(cx, ID, part);
        payloads.into_iter().for_each(|payload| conversation.receive(cx, ID, payload));
        seq += u64::from(owes_receipt.is_some());
        owes_receipt.is_some()
    };
    for _ in 0..MAX_ENTRIES {
        assert!(take(&mut conversation, &mut cx));
    }
    assert!(!take(&mut conversation, &mut cx), "one more would push out the first");
    assert_eq!((conversation.unread() as u64, conversation.first_kept()), (MAX_ENTRIES, 0));
    // Half are read: so many more are taken, in place of those.
    assert!(conversation.mark_read(&mut cx, ID, MAX_ENTRIES / 2 - 1));
    assert_eq!(conversation.unread() as u64, MAX_ENTRIES / 2);
    for _ in 0..MAX_ENTRIES / 2 {
        assert!(take(&mut conversation, &mut cx));
    }
    assert!(!take(&mut conversation, &mut cx));
    assert_eq!(conversation.first_kept(), MAX_ENTRIES / 2);
    assert_eq!(entries(&cx).len() as u64, MAX_ENTRIES);
    assert!(conversation.mark_read(&mut cx, ID, u64::MAX));
    assert_eq!(conversation.unread(), 0);
    // Who reads is never kept from hearing more, however long the conversation is.
    assert!(take(&mut conversation, &mut cx) && take(&mut conversation, &mut cx));
    assert_eq!((conversation.unread(), entries(&cx).len() as u64), (2, MAX_ENTRIES));
}

/// A pod started from a copy of its disk, was rolled back to it and started again: the contact heard of the first start only.
#[test]
fn receipt_for_an_unknown_run_proves_a_rollback() {
    let (rows, mut rng) = (BTreeMap::new(), StdRng::seed_from_u64(1));
    let mut cx = Context::new(1_000, &mut rng, &rows);
    let mut conversation = Conversation::default();
    conversation.restart(&mut cx, ID);
    let before = conversation.numbering();
    cx.now = 3_000;
    conversation.number_anew(&mut cx, ID);
    let acks = |numbering| Acks {
        numbering,
        messages: Window::new(),
        transfers: vec![],
        deposited: vec![],
        card: 0,
    };
    assert!(conversation.acknowledged(&mut cx, ID, &acks(before)).is_ok());
    assert!(conversation.acknowledged(&mut cx, ID, &acks(Numbering { since: 7, id: [9; 16] })).is_ok());
    let lost = Numbering { since: 2_000, id: [9; 16] };
    assert!(conversation.acknowledged(&mut cx, ID, &acks(lost)).is_err());
}
