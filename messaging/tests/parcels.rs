//! Messages in a pocket: whole or not at all, in any order, twice without harm.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use autonomy_messaging::carrier::{
    Assembler, Assembly, BadParcel, BadPart, MAX_BLOBS, MAX_PARCEL, MAX_PARTS, MalformedParcel, PART_LEN,
    Parcel, ParcelEntry, parts,
};
use autonomy_messaging::frame::DepositId;
use autonomy_messaging::{TextError, TextKind};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use support::wire::{blob, queue};
use support::{armour, unarmour};

fn entry(byte: u8) -> ParcelEntry {
    ParcelEntry { queue: queue(byte), deposit: DepositId::from_bytes([byte; 16]), blob: blob(byte) }
}

fn parcel(count: usize) -> Parcel {
    Parcel::new((1..=u8::MAX).cycle().take(count).map(entry).collect()).unwrap()
}

#[test]
fn a_parcel_travels() {
    for count in [1, 2, 7] {
        let came = Parcel::parse(&parcel(count).to_bytes()).unwrap();
        assert_eq!(came, parcel(count));
        assert_eq!(came.entries().len(), count);
    }
}

#[test]
fn a_parcel_has_a_size() {
    assert_eq!(Parcel::new(vec![]).unwrap_err(), BadParcel(0));
    assert_eq!(Parcel::new(vec![entry(1); MAX_BLOBS + 1]).unwrap_err(), BadParcel(MAX_BLOBS + 1));
    let full = parcel(MAX_BLOBS).to_bytes();
    assert_eq!(full.len(), MAX_PARCEL);
    assert!(Parcel::parse(&full).is_ok());
    let longer = [full.as_slice(), &[0]].concat();
    assert_eq!(Parcel::parse(&longer).unwrap_err(), MalformedParcel::TooLong(MAX_PARCEL + 1));
}

/// What somebody can do who means ill: the checksum is right.
fn resummed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = Sha256::digest([b"autonomy parcel v1\0", bytes.as_slice()].concat());
    bytes.extend_from_slice(&sum[..8]);
    bytes
}

#[test]
fn malformed_parcels_say_what_is_wrong() {
    let good = parcel(2).to_bytes();
    for len in (0..good.len()).filter(|len| *len < 100 || len % 509 == 0) {
        let expected = if len < 4 { MalformedParcel::NotAParcel } else { MalformedParcel::Damaged };
        assert_eq!(Parcel::parse(&good[..len]).unwrap_err(), expected, "{len}");
    }
    for at in [5, 6, 7, 40, 60, 20_000, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        assert_eq!(Parcel::parse(&bytes).unwrap_err(), MalformedParcel::Damaged, "byte {at}");
    }
    let mut newer = good.clone();
    newer[4] = 2;
    assert_eq!(Parcel::parse(&newer).unwrap_err(), MalformedParcel::Version(2));
    let body = &good[..good.len() - 8];
    for count in [0_u16, 1, 3, u16::MAX] {
        let mut bytes = body.to_vec();
        bytes[5..7].copy_from_slice(&count.to_be_bytes());
        assert_eq!(
            Parcel::parse(&resummed(bytes)).unwrap_err(),
            MalformedParcel::Damaged,
            "{count} promised"
        );
    }
    assert!(Parcel::parse(&resummed(body.to_vec())).is_ok());
    assert!(Parcel::parse(&resummed(b"apcl\x01\0\0".to_vec())).is_err());
}

#[test]
fn codes_are_scanned_in_any_order_and_more_than_once() {
    let bytes = parcel(2).to_bytes();
    let row = parts(&bytes).unwrap();
    assert_eq!(row.len(), bytes.len().div_ceil(PART_LEN));
    let mut assembler = Assembler::new();
    for (number, line) in row.iter().rev().enumerate().take(row.len() - 1) {
        let missing = Assembly::Missing { have: number + 1, of: row.len() };
        assert_eq!(assembler.add(&line.to_ascii_uppercase()).unwrap(), missing);
        assert_eq!(assembler.add(line).unwrap(), missing);
    }
    assert_eq!(assembler.add(&row[0]).unwrap(), Assembly::Whole(bytes.clone()));
    assert_eq!(assembler.add(&row[5]).unwrap(), Assembly::Whole(bytes));
}

#[test]
fn a_code_fits_a_qr_code_of_version_20() {
    let row = parts(&[0xff; 3 * PART_LEN]).unwrap();
    assert!(row.iter().all(|line| line.len() <= 970), "970 characters of upper case in medium quality");
}

#[test]
fn a_row_has_a_length() {
    assert!(parts(&[]).is_none());
    let most = PART_LEN * usize::from(MAX_PARTS);
    assert_eq!(parts(&vec![0; most]).unwrap().len(), usize::from(MAX_PARTS));
    assert!(parts(&vec![0; most + 1]).is_none());
}

#[test]
fn a_code_of_another_row_or_of_none_changes_nothing() {
    let (row, other) = (parts(&[1; 1_000]).unwrap(), parts(&[2; 1_000]).unwrap());
    let mut assembler = Assembler::new();
    assembler.add(&row[0]).unwrap();
    assert_eq!(assembler.add(&other[1]).unwrap_err(), BadPart::AnotherRow);
    let expected = TextKind::Parcel;
    assert_eq!(assembler.add("hello").unwrap_err(), BadPart::Text(TextError::Unknown { expected }));
    let good = unarmour(&row[1]);
    let with = |at: usize, new: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + new.len()].copy_from_slice(new);
        armour("autonomy-parcel", &bytes)
    };
    assert_eq!(assembler.add(&with(0, &[2])).unwrap_err(), BadPart::Version(2));
    // Number beyond the count, no parts, too many parts, and a part in the middle that is short.
    for (at, new) in
        [(9, [0, 3, 0, 3]), (9, [0, 0, 0, 0]), (9, [0, 1, 0x10, 1]), (9, [0xff, 0xff, 0xff, 0xff])]
    {
        assert_eq!(assembler.add(&with(at, &new)).unwrap_err(), BadPart::Field);
    }
    assert_eq!(assembler.add(&armour("autonomy-parcel", &good[..40])).unwrap_err(), BadPart::Field);
    assert_eq!(assembler.add(&armour("autonomy-parcel", &[])).unwrap_err(), BadPart::Field);
    assembler.add(&row[1]).unwrap();
    assert_eq!(assembler.add(&row[2]).unwrap(), Assembly::Whole(vec![1; 1_000]));
}

#[test]
fn parts_that_do_not_add_up_are_found_out() {
    let row = parts(&[1; 1_000]).unwrap();
    let mut forged = unarmour(&row[1]);
    forged[20] ^= 1;
    let mut assembler = Assembler::new();
    for line in [&row[0], &armour("autonomy-parcel", &forged)] {
        assembler.add(line).unwrap();
    }
    assert_eq!(assembler.add(&row[2]).unwrap_err(), BadPart::Damaged);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_cut_is_put_together(bytes in proptest::collection::vec(any::<u8>(), 1..5_000), order: u64) {
        use rand::seq::SliceRandom;
        let mut row = parts(&bytes).unwrap();
        row.shuffle(&mut support::rng(order));
        let mut assembler = Assembler::new();
        let last = row.iter().map(|line| assembler.add(line).unwrap()).last().unwrap();
        prop_assert_eq!(last, Assembly::Whole(bytes));
    }
}
