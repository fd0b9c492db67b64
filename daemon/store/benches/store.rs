//! What a step costs on disk. Run: `cargo bench -p autonomy-daemon --bench store`.
//!
//! The folder is that of `TMPDIR`: point it at the disk in question, since a commit is mostly the disk's flush.

#![allow(clippy::expect_used, reason = "a measurement that cannot go on should stop")]

use std::hint::black_box;

use autonomy_store::{RowChange, Store, Unlock};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

/// Five rows of 400 bytes: about what a payment's step changes.
fn step(number: u64) -> Vec<RowChange> {
    (0..5_u8).map(|row| RowChange::put(vec![row, (number % 97) as u8], vec![row; 400])).collect()
}

fn store(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("pod.redb");
    let unlock = Unlock::key([7; 32]);
    let store = Store::create(&path, &unlock).expect("a store");
    let mut number = 0;
    criterion.bench_function("commit of 5 rows", |bencher| {
        bencher.iter_batched(
            || {
                number += 1;
                step(number)
            },
            |changes| store.commit(&changes).expect("a commit"),
            BatchSize::SmallInput,
        );
    });
    for number in 0_u32..10_000 / 500 {
        let rows: Vec<_> = (0..500_u32)
            .map(|row| RowChange::put((number * 500 + row).to_be_bytes(), vec![1; 400]))
            .collect();
        store.commit(&rows).expect("a commit");
    }
    criterion.bench_function("read all of 10,000 rows", |bencher| {
        bencher.iter(|| {
            for row in store.rows().expect("rows") {
                black_box(row.expect("a row"));
            }
        });
    });
    let mut store = store;
    criterion.bench_function("renewal with 10,000 rows", |bencher| {
        bencher.iter(|| store.renew(1).expect("a renewal"));
    });
    drop(store);
    criterion.bench_function("open with 10,000 rows", |bencher| {
        bencher.iter(|| Store::open(&path, &unlock).expect("a store"));
    });
    let passphrase = Unlock::passphrase("correct horse".to_owned()).expect("a passphrase");
    let locked = folder.path().join("passphrase.redb");
    drop(Store::create(&locked, &passphrase).expect("a store"));
    criterion.bench_function("open with a passphrase", |bencher| {
        bencher.iter(|| Store::open(&locked, &passphrase).expect("a store"));
    });
}

criterion_group!(benches, store);
criterion_main!(benches);
