//! What the chain does to accounts, and the events that follow from it.

use std::sync::Arc;

use autonomy_wallet::{
    account::AccountId,
    bitcoin::{Block, Transaction, Txid, block::Header},
    ledger::{BlockId, HistoryEntry, HistoryState, Ledger},
};

use super::Accounts;
use crate::{Refusal, chain::Chain, context::Context};
use autonomy_api::{EventKind, UnconfirmedReason};

/// Numbers of confirmations that raise an event.
const TOLD_CONFIRMATIONS: [u32; 4] = [1, 2, 3, 6];
/// The largest of them.
const DEEPEST_TOLD: u32 = 6;

impl Accounts {
    /// Takes a block that connects to `chain`, and tells what it did: whole, or its header where nothing of ours is in it. A
    /// ledger may have been made later than the pod, and know fewer blocks. Gives the accounts whose transactions stand
    /// otherwise now: payments follow them.
    ///
    /// # Errors
    /// A ledger did not take it. Others may have: they take it once more without harm.
    pub(crate) fn block(
        &mut self,
        cx: &mut Context<'_>,
        chain: &Chain,
        header: &Header,
        body: Option<&Block>,
        height: u32,
    ) -> Result<Vec<AccountId>, String> {
        let mut changed = Vec::new();
        for id in self.ids() {
            if self.block_for(cx, chain, id, (header, body), height)? {
                changed.push(id);
            }
        }
        self.ids().into_iter().for_each(|id| self.tell_confirmations(cx, id, height));
        Ok(changed)
    }

    /// Whether the block concerns this account.
    ///
    /// # Errors
    /// Its ledger did not take the block, and is as before.
    fn block_for(
        &mut self,
        cx: &mut Context<'_>,
        chain: &Chain,
        id: AccountId,
        (header, body): (&Header, Option<&Block>),
        height: u32,
    ) -> Result<bool, String> {
        let Some(account) = self.all.get_mut(&id) else { return Ok(false) };
        let connected_to = common_block(chain, &account.ledger, height)
            .ok_or_else(|| format!("the ledger of account {id} and the chain have no block in common"))?;
        let applied = match body {
            Some(block) => account.ledger.apply_block(block, height, connected_to),
            None => account.ledger.apply_header(*header, height, connected_to),
        };
        let applied = applied.map_err(|error| error.to_string())?;
        let concerned = !applied.relevant.is_empty() || applied.reorganised;
        match concerned {
            true => self.tell_movements(cx, chain, id),
            false => self.take_rows(cx, id),
        }
        Ok(concerned)
    }

    /// Takes news from the mempool, and tells what they did. Gives the accounts concerned.
    pub(crate) fn mempool(
        &mut self,
        cx: &mut Context<'_>,
        chain: &Chain,
        seen: &[(Arc<Transaction>, u64)],
        evicted: &[Txid],
    ) -> Vec<AccountId> {
        let mut changed = Vec::new();
        for id in self.ids() {
            let Some(account) = self.all.get_mut(&id) else { continue };
            // A second apart, since the later of the two counts: what comes back in the second it was evicted in is back,
            // whatever time bitcoind remembers for it.
            let gone =
                account.ledger.apply_evicted(evicted.iter().map(|txid| (*txid, cx.now.saturating_sub(1))));
            let seen = seen.iter().map(|(transaction, at)| (transaction.clone(), cx.now.max(*at)));
            let news = account.ledger.apply_unconfirmed(seen);
            if !news.relevant.is_empty() || !gone.relevant.is_empty() {
                self.tell_movements(cx, chain, id);
                changed.push(id);
            }
        }
        changed
    }

    /// Takes a transaction that was signed here: its coins are spent from now on.
    ///
    /// # Errors
    /// There is no such account.
    pub(crate) fn spend(
        &mut self,
        cx: &mut Context<'_>,
        chain: &Chain,
        id: AccountId,
        transaction: Transaction,
    ) -> Result<(), Refusal> {
        // Which transactions it concerns is known: this one.
        let _ = self.get_mut(&id)?.ledger.apply_unconfirmed([(transaction, cx.now)]);
        self.tell_movements(cx, chain, id);
        Ok(())
    }

    /// Takes note that a signed transaction counts no longer: its coins can be spent again.
    ///
    /// # Errors
    /// There is no such account.
    pub(crate) fn unspend(
        &mut self,
        cx: &mut Context<'_>,
        chain: &Chain,
        id: AccountId,
        txid: Txid,
    ) -> Result<(), Refusal> {
        let _ = self.get_mut(&id)?.ledger.apply_evicted([(txid, cx.now)]);
        self.tell_movements(cx, chain, id);
        Ok(())
    }

    /// Takes the rows, and raises an event for each transaction whose state differs from the last event about it.
    fn tell_movements(&mut self, cx: &mut Context<'_>, chain: &Chain, id: AccountId) {
        self.take_rows(cx, id);
        let Some(account) = self.all.get_mut(&id) else { return };
        let standings = account.standings();
        let told = std::mem::replace(&mut account.told, standings);
        let moved = account.ledger.history().iter().rev();
        for entry in moved.filter(|entry| told.get(&entry.txid) != Some(&entry.state)) {
            let minutes = estimate(&account.ledger, chain, entry);
            let event = movement(id, entry, told.get(&entry.txid).copied(), minutes);
            event.into_iter().for_each(|event| cx.notify(event));
        }
    }

    /// Raises events for transactions that have reached one of the depths above with the block just taken.
    fn tell_confirmations(&self, cx: &mut Context<'_>, id: AccountId, tip: u32) {
        let history = self.all.get(&id).into_iter().flat_map(|account| account.ledger.history());
        for entry in history {
            let HistoryState::Confirmed { height, .. } = entry.state else { continue };
            let confirmations = entry.confirmations(tip);
            if confirmations > DEEPEST_TOLD {
                break; // The history is in order of height.
            }
            if TOLD_CONFIRMATIONS.contains(&confirmations) {
                let (account, txid) = (id, entry.txid);
                cx.notify(EventKind::TransactionConfirmed { account, txid, confirmations, height });
            }
        }
    }

    /// All accounts, in the order of their ids: the same in every pod of these rows.
    fn ids(&self) -> Vec<AccountId> {
        self.all.keys().copied().collect()
    }
}

/// The event for a transaction that was in this state before; none where its owner had it already.
fn movement(
    id: AccountId,
    entry: &HistoryEntry,
    before: Option<HistoryState>,
    estimated_minutes: Option<u32>,
) -> Option<EventKind> {
    use HistoryState::{Confirmed, Dropped, Pending, Replaced};
    let (account, txid) = (id, entry.txid);
    let reason = match (before, entry.state) {
        (None | Some(Dropped | Replaced { .. }), Confirmed { .. } | Pending { .. }) => {
            let net = entry.net();
            return Some(EventKind::TransactionSeen { account, txid, net, estimated_minutes });
        }
        (Some(Confirmed { .. }), Pending { .. }) => UnconfirmedReason::Reorganised,
        (Some(Confirmed { .. } | Pending { .. }), Replaced { .. }) => UnconfirmedReason::Replaced,
        (Some(Confirmed { .. } | Pending { .. }), Dropped) => UnconfirmedReason::Dropped,
        _ => return None,
    };
    Some(EventKind::TransactionUnconfirmed { account, txid, reason })
}

/// Minutes to the first confirmation. Known for pending transactions of which all inputs are ours: only then is the fee
/// known.
fn estimate(ledger: &Ledger, chain: &Chain, entry: &HistoryEntry) -> Option<u32> {
    let pending = matches!(entry.state, HistoryState::Pending { .. });
    let rate = entry.fee.filter(|_| pending)? / ledger.transaction(&entry.txid)?.weight();
    chain.estimated_minutes(rate)
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
