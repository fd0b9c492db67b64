//! The mempool, once a round: listed when that is due, fetched a batch at a time, and given to each pod at the best block.

use std::time::Instant;

use autonomy_node::FeeFloor;
use bdk_wallet::bitcoin::{BlockHash, FeeRate, Txid};

use super::{FULL_RETRY, Follower, POLL, Source};
use crate::chain::{
    Delivered,
    mempool::{self, Mempool, Seen},
    rpc::Trouble,
    served::{MEMPOOL_BATCH, Served},
};

/// A look at the mempool takes at most one part in so many of the time, ours and bitcoind's: 5 %. A list of 100,000
/// transactions is 7 MB of JSON and takes some 0.2 s, after which comes a pause of 4 s.
const MEMPOOL_SHARE: u32 = 20;

impl Follower {
    /// Lists the mempool when that is due, fetches some of what is new, and gives each pod what concerns it.
    ///
    /// A pod that is behind hears of nothing: a transaction that spends a coin it has not seen yet would not concern it. It
    /// is searched for such a pod once it is at the tip.
    pub(super) fn follow_mempool(&mut self, source: &Source, now: Instant) -> Result<(), Trouble> {
        if now >= self.next_list && !self.mempool.has_more() {
            let info = self.mempool.list(&source.client)?;
            self.floor = info
                .floor
                .map(|least| FeeFloor { least, increment: info.increment.unwrap_or(FeeRate::BROADCAST_MIN) });
            let took = super::now().saturating_duration_since(now);
            self.next_list = now + POLL.max(took * MEMPOOL_SHARE);
            let mempool = &self.mempool;
            self.pods.values_mut().for_each(|pod| pod.tell_evicted(mempool));
        }
        self.give_fresh(&source.survey.best, now, |txid| mempool::fetch(&source.client, txid))
    }

    /// Fetches some of what is new, and gives each pod at `best` what concerns it.
    ///
    /// # Errors
    /// As `fetch`. The mempool is searched for every pod then: what was fetched before the error is not new the next time,
    /// and may have reached none of them.
    pub(super) fn give_fresh(
        &mut self,
        best: &BlockHash,
        now: Instant,
        mut fetch: impl FnMut(&Txid) -> Result<Option<Seen>, Trouble>,
    ) -> Result<(), Trouble> {
        let Self { mempool, pods, .. } = self;
        let given = mempool.fetch(MEMPOOL_BATCH, &mut fetch).and_then(|fresh| {
            pods.values_mut().try_for_each(|pod| {
                if pod.listens(best) && pod.held(now).is_none() {
                    return give(pod, mempool, &fresh, now, &mut fetch);
                }
                if !fresh.is_empty() {
                    pod.missed();
                }
                Ok(())
            })
        });
        if given.is_err() {
            pods.values_mut().for_each(Served::missed);
        }
        given
    }
}

/// Gives a pod what concerns it among `fresh`; in the whole mempool, where that is to be searched for it.
fn give(
    pod: &mut Served,
    mempool: &mut Mempool,
    fresh: &[Seen],
    now: Instant,
    fetch: impl FnMut(&Txid) -> Result<Option<Seen>, Trouble>,
) -> Result<(), Trouble> {
    let searched = pod.is_search_due();
    let delivered = if searched { search(pod, mempool, fetch)? } else { pod.hear(fresh, true) };
    if delivered == Delivered::Full {
        pod.hold(now + FULL_RETRY);
    }
    Ok(())
}

/// Gives a pod what the whole mempool holds for it, as far as it was fetched: a batch at a time.
fn search(
    pod: &mut Served,
    mempool: &mut Mempool,
    mut fetch: impl FnMut(&Txid) -> Result<Option<Seen>, Trouble>,
) -> Result<Delivered, Trouble> {
    let found = pod.search(mempool);
    let all = found.len() < MEMPOOL_BATCH;
    let mut seen = Vec::new();
    for txid in found {
        match fetch(&txid)? {
            Some(transaction) => seen.push(transaction),
            None => mempool.forget(&txid),
        }
    }
    Ok(pod.hear(&seen, all))
}
