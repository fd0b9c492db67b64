//! The session in a store: what is written, what is read back, what is refused.

use autonomy_messaging::ratchet::{LoadError, OpenError, Session};

use super::{Side, key_package, pair};

/// Some turns of a talk, so that there are past epochs.
fn talk(creator: &mut Side, joiner: &mut Side, turns: usize) {
    for _ in 0..turns {
        let there = joiner.seal(b"there");
        creator.open(&there).expect("it opens");
        let back = creator.seal(b"back");
        joiner.open(&back).expect("it opens");
    }
}

#[test]
fn restart_after_every_step_changes_nothing() {
    let (mut creator, mut joiner) = pair(1);
    creator.restart();
    joiner.restart();
    for _ in 0..5 {
        let there = joiner.seal(b"there");
        joiner.restart();
        let again = joiner.seal(b"again");
        assert_eq!(there.commit, again.commit, "the commit waits in the store too");
        joiner.restart();
        creator.open(&again).unwrap();
        creator.restart();
        creator.open(&there).unwrap();
        creator.restart();
        assert_eq!(creator.open(&again), Err(OpenError::Repeat));
        let back = creator.seal(b"back");
        creator.restart();
        joiner.open(&back).unwrap();
        joiner.restart();
        assert_eq!(creator.session.export("x"), joiner.session.export("x"));
    }
}

#[test]
fn a_message_writes_little() {
    let (mut creator, mut joiner) = pair(1);
    talk(&mut creator, &mut joiner, 6);
    joiner.store();
    creator.store();
    let (mut in_turn, mut new_turn) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        let there = joiner.seal(&[1; 1_000]);
        new_turn.push(joiner.store());
        creator.open(&there).unwrap();
        new_turn.push(creator.store());
        for _ in 0..3 {
            let more = joiner.seal(&[1; 1_000]);
            in_turn.push(joiner.store());
            creator.open(&more).unwrap();
            in_turn.push(creator.store());
        }
        talk(&mut creator, &mut joiner, 1);
        creator.store();
        joiner.store();
    }
    let mean = |all: &[usize]| all.iter().sum::<usize>() / all.len();
    let size = creator.rows.values().map(Vec::len).sum::<usize>();
    println!("a message writes {} B, one that begins an epoch {} B", mean(&in_turn), mean(&new_turn));
    println!("a session of 9 epochs has {size} B in {} rows", creator.rows.len());
    assert!(mean(&in_turn) < 2_500 && *in_turn.iter().max().unwrap() < 6_000, "{in_turn:?}");
    assert!(mean(&new_turn) < 16_000, "{new_turn:?}");
    assert!(size < 45_000, "{size}");
}

#[test]
fn losses_make_the_state_larger_but_not_without_end() {
    let (mut creator, mut joiner) = pair(1);
    // Of every two messages one is lost: its keys are kept.
    for _ in 0..10 {
        for side in 0..2 {
            let (from, to) =
                if side == 0 { (&mut joiner, &mut creator) } else { (&mut creator, &mut joiner) };
            for number in 0..80 {
                let sealed = from.seal(b"");
                if number % 2 == 0 {
                    to.open(&sealed).unwrap();
                }
            }
        }
    }
    creator.restart();
    let size = creator.rows.values().map(Vec::len).sum::<usize>();
    println!("with every second message lost: {size} B in {} rows", creator.rows.len());
    assert!(size < 60_000, "{size}");
}

#[test]
fn nothing_is_written_when_nothing_happened() {
    let (mut creator, mut joiner) = pair(1);
    assert!(creator.session.take_changes().is_empty(), "it was taken before");
    assert_eq!(creator.session.open(None, b"nonsense").unwrap_err(), OpenError::Malformed);
    assert!(creator.session.take_changes().is_empty(), "what is refused changes nothing");
    joiner.seal(b"1");
    assert!(!joiner.session.take_changes().is_empty());
}

#[test]
fn rows_that_are_not_a_session_are_refused() {
    let (mut creator, mut joiner) = pair(1);
    talk(&mut creator, &mut joiner, 2);
    creator.restart();
    let load = |rows: &std::collections::BTreeMap<Vec<u8>, Vec<u8>>| {
        Session::load(&mut |key| rows.get(key).cloned(), &creator.own)
    };
    load(&creator.rows).unwrap();
    for key in creator.rows.keys() {
        let mut rows = creator.rows.clone();
        rows.remove(key);
        assert_eq!(load(&rows).unwrap_err(), LoadError::Missing);
        for bit in [0, 7] {
            let mut rows = creator.rows.clone();
            rows.get_mut(key).unwrap()[0] ^= 1 << bit;
            assert!(load(&rows).is_err());
            let mut rows = creator.rows.clone();
            *rows.get_mut(key).unwrap().last_mut().unwrap() ^= 1 << bit;
            assert!(load(&rows).is_err());
        }
        let mut rows = creator.rows.clone();
        rows.insert(key.clone(), vec![0; 100_000]);
        assert!(load(&rows).is_err());
    }
    let error = Session::load(&mut |key| creator.rows.get(key).cloned(), &key_package(9)).unwrap_err();
    assert_eq!(error, LoadError::OtherKeyPackage);
}

#[test]
fn session_of_another_version_is_newer_or_malformed() {
    let (creator, _) = pair(1);
    let version = creator.rows[&[0][..]][0];
    let load = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut rows = creator.rows.clone();
        change(rows.get_mut(&[0][..]).expect("the index"));
        Session::load(&mut |key| rows.get(key).cloned(), &creator.own)
    };
    assert!(load(&|_| {}).unwrap() == creator.session, "as it was written");
    assert_eq!(load(&|index| index[0] += 1).unwrap_err(), LoadError::Newer(version + 1));
    assert_eq!(load(&|index| index[0] = u8::MAX).unwrap_err(), LoadError::Newer(u8::MAX));
    assert_eq!(load(&|index| *index = vec![7]).unwrap_err(), LoadError::Newer(7), "whatever follows");
    let is_malformed = |error| matches!(error, LoadError::Malformed(_));
    assert!(is_malformed(load(&|index| index[0] = 0).unwrap_err()), "there was no version 0");
    assert!(is_malformed(load(&|index| index.truncate(16)).unwrap_err()), "without the whole seal");
    assert!(is_malformed(load(&Vec::clear).unwrap_err()), "not even a version");
}

#[test]
fn stale_session_state_is_detected() {
    let (mut creator, mut joiner) = pair(1);
    talk(&mut creator, &mut joiner, 1);
    joiner.store();
    let mut old = joiner.stored();
    // The joiner goes on; the copy does not.
    let lost = joiner.seal(b"said by the real one");
    creator.open(&lost).unwrap();
    let reply = creator.seal(b"in an epoch the copy never saw");
    assert_eq!(old.open(reply.commit.as_deref(), &reply.message).unwrap_err(), OpenError::Ahead);
    // What the copy says, forks: a commit of its own for an epoch that is over.
    let forked = old.seal(&mut joiner.rng, b"said by the copy", true).unwrap();
    let error = creator.session.open(forked.commit.as_deref(), &forked.message).unwrap_err();
    assert_eq!(error, OpenError::Foreign);
    // The real one is not disturbed.
    joiner.open(&reply).unwrap();
    talk(&mut creator, &mut joiner, 2);
}

#[test]
fn sending_from_an_old_copy_is_seen_as_a_repeat() {
    let (mut creator, mut joiner) = pair(1);
    creator.store();
    let mut old = creator.stored();
    joiner.open(&creator.seal(b"one")).unwrap();
    let again = old.seal(&mut creator.rng, b"from a backup", true).unwrap();
    assert_eq!(joiner.open(&again), Err(OpenError::Repeat), "the keys of this message were used");
}

/// Live sessions may be kept wherever the node is.
#[test]
fn sessions_are_send_and_sync() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Session>();
}
