//! A chain that everybody agrees on: blocks, a mempool, reorganisations. It is the truth about coins.
//!
//! Its rules are those that concern a pod: a transaction spends coins that exist and are not spent, once, and creates no
//! money. Signatures are not looked at; whoever holds the keys to a script is known to the world by other means. Nothing
//! here depends on the order of transaction ids, which differ with keys.

use std::collections::{BTreeMap, BTreeSet};

use autonomy_wallet::bitcoin::{
    Amount, Block, BlockHash, CompactTarget, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn,
    TxMerkleNode, TxOut, Txid, Witness, absolute, block, constants::genesis_block, hashes::Hash as _,
    transaction,
};

use crate::pod::BEGINNING;

/// Coins of whoever pays from outside, made by the first block: one for each payment in.
const FAUCET_COINS: u32 = 4_096;
/// Each of so much, satoshi.
const FAUCET_COIN: u64 = 100_000_000;
/// Seconds between two blocks, on average.
pub(super) const BLOCK_SECONDS: u64 = 600;
/// Deepest reorganisation: no deeper one was seen on mainnet since 2013.
pub(super) const MAX_REORGANISATION: usize = 24;

/// The chain and its mempool.
#[derive(Debug)]
pub(super) struct Chain {
    blocks: Vec<Block>,
    hashes: Vec<BlockHash>,
    /// In the order in which they came: parents before children.
    mempool: Vec<Transaction>,
    /// Unspent in blocks.
    coins: BTreeMap<OutPoint, TxOut>,
    /// Where the transactions of blocks are.
    mined: BTreeMap<Txid, u32>,
    next_faucet_coin: u32,
    /// Makes blocks of one height differ.
    salt: u32,
}

/// What becomes of a transaction that is handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// In the mempool, or in a block already.
    Accepted,
    /// Not now.
    Waits(&'static str),
    /// Never.
    Invalid(&'static str),
}

impl Chain {
    /// A chain of two blocks: the first of regtest, and one that gives money to whoever pays from outside.
    pub(super) fn new() -> Self {
        let genesis = genesis_block(Network::Regtest);
        let mut chain = Self {
            hashes: vec![genesis.block_hash()],
            blocks: vec![genesis],
            mempool: Vec::new(),
            coins: BTreeMap::new(),
            mined: BTreeMap::new(),
            next_faucet_coin: 0,
            salt: 0,
        };
        let out = TxOut { value: Amount::from_sat(FAUCET_COIN), script_pubkey: outside() };
        chain.append(vec![unsigned(OutPoint::null(), vec![out; FAUCET_COINS as usize])]);
        chain
    }

    pub(super) fn height(&self) -> u32 {
        self.blocks.len() as u32 - 1
    }

    /// A block of the best chain, its hash and its time.
    pub(super) fn block(&self, height: u32) -> Option<(&Block, BlockHash)> {
        Some((self.blocks.get(height as usize)?, *self.hashes.get(height as usize)?))
    }

    pub(super) fn mempool(&self) -> &[Transaction] {
        &self.mempool
    }

    /// The height of the block that has this transaction.
    pub(super) fn height_of(&self, txid: &Txid) -> Option<u32> {
        self.mined.get(txid).copied()
    }

    /// Whether the coin exists in a block, and no block spends it.
    pub(super) fn has_coin(&self, coin: &OutPoint) -> bool {
        self.coins.contains_key(coin)
    }

    /// What the coins of blocks with these scripts are worth.
    pub(super) fn worth(&self, scripts: &BTreeSet<ScriptBuf>) -> u64 {
        let coins = self.coins.values().filter(|coin| scripts.contains(&coin.script_pubkey));
        coins.map(|coin| coin.value.to_sat()).sum()
    }

    /// Somebody hands a transaction in.
    pub(super) fn submit(&mut self, transaction: &Transaction) -> Verdict {
        let txid = transaction.compute_txid();
        if self.mined.contains_key(&txid) || self.mempool.iter().any(|other| other.compute_txid() == txid) {
            return Verdict::Accepted;
        }
        let worth = transaction.input.iter().map(|input| self.spendable(&input.previous_output));
        let Some(worth) = worth.collect::<Option<Vec<u64>>>() else {
            return Verdict::Waits("bad-txns-inputs-missingorspent");
        };
        let spent =
            |coin| self.mempool.iter().flat_map(|other| &other.input).any(|i| i.previous_output == coin);
        if transaction.input.iter().any(|input| spent(input.previous_output)) {
            return Verdict::Waits("txn-mempool-conflict");
        }
        let out: u64 = transaction.output.iter().map(|output| output.value.to_sat()).sum();
        if worth.iter().sum::<u64>() < out {
            return Verdict::Invalid("bad-txns-in-belowout");
        }
        self.mempool.push(transaction.clone());
        Verdict::Accepted
    }

    /// What a coin is worth that a block or the mempool has.
    fn spendable(&self, coin: &OutPoint) -> Option<u64> {
        if let Some(out) = self.coins.get(coin) {
            return Some(out.value.to_sat());
        }
        let parent = self.mempool.iter().find(|other| other.compute_txid() == coin.txid)?;
        Some(parent.output.get(coin.vout as usize)?.value.to_sat())
    }

    /// Somebody outside pays. Gives none once they have no more coins.
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
        self.append(transactions);
    }

    /// Throws the last blocks away and mines one more in their place. Their transactions are back in the mempool, but
    /// for payments from outside of which `keeps` says no: those who paid spend the coin otherwise.
    pub(super) fn reorganise(&mut self, depth: usize, mut keeps: impl FnMut() -> bool) {
        let depth = depth.min(self.blocks.len().saturating_sub(2));
        let gone = self.blocks.split_off(self.blocks.len() - depth);
        self.hashes.truncate(self.blocks.len());
        self.recount();
        let waiting = std::mem::take(&mut self.mempool);
        let back = gone.into_iter().flat_map(|block| block.txdata.into_iter().skip(1));
        for transaction in back.chain(waiting) {
            let from_outside = transaction.input.iter().all(|input| self.is_faucet(&input.previous_output));
            let spent_otherwise = from_outside && !keeps();
            let transaction = if spent_otherwise { self.otherwise(&transaction) } else { transaction };
            // What spent a coin that is no more is gone, as it would be from any mempool.
            let _ = self.submit(&transaction);
        }
        (0..depth).for_each(|_| self.append(Vec::new()));
        self.mine(0);
    }

    /// The mempool lets go of a transaction and of those that build on it. Gives whether it had it.
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

    fn is_faucet(&self, coin: &OutPoint) -> bool {
        self.coins.get(coin).is_some_and(|coin| coin.script_pubkey == outside())
    }

    /// The same coin goes back to whoever had it.
    fn otherwise(&self, transaction: &Transaction) -> Transaction {
        let coin = transaction.input.first().map_or_else(OutPoint::null, |input| input.previous_output);
        let out = TxOut { value: Amount::from_sat(FAUCET_COIN - 2_000), script_pubkey: outside() };
        unsigned(coin, vec![out])
    }

    fn append(&mut self, mut transactions: Vec<Transaction>) {
        self.salt += 1;
        let height = self.blocks.len() as u32;
        let is_first = height == 1;
        if !is_first {
            transactions.insert(0, unsigned(OutPoint::null(), Vec::new()));
        }
        if let Some(input) = transactions.first_mut().and_then(|coinbase| coinbase.input.first_mut()) {
            let mut bytes = [0; 8];
            bytes[..4].copy_from_slice(&height.to_be_bytes());
            bytes[4..].copy_from_slice(&self.salt.to_be_bytes());
            input.script_sig = ScriptBuf::builder().push_slice(bytes).into_script();
        }
        let header = block::Header {
            version: block::Version::TWO,
            prev_blockhash: self.hashes.last().copied().unwrap_or_else(BlockHash::all_zeros),
            merkle_root: TxMerkleNode::all_zeros(),
            time: (BEGINNING + u64::from(height) * BLOCK_SECONDS) as u32,
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: self.salt,
        };
        let mut block = Block { header, txdata: transactions };
        block.header.merkle_root = block.compute_merkle_root().unwrap_or_else(TxMerkleNode::all_zeros);
        self.count(height, &block);
        self.hashes.push(block.block_hash());
        self.blocks.push(block);
    }

    /// Counts the coins of a block.
    fn count(&mut self, height: u32, block: &Block) {
        for transaction in &block.txdata {
            let txid = transaction.compute_txid();
            self.mined.insert(txid, height);
            for input in &transaction.input {
                self.coins.remove(&input.previous_output);
            }
            for (vout, output) in (0..).zip(&transaction.output) {
                self.coins.insert(OutPoint { txid, vout }, output.clone());
            }
        }
    }

    /// Counts all coins anew.
    fn recount(&mut self) {
        self.coins.clear();
        self.mined.clear();
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

fn unsigned(from: OutPoint, output: Vec<TxOut>) -> Transaction {
    let input = TxIn {
        previous_output: from,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: vec![input],
        output,
    }
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
    fn a_coin_is_spent_once_and_by_no_more_than_it_has() {
        let mut chain = Chain::new();
        let paid = chain.pay_from_outside(somebody(), 5_000).unwrap();
        let coin = OutPoint { txid: paid.compute_txid(), vout: 0 };
        let spend =
            |sat| unsigned(coin, vec![TxOut { value: Amount::from_sat(sat), script_pubkey: somebody() }]);
        assert_eq!(chain.submit(&spend(5_001)), Verdict::Invalid("bad-txns-in-belowout"));
        assert_eq!(chain.submit(&spend(4_000)), Verdict::Accepted);
        assert_eq!(chain.submit(&spend(4_000)), Verdict::Accepted, "it is there already");
        assert_eq!(chain.submit(&spend(3_000)), Verdict::Waits("txn-mempool-conflict"));
        chain.mine(0);
        assert_eq!(chain.submit(&spend(3_000)), Verdict::Waits("bad-txns-inputs-missingorspent"));
        assert_eq!(worth(&chain), 4_000);
    }

    #[test]
    fn a_reorganisation_returns_or_conflicts_transactions() {
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
    fn an_eviction_takes_those_that_build_on_it_along() {
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
}
