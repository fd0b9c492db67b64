//! What the chain source says: the blocks that are known, how the source is, what fees are asked.

use std::collections::BTreeSet;

use autonomy_wallet::{
    bitcoin::{Block, FeeRate, Txid},
    estimate::{self, Estimate, FeeBucket},
    rate,
};

use super::{
    ChainEvent, ChainPoint, Node, SourceState,
    context::Context,
    row::tag,
    table::{Restore, Single, Table},
    turn::Turn,
};

/// Blocks remembered, to find the fork of a reorganisation: a day. The deepest on mainnet since 2013 had 24.
pub(super) const KEPT_POINTS: usize = 144;

/// The last blocks, oldest first.
pub(crate) static CHAIN: Table<(), Vec<ChainPoint>> = Table::new(tag::CHAIN);

/// The blocks known last, and what the chain source said since the process started.
#[derive(Debug)]
pub(super) struct Chain {
    /// The blocks known last, oldest first, at most [`KEPT_POINTS`].
    points: Single<Vec<ChainPoint>>,
    /// Not in rows, like all below: learnt anew after a start.
    source: SourceState,
    /// Fee estimates of the source; empty where it has none.
    fees: Vec<FeeBucket>,
    /// Why the source's blocks no longer connect to ours, while they do not.
    detached: Option<String>,
}

/// How the chain source is, in the words of a status.
pub(super) struct ChainStanding {
    /// `synced`, `syncing` or `away`.
    pub(super) state: &'static str,
    /// What is wrong, where something is.
    pub(super) detail: Option<String>,
    /// Height of the source, where it answers.
    pub(super) source_height: Option<u32>,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            points: Single::new(&CHAIN, Vec::new()),
            source: SourceState::Away("not asked yet".into()),
            fees: Vec::new(),
            detached: None,
        }
    }
}

/// Equal in what rows hold.
impl PartialEq for Chain {
    fn eq(&self, other: &Self) -> bool {
        self.points == other.points
    }
}

impl Chain {
    /// What of it is restored row by row.
    pub(super) fn tables(&mut self) -> [&mut dyn Restore; 1] {
        [&mut self.points]
    }

    /// The blocks known last, oldest first.
    pub(super) fn points(&self) -> &[ChainPoint] {
        &self.points
    }

    /// The oldest block known.
    pub(super) fn oldest(&self) -> Option<&ChainPoint> {
        self.points.first()
    }

    /// The newest block known; none before the first.
    pub(super) fn tip(&self) -> Option<&ChainPoint> {
        self.points.last()
    }

    /// Its height; 0 before the first.
    pub(super) fn tip_height(&self) -> u32 {
        self.tip().map_or(0, |tip| tip.height)
    }

    /// Minutes to the first confirmation of a transaction that pays `rate`, where the source can tell.
    pub(super) fn estimated_minutes(&self, rate: FeeRate) -> Option<u32> {
        match estimate::first_confirmation(rate, &self.fees) {
            Estimate::Within { minutes, .. } => Some(minutes),
            Estimate::LongerThan { .. } | Estimate::Unknown => None,
        }
    }

    /// What to pay to be confirmed within so many blocks, where the source can tell.
    pub(super) fn rate_for(&self, target: u16) -> Option<FeeRate> {
        estimate::rate_for(target, &self.fees)
    }

    /// How the source is.
    pub(super) fn standing(&self) -> ChainStanding {
        let (state, detail, source_height) = match &self.source {
            _ if self.detached.is_some() => ("away", self.detached.clone(), None),
            SourceState::Away(why) => ("away", Some(why.clone()), None),
            SourceState::Syncing(height) => ("syncing", None, Some(*height)),
            SourceState::Synced(height) if *height > self.tip_height() => ("syncing", None, Some(*height)),
            SourceState::Synced(height) => ("synced", None, Some(*height)),
        };
        ChainStanding { state, detail, source_height }
    }

    /// Takes the blocks that a new pod begins at. Only the first time: later ones would hide a gap.
    fn anchor(&mut self, cx: &mut Context<'_>, points: Vec<ChainPoint>) {
        if self.points.is_empty() && points.len() <= KEPT_POINTS {
            cx.row(self.points.put(points));
        }
    }

    /// Takes note of how the source is. Gives whether it has come back.
    fn source(&mut self, state: SourceState) -> bool {
        let was_away = matches!(self.source, SourceState::Away(_));
        self.source = state;
        was_away && !matches!(self.source, SourceState::Away(_))
    }

    /// Remembers a block. Gives whether it connects to one that is known; one that does not is left aside, and the status
    /// says so.
    fn block(&mut self, cx: &mut Context<'_>, block: &Block, height: u32) -> bool {
        if !self.connects(block, height) {
            tracing::warn!(height, "a block that does not connect was left aside");
            self.detached = Some(format!(
                "block {height} of bitcoind does not connect to the blocks this pod knows: a reorganisation deeper than \
                 {KEPT_POINTS} blocks. Nothing is changed; let bitcoind return to its chain, or restore a backup"
            ));
            return false;
        }
        self.detached = None;
        let mut points = self.points.to_vec();
        points.retain(|point| point.height < height);
        points.push(ChainPoint { height, hash: block.block_hash(), time: block.header.time.into() });
        let surplus = points.len().saturating_sub(KEPT_POINTS);
        points.drain(..surplus);
        cx.row(self.points.put(points));
        true
    }

    /// Whether the block's parent is one we know at the height below.
    fn connects(&self, block: &Block, height: u32) -> bool {
        let below = self.points.iter().find(|point| point.height.checked_add(1) == Some(height));
        below.is_some_and(|point| point.hash == block.header.prev_blockhash)
    }
}

impl Turn<'_> {
    /// Hands news of the chain to the accounts, and lets payments follow.
    pub(super) fn chain_event(&mut self, event: ChainEvent) {
        let Self { accounts, payments, chain, cx, .. } = self;
        match event {
            ChainEvent::Anchor(points) => chain.anchor(cx, points),
            ChainEvent::Block { block, height } => {
                if chain.block(cx, &block, height) {
                    let changed = accounts.block(cx, chain, &block, height);
                    payments.follow(cx, accounts, &changed);
                }
            }
            ChainEvent::Mempool { seen, evicted } => {
                let foreign = payments.left_mempool(cx, evicted);
                let changed = accounts.mempool(cx, chain, &seen, &foreign);
                payments.follow(cx, accounts, &changed);
                seen.iter().for_each(|(transaction, _)| payments.seen(cx, transaction.compute_txid()));
            }
            ChainEvent::Source(state) => {
                if chain.source(state) {
                    payments.send_at_once();
                }
            }
            ChainEvent::Fees(fees) => chain.fees = fees.into_iter().filter_map(bucket).collect(),
        }
    }
}

impl Node {
    /// Own transactions that should be in the mempool now.
    #[must_use]
    pub fn in_mempool(&self) -> BTreeSet<Txid> {
        let unsent: BTreeSet<Txid> = self.payments.unsent_ids().collect();
        let unconfirmed = self.accounts.iter().flat_map(|account| account.ledger().unconfirmed());
        unconfirmed.filter(|txid| !unsent.contains(txid)).collect()
    }

    /// The blocks known last, oldest first: where the chain source resumes.
    #[must_use]
    pub fn chain_points(&self) -> &[ChainPoint] {
        self.chain.points()
    }
}

/// An estimate of the source, in satoshi a virtual byte; nonsense is left out.
fn bucket((blocks, rate): (u16, f64)) -> Option<FeeBucket> {
    Some(FeeBucket { blocks, rate: rate::nearest(rate)? })
}
