//! The long poll: a thread that waits with bitcoind for the next block, and wakes the follower.
//!
//! It only makes things faster. The follower looks at the best block by itself every
//! [`POLL`](super::follower::POLL), which also finds a block that came between two waits.

use std::{thread, time::Duration};

use super::{
    BitcoindConfig,
    orders::OrderBook,
    rpc::{self, Waited},
};

/// Longest wait of one call. Below the 15 seconds after which the client takes bitcoind for dead; and a pod that stops
/// leaves this thread behind for no longer.
const WAIT: Duration = Duration::from_secs(10);
/// Pause after bitcoind did not answer.
const RETRY: Duration = Duration::from_secs(2);

/// Wakes the follower of this number at each new block, until it ends.
pub(super) fn watch(config: &BitcoindConfig, book: &OrderBook, generation: u64) {
    let mut last = None;
    while book.is_followed(generation) {
        match rpc::wait_for_block(config, WAIT.as_millis() as u64) {
            Waited::Tip(tip) if last == Some(tip) => {}
            Waited::Tip(tip) => {
                last = Some(tip);
                book.tip_moved();
            }
            Waited::Unavailable(why) => {
                tracing::debug!(
                    "new blocks are noticed by polling only, since bitcoind lets nobody wait: {why}"
                );
                return;
            }
            Waited::Away => thread::sleep(RETRY),
        }
    }
}
