//! What is new in bitcoind's mempool, by the difference of two lists of ids.

use std::collections::{BTreeSet, HashSet, VecDeque};

use bdk_bitcoind_rpc::{
    BitcoindRpcErrorExt as _,
    bitcoincore_rpc::{self, Client, RpcApi as _},
};
use bdk_wallet::bitcoin::{BlockHash, Transaction, Txid};

use super::rpc::Trouble;

/// Ids already handed over, and ids still to fetch.
#[derive(Debug, Default)]
pub(super) struct Mempool {
    known: HashSet<Txid>,
    waiting: VecDeque<Txid>,
}

/// The difference to the last look.
#[derive(Debug, Default)]
pub(super) struct News {
    /// New transactions, with the time bitcoind first saw them.
    pub(super) seen: Vec<(Transaction, u64)>,
    /// Watched transactions that are in the mempool no more, and in no block.
    pub(super) evicted: Vec<Txid>,
    /// Whether there is more to fetch at once.
    pub(super) more: bool,
}

impl Mempool {
    /// Fetches at most `batch` transactions that are new; lists the mempool anew when none wait.
    ///
    /// Evictions are told only while the source's tip is `tip`, since a transaction that has just been mined is not
    /// in the mempool either; and not while bitcoind still loads the mempool of its last run.
    pub(super) fn look(
        &mut self,
        client: &Client,
        tip: BlockHash,
        watched: &BTreeSet<Txid>,
        batch: usize,
    ) -> Result<News, Trouble> {
        let trouble = |error| Trouble::rpc("reading the mempool", &error);
        let mut news = News::default();
        if self.waiting.is_empty() {
            if !client.get_mempool_info().map_err(trouble)?.loaded.unwrap_or(true) {
                return Ok(news);
            }
            let ids: HashSet<Txid> = client.get_raw_mempool().map_err(trouble)?.into_iter().collect();
            let mined_since = client.get_best_block_hash().map_err(trouble)? != tip;
            if !mined_since {
                news.evicted = watched.iter().copied().filter(|txid| !ids.contains(txid)).collect();
            }
            self.known.retain(|txid| ids.contains(txid));
            self.waiting = ids.difference(&self.known).copied().collect();
        }
        let fetched = self.fetch(client, batch).map_err(trouble)?;
        // Known only now: what a failed call swallowed is fetched again.
        self.known.extend(fetched.iter().map(|(txid, _)| *txid));
        self.waiting.drain(..fetched.len());
        news.seen = fetched.into_iter().filter_map(|(_, seen)| seen).collect();
        news.more = !self.waiting.is_empty();
        Ok(news)
    }

    /// The first of those that wait; `None` for one that has left the mempool meanwhile.
    fn fetch(
        &self,
        client: &Client,
        batch: usize,
    ) -> Result<Vec<(Txid, Option<Seen>)>, bitcoincore_rpc::Error> {
        let one = |txid: &Txid| match fetch(client, txid) {
            Ok(seen) => Ok((*txid, Some(seen))),
            Err(error) if error.is_not_found_error() => Ok((*txid, None)),
            Err(error) => Err(error),
        };
        self.waiting.iter().take(batch).map(one).collect()
    }
}

/// A transaction and when bitcoind first saw it.
type Seen = (Transaction, u64);

fn fetch(client: &Client, txid: &Txid) -> Result<Seen, bitcoincore_rpc::Error> {
    let entry = client.get_mempool_entry(txid)?;
    Ok((client.get_raw_transaction(txid, None)?, entry.time))
}
