//! What the chain says: blocks, reorganisations, the mempool.

use std::sync::Arc;

use bdk_wallet::chain::local_chain::{self, ApplyHeaderError};
use bdk_wallet::chain::{Indexer as _, Merge, keychain_txout};
use bdk_wallet::{ChangeSet, LoadParams, Wallet};

use super::{BlockId, CheckPoint, Ledger, MAX_HEIGHT, kind};
use crate::account::Keychain;
use crate::bitcoin::block::Header;
use crate::bitcoin::{Amount, Block, BlockHash, Transaction, Txid};

/// What a block or a set of unconfirmed transactions did to the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Transactions of the account that are new, or whose standing changed because of their place in a block.
    /// After a reorganisation others may have changed too: look at the history.
    pub relevant: Vec<Txid>,
    /// Whether blocks that were known are gone.
    pub reorganised: bool,
}

/// Why a block was not taken. The ledger is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The block does not connect to anything this ledger knows.
    #[error(
        "block {height} does not connect to the ledger's chain (tip {tip}); \
         ask the source for blocks from a common checkpoint"
    )]
    Disconnected {
        /// The block's height.
        height: u32,
        /// Our tip.
        tip: u32,
    },
    /// `connected_to` contradicts the block's own header or height, or the height is past any real one.
    #[error("block {height} does not follow the block it is said to connect to")]
    Inconsistent {
        /// The block's height.
        height: u32,
    },
    /// A transaction that no valid block has.
    #[error("block {height} holds {txid}, which pays more than there will ever be; the source is broken")]
    Impossible {
        /// The block's height.
        height: u32,
        /// The transaction.
        txid: Txid,
    },
}

impl Ledger {
    /// The chain as the ledger knows it, newest block first: what a chain source compares with its own.
    ///
    /// Sparse: the last [`KEPT_CHECKPOINTS`](super::KEPT_CHECKPOINTS) blocks at least, those with transactions
    /// of the account, and the first block.
    pub fn checkpoint(&self) -> CheckPoint {
        self.wallet.latest_checkpoint()
    }

    /// The newest block.
    pub fn tip(&self) -> BlockId {
        self.wallet.latest_checkpoint().block_id()
    }

    /// The hash of a block the ledger knows.
    pub fn block_hash(&self, height: u32) -> Option<BlockHash> {
        self.wallet.local_chain().get(height).map(|checkpoint| checkpoint.hash())
    }

    /// Takes a block of the best chain.
    ///
    /// `connected_to` is the highest block below it that ledger and source agree on: its parent in the plain
    /// case, a lower one after a gap or a reorganisation. Blocks above it that differ are dropped, and their
    /// transactions become pending again.
    ///
    /// # Errors
    /// [`ApplyError`] when the block does not connect; the ledger is unchanged.
    pub fn apply_block(
        &mut self,
        block: &Block,
        height: u32,
        connected_to: BlockId,
    ) -> Result<Applied, ApplyError> {
        if height > MAX_HEIGHT {
            return Err(ApplyError::Inconsistent { height });
        }
        if let Some(tx) = block.txdata.iter().find(|tx| !amounts_possible(tx)) {
            return Err(ApplyError::Impossible { height, txid: tx.compute_txid() });
        }
        let before = self.tip();
        match self.wallet.apply_block_connected_to(block, height, connected_to) {
            Ok(()) => {}
            Err(ApplyHeaderError::InconsistentBlocks) => return Err(ApplyError::Inconsistent { height }),
            Err(ApplyHeaderError::CannotConnect(_)) => {
                self.disconnect_above(connected_to)
                    .filter(|_| connected_to.height < height)
                    .ok_or(ApplyError::Disconnected { height, tip: before.height })?;
                self.wallet
                    .apply_block_connected_to(block, height, connected_to)
                    .map_err(|_| ApplyError::Disconnected { height, tip: before.height })?;
            }
        }
        let reorganised = self.block_hash(before.height) != Some(before.hash);
        let applied = Applied { relevant: self.drain_stage(), reorganised };
        if reorganised || !applied.relevant.is_empty() || self.balance_has_immature() {
            self.snapshot.take();
        }
        Ok(applied)
    }

    /// Takes a block of the best chain of which the source has made sure that nothing concerns this account
    /// ([`Ledger::watchlist`]): its header. What [`Ledger::apply_block`] says of `connected_to` and of errors holds here.
    ///
    /// The ledger is afterwards as if it had been given the whole block. A transaction of the account that the block
    /// holds all the same is missed for good, and its coins with it.
    ///
    /// # Errors
    /// [`ApplyError`] when the block does not connect; the ledger is unchanged.
    pub fn apply_header(
        &mut self,
        header: Header,
        height: u32,
        connected_to: BlockId,
    ) -> Result<Applied, ApplyError> {
        self.apply_block(&Block { header, txdata: Vec::new() }, height, connected_to)
    }

    /// Takes unconfirmed transactions with the time they were seen (seconds since 1970). Foreign ones are
    /// ignored, so a whole mempool may be given: also those that spend what a payment to us spends, which decides nothing
    /// before it is in a block.
    ///
    /// Also call it with a payment of our own when it is broadcast: the ledger does not know it otherwise.
    pub fn apply_unconfirmed(
        &mut self,
        txs: impl IntoIterator<Item = (impl Into<Arc<Transaction>>, u64)>,
    ) -> Applied {
        // One that already counts gains nothing from being seen again, and would cost a commit.
        let fresh: Vec<_> = txs
            .into_iter()
            .map(|(tx, seen)| -> (Arc<Transaction>, u64) { (tx.into(), seen) })
            .filter(|(tx, _)| may_be_unconfirmed(tx))
            .filter(|(tx, _)| {
                let txid = tx.compute_txid();
                (!self.counts(&txid) || self.is_gone(&txid)) && !self.is_rival(tx)
            })
            .map(|(tx, seen)| {
                // Later than it left, also if the clock was set back meanwhile.
                let left = self.left_at(&tx.compute_txid()).map_or(0, |left| left.saturating_add(1));
                (tx, seen.max(left))
            })
            .collect();
        self.wallet.apply_unconfirmed_txs(fresh);
        let relevant = self.drain_stage();
        if !relevant.is_empty() {
            self.snapshot.take();
        }
        Applied { relevant, reorganised: false }
    }

    /// Takes transactions that left the mempool without a block, with the time this was noticed.
    ///
    /// One that is known to have left gives no rows, though it may still count: another that waits may spend its coins.
    pub fn apply_evicted(&mut self, txids: impl IntoIterator<Item = (Txid, u64)>) -> Applied {
        let graph = self.wallet.tx_graph();
        let known = txids.into_iter().filter(|(txid, _)| self.counts(txid)).filter_map(|(txid, at)| {
            // Not before it was seen, also if the clock was set back meanwhile.
            let seen = graph.get_tx_node(txid)?.last_seen.unwrap_or(0);
            (!self.is_gone(&txid)).then_some((txid, at.max(seen)))
        });
        let known: Vec<_> = known.collect();
        let relevant: Vec<_> = known.iter().map(|(txid, _)| *txid).collect();
        self.wallet.apply_evicted_txs(known);
        self.drain_stage();
        if !relevant.is_empty() {
            self.snapshot.take();
        }
        Applied { relevant, reorganised: false }
    }

    /// Transactions of the account that wait for a block: what a chain source watches for eviction.
    pub fn unconfirmed(&self) -> impl Iterator<Item = Txid> + '_ {
        use super::HistoryState::Pending;
        let pending = |entry: &&super::HistoryEntry| matches!(entry.state, Pending { .. });
        // They come first in the history, which may be long.
        self.history().iter().take_while(pending).map(|entry| entry.txid)
    }

    /// When a transaction left the mempool last, seconds since 1970.
    fn left_at(&self, txid: &Txid) -> Option<u64> {
        self.wallet.tx_graph().get_last_evicted(*txid)
    }

    /// Whether it left the mempool and was not seen again since. It may count still, because another that waits spends its
    /// coins.
    fn is_gone(&self, txid: &Txid) -> bool {
        let seen = self.wallet.tx_graph().get_tx_node(*txid).and_then(|node| node.last_seen);
        self.left_at(txid).is_some_and(|left| Some(left) >= seen)
    }

    /// Whether a transaction of others spends a coin that one of ours spends, too; or pays us in place of one whose coin we
    /// have spent already.
    fn is_rival(&self, tx: &Transaction) -> bool {
        let (graph, index) = (self.wallet.tx_graph(), self.wallet.spk_index());
        let spends_own = tx.input.iter().any(|input| index.txout(input.previous_output).is_some());
        let spent = |txid: &Txid| self.entry(txid).is_some_and(|entry| entry.sent > Amount::ZERO);
        let ends_ours = |txid| {
            spent(&txid) || graph.walk_descendants(txid, |_, txid| Some(txid)).any(|txid| spent(&txid))
        };
        !spends_own
            && graph.direct_conflicts(tx).any(|(_, txid)| !index.is_tx_relevant(tx) || ends_ours(txid))
    }

    fn counts(&self, txid: &Txid) -> bool {
        use super::HistoryState::{Confirmed, Pending};
        self.wallet.tx_graph().get_tx(*txid).is_some()
            && self.entry(txid).is_some_and(|entry| matches!(entry.state, Confirmed { .. } | Pending { .. }))
    }

    fn balance_has_immature(&self) -> bool {
        self.snapshot.get().is_some_and(|snapshot| snapshot.balance.immature.to_sat() > 0)
    }

    /// Moves bdk's staged changes to ours, and says which transactions they touch.
    pub(super) fn drain_stage(&mut self) -> Vec<Txid> {
        let Some(staged) = self.wallet.take_staged() else { return Vec::new() };
        let graph = &staged.tx_graph;
        let mut touched: Vec<Txid> = graph.txs.iter().map(|tx| tx.compute_txid()).collect();
        touched.extend(graph.anchors.iter().map(|(_, txid)| *txid));
        touched.extend(graph.last_seen.keys());
        touched.sort_unstable();
        touched.dedup();
        staged.tx_graph.txs.iter().for_each(|tx| self.note_coins(tx));
        self.pending.merge(staged);
        touched
    }

    /// Drops every block above `base`, which must be one the ledger knows.
    ///
    /// bdk refuses a reorganisation that forks between two sparse checkpoints, because it cannot tell which of
    /// the higher ones survive. The source can, and says so by `connected_to`.
    fn disconnect_above(&mut self, base: BlockId) -> Option<()> {
        if self.block_hash(base.height) != Some(base.hash) {
            return None;
        }
        self.drain_stage();
        let mut all = self.everything();
        let gone: Vec<u32> =
            all.local_chain.blocks.range(base.height + 1..).map(|(height, _)| *height).collect();
        for height in gone {
            all.local_chain.blocks.remove(&height);
            self.pending.local_chain.blocks.insert(height, None);
        }
        self.wallet = reopen(all, self.lookahead)?;
        self.drain_stage();
        self.snapshot.take();
        Some(())
    }

    /// The whole state as one change set.
    pub(super) fn everything(&self) -> ChangeSet {
        let index = self.wallet.spk_index();
        let mut indexer = keychain_txout::ChangeSet::default();
        for keychain in Keychain::ALL {
            let id = super::rows::descriptor_id(&self.map, keychain);
            if let Some(last) = index.last_revealed_index(kind(keychain)) {
                indexer.last_revealed.insert(id, last);
            }
            let all = index.inner().all_spks();
            let of_keychain = all.range((kind(keychain), 0)..=(kind(keychain), u32::MAX));
            let scripts = of_keychain.map(|((_, index), script)| (*index, script.clone()));
            indexer.spk_cache.insert(id, scripts.collect());
        }
        let [external, internal] = Keychain::ALL.map(|keychain| Some(self.map.flat(keychain).clone()));
        ChangeSet {
            descriptor: external,
            change_descriptor: internal,
            network: Some(self.map.network()),
            local_chain: local_chain::ChangeSet::from(self.wallet.local_chain().initial_changeset().blocks),
            tx_graph: self.wallet.tx_graph().initial_changeset(),
            indexer,
            locked_outpoints: bdk_wallet::locked_outpoints::ChangeSet {
                outpoints: self.wallet.list_locked_outpoints().map(|outpoint| (outpoint, true)).collect(),
            },
        }
    }
}

/// What only a hostile peer would gossip is dropped: no node relays it, and bdk would panic over a mining reward
/// outside a block.
fn may_be_unconfirmed(tx: &Transaction) -> bool {
    let spends = !tx.is_coinbase() && tx.input.iter().all(|input| !input.previous_output.is_null());
    spends && !tx.input.is_empty() && !tx.output.is_empty() && amounts_possible(tx)
}

/// Consensus: neither one output nor all together exceed 21 million bitcoin.
pub(super) fn amounts_possible(tx: &Transaction) -> bool {
    let total = tx.output.iter().try_fold(Amount::ZERO, |sum, output| sum.checked_add(output.value));
    total.is_some_and(|total| total <= Amount::MAX_MONEY)
}

/// Opens a wallet over a change set whose parts were checked. What it stages tells nothing new.
///
/// bdk (0.23) loads when a transaction was seen last, and takes this for when it was seen first. One that was seen again
/// after an eviction is shown to it a second time, as of then.
pub(super) fn reopen(all: ChangeSet, lookahead: u32) -> Option<Wallet> {
    let seen_first = seen_first(&all);
    let params = LoadParams::new().lookahead(lookahead).use_spk_cache(true);
    let mut wallet = Wallet::load_with_params(all, params).ok().flatten()?;
    wallet.apply_unconfirmed_txs(seen_first);
    Some(wallet)
}

/// Transactions that were seen more than once, and when first.
fn seen_first(all: &ChangeSet) -> Vec<(Arc<Transaction>, u64)> {
    let graph = &all.tx_graph;
    let first = |tx: &Arc<Transaction>| {
        let txid = tx.compute_txid();
        let first = *graph.first_seen.get(&txid)?;
        (graph.last_seen.get(&txid) > Some(&first)).then(|| (tx.clone(), first))
    };
    graph.txs.iter().filter_map(first).collect()
}
