//! Pings by libp2p's ping protocol, sent when a lane asks for one.
//!
//! libp2p's own pinger ignores the first failure and cannot be asked at once after a sleep, so
//! lanes ping by themselves; libp2p's behaviour answers the pings of the other end.

use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _, channel::oneshot};
use libp2p::Stream;
use rand_core::{OsRng, RngCore as _};
use tokio::time::timeout;

/// A connection from which nothing was received for this long is pinged.
pub(super) const INTERVAL: Duration = Duration::from_secs(4);
/// Longest wait for an answer: several round trips of a slow circuit. One answer may be late; after
/// two missing in a row the circuit is dead: 4 + 2 × 5 = 14 s.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Pings without an answer after which the connection is given up.
const TRIES: u32 = 2;
/// Bytes of a ping, by the protocol's specification.
const LEN: usize = 32;

/// Pings over a stream that is about to be opened. True if the other end sent the same bytes back
/// in time.
pub(super) async fn once(stream: oneshot::Receiver<Stream>) -> bool {
    let ask = async {
        let mut stream = stream.await.ok()?;
        let mut question = [0; LEN];
        OsRng.fill_bytes(&mut question);
        stream.write_all(&question).await.ok()?;
        stream.flush().await.ok()?;
        let mut answer = [0; LEN];
        stream.read_exact(&mut answer).await.ok()?;
        drop(stream.close().await);
        (answer == question).then_some(())
    };
    matches!(timeout(TIMEOUT, ask).await, Ok(Some(())))
}

/// Counts missing answers: decides whether to ping again or to give up.
#[derive(Debug, Default)]
pub(super) struct Health {
    failures: u32,
}

impl Health {
    /// The other end answered, or something else was received from it.
    pub(super) fn alive(&mut self) {
        self.failures = 0;
    }

    /// An answer is missing. True when the connection counts as dead.
    pub(super) fn missed(&mut self) -> bool {
        self.failures += 1;
        self.failures >= TRIES
    }

    /// Whether the last ping is unanswered, so that the next is sent at once.
    pub(super) fn is_pending(&self) -> bool {
        self.failures > 0
    }
}
