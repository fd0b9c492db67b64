//! What a name may be.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use autonomy_codec::{BadName, MAX_NAME_LEN, Name};

#[test]
fn names_are_one_visible_line() {
    for bad in [
        " Bob",
        "Bob ",
        "Bo\nb",
        "Bo\tb",
        "Bo\u{1b}[2Jb",
        "Bo\u{202e}b",
        "Bo\u{200b}b",
        "\u{feff}Bob",
        "Bo\u{61c}b",
        "Bo\u{e0041}b",
    ] {
        assert_eq!(Name::new(bad), Err(BadName::Invisible), "{bad:?}");
    }
    for good in ["Zoë O’Neill, 東京", "Zoë’s pod, 東京"] {
        assert_eq!(Name::new(good).unwrap().to_string(), good);
    }
}

#[test]
fn names_have_1_to_64_bytes() {
    assert_eq!(Name::new(""), Err(BadName::Length(0)));
    assert!(Name::new(&"x".repeat(MAX_NAME_LEN)).is_ok());
    assert_eq!(Name::new(&"x".repeat(MAX_NAME_LEN + 1)), Err(BadName::Length(MAX_NAME_LEN + 1)));
    // Bytes are counted, not characters.
    assert_eq!(Name::new(&"é".repeat(33)), Err(BadName::Length(66)));
}
