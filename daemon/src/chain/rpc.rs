//! The few calls made to bitcoind, and what their failures mean to the owner. What is read of its answers: [`decode`].

mod decode;
mod sending;

use std::{
    cell::RefCell,
    fmt,
    fs::File,
    io::{ErrorKind, Read as _},
    path::Path,
    time::Duration,
};

use bdk_wallet::bitcoin::{Block, BlockHash, Transaction, Txid, consensus::encode};
use data_encoding::BASE64;
use serde_json::{Value, json};

use self::decode::Missing;
pub(super) use self::{
    decode::{MempoolInfo, Survey},
    sending::broadcast,
};
use super::{
    BitcoindAuth, BitcoindConfig,
    cursor::Standing,
    http::{Connection, Endpoint, HttpAnswer, HttpError},
};
use autonomy_node::{ChainPoint, SourceState};

/// Targets asked for, in blocks.
const FEE_TARGETS: [u16; 6] = [1, 2, 3, 6, 12, 144];
/// RPC_INVALID_ADDRESS_OR_KEY (bitcoin: src/rpc/protocol.h): there is no such block or transaction.
const NOT_FOUND: i64 = -5;
/// RPC_IN_WARMUP: bitcoind is starting, and says what it does.
const WARMING_UP: i64 = -28;
/// RPC_METHOD_NOT_FOUND.
const METHOD_NOT_FOUND: i64 = -32601;
/// HTTP: the login is refused.
const UNAUTHORISED: u16 = 401;
/// HTTP: the login is good, and not for this call (`rpcwhitelist`).
const FORBIDDEN: u16 = 403;
/// Longest time for the whole answer to a call.
const CALL: Duration = Duration::from_secs(15);
/// The same for what may have megabytes: a block, a list of the mempool.
const LARGE_CALL: Duration = Duration::from_secs(60);
/// Most bytes of a cookie file: bitcoind's has 75.
const MAX_COOKIE: u64 = 4_096;
/// The oldest version whose answers hold all that is read of them.
const OLDEST: &str = "25";

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
    fn call(doing: &str, error: &CallError) -> Self {
        match error {
            CallError::Refused { code: WARMING_UP, message } => {
                Self::new(format!("bitcoind is starting: {message}"))
            }
            CallError::Refused { .. } => Self { words: format!("{doing}: {error}"), refused: true },
            _ => Self::new(format!("{doing}: {error}")),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// bitcoind answered, and refused.
    #[error("{message}")]
    Refused {
        /// Its number of the reason.
        code: i64,
        /// Its words.
        message: String,
    },
    /// The login is refused.
    #[error("bitcoind refuses the login; compare the `[bitcoind]` settings with bitcoind's own")]
    Login,
    /// The login is good, and not for this call.
    #[error(
        "bitcoind refuses the login for `{0}`; compare the `[bitcoind]` settings with bitcoind's `rpcwhitelist`"
    )]
    Whitelist(&'static str),
    /// It does not listen there.
    #[error("bitcoind is not running, or listens elsewhere than at `bitcoind.url`")]
    NotRunning,
    /// Something else is wrong with the way to it.
    #[error("bitcoind does not answer ({0})")]
    Silent(HttpError),
    /// The answer is none, or lacks a field that is needed.
    #[error("bitcoind{version} does not tell `{field}` in `{method}`; run Bitcoin Core {OLDEST} or later")]
    Decode {
        /// The call.
        method: &'static str,
        /// What is missing.
        field: &'static str,
        /// Its version, where it tells that.
        version: String,
    },
}

/// A connection to bitcoind with the credentials of the moment in which it was made. It connects with its first call.
#[derive(Debug)]
pub(super) struct Client(RefCell<Connection>);

/// A client with the credentials of this moment: each start of bitcoind writes a new cookie.
///
/// # Errors
/// The URL is none that is spoken, or the cookie file cannot be read.
pub(super) fn client(config: &BitcoindConfig) -> Result<Client, Trouble> {
    let endpoint = Endpoint::parse(&config.url).map_err(Trouble::new)?;
    let login = match &config.auth {
        BitcoindAuth::Cookie(path) => cookie(path)?,
        BitcoindAuth::UserPass(user, password) => format!("{user}:{password}"),
    };
    let authorization = format!("Basic {}", BASE64.encode(login.as_bytes()));
    Ok(Client(RefCell::new(Connection::new(endpoint, authorization))))
}

/// The login in bitcoind's cookie file. That there is none is told apart from one that must not be read.
fn cookie(path: &Path) -> Result<String, Trouble> {
    let mut cookie = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_COOKIE).read_to_string(&mut cookie));
    let path = path.display();
    match read.map_err(|error| error.kind()) {
        Ok(_) if !cookie.trim().is_empty() => Ok(cookie.trim().to_owned()),
        Ok(_) => Err(Trouble::new(format!("bitcoind is starting: its cookie file at {path} is still empty"))),
        Err(ErrorKind::NotFound) => {
            Err(Trouble::new(format!("bitcoind is not running: no cookie file at {path}")))
        }
        Err(ErrorKind::PermissionDenied) => Err(Trouble::new(format!(
            "permission denied: the pod may not read bitcoind's cookie file at {path}. Add the pod's user to bitcoind's \
             group and start bitcoind with `-rpccookieperms=group`, or set `bitcoind.user` and `bitcoind.password`"
        ))),
        Err(kind) => Err(Trouble::new(format!("bitcoind's cookie file at {path} cannot be read: {kind}"))),
    }
}

impl Client {
    /// Makes a call, and reads its result with `decode`.
    fn call<T>(
        &self,
        method: &'static str,
        params: &Value,
        decode: impl Fn(&Value) -> Result<T, Missing>,
    ) -> Result<T, CallError> {
        let result = self.result(method, params)?;
        decode(&result).map_err(|Missing(field)| {
            let version = self.result("getnetworkinfo", &json!([])).ok();
            let version = version.and_then(|answer| decode::version(&answer));
            let version = version.map(|version| format!(" (version {version})")).unwrap_or_default();
            CallError::Decode { method, field, version }
        })
    }

    fn result(&self, method: &'static str, params: &Value) -> Result<Value, CallError> {
        let allowed = if matches!(method, "getblock" | "getrawmempool") { LARGE_CALL } else { CALL };
        let body = json!({"jsonrpc": "1.0", "id": 1, "method": method, "params": params}).to_string();
        let answer = self.0.borrow_mut().post(body.as_bytes(), allowed).map_err(CallError::from)?;
        let HttpAnswer { status, body } = answer;
        match status {
            UNAUTHORISED => return Err(CallError::Login),
            FORBIDDEN => return Err(CallError::Whitelist(method)),
            _ => {}
        }
        // Some refusals come with a status of their own, and all as JSON.
        let version = format!(" (HTTP status {status})");
        let Ok(mut answer) = serde_json::from_slice::<Value>(&body) else {
            return Err(CallError::Decode { method, field: "result", version });
        };
        if !answer["error"].is_null() {
            let refused = decode::refusal(&answer["error"]);
            let (code, message) =
                refused.map_err(|Missing(field)| CallError::Decode { method, field, version })?;
            return Err(CallError::Refused { code, message });
        }
        Ok(answer.get_mut("result").map(Value::take).unwrap_or_default())
    }
}

impl From<HttpError> for CallError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Io(error) if error.kind() == ErrorKind::ConnectionRefused => Self::NotRunning,
            other => Self::Silent(other),
        }
    }
}

impl CallError {
    /// There is no such block or transaction.
    fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: NOT_FOUND, .. })
    }
}

impl Survey {
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
    let info = client.call("getblockchaininfo", &json!([]), decode::survey);
    info.map_err(|error| Trouble::call("asking bitcoind", &error))
}

/// Where a block is, by the source's view. One that it has never seen is stale.
///
/// # Errors
/// It does not answer.
pub(super) fn standing(client: &Client, block: &BlockHash) -> Result<Standing, Trouble> {
    match client.call("getblockheader", &json!([block]), decode::header) {
        Ok(header) => Ok(header.standing()),
        Err(error) if error.is_not_found() => Ok(Standing::Stale),
        Err(error) => Err(Trouble::call("asking bitcoind", &error)),
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

/// The trouble of a pod that knows more blocks of the same chain than the source has now.
pub(super) fn fallen_behind(blocks: u32, height: u32) -> String {
    format!(
        "bitcoind is at block {blocks}, behind block {height} that this pod has seen: it has lost blocks, or set some aside. \
         Nothing is changed and nothing is sent; let bitcoind catch up"
    )
}

/// A whole block, by its hash: 4 MB at most on the wire, as hexadecimal text of twice that.
///
/// # Errors
/// bitcoind does not answer, or has the block no more ([`Trouble::refused`]).
pub(super) fn block(client: &Client, hash: &BlockHash) -> Result<Block, Trouble> {
    let block = client.call("getblock", &json!([hash, 0]), whole_hex);
    block.map_err(|error| {
        let mut trouble = Trouble::call("reading a block", &error);
        if trouble.words.contains("pruned") {
            trouble.words.push_str(
                "; this pod has been away for longer than bitcoind keeps blocks: set a larger `prune` (or none) and \
                 start bitcoind once with `-reindex`",
            );
        }
        trouble
    })
}

fn whole_hex<T: bdk_wallet::bitcoin::consensus::Decodable>(answer: &Value) -> Result<T, Missing> {
    answer.as_str().and_then(|hex| encode::deserialize_hex(hex).ok()).ok_or(Missing("result"))
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
    let trouble = |error: CallError| Trouble::call("reading a block's header", &error);
    let hash = client.call("getblockhash", &json!([height]), decode::whole::<BlockHash>).map_err(trouble)?;
    let header = client.call("getblockheader", &json!([hash]), decode::header).map_err(trouble)?;
    Ok((header.point(height, hash), header.parent))
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
    match client.call("waitfornewblock", &json!([milliseconds]), decode::tip) {
        Ok(tip) => Waited::Tip(tip),
        Err(
            error @ (CallError::Refused { code: METHOD_NOT_FOUND, .. }
            | CallError::Whitelist(_)
            | CallError::Decode { .. }),
        ) => Waited::Unavailable(error.to_string()),
        Err(_) => Waited::Away,
    }
}

/// Fee estimates as far as bitcoind can tell; none on a network without traffic.
pub(super) fn fee_estimates(client: &Client) -> Vec<(u16, f64)> {
    let estimate = |target: &u16| {
        let answer = client.result("estimatesmartfee", &json!([target])).ok()?;
        Some((*target, decode::estimate(&answer)?))
    };
    FEE_TARGETS.iter().filter_map(estimate).collect()
}

/// How the mempool is, and what it takes.
///
/// # Errors
/// bitcoind does not answer.
pub(super) fn mempool_info(client: &Client) -> Result<MempoolInfo, Trouble> {
    let info = client.call("getmempoolinfo", &json!([]), |answer| Ok(decode::mempool_info(answer)));
    info.map_err(|error| Trouble::call("reading the mempool", &error))
}

/// The ids of all transactions of the mempool.
///
/// # Errors
/// bitcoind does not answer.
pub(super) fn mempool_ids(client: &Client) -> Result<Vec<Txid>, Trouble> {
    let ids = client.call("getrawmempool", &json!([]), decode::list::<Txid>);
    ids.map_err(|error| Trouble::call("reading the mempool", &error))
}

/// The best block.
///
/// # Errors
/// bitcoind does not answer.
pub(super) fn best(client: &Client) -> Result<BlockHash, Trouble> {
    let best = client.call("getbestblockhash", &json!([]), decode::whole::<BlockHash>);
    best.map_err(|error| Trouble::call("asking bitcoind", &error))
}

/// A transaction of the mempool; none where it has left.
///
/// # Errors
/// bitcoind does not answer.
pub(super) fn mempool_transaction(client: &Client, txid: &Txid) -> Result<Option<Transaction>, Trouble> {
    match client.call("getrawtransaction", &json!([txid]), whole_hex::<Transaction>) {
        Ok(transaction) => Ok(Some(transaction)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(Trouble::call("reading the mempool", &error)),
    }
}

#[cfg(test)]
mod tests;
