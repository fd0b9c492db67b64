//! Plain helpers of the tests.
#![allow(dead_code, reason = "each test file uses some of them")]

use autonomy_shards::{Contents, Deck, DeckSet, Name, Plan, PublicKey, Secret};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// A generator that gives the same numbers in every run.
pub(crate) fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// A secret of small bytes: any that is not zero will do.
pub(crate) fn secret(byte: u8) -> Secret {
    Secret::from_bytes(&[byte; 32]).unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn contents() -> Contents {
    Contents::new(&[9; 32], &[b"wsh(sortedmulti(2,P,R,G))".as_slice(), b"a second map"]).unwrap()
}

/// Decks for Bob, Carol and Dan, any two of whom are enough.
pub(crate) fn three_decks(secret: &Secret, seed: u64) -> Vec<Deck> {
    let plan = Plan {
        label: name("Alice's recovery key"),
        holders: ["Bob", "Carol", "Dan"].map(name).to_vec(),
        threshold: 2,
        created_at: 1_795_392_000,
    };
    DeckSet::deal(secret, &plan, &contents(), &mut rng(seed)).unwrap().into_iter().collect()
}

/// The key in Alice's account map, and what her three holders keep.
pub(crate) fn alice() -> (PublicKey, Vec<Deck>) {
    let secret = secret(7);
    (secret.public_key(), three_decks(&secret, 1))
}

/// Writes `new` over the only place where `old` stands in the deck's bytes, and sets the checksum right again:
/// what a holder can do who means ill.
pub(crate) fn forge(deck: &Deck, old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut bytes = deck.to_bytes().to_vec();
    let places: Vec<usize> =
        (0..bytes.len() - old.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    assert_eq!(places.len(), 1, "the bytes to forge stand in {} places", places.len());
    bytes.splice(places[0]..places[0] + old.len(), new.iter().copied());
    resum(bytes)
}

/// The same bytes with the checksum that belongs to them.
pub(crate) fn resum(mut bytes: Vec<u8>) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let body = bytes.len() - 8;
    let sum = Sha256::digest(&bytes[..body]);
    bytes[body..].copy_from_slice(&sum[..8]);
    bytes
}
