//! The sign of life: libp2p's ping protocol, asked when we want and not when it does.
//!
//! libp2p's own pinger overlooks the first failure and cannot be asked at once after a sleep, so lanes ask by
//! themselves; what answers is libp2p's.

use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _, channel::oneshot};
use libp2p::Stream;
use rand_core::{OsRng, RngCore as _};
use tokio::time::timeout;

/// A connection that was not heard for this long is asked.
pub(super) const INTERVAL: Duration = Duration::from_secs(4);
/// Longest wait for an answer: several round trips of a slow circuit. One may be late; after two in a row the
/// circuit is dead: 4 + 2 × 5 = 14 s.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Questions asked before the connection is given up.
const TRIES: u32 = 2;
/// Bytes of a question, by the protocol's specification.
const LEN: usize = 32;

/// Asks over a stream that is about to be opened. True if the other end lives.
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

/// Whether to ask now, to go on waiting, or to give up.
#[derive(Debug, Default)]
pub(super) struct Health {
    failures: u32,
}

impl Health {
    /// The other end answered, or was heard otherwise.
    pub(super) fn alive(&mut self) {
        self.failures = 0;
    }

    /// No answer. True when that is enough to call the connection dead.
    pub(super) fn missed(&mut self) -> bool {
        self.failures += 1;
        self.failures >= TRIES
    }

    /// Whether an answer is missing.
    pub(super) fn in_doubt(&self) -> bool {
        self.failures > 0
    }
}
