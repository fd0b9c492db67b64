//! The seeds of the fuzzer, and whatever it found, as ordinary tests.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

#[path = "../fuzz/properties.rs"]
mod properties;

use std::path::Path;

use autonomy_shards::{Deck, Shard, recover};

/// Every file of one target's corpus, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus of {target} is empty");
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

#[test]
fn shards_hold() {
    for (name, bytes) in corpus("shard") {
        properties::shard(&bytes);
        assert_eq!(Shard::from_bytes(&bytes).is_ok(), name.starts_with("good"), "{name}");
    }
}

#[test]
fn decks_hold() {
    for (name, bytes) in corpus("deck") {
        properties::deck(&bytes);
        assert_eq!(Deck::from_bytes(&bytes).is_ok(), name.starts_with("good"), "{name}");
    }
}

#[test]
fn deck_texts_hold() {
    for (name, bytes) in corpus("deck_text") {
        properties::deck_text(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(Deck::from_text(&text).is_ok(), name.starts_with("good"), "{name}");
    }
}

/// The good seeds were written by the first version: a deck that was given away must be readable for decades.
/// Another encoding has to be another version, and these files stay.
#[test]
fn the_first_decks_are_still_read_and_written_the_same_way() {
    let holders = ["bob", "carol", "dan"];
    let file = |target: &str, holder: &str| {
        std::fs::read(format!("{}/fuzz/corpus/{target}/good-{holder}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let decks = holders.map(|holder| {
        let deck = Deck::from_bytes(&file("deck", holder)).unwrap();
        assert_eq!(deck.holder().as_str().to_lowercase(), holder);
        assert_eq!(deck.to_bytes().to_vec(), file("deck", holder));
        assert_eq!(deck.shard().to_bytes().to_vec(), file("shard", holder));
        assert_eq!(deck.to_text().as_bytes(), file("deck_text", holder));
        deck
    });
    let recovered = recover(&decks, &support::alice().0).unwrap();
    assert_eq!(recovered.secret.as_bytes(), &[7; 32]);
    assert_eq!(recovered.contents, support::contents());
}
