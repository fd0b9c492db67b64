//! What a session costs: in time, in bytes of a store, in bytes of a wire.
#![allow(clippy::expect_used, reason = "a measurement that cannot go on should stop")]
#![expect(clippy::print_stdout, reason = "figures in bytes are printed beside the times")]

use std::collections::BTreeMap;
use std::hint::black_box;

use autonomy_messaging::ratchet::{OwnKeyPackage, PeerKeyPackage, Psk, Session};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// A short message, and the largest packet that shares its frame with a commit.
const LENGTHS: [usize; 2] = [1_024, 11_900];

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

struct Side {
    own: OwnKeyPackage,
    session: Session,
    rows: Rows,
}

impl Side {
    /// Writes what changed; gives the number of bytes.
    fn store(&mut self) -> usize {
        let mut written = 0;
        for (key, value) in self.session.take_changes() {
            match value {
                Some(value) => {
                    written += key.len() + value.len();
                    self.rows.insert(key, value);
                }
                None => {
                    self.rows.remove(&key);
                }
            }
        }
        written
    }

    fn load(&self) -> Session {
        Session::load(&mut |key| self.rows.get(key).cloned(), &self.own).expect("it was stored")
    }
}

fn key_package(rng: &mut StdRng) -> OwnKeyPackage {
    OwnKeyPackage::generate(rng, b"a name").expect("a key package")
}

/// A creator and a joiner after six turns each.
fn pair(rng: &mut StdRng) -> [Side; 2] {
    let (creator, joiner) = (key_package(rng), key_package(rng));
    let psk = Psk::from_bytes(&[7; 32]);
    let peer = PeerKeyPackage::parse(joiner.public()).expect("a key package");
    let (created, welcome) = Session::create(rng, &creator, &peer, &psk).expect("a session");
    let joined = Session::join(&joiner, &welcome, &psk).expect("a session");
    let mut sides =
        [(creator, created), (joiner, joined)].map(|(own, session)| Side { own, session, rows: Rows::new() });
    for _ in 0..6 {
        turn(&mut sides, rng, 100);
    }
    sides.iter_mut().for_each(|side| {
        side.store();
    });
    sides
}

/// The joiner says something, and the creator answers: two epochs.
fn turn([creator, joiner]: &mut [Side; 2], rng: &mut StdRng, len: usize) {
    say(joiner, creator, rng, len);
    say(creator, joiner, rng, len);
}

fn say(from: &mut Side, to: &mut Side, rng: &mut StdRng, len: usize) {
    let sealed = from.session.seal(rng, &vec![1; len], true).expect("sealed");
    to.session.open(sealed.commit.as_deref(), &sealed.message).expect("opened");
}

fn beginning(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(1);
    let (creator, joiner, psk) = (key_package(&mut rng), key_package(&mut rng), Psk::from_bytes(&[7; 32]));
    let peer = PeerKeyPackage::parse(joiner.public()).expect("a key package");
    let (_, welcome) = Session::create(&mut rng, &creator, &peer, &psk).expect("a session");
    println!("key package {} B, welcome {} B", joiner.public().len(), welcome.len());
    c.bench_function("ratchet/key package", |b| b.iter(|| key_package(&mut rng)));
    c.bench_function("ratchet/parse key package", |b| b.iter(|| PeerKeyPackage::parse(joiner.public())));
    c.bench_function("ratchet/create", |b| b.iter(|| Session::create(&mut rng, &creator, &peer, &psk)));
    c.bench_function("ratchet/join", |b| b.iter(|| Session::join(&joiner, &welcome, &psk)));
}

fn talking(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(2);
    let mut sides = pair(&mut rng);
    let mut group = c.benchmark_group("ratchet");
    for len in LENGTHS {
        let [creator, joiner] = &mut sides;
        let plaintext = vec![1; len];
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("seal and open {len} B"), |b| {
            b.iter(|| {
                let sealed = joiner.session.seal(&mut rng, &plaintext, false).expect("sealed");
                black_box(creator.session.open(None, &sealed.message).expect("opened"))
            });
        });
        group.bench_function(format!("seal, open and store {len} B"), |b| {
            b.iter(|| {
                let sealed = joiner.session.seal(&mut rng, &plaintext, false).expect("sealed");
                creator.session.open(None, &sealed.message).expect("opened");
                joiner.store() + creator.store()
            });
        });
    }
    group.bench_function("two turns with commits", |b| b.iter(|| turn(&mut sides, &mut rng, 1_024)));
    group.finish();
}

fn loading(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(3);
    let mut sides = pair(&mut rng);
    written(&mut sides, &mut rng);
    let [creator, _] = sides;
    let bytes = creator.rows.values().map(Vec::len).sum::<usize>();
    println!("a session of nine epochs: {bytes} B in {} rows", creator.rows.len());
    c.bench_function("ratchet/load", |b| {
        b.iter_batched(|| (), |()| creator.load(), BatchSize::SmallInput);
    });
}

/// Prints the bytes that one message writes on both sides.
fn written(sides: &mut [Side; 2], rng: &mut StdRng) {
    const ROUNDS: usize = 20;
    let mut sums = [0; 4];
    for _ in 0..ROUNDS {
        let [creator, joiner] = &mut *sides;
        for place in [0, 2] {
            say(joiner, creator, rng, 1_024);
            sums[place] += joiner.store();
            sums[place + 1] += creator.store();
        }
        turn(sides, rng, 10);
        sides.iter_mut().for_each(|side| {
            side.store();
        });
    }
    let [seal_turn, open_turn, seal, open] = sums.map(|sum| sum / ROUNDS);
    println!("written by a message: sealed {seal} B, opened {open} B");
    println!("written by one that begins an epoch: sealed {seal_turn} B, opened {open_turn} B");
}

criterion_group!(benches, beginning, talking, loading);
criterion_main!(benches);
