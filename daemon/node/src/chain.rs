//! What the chain source saw, and what it means to the accounts.

use autonomy_wallet::{
    account::AccountId,
    bitcoin::{Block, FeeRate, Transaction, Txid},
    estimate::{self, Estimate, FeeBucket},
    ledger::{BlockId, HistoryEntry, HistoryState, Ledger},
    rate,
};

use super::{ChainEvent, ChainPoint, Node, PaymentRecord, SourceState, row::tag, table::Table, turn::Turn};
use autonomy_api::{EventKind, PaymentState, UnconfirmedReason};

/// Blocks remembered, to find the fork of a reorganisation: a day. The deepest on mainnet since 2013 had 24.
pub(super) const KEPT_POINTS: usize = 144;
/// Depths that are told.
const TOLD_CONFIRMATIONS: [u32; 4] = [1, 2, 3, 6];
/// The deepest of them.
const DEEPEST_TOLD: u32 = 6;

/// The last blocks, oldest first.
pub(crate) static CHAIN: Table<(), Vec<ChainPoint>> = Table::new(tag::CHAIN);

impl Node {
    pub(super) fn tip(&self) -> Option<&ChainPoint> {
        self.chain.last()
    }

    pub(super) fn tip_height(&self) -> u32 {
        self.tip().map_or(0, |tip| tip.height)
    }

    /// Minutes to the first confirmation of a transaction that pays `rate`, where the source can tell.
    pub(super) fn estimated_minutes(&self, rate: FeeRate) -> Option<u32> {
        match estimate::first_confirmation(rate, &self.outside.fees) {
            Estimate::Within { minutes, .. } => Some(minutes),
            Estimate::LongerThan { .. } | Estimate::Unknown => None,
        }
    }
}

impl Turn<'_> {
    pub(super) fn chain_event(&mut self, event: ChainEvent) {
        match event {
            ChainEvent::Anchor(points) => {
                if self.node.chain.is_empty() && points.len() <= KEPT_POINTS {
                    self.step.rows.push(self.node.chain.put(points));
                }
            }
            ChainEvent::Block { block, height } => self.block(&block, height),
            ChainEvent::Mempool { seen, evicted } => self.mempool(&seen, &evicted),
            ChainEvent::Source(state) => self.source(state),
            ChainEvent::Fees(fees) => self.node.outside.fees = fees.into_iter().filter_map(bucket).collect(),
        }
    }

    fn source(&mut self, state: SourceState) {
        let was_away = matches!(self.node.outside.source, SourceState::Away(_));
        self.node.outside.source = state;
        if was_away && !matches!(self.node.outside.source, SourceState::Away(_)) {
            // What could not be sent while it was away goes out now.
            self.node.outside.last_broadcast = 0;
        }
    }

    fn block(&mut self, block: &Block, height: u32) {
        if !self.connects(block, height) {
            tracing::warn!(height, "a block that does not connect was left aside");
            self.node.outside.detached = Some(format!(
                "block {height} of bitcoind does not connect to the blocks this pod knows: a reorganisation deeper than \
                 {KEPT_POINTS} blocks. Nothing is changed; let bitcoind return to its chain, or restore a backup"
            ));
            return;
        }
        self.node.outside.detached = None;
        let mut points = self.node.chain.to_vec();
        points.retain(|point| point.height < height);
        points.push(ChainPoint { height, hash: block.block_hash(), time: block.header.time.into() });
        let surplus = points.len().saturating_sub(KEPT_POINTS);
        points.drain(..surplus);
        self.step.rows.push(self.node.chain.put(points));
        for id in self.account_ids() {
            self.block_for(id, block, height);
            self.tell_confirmations(id);
        }
    }

    fn block_for(&mut self, id: AccountId, block: &Block, height: u32) {
        let chain = &self.node.chain;
        let Some(account) = self.node.accounts.get_mut(&id) else { return };
        let Some(connected_to) = common_block(chain, &account.ledger, height) else {
            tracing::error!(account = %id, height, "the account's ledger and the chain have no block in common");
            return;
        };
        match account.ledger.apply_block(block, height, connected_to) {
            Ok(applied) if applied.relevant.is_empty() && !applied.reorganised => self.take_ledger_rows(id),
            Ok(_) => self.ledger_changed(id),
            Err(error) => tracing::error!(account = %id, "a block cannot be applied: {error}"),
        }
    }

    /// Whether the block's parent is one we know at the height below (or we know nothing yet).
    fn connects(&self, block: &Block, height: u32) -> bool {
        let below = self.node.chain.iter().find(|point| point.height.checked_add(1) == Some(height));
        below.is_some_and(|point| point.hash == block.header.prev_blockhash)
    }

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

    /// Takes the rows, and tells what stands differently from what was told.
    pub(super) fn ledger_changed(&mut self, id: AccountId) {
        self.take_ledger_rows(id);
        let Some(account) = self.node.accounts.get_mut(&id) else { return };
        let standings = account.standings();
        let told = std::mem::replace(&mut account.told, standings);
        let moved: Vec<HistoryEntry> = account
            .ledger
            .history()
            .iter()
            .rev()
            .filter(|entry| told.get(&entry.txid) != Some(&entry.state))
            .cloned()
            .collect();
        for entry in moved {
            self.tell_movement(id, &entry, told.get(&entry.txid).copied());
        }
        self.follow_payments(id);
    }

    fn tell_movement(&mut self, id: AccountId, entry: &HistoryEntry, before: Option<HistoryState>) {
        use HistoryState::{Confirmed, Dropped, Pending, Replaced};
        let (account, txid) = (id, entry.txid);
        let reason = match (before, entry.state) {
            (None | Some(Dropped | Replaced { .. }), Confirmed { .. } | Pending { .. }) => {
                let (net, estimated_minutes) = (entry.net(), self.estimate_for(id, entry));
                return self.notify(EventKind::TransactionSeen { account, txid, net, estimated_minutes });
            }
            (Some(Confirmed { .. }), Pending { .. }) => UnconfirmedReason::Reorganised,
            (Some(Confirmed { .. } | Pending { .. }), Replaced { .. }) => UnconfirmedReason::Replaced,
            (Some(Confirmed { .. } | Pending { .. }), Dropped) => UnconfirmedReason::Dropped,
            _ => return,
        };
        self.notify(EventKind::TransactionUnconfirmed { account, txid, reason });
    }

    /// Known for pending transactions of which all inputs are ours: only then is the fee known.
    fn estimate_for(&self, id: AccountId, entry: &HistoryEntry) -> Option<u32> {
        let pending = matches!(entry.state, HistoryState::Pending { .. });
        let transaction = self.node.accounts.get(&id)?.ledger.transaction(&entry.txid)?;
        let rate = entry.fee.filter(|_| pending)? / transaction.weight();
        self.node.estimated_minutes(rate)
    }

    fn tell_confirmations(&mut self, id: AccountId) {
        let tip = self.node.tip_height();
        let Some(account) = self.node.accounts.get(&id) else { return };
        let mut told = Vec::new();
        for entry in account.ledger.history() {
            let HistoryState::Confirmed { height, .. } = entry.state else { continue };
            let confirmations = entry.confirmations(tip);
            if confirmations > DEEPEST_TOLD {
                break; // The history is in order of height.
            }
            if TOLD_CONFIRMATIONS.contains(&confirmations) {
                let (account, txid) = (id, entry.txid);
                told.push(EventKind::TransactionConfirmed { account, txid, confirmations, height });
            }
        }
        told.into_iter().for_each(|event| self.notify(event));
    }

    /// Brings the payments of an account in line with its ledger.
    fn follow_payments(&mut self, id: AccountId) {
        let Some(account) = self.node.accounts.get(&id) else { return };
        let of_account = self.node.payments.iter().filter(|(_, payment)| payment.account == id);
        let changes: Vec<_> = of_account
            .filter_map(|(payment_id, payment)| {
                let (state, detail) = standing(payment, account.ledger.entry(&payment.txid)?.state)?;
                (state != payment.state).then_some((*payment_id, state, detail))
            })
            .collect();
        changes
            .into_iter()
            .for_each(|(payment, state, detail)| self.set_payment_state(payment, state, detail));
    }

    fn account_ids(&self) -> Vec<AccountId> {
        self.node.accounts.keys().copied().collect()
    }
}

/// The state of a payment whose transaction stands so in the ledger; `None` where nothing follows.
fn standing(payment: &PaymentRecord, state: HistoryState) -> Option<(PaymentState, Option<String>)> {
    match state {
        HistoryState::Confirmed { .. } => Some((PaymentState::Confirmed, None)),
        HistoryState::Pending { .. } if payment.state == PaymentState::Signed => None,
        HistoryState::Pending { .. } => Some((PaymentState::Seen, None)),
        HistoryState::Replaced { by } => {
            Some((PaymentState::Failed, Some(format!("its coins were spent by another transaction, {by}"))))
        }
        _ => None,
    }
}

/// The highest block below `height` that both know.
///
/// What the ledger knows from before the oldest block remembered counts: a block whose parent is not remembered is
/// refused, so no reorganisation reaches below. A new account's ledger knows one block only, its first, and that is
/// forgotten here with the next block.
fn common_block(chain: &[ChainPoint], ledger: &Ledger, height: u32) -> Option<BlockId> {
    let oldest = chain.first()?.height;
    let mut below = chain.iter().rev().filter(|point| point.height < height);
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
