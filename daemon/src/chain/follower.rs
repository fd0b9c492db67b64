//! The thread that follows a bitcoind for all pods of a process.
//!
//! It works in rounds. In a round each pod is given at most one block, from where it stands; pods that stand at the same
//! place get the same block, which is read once. So a pod that was away for a year is served block by block beside those
//! that are at the tip. Nothing here waits for a pod: one that has no room, or has to commit first, is passed over.
//!
//! What concerns one pod only (another network, another chain, a block that was pruned) is delivered to that pod, which is
//! left alone until the next look. What concerns the connection to bitcoind is delivered to all, and everything is asked anew after
//! [`RETRY`]. Either way the cursors stay where they are, so nothing is skipped.
//!
//! Rounds follow each other at once while anything moves. Else the thread sleeps until a pod says something, bitcoind has
//! a new block (`tip`), or [`POLL`] is over.

mod mempool;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use bdk_wallet::{
    bitcoin::{Block, BlockHash, Transaction, Txid},
    chain::BlockId,
};

use super::{
    BitcoindConfig, Delivered,
    cursor::{Fork, Need, Standing},
    mempool::Mempool,
    orders::{OrderBook, PodId},
    rpc::{self, Client, Survey, Trouble},
    served::Served,
};
use autonomy_node::{BroadcastOutcome, FeeFloor, Input, KEPT_POINTS, SourceState};

/// Pause between two looks at the source: for its mempool, which nobody can wait for by RPC, and for a block that the
/// long poll missed. One for the whole process.
pub(super) const POLL: Duration = Duration::from_secs(2);
/// Pause after the source did not answer.
const RETRY: Duration = Duration::from_secs(2);
/// Pause before a pod is asked again that had no room. Its inbox of 64 empties with each commit, 5 ms to 0.1 s.
const FULL_RETRY: Duration = Duration::from_millis(100);
/// Pause between two looks at fee estimates.
const FEES_EVERY: Duration = Duration::from_secs(60);
/// Estimates that stay as they are are told again after so many looks: a pod stops going by those that grow old
/// ([`autonomy_node::MAX_FEE_AGE`] is three times as long).
const FEES_TOLD_AGAIN: u32 = 10;
/// Blocks below the tip that a new pod gets, so that a reorganisation right after its birth finds its fork: with the
/// tip as many as the node keeps. Only their headers are asked for, since there is no account yet they could concern.
const ANCHOR_DEPTH: u32 = KEPT_POINTS as u32 - 1;
/// Blocks kept for pods that are a little behind the others, which have to commit what they were given. A block of 4 MB
/// takes up to 10 MB in memory, so these take 40 MB at worst.
const CACHED_BLOCKS: usize = 4;

/// Follows a bitcoind for the pods of an order book.
pub(super) struct Follower {
    config: BitcoindConfig,
    /// Where pods join, and leave what they want.
    book: Arc<OrderBook>,
    /// All that are served now.
    pods: BTreeMap<PodId, Served>,
    /// bitcoind as it was at the last look; none after it did not answer.
    source: Option<Source>,
    /// When it is looked at again, if nothing wakes the follower before.
    next_look: Instant,
    mempool: Mempool,
    /// When the mempool is listed again at the earliest.
    next_list: Instant,
    /// Estimates: target in blocks, satoshi a virtual byte. Empty while bitcoind has none.
    fees: Vec<(u16, f64)>,
    next_fees: Instant,
    /// Looks at them since pods were told.
    fee_looks: u32,
    /// The least rate that bitcoind takes now, and by how much a replacement has to pay more.
    floor: Option<FeeFloor>,
    /// What pods want to send, in the order they said so: a later one may spend the change of an earlier one.
    broadcasts: Vec<(PodId, Txid, Box<Transaction>)>,
}

/// bitcoind at one look.
struct Source {
    /// A connection of its own, with the credentials of that moment: each start of bitcoind writes a new cookie.
    client: Client,
    survey: Survey,
    /// Where blocks stand, so that it is asked once for all pods that stand at the same.
    standings: HashMap<BlockHash, Standing>,
    /// The last blocks that were read, newest last.
    blocks: VecDeque<(BlockHash, Arc<Block>)>,
}

impl Follower {
    pub(super) fn new(config: BitcoindConfig, book: Arc<OrderBook>) -> Self {
        let now = now();
        Self {
            config,
            book,
            pods: BTreeMap::new(),
            source: None,
            next_look: now,
            mempool: Mempool::default(),
            next_list: now,
            fees: Vec::new(),
            next_fees: now,
            fee_looks: 0,
            floor: None,
            broadcasts: Vec::new(),
        }
    }

    /// Serves the pods until none is left. A call to bitcoind takes 15 seconds at most, the client's own limit, so that
    /// long pods may wait when it hangs; they go on meanwhile, and hear that it is away after.
    pub(super) fn run(mut self) {
        loop {
            self.take_orders();
            if self.pods.is_empty() && self.book.end_if_idle() {
                return;
            }
            let pause = self.guarded_round().unwrap_or_else(|trouble| self.all_away(&trouble));
            self.book.wait(pause);
        }
    }

    /// A round. One that panics is a trouble as any other: pods are told and served again, in place of a thread that is gone
    /// and pods that believe to be followed.
    fn guarded_round(&mut self) -> Result<Duration, Trouble> {
        // Cursors move only after what they moved for was taken, so nothing is skipped; the mempool is read anew.
        catch_unwind(AssertUnwindSafe(|| self.round())).unwrap_or_else(|_| {
            self.mempool = Mempool::default();
            self.pods.values_mut().for_each(Served::missed);
            Err(Trouble::new("an error in this program stopped the reading of the chain; it is tried again. Please report it, \
                 with the log".into()))
        })
    }

    /// bitcoind cannot be followed now. Gives how long to wait.
    fn all_away(&mut self, trouble: &Trouble) -> Duration {
        self.source = None;
        self.next_look = now() + RETRY;
        let away = SourceState::Away(trouble.to_string());
        for pod in self.pods.values_mut() {
            pod.tell(away.clone());
        }
        RETRY
    }

    /// Reads what pods want; takes in those that join, and drops those that have left. A pod that joins is served at once,
    /// whenever the next look is due.
    fn take_orders(&mut self) {
        for (id, pod) in self.book.joined() {
            self.pods.insert(id, Served::new(pod));
            self.next_look = self.next_look.min(now());
        }
        let ids: Vec<PodId> = self.pods.keys().copied().collect();
        ids.into_iter().for_each(|id| self.take_orders_of(id));
        self.pods.retain(|id, pod| {
            if pod.gone {
                self.book.forget(*id);
            }
            !pod.gone
        });
    }

    /// The same of one pod. What it watches from now on is part of the next comparison.
    fn take_orders_of(&mut self, id: PodId) {
        let Some(pod) = self.pods.get_mut(&id) else { return };
        let broadcasts = pod.obey(self.book.take(id));
        self.broadcasts.extend(broadcasts.into_iter().map(|(txid, transaction)| (id, txid, transaction)));
    }

    /// Gives every pod what it can take now. Gives how long to wait before the next round, if nothing happens.
    ///
    /// # Errors
    /// The way to bitcoind is broken: no pod can be served now.
    fn round(&mut self) -> Result<Duration, Trouble> {
        self.send();
        let now = now();
        // Noted in any case, but a source that does not answer is not asked again for every new order.
        let moved = self.book.take_tip_moved() && self.source.is_some();
        if moved || now >= self.next_look {
            self.look(now)?;
        }
        let Some(mut source) = self.source.take() else {
            return Ok(self.next_look.saturating_duration_since(now));
        };
        let worked = self.serve_all(&mut source, now).and_then(|moved| {
            self.follow_mempool(&source, now)?;
            Ok(moved)
        });
        self.source = Some(source);
        let moved = worked?;
        Ok(if moved || self.mempool.has_more() { Duration::ZERO } else { self.pause(now) })
    }

    /// Until the next look, or until a pod that was passed over is asked again.
    fn pause(&self, now: Instant) -> Duration {
        let held = self.pods.values().filter_map(|pod| pod.held(now));
        let next = held.fold(self.next_look, Instant::min);
        next.saturating_duration_since(now)
    }

    /// Hands over what pods want to send, for those that are followed: another chain, or a bitcoind that lacks blocks, would
    /// answer nothing that counts. The outcome of one that has no room for it is lost: its node sends again.
    fn send(&mut self) {
        for (id, txid, transaction) in std::mem::take(&mut self.broadcasts) {
            let Some(pod) = self.pods.get_mut(&id) else { continue };
            let outcome = match pod.unfollowed() {
                None => rpc::client(&self.config).map_or_else(
                    |trouble| BroadcastOutcome::Unanswered(trouble.to_string()),
                    |client| rpc::broadcast(&client, &transaction),
                ),
                Some(why) => BroadcastOutcome::Unanswered(why),
            };
            pod.give(Input::Broadcast(txid, outcome));
        }
    }

    /// Asks bitcoind how it is, and forgets what may have changed since: where blocks stand, and what was missing for
    /// some pod. Blocks that were read stay, since a hash names one for good.
    fn look(&mut self, now: Instant) -> Result<(), Trouble> {
        let client = rpc::client(&self.config)?;
        let survey = rpc::survey(&client)?;
        let blocks = self.source.take().map(|source| source.blocks).unwrap_or_default();
        self.source = Some(Source { client, survey, standings: HashMap::new(), blocks });
        self.next_look = now + POLL;
        self.pods.values_mut().for_each(Served::release);
        Ok(())
    }

    /// Serves each pod once. Gives whether any got further: then there may be more for it.
    fn serve_all(&mut self, source: &mut Source, now: Instant) -> Result<bool, Trouble> {
        if now >= self.next_fees {
            self.next_fees = now + FEES_EVERY;
            let fees = rpc::fee_estimates(&source.client);
            self.fee_looks += 1;
            if fees != self.fees || self.fee_looks >= FEES_TOLD_AGAIN {
                (self.fees, self.fee_looks) = (fees, 0);
                self.pods.values_mut().for_each(Served::fees_changed);
            }
        }
        let mut moved = false;
        let ids: Vec<PodId> = self.pods.keys().copied().collect();
        for id in ids {
            match self.serve(id, source, now) {
                Ok(further) => moved |= further,
                // What this pod needs cannot be had; the others go on.
                Err(trouble) if trouble.refused => self.turn_away(id, trouble.to_string()),
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(moved)
    }

    /// Gives a pod what it needs next, one block at most. Gives whether it got further.
    fn serve(&mut self, id: PodId, source: &mut Source, now: Instant) -> Result<bool, Trouble> {
        let Some(pod) = self.pods.get_mut(&id).filter(|pod| pod.held(now).is_none()) else {
            return Ok(false);
        };
        if let Some(wrong) = source.survey.wrong_network(pod.network) {
            self.turn_away(id, wrong);
            return Ok(false);
        }
        let delivered = match pod.cursor.needs(&source.survey.best) {
            Need::Watch | Need::Commit => return Ok(false),
            Need::Nothing => {
                pod.tell(source.survey.state());
                pod.tell_fees(&self.fees);
                pod.tell_floor(self.floor);
                return Ok(false);
            }
            Need::Anchor => {
                pod.give_anchor(rpc::last_blocks(&source.client, source.survey.blocks, ANCHOR_DEPTH)?)
            }
            Need::Next => {
                let known = pod.cursor.tip().map_or(0, |tip| tip.height);
                let oldest = pod.cursor.oldest();
                let Some(fork) = pod.cursor.fork(|block| source.standing(block))? else {
                    let survey = &source.survey;
                    match oldest.is_some_and(|oldest| survey.blocks < oldest) {
                        true => self.wait_for_blocks(id, survey, known),
                        false => self.turn_away(id, rpc::another_chain(known)),
                    }
                    return Ok(false);
                };
                match self.next_block(id, fork, source)? {
                    Some(delivered) => delivered,
                    None => return Ok(false),
                }
            }
        };
        if delivered == Delivered::Full
            && let Some(pod) = self.pods.get_mut(&id)
        {
            pod.hold(now + FULL_RETRY);
        }
        Ok(delivered == Delivered::Taken)
    }

    /// Gives a pod the block after those it shares with the best chain; none where there is no such block.
    fn next_block(
        &mut self,
        id: PodId,
        fork: Fork,
        source: &mut Source,
    ) -> Result<Option<Delivered>, Trouble> {
        let Fork { base, next } = fork;
        let Some(next) = next else {
            let known = self.pods.get(&id).and_then(|pod| pod.cursor.tip()).map_or(0, |tip| tip.height);
            match base.hash == source.survey.best && base.height < known {
                true => self.wait_for_blocks(id, &source.survey, known),
                // It moved since the last look: the next one tells.
                false => self.wait_for_look(id),
            }
            return Ok(None);
        };
        let block = source.block(&next)?;
        // Only now: an address that was given out before this block was mined is watched in any case.
        self.take_orders_of(id);
        let Some(pod) = self.pods.get_mut(&id) else { return Ok(None) };
        if source.survey.blocks > base.height.saturating_add(1) {
            pod.tell(SourceState::Syncing(source.survey.blocks));
        }
        Ok(pod.cursor.look(base, &block).map(|found| pod.give_block(found)))
    }

    /// The source has fewer blocks than the pod knows, up to height `known`: it is reading them, or has lost some.
    fn wait_for_blocks(&mut self, id: PodId, survey: &Survey, known: u32) {
        if let (Some(height), Some(pod)) = (survey.catching_up_to, self.pods.get_mut(&id)) {
            pod.tell(SourceState::Syncing(height));
            self.wait_for_look(id);
        } else {
            self.turn_away(id, rpc::fallen_behind(survey.blocks, known));
        }
    }

    /// Tells a pod why it cannot be served, and leaves it alone until the next look.
    fn turn_away(&mut self, id: PodId, why: String) {
        if let Some(pod) = self.pods.get_mut(&id) {
            pod.tell(SourceState::Away(why));
        }
        self.wait_for_look(id);
    }

    /// Until bitcoind was looked at again there is nothing for this pod.
    fn wait_for_look(&mut self, id: PodId) {
        if let Some(pod) = self.pods.get_mut(&id) {
            pod.hold(self.next_look);
        }
    }
}

impl Source {
    /// Where a block stands, asked once a look.
    fn standing(&mut self, block: &BlockId) -> Result<Standing, Trouble> {
        if let Some(standing) = self.standings.get(&block.hash) {
            return Ok(*standing);
        }
        let standing = rpc::standing(&self.client, &block.hash)?;
        self.standings.insert(block.hash, standing);
        Ok(standing)
    }

    /// A whole block, read once for all pods that are about as far.
    fn block(&mut self, hash: &BlockHash) -> Result<Arc<Block>, Trouble> {
        if let Some((_, block)) = self.blocks.iter().find(|(cached, _)| cached == hash) {
            return Ok(block.clone());
        }
        let block = Arc::new(rpc::block(&self.client, hash)?);
        if self.blocks.len() == CACHED_BLOCKS {
            self.blocks.pop_front();
        }
        self.blocks.push_back((*hash, block.clone()));
        Ok(block)
    }
}

#[expect(clippy::disallowed_methods, reason = "the follower decides when to look again")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
