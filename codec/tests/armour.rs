//! One line of text: written, copied carelessly, and read again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use autonomy_codec::{TextError, TextKind, armour};
use proptest::prelude::*;

const BUNDLE: TextKind = TextKind::Bundle;
const BYTES: &[u8] = b"as many bytes as a short bundle";

fn line() -> String {
    armour::encode(BUNDLE, BYTES)
}

/// Reads a text as a bundle that has as many bytes as ours at most.
fn read(text: &str) -> Result<Vec<u8>, TextError> {
    armour::decode(BUNDLE, text, BYTES.len()).map(|bytes| bytes.to_vec())
}

/// The expected line was made by another program, from the documentation.
#[test]
fn the_form_stays_as_it_was_first_written() {
    assert_eq!(line(), "autonomy-bundle1mfzsa3lbnz4saytzorsxgidbomqgcidtnbxxe5bamj2w4zdmmxo7qlmb2q");
    assert_eq!(line().len(), armour::text_len(BUNDLE, BYTES.len()));
}

#[test]
fn a_line_survives_mail_and_careless_copying() {
    let line = line();
    let chunks: Vec<&str> = line.as_bytes().chunks(20).map(|c| std::str::from_utf8(c).unwrap()).collect();
    for variant in [
        line.to_uppercase(),
        format!("\u{feff} \n{line}\r\n"),
        format!("# A bundle.\r\n# autonomy-deck1\r\n{line}\n# The end.\n"),
        chunks.join("\r\n"),
        chunks.join(" "),
        chunks.join(" \r\n\t"),
    ] {
        assert_eq!(read(&variant).unwrap(), BYTES, "{variant:?}");
    }
}

#[test]
fn another_kind_is_named() {
    for kind in TextKind::ALL.into_iter().filter(|kind| *kind != BUNDLE) {
        let long = armour::encode(kind, &[0; 10_000]);
        for text in
            [armour::encode(kind, BYTES), long.clone(), format!("\n\u{feff}{long}"), format!("# …\n{long}")]
        {
            assert_eq!(read(&text).unwrap_err().to_string(), format!("this is a {kind}, not a bundle"));
        }
    }
    // A kind of a later program.
    assert_eq!(read("autonomy-last-will1abcd").unwrap_err().to_string(), "this is a last will, not a bundle");
}

#[test]
fn newer_form_is_distinguished_from_foreign_text() {
    let error = read("autonomy-bundle2abc").unwrap_err();
    assert_eq!(error, TextError::Version { expected: BUNDLE, found: 2 });
    assert!(error.to_string().contains("update this one"));
    assert_eq!(
        read(&line().replace("bundle1", "bundle9")),
        Err(TextError::Version { expected: BUNDLE, found: 9 })
    );
    assert_eq!(read("autonomy-grant2abc").unwrap_err().to_string(), "this is a grant, not a bundle");
    let tail = "autonomy-far-too-many-words-for-us1abc";
    for other in [
        "",
        "hello",
        "autonomy-",
        "autonomy-bundle",
        "autonomy-1abc",
        "autonomy-1",
        "1",
        tail,
        "# autonomy-bundle1",
    ] {
        assert_eq!(read(other), Err(TextError::Unknown { expected: BUNDLE }), "{other}");
    }
}

#[test]
fn a_line_cut_or_changed_is_refused() {
    let line = line();
    let damaged = Err(TextError::Checksum { expected: BUNDLE });
    assert_eq!(read("autonomy-bundle1"), damaged);
    for cut in "autonomy-bundle1".len()..line.len() {
        assert_eq!(read(&line[..cut]), damaged, "{cut}");
    }
    for at in "autonomy-bundle1".len()..line.len() {
        let other = if &line[at..=at] == "a" { "b" } else { "a" };
        assert_eq!(read(&format!("{}{other}{}", &line[..at], &line[at + 1..])), damaged, "{at}");
    }
    for bad in ["0", "1", "8", "é", "-", "="] {
        let text = line.replace("bundle1", &format!("bundle1{bad}"));
        assert_eq!(read(&text), Err(TextError::Character { expected: BUNDLE }), "{bad}");
    }
    // The head of another kind on it: the checksum covers the head.
    let swapped = armour::decode(TextKind::Grant, &line.replace("bundle", "grant"), BYTES.len());
    assert_eq!(swapped.unwrap_err(), TextError::Checksum { expected: TextKind::Grant });
}

#[test]
fn a_text_too_long_says_so_and_not_that_it_is_another_kind() {
    let most = 2 * armour::text_len(BUNDLE, BYTES.len()) + 64;
    let too_long = |found| Err(TextError::TooLong { expected: BUNDLE, found, most });
    let padded = |len| format!("{}{}", line(), " ".repeat(len - line().len()));
    assert_eq!(read(&padded(most)).unwrap(), BYTES);
    assert_eq!(read(&padded(most + 1)), too_long(most + 1));
    assert_eq!(read(&format!("hello{}", " ".repeat(100_000 - 5))), too_long(100_000));
    let bound = armour::decode_within(BUNDLE, &line(), line().len() - 1);
    assert!(matches!(bound, Err(TextError::TooLong { .. })));
    assert!(armour::decode_within(BUNDLE, &line(), line().len()).is_ok());
}

#[test]
fn heads_differ_and_have_no_digit() {
    for (n, kind) in TextKind::ALL.into_iter().enumerate() {
        assert!(kind.head().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{kind}");
        assert!(TextKind::ALL[..n].iter().all(|other| other.head() != kind.head()), "{kind}");
    }
}

proptest! {
    #[test]
    fn every_line_is_read_as_written(
        kind in prop::sample::select(TextKind::ALL.as_slice()),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let line = armour::encode(kind, &bytes);
        prop_assert_eq!(line.len(), armour::text_len(kind, bytes.len()));
        let read = armour::decode(kind, &line, bytes.len()).unwrap();
        prop_assert_eq!(&*read, &bytes);
    }

    #[test]
    fn no_text_makes_the_decoder_panic(text in "\\PC{0,80}", tail in "autonomy-[a-z0-9é#\n-]{0,40}") {
        for text in [text.as_str(), tail.as_str()] {
            for kind in TextKind::ALL {
                let _ = armour::decode(kind, text, 8);
            }
        }
    }
}
