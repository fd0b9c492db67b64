//! The files of relays of all releases: each opens, and what lies in it is given out.

use std::{path::Path, sync::Arc};

use autonomy_daemon::relay::{Clock, Relay, RelayConfig};
use autonomy_messaging::{
    place::{Capability, QueueId},
    wire::{Response, Ticket},
};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::{
    common_golden::Golden,
    world::{Mailbox, NOW},
};

static RELAY: Golden = Golden::new("relay.redb", write);

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

/// Queues of the story. Their capabilities are known, so that a later release can ask for what lies in them.
fn mailbox(number: u8) -> Mailbox {
    Mailbox {
        queue: QueueId::from_bytes([number; 32]),
        deposit: Capability::from_bytes([number + 10; 32]),
        collect: Capability::from_bytes([number + 20; 32]),
    }
}

fn open(path: &Path) -> Relay {
    let clock: Clock = Arc::new(|| crate::world::confirmed(NOW));
    let config = RelayConfig { free_disk: 0, ..RelayConfig::default() };
    Relay::open(path, config, clock).unwrap()
}

/// Writes the file of a relay with frames, a queue that was collected, and one with a notice.
fn write(path: &Path) -> Vec<String> {
    wait(async {
        let relay = open(path);
        let done = async |request| assert_eq!(relay.handle(request).await, Response::Done);
        let (full, collected, told) = (mailbox(1), mailbox(2), mailbox(3));
        for number in 0..3 {
            if number == 0 {
                done(full.open(Ticket::Open)).await;
                done(collected.open(Ticket::Open)).await;
                done(told.open_with(Ticket::Open, Some(b"a key package"))).await;
            }
            done(full.frame(number)).await;
            done(collected.frame(number)).await;
        }
        let content = collected.content(&relay, 3).await;
        done(collected.ack(content[1].0)).await;
    });
    wait(facts(path))
}

/// What the owners of the queues find there.
async fn facts(path: &Path) -> Vec<String> {
    let relay = open(path);
    let counted = relay.snapshot().await;
    let mut facts = vec![format!("{} queues, {} frames", counted.queues, counted.frames)];
    for (number, frames) in [(1, 3), (2, 1), (3, 0)] {
        let found = mailbox(number).content(&relay, frames).await;
        facts.push(format!("queue {number} has {found:?}"));
    }
    let Response::Notice(notice) = relay.handle(mailbox(3).redeem()).await else { panic!("no notice") };
    facts.push(format!("queue 3 tells {}", HEXLOWER.encode(&Sha256::digest(notice.as_bytes()))));
    facts
}

#[test]
fn golden_relays_of_all_releases_give_out_what_they_keep() {
    for (release, _home, path) in RELAY.copies() {
        RELAY.compare(&release, &wait(facts(&path)));
        // And they go on: a frame is taken, and a wrong capability is not.
        wait(async {
            let (relay, full) = (open(&path), mailbox(1));
            assert_eq!(relay.handle(full.frame(9)).await, Response::Done, "{release}");
            assert_eq!(full.content(&relay, 4).await[3].1, 9, "{release}");
            let stranger = Mailbox { deposit: Capability::from_bytes([0; 32]), ..full };
            assert_ne!(relay.handle(stranger.frame(10)).await, Response::Done, "{release}");
        });
    }
}
