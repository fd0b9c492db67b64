//! Contacts go to address books and come back: name, note and root, and nothing that hides in the text.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use autonomy_messaging::vcard::{
    BadNote, MAX_NOTE_LEN, MAX_PROPERTY_LEN, MAX_VCARD, Note, OtherProperties, VCard, VCardError,
};
use autonomy_messaging::{BadDid, BadName, Name};
use proptest::prelude::*;
use support::{name, person};

fn alice() -> VCard {
    let note = Note::new("met at the fair; likes \\ and ,\nsecond line").unwrap();
    VCard {
        name: name("Alice, née; Ä"),
        note: Some(note),
        root: person(1).root_key().public(),
        others: OtherProperties::default(),
    }
}

fn with(lines: &str) -> String {
    format!("BEGIN:VCARD\r\nVERSION:4.0\r\n{lines}END:VCARD\r\n")
}

fn root_line() -> String {
    format!("X-AUTONOMY-ROOT:{}\r\n", person(1).root_key().public())
}

#[test]
fn contact_exports_and_imports_as_vcard() {
    let text = alice().to_text();
    assert_eq!(VCard::from_text(&text).unwrap(), alice());
    let plain = VCard { note: None, ..alice() };
    assert_eq!(VCard::from_text(&plain.to_text()).unwrap(), plain);
}

#[test]
fn lines_are_those_of_the_standard() {
    let long = Note::new(&"ä€😀 ".repeat(100)).unwrap();
    let text = VCard { note: Some(long), ..alice() }.to_text();
    assert!(text.starts_with("BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Alice\\, née\\; Ä\r\n"));
    assert!(text.ends_with("END:VCARD\r\n"));
    assert!(text.split("\r\n").all(|line| line.len() <= 75 && !line.contains(['\r', '\n'])));
}

#[test]
fn what_address_books_write_is_understood() {
    let book = "PRODID:-//Some//Book 1.2//EN\r\nN:Doe;Alice;;;\r\nitem1.fn;LANGUAGE=en;X=\"a:b;c\":Alice\r\n  Doe\r\n\
                PHOTO:data:image/png;base64,AAAA\r\nnote:\r\n";
    let root = root_line().replace("X-AUTONOMY", "x-autonomy");
    // The name of the property may be in lower case, the root may not.
    let bent = with(&format!("{book}{}", root.to_ascii_lowercase()));
    assert_eq!(VCard::from_text(&bent).unwrap_err(), VCardError::Root(BadDid));
    let text = with(&format!("{book}{root}"));
    let card = VCard::from_text(&text).unwrap();
    assert_eq!((card.name.as_str(), card.note), ("Alice Doe", None));
    let unix = format!("\u{feff}{}", alice().to_text().replace("\r\n", "\n"));
    assert_eq!(VCard::from_text(&unix).unwrap(), alice());
}

#[test]
fn an_address_a_way_and_a_picture_come_back_as_they_were() {
    let photo = format!("data:image/png;base64,{}", "A".repeat(10_924));
    let others = OtherProperties {
        email: Some("alice,b;@example.org".into()),
        impp: Some("xmpp:alice@example.org?x=1;y,z".into()),
        photo: Some(photo.clone()),
    };
    let card = VCard { others, ..alice() };
    let text = card.to_text();
    assert_eq!(VCard::from_text(&text).unwrap(), card);
    assert!(text.contains("\r\nIMPP:xmpp:alice@example.org?x=1;y,z\r\n"), "URIs are not escaped");
    assert!(text.contains("\r\nEMAIL:alice\\,b\\;@example.org\r\n"));
}

#[test]
fn first_address_counts_and_a_long_picture_is_skipped() {
    let long = "A".repeat(MAX_PROPERTY_LEN + 1);
    let lines = format!(
        "FN:Alice\r\nEMAIL:\r\nEMAIL;PREF=1:a@b.org\r\nPHOTO:{long}\r\nIMPP:a\u{1}b\r\n{}",
        root_line()
    );
    let card = VCard::from_text(&with(&lines)).unwrap();
    assert_eq!(card.others, OtherProperties::default(), "the first is empty");
    let lines = lines.replace("EMAIL:\r\n", "");
    let card = VCard::from_text(&with(&lines)).unwrap();
    assert_eq!(card.others, OtherProperties { email: Some("a@b.org".into()), ..OtherProperties::default() });
}

#[test]
fn what_is_missing_or_repeated_is_named() {
    let root = root_line();
    let error = |lines: &str| VCard::from_text(&with(lines)).unwrap_err();
    assert_eq!(error(&root), VCardError::Missing("FN"));
    assert_eq!(error("FN:Alice\r\n"), VCardError::Missing("X-AUTONOMY-ROOT"));
    assert_eq!(error(&format!("FN:Alice\r\nFN:Bob\r\n{root}")), VCardError::Repeated("FN"));
    assert_eq!(error(&format!("FN:Alice\r\n{root}{root}")), VCardError::Repeated("X-AUTONOMY-ROOT"));
    assert_eq!(error(&format!("FN:Alice\r\n{root}VERSION:4.0\r\n")), VCardError::Repeated("VERSION"));
    assert_eq!(error(&format!("FN:Alice\r\nno colon\r\n{root}")), VCardError::Line(4));
    assert_eq!(error(&format!("FN:Alice\r\n{root}END:VCARD\r\nBEGIN:VCARD\r\n")), VCardError::NotAVCard);
    assert_eq!(error(&format!("FN:a\u{202e}b\r\n{root}")), VCardError::Name(BadName::Invisible));
    assert_eq!(error(&format!("FN:Al\\nice\r\n{root}")), VCardError::Name(BadName::Invisible));
    assert_eq!(error(&format!("FN:Alice\r\nNOTE:\u{1b}[2J\r\n{root}")), VCardError::Note(BadNote::Control));
}

#[test]
fn other_texts_are_no_vcards() {
    for text in ["", "\r\n", "BEGIN:VCARD", "hello", "END:VCARD\r\nBEGIN:VCARD\r\n"] {
        assert_eq!(VCard::from_text(text).unwrap_err(), VCardError::NotAVCard, "{text:?}");
    }
    let old = alice().to_text().replace("VERSION:4.0", "VERSION:3.0");
    assert_eq!(VCard::from_text(&old).unwrap_err(), VCardError::Version);
    let long = "x".repeat(MAX_VCARD + 1);
    assert_eq!(VCard::from_text(&long).unwrap_err(), VCardError::Length(MAX_VCARD + 1));
    let text = alice().to_text();
    for len in (0..text.len() - 2).filter(|len| text.is_char_boundary(*len)) {
        assert!(VCard::from_text(&text[..len]).is_err(), "{len}");
    }
}

#[test]
fn a_note_is_some_words() {
    assert!(Note::new(&"x".repeat(MAX_NOTE_LEN)).is_ok());
    assert_eq!(Note::new("").unwrap_err(), BadNote::Length(0));
    assert_eq!(Note::new(&"x".repeat(MAX_NOTE_LEN + 1)).unwrap_err(), BadNote::Length(MAX_NOTE_LEN + 1));
    assert_eq!(Note::new("a\rb").unwrap_err(), BadNote::Control);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_contact_comes_back(given in "\\PC{1,20}", words in proptest::option::of("[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]{1,200}")) {
        let Ok(name) = Name::new(&given) else { return Ok(()) };
        let note = words.and_then(|words| Note::new(&words).ok());
        let card = VCard { name, note, root: person(1).root_key().public(), others: OtherProperties::default() };
        prop_assert_eq!(VCard::from_text(&card.to_text()).unwrap(), card);
    }

    #[test]
    fn any_text_is_a_contact_or_an_error(lines in proptest::collection::vec("(FN|NOTE|EMAIL|IMPP|PHOTO|X-AUTONOMY-ROOT|VERSION| |\t|END|BEGIN)?[:;\"\\\\a.]{0,6}\\PC{0,10}", 0..8)) {
        let text = with(&lines.iter().map(|line| format!("{line}\r\n")).collect::<String>());
        if let Ok(card) = VCard::from_text(&text) {
            prop_assert_eq!(VCard::from_text(&card.to_text()).unwrap(), card);
        }
    }
}
