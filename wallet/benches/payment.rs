//! What a payment costs: draft, check on both sides, two signatures, finalise. And a thousand addresses.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

#[path = "../tests/common/mod.rs"]
mod common;

use autonomy_wallet::account::{Keychain, MapKind};
use autonomy_wallet::check::Unchecked;
use autonomy_wallet::payment::Intent;
use autonomy_wallet::policy::Policy;
use common::{Members, NETWORK, SHOP, World, address, rate};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};

/// A world whose account is emptied in one payment of `inputs` coins.
fn world(inputs: usize) -> (World, Intent) {
    let amounts: Vec<u64> = (0..inputs as u64).map(|i| 1_000_000 + i).collect();
    (World::new().with_coins(&amounts), Intent::drain(NETWORK, address(SHOP), rate(5)).unwrap())
}

fn payment(c: &mut Criterion) {
    for inputs in [1, 10, 100, 500] {
        let (mut world, intent) = world(inputs);
        let draft = world.draft(&intent).to_bytes();
        let check = |bytes: &[u8]| {
            let unchecked = Unchecked::from_bytes(bytes).unwrap();
            unchecked.check(&world.map, &world.ledger, &Policy::STANDARD, Some(&intent)).unwrap()
        };
        let approve = |bytes: &[u8]| {
            let proposal = check(bytes);
            let digest = proposal.summary().digest();
            proposal.approve(&digest).unwrap()
        };
        let by_p = approve(&draft).sign(&world.members.p).unwrap().to_bytes();

        let mut group = c.benchmark_group("payment");
        group.sample_size(10);
        group.bench_function(BenchmarkId::new("check", inputs), |b| b.iter(|| check(&draft)));
        group.bench_function(BenchmarkId::new("check with a signature", inputs), |b| b.iter(|| check(&by_p)));
        group.bench_function(BenchmarkId::new("sign", inputs), |b| {
            b.iter_batched(
                || approve(&draft),
                |ok| ok.sign(&world.members.p).unwrap(),
                BatchSize::LargeInput,
            );
        });
        group.bench_function(BenchmarkId::new("finalise", inputs), |b| {
            let both = || approve(&by_p).sign(&world.members.g).unwrap();
            b.iter_batched(both, |signed| signed.finalise().unwrap(), BatchSize::LargeInput);
        });
        group.finish();
        whole(c, inputs);
    }
}

/// All of it: draft, device checks and signs, pod checks and signs, finalise.
fn whole(c: &mut Criterion, inputs: usize) {
    let (mut world, intent) = world(inputs);
    let mut group = c.benchmark_group("payment");
    group.sample_size(10);
    group.bench_function(BenchmarkId::new("draft", inputs), |b| b.iter(|| world.draft(&intent)));
    group.bench_function(BenchmarkId::new("whole", inputs), |b| b.iter(|| world.paid(&intent)));
    group.finish();
}

fn addresses(c: &mut Criterion) {
    let map = Members::new(1).map(MapKind::Personal);
    c.bench_function("1,000 addresses", |b| {
        b.iter(|| (0..1_000).map(|i| map.address(Keychain::External, i).unwrap()).collect::<Vec<_>>());
    });
}

criterion_group!(benches, payment, addresses);
criterion_main!(benches);
