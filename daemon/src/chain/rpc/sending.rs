//! What becomes of a transaction that is handed to bitcoind.
//!
//! Only bitcoind's own words about this very transaction say anything. All else (no answer, one that is none, a bitcoind that
//! is starting) may come after the transaction was passed on: then nothing is known of it.

use bdk_wallet::bitcoin::{Transaction, Txid, consensus::encode};
use serde_json::json;

use super::{CallError, Client, decode};
use autonomy_node::BroadcastOutcome;

/// RPC_VERIFY_ALREADY_IN_UTXO_SET: it is mined already.
pub(super) const ALREADY_IN_CHAIN: i64 = -27;

/// Hands a transaction over.
pub(crate) fn broadcast(client: &Client, transaction: &Transaction) -> BroadcastOutcome {
    let (hex, txid) = (encode::serialize_hex(transaction), transaction.compute_txid());
    match client.call("sendrawtransaction", &json!([hex]), decode::whole::<Txid>) {
        Ok(taken) if taken == txid => BroadcastOutcome::Accepted,
        Ok(other) => {
            BroadcastOutcome::Unanswered(format!("bitcoind answers with another transaction, {other}"))
        }
        Err(CallError::Refused { code: ALREADY_IN_CHAIN, .. }) => BroadcastOutcome::Accepted,
        Err(CallError::Refused { message, .. }) => refused(client, &txid, message),
        Err(error) => BroadcastOutcome::Unanswered(error.to_string()),
    }
}

/// Some refusals are of a transaction that the mempool has already, and some say nothing about it.
fn refused(client: &Client, txid: &Txid, reason: String) -> BroadcastOutcome {
    match client.call("getmempoolentry", &json!([txid]), decode::object) {
        Ok(()) => BroadcastOutcome::Accepted,
        Err(error) if error.is_not_found() => BroadcastOutcome::Refused(reason),
        Err(_) => BroadcastOutcome::Unanswered(reason),
    }
}
