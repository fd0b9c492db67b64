//! `pay` and `mine`: coins and blocks for the pods of a world that runs.
//!
//! The world is found by the exports that `up` prints, or by its folder.

use std::{
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use autonomy_testnet::bitcoind::{BitcoindError, Miner};
use clap::{Args, ValueHint};
use serde_json::{Value, json};

/// Satoshi in a bitcoin.
const COIN: u64 = 100_000_000;
/// Digits of an amount in BTC behind the point.
const DECIMALS: usize = 8;
/// The miner's first reward is 50 BTC, and all of a world's coins are less than this.
const MAX_SATS: u64 = 21_000_000 * COIN;

/// `pay`.
#[derive(Debug, Args)]
pub(crate) struct Pay {
    /// Address, or the `bitcoin:` URI that `autonomy receive` prints
    payee: String,
    /// Amount with its unit: `1 BTC` or `25000 sat`
    #[arg(required = true, num_args = 1..=2)]
    amount: Vec<String>,
    #[command(flatten)]
    node: Node,
}

/// `mine`.
#[derive(Debug, Args)]
pub(crate) struct Mine {
    /// Number of blocks, 1 to 1,000
    #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    blocks: u32,
    #[command(flatten)]
    node: Node,
}

/// Which world.
#[derive(Debug, Args)]
struct Node {
    /// Folder of the world [default: the world of the exports that `up` prints]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
    /// RPC address of the world's bitcoind
    #[arg(long, env = "AUTONOMY_BITCOIND_URL", value_name = "URL", hide = true)]
    url: Option<String>,
    /// Cookie file of the world's bitcoind
    #[arg(long, env = "AUTONOMY_BITCOIND_COOKIE", value_name = "FILE", hide = true)]
    cookie: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Why there were no coins or blocks.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CoinsError {
    /// No exports, no folder.
    #[error(
        "no world is named: run this in a terminal with the exports that `testnet up` prints, or give --dir"
    )]
    NoWorld,
    /// A folder without a world, or an address that is none.
    #[error("{what} names no bitcoind that runs: {why}. Is `testnet up` still running?")]
    NotThere {
        /// The folder or the address.
        what: String,
        /// Why.
        why: String,
    },
    /// Neither number nor unit.
    #[error("`{0}` is not an amount: write it with its unit, `1 BTC` or `25000 sat`")]
    Amount(String),
    /// bitcoind refused, or does not answer.
    #[error(transparent)]
    Bitcoind(#[from] BitcoindError),
}

/// Pays from the miner's wallet. The payment waits for a block.
///
/// # Errors
/// [`CoinsError`].
pub(crate) fn pay(wish: &Pay) -> Result<(), CoinsError> {
    let sats = sats(&wish.amount.join(" "))?;
    let txid = wish.node.miner()?.pay(address(&wish.payee), sats)?;
    let text = format!("paid, as transaction {txid}\n`testnet mine` confirms it");
    wish.node.print(&json!({ "txid": txid, "amount_sat": sats }), &text);
    Ok(())
}

/// Mines blocks.
///
/// # Errors
/// [`CoinsError`].
pub(crate) fn mine(wish: &Mine) -> Result<(), CoinsError> {
    let miner = wish.node.miner()?;
    let hashes = miner.mine_to(wish.blocks, &miner.address()?)?;
    let height = miner.height()?;
    let text = format!("{} block(s) mined; the chain has {height}", hashes.len());
    wish.node.print(&json!({ "blocks": hashes, "height": height }), &text);
    Ok(())
}

impl Node {
    /// The miner of this world.
    fn miner(&self) -> Result<Miner, CoinsError> {
        let (url, cookie) = match (&self.dir, &self.url, &self.cookie) {
            (Some(dir), ..) => described(dir)?,
            (None, Some(url), Some(cookie)) => (url.clone(), cookie.clone()),
            _ => return Err(CoinsError::NoWorld),
        };
        let port = url.trim_end_matches('/').strip_prefix("http://").map(str::parse::<SocketAddr>);
        match port {
            Some(Ok(port)) => Ok(Miner::at(port, cookie)),
            _ => Err(CoinsError::NotThere { what: url, why: "a world's is http://IP:PORT".into() }),
        }
    }

    /// Prints the result. Whoever reads may have left: what was done stays done.
    fn print(&self, value: &Value, text: &str) {
        let line = if self.json { value.to_string() } else { text.to_owned() };
        let _ = writeln!(io::stdout().lock(), "{line}");
    }
}

/// RPC address and cookie file of the world in `dir`, as `up` wrote them there.
fn described(dir: &Path) -> Result<(String, PathBuf), CoinsError> {
    let file = dir.join("world.json");
    let not_there = |why: &dyn std::fmt::Display| CoinsError::NotThere {
        what: dir.display().to_string(),
        why: why.to_string(),
    };
    let text = fs::read_to_string(file).map_err(|error| not_there(&error))?;
    let world: Value = serde_json::from_str(&text).map_err(|error| not_there(&error))?;
    let field = |name: &str| world["bitcoind"][name].as_str().ok_or_else(|| not_there(&"it has no bitcoind"));
    Ok((field("rpc_url")?.to_owned(), field("cookie_file")?.into()))
}

/// The address of a payee: of a URI, what stands between its scheme and its parameters.
fn address(payee: &str) -> &str {
    let rest = payee.split_once(':').map_or(payee, |(_, rest)| rest);
    rest.split('?').next().unwrap_or(rest)
}

/// Satoshi of an amount with its unit.
fn sats(text: &str) -> Result<u64, CoinsError> {
    let wrong = || CoinsError::Amount(text.to_owned());
    let lower = text.to_ascii_lowercase();
    let (number, decimals) = match (lower.strip_suffix("btc"), lower.strip_suffix("sat")) {
        (Some(number), _) => (number, DECIMALS),
        (None, Some(number)) => (number, 0),
        (None, None) => return Err(wrong()),
    };
    let (whole, fraction) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > decimals || !digits(whole) || !digits(fraction) {
        return Err(wrong());
    }
    let sats: u64 = format!("{whole}{fraction:0<decimals$}").parse().map_err(|_| wrong())?;
    if (1..=MAX_SATS).contains(&sats) { Ok(sats) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_a_unit_and_are_exact() {
        let read = ["1 BTC", "0.5btc", "0.00000001 BTC", "25000 sat", "1sat"].map(|text| sats(text).unwrap());
        assert_eq!(read, [COIN, COIN / 2, 1, 25_000, 1]);
        for text in
            ["1", "", "BTC", "1,5 BTC", "-1 BTC", "0 sat", "0.5 sat", "0.000000001 BTC", "21000001 BTC"]
        {
            assert!(sats(text).is_err(), "{text}");
        }
    }

    #[test]
    fn payee_is_an_address_or_the_uri_of_one() {
        for payee in ["bcrt1qx", "bitcoin:bcrt1qx", "bitcoin:bcrt1qx?amount=1"] {
            assert_eq!(address(payee), "bcrt1qx");
        }
    }
}
