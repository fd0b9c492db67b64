//! One pass over the transactions, kept until something changes.
//!
//! bdk computes which transactions count anew for each question, in time proportional to all of them. One pass
//! here answers balance, coins and history together.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bdk_wallet::Wallet;
use bdk_wallet::chain::tx_graph::TxNode;
use bdk_wallet::chain::{CanonicalizationParams, ChainPosition, ConfirmationBlockTime, Indexer};

use super::history::{HistoryEntry, settled, unsettled};
use crate::account::Keychain;
use crate::bitcoin::constants::COINBASE_MATURITY;
use crate::bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid};

/// How far a coin is from being spendable for sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoinState {
    /// In a block.
    Confirmed {
        /// Height of the block.
        height: u32,
    },
    /// A mining reward younger than 100 blocks: no one may spend it yet.
    Immature {
        /// Height of the block.
        height: u32,
    },
    /// Unconfirmed, but made by this account alone: change.
    Trusted,
    /// Unconfirmed and from somebody else, who can still take it back.
    Untrusted,
}

/// A coin of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedCoin {
    /// Which output of which transaction.
    pub outpoint: OutPoint,
    /// Amount and script.
    pub txout: TxOut,
    /// Whose address: chain of addresses.
    pub keychain: Keychain,
    /// Whose address: number.
    pub index: u32,
    /// How sure it is.
    pub state: CoinState,
}

/// The account's money by how sure it is. The parts do not overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Balance {
    /// In blocks, spendable.
    #[serde(with = "crate::bitcoin::amount::serde::as_sat")]
    pub confirmed: Amount,
    /// Unconfirmed change of our own payments, spendable.
    #[serde(with = "crate::bitcoin::amount::serde::as_sat")]
    pub trusted_pending: Amount,
    /// Unconfirmed payments from others: not spent by drafts.
    #[serde(with = "crate::bitcoin::amount::serde::as_sat")]
    pub untrusted_pending: Amount,
    /// Mining rewards that are not spendable yet.
    #[serde(with = "crate::bitcoin::amount::serde::as_sat")]
    pub immature: Amount,
}

impl Balance {
    /// What a draft may spend.
    #[must_use]
    pub fn spendable(&self) -> Amount {
        capped(self.confirmed, self.trusted_pending)
    }

    /// In no block yet, coming in or as change.
    #[must_use]
    pub fn unconfirmed(&self) -> Amount {
        capped(self.trusted_pending, self.untrusted_pending)
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> Amount {
        capped(self.spendable(), capped(self.untrusted_pending, self.immature))
    }

    fn add(&mut self, coin: &OwnedCoin) {
        let part = match coin.state {
            CoinState::Confirmed { .. } => &mut self.confirmed,
            CoinState::Immature { .. } => &mut self.immature,
            CoinState::Trusted => &mut self.trusted_pending,
            CoinState::Untrusted => &mut self.untrusted_pending,
        };
        *part = capped(*part, coin.txout.value);
    }
}

/// A gossiping peer can make up unconfirmed amounts of any size: their sum must not stop the pod by an overflow, nor be more
/// than anybody takes for an amount.
fn capped(a: Amount, b: Amount) -> Amount {
    a.checked_add(b).unwrap_or(Amount::MAX_MONEY).min(Amount::MAX_MONEY)
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) balance: Balance,
    pub(super) coins: BTreeMap<OutPoint, OwnedCoin>,
    pub(super) history: Vec<HistoryEntry>,
    /// Ours once, spent now, and by which transaction that counts.
    pub(super) spent: HashMap<OutPoint, Txid>,
    /// The highest receiving address that a transaction in a block pays.
    pub(super) last_confirmed: Option<u32>,
}

impl Snapshot {
    pub(super) fn of(wallet: &Wallet) -> Self {
        let mut coins = BTreeMap::new();
        let mut history = Vec::new();
        let mut counted = HashSet::new();
        let mut spenders = HashMap::new();
        let (chain, params) = (wallet.local_chain(), CanonicalizationParams::default());
        for canonical in wallet.tx_graph().list_canonical_txs(chain, chain.tip().block_id(), params) {
            let (txid, tx) = (canonical.tx_node.txid, &canonical.tx_node.tx);
            counted.insert(txid);
            let height = match &canonical.chain_position {
                ChainPosition::Confirmed { anchor, .. } => anchor.block_id.height,
                ChainPosition::Unconfirmed { .. } => UNCONFIRMED,
            };
            spenders.extend(tx.input.iter().map(|input| (input.previous_output, (height, txid))));
            // One of others that spends what one of ours spends, too.
            if !wallet.spk_index().is_tx_relevant(tx) {
                continue;
            }
            coins.extend(own_outputs(wallet, txid, tx, &canonical.chain_position));
            history.push(settled(wallet, txid, tx, &canonical.chain_position));
        }
        let last_confirmed = coins.values().filter(|coin| in_block(coin)).map(|coin| coin.index).max();
        coins.retain(|outpoint, _| !spenders.contains_key(outpoint));
        history.extend(superseded(wallet, &counted, &spenders));
        let own = |outpoint: &OutPoint| wallet.spk_index().txout(*outpoint).is_some();
        let spent = spenders.into_iter().filter(|(outpoint, _)| own(outpoint));
        let spent = spent.map(|(outpoint, (_, txid))| (outpoint, txid)).collect();
        history.sort_by_key(HistoryEntry::order);
        let mut balance = Balance::default();
        coins.values().for_each(|coin| balance.add(coin));
        Self { balance, coins, history, spent, last_confirmed }
    }
}

/// Whether a coin was received in a block.
fn in_block(coin: &OwnedCoin) -> bool {
    let confirmed = matches!(coin.state, CoinState::Confirmed { .. } | CoinState::Immature { .. });
    confirmed && coin.keychain == Keychain::External
}

fn own_outputs(
    wallet: &Wallet,
    txid: Txid,
    tx: &Transaction,
    position: &ChainPosition<ConfirmationBlockTime>,
) -> Vec<(OutPoint, OwnedCoin)> {
    let state = state_of(wallet, tx, position);
    let own = |(vout, txout): (usize, &TxOut)| {
        let outpoint = OutPoint::new(txid, vout as u32);
        let ((kind, index), _) = wallet.spk_index().txout(outpoint)?;
        let keychain = super::keychain(kind);
        Some((outpoint, OwnedCoin { outpoint, txout: txout.clone(), keychain, index, state }))
    };
    tx.output.iter().enumerate().filter_map(own).collect()
}

fn state_of(wallet: &Wallet, tx: &Transaction, position: &ChainPosition<ConfirmationBlockTime>) -> CoinState {
    match position {
        ChainPosition::Confirmed { anchor, .. } => {
            let height = anchor.block_id.height;
            let depth = wallet.latest_checkpoint().height().saturating_sub(height) + 1;
            if tx.is_coinbase() && depth < COINBASE_MATURITY {
                CoinState::Immature { height }
            } else {
                CoinState::Confirmed { height }
            }
        }
        // Change keychain or not does not matter: anyone may pay to an address of ours that they saw. What
        // counts is that nobody else can replace the transaction.
        ChainPosition::Unconfirmed { .. } if spends_only_own(wallet, tx) => CoinState::Trusted,
        ChainPosition::Unconfirmed { .. } => CoinState::Untrusted,
    }
}

fn spends_only_own(wallet: &Wallet, tx: &Transaction) -> bool {
    tx.input.iter().all(|input| wallet.spk_index().txout(input.previous_output).is_some())
}

/// By which transaction that counts a coin is spent, and the height of its block.
type Spenders = HashMap<OutPoint, (u32, Txid)>;

/// Above the height of every block.
const UNCONFIRMED: u32 = u32::MAX;

/// Transactions of ours that do not count: another spent the same coins, or those of an ancestor, or the network forgot them.
/// `spenders` has the transaction that counts for each coin that is spent.
fn superseded<'a>(
    wallet: &'a Wallet,
    counted: &'a HashSet<Txid>,
    spenders: &'a Spenders,
) -> impl Iterator<Item = HistoryEntry> + 'a {
    let superseded = |node: &TxNode<'_, Arc<Transaction>, ConfirmationBlockTime>| {
        !counted.contains(&node.txid) && wallet.spk_index().is_tx_relevant(&node.tx)
    };
    let mut rivals = Rivals { wallet, counted, spenders, known: HashMap::new() };
    let nodes = wallet.tx_graph().full_txs().filter(superseded);
    nodes.map(move |node| {
        let rival = rivals.of(node.txid, &node.tx).map(|(_, rival)| rival);
        unsettled(wallet, node.txid, &node.tx, rival)
    })
}

/// Finds the transaction that counts because it spends a coin which another one, or an ancestor of it, spends too. What is
/// found is kept, so that a payment that was replaced many times costs one look for each.
struct Rivals<'a> {
    wallet: &'a Wallet,
    counted: &'a HashSet<Txid>,
    spenders: &'a Spenders,
    known: HashMap<Txid, Option<(u32, Txid)>>,
}

impl Rivals<'_> {
    /// The rival of a transaction that does not count; the one in the lowest block, where there are several.
    fn of(&mut self, txid: Txid, tx: &Transaction) -> Option<(u32, Txid)> {
        if let Some(known) = self.known.get(&txid) {
            return *known;
        }
        let coins = || tx.input.iter().map(|input| input.previous_output);
        let own = coins().filter_map(|coin| self.spenders.get(&coin).copied());
        let own = own.filter(|(_, spender)| *spender != txid).min();
        let rival = coins().filter_map(|coin| self.of_parent(coin.txid)).chain(own).min();
        self.known.insert(txid, rival);
        rival
    }

    /// The same of what it spends; one that counts has none.
    fn of_parent(&mut self, txid: Txid) -> Option<(u32, Txid)> {
        let parent = self.wallet.tx_graph().get_tx(txid).filter(|_| !self.counted.contains(&txid))?;
        self.of(txid, &parent)
    }
}
