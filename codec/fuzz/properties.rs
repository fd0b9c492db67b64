//! What must hold for any bytes at all.
#![allow(dead_code, reason = "each target uses one of them")]

use autonomy_codec::{MAX_NAME_LEN, Name, TextError, TextKind, armour, is_invisible};

/// Most bytes that a line is read for here.
const MOST: usize = 1_000;

/// A text is refused, or is of one kind only, and its bytes make the same line again, but for what may stand around.
/// The bytes themselves make a line that is read.
pub(crate) fn line(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let read = TextKind::ALL.map(|kind| (kind, armour::decode(kind, &text, MOST)));
    assert!(read.iter().filter(|(_, read)| read.is_ok()).count() <= 1);
    for (kind, read) in read {
        match read {
            Ok(body) => rewrites(kind, &text, &body),
            Err(TextError::TooLong { found, most, .. }) => assert!(found > most),
            Err(error) => assert!(error.to_string().len() < 200),
        }
        let written = armour::encode(kind, bytes);
        assert_eq!(written.len(), armour::text_len(kind, bytes.len()));
        assert!(armour::decode(kind, &written, bytes.len()).is_ok_and(|read| *read == bytes));
    }
}

fn rewrites(kind: TextKind, text: &str, body: &[u8]) {
    let lines = text.trim_start_matches('\u{feff}').lines().filter(|line| !line.starts_with('#'));
    let packed: String =
        lines.flat_map(str::chars).filter(|c| !c.is_whitespace() && *c != '\u{feff}').collect();
    assert_eq!(armour::encode(kind, body), packed.to_ascii_lowercase());
}

/// A name is refused, or is the text as it came: one line, short and visible.
pub(crate) fn name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(name) = Name::new(text) else { return };
    assert_eq!(name.as_str(), text);
    assert_eq!(name.to_string(), text);
    assert!((1..=MAX_NAME_LEN).contains(&text.len()) && text.lines().count() == 1);
    assert!(!text.chars().any(is_invisible));
}
