//! The few calls made to bitcoind, and what their failures mean to the owner.

use std::fmt;

use bdk_bitcoind_rpc::{
    BitcoindRpcErrorExt as _,
    bitcoincore_rpc::{
        self, Auth, Client, RpcApi as _,
        jsonrpc::{self, simple_http},
    },
};
use bdk_wallet::{
    bitcoin::{Network, Transaction},
    chain::CheckPoint,
};

use super::{BitcoindAuth, BitcoindConfig};
use autonomy_node::{BroadcastOutcome, ChainPoint};

/// Targets asked for, in blocks.
const FEE_TARGETS: [u16; 6] = [1, 2, 3, 6, 12, 144];
/// RPC_VERIFY_ALREADY_IN_UTXO_SET (bitcoin: src/rpc/protocol.h): it is mined already.
const ALREADY_IN_CHAIN: i32 = -27;
/// Reasons of bitcoind (`src/validation.cpp`, `src/policy/policy.cpp`) that no waiting mends. All others may pass: a
/// full mempool, a parent that is not there yet, a rate that is too low today.
const FINAL_REASONS: [&str; 7] = [
    "mandatory-script-verify-flag",
    "non-mandatory-script-verify-flag",
    "mempool-script-verify-flag",
    "bad-txns-in-belowout",
    "dust",
    "scriptpubkey",
    "tx-size",
];

/// Why the source cannot be followed, in words for the owner.
#[derive(Debug)]
pub(super) struct Trouble(String);

impl Trouble {
    pub(super) fn rpc(doing: &str, error: &bitcoincore_rpc::Error) -> Self {
        Self(format!("{doing}: {}", explain(error)))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A client with the credentials of this moment.
pub(super) fn client(config: &BitcoindConfig) -> Result<Client, Trouble> {
    let auth = match &config.auth {
        BitcoindAuth::Cookie(path) if !path.exists() => {
            return Err(Trouble(format!("bitcoind is not running: no cookie file at {}", path.display())));
        }
        BitcoindAuth::Cookie(path) => Auth::CookieFile(path.clone()),
        BitcoindAuth::UserPass(user, password) => Auth::UserPass(user.clone(), password.clone()),
    };
    Client::new(&config.url, auth).map_err(|error| Trouble::rpc("logging in to bitcoind", &error))
}

/// Whether this is the chain the pod has been following; gives how far the source is.
pub(super) fn check_chain(
    client: &Client,
    network: Network,
    last: Option<&CheckPoint>,
) -> Result<SourceHeight, Trouble> {
    let info = client.get_blockchain_info().map_err(|error| Trouble::rpc("asking bitcoind", &error))?;
    if info.chain != network {
        return Err(Trouble(format!(
            "bitcoind is on {}, this pod is on {network}: point `bitcoind.url` at the right one",
            info.chain
        )));
    }
    if let Some(last) = last {
        knows_any(client, last)?;
    }
    let number = |height: u64| u32::try_from(height).unwrap_or(u32::MAX);
    // Test chains may rest for days, which bitcoind takes for catching up.
    let catches_up = info.initial_block_download && info.headers > info.blocks;
    Ok(SourceHeight { blocks: number(info.blocks), catching_up_to: catches_up.then(|| number(info.headers)) })
}

/// How far the source is.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceHeight {
    /// Blocks it has.
    pub(super) blocks: u32,
    /// The height it is on its way to, while it has only headers of what comes.
    pub(super) catching_up_to: Option<u32>,
}

/// Refuses a source whose best chain has none of the blocks this pod knows. Without this check a chain that began
/// anew would be read from its first block, as if all coins had been reorganised away.
fn knows_any(client: &Client, last: &CheckPoint) -> Result<(), Trouble> {
    // All chains of a network share their first block: it tells nothing.
    for point in last.iter().filter(|point| point.height() > 0 || last.height() == 0) {
        match client.get_block_header_info(&point.hash()) {
            // Negative for a block beside the best chain.
            Ok(header) if header.confirmations >= 0 => return Ok(()),
            Ok(_) => {}
            Err(error) if error.is_not_found_error() => {}
            Err(error) => return Err(Trouble::rpc("asking bitcoind", &error)),
        }
    }
    Err(Trouble(format!(
        "bitcoind is on another chain: its best chain has none of the blocks this pod has seen up to height {}. Nothing \
         is changed; point `bitcoind.url` at the node used before",
        last.height()
    )))
}

/// The block of the best chain at `height` and the `depth` blocks below it, oldest first.
pub(super) fn last_blocks(client: &Client, height: u32, depth: u32) -> Result<Vec<ChainPoint>, Trouble> {
    (height.saturating_sub(depth)..=height).map(|height| block_at(client, height)).collect()
}

fn block_at(client: &Client, height: u32) -> Result<ChainPoint, Trouble> {
    let trouble = |error| Trouble::rpc("reading a block's header", &error);
    let hash = client.get_block_hash(height.into()).map_err(trouble)?;
    let header = client.get_block_header_info(&hash).map_err(trouble)?;
    Ok(ChainPoint { height, hash, time: header.time as u64 })
}

/// Fee estimates as far as bitcoind can tell; none on a network without traffic.
pub(super) fn fee_estimates(client: &Client) -> Vec<(u16, f64)> {
    let estimate = |target: &u16| {
        let rate = client.estimate_smart_fee(*target, None).ok()?.fee_rate?;
        Some((*target, rate.to_sat() as f64 / 1000.0))
    };
    FEE_TARGETS.iter().filter_map(estimate).collect()
}

/// Hands a transaction over.
pub(super) fn broadcast(client: &Client, transaction: &Transaction) -> BroadcastOutcome {
    match client.send_raw_transaction(transaction) {
        Ok(_) => BroadcastOutcome::Accepted,
        Err(error) => match rpc_code(&error) {
            Some(ALREADY_IN_CHAIN) => BroadcastOutcome::Accepted,
            Some(_) => refusal(client, transaction, &error),
            None => BroadcastOutcome::Waits(explain(&error)),
        },
    }
}

/// Some refusals are of a transaction the mempool has already; few are for good.
fn refusal(client: &Client, transaction: &Transaction, error: &bitcoincore_rpc::Error) -> BroadcastOutcome {
    if client.get_mempool_entry(&transaction.compute_txid()).is_ok() {
        return BroadcastOutcome::Accepted;
    }
    let reason = explain(error);
    if FINAL_REASONS.iter().any(|last| reason.starts_with(last)) {
        BroadcastOutcome::Invalid(reason)
    } else {
        BroadcastOutcome::Waits(reason)
    }
}

fn rpc_code(error: &bitcoincore_rpc::Error) -> Option<i32> {
    match error {
        bitcoincore_rpc::Error::JsonRpc(jsonrpc::Error::Rpc(rpc)) => Some(rpc.code),
        _ => None,
    }
}

fn explain(error: &bitcoincore_rpc::Error) -> String {
    match error {
        bitcoincore_rpc::Error::JsonRpc(jsonrpc::Error::Rpc(rpc)) => rpc.message.clone(),
        bitcoincore_rpc::Error::JsonRpc(jsonrpc::Error::Transport(transport)) => {
            match transport.downcast_ref::<simple_http::Error>() {
                Some(simple_http::Error::HttpErrorCode(401 | 403)) => {
                    "bitcoind refuses the login; compare the `[bitcoind]` settings with bitcoind's own".into()
                }
                _ => format!("bitcoind does not answer ({transport})"),
            }
        }
        other => other.to_string(),
    }
}
