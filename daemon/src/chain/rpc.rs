//! The few calls made to bitcoind, and what their failures mean to the owner.

use std::fmt;

use bdk_bitcoind_rpc::{
    BitcoindRpcErrorExt as _,
    bitcoincore_rpc::{
        self, Auth, Client, RpcApi as _,
        jsonrpc::{self, simple_http},
    },
};
use bdk_wallet::bitcoin::{Block, BlockHash, Network, Transaction};

use super::{BitcoindAuth, BitcoindConfig, cursor::Standing};
use autonomy_node::{BroadcastOutcome, ChainPoint, SourceState};

/// Targets asked for, in blocks.
const FEE_TARGETS: [u16; 6] = [1, 2, 3, 6, 12, 144];
/// RPC_VERIFY_ALREADY_IN_UTXO_SET (bitcoin: src/rpc/protocol.h): it is mined already.
const ALREADY_IN_CHAIN: i32 = -27;
/// RPC_METHOD_NOT_FOUND (bitcoin: src/rpc/protocol.h).
const METHOD_NOT_FOUND: i32 = -32601;
/// HTTP: the login is refused.
const UNAUTHORISED: u16 = 401;
/// HTTP: the login is good, and not for this call (`rpcwhitelist`).
const FORBIDDEN: u16 = 403;
/// Why the source cannot be followed, in words for the owner.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What happened, and what to do about it. Never a password.
    words: String,
    /// bitcoind answered, and refused: what it was asked is amiss, and not the way to it.
    pub(super) refused: bool,
}

impl Trouble {
    /// The way to bitcoind is broken.
    pub(super) fn new(words: String) -> Self {
        Self { words, refused: false }
    }

    /// A call failed: `doing` says what it was for.
    pub(super) fn rpc(doing: &str, error: &bitcoincore_rpc::Error) -> Self {
        Self { words: format!("{doing}: {}", explain(error)), refused: rpc_code(error).is_some() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// A client with the credentials of this moment. It connects with its first call, and each call takes 15 seconds at most.
///
/// # Errors
/// There is no cookie file: bitcoind does not run, or keeps it elsewhere.
pub(super) fn client(config: &BitcoindConfig) -> Result<Client, Trouble> {
    let auth = match &config.auth {
        BitcoindAuth::Cookie(path) if !path.exists() => {
            return Err(Trouble::new(format!(
                "bitcoind is not running: no cookie file at {}",
                path.display()
            )));
        }
        BitcoindAuth::Cookie(path) => Auth::CookieFile(path.clone()),
        BitcoindAuth::UserPass(user, password) => Auth::UserPass(user.clone(), password.clone()),
    };
    Client::new(&config.url, auth).map_err(|error| Trouble::rpc("logging in to bitcoind", &error))
}

/// How the source is, at one look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Survey {
    /// The network it is on.
    pub(super) network: Network,
    /// Its best block.
    pub(super) best: BlockHash,
    /// Blocks it has: the height of the best one.
    pub(super) blocks: u32,
    /// The height it is on its way to, while it has only headers of what comes.
    catching_up_to: Option<u32>,
}

impl Survey {
    /// The trouble that a pod on this network gets from a source on another one; none where both are on the same.
    pub(super) fn wrong_network(&self, network: Network) -> Option<String> {
        (self.network != network).then(|| {
            format!(
                "bitcoind is on {}, this pod is on {network}: point `bitcoind.url` at the right one",
                self.network
            )
        })
    }

    /// The state that is delivered to a pod which has all blocks of this source.
    pub(super) fn state(&self) -> SourceState {
        self.catching_up_to.map_or(SourceState::Synced(self.blocks), SourceState::Syncing)
    }
}

/// Asks how the source is.
///
/// # Errors
/// It does not answer, or refuses the login.
pub(super) fn survey(client: &Client) -> Result<Survey, Trouble> {
    let info = client.get_blockchain_info().map_err(|error| Trouble::rpc("asking bitcoind", &error))?;
    let number = |height: u64| u32::try_from(height).unwrap_or(u32::MAX);
    // Test chains may rest for days, which bitcoind takes for catching up.
    let catches_up = info.initial_block_download && info.headers > info.blocks;
    Ok(Survey {
        network: info.chain,
        best: info.best_block_hash,
        blocks: number(info.blocks),
        catching_up_to: catches_up.then(|| number(info.headers)),
    })
}

/// Where a block is, by the source's view. One that it has never seen is stale.
///
/// # Errors
/// It does not answer.
pub(super) fn standing(client: &Client, block: &BlockHash) -> Result<Standing, Trouble> {
    match client.get_block_header_info(block) {
        // Negative for a block beside the best chain.
        Ok(header) if header.confirmations >= 0 => Ok(Standing::Best(header.next_block_hash)),
        Ok(_) => Ok(Standing::Stale),
        Err(error) if error.is_not_found_error() => Ok(Standing::Stale),
        Err(error) => Err(Trouble::rpc("asking bitcoind", &error)),
    }
}

/// The trouble of a pod whose blocks, up to this height, are none of the source's best chain. Without this check a chain
/// that began anew would be read from its first block, as if all coins had been reorganised away.
pub(super) fn another_chain(height: u32) -> String {
    format!(
        "bitcoind is on another chain: its best chain has none of the blocks this pod has seen up to height {height}. \
         Nothing is changed; point `bitcoind.url` at the node used before"
    )
}

/// A whole block, by its hash: 4 MB at most on the wire, as hexadecimal text of twice that.
///
/// # Errors
/// bitcoind does not answer, or has the block no more ([`Trouble::refused`]).
pub(super) fn block(client: &Client, hash: &BlockHash) -> Result<Block, Trouble> {
    client.get_block(hash).map_err(|error| {
        let mut trouble = Trouble::rpc("reading a block", &error);
        if trouble.words.contains("pruned") {
            trouble.words.push_str(
                "; this pod has been away for longer than bitcoind keeps blocks: set a larger `prune` (or none) and \
                 start bitcoind once with `-reindex`",
            );
        }
        trouble
    })
}

/// The block of the best chain at `height` and the `depth` blocks below it, oldest first, each on the one before it. Two
/// calls a block.
///
/// # Errors
/// bitcoind does not answer; or the chain moved meanwhile, so that they do not hang together.
pub(super) fn last_blocks(client: &Client, height: u32, depth: u32) -> Result<Vec<ChainPoint>, Trouble> {
    let mut points: Vec<ChainPoint> = Vec::new();
    for height in height.saturating_sub(depth)..=height {
        let (point, parent) = block_at(client, height)?;
        if points.last().is_some_and(|below| Some(below.hash) != parent) {
            let words = "bitcoind reorganises its chain just now; it is asked again".to_owned();
            return Err(Trouble { words, refused: true });
        }
        points.push(point);
    }
    Ok(points)
}

/// A block of the best chain, and its parent.
fn block_at(client: &Client, height: u32) -> Result<(ChainPoint, Option<BlockHash>), Trouble> {
    let trouble = |error| Trouble::rpc("reading a block's header", &error);
    let hash = client.get_block_hash(height.into()).map_err(trouble)?;
    let header = client.get_block_header_info(&hash).map_err(trouble)?;
    Ok((ChainPoint { height, hash, time: header.time as u64 }, header.previous_block_hash))
}

/// What came of waiting for a new block.
#[derive(Debug)]
pub(super) enum Waited {
    /// The best block is this one now, whether it is new or the time is over.
    Tip(BlockHash),
    /// bitcoind does not let us wait: the call is unknown to it, or not among those that this login may make.
    Unavailable(String),
    /// bitcoind does not answer, or is starting.
    Away,
}

/// Waits for a new block, for so many milliseconds at most. It holds one of bitcoind's RPC threads meanwhile
/// (`rpcthreads`: 4 of old, 16 since version 29).
pub(super) fn wait_for_block(config: &BitcoindConfig, milliseconds: u64) -> Waited {
    let Ok(client) = client(config) else { return Waited::Away };
    match client.wait_for_new_block(milliseconds) {
        Ok(tip) => Waited::Tip(tip.hash),
        Err(error) if rpc_code(&error) == Some(METHOD_NOT_FOUND) || http_code(&error) == Some(FORBIDDEN) => {
            Waited::Unavailable(explain(&error))
        }
        Err(_) => Waited::Away,
    }
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
    BroadcastOutcome::refused(explain(error))
}

fn rpc_code(error: &bitcoincore_rpc::Error) -> Option<i32> {
    match error {
        bitcoincore_rpc::Error::JsonRpc(jsonrpc::Error::Rpc(rpc)) => Some(rpc.code),
        _ => None,
    }
}

/// The status of an answer that is not an answer to the call.
fn http_code(error: &bitcoincore_rpc::Error) -> Option<u16> {
    let bitcoincore_rpc::Error::JsonRpc(jsonrpc::Error::Transport(transport)) = error else { return None };
    match transport.downcast_ref::<simple_http::Error>() {
        Some(simple_http::Error::HttpErrorCode(status)) => Some(*status),
        _ => None,
    }
}

fn explain(error: &bitcoincore_rpc::Error) -> String {
    match error {
        bitcoincore_rpc::Error::JsonRpc(jsonrpc::Error::Rpc(rpc)) => rpc.message.clone(),
        bitcoincore_rpc::Error::JsonRpc(jsonrpc::Error::Transport(_))
            if matches!(http_code(error), Some(UNAUTHORISED | FORBIDDEN)) =>
        {
            "bitcoind refuses the login; compare the `[bitcoind]` settings with bitcoind's own".into()
        }
        bitcoincore_rpc::Error::JsonRpc(jsonrpc::Error::Transport(transport)) => {
            format!("bitcoind does not answer ({transport})")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// Waits at a server that gives this answer to one request.
    fn waited(answer: &'static str) -> Waited {
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        let answers = thread::Builder::new().spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            // The whole request is one packet on loopback.
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let auth = BitcoindAuth::UserPass("me".into(), "secret".into());
        let waited = wait_for_block(&BitcoindConfig { url, auth }, 1);
        answers.unwrap().join().unwrap();
        waited
    }

    #[test]
    fn a_bitcoind_without_long_poll_is_not_taken_for_an_absent_one() {
        // Another program, or bitcoind without the call.
        let unknown = "HTTP/1.1 404 Not Found\r\nContent-Length: 80\r\n\r\n\
            {\"result\":null,\"error\":{\"code\":-32601,\"message\":\"Method not found\"},\"id\":1}     ";
        assert!(matches!(waited(unknown), Waited::Unavailable(why) if why.contains("not found")));
        let whitelisted = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        assert!(matches!(waited(whitelisted), Waited::Unavailable(_)));
        // The cookie of an earlier start; and one that is just starting.
        let stale = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
        assert!(matches!(waited(stale), Waited::Away));
        let starting = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 75\r\n\r\n\
            {\"result\":null,\"error\":{\"code\":-28,\"message\":\"Loading block index\"},\"id\":1}";
        assert!(matches!(waited(starting), Waited::Away));
    }
}
