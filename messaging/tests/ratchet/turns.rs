//! Who commits when, and what still opens afterwards.

use autonomy_messaging::ratchet::{MAX_COMMIT, MAX_PLAINTEXT, OVERHEAD, OpenError, SealError};
use rand::{Rng as _, SeedableRng as _};

use super::pair;

#[test]
fn each_change_of_direction_begins_an_epoch() {
    let (mut creator, mut joiner) = pair(1);
    for turn in 0..6 {
        let hello = joiner.seal(b"to you");
        assert!(hello.commit.is_some());
        assert_eq!(joiner.session.epoch(), 2 + 2 * turn);
        assert_eq!(creator.open(&hello).unwrap(), b"to you");
        let answer = creator.seal(b"and back");
        assert_eq!(creator.session.epoch(), 3 + 2 * turn);
        assert_eq!(joiner.open(&answer).unwrap(), b"and back");
        assert_eq!(joiner.session.export("x"), creator.session.export("x"));
    }
}

#[test]
fn the_creator_talks_first_without_a_commit() {
    let (mut creator, mut joiner) = pair(1);
    for text in [b"one", b"two"] {
        let sealed = creator.seal(text);
        assert_eq!(sealed.commit, None);
        assert_eq!(joiner.open(&sealed).unwrap(), text);
    }
    assert_eq!(creator.session.epoch(), 1);
}

#[test]
fn a_commit_rides_along_until_it_was_heard_of() {
    let (mut creator, mut joiner) = pair(1);
    let first = joiner.seal(b"1");
    let second = joiner.seal(b"2");
    assert_eq!(first.commit, second.commit, "the same commit, not another");
    // The first is lost: the second opens by itself, and then the first, late.
    assert_eq!(creator.open(&second).unwrap(), b"2");
    assert_eq!(creator.open(&first).unwrap(), b"1");
    let answer = creator.seal(b"3");
    joiner.open(&answer).unwrap();
    assert_ne!(joiner.seal(b"4").commit, first.commit, "it was heard of");
}

#[test]
fn without_leave_nobody_commits() {
    let (_, mut joiner) = pair(1);
    assert!(joiner.session.is_our_turn());
    let sealed = joiner.session.seal(&mut joiner.rng, b"1", false).unwrap();
    assert_eq!((sealed.commit, joiner.session.epoch()), (None, 1));
}

#[test]
fn a_message_without_its_commit_has_to_wait() {
    let (mut creator, mut joiner) = pair(1);
    let sealed = joiner.seal(b"1");
    let before = creator.session.epoch();
    assert_eq!(creator.session.open(None, &sealed.message).unwrap_err(), OpenError::Ahead);
    assert_eq!(creator.session.epoch(), before);
    creator.open(&sealed).unwrap();
}

#[test]
fn a_message_opens_once() {
    let (mut creator, mut joiner) = pair(1);
    let sealed = joiner.seal(b"1");
    creator.open(&sealed).unwrap();
    let epoch = creator.session.epoch();
    assert_eq!(creator.open(&sealed), Err(OpenError::Repeat));
    assert_eq!(creator.session.open(None, &sealed.message).unwrap_err(), OpenError::Repeat);
    assert_eq!(creator.session.epoch(), epoch);
    assert_eq!(joiner.open(&sealed), Err(OpenError::Foreign), "and never for its sender");
}

#[test]
fn late_messages_open_within_the_window() {
    let (mut creator, mut joiner) = pair(1);
    let sealed: Vec<_> = (0..=300_u16).map(|n| creator.seal(&n.to_be_bytes())).collect();
    assert_eq!(joiner.open(&sealed[300]).unwrap(), 300_u16.to_be_bytes());
    assert_eq!(joiner.open(&sealed[45]).unwrap(), 45_u16.to_be_bytes(), "256 messages back");
    assert_eq!(joiner.open(&sealed[44]), Err(OpenError::TooOld));
    assert_eq!(joiner.open(&sealed[45]), Err(OpenError::Repeat));
    assert_eq!(joiner.open(&sealed[299]).unwrap(), 299_u16.to_be_bytes());
}

#[test]
fn after_too_many_losses_in_a_row_a_message_waits() {
    let (mut creator, mut joiner) = pair(1);
    let sealed: Vec<_> = (0..=4_001_u16).map(|n| creator.seal(&n.to_be_bytes())).collect();
    assert_eq!(joiner.open(&sealed[4_001]), Err(OpenError::Ahead));
    assert_eq!(joiner.open(&sealed[4_000]).unwrap(), 4_000_u16.to_be_bytes());
    assert_eq!(joiner.open(&sealed[4_001]).unwrap(), 4_001_u16.to_be_bytes());
}

#[test]
fn late_messages_open_for_eight_epochs() {
    let (mut creator, mut joiner) = pair(1);
    let late: Vec<_> = (0..3).map(|_| creator.seal(b"late")).collect();
    assert_eq!(late[0].commit, None);
    for _ in 0..4 {
        let there = joiner.seal(b"there");
        creator.open(&there).unwrap();
        let back = creator.seal(b"back");
        joiner.open(&back).unwrap();
    }
    assert_eq!(joiner.session.epoch(), 9);
    assert_eq!(joiner.open(&late[0]).unwrap(), b"late");
    joiner.seal(b"one more");
    assert_eq!(joiner.open(&late[1]), Err(OpenError::TooOld));
}

#[test]
fn encodings_stay_within_their_bounds() {
    let (mut creator, mut joiner) = pair(1);
    let mut plaintext = vec![0; MAX_PLAINTEXT];
    rand::rngs::StdRng::seed_from_u64(1).fill(plaintext.as_mut_slice());
    for _ in 0..3 {
        let there = joiner.seal(&plaintext);
        let commit = there.commit.as_ref().unwrap().len();
        println!("commit {commit} B, overhead {} B", there.message.len() - plaintext.len());
        assert!(commit <= MAX_COMMIT && there.message.len() <= MAX_PLAINTEXT + OVERHEAD);
        assert_eq!(creator.open(&there).unwrap(), plaintext);
        let back = creator.seal(b"");
        joiner.open(&back).unwrap();
    }
    plaintext.push(0);
    let error = joiner.session.seal(&mut joiner.rng, &plaintext, true).unwrap_err();
    assert_eq!(error, SealError::Length(MAX_PLAINTEXT + 1));
}
