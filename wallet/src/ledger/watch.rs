//! What a chain source has to look for, so that a ledger learns of every transaction that concerns it.
//!
//! A transaction concerns a ledger if it pays one of its scripts (addresses past the last one given out included), spends
//! one of its coins, or spends a coin of others that a transaction of the account spends too: then that one, and all that
//! spends its outputs, will never be valid. The sets only grow: a coin that is spent may be spent by another transaction
//! after a reorganisation. So a source that was given everything once needs only what is new since.

use std::sync::Arc;

use bdk_wallet::chain::Indexer as _;

use super::{HistoryState, KEPT_CHECKPOINTS, Ledger, kind};
use crate::account::Keychain;
use crate::bitcoin::{OutPoint, ScriptBuf, Transaction};

/// Scripts and coins of an account, for a chain source to look for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watchlist {
    /// Output scripts: of all addresses given out, and of the lookahead past them. 34 bytes each.
    pub scripts: Vec<ScriptBuf>,
    /// Coins the account has or had, and coins of others that transactions of the account spend. An input of a transaction
    /// names the coin it spends, not the coin's script. At most as many as stored transactions have inputs and outputs: one
    /// that nodes relay has some 2,400 inputs (400,000 weight units, each input 164 at least).
    pub coins: Vec<OutPoint>,
}

/// What of a ledger's scripts and coins a source was not told yet.
#[derive(Debug, Default)]
pub(super) struct Untold {
    /// Scripts of each keychain, in the order of [`Keychain::ALL`], that were told: they have no gaps.
    told: [u32; 2],
    coins: Vec<OutPoint>,
}

impl Ledger {
    /// Everything a source must look for.
    pub fn watchlist(&self) -> Watchlist {
        let [external, internal] = Keychain::ALL.map(|keychain| self.scripts_from(keychain, 0));
        let own = self.wallet.spk_index().outpoints().iter().map(|(_, outpoint)| *outpoint);
        let coins = own.chain(self.unsettled().flat_map(|tx| self.foreign_inputs(&tx).collect::<Vec<_>>()));
        Watchlist { scripts: [external, internal].concat(), coins: coins.collect() }
    }

    /// Transactions of the account that may still turn out invalid: all but those deeper than [`KEPT_CHECKPOINTS`].
    fn unsettled(&self) -> impl Iterator<Item = Arc<Transaction>> + '_ {
        let settled = self.tip().height.saturating_sub(KEPT_CHECKPOINTS);
        let is_settled =
            move |state| matches!(state, HistoryState::Confirmed { height, .. } if height < settled);
        let unsettled = self.history().iter().filter(move |entry| !is_settled(entry.state));
        unsettled.filter_map(|entry| self.transaction(&entry.txid))
    }

    /// Coins of others that a transaction spends.
    fn foreign_inputs<'a>(&'a self, tx: &'a Transaction) -> impl Iterator<Item = OutPoint> + 'a {
        let index = self.wallet.spk_index();
        let inputs = tx.input.iter().map(|input| input.previous_output);
        inputs.filter(|outpoint| !outpoint.is_null() && index.txout(*outpoint).is_none())
    }

    /// What was added to [`Ledger::watchlist`] since the last call, or since the ledger was created or loaded.
    ///
    /// A ledger that was created gives everything at the first call; one that was loaded gives nothing, since whoever
    /// loads it tells a new source of everything. Nothing is ever taken away.
    pub fn take_watchlist_news(&mut self) -> Watchlist {
        self.drain_stage();
        let mut scripts = Vec::new();
        for (number, keychain) in Keychain::ALL.into_iter().enumerate() {
            let new = self.scripts_from(keychain, self.untold.told[number]);
            self.untold.told[number] += new.len() as u32;
            scripts.extend(new);
        }
        Watchlist { scripts, coins: std::mem::take(&mut self.untold.coins) }
    }

    /// All there is counts as told.
    pub(super) fn mark_all_told(&mut self) {
        drop(self.take_watchlist_news());
    }

    /// Notes the coins that a transaction of the account makes, and those of others that it spends.
    pub(super) fn note_coins(&mut self, tx: &Transaction) {
        let index = self.wallet.spk_index();
        if !index.is_tx_relevant(tx) {
            return;
        }
        let txid = tx.compute_txid();
        let outpoints = (0..tx.output.len() as u32).map(|vout| OutPoint::new(txid, vout));
        let made = outpoints.filter(|outpoint| index.txout(*outpoint).is_some());
        let coins: Vec<_> = made.chain(self.foreign_inputs(tx)).collect();
        self.untold.coins.extend(coins);
    }

    fn scripts_from(&self, keychain: Keychain, from: u32) -> Vec<ScriptBuf> {
        let all = self.wallet.spk_index().inner().all_spks();
        let new = all.range((kind(keychain), from)..=(kind(keychain), u32::MAX));
        new.map(|(_, script)| script.clone()).collect()
    }
}

impl Watchlist {
    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty() && self.coins.is_empty()
    }
}
