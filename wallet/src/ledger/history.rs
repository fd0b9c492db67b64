//! Lines of the account's history.

use std::cmp::Reverse;

use bdk_wallet::Wallet;
use bdk_wallet::chain::{ChainPosition, ConfirmationBlockTime};
use serde::{Deserialize, Serialize};

use crate::bitcoin::{Amount, SignedAmount, Transaction, Txid};

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HistoryState {
    /// In a block of the best chain.
    Confirmed {
        /// Height of the block. `tip - height + 1` are its confirmations.
        height: u32,
        /// Time in the block's header, seconds since 1970.
        time: u64,
    },
    /// Waiting for a block.
    Pending {
        /// When this ledger first saw it, seconds since 1970; unknown when it was seen only in a block
        /// that was reorganised away.
        first_seen: Option<u64>,
    },
    /// Another transaction spent the same coins, or those of a transaction that this one spends: this one will never be
    /// valid, unless that one disappears.
    Replaced {
        /// The transaction that counts.
        by: Txid,
    },
    /// No node seems to keep it any more; its coins are free again. It may still come back.
    Dropped,
}

/// One transaction of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The transaction.
    pub txid: Txid,
    /// Own coins it spends.
    #[serde(with = "crate::bitcoin::amount::serde::as_sat")]
    pub sent: Amount,
    /// Own coins it makes, change included.
    #[serde(with = "crate::bitcoin::amount::serde::as_sat")]
    pub received: Amount,
    /// The fee, when all coins it spends are known: always for our own payments, rarely for incoming ones.
    #[serde(with = "crate::bitcoin::amount::serde::as_sat::opt")]
    pub fee: Option<Amount>,
    /// What became of it.
    #[serde(flatten)]
    pub state: HistoryState,
}

impl HistoryEntry {
    /// What the account gained (or lost, fee included).
    #[must_use]
    pub fn net(&self) -> SignedAmount {
        // Amounts of valid transactions are below 21 million bitcoin and fit.
        SignedAmount::from_sat(self.received.to_sat() as i64 - self.sent.to_sat() as i64)
    }

    /// Confirmations at a chain tip of this height; 0 when not in a block.
    #[must_use]
    pub fn confirmations(&self, tip: u32) -> u32 {
        match self.state {
            HistoryState::Confirmed { height, .. } => (tip + 1).saturating_sub(height),
            _ => 0,
        }
    }

    /// Pending first, then blocks from the newest, then what does not count; the rest only makes it stable.
    pub(super) fn order(&self) -> (u8, Reverse<u64>, Txid) {
        let (group, when) = match self.state {
            HistoryState::Pending { first_seen } => (0, first_seen.unwrap_or(0)),
            HistoryState::Confirmed { height, .. } => (1, height.into()),
            HistoryState::Replaced { .. } | HistoryState::Dropped => (2, 0),
        };
        (group, Reverse(when), self.txid)
    }
}

pub(super) fn settled(
    wallet: &Wallet,
    txid: Txid,
    tx: &Transaction,
    position: &ChainPosition<ConfirmationBlockTime>,
) -> HistoryEntry {
    let state = match position {
        ChainPosition::Confirmed { anchor, .. } => {
            HistoryState::Confirmed { height: anchor.block_id.height, time: anchor.confirmation_time }
        }
        ChainPosition::Unconfirmed { first_seen, .. } => HistoryState::Pending { first_seen: *first_seen },
    };
    entry(wallet, txid, tx, state)
}

pub(super) fn unsettled(wallet: &Wallet, txid: Txid, tx: &Transaction, by: Option<Txid>) -> HistoryEntry {
    let state = by.map_or(HistoryState::Dropped, |by| HistoryState::Replaced { by });
    entry(wallet, txid, tx, state)
}

fn entry(wallet: &Wallet, txid: Txid, tx: &Transaction, state: HistoryState) -> HistoryEntry {
    let (sent, received) = wallet.sent_and_received(tx);
    let fee = if tx.is_coinbase() { None } else { wallet.calculate_fee(tx).ok() };
    HistoryEntry { txid, sent, received, fee, state }
}
