//! A window against the plain set of numbers that it stands for.

use std::collections::BTreeSet;

use autonomy_messaging::{Arrival, WINDOW_BYTES, WINDOW_LEN, Window};
use proptest::prelude::*;

/// What arrived, told the slow way.
#[derive(Default)]
struct Arrived(BTreeSet<u64>);

impl Arrived {
    fn next(&self) -> u64 {
        (0..).find(|seq| !self.0.contains(seq)).unwrap()
    }

    fn insert(&mut self, seq: u64) -> Arrival {
        if self.0.contains(&seq) {
            Arrival::Repeat
        } else if seq >= self.next() + WINDOW_LEN {
            Arrival::TooFar
        } else {
            self.0.insert(seq);
            Arrival::New
        }
    }
}

fn window(seqs: &[u64]) -> Window {
    let mut window = Window::new();
    for seq in seqs {
        window.insert(*seq);
    }
    window
}

#[test]
fn the_edge_is_256_numbers_ahead() {
    let mut window = window(&[0, 1, 2]);
    assert_eq!(window.insert(3 + 256), Arrival::TooFar);
    assert_eq!(window.insert(3 + 255), Arrival::New);
    assert_eq!((window.next(), window.end()), (3, 259));
    for seq in 3..258 {
        assert_eq!(window.insert(seq), Arrival::New);
    }
    assert_eq!((window.next(), window.end()), (259, 259));
    assert_eq!(window, Window::below(259));
}

#[test]
fn numbers_beyond_any_sequence_never_arrive() {
    let mut last = Window::below(u64::MAX);
    for seq in [last.next(), last.next() + 1, u64::MAX] {
        assert_eq!(last.insert(seq), Arrival::TooFar);
    }
    assert_eq!(Window::from_bytes(&last.to_bytes()), Some(last));
    assert_eq!(Window::from_bytes(&[0xff; WINDOW_BYTES]), None);
    let mut high = last.to_bytes();
    high[WINDOW_BYTES - 32 - 1] += 1;
    assert_eq!(Window::from_bytes(&high), None);
}

#[test]
fn the_first_missing_number_cannot_have_arrived() {
    let mut bytes = window(&[0, 1, 5]).to_bytes();
    assert!(Window::from_bytes(&bytes).is_some());
    bytes[15] |= 1;
    assert_eq!(Window::from_bytes(&bytes), None);
}

/// Numbers near each other, with now and then one far ahead.
fn arrivals() -> impl Strategy<Value = Vec<u64>> {
    let seq = prop_oneof![8 => 0..80_u64, 2 => 0..600_u64, 1 => any::<u64>()];
    proptest::collection::vec(seq, 0..400)
}

proptest! {
    #[test]
    fn window_is_the_set_of_what_arrived(seqs in arrivals()) {
        let (mut window, mut arrived) = (Window::new(), Arrived::default());
        for seq in seqs {
            prop_assert_eq!(window.expect(seq), window.clone().insert(seq));
            prop_assert_eq!(window.insert(seq), arrived.insert(seq));
            prop_assert_eq!(window.next(), arrived.next());
            prop_assert_eq!(window.end(), arrived.0.last().map_or(0, |last| last + 1));
        }
        for seq in 0..700 {
            prop_assert_eq!(window.contains(seq), arrived.0.contains(&seq));
        }
    }

    #[test]
    fn window_has_one_encoding(seqs in arrivals()) {
        let window = window(&seqs);
        prop_assert_eq!(Window::from_bytes(&window.to_bytes()), Some(window));
    }

    #[test]
    fn what_decodes_encodes_to_the_same_bytes(next in 0..1_u64 << 40, mut map in any::<[u8; 32]>()) {
        map[7] &= !1;
        let bytes: [u8; WINDOW_BYTES] = [&next.to_be_bytes()[..], &map].concat().try_into().unwrap();
        let window = Window::from_bytes(&bytes).unwrap();
        prop_assert_eq!(window.to_bytes(), bytes);
        prop_assert!(!window.contains(window.next()));
    }

    #[test]
    fn windows_of_one_sequence_add_up_in_any_order(seqs in arrivals(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 1..8)) {
        let taken: Vec<Window> = cuts.iter().map(|cut| window(&seqs[..cut.index(seqs.len() + 1)])).collect();
        let mut sum = Window::new();
        for seen in &taken {
            let before = sum;
            prop_assert_eq!(sum.merge(seen), sum != before);
        }
        let longest = cuts.iter().map(|cut| cut.index(seqs.len() + 1)).max().unwrap();
        prop_assert_eq!(sum, window(&seqs[..longest]));
    }
}
