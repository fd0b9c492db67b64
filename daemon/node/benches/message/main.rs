//! What a message costs two nodes, end to end: taken from the device, sealed, opened, shown, its receipt sealed and opened.
//!
//! Measured is `Node::handle` in all steps of both, without commits and links. Both keep as many events as they may, as
//! after a busy day. Run: `cargo bench -p autonomy-node`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that cannot go on should stop")]
#![expect(clippy::print_stdout, reason = "figures in bytes are printed beside the times")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

#[path = "../../../benches/mail/bench_node.rs"]
mod bench_node;

use std::{collections::HashSet, time::Duration};

use autonomy_api::ContactId;
use criterion::{Criterion, criterion_group, criterion_main};

use self::bench_node::{BenchNode, Cost, befriend, carry};

/// A line, and what fills a frame.
const LENGTHS: [usize; 2] = [1_024, 11_000];
/// Messages sent before anything is measured: each makes an event at both ends, and 1,024 are kept.
const BEFORE: usize = 1_100;

/// When the pods begin: 2026-01-01.
fn begins() -> u64 {
    1_767_225_600
}

/// Two contacts, one of whom writes to the other.
struct Pair {
    alice: BenchNode,
    bob: BenchNode,
    to: ContactId,
}

impl Pair {
    fn new() -> Self {
        let (mut alice, mut bob) = (BenchNode::adopted(1), BenchNode::adopted(2));
        befriend(&mut alice, &mut bob, &HashSet::new());
        let to = alice.only_contact();
        let mut pair = Self { alice, bob, to };
        for _ in 0..BEFORE {
            pair.message("before");
        }
        pair
    }

    /// All steps of both pods for one message.
    fn message(&mut self, text: &str) -> Cost {
        let Self { alice, bob, to } = self;
        let nobody = HashSet::new();
        let (reply, sent) = alice.say(*to, text);
        reply.unwrap();
        let there = carry(alice, bob, &nobody).unwrap();
        let sealed = bob.wait(2);
        let back = carry(bob, alice, &nobody).unwrap();
        let settled = alice.wait(2);
        let all = [sent, there.asked, there.answered, sealed, back.asked, back.answered, settled];
        Cost { time: all.iter().map(|cost| cost.time).sum(), bytes: all.iter().map(|cost| cost.bytes).sum() }
    }
}

fn message(bench: &mut Criterion) {
    let mut pair = Pair::new();
    let mut group = bench.benchmark_group("message end to end");
    for len in LENGTHS {
        let text = "x".repeat(len);
        group.bench_function(format!("{len} B"), |bencher| {
            bencher.iter_custom(|count| (0..count).map(|_| pair.message(&text).time).sum::<Duration>());
        });
        println!("message of {len} B: {} B written by both", pair.message(&text).bytes);
    }
}

criterion_group!(benches, message);
criterion_main!(benches);
