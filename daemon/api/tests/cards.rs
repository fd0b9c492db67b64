//! Fields of cards: what may stand in one, by its bounds and by the first bytes of a picture.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use autonomy_api::{
    BadCardField, CardField, CardFields, CardNote, Email, MAX_CARD_NOTE, MAX_EMAIL, MAX_OTHER_WAY,
    MAX_PICTURE, OtherWay, Picture, ShareCard,
};
use autonomy_messaging::{
    AuthSeed, Name,
    vcard::{OtherProperties, VCard},
};
use data_encoding::BASE64;
use proptest::prelude::*;
use serde_json::json;

#[test]
fn a_note_is_one_visible_line() {
    assert!(CardNote::new(&"ä".repeat(MAX_CARD_NOTE / 2)).is_ok());
    for text in ["", " a", "a\nb", "a\u{202e}b", "\u{200b}", &"x".repeat(MAX_CARD_NOTE + 1)] {
        assert_eq!(CardNote::new(text).unwrap_err(), BadCardField::Line(MAX_CARD_NOTE), "{text:?}");
    }
}

#[test]
fn an_address_has_one_at_and_no_space() {
    let longest = format!("{}@b", "a".repeat(MAX_EMAIL - 2));
    for text in ["a@b", "first.last+tag@example.org", longest.as_str()] {
        assert!(Email::new(text).is_ok(), "{text}");
    }
    let longer = format!("a{longest}");
    for text in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\u{a0}c", "a@\u{202e}b", longer.as_str()] {
        assert_eq!(Email::new(text).unwrap_err(), BadCardField::Email, "{text}");
    }
}

#[test]
fn another_way_is_a_uri() {
    let longest = format!("tel:{}", "1".repeat(MAX_OTHER_WAY - 4));
    for text in ["xmpp:a@b", "TEL:+4912345", "https://example.org/a?b=c", longest.as_str()] {
        assert!(OtherWay::new(text).is_ok(), "{text}");
    }
    let longer = format!("{longest}b");
    let malformed = ["", "xmpp", ":a", "1a:b", "x y:z", "tel:", "tel:b c", "tel:\u{feff}", longer.as_str()];
    let runs = ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "vbscript:x", "a:b"];
    for text in malformed.into_iter().chain(runs) {
        assert_eq!(OtherWay::new(text).unwrap_err(), BadCardField::Uri, "{text}");
    }
}

#[test]
fn a_picture_is_known_by_its_first_bytes_and_small() {
    let webp = b"RIFF\x04\0\0\0WEBP";
    let begins: [(&[u8], &str); 3] =
        [(b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (webp, "image/webp")];
    for (begin, kind) in begins {
        let mut bytes = begin.to_vec();
        bytes.resize(MAX_PICTURE, 0);
        assert_eq!(Picture::new(bytes.clone()).unwrap().media_type(), kind);
        bytes.push(0);
        assert_eq!(Picture::new(bytes).unwrap_err(), BadCardField::Picture);
        assert_eq!(Picture::new(begin[..begin.len() - 1].to_vec()).unwrap_err(), BadCardField::Picture);
    }
    for other in [&b""[..], b"GIF89a", b"<svg/>", b"RIFF\x04\0\0\0WAVE", b"BM"] {
        assert_eq!(Picture::new(other.to_vec()).unwrap_err(), BadCardField::Picture);
    }
}

#[test]
fn a_request_is_validated_when_read_and_written_back_the_same() {
    let picture = BASE64.encode(b"\xff\xd8\xff\xe0");
    let all = json!({"note": "hello", "email": "a@b", "way": "xmpp:a@b", "picture": picture});
    let fields: CardFields = serde_json::from_value(all.clone()).unwrap();
    assert_eq!(serde_json::to_value(&fields).unwrap(), all);
    assert_eq!(serde_json::to_value(fields.only(&[CardField::Way])).unwrap(), json!({"way": "xmpp:a@b"}));
    for broken in [
        json!({"note": ""}),
        json!({"email": "a"}),
        json!({"way": "a"}),
        json!({"picture": "!"}),
        json!({"picture": "AAAA"}),
        json!({"nickname": "a"}),
    ] {
        assert!(serde_json::from_value::<CardFields>(broken.clone()).is_err(), "{broken}");
    }
    assert!(serde_json::from_value::<ShareCard>(json!({"fields": ["name"]})).is_err());
    assert!(serde_json::from_value::<ShareCard>(json!({})).is_err(), "none is said in words");
}

#[test]
fn no_debug_shows_what_a_card_says() {
    let fields: CardFields = serde_json::from_value(json!({"note": "secret", "email": "secret@b"})).unwrap();
    assert!(!format!("{fields:?}").contains("secret"), "{fields:?}");
}

fn vcard() -> VCard {
    let root = AuthSeed::from_bytes(&[1; 32]).root_key().public();
    VCard { name: Name::new("Alice").unwrap(), note: None, root, others: OtherProperties::default() }
}

#[test]
fn the_largest_card_goes_to_an_address_book_and_back() {
    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    picture.resize(MAX_PICTURE, 0xa5);
    let fields = CardFields {
        note: Some(CardNote::new(&",".repeat(MAX_CARD_NOTE)).unwrap()),
        email: Some(Email::new(&format!("{}@b", ";".repeat(MAX_EMAIL - 2))).unwrap()),
        way: Some(OtherWay::new(&format!("tel:{}", ";".repeat(MAX_OTHER_WAY - 4))).unwrap()),
        picture: Some(Picture::new(picture).unwrap()),
    };
    let mut card = vcard();
    fields.extend_vcard(&mut card);
    let read = VCard::from_text(&card.to_text()).unwrap();
    assert_eq!(read.note.as_ref().map(|note| note.as_str()), fields.note.as_ref().map(CardNote::as_str));
    assert_eq!(CardFields::of_vcard(&read), CardFields { note: None, ..fields });
}

#[test]
fn of_an_address_book_what_fits_no_card_is_left_out() {
    let others = OtherProperties {
        email: Some("nobody".into()),
        impp: Some("no scheme".into()),
        photo: Some("https://example.org/me.png".into()),
    };
    assert_eq!(CardFields::of_vcard(&VCard { others, ..vcard() }), CardFields::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_a_field_or_an_error(text in "\\PC{0,40}|[a-z]{0,5}[:@][a-z:@ ]{0,5}") {
        for read in [
            CardNote::new(&text).map(|note| note.as_str().to_owned()),
            Email::new(&text).map(|email| email.as_str().to_owned()),
            OtherWay::new(&text).map(|way| way.as_str().to_owned()),
        ] {
            prop_assert!(read.is_err() || read.as_ref() == Ok(&text));
        }
    }

    #[test]
    fn any_bytes_are_a_picture_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(picture) = Picture::new(bytes.clone()) {
            prop_assert_eq!(picture.as_bytes(), &bytes[..]);
        }
    }
}
