//! What a chain source looks for on a pod's behalf, and how it compares a block with that.
//!
//! The node says what it watches by [`Effect::Watch`]: everything once it is restored, and after that whatever a step
//! added. A source keeps it in a [`Watched`] and gives the node whole blocks only where [`Watched::event`] says so. A
//! missing script here is a payment that the pod never sees, so the same comparison serves bitcoind, the simulator and
//! any source to come; a source of compact filters (BIP-158) tests them with [`Watched::scripts`] first.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use autonomy_wallet::{
    bitcoin::{Block, OutPoint, Script, ScriptBuf, Transaction, Txid},
    ledger::Watchlist,
};

use super::{ChainEvent, Effect, Node, accounts::Accounts, payments::Payments, row::tag, turn::Turn};

/// What a pod watches from now on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watch {
    /// Scripts to look for in outputs, **beside** those named before.
    pub scripts: Vec<ScriptBuf>,
    /// Coins to look for in inputs, **beside** those named before: own ones, and those of others on which an own
    /// transaction depends. An input names a coin and not its script; a filter holds the scripts of both, so a source of
    /// filters needs no own coins, and looks up the scripts of others.
    pub coins: Vec<OutPoint>,
    /// Exactly these own transactions should be in the mempool now, **in place of** those named before.
    pub txids: BTreeSet<Txid>,
}

impl Watch {
    fn add(&mut self, news: Watchlist) {
        self.scripts.extend(news.scripts);
        self.coins.extend(news.coins);
    }

    fn adds_nothing(&self) -> bool {
        self.scripts.is_empty() && self.coins.is_empty()
    }
}

/// All that a pod watches, on the side of its source.
///
/// The pod must have committed whatever the source delivered before, and its [`Watch`] of that be in here, before the
/// next block is compared: a payment may move the lookahead, and so the scripts of the very next block.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    scripts: HashSet<ScriptBuf>,
    coins: HashSet<OutPoint>,
    txids: BTreeSet<Txid>,
}

impl Watched {
    /// Takes in what the pod says. Gives whether there is a script or a coin more than before: what passed by may have
    /// to be looked at again then.
    pub fn take(&mut self, watch: Watch) -> bool {
        let before = self.scripts.len() + self.coins.len();
        self.scripts.extend(watch.scripts);
        self.coins.extend(watch.coins);
        self.txids = watch.txids;
        self.scripts.len() + self.coins.len() > before
    }

    /// Whether a transaction pays a watched script or spends a watched coin.
    #[must_use]
    pub fn concerns(&self, transaction: &Transaction) -> bool {
        let pays = |script: &Script| self.scripts.contains(script);
        transaction.output.iter().any(|output| pays(&output.script_pubkey))
            || transaction.input.iter().any(|input| self.coins.contains(&input.previous_output))
    }

    /// What the pod is to be given of a block: the whole of it where any transaction concerns the pod, else its header.
    /// The block is shared and not copied, however many pods are given it.
    #[must_use]
    pub fn event(&self, block: &Arc<Block>, height: u32) -> ChainEvent {
        let anything = !(self.scripts.is_empty() && self.coins.is_empty());
        if anything && block.txdata.iter().any(|transaction| self.concerns(transaction)) {
            ChainEvent::Block { block: block.clone(), height }
        } else {
            ChainEvent::Header { header: block.header, height }
        }
    }

    /// Own transactions that should be in the mempool and are not, where `present` tells which are.
    pub fn missing(&self, present: impl Fn(&Txid) -> bool) -> Vec<Txid> {
        self.txids.iter().copied().filter(|txid| !present(txid)).collect()
    }

    /// All watched scripts, in no order.
    pub fn scripts(&self) -> impl Iterator<Item = &Script> {
        self.scripts.iter().map(ScriptBuf::as_script)
    }

    /// All watched coins, in no order.
    pub fn coins(&self) -> impl Iterator<Item = &OutPoint> {
        self.coins.iter()
    }
}

impl Node {
    /// All that the pod watches now, for a source that knows nothing yet.
    #[must_use]
    pub fn watch(&self) -> Watch {
        let mut watch = Watch { txids: in_mempool(&self.accounts, &self.payments), ..Watch::default() };
        self.accounts.iter().for_each(|account| watch.add(account.ledger().watchlist()));
        watch
    }
}

/// Own transactions that should be in the mempool now: unconfirmed ones, but for payments that are still to be taken.
fn in_mempool(accounts: &Accounts, payments: &Payments) -> BTreeSet<Txid> {
    let unsent: BTreeSet<Txid> = payments.unsent_ids().collect();
    let unconfirmed = accounts.iter().flat_map(|account| account.ledger().unconfirmed());
    unconfirmed.filter(|txid| !unsent.contains(txid)).collect()
}

impl Turn<'_> {
    /// Tells the source what this step added to what is watched, if anything: before all other effects, so that nothing
    /// leaves of which the answer could be missed.
    pub(super) fn tell_watch(&mut self) {
        // Whatever is watched comes from these rows: without one of them it is as it was.
        let concerned = |key: &[u8]| matches!(key.first(), Some(&(tag::LEDGER | tag::PAYMENT)));
        if !self.cx.has_row(concerned) {
            return;
        }
        let mut watch = Watch { txids: in_mempool(self.accounts, self.payments), ..Watch::default() };
        self.accounts.watch_news().for_each(|news| watch.add(news));
        let same = self.chain.told_txids(&watch.txids);
        if !(same && watch.adds_nothing()) {
            self.cx.effect_first(Effect::Watch(Box::new(watch)));
        }
    }
}

#[cfg(test)]
mod tests {
    use autonomy_blocks::spend;
    use autonomy_wallet::bitcoin::{Network, constants::genesis_block, hashes::Hash as _};

    use super::*;

    fn script(number: u8) -> ScriptBuf {
        ScriptBuf::from_bytes(vec![0x50, number])
    }

    fn coin(number: u8) -> OutPoint {
        OutPoint { txid: Txid::from_byte_array([number; 32]), vout: 0 }
    }

    fn transaction(spends: OutPoint, pays: ScriptBuf) -> Transaction {
        spend(spends, pays, 1)
    }

    fn is_whole(watched: &Watched, transactions: Vec<Transaction>) -> bool {
        let block = Arc::new(Block { txdata: transactions, ..genesis_block(Network::Regtest) });
        match watched.event(&block, 7) {
            ChainEvent::Block { block: whole, height: 7 } => {
                assert!(Arc::ptr_eq(&whole, &block), "the block is copied");
                true
            }
            ChainEvent::Header { header, height: 7 } => {
                assert_eq!(header, block.header);
                false
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_block_with_an_own_output_or_input_is_given_whole() {
        let mut watched = Watched::default();
        assert!(!is_whole(&watched, vec![transaction(coin(1), script(1))]), "nothing is watched");
        let watch = Watch { scripts: vec![script(1)], coins: vec![coin(2)], txids: BTreeSet::new() };
        assert!(watched.take(watch.clone()));
        assert!(!watched.take(watch), "it is known already");
        let foreign = || transaction(coin(9), script(9));
        assert!(!is_whole(&watched, vec![foreign(), foreign()]));
        assert!(is_whole(&watched, vec![foreign(), transaction(coin(9), script(1))]));
        assert!(is_whole(&watched, vec![transaction(coin(2), script(9)), foreign()]));
        assert!(!is_whole(&watched, vec![transaction(OutPoint { vout: 1, ..coin(2) }, script(9))]));
        assert!(!is_whole(&watched, vec![]));
    }

    #[test]
    fn scripts_and_coins_add_up_and_transactions_are_replaced() {
        let mut watched = Watched::default();
        let [first, second] = [1, 2].map(|number| coin(number).txid);
        let watch = |number, txid| Watch {
            scripts: vec![script(number)],
            coins: vec![coin(number)],
            txids: BTreeSet::from([txid]),
        };
        watched.take(watch(1, first));
        assert_eq!(watched.missing(|_| false), [first]);
        watched.take(watch(2, second));
        assert_eq!(watched.missing(|_| false), [second]);
        assert!(watched.missing(|txid| *txid == second).is_empty());
        assert_eq!((watched.scripts().count(), watched.coins().count()), (2, 2));
        assert!(watched.concerns(&transaction(coin(1), script(9))), "what was watched first still is");
    }
}
