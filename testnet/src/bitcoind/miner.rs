//! The wallet that has this chain's coins, of a node that runs: whoever started it.

use std::{net::SocketAddr, path::PathBuf};

use serde_json::json;

use super::{
    BitcoindError, MINER, MINER_FEE_RATE, Rpc,
    chain::{as_text, as_texts, btc},
};

/// The miner's wallet of one node.
#[derive(Debug, Clone)]
pub struct Miner {
    node: Rpc,
    wallet: Rpc,
}

impl Miner {
    /// The miner of the node that serves RPC at `address` and wrote its credentials to `cookie`.
    #[must_use]
    pub fn at(address: SocketAddr, cookie: PathBuf) -> Self {
        Self::of(Rpc::new(address, cookie))
    }

    /// The miner of a node.
    pub(super) fn of(node: Rpc) -> Self {
        Self { wallet: node.wallet(MINER), node }
    }

    /// Calls of its wallet.
    pub(super) fn wallet(&self) -> &Rpc {
        &self.wallet
    }

    /// A fresh address of its own.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn address(&self) -> Result<String, BitcoindError> {
        as_text("getnewaddress", &self.wallet.call("getnewaddress", &json!([]))?)
    }

    /// Pays `sats` to `address`; gives the transaction's id. It waits in the mempool for a block.
    ///
    /// # Errors
    /// When the node refuses.
    pub fn pay(&self, address: &str, sats: u64) -> Result<String, BitcoindError> {
        let named = json!({"address": address, "amount": btc(sats), "fee_rate": MINER_FEE_RATE});
        as_text("sendtoaddress", &self.wallet.call("sendtoaddress", &named)?)
    }

    /// Mines `blocks` blocks with what is in the mempool, the reward to `address`; gives their hashes.
    ///
    /// # Errors
    /// When the node does not answer or does not know the address.
    pub fn mine_to(&self, blocks: u32, address: &str) -> Result<Vec<String>, BitcoindError> {
        let answer = self.node.call("generatetoaddress", &json!([blocks, address]))?;
        self.flush()?;
        as_texts("generatetoaddress", &answer)
    }

    /// Height of the best chain.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn height(&self) -> Result<u32, BitcoindError> {
        super::chain::as_u32("getblockcount", &self.node.call("getblockcount", &json!([]))?)
    }

    /// Writes the chain state to disk. bitcoind itself does so about once an hour, and a node that is killed
    /// before stands at an older height when it starts again, here at genesis: no other node has the blocks.
    pub(super) fn flush(&self) -> Result<(), BitcoindError> {
        // Of the calls that write it, the one that does little else.
        self.node.call("gettxoutsetinfo", &json!(["none"]))?;
        // The index of block filters writes when it hears of that; killed before, it does not start again.
        self.node.call("syncwithvalidationinterfacequeue", &json!([]))?;
        Ok(())
    }
}
