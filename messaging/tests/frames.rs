//! All that a place sees is one size and looks random; only the two ends can open it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use autonomy_messaging::frame::{
    BLOB_LEN, Blob, FRAME_LEN, Frame, HEADER_LEN, MAX_CONTENT, MalformedFrame, QueueKey, TooLong,
};
use proptest::prelude::*;
use support::rng;
use support::wire::{capability, frame, queue};

fn sealing_key() -> QueueKey {
    QueueKey::derive(&[7; 32], "to the inviter")
}

#[test]
fn a_frame_travels() {
    let bytes = frame().to_bytes();
    assert_eq!((bytes.len(), HEADER_LEN, BLOB_LEN), (16_384, 84, 16_300));
    assert_eq!(bytes[..4], *b"af\x01\0");
    assert_eq!(Frame::parse(bytes.as_slice()).unwrap(), frame());
}

#[test]
fn a_frame_has_one_size() {
    let mut bytes = frame().to_bytes().to_vec();
    for len in [0, 1, 3, 4, HEADER_LEN, FRAME_LEN - 1, FRAME_LEN + 1, 100_000] {
        bytes.resize(len, 0);
        assert_eq!(Frame::parse(&bytes).unwrap_err(), MalformedFrame::Length(len));
    }
}

#[test]
fn another_format_is_distinguished_from_no_frame() {
    let with = |at: usize, byte: u8| {
        let mut bytes = frame().to_bytes();
        bytes[at] = byte;
        Frame::parse(bytes.as_slice()).unwrap_err()
    };
    assert_eq!(with(0, b'x'), MalformedFrame::NotAFrame);
    assert_eq!(with(3, 1), MalformedFrame::NotAFrame);
    assert_eq!(with(2, 2), MalformedFrame::Version(2));
}

#[test]
fn secrets_of_a_frame_are_not_printed() {
    assert_eq!(format!("{:?} {:?}", sealing_key(), capability(2)), "QueueKey(..) Capability(..)");
    assert!(!format!("{:?}", frame()).contains("2, 2"));
}

/// The derived key and the layout of the blob are what both ends rely on: another value would be another version.
#[test]
fn the_key_of_a_label_never_changes() {
    let hex = |key: &QueueKey| data_encoding::HEXLOWER.encode(key.as_bytes());
    assert_eq!(hex(&sealing_key()), "10bc8ae6b693058f8036eba5827da4ee26ac917bd066dd37dd811320edd8907c");
    assert_ne!(hex(&sealing_key()), hex(&QueueKey::derive(&[7; 32], "to the invited")));
    assert_ne!(hex(&sealing_key()), hex(&QueueKey::derive(&[8; 32], "to the inviter")));
}

#[test]
fn content_up_to_the_limit_fits_and_no_more() {
    let (key, mut rng) = (sealing_key(), rng(1));
    for len in [0, 1, MAX_CONTENT - 1, MAX_CONTENT] {
        let blob = key.seal(&queue(1), &vec![0xff; len], &mut rng).unwrap();
        assert_eq!(key.open(&queue(1), &blob).unwrap().as_slice(), vec![0xff; len]);
    }
    for len in [MAX_CONTENT + 1, 65_535, 65_536, 1_000_000] {
        assert_eq!(key.seal(&queue(1), &vec![0; len], &mut rng).unwrap_err(), TooLong(len));
    }
}

#[test]
fn only_the_right_key_and_queue_open_a_blob() {
    let key = sealing_key();
    let blob = key.seal(&queue(1), b"hello", &mut rng(1)).unwrap();
    assert!(key.open(&queue(2), &blob).is_none());
    assert!(QueueKey::derive(&[7; 32], "to the invited").open(&queue(1), &blob).is_none());
    assert_eq!(QueueKey::from_bytes(*key.as_bytes()).open(&queue(1), &blob).unwrap().as_slice(), b"hello");
}

#[test]
fn every_byte_of_a_blob_counts() {
    let key = sealing_key();
    let blob = key.seal(&queue(1), b"hello", &mut rng(1)).unwrap();
    for at in (0..BLOB_LEN).step_by(97).chain([23, 24, 25, 26, BLOB_LEN - 17, BLOB_LEN - 16, BLOB_LEN - 1]) {
        let mut bytes = *blob.as_bytes();
        bytes[at] ^= 1;
        assert!(key.open(&queue(1), &Blob::from_slice(&bytes).unwrap()).is_none(), "byte {at} was changed");
    }
}

#[test]
fn the_same_content_never_looks_the_same() {
    let (key, mut rng) = (sealing_key(), rng(1));
    let mut seal = || key.seal(&queue(1), b"hello", &mut rng).unwrap();
    let (one, other) = (seal(), seal());
    assert_ne!(one.as_bytes()[..24], other.as_bytes()[..24]);
    assert_ne!(one.as_bytes()[24..], other.as_bytes()[24..]);
    let zeros = one.as_bytes().iter().filter(|byte| **byte == 0).count();
    assert!(zeros < 200, "{zeros} zeros of 16,300 do not look random: 64 are expected");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_sealed_is_opened(content in proptest::collection::vec(any::<u8>(), 0..=MAX_CONTENT), seed: u64) {
        let key = sealing_key();
        let blob = key.seal(&queue(9), &content, &mut rng(seed)).unwrap();
        prop_assert_eq!(key.open(&queue(9), &blob).unwrap().to_vec(), content);
    }

    #[test]
    fn bytes_are_a_frame_in_one_way_or_none(at in 0..FRAME_LEN, new in proptest::collection::vec(any::<u8>(), 1..40)) {
        let mut bytes = frame().to_bytes();
        let at = at.min(FRAME_LEN - new.len());
        bytes[at..at + new.len()].copy_from_slice(&new);
        if let Ok(frame) = Frame::parse(bytes.as_slice()) {
            prop_assert_eq!(frame.to_bytes(), bytes);
        }
    }
}
