//! An invite is one line that somebody hands over: it is read whole, or it says why not; it ends; and the place that holds
//! the key package cannot put another in its stead.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use autonomy_messaging::invite::{INVITE_LEN, Invite, InviteError, NoticeError};
use autonomy_messaging::ratchet::MAX_KEY_PACKAGE;
use autonomy_messaging::wire::{MAX_NOTICE, QueueNotice};
use autonomy_messaging::{TextError, TextKind};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use support::wire::{address, invite};
use support::{NOW, YEAR, armour, person, pod_request, rng, unarmour};

#[test]
fn an_invite_travels() {
    let text = invite().to_text();
    assert!(text.starts_with("autonomy-invite1"));
    let came = Invite::from_text(&text).unwrap();
    assert_eq!(came.to_bytes(), invite().to_bytes());
    assert_eq!(came.expires(), NOW + YEAR);
    assert_eq!(came.root(), person(1).root_key().public());
    assert_eq!(*came.address(), address(60));
    assert_eq!(came.key_package_hash()[..], Sha256::digest(b"a key package")[..]);
}

#[test]
fn an_invite_fits_a_qr_code_of_version_10() {
    let text = invite().to_text();
    assert_eq!((INVITE_LEN, text.len()), (231, 394));
    let upper = text.to_ascii_uppercase();
    assert!(upper.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'-'));
    let broken = upper.as_bytes().chunks(60).map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>();
    assert_eq!(Invite::from_text(&broken.join("\r\n")).unwrap().to_bytes(), invite().to_bytes());
}

#[test]
fn an_invite_ends() {
    let end = NOW + YEAR;
    assert_eq!(invite().check(end), Ok(()));
    assert_eq!(invite().check(end + 1), Err(InviteError::Expired { expired: end, now: end + 1 }));
    let of = |expires| Invite::new(expires, person(1).root_key().public(), [1; 32], [2; 32], address(60));
    assert_eq!(of(NOW + 1).expires(), (NOW / 60 + 1) * 60);
    assert!(of(u64::MAX).check(u64::from(u32::MAX)).is_ok());
}

#[test]
fn what_is_not_known_is_refused() {
    let with = |at: usize, new: &[u8]| {
        let mut bytes = invite().to_bytes();
        bytes[at..at + new.len()].copy_from_slice(new);
        Invite::from_text(&armour("autonomy-invite", &bytes)).unwrap_err()
    };
    assert_eq!(with(0, &[2]), InviteError::Version(2));
    assert_eq!(with(0, &[0]), InviteError::Version(0));
    for bit in 0..16 {
        let flags = 1_u16 << bit;
        assert_eq!(with(1, &flags.to_be_bytes()), InviteError::Flags(flags));
    }
    assert_eq!(with(7, &[0; 32]), InviteError::Field);
    assert_eq!(with(7 + 3 * 32 + 32, &[0; 32]), InviteError::Field);
}

#[test]
fn wrong_kind_of_text_is_named() {
    let expected = TextKind::Invite;
    let error = Invite::from_text(&pod_request().to_text()).unwrap_err();
    assert_eq!(error.to_string(), "this is a pod request, not a contact invite");
    assert_eq!(Invite::from_text("hello").unwrap_err(), InviteError::Text(TextError::Unknown { expected }));
    let text = invite().to_text();
    for len in (0..text.len()).filter(|len| *len > "autonomy-invite1".len()) {
        assert_eq!(
            Invite::from_text(&text[..len]).unwrap_err(),
            InviteError::Text(TextError::Checksum { expected })
        );
    }
    for len in [0, 1, 3, INVITE_LEN - 1] {
        assert_eq!(Invite::from_bytes(&invite().to_bytes()[..len]).unwrap_err(), InviteError::Field);
    }
    let long = [invite().to_bytes().as_slice(), &[0]].concat();
    assert_eq!(Invite::from_text(&armour("autonomy-invite", &long)).unwrap_err(), InviteError::Field);
}

#[test]
fn every_mistyped_character_is_seen() {
    let text = invite().to_text();
    for at in 0..text.len() {
        let other = if text.as_bytes()[at] == b'q' { "r" } else { "q" };
        let mut changed = text.clone();
        changed.replace_range(at..=at, other);
        assert!(Invite::from_text(&changed).is_err(), "character {at}");
    }
}

#[test]
fn the_key_package_waits_at_the_place_and_nobody_exchanges_it() {
    let invite = invite();
    let notice = invite.seal_notice(b"a key package", &mut rng(1)).unwrap();
    assert_eq!(notice.as_bytes().len(), MAX_NOTICE);
    assert_eq!(invite.open_notice(&notice).unwrap(), b"a key package");
    assert_eq!(invite.seal_notice(b"another", &mut rng(1)).unwrap_err(), NoticeError::WrongKeyPackage);
    // A place that gives something else, or less; and one that knows the key (who reads the invite) but not the hash.
    for bytes in [vec![], vec![0; MAX_NOTICE], notice.as_bytes()[1..].to_vec()] {
        let other = QueueNotice::new(bytes).unwrap();
        assert_eq!(invite.open_notice(&other).unwrap_err(), NoticeError::NotTheInvites);
    }
    let sealed = invite.notice_key().seal(&invite.address().queue, b"another", &mut rng(1)).unwrap();
    let other = QueueNotice::new(sealed.as_bytes().to_vec()).unwrap();
    assert_eq!(invite.open_notice(&other).unwrap_err(), NoticeError::WrongKeyPackage);
}

#[test]
fn a_key_package_longer_than_any_is_refused() {
    let long = vec![1; MAX_KEY_PACKAGE + 1];
    let hash = Sha256::digest(&long).into();
    let invite = Invite::new(NOW, person(1).root_key().public(), [1; 32], hash, address(60));
    assert_eq!(invite.seal_notice(&long, &mut rng(1)).unwrap_err(), NoticeError::WrongKeyPackage);
}

/// Values computed outside of this project (Python's hmac): both ends of an invite rely on them.
#[test]
fn invite_keys_are_fixed_and_independent() {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let invite = invite();
    assert_eq!(
        hex(invite.hello_key().as_bytes()),
        "0f8936032717d3ab6bd05a8a57ec2936e04457dcea23f72cebd6e14bfaf0d2e3"
    );
    assert_eq!(
        hex(invite.notice_key().as_bytes()),
        "93780d9cf813587b6f3f8e5e6d3dded5aa0d9ccc4d918dfebaf0b03126c1f1b2"
    );
    assert_eq!(
        hex(invite.mls_psk().as_bytes()),
        "483269bac253693997cd07fcfd41ca559c513adda0aa2728380cb7648bdef428"
    );
}

#[test]
fn the_secrets_of_an_invite_are_not_printed() {
    let shown = format!("{:?}", invite());
    assert!(!shown.contains("70, 70") && !shown.contains("4646"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_invite_reads_as_it_was_written(expires: u32, psk: [u8; 32], hash: [u8; 32], byte in 1u8..) {
        let sent = Invite::new(u64::from(expires), person(byte).root_key().public(), psk, hash, address(byte));
        let came = Invite::from_text(&sent.to_text()).unwrap();
        prop_assert_eq!(came.to_bytes(), sent.to_bytes());
        prop_assert_eq!(unarmour(&sent.to_text()), sent.to_bytes().to_vec());
    }

    #[test]
    fn any_bytes_are_one_invite_or_none(at in 0..INVITE_LEN, new in proptest::collection::vec(any::<u8>(), 1..40)) {
        let mut bytes = invite().to_bytes().to_vec();
        let at = at.min(INVITE_LEN - new.len());
        bytes[at..at + new.len()].copy_from_slice(&new);
        if let Ok(invite) = Invite::from_bytes(&bytes) {
            prop_assert_eq!(invite.to_bytes().to_vec(), bytes);
        }
    }
}
