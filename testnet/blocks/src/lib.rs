//! Blocks that nobody mined and transactions that nobody signed, for tests and simulated worlds.
//!
//! They are connected as real ones are: a block names the hash of its parent and commits to its transactions, and each
//! transaction has an id of its own. That is all a ledger looks at. There is no proof of work and no signature, so a
//! bitcoind refuses every one of them; a test against a bitcoind lets that program mine.
//!
//! What may differ from block to block is an argument, so a caller that counts gets the same chain again each time.

use bdk_wallet::bitcoin::{
    Amount, Block, BlockHash, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode,
    TxOut, Witness, absolute, block, hashes::Hash as _, transaction,
};

/// Difficulty of regtest, the lowest there is.
const REGTEST_BITS: u32 = 0x207f_ffff;

/// A block on top of `parent`, `time` in seconds since 1970. The first of `transactions` has to be a [`coinbase`].
///
/// `salt` becomes the nonce: two blocks of one parent and the same transactions differ where their salts do.
#[must_use]
pub fn block_on(parent: BlockHash, time: u32, salt: u32, transactions: Vec<Transaction>) -> Block {
    let header = block::Header {
        version: block::Version::TWO,
        prev_blockhash: parent,
        merkle_root: TxMerkleNode::all_zeros(),
        time,
        bits: CompactTarget::from_consensus(REGTEST_BITS),
        nonce: salt,
    };
    let mut block = Block { header, txdata: transactions };
    block.header.merkle_root = block.compute_merkle_root().unwrap_or_else(TxMerkleNode::all_zeros);
    block
}

/// The first transaction of a block at `height`. Without the height two of them would have one id, and without `salt` two
/// blocks of one height as well.
#[must_use]
pub fn coinbase(height: u32, salt: u32, output: Vec<TxOut>) -> Transaction {
    let mut transaction = unsigned(OutPoint::null(), output);
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&height.to_be_bytes());
    bytes[4..].copy_from_slice(&salt.to_be_bytes());
    transaction.input[0].script_sig = ScriptBuf::builder().push_slice(bytes).into_script();
    transaction
}

/// A transaction that pays `sat` satoshi to `script` from one coin; the rest of the coin is its fee.
#[must_use]
pub fn spend(from: OutPoint, script: ScriptBuf, sat: u64) -> Transaction {
    unsigned(from, vec![TxOut { value: Amount::from_sat(sat), script_pubkey: script }])
}

/// A transaction of one coin and these outputs.
#[must_use]
pub fn unsigned(from: OutPoint, output: Vec<TxOut>) -> Transaction {
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
