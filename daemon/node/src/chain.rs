//! What the chain source says: the blocks that are known, how the source is, what fees are asked.
//!
//! The source gives the header of each block, and the whole of it only where a watched script or coin is in it ([`watch`]
//! says what is watched). So a block that concerns nobody here costs one row of about 60 bytes.
//!
//! [`watch`]: super::watch

use std::{
    collections::BTreeSet,
    ops::Bound::{Excluded, Unbounded},
};

use autonomy_wallet::{
    bitcoin::{Block, BlockHash, FeeRate, Txid, block::Header},
    estimate::{self, Estimate, FeeBucket},
    payment::MIN_FEE_RATE,
    rate,
};
use serde::{Deserialize, Serialize};

use super::{
    ChainEvent, ChainPoint, FeeFloor, Node, SourceState, Timestamp,
    context::Context,
    row::{Row, tag},
    table::{Held, Restore, Table},
    turn::Turn,
};
use autonomy_api::{ChainState, ChainStatus};

/// Blocks remembered, to find the fork of a reorganisation: a day. The deepest on mainnet since 2013 had 24.
pub const KEPT_POINTS: usize = 144;

/// Seconds after which nobody goes by a fee estimate any more: half an hour, three blocks.
pub const MAX_FEE_AGE: u64 = 30 * 60;

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
    /// When the source told them.
    fees_at: Timestamp,
    /// The least rates that the source takes.
    floor: Option<FeeFloor>,
    /// A block that an account's ledger did not take, and why: none after it is taken either.
    stopped: Option<String>,
    /// Why the source's blocks no longer connect to ours, while they do not.
    detached: Option<String>,
    /// The transactions that the last `Effect::Watch` named.
    told: BTreeSet<Txid>,
}

impl Chain {
    /// What of it is restored row by row.
    pub(super) fn tables(&mut self) -> [&mut dyn Restore; 1] {
        [&mut self.points]
    }

    /// No block known, no source heard.
    pub(super) fn new() -> Self {
        Self {
            points: Held::new(&CHAIN),
            source: SourceState::Away("not asked yet".into()),
            fees: Vec::new(),
            fees_at: 0,
            floor: None,
            stopped: None,
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
    pub(super) fn points(&self) -> impl DoubleEndedIterator<Item = ChainPoint> {
        self.points.iter().map(point)
    }

    /// Height of the newest block; 0 while none is known.
    pub(super) fn tip_height(&self) -> u32 {
        self.tip().map_or(0, |tip| tip.height)
    }

    /// Minutes to the first confirmation of a transaction that pays `rate`; none where the source cannot tell, as on
    /// networks without traffic.
    pub(super) fn estimated_minutes(&self, rate: FeeRate) -> Option<u32> {
        match estimate::first_confirmation(rate, &self.fees) {
            Estimate::Within { minutes, .. } => Some(minutes),
            Estimate::LongerThan { .. } | Estimate::Unknown => None,
        }
    }

    /// What to pay to be confirmed within so many blocks, where the source can tell: never less than it takes.
    pub(super) fn rate_for(&self, target: u16) -> Option<FeeRate> {
        let least = self.fee_floor().map_or(FeeRate::ZERO, |floor| floor.least);
        estimate::rate_for(target, &self.fees).map(|rate| rate.max(least))
    }

    /// The least rates that the source takes, as it said last.
    pub(super) fn fee_floor(&self) -> Option<FeeFloor> {
        self.floor
    }

    /// Forgets estimates that are too old to go by.
    pub(super) fn forget_old_fees(&mut self, now: Timestamp) {
        if now > self.fees_at.saturating_add(MAX_FEE_AGE) {
            self.fees.clear();
        }
    }

    /// The lowest rate that a payment may have now.
    pub(super) fn least_rate(&self) -> FeeRate {
        self.floor.map_or(MIN_FEE_RATE, |floor| floor.least.max(MIN_FEE_RATE))
    }

    /// How many blocks of the source this pod has not read yet, or the source itself has not.
    pub(super) fn blocks_behind(&self) -> u32 {
        match (&self.detached, &self.source) {
            (None, SourceState::Syncing(of_source) | SourceState::Synced(of_source)) => {
                of_source.saturating_sub(self.tip_height())
            }
            _ => 0,
        }
    }

    /// How the source is, and how far the pod has followed it. A source that answers and is ahead of the pod counts as
    /// syncing.
    pub(super) fn status(&self) -> ChainStatus {
        let height = self.tip_height();
        let (state, detail, source_height) = match &self.source {
            _ if self.stopped.is_some() => (ChainState::Away, self.stopped.clone(), None),
            _ if self.detached.is_some() => (ChainState::Away, self.detached.clone(), None),
            SourceState::Away(why) => (ChainState::Away, Some(why.clone()), None),
            SourceState::Syncing(of_source) => (ChainState::Syncing, None, Some(*of_source)),
            SourceState::Synced(of_source) if *of_source > height => {
                (ChainState::Syncing, None, Some(*of_source))
            }
            SourceState::Synced(of_source) => (ChainState::Synced, None, Some(*of_source)),
        };
        ChainStatus { state, height, tip: self.tip().map(|tip| tip.hash), source_height, detail }
    }

    /// Takes note of how the source is. Gives whether it has come to be at the tip: only then it sends anything.
    fn source(&mut self, state: SourceState) -> bool {
        let was_synced = matches!(self.source, SourceState::Synced(_));
        self.source = state;
        !was_synced && matches!(self.source, SourceState::Synced(_))
    }

    /// Whether a block is on one that is known at the height below. One that is not is left aside, and the status says so.
    fn connects(&mut self, header: &Header, height: u32) -> bool {
        let below = height.checked_sub(1).and_then(|below| self.points.get(&below));
        let connects = below.is_some_and(|below| below.hash == header.prev_blockhash);
        if !connects {
            tracing::warn!(height, "a block that does not connect was left aside");
            self.detached = Some(format!(
                "block {height} of bitcoind does not connect to the blocks this pod knows: a reorganisation deeper than \
                 {KEPT_POINTS} blocks. Nothing is changed; let bitcoind return to its chain, or restore a backup"
            ));
        }
        connects
    }

    /// An account's ledger did not take a block. The chain stays where it is, so that no ledger skips the block.
    fn stop_at(&mut self, height: u32, why: &str) {
        tracing::error!(height, "a block cannot be taken: {why}");
        self.stopped = Some(format!(
            "block {height} cannot be taken: {why}. Nothing after it is read; repair bitcoind, then start the pod again"
        ));
    }

    /// Notes what the next `Effect::Watch` names; gives whether the last one named the same.
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

    /// Puts a block that [connects](Self::connects) on its parent; blocks at its height and above are gone.
    fn extend(&mut self, cx: &mut Context<'_>, header: &Header, height: u32) {
        (self.detached, self.stopped) = (None, None);
        let gone: Vec<u32> =
            self.points.range((Excluded(height), Unbounded)).map(|(height, _)| *height).collect();
        let mut rows: Vec<Row> = gone.iter().map(|height| self.points.remove(height)).collect();
        rows.push(self.put(ChainPoint { height, hash: header.block_hash(), time: header.time.into() }));
        while self.points.len() > KEPT_POINTS {
            let Some(oldest) = self.points.keys().next().copied() else { break };
            rows.push(self.points.remove(&oldest));
        }
        cx.rows(rows);
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

impl Turn<'_> {
    /// Hands news of the chain to the accounts, and lets payments follow.
    pub(super) fn chain_event(&mut self, event: ChainEvent) {
        let Self { accounts, payments, chain, cx, .. } = self;
        match event {
            ChainEvent::Anchor(points) => cx.rows(chain.anchor(points)),
            ChainEvent::Block { block, height } => self.block(&block.header, Some(&block), height),
            ChainEvent::Header { header, height } => self.block(&header, None, height),
            ChainEvent::Mempool { seen, evicted } => {
                let foreign = payments.left_mempool(cx, evicted);
                let changed = accounts.mempool(cx, chain, &seen, &foreign);
                payments.follow(cx, accounts, chain, &changed);
                for (transaction, _) in &seen {
                    payments.taken(cx, accounts, chain, transaction.compute_txid());
                }
            }
            ChainEvent::Source(state) => {
                if chain.source(state) {
                    payments.send_at_once();
                }
            }
            ChainEvent::Fees(fees) => {
                chain.fees = fees.into_iter().filter_map(bucket).collect();
                chain.fees_at = cx.now;
            }
            ChainEvent::FeeFloor(floor) => chain.floor = Some(floor),
        }
    }

    /// A block on one of those remembered: whole, or its header where it holds nothing of ours. It counts once every ledger
    /// has taken it; what was refused may be taken in the next block, so it is sent again.
    fn block(&mut self, header: &Header, body: Option<&Block>, height: u32) {
        let Self { accounts, payments, chain, cx, .. } = self;
        if !chain.connects(header, height) {
            return;
        }
        match accounts.block(cx, chain, header, body, height) {
            Ok(mut changed) => {
                chain.extend(cx, header, height);
                changed.extend(payments.contested());
                payments.follow(cx, accounts, chain, &changed);
                payments.send_at_once();
            }
            Err(why) => chain.stop_at(height, &why),
        }
    }
}

impl Node {
    /// The blocks known last, oldest first: where the chain source resumes. At most [`KEPT_POINTS`].
    #[must_use]
    pub fn chain_points(&self) -> Vec<ChainPoint> {
        self.chain.points().collect()
    }
}

/// An estimate of the source, in satoshi a virtual byte; nonsense is left out.
fn bucket((blocks, rate): (u16, f64)) -> Option<FeeBucket> {
    Some(FeeBucket { blocks, rate: rate::nearest(rate)? })
}
