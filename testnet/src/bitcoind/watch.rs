//! A watch-only wallet inside bitcoind: what Bitcoin Core itself makes of a descriptor of ours.

use serde_json::{Value, json};

use super::chain::{as_text, sats, unexpected};
use super::{Bitcoind, BitcoindError, Rpc};

/// Indices a watch-only wallet looks at on each branch: far above any gap limit.
const RANGE: u32 = 1000;

/// A balance, split as Bitcoin Core splits it. All in sat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balances {
    /// Confirmed, or our own unconfirmed change.
    pub trusted: u64,
    /// Unconfirmed payments of others.
    pub untrusted_pending: u64,
    /// Coinbase outputs that have not matured.
    pub immature: u64,
}

/// A watch-only wallet of the node.
#[derive(Debug, Clone)]
pub struct WatchWallet {
    rpc: Rpc,
}

impl Bitcoind {
    /// Makes wallet `name` that watches `descriptors` (with checksums), the first for receiving, a second
    /// for change, and looks through the whole chain for them. A multipath descriptor
    /// (`.../<0;1>/*`) may be given as the only one.
    ///
    /// # Errors
    /// When bitcoind refuses a descriptor, or a wallet of that name exists.
    pub fn watch(&self, name: &str, descriptors: &[&str]) -> Result<WatchWallet, BitcoindError> {
        const METHOD: &str = "importdescriptors";
        let named = json!({"wallet_name": name, "disable_private_keys": true, "blank": true});
        self.rpc().call("createwallet", &named)?;
        let rpc = self.rpc().wallet(name);
        let requests: Vec<Value> = descriptors.iter().enumerate().map(request).collect();
        let answer = rpc.call(METHOD, &json!([requests]))?;
        let outcomes = answer.as_array().ok_or_else(|| unexpected(METHOD, &answer))?;
        match outcomes.iter().find(|outcome| outcome["success"] != true) {
            None => Ok(WatchWallet { rpc }),
            Some(failed) => Err(unexpected(METHOD, failed)),
        }
    }
}

/// The import of the descriptor at `index`. In a multipath descriptor Core itself takes the second branch
/// for change, and refuses to be told.
fn request((index, descriptor): (usize, &&str)) -> Value {
    let mut request = json!({
        "desc": descriptor, "timestamp": 0, "active": true, "range": [0, RANGE],
    });
    if !descriptor.contains(';') {
        request["internal"] = json!(index == 1);
    }
    request
}

impl WatchWallet {
    /// The wallet's balance now.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn balances(&self) -> Result<Balances, BitcoindError> {
        const METHOD: &str = "getbalances";
        // Wallets hear of transactions by a queue; what the node has accepted may still stand in it.
        self.rpc.call("syncwithvalidationinterfacequeue", &json!([]))?;
        let answer = self.rpc.call(METHOD, &json!([]))?;
        let part = |name: &str| sats(METHOD, &answer["mine"][name]);
        Ok(Balances {
            trusted: part("trusted")?,
            untrusted_pending: part("untrusted_pending")?,
            immature: part("immature")?,
        })
    }

    /// The wallet's next receiving address.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn next_address(&self) -> Result<String, BitcoindError> {
        as_text("getnewaddress", &self.rpc.call("getnewaddress", &json!(["", "bech32"]))?)
    }
}
