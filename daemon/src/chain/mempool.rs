//! bitcoind's mempool, listed once for all pods: which transactions are new, and which may concern a pod.
//!
//! Each transaction is fetched once. Of each a few marks are kept, so that a pod which joins later, or watches more than
//! before, finds what concerns it without reading the mempool again: a mark is 32 bits of a keyed hash of an output's
//! script or of a coin that is spent. Marks only say where to look; the transaction itself decides.
//!
//! Memory: an id, a pointer and about four marks, some 100 bytes a transaction. A mempool of 300 MB holds up to 300,000
//! transactions: 30 MB for the process, however many pods it has.

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    hash::{BuildHasher as _, Hash, RandomState},
    sync::Arc,
};

use bdk_wallet::bitcoin::{BlockHash, Transaction, Txid};

use super::rpc::{self, Client, MempoolInfo, Trouble};
use autonomy_node::Watched;

/// A transaction, one copy for all pods, and when it was seen first, seconds; 0 where that is not known.
pub(super) type Seen = (Arc<Transaction>, u64);

/// The mempool, as it was listed last.
#[derive(Debug, Default)]
pub(super) struct Mempool {
    /// With the marks of those that were fetched.
    entries: HashMap<Txid, Option<Marks>>,
    /// To be fetched.
    waiting: VecDeque<Txid>,
    /// The best block when it was listed; none where that changed meanwhile, or while bitcoind loads its mempool.
    listed_at: Option<BlockHash>,
    marker: Marker,
}

type Marks = Box<[u32]>;

/// Makes marks. Its key is drawn anew by each process, so nobody can make transactions whose marks meet.
#[derive(Debug, Default)]
struct Marker(RandomState);

impl Marker {
    fn mark(&self, thing: impl Hash) -> u32 {
        // Half of 64 bits that are all alike.
        self.0.hash_one(thing) as u32
    }

    fn marks(&self, transaction: &Transaction) -> Marks {
        let scripts = transaction.output.iter().map(|output| self.mark(output.script_pubkey.as_bytes()));
        let coins = transaction.input.iter().map(|input| self.mark(input.previous_output));
        scripts.chain(coins).collect()
    }

    /// The marks of all that a pod watches.
    fn sought(&self, watched: &Watched) -> HashSet<u32> {
        let scripts = watched.scripts().map(|script| self.mark(script.as_bytes()));
        scripts.chain(watched.coins().map(|coin| self.mark(coin))).collect()
    }
}

impl Mempool {
    /// Lists the mempool anew. Nothing changes while bitcoind still loads the mempool of its last run. Gives how it is, and
    /// what it takes.
    ///
    /// # Errors
    /// bitcoind does not answer.
    pub(super) fn list(&mut self, client: &Client) -> Result<MempoolInfo, Trouble> {
        self.listed_at = None;
        let info = rpc::mempool_info(client)?;
        if !info.loaded {
            return Ok(info);
        }
        let before = rpc::best(client)?;
        let ids = rpc::mempool_ids(client)?;
        let after = rpc::best(client)?;
        self.listed(ids);
        // What has just been mined is not in the mempool either.
        self.listed_at = (before == after).then_some(after);
        Ok(info)
    }

    /// Takes in a list: forgets what has left, and has what is new fetched.
    pub(super) fn listed(&mut self, ids: Vec<Txid>) {
        let present: HashSet<Txid> = ids.iter().copied().collect();
        self.entries.retain(|txid, _| present.contains(txid));
        self.waiting.retain(|txid| present.contains(txid));
        for txid in ids {
            if let Entry::Vacant(new) = self.entries.entry(txid) {
                new.insert(None);
                self.waiting.push_back(txid);
            }
        }
    }

    /// The best block at which the list was made, if it is known for sure.
    pub(super) fn listed_at(&self) -> Option<BlockHash> {
        self.listed_at
    }

    /// Whether a transaction is in it.
    pub(super) fn has(&self, txid: &Txid) -> bool {
        self.entries.contains_key(txid)
    }

    /// Whether transactions wait to be fetched.
    pub(super) fn has_more(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Fetches at most `batch` of those that are new, each with `fetch`.
    ///
    /// # Errors
    /// As `fetch`, with the first that fails: it and those after it are fetched the next time. Those before it are known
    /// and will not be fetched again: only a [`search`](Self::search) finds them.
    pub(super) fn fetch(
        &mut self,
        batch: usize,
        mut fetch: impl FnMut(&Txid) -> Result<Option<Seen>, Trouble>,
    ) -> Result<Vec<Seen>, Trouble> {
        let mut fetched = Vec::new();
        while let Some(txid) = self.waiting.front().copied().filter(|_| fetched.len() < batch) {
            if let Some(seen) = fetch(&txid)? {
                self.entries.insert(txid, Some(self.marker.marks(&seen.0)));
                fetched.push(seen);
            } else {
                self.forget(&txid);
            }
            self.waiting.pop_front();
        }
        Ok(fetched)
    }

    /// Forgets a transaction that has left the mempool since the list. If it is back in the next one, it is new again.
    pub(super) fn forget(&mut self, txid: &Txid) {
        self.entries.remove(txid);
    }

    /// Transactions among those fetched so far that may concern a pod, without those it has `heard` of.
    pub(super) fn search(&self, watched: &Watched, heard: impl Fn(&Txid) -> bool) -> Vec<Txid> {
        let sought = self.marker.sought(watched);
        if sought.is_empty() {
            return Vec::new();
        }
        let fits = |marks: &Marks| marks.iter().any(|mark| sought.contains(mark));
        let found = self.entries.iter().filter(|(_, marks)| marks.as_ref().is_some_and(fits));
        found.map(|(txid, _)| *txid).filter(|txid| !heard(txid)).collect()
    }
}

/// A transaction of the mempool; none where it has left. When bitcoind saw it first does not matter: a pod dates it by when
/// it hears of it.
pub(super) fn fetch(client: &Client, txid: &Txid) -> Result<Option<Seen>, Trouble> {
    let transaction = rpc::mempool_transaction(client, txid)?;
    Ok(transaction.map(|transaction| (Arc::new(transaction), 0)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use autonomy_blocks::spend;
    use bdk_wallet::bitcoin::{OutPoint, ScriptBuf, hashes::Hash as _};

    use super::*;
    use autonomy_node::Watch;

    fn script(number: u8) -> ScriptBuf {
        ScriptBuf::from_bytes(vec![0x50, number])
    }

    fn transaction(spends: u8, pays: u8) -> Transaction {
        spend(coin(spends), script(pays), 1)
    }

    fn coin(number: u8) -> OutPoint {
        OutPoint { txid: Txid::from_byte_array([number; 32]), vout: 0 }
    }

    /// A mempool of these, all fetched.
    fn mempool(transactions: &[Transaction]) -> Mempool {
        let mut mempool = Mempool::default();
        mempool.listed(transactions.iter().map(Transaction::compute_txid).collect());
        for transaction in transactions {
            let marks = mempool.marker.marks(transaction);
            mempool.entries.insert(transaction.compute_txid(), Some(marks));
        }
        mempool.waiting.clear();
        mempool
    }

    fn watched(scripts: &[u8], coins: &[u8]) -> Watched {
        let mut watched = Watched::default();
        watched.take(Watch {
            scripts: scripts.iter().map(|number| script(*number)).collect(),
            coins: coins.iter().map(|number| coin(*number)).collect(),
            txids: BTreeSet::new(),
        });
        watched
    }

    #[test]
    fn a_search_finds_payments_and_spends_and_nothing_it_has_heard() {
        let all = [transaction(1, 2), transaction(3, 4), transaction(5, 6)];
        let [pays, spends, _] = all.each_ref().map(Transaction::compute_txid);
        let mempool = mempool(&all);
        let found = |watched: &Watched, heard: &[Txid]| -> BTreeSet<Txid> {
            mempool.search(watched, |txid| heard.contains(txid)).into_iter().collect()
        };
        assert_eq!(found(&watched(&[2], &[3]), &[]), BTreeSet::from([pays, spends]));
        assert_eq!(found(&watched(&[2], &[3]), &[pays]), BTreeSet::from([spends]));
        assert_eq!(found(&watched(&[9], &[9]), &[]), BTreeSet::new());
        assert_eq!(found(&Watched::default(), &[]), BTreeSet::new());
    }

    #[test]
    fn a_list_keeps_what_is_known_and_asks_for_what_is_new() {
        let all = [transaction(1, 2), transaction(3, 4)];
        let [old, gone] = all.each_ref().map(Transaction::compute_txid);
        let mut mempool = mempool(&all);
        let new = transaction(5, 6).compute_txid();
        mempool.listed(vec![new, old]);
        assert!(mempool.has(&old) && mempool.has(&new) && !mempool.has(&gone));
        assert_eq!(mempool.waiting, [new]);
        mempool.listed(vec![old]);
        assert!(!mempool.has_more(), "it left before it was fetched");
        mempool.listed(vec![old, gone]);
        assert_eq!(mempool.waiting, [gone], "what comes back is fetched again");
    }

    #[test]
    fn what_left_between_list_and_fetch_is_fetched_once_it_is_back() {
        let transaction = transaction(1, 2);
        let txid = transaction.compute_txid();
        let mut mempool = Mempool::default();
        mempool.listed(vec![txid]);
        assert_eq!(mempool.fetch(9, |_| Ok(None)).unwrap(), []);
        assert!(!mempool.has(&txid) && !mempool.has_more());
        mempool.listed(vec![txid]);
        let seen = (Arc::new(transaction), 7);
        assert_eq!(mempool.fetch(9, |_| Ok(Some(seen.clone()))).unwrap(), std::slice::from_ref(&seen));
    }
}
