//! What the chain source saw: the blocks a pod knows, how the source is, and which account each block concerns.
//!
//! [`Chain`] owns what the pod knows of the chain: the last blocks (rows), and what the source said since the process
//! started. The turn hands each block to the accounts; what that means to their owner is in [`movements`].

mod movements;

use std::{
    collections::BTreeSet,
    ops::Bound::{Excluded, Unbounded},
};

use autonomy_wallet::{
    account::AccountId,
    bitcoin::{Block, BlockHash, FeeRate, Transaction, Txid, block::Header},
    estimate::{self, Estimate, FeeBucket},
    ledger::{BlockId, Ledger},
    rate,
};
use serde::{Deserialize, Serialize};

use super::{
    ChainEvent, ChainPoint, Node, SourceState, Timestamp,
    row::{Row, RowError, tag},
    table::{Held, Restore, Table},
    turn::Turn,
};

/// Blocks remembered, to find the fork of a reorganisation: a day. The deepest on mainnet since 2013 had 24.
pub const KEPT_POINTS: usize = 144;

/// The last blocks, by height. A new block costs one row of about 60 bytes, and the removal of the oldest.
pub(crate) static CHAIN: Table<u32, PointRow> = Table::new(tag::CHAIN);

/// A block as it stands in its row; its height is the row's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PointRow {
    hash: BlockHash,
    time: Timestamp,
}

/// What the pod knows of the chain.
///
/// Two nodes are equal here if they know the same blocks: the rest is learnt anew after a start.
#[derive(Debug)]
pub(crate) struct Chain {
    points: Held<u32, PointRow>,
    source: SourceState,
    fees: Vec<FeeBucket>,
    /// Why the source's blocks no longer connect to ours, while they do not.
    detached: Option<String>,
    /// The transactions that the source was told last to look for in the mempool.
    told: BTreeSet<Txid>,
}

impl Chain {
    /// No block known, no source heard.
    pub(super) fn new() -> Self {
        Self {
            points: Held::new(&CHAIN),
            source: SourceState::Away("not asked yet".into()),
            fees: Vec::new(),
            detached: None,
            told: BTreeSet::new(),
        }
    }

    /// The oldest block remembered; no reorganisation reaches below it.
    pub(super) fn first(&self) -> Option<ChainPoint> {
        self.points.first_key_value().map(point)
    }

    /// The newest block: what confirmations are counted from, and the birthday of an account made now.
    pub(super) fn tip(&self) -> Option<ChainPoint> {
        self.points.last_key_value().map(point)
    }

    /// All blocks remembered, oldest first: at most [`KEPT_POINTS`].
    fn points(&self) -> impl DoubleEndedIterator<Item = ChainPoint> {
        self.points.iter().map(point)
    }

    /// How the source is, as it said last; away before it said anything.
    pub(super) fn source(&self) -> &SourceState {
        &self.source
    }

    /// Why the source's blocks do not connect to those remembered; `None` while they do.
    pub(super) fn detached(&self) -> Option<&str> {
        self.detached.as_deref()
    }

    /// Fee estimates of the source; empty while it has none.
    pub(super) fn fees(&self) -> &[FeeBucket] {
        &self.fees
    }

    /// Notes what the source is told to find in the mempool; gives whether it was told the same before.
    pub(super) fn told_txids(&mut self, txids: &BTreeSet<Txid>) -> bool {
        let same = self.told == *txids;
        if !same {
            self.told.clone_from(txids);
        }
        same
    }

    /// Takes the blocks below the first that concerns this pod. Only a pod that knows none takes them, and not more than
    /// it keeps.
    fn anchor(&mut self, points: Vec<ChainPoint>) -> Vec<Row> {
        if !self.points.is_empty() || points.len() > KEPT_POINTS {
            return Vec::new();
        }
        points.into_iter().map(|point| self.put(point)).collect()
    }

    /// Puts a block on the one that it names as its parent; blocks at its height and above are gone. Gives the rows; none
    /// where the parent is not remembered at the height below.
    fn extend(&mut self, header: &Header, height: u32) -> Option<Vec<Row>> {
        let below = height.checked_sub(1).and_then(|below| self.points.get(&below));
        if below.is_none_or(|below| below.hash != header.prev_blockhash) {
            self.detached = Some(format!(
                "block {height} of bitcoind does not connect to the blocks this pod knows: a reorganisation deeper than \
                 {KEPT_POINTS} blocks. Nothing is changed; let bitcoind return to its chain, or restore a backup"
            ));
            return None;
        }
        self.detached = None;
        let gone: Vec<u32> =
            self.points.range((Excluded(height), Unbounded)).map(|(height, _)| *height).collect();
        let mut rows: Vec<Row> = gone.iter().map(|height| self.points.remove(height)).collect();
        rows.push(self.put(ChainPoint { height, hash: header.block_hash(), time: header.time.into() }));
        while self.points.len() > KEPT_POINTS {
            let Some(oldest) = self.points.keys().next().copied() else { break };
            rows.push(self.points.remove(&oldest));
        }
        Some(rows)
    }

    fn put(&mut self, point: ChainPoint) -> Row {
        let ChainPoint { height, hash, time } = point;
        self.points.put(height, PointRow { hash, time })
    }
}

fn point((height, row): (&u32, &PointRow)) -> ChainPoint {
    ChainPoint { height: *height, hash: row.hash, time: row.time }
}

impl PartialEq for Chain {
    fn eq(&self, other: &Self) -> bool {
        self.points == other.points
    }
}

impl Restore for Chain {
    fn tag(&self) -> u8 {
        self.points.tag()
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), RowError> {
        self.points.restore(key, value)
    }
}

impl Node {
    /// The blocks known last, oldest first: where the chain source resumes. At most [`KEPT_POINTS`].
    #[must_use]
    pub fn chain_points(&self) -> Vec<ChainPoint> {
        self.chain.points().collect()
    }

    /// Height of the newest block; 0 while none is known.
    pub(super) fn tip_height(&self) -> u32 {
        self.chain.tip().map_or(0, |tip| tip.height)
    }

    /// Minutes to the first confirmation of a transaction that pays `rate`; none where the source cannot tell, as on
    /// networks without traffic.
    pub(super) fn estimated_minutes(&self, rate: FeeRate) -> Option<u32> {
        match estimate::first_confirmation(rate, self.chain.fees()) {
            Estimate::Within { minutes, .. } => Some(minutes),
            Estimate::LongerThan { .. } | Estimate::Unknown => None,
        }
    }
}

impl Turn<'_> {
    /// Takes what the source saw.
    pub(super) fn chain_event(&mut self, event: ChainEvent) {
        match event {
            ChainEvent::Anchor(points) => self.step.rows.extend(self.node.chain.anchor(points)),
            ChainEvent::Block { block, height } => self.block(&block.header, Some(&block), height),
            ChainEvent::Header { header, height } => self.block(&header, None, height),
            ChainEvent::Mempool { seen, evicted } => self.mempool(&seen, &evicted),
            ChainEvent::Source(state) => self.source(state),
            ChainEvent::Fees(fees) => self.node.chain.fees = fees.into_iter().filter_map(bucket).collect(),
        }
    }

    /// Notes how the source is. One that is back gets what could not be sent meanwhile.
    fn source(&mut self, state: SourceState) {
        let was_away = matches!(self.node.chain.source, SourceState::Away(_));
        self.node.chain.source = state;
        if was_away && !matches!(self.node.chain.source, SourceState::Away(_)) {
            // What could not be sent while it was away goes out now.
            self.node.outside.last_broadcast = 0;
        }
    }

    /// A block on one of those remembered: whole, or its header where it holds nothing of ours.
    fn block(&mut self, header: &Header, body: Option<&Block>, height: u32) {
        let Some(rows) = self.node.chain.extend(header, height) else {
            tracing::warn!(height, "a block that does not connect was left aside");
            return;
        };
        self.step.rows.extend(rows);
        for id in self.account_ids() {
            self.block_for(id, header, body, height);
            self.tell_confirmations(id);
        }
    }

    /// The same for one account. Its ledger may have been made later than the pod, and know fewer blocks.
    fn block_for(&mut self, id: AccountId, header: &Header, body: Option<&Block>, height: u32) {
        let chain = &self.node.chain;
        let Some(account) = self.node.accounts.get_mut(&id) else { return };
        let Some(connected_to) = common_block(chain, &account.ledger, height) else {
            tracing::error!(account = %id, height, "the account's ledger and the chain have no block in common");
            return;
        };
        let applied = match body {
            Some(block) => account.ledger.apply_block(block, height, connected_to),
            None => account.ledger.apply_header(*header, height, connected_to),
        };
        match applied {
            Ok(applied) if applied.relevant.is_empty() && !applied.reorganised => self.take_ledger_rows(id),
            Ok(_) => self.ledger_changed(id),
            Err(error) => tracing::error!(account = %id, "a block cannot be applied: {error}"),
        }
    }

    /// Transactions that appeared in the mempool or left it. An own payment that left is sent again and keeps its coins, so
    /// its ledger is not told of that.
    fn mempool(&mut self, seen: &[(Transaction, u64)], evicted: &[Txid]) {
        let evicted: Vec<Txid> =
            evicted.iter().copied().filter(|txid| !self.payment_left_mempool(*txid)).collect();
        for id in self.account_ids() {
            let Some(account) = self.node.accounts.get_mut(&id) else { continue };
            // A second apart, since the later of the two counts: what comes back in the second it was evicted in is back,
            // whatever time bitcoind remembers for it.
            let gone =
                account.ledger.apply_evicted(evicted.iter().map(|txid| (*txid, self.now.saturating_sub(1))));
            let seen = seen.iter().map(|(transaction, at)| (transaction.clone(), self.now.max(*at)));
            let news = account.ledger.apply_unconfirmed(seen);
            if !news.relevant.is_empty() || !gone.relevant.is_empty() {
                self.ledger_changed(id);
            }
        }
        seen.iter().for_each(|(transaction, _)| self.payment_seen(transaction.compute_txid()));
    }

    fn account_ids(&self) -> Vec<AccountId> {
        self.node.accounts.keys().copied().collect()
    }
}

/// The highest block below `height` that both know.
///
/// What the ledger knows from before the oldest block remembered counts: a block whose parent is not remembered is
/// refused, so no reorganisation reaches below. A new account's ledger knows one block only, its first, and that is
/// forgotten here with the next block.
fn common_block(chain: &Chain, ledger: &Ledger, height: u32) -> Option<BlockId> {
    let oldest = chain.first()?.height;
    let mut below = chain.points().rev().filter(|point| point.height < height);
    let common = below.find(|point| ledger.block_hash(point.height) == Some(point.hash));
    let common = common.map(|point| BlockId { height: point.height, hash: point.hash });
    common.or_else(|| {
        let checkpoint = ledger.checkpoint().iter().find(|block| block.height() < oldest.min(height))?;
        Some(checkpoint.block_id())
    })
}

/// An estimate of the source, in satoshi a virtual byte; nonsense is left out.
fn bucket((blocks, rate): (u16, f64)) -> Option<FeeBucket> {
    Some(FeeBucket { blocks, rate: rate::nearest(rate)? })
}
