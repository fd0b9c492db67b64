//! What a test does with a chain: mine, pay, look, and take blocks back.

use serde_json::{Value, json};

use super::{Bitcoind, BitcoindError};

/// A transaction as its wallet-independent facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Confirmations; 0 while it waits in the mempool.
    pub confirmations: u32,
    /// The raw transaction, hex.
    pub hex: String,
}

impl Bitcoind {
    /// Height of the best chain.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn height(&self) -> Result<u32, BitcoindError> {
        self.miner().height()
    }

    /// Hash of the block at `height`.
    ///
    /// # Errors
    /// When there is no such block.
    pub fn block_hash(&self, height: u32) -> Result<String, BitcoindError> {
        let answer = self.rpc().call("getblockhash", &json!([height]))?;
        as_text("getblockhash", &answer)
    }

    /// Transaction ids in the mempool.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn mempool(&self) -> Result<Vec<String>, BitcoindError> {
        as_texts("getrawmempool", &self.rpc().call("getrawmempool", &json!([]))?)
    }

    /// A fresh address of the miner's: somewhere outside to pay to.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn address(&self) -> Result<String, BitcoindError> {
        self.miner().address()
    }

    /// Mines `blocks` blocks with what is in the mempool; gives their hashes.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn mine(&self, blocks: u32) -> Result<Vec<String>, BitcoindError> {
        self.mine_to(blocks, &self.address()?)
    }

    /// [`mine`](Self::mine) with the reward to `address`.
    ///
    /// # Errors
    /// When the node does not answer or does not know the address.
    pub fn mine_to(&self, blocks: u32, address: &str) -> Result<Vec<String>, BitcoindError> {
        self.miner().mine_to(blocks, address)
    }

    /// The miner pays `sats` to `address`; gives the transaction's id. It waits in the mempool for a block.
    ///
    /// # Errors
    /// When the node refuses.
    pub fn send_to(&self, address: &str, sats: u64) -> Result<String, BitcoindError> {
        self.miner().pay(address, sats)
    }

    /// What the miner has confirmed and mature, in sat.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn miner_balance(&self) -> Result<u64, BitcoindError> {
        sats("getbalance", &self.miner().wallet().call("getbalance", &json!([]))?)
    }

    /// The transaction `txid`, in the mempool or in the block named.
    ///
    /// # Errors
    /// When it is in neither.
    pub fn transaction(&self, txid: &str, block: Option<&str>) -> Result<Seen, BitcoindError> {
        const METHOD: &str = "getrawtransaction";
        let params = block.map_or_else(|| json!([txid, 1]), |hash| json!([txid, 1, hash]));
        let answer = self.rpc().call(METHOD, &params)?;
        let confirmations = match &answer["confirmations"] {
            Value::Null => 0,
            count => as_u32(METHOD, count)?,
        };
        Ok(Seen { confirmations, hex: as_text(METHOD, &answer["hex"])? })
    }

    /// Replaces the last `depth` blocks by `depth + 1` empty ones: what they confirmed waits in the mempool
    /// again (their coinbase outputs are gone, and with them what spent those).
    ///
    /// # Errors
    /// When there are fewer blocks, or the node refuses.
    pub fn reorg(&self, depth: u32) -> Result<(), BitcoindError> {
        let height = self.height()?;
        let Some(first) = height.checked_sub(depth).map(|below| below + 1).filter(|_| depth > 0) else {
            return Err(BitcoindError::TooDeep { height, depth });
        };
        let hash = self.block_hash(first)?;
        self.rpc().call("invalidateblock", &json!([hash]))?;
        let address = self.address()?;
        for _ in 0..=depth {
            self.rpc().call("generateblock", &json!([address, []]))?;
        }
        self.miner().flush()
    }

    /// The addresses that `descriptor` (with checksum) gives from index `from` to `to`, both included.
    ///
    /// # Errors
    /// When bitcoind refuses the descriptor; a multipath one must be taken apart first.
    pub fn derive_addresses(
        &self,
        descriptor: &str,
        from: u32,
        to: u32,
    ) -> Result<Vec<String>, BitcoindError> {
        let answer = self.rpc().call("deriveaddresses", &json!([descriptor, [from, to]]))?;
        as_texts("deriveaddresses", &answer)
    }
}

/// Sats in a bitcoin.
const COIN: u64 = 100_000_000;

/// An amount as bitcoind takes it: decimal text, exact.
pub(super) fn btc(sats: u64) -> String {
    format!("{}.{:08}", sats / COIN, sats % COIN)
}

/// An amount as bitcoind gives it: a JSON number of bitcoins. Below 21 million it has at most 16 decimal
/// digits, so the nearest binary fraction rounds back to the same sat.
pub(super) fn sats(method: &'static str, amount: &Value) -> Result<u64, BitcoindError> {
    let sats = amount.as_f64().map(|btc| (btc * 1e8).round());
    let in_range = sats.filter(|sats| (0.0..=2.1e15).contains(sats));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
    in_range.map(|sats| sats as u64).ok_or_else(|| unexpected(method, amount))
}

pub(super) fn as_text(method: &'static str, value: &Value) -> Result<String, BitcoindError> {
    value.as_str().map(str::to_owned).ok_or_else(|| unexpected(method, value))
}

pub(super) fn as_texts(method: &'static str, value: &Value) -> Result<Vec<String>, BitcoindError> {
    let list = value.as_array().ok_or_else(|| unexpected(method, value))?;
    list.iter().map(|item| as_text(method, item)).collect()
}

pub(super) fn as_u32(method: &'static str, value: &Value) -> Result<u32, BitcoindError> {
    value.as_u64().and_then(|number| number.try_into().ok()).ok_or_else(|| unexpected(method, value))
}

pub(super) fn unexpected(method: &'static str, value: &Value) -> BitcoindError {
    BitcoindError::Answer { method, answer: value.to_string().chars().take(200).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_round_trip() {
        for amount in [0, 1, 99_999_999, 100_000_000, 123_456_789, 2_099_999_997_690_000] {
            let number: Value = serde_json::from_str(&btc(amount)).unwrap();
            assert_eq!(sats("x", &number).unwrap(), amount);
        }
        assert_eq!(btc(25_000_000), "0.25000000");
    }

    #[test]
    fn invalid_amounts_are_refused() {
        for value in [json!(-1), json!("1.0"), json!(null), json!(1e30)] {
            assert!(sats("x", &value).is_err(), "{value}");
        }
    }
}
