//! What must hold for any bytes at all.
#![allow(dead_code, reason = "each target uses one of them")]

use autonomy_shards::{Deck, Secret, Shard};
use sha2::{Digest, Sha256};

/// A shard is refused, or has exactly these bytes as its encoding; checking it never panics.
pub(crate) fn shard(bytes: &[u8]) {
    if let Ok(shard) = Shard::from_bytes(bytes) {
        assert_eq!(shard.to_bytes().as_slice(), bytes);
        let _ = shard.verify(&shard.claimed_key());
        let _ = format!("{shard:?}");
    }
}

/// The same for a deck: once as it comes, once with its checksum set right, so that what lies behind is reached.
pub(crate) fn deck(bytes: &[u8]) {
    one_deck(bytes);
    if let Some((body, _)) = bytes.split_last_chunk::<8>() {
        one_deck(&[body, &Sha256::digest(body)[..8]].concat());
    }
}

fn one_deck(bytes: &[u8]) {
    if let Ok(deck) = Deck::from_bytes(bytes) {
        assert_eq!(deck.to_bytes().as_slice(), bytes);
        assert!(deck.index() <= deck.total() && deck.threshold() <= deck.total());
        // A small number is a secret.
        let _ = Secret::from_bytes(&[7; 32]).map(|secret| deck.open(&secret));
        let text = deck.to_text();
        assert!(Deck::from_text(&text).is_ok_and(|again| again == deck));
        assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 1);
    }
}

/// A text is refused, or the deck in it can be written and read again.
pub(crate) fn deck_text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(deck) = Deck::from_text(text) {
        assert!(Deck::from_text(&deck.to_text()).is_ok_and(|again| again == deck));
    }
}
