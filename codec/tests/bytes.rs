//! Flat bytes, written and read.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use autonomy_codec::{Reader, put_bytes_u8, put_bytes_u16};
use proptest::prelude::*;

#[test]
fn numbers_are_big_endian() {
    let mut reader = Reader::new(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
    assert_eq!(reader.u8(), Some(1));
    assert_eq!(reader.u16(), Some(0x0203));
    assert_eq!(reader.u32(), Some(0x0405_0607));
    assert_eq!(reader.u64(), Some(0x0809_0a0b_0c0d_0e0f));
    assert_eq!(reader.array(), Some([16]));
    assert!(!reader.is_empty());
    assert_eq!(reader.rest(), &[17]);
    assert!(reader.is_empty());
}

#[test]
fn too_few_bytes_give_none() {
    let three = || Reader::new(&[3, 0, 0]);
    assert_eq!(three().take(4), None);
    assert_eq!(three().take(usize::MAX), None);
    assert_eq!(three().array::<4>(), None);
    assert_eq!((three().u32(), three().u64()), (None, None));
    assert_eq!((three().bytes_u8(), three().bytes_u16()), (None, None));
    let mut empty = Reader::new(&[]);
    assert_eq!((empty.u8(), empty.u16(), empty.bytes_u8(), empty.bytes_u16()), (None, None, None, None));
    assert_eq!((empty.take(0), empty.rest()), (Some(&[][..]), &[][..]));
}

#[test]
fn the_longest_byte_strings_are_read_again() {
    let (mut out, bytes) = (Vec::new(), [7; 65_535]);
    put_bytes_u8(&mut out, &bytes[..255]);
    put_bytes_u16(&mut out, &bytes);
    assert_eq!(out.len(), 1 + 255 + 2 + 65_535);
    let mut reader = Reader::new(&out);
    assert_eq!(reader.bytes_u8().unwrap(), &bytes[..255]);
    assert_eq!(reader.bytes_u16().unwrap(), bytes);
    assert!(reader.is_empty());
}

#[test]
#[should_panic(expected = "bounded by the type")]
fn a_byte_string_longer_than_its_length_field_panics() {
    put_bytes_u8(&mut Vec::new(), &[0; 256]);
}

proptest! {
    #[test]
    fn byte_strings_are_read_as_written(
        short in prop::collection::vec(any::<u8>(), 0..256),
        long in prop::collection::vec(any::<u8>(), 0..1_000),
    ) {
        let mut out = Vec::new();
        put_bytes_u16(&mut out, &long);
        put_bytes_u8(&mut out, &short);
        let mut reader = Reader::new(&out);
        prop_assert_eq!(reader.bytes_u16(), Some(long.as_slice()));
        prop_assert_eq!(reader.bytes_u8(), Some(short.as_slice()));
        prop_assert!(reader.is_empty());
    }
}
