//! What splitting, checking and combining cost; figures in README.md beside this file.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use autonomy_shards::{Contents, Deck, DeckSet, Name, Plan, Secret, combine, recover, split};
use criterion::{Criterion, criterion_group, criterion_main};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// The usual set, a larger one, and the largest.
const SHAPES: [(u8, u8); 3] = [(2, 3), (5, 9), (32, 32)];

fn shards(c: &mut Criterion) {
    let secret = Secret::from_bytes(&[7; 32]).unwrap();
    let key = secret.public_key();
    let mut rng = StdRng::seed_from_u64(1);
    for (threshold, holders) in SHAPES {
        let shape = format!("{threshold} of {holders}");
        c.bench_function(&format!("split {shape}"), |b| {
            b.iter(|| split(black_box(&secret), threshold, holders, &mut rng).unwrap());
        });
        let shards = split(&secret, threshold, holders, &mut rng).unwrap();
        c.bench_function(&format!("verify one {shape}"), |b| {
            b.iter(|| black_box(&shards[0]).verify(&key).unwrap());
        });
        let good: Vec<_> = shards.iter().map(|shard| shard.verify(&key).unwrap()).collect();
        c.bench_function(&format!("combine {shape}"), |b| {
            b.iter(|| combine(black_box(&good[..usize::from(threshold)]), &key).unwrap());
        });
    }
}

fn decks(c: &mut Criterion) {
    let secret = Secret::from_bytes(&[7; 32]).unwrap();
    let key = secret.public_key();
    let mut rng = StdRng::seed_from_u64(1);
    let name = |text: &str| Name::new(text).unwrap();
    let holders = ["Bob", "Carol", "Dan"].map(name).to_vec();
    let plan = Plan { label: name("key"), holders, threshold: 2, created_at: 0 };
    let contents = Contents::new(&[9; 32], &[[1; 600]]).unwrap();
    c.bench_function("deal 2 of 3 decks", |b| {
        b.iter(|| DeckSet::deal(black_box(&secret), &plan, &contents, &mut rng).unwrap());
    });
    let set = DeckSet::deal(&secret, &plan, &contents, &mut rng).unwrap();
    let text = set.decks()[0].to_text();
    c.bench_function("read the text of a deck", |b| b.iter(|| Deck::from_text(black_box(&text)).unwrap()));
    c.bench_function("recover from 3 decks", |b| b.iter(|| recover(black_box(set.decks()), &key).unwrap()));
}

criterion_group!(benches, shards, decks);
criterion_main!(benches);
