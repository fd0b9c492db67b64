//! A chain that all pods agree on: blocks, a mempool, reorganisations. It decides which coins exist.
//!
//! Its rules are those that concern a pod: a transaction spends coins that exist and are unspent, once, and creates no
//! money. It does not check signatures: a wrong one would be the node's or the device's fault, and both check each other.
//! Nothing here depends on the order of transaction ids, which differ with keys, so that a seed replays.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use autonomy_blocks::{block_on, coinbase, unsigned};
use autonomy_wallet::bitcoin::{
    Amount, Block, BlockHash, Network, OutPoint, ScriptBuf, Transaction, TxOut, Txid,
    constants::genesis_block, hashes::Hash as _,
};

use crate::pod::WORLD_START;

/// Coins of whoever pays from outside, made by the first block. Each payment from outside takes one; afterwards there
/// are none.
const FAUCET_COINS: u32 = 4_096;
/// What each of them is worth, satoshi.
const FAUCET_COIN: u64 = 100_000_000;
/// Seconds between two blocks, on average.
pub(super) const BLOCK_SECONDS: u64 = 600;
/// Deepest reorganisation: no deeper one was seen on mainnet since 2013.
pub(super) const MAX_REORGANISATION: usize = 24;

/// The chain and its mempool.
#[derive(Debug)]
pub(super) struct Chain {
    blocks: Vec<Arc<Block>>,
    /// Hashes of `blocks`, which are compared far more often than made.
    hashes: Vec<BlockHash>,
    /// In the order in which they came: parents before children.
    mempool: Vec<Transaction>,
    /// Unspent in blocks.
    coins: BTreeMap<OutPoint, TxOut>,
    /// The height at which each transaction of the best chain is.
    mined: BTreeMap<Txid, u32>,
    /// Which transaction of the best chain spends each coin that is spent there.
    spent: BTreeMap<OutPoint, Txid>,
    /// Every transaction that ever was, but for mining rewards: whoever has one may hand it in again.
    known: BTreeMap<Txid, Transaction>,
    /// The next coin of whoever pays from outside.
    next_faucet_coin: u32,
    /// Makes blocks of one height differ.
    salt: u32,
}

/// What becomes of a transaction that is handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is in the mempool, or already in a block.
    Accepted,
    /// Not accepted, with the reason in bitcoind's words: whether that is for good, the node has to know.
    Refused(&'static str),
}

impl Chain {
    /// A chain of two blocks: the first of regtest, and one that gives money to whoever pays from outside.
    pub(super) fn new() -> Self {
        let genesis = genesis_block(Network::Regtest);
        let mut chain = Self {
            hashes: vec![genesis.block_hash()],
            blocks: vec![Arc::new(genesis)],
            mempool: Vec::new(),
            coins: BTreeMap::new(),
            mined: BTreeMap::new(),
            spent: BTreeMap::new(),
            known: BTreeMap::new(),
            next_faucet_coin: 0,
            salt: 0,
        };
        let out = TxOut { value: Amount::from_sat(FAUCET_COIN), script_pubkey: outside() };
        chain.append(vec![out; FAUCET_COINS as usize], Vec::new());
        chain
    }

    /// The height of the last block.
    pub(super) fn height(&self) -> u32 {
        self.blocks.len() as u32 - 1
    }

    /// A block of the best chain with its hash.
    pub(super) fn block(&self, height: u32) -> Option<(&Arc<Block>, BlockHash)> {
        Some((self.blocks.get(height as usize)?, *self.hashes.get(height as usize)?))
    }

    /// Transactions that wait for a block, parents before children.
    pub(super) fn mempool(&self) -> &[Transaction] {
        &self.mempool
    }

    /// The height of the block that has this transaction.
    pub(super) fn height_of(&self, txid: &Txid) -> Option<u32> {
        self.mined.get(txid).copied()
    }

    /// Whether the coin exists in a block and no block spends it.
    pub(super) fn has_coin(&self, coin: &OutPoint) -> bool {
        self.coins.contains_key(coin)
    }

    /// What the coins of blocks at these scripts are worth, satoshi.
    pub(super) fn worth(&self, scripts: &BTreeSet<ScriptBuf>) -> u64 {
        let coins = self.coins.values().filter(|coin| scripts.contains(&coin.script_pubkey));
        coins.map(|coin| coin.value.to_sat()).sum()
    }

    /// Hands a transaction in.
    pub(super) fn submit(&mut self, transaction: &Transaction) -> Verdict {
        let txid = transaction.compute_txid();
        if self.mined.contains_key(&txid) || self.is_waiting(&txid) {
            return Verdict::Accepted;
        }
        let worth = transaction.input.iter().map(|input| self.spendable(&input.previous_output));
        let Some(worth) = worth.collect::<Option<Vec<u64>>>() else {
            return Verdict::Refused("bad-txns-inputs-missingorspent");
        };
        let spent =
            |coin| self.mempool.iter().flat_map(|other| &other.input).any(|i| i.previous_output == coin);
        if transaction.input.iter().any(|input| spent(input.previous_output)) {
            return Verdict::Refused("txn-mempool-conflict");
        }
        let out: u64 = transaction.output.iter().map(|output| output.value.to_sat()).sum();
        if worth.iter().sum::<u64>() < out {
            return Verdict::Refused("bad-txns-in-belowout");
        }
        self.remember(transaction);
        self.mempool.push(transaction.clone());
        Verdict::Accepted
    }

    /// Somebody has this transaction, whether or not the mempool takes it now.
    pub(super) fn remember(&mut self, transaction: &Transaction) {
        self.known.insert(transaction.compute_txid(), transaction.clone());
    }

    /// Whether a transaction can never be mined any more: a block that is buried under `depth` blocks, itself counted, spends
    /// one of its coins otherwise, or one that a transaction needs which this one spends.
    pub(super) fn is_dead(&self, txid: &Txid, depth: u32) -> bool {
        let Some(transaction) = self.known.get(txid).filter(|_| !self.mined.contains_key(txid)) else {
            return false;
        };
        let buried = |rival: &Txid| self.height_of(rival).is_some_and(|at| self.height() + 1 >= at + depth);
        transaction.input.iter().map(|input| input.previous_output).any(|coin| match self.spent.get(&coin) {
            Some(rival) => buried(rival),
            None => !self.coins.contains_key(&coin) && self.is_dead(&coin.txid, depth),
        })
    }

    /// Whether the mempool has it.
    pub(super) fn is_waiting(&self, txid: &Txid) -> bool {
        self.mempool.iter().any(|other| other.compute_txid() == *txid)
    }

    /// Spends a coin by another transaction than the one that spends it now, which leaves the mempool with all that spend
    /// its outputs. Gives whether there is such a coin.
    pub(super) fn spend_elsewhere(&mut self, coin: OutPoint) -> bool {
        let Some(sat) = self.spendable(&coin).and_then(|sat| sat.checked_sub(2_000)) else { return false };
        let spends = |other: &Transaction| other.input.iter().any(|input| input.previous_output == coin);
        if let Some(position) = self.mempool.iter().position(spends) {
            self.evict(position);
        }
        let out = TxOut { value: Amount::from_sat(sat), script_pubkey: outside() };
        self.submit(&unsigned(coin, vec![out])) == Verdict::Accepted
    }

    /// Whoever paid from outside spends the coin of a transaction of the mempool otherwise, for a higher fee. Gives whether
    /// it was theirs to do so.
    pub(super) fn replace(&mut self, position: usize) -> bool {
        let Some(transaction) = self.mempool.get(position) else { return false };
        let [input] = &transaction.input[..] else { return false };
        let coin = input.previous_output;
        self.is_faucet(&coin) && self.spend_elsewhere(coin)
    }

    /// What a coin of a block or of the mempool is worth, satoshi. None if there is no such coin.
    fn spendable(&self, coin: &OutPoint) -> Option<u64> {
        if let Some(out) = self.coins.get(coin) {
            return Some(out.value.to_sat());
        }
        let parent = self.mempool.iter().find(|other| other.compute_txid() == coin.txid)?;
        Some(parent.output.get(coin.vout as usize)?.value.to_sat())
    }

    /// Pays from outside to a script. None once no coin is left.
    pub(super) fn pay_from_outside(&mut self, script: ScriptBuf, sat: u64) -> Option<Transaction> {
        let coinbase = self.blocks.get(1)?.txdata.first()?.compute_txid();
        let coin = OutPoint { txid: coinbase, vout: self.next_faucet_coin };
        self.next_faucet_coin += 1;
        self.coins.get(&coin)?;
        let pays = TxOut { value: Amount::from_sat(sat), script_pubkey: script };
        let back = TxOut { value: Amount::from_sat(FAUCET_COIN - sat - 1_000), script_pubkey: outside() };
        let transaction = unsigned(coin, vec![pays, back]);
        (self.submit(&transaction) == Verdict::Accepted).then_some(transaction)
    }

    /// Mines all of the mempool but the last `left` transactions.
    pub(super) fn mine(&mut self, left: usize) {
        let taken = self.mempool.len().saturating_sub(left);
        let transactions = self.mempool.drain(..taken).collect();
        self.append(Vec::new(), transactions);
    }

    /// Throws the last blocks away and mines one more in their place. Their transactions are back in the mempool, but
    /// for payments from outside of which `keeps` says no: those who paid spend the coin otherwise.
    pub(super) fn reorganise(&mut self, depth: usize, mut keeps: impl FnMut() -> bool) {
        let depth = depth.min(self.blocks.len().saturating_sub(2));
        let gone = self.blocks.split_off(self.blocks.len() - depth);
        self.hashes.truncate(self.blocks.len());
        self.recount();
        let waiting = std::mem::take(&mut self.mempool);
        let back = gone.into_iter().flat_map(|block| Arc::unwrap_or_clone(block).txdata.into_iter().skip(1));
        for transaction in back.chain(waiting) {
            let from_outside = transaction.input.iter().all(|input| self.is_faucet(&input.previous_output));
            let spent_otherwise = from_outside && !keeps();
            let transaction = if spent_otherwise { self.otherwise(&transaction) } else { transaction };
            // What spent a coin that is no more is gone, as it would be from any mempool.
            let _ = self.submit(&transaction);
        }
        (0..depth).for_each(|_| self.append(Vec::new(), Vec::new()));
        self.mine(0);
    }

    /// The mempool drops a transaction and those that spend its coins. Gives whether there is one at that position.
    pub(super) fn evict(&mut self, position: usize) -> bool {
        let Some(transaction) = self.mempool.get(position) else { return false };
        let mut gone = BTreeSet::from([transaction.compute_txid()]);
        self.mempool.retain(|other| {
            let txid = other.compute_txid();
            let leaves =
                gone.contains(&txid) || other.input.iter().any(|i| gone.contains(&i.previous_output.txid));
            if leaves {
                gone.insert(txid);
            }
            !leaves
        });
        true
    }

    /// Whether a coin belongs to whoever pays from outside.
    fn is_faucet(&self, coin: &OutPoint) -> bool {
        self.coins.get(coin).is_some_and(|coin| coin.script_pubkey == outside())
    }

    /// The same coin spent by another transaction: a double spend of whoever pays from outside.
    fn otherwise(&self, transaction: &Transaction) -> Transaction {
        let coin = transaction.input.first().map_or_else(OutPoint::null, |input| input.previous_output);
        let out = TxOut { value: Amount::from_sat(FAUCET_COIN - 2_000), script_pubkey: outside() };
        unsigned(coin, vec![out])
    }

    /// Adds a block with these transactions, whose first one pays `reward`.
    fn append(&mut self, reward: Vec<TxOut>, mut transactions: Vec<Transaction>) {
        self.salt += 1;
        let height = self.blocks.len() as u32;
        transactions.insert(0, coinbase(height, self.salt, reward));
        let tip = self.hashes.last().copied().unwrap_or_else(BlockHash::all_zeros);
        let time = (WORLD_START + u64::from(height) * BLOCK_SECONDS) as u32;
        let block = block_on(tip, time, self.salt, transactions);
        self.count(height, &block);
        self.hashes.push(block.block_hash());
        self.blocks.push(Arc::new(block));
    }

    /// Adds the coins of a block, and removes those that it spends.
    fn count(&mut self, height: u32, block: &Block) {
        for transaction in &block.txdata {
            let txid = transaction.compute_txid();
            self.mined.insert(txid, height);
            for input in &transaction.input {
                self.coins.remove(&input.previous_output);
                self.spent.insert(input.previous_output, txid);
            }
            for (vout, output) in (0..).zip(&transaction.output) {
                self.coins.insert(OutPoint { txid, vout }, output.clone());
            }
        }
    }

    /// Counts all coins from the first block on, after blocks were dropped.
    fn recount(&mut self) {
        self.coins.clear();
        self.mined.clear();
        self.spent.clear();
        let blocks = std::mem::take(&mut self.blocks);
        (0..).zip(&blocks).skip(1).for_each(|(height, block)| self.count(height, block));
        self.blocks = blocks;
    }
}

/// The script of whoever is outside: of no account.
pub(super) fn outside() -> ScriptBuf {
    // OP_1, anybody's.
    ScriptBuf::from_bytes(vec![0x51])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody() -> ScriptBuf {
        ScriptBuf::from_bytes(vec![0x52])
    }

    fn worth(chain: &Chain) -> u64 {
        chain.worth(&BTreeSet::from([somebody()]))
    }

    #[test]
    fn coin_is_spent_once_and_for_no_more_than_it_has() {
        let mut chain = Chain::new();
        let paid = chain.pay_from_outside(somebody(), 5_000).unwrap();
        let coin = OutPoint { txid: paid.compute_txid(), vout: 0 };
        let spend =
            |sat| unsigned(coin, vec![TxOut { value: Amount::from_sat(sat), script_pubkey: somebody() }]);
        assert_eq!(chain.submit(&spend(5_001)), Verdict::Refused("bad-txns-in-belowout"));
        assert_eq!(chain.submit(&spend(4_000)), Verdict::Accepted);
        assert_eq!(chain.submit(&spend(4_000)), Verdict::Accepted, "it is there already");
        assert_eq!(chain.submit(&spend(3_000)), Verdict::Refused("txn-mempool-conflict"));
        chain.mine(0);
        assert_eq!(chain.submit(&spend(3_000)), Verdict::Refused("bad-txns-inputs-missingorspent"));
        assert_eq!(worth(&chain), 4_000);
    }

    #[test]
    fn reorganisation_returns_transactions_or_respends_coins() {
        for (keeps, left) in [(true, 5_000), (false, 0)] {
            let mut chain = Chain::new();
            chain.pay_from_outside(somebody(), 5_000).unwrap();
            (0..3).for_each(|_| chain.mine(0));
            let (height, tip) = (chain.height(), chain.block(4).unwrap().1);
            chain.reorganise(3, || keeps);
            assert_eq!((chain.height(), worth(&chain)), (height + 1, left));
            assert_ne!(chain.block(4).unwrap().1, tip);
        }
    }

    #[test]
    fn eviction_removes_dependent_transactions() {
        let mut chain = Chain::new();
        let paid = chain.pay_from_outside(somebody(), 5_000).unwrap();
        let coin = OutPoint { txid: paid.compute_txid(), vout: 0 };
        chain.pay_from_outside(somebody(), 6_000).unwrap();
        assert_eq!(chain.submit(&unsigned(coin, Vec::new())), Verdict::Accepted);
        assert!(chain.evict(0));
        assert_eq!(chain.mempool().len(), 1);
        chain.mine(0);
        assert_eq!(worth(&chain), 6_000);
    }

    #[test]
    fn transaction_is_dead_once_another_spend_is_buried() {
        let mut chain = Chain::new();
        let paid = chain.pay_from_outside(somebody(), 5_000).unwrap();
        let coin = OutPoint { txid: paid.compute_txid(), vout: 0 };
        let spend = unsigned(coin, vec![TxOut { value: Amount::from_sat(4_000), script_pubkey: somebody() }]);
        chain.submit(&spend);
        assert!(chain.replace(0), "whoever paid may take it back");
        let dead = |chain: &Chain| [&paid, &spend].map(|lost| chain.is_dead(&lost.compute_txid(), 2));
        assert_eq!(dead(&chain), [false, false], "no block decides yet");
        chain.mine(0);
        assert_eq!(dead(&chain), [false, false]);
        chain.mine(0);
        assert_eq!(dead(&chain), [true, true]);
        assert_eq!(worth(&chain), 0);
    }
}
