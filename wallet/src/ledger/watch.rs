//! What a chain source has to look for, so that a ledger learns of every transaction that concerns it.
//!
//! A transaction concerns a ledger if it pays one of its scripts (addresses past the last one given out included), or
//! spends one of its coins. Both sets only grow: a coin that is spent may be spent by another transaction after a
//! reorganisation. So a source that was given everything once needs only what is new since.

use super::{Ledger, kind};
use crate::account::Keychain;
use crate::bitcoin::{OutPoint, ScriptBuf, Transaction};

/// Scripts and coins of an account, for a chain source to look for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watchlist {
    /// Output scripts: of all addresses given out, and of the lookahead past them. 34 bytes each.
    pub scripts: Vec<ScriptBuf>,
    /// Coins the account has or had. An input of a transaction names the coin it spends, not the coin's script.
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
        let coins = self.wallet.spk_index().outpoints().iter().map(|(_, outpoint)| *outpoint);
        Watchlist { scripts: [external, internal].concat(), coins: coins.collect() }
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

    /// Notes the coins that a transaction of the account makes.
    pub(super) fn note_coins(&mut self, tx: &Transaction) {
        let txid = tx.compute_txid();
        let outpoints = (0..tx.output.len() as u32).map(|vout| OutPoint::new(txid, vout));
        let index = self.wallet.spk_index();
        self.untold.coins.extend(outpoints.filter(|outpoint| index.txout(*outpoint).is_some()));
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
