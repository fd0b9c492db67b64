//! The seeds of the fuzzer, and whatever it found, as ordinary tests.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "../fuzz/properties.rs"]
mod properties;

use std::path::Path;

use autonomy_codec::{Name, TextKind, armour};

/// Replays one target's corpus; what is taken is what is called good.
fn replay(target: &str, property: impl Fn(&[u8]), taken: impl Fn(&str) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "the corpus of {target} is empty");
    for path in files {
        let (name, bytes) = (path.file_name().unwrap().to_string_lossy(), std::fs::read(&path).unwrap());
        property(&bytes);
        assert_eq!(taken(&String::from_utf8_lossy(&bytes)), name.starts_with("good"), "{target}: {name}");
    }
}

#[test]
fn lines_hold() {
    let taken = |text: &str| TextKind::ALL.into_iter().any(|kind| armour::decode(kind, text, 1_000).is_ok());
    replay("line", properties::line, taken);
}

#[test]
fn names_hold() {
    replay("name", properties::name, |text| Name::new(text).is_ok());
}
