//! A ledger of 10,000 transactions: loading it, and asking it.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;

use autonomy_wallet::account::Keychain;
use autonomy_wallet::ledger::{LOOKAHEAD, Ledger};
use common::World;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

const BLOCKS: u32 = 1_000;
const PER_BLOCK: u32 = 10;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Ten incoming payments a block, each to a fresh address.
fn large() -> (World, Rows) {
    let mut world = World::new();
    let start = world.ledger.tip();
    world.ledger = Ledger::create(world.map.clone(), start, LOOKAHEAD);
    for block in 0..BLOCKS {
        let scripts: Vec<_> = (block * PER_BLOCK..(block + 1) * PER_BLOCK)
            .map(|index| world.map.script_pubkey(Keychain::External, index).unwrap())
            .collect();
        let txs = scripts.into_iter().map(|script| world.payment_to(script, 100_000)).collect();
        world.mine(txs);
    }
    let rows = world.ledger.take_rows();
    let rows = rows.into_iter().filter_map(|row| Some((row.key, row.value?))).collect();
    (world, rows)
}

fn ledger(c: &mut Criterion) {
    let (mut world, rows) = large();
    assert_eq!(world.ledger.history().len() as u32, BLOCKS * PER_BLOCK);
    let mut group = c.benchmark_group("10,000 transactions");
    group.sample_size(10);
    group.bench_function("load", |b| {
        let input = || (world.map.clone(), rows.clone());
        b.iter_batched(input, |(map, rows)| Ledger::load(map, rows).unwrap(), BatchSize::PerIteration);
    });
    group.bench_function("first balance", |b| {
        let input = || Ledger::load(world.map.clone(), rows.clone()).unwrap();
        b.iter_batched(input, |ledger| ledger.balance(), BatchSize::PerIteration);
    });
    group.bench_function("next balance", |b| b.iter(|| world.ledger.balance()));
    group.bench_function("empty block", |b| b.iter(|| world.mine_empty(1)));
    group.finish();
}

criterion_group!(benches, ledger);
criterion_main!(benches);
