//! A relay that is killed, whose file is damaged, and whose disk fills up. The process is this test
//! program, started a second time.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use autonomy_daemon::relay::{Relay, RelayConfig, RelayError};
use autonomy_messaging::{
    place::{Capability, QueueId},
    wire::{PlaceRefusal, Response, Ticket},
};

use crate::world::{Mailbox, NOW, Site, refused};

const FILE: &str = "AUTONOMY_TEST_RELAY_FILE";

/// The queue that both processes know.
fn known() -> Mailbox {
    Mailbox {
        queue: QueueId::from_bytes([1; 32]),
        deposit: Capability::from_bytes([2; 32]),
        collect: Capability::from_bytes([3; 32]),
    }
}

/// Starts this program again, by the one test below, through a shell that runs `before`.
fn child(before: &str, file: &Path) -> Child {
    Command::new("sh")
        .args(["-c", &format!("{before} exec \"$0\" \"$@\"")])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "crashes::the_child", "--nocapture", "--test-threads=1"])
        .env(FILE, file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn told(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok)
}

/// Does nothing in a common run; is the other process in the tests below. Deposits eight at a time, and says which
/// frames are durable.
#[tokio::test]
async fn the_child() {
    let Ok(file) = env::var(FILE) else { return };
    let config = RelayConfig { free_disk: 0, ..RelayConfig::default() };
    let relay = Relay::open(Path::new(&file), config, Arc::new(|| crate::world::confirmed(NOW))).unwrap();
    let own = known();
    assert_eq!(relay.handle(own.open(Ticket::Open)).await, Response::Done);
    for round in 0..30_u64 {
        let first = round * 8;
        let answers = futures::future::join_all((first..first + 8).map(|n| relay.handle(own.frame(n)))).await;
        for (n, answer) in answers.into_iter().enumerate() {
            match answer {
                Response::Done => println!("stored {}", first + n as u64),
                other => println!("refused {other:?}"),
            }
        }
    }
    println!("end");
}

fn number(line: &str) -> Option<u64> {
    line.strip_prefix("stored ")?.parse().ok()
}

async fn frames(relay: &Relay) -> Vec<u64> {
    let count = relay.snapshot().await.frames as usize;
    known().content(relay, count).await.into_iter().map(|(_, frame)| frame).collect()
}

#[tokio::test]
async fn killed_relay_holds_all_it_acknowledged() {
    for round in 1..=4 {
        let site = Site::new();
        let mut child = child("", &site.file());
        let mut lines = told(&mut child);
        let seen: Vec<u64> = lines.by_ref().filter_map(|line| number(&line)).take(round * 11).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        let durable: Vec<u64> = seen.into_iter().chain(lines.filter_map(|line| number(&line))).collect();
        let relay = site.open();
        let found = frames(&relay).await;
        assert!(durable.iter().all(|n| found.contains(n)), "said {durable:?}, found {found:?}");
        let mut once = found.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), found.len(), "twice: {found:?}");
    }
}

#[tokio::test]
async fn full_disk_refuses_deposits_and_keeps_stored_frames() {
    let site = Site::new();
    // Blocks of 512 bytes: 2 MiB, which is less than the child wants to store.
    let mut child = child("ulimit -f 4096; trap '' XFSZ;", &site.file());
    let lines: Vec<String> = told(&mut child).collect();
    child.wait().unwrap();
    let stored: Vec<u64> = lines.iter().filter_map(|line| number(line)).collect();
    assert!(lines.iter().any(|line| line.contains("PlaceFull")), "{lines:?}");
    assert!(lines.iter().any(|line| line == "end"), "it went on: {lines:?}");
    assert!(!stored.is_empty() && stored.len() < 240);
    let found = frames(&site.open()).await;
    assert!(stored.iter().all(|n| found.contains(n)), "said {stored:?}, found {found:?}");
}

#[tokio::test]
async fn truncated_or_foreign_file_is_refused() {
    let site = Site::new();
    let relay = site.open();
    let own = Mailbox::at(&relay).await;
    for n in 0..20 {
        relay.handle(own.frame(n)).await;
    }
    drop(relay);
    let whole = fs::read(site.file()).unwrap();
    for part in [whole.len() / 2, 5_000, 100] {
        fs::write(site.file(), &whole[..part]).unwrap();
        match site.try_open() {
            Err(error @ (RelayError::Damaged { .. } | RelayError::NotARelay { .. })) => {
                assert!(error.to_string().contains("relay.redb"), "{error}");
            }
            other => panic!("cut at {part}: {other:?}"),
        }
    }
    fs::write(site.file(), b"not a database at all, but some text that is long enough").unwrap();
    assert!(matches!(site.try_open(), Err(RelayError::NotARelay { .. })));
    fs::write(site.file(), &whole).unwrap();
    let relay = site.open();
    assert_eq!(own.content(&relay, 20).await.len(), 20);
    assert!(matches!(site.try_open(), Err(RelayError::InUse { .. })));
}

#[tokio::test]
async fn torn_pages_give_errors_and_no_false_frame() {
    let site = Site::new();
    let relay = site.open();
    let own = Mailbox::at(&relay).await;
    for n in 0..50 {
        relay.handle(own.frame(n)).await;
    }
    drop(relay);
    // Everything behind the header, except for the frames' own bytes, is pages of the trees: zeros fit none of them.
    let len = fs::metadata(site.file()).unwrap().len();
    let mut file = OpenOptions::new().write(true).open(site.file()).unwrap();
    for at in (8_192..len).step_by(16_384) {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&[0; 512]).unwrap();
    }
    drop(file);
    match site.try_open() {
        Err(error) => assert!(
            matches!(
                error,
                RelayError::Damaged { .. } | RelayError::NotARelay { .. } | RelayError::Disk { .. }
            ),
            "{error}"
        ),
        Ok(relay) => {
            let answer = relay.handle(own.frame(100)).await;
            let spoilt = matches!(answer, Response::Refused(PlaceRefusal::Busy { .. }))
                || answer == refused(PlaceRefusal::UnknownQueue);
            assert!(spoilt || answer == Response::Done, "{answer:?}");
        }
    }
}
