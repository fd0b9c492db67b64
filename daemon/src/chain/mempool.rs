//! What is new in bitcoind's mempool, by the difference of two lists of ids.

use std::collections::{BTreeSet, HashSet};

use bdk_bitcoind_rpc::{
    BitcoindRpcErrorExt as _,
    bitcoincore_rpc::{self, Client, RpcApi as _},
};
use bdk_wallet::bitcoin::{BlockHash, Transaction, Txid};

use super::rpc::Trouble;

/// Ids already handed over.
#[derive(Debug, Default)]
pub(super) struct Mempool {
    known: HashSet<Txid>,
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
    /// Looks once. Evictions are told only while the source's tip is `tip`: a transaction that has just been
    /// mined is not in the mempool either.
    pub(super) fn look(
        &mut self,
        client: &Client,
        tip: BlockHash,
        watched: &BTreeSet<Txid>,
        bite: usize,
    ) -> Result<News, Trouble> {
        let trouble = |error| Trouble::rpc("reading the mempool", &error);
        let ids: HashSet<Txid> = client.get_raw_mempool().map_err(trouble)?.into_iter().collect();
        let fresh: Vec<Txid> = ids.difference(&self.known).copied().collect();
        let mut news = News { more: fresh.len() > bite, ..News::default() };
        for txid in fresh.into_iter().take(bite) {
            match fetch(client, &txid) {
                Ok(seen) => news.seen.push(seen),
                Err(error) if error.is_not_found_error() => {}
                Err(error) => return Err(trouble(error)),
            }
            self.known.insert(txid);
        }
        self.known.retain(|txid| ids.contains(txid));
        if client.get_best_block_hash().map_err(trouble)? == tip {
            news.evicted = watched.iter().copied().filter(|txid| !ids.contains(txid)).collect();
        }
        Ok(news)
    }
}

fn fetch(client: &Client, txid: &Txid) -> Result<(Transaction, u64), bitcoincore_rpc::Error> {
    let entry = client.get_mempool_entry(txid)?;
    Ok((client.get_raw_transaction(txid, None)?, entry.time))
}
