//! What a frame costs both ends and the place between them: sealing, opening, reading, and the rules of its queue.
#![allow(clippy::expect_used, reason = "a measurement that cannot go on should stop")]

use std::hint::black_box;

use autonomy_messaging::frame::{DepositId, Frame, MAX_CONTENT, QueueKey};
use autonomy_messaging::packet::{Acks, Item, MAX_PART, Numbering, Packet, Part};
use autonomy_messaging::place::{Capability, QueueId};
use autonomy_messaging::queue::{QueueLimits, QueueRecord};
use autonomy_messaging::safety::SafetyNumber;
use autonomy_messaging::wire::{Request, work};
use autonomy_messaging::{AuthSeed, Window};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// A short message, and as much as fits.
const LENGTHS: [usize; 2] = [1_024, MAX_CONTENT];
const NOW: u64 = 1_795_392_000;

fn frame() -> Frame {
    let queue = QueueId::from_bytes([1; 32]);
    let blob = key().seal(&queue, &[4; 1_024], &mut StdRng::seed_from_u64(1)).expect("it fits");
    Frame {
        deposit: DepositId::from_bytes([3; 16]),
        queue,
        capability: Capability::from_bytes([2; 32]),
        blob,
    }
}

fn key() -> QueueKey {
    QueueKey::derive(&[7; 32], "bench")
}

fn seals(c: &mut Criterion) {
    let (key, queue, mut rng) = (key(), QueueId::from_bytes([1; 32]), StdRng::seed_from_u64(1));
    for len in LENGTHS {
        let content = vec![5; len];
        let blob = key.seal(&queue, &content, &mut rng).expect("it fits");
        let mut group = c.benchmark_group(format!("frame/{len} B"));
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function("seal", |b| b.iter(|| key.seal(&queue, black_box(&content), &mut rng)));
        group.bench_function("open", |b| b.iter(|| key.open(&queue, black_box(&blob))));
        group.finish();
    }
}

/// Some run of numbers.
const NUMBERING: Numbering = Numbering { since: 1, id: [1; 16] };

fn codecs(c: &mut Criterion) {
    let request = Request::Deposit(frame()).to_bytes();
    c.bench_function("deposit/read", |b| b.iter(|| Request::parse(black_box(&request))));
    let part = Part { seq: 1, first: true, last: false, origin: None, bytes: vec![6; MAX_PART] };
    let acks = Acks {
        numbering: NUMBERING,
        messages: Window::below(1_000),
        transfers: Vec::new(),
        deposited: vec![1, 2, 3],
        card: 1,
    };
    let packet = Packet { numbering: NUMBERING, acknowledged: 1_000, acks, items: vec![Item::Part(part)] };
    let bytes = packet.to_bytes().expect("it fits");
    c.bench_function("packet/write", |b| b.iter(|| black_box(&packet).to_bytes()));
    c.bench_function("packet/read", |b| b.iter(|| Packet::parse(black_box(&bytes))));
}

/// Read the record, check the right, take the frame, write the record: all that a deposit costs beside the disk.
fn rules(c: &mut Criterion) {
    let (writer, reader) = (Capability::from_bytes([2; 32]), Capability::from_bytes([3; 32]));
    let stored = QueueRecord::open(writer.hash(), reader.hash(), false, NOW).to_bytes();
    let limits = QueueLimits::default();
    c.bench_function("queue/deposit", |b| {
        b.iter_batched(
            || DepositId::from_bytes([9; 16]),
            |id| {
                let mut record = QueueRecord::from_bytes(black_box(&stored)).expect("just written");
                record.deposit(NOW, &writer, id, &limits, 0).expect("there is room");
                record.to_bytes()
            },
            BatchSize::SmallInput,
        );
    });
}

fn persons(c: &mut Criterion) {
    let queue = QueueId::from_bytes([1; 32]);
    let mut group = c.benchmark_group("person");
    group.sample_size(10);
    group.bench_function("work of 12 bits", |b| b.iter(|| work(black_box(&[8; 32]), &queue, 12)));
    let [one, other] = [1, 2].map(|byte| AuthSeed::from_bytes(&[byte; 32]).root_key().public());
    let number = SafetyNumber::between(&one, &other);
    group.bench_function("safety number shown", |b| b.iter(|| black_box(&number).groups()));
    group.finish();
}

criterion_group!(benches, seals, codecs, rules, persons);
criterion_main!(benches);
