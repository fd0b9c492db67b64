//! What a relay can do. Run: `cargo bench -p autonomy-daemon --bench relay`, or with `-- QUEUES` for another number of
//! idle queues than a million, and `-- idle` for these alone.
//!
//! Prints figures; criterion has no word for deposits a second and bytes of memory. The folder is that of `TMPDIR`:
//! point it at the disk in question, since a commit is mostly the disk's flush.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot go on should stop")]

use std::{fs, path::Path, sync::Arc, time::Duration};

use autonomy_daemon::relay::{Relay, RelayConfig, file_in};
use autonomy_messaging::{
    frame::{BLOB_LEN, Blob, DepositId, Frame},
    place::{Capability, QueueId},
    queue::QueueLimits,
    wire::{Request, Response, Ticket},
};
use autonomy_node::clock::Moment;
use futures::{StreamExt as _, stream};
use tokio::time::Instant;

/// Requests in flight: what a few busy callers have.
const IN_FLIGHT: usize = 256;
/// How long deposits are counted.
const MEASURED: Duration = Duration::from_secs(8);
/// Seconds since 1970.
const NOW: u64 = 1_800_000_000;

#[tokio::main]
async fn main() {
    let idle = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(1_000_000);
    if std::env::args().all(|word| word != "idle") {
        for queues in [5_000, 100_000] {
            deposits(queues).await;
        }
    }
    idle_queues(idle).await;
}

fn open(folder: &Path) -> Relay {
    let limits = QueueLimits { max_queues: 4_000_000, max_frames: 1_000_000, ..QueueLimits::default() };
    let config = RelayConfig { limits, ..RelayConfig::default() };
    Relay::open(&file_in(folder), config, Arc::new(|| Moment { now: NOW, is_right: true, off_by: None }))
        .unwrap()
}

fn queue(number: u64) -> QueueId {
    // Spread over the key space, as random names are.
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8..16].copy_from_slice(&number.to_be_bytes());
    QueueId::from_bytes(bytes)
}

fn right(of: u8) -> Capability {
    Capability::from_bytes([of; 32])
}

async fn fill(relay: &Relay, queues: u64) -> Duration {
    let (deposit, collect) = (right(1).hash(), right(2).hash());
    let since = Instant::now();
    let opened = stream::iter(0..queues).map(|number| {
        let queue = queue(number);
        relay.handle(Request::Open { queue, deposit, collect, ticket: Ticket::Open, notice: None })
    });
    let refused = opened
        .buffer_unordered(1_000)
        .filter(|response| std::future::ready(*response != Response::Done))
        .count();
    assert_eq!(refused.await, 0);
    since.elapsed()
}

fn frame(queues: u64, number: u64) -> Request {
    Request::Deposit(Frame {
        deposit: DepositId::from_bytes(u128::from(number).to_be_bytes()),
        queue: queue(number.wrapping_mul(0x2545_f491_4f6c_dd1d) % queues),
        capability: right(1),
        blob: Blob::from_slice(&[number as u8; BLOB_LEN]).unwrap(),
    })
}

async fn deposits(queues: u64) {
    let folder = tempfile::tempdir().unwrap();
    let relay = open(folder.path());
    fill(&relay, queues).await;
    let before = relay.snapshot().await;
    let since = Instant::now();
    let requests = stream::iter(0_u64..).take_while(|_| std::future::ready(since.elapsed() < MEASURED));
    let done = requests.map(|number| relay.handle(frame(queues, number))).buffer_unordered(IN_FLIGHT);
    let done = done.filter(|response| std::future::ready(*response == Response::Done)).count().await;
    let took = since.elapsed().as_secs_f64();
    let commits = relay.snapshot().await.commits - before.commits;
    println!(
        "{queues} queues: {:.0} durable deposits a second, {:.0} in a commit",
        done as f64 / took,
        done as f64 / commits as f64
    );
    let mut single = Vec::new();
    for number in 0..300 {
        let since = Instant::now();
        assert_eq!(relay.handle(frame(queues, (1 << 40) + number)).await, Response::Done);
        single.push(since.elapsed());
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    single.sort_unstable();
    println!("{queues} queues: one deposit alone takes {:.1?} (p50), {:.1?} (p95)", single[150], single[285]);
}

async fn idle_queues(queues: u64) {
    let folder = tempfile::tempdir().unwrap();
    let relay = open(folder.path());
    let took = fill(&relay, queues).await;
    println!("{queues} queues were opened in {:.0} s", took.as_secs_f64());
    println!("memory after that: {} MB", resident() / 1_000_000);
    drop(relay);
    let file = fs::metadata(file_in(folder.path())).unwrap().len();
    println!("file: {} MB, {} bytes a queue", file / 1_000_000, file / queues);
    let since = Instant::now();
    let relay = open(folder.path());
    let opened = since.elapsed();
    assert_eq!(relay.snapshot().await.queues, queues);
    assert_eq!(relay.handle(frame(queues, 1)).await, Response::Done);
    println!("opened after {opened:.1?}, the first deposit durable after {:.1?}", since.elapsed());
    println!("memory then: {} MB", resident() / 1_000_000);
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
}
