//! A regtest bitcoind with a folder, ports and a wallet of its own.
//!
//! Its wallet `miner` holds mature coins from the start. Regtest has no fee market, so `estimatesmartfee`
//! never has an answer here, whatever is mined: what needs an estimate must have a fall-back, and sends of
//! the miner pay [`MINER_FEE_RATE`].

mod chain;
mod error;
mod miner;
mod rpc;
mod watch;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::{self, Progress};
use crate::folder::Folder;
use crate::ports::Ports;
use crate::process::{Launch, Process, ProcessSlot};
use crate::provision::Program;
pub use error::BitcoindError;
pub use miner::Miner;
pub use rpc::{Rpc, RpcError};
pub use watch::{Balances, WatchWallet};

/// What the miner's own payments pay, in sat/vB.
pub const MINER_FEE_RATE: u32 = 10;
/// Blocks mined at the start: coinbase outputs mature after 100, so the first one is spendable.
pub const FIRST_BLOCKS: u32 = 101;
/// The wallet that mines and sends.
const MINER: &str = "miner";
/// From start to first answer: 2 s on an idle machine, more when its folder holds a long chain.
const START_LIMIT: Duration = Duration::from_secs(60);
/// To write the chain state and end.
const STOP_GRACE: Duration = Duration::from_secs(20);
/// Lines of the log that an error quotes.
const LOG_LINES: usize = 8;

/// A running node. Dropping it ends it.
#[derive(Debug)]
pub struct Bitcoind {
    launch: Launch,
    dir: PathBuf,
    rpc_port: SocketAddr,
    p2p_port: SocketAddr,
    slot: ProcessSlot,
}

impl Bitcoind {
    /// Starts a new chain in `folder`, waits until the node answers, and mines [`FIRST_BLOCKS`] blocks.
    ///
    /// # Errors
    /// When bitcoind cannot be run or does not become ready.
    pub fn start(
        folder: &Folder,
        ports: &Ports,
        program: &Program,
        progress: Progress<'_>,
    ) -> Result<Self, BitcoindError> {
        let dir = folder.sub("bitcoind")?;
        let (rpc_port, p2p_port) = (ports.draw()?, ports.draw()?);
        let launch = Launch::new("bitcoind", program, dir.join("log"))
            .args(arguments(&dir, rpc_port, p2p_port))
            .of_world(folder);
        progress(0.0, "starting bitcoind");
        let slot = ProcessSlot::new(launch.spawn()?);
        let node = Self { launch, dir, rpc_port, p2p_port, slot };
        node.wait_until_answering()?;
        progress(0.5, "mining the first coins");
        node.rpc().call("createwallet", &json!([MINER]))?;
        node.mine(FIRST_BLOCKS)?;
        progress(1.0, "ready");
        Ok(node)
    }

    /// The RPC address as a URL without credentials.
    pub fn rpc_url(&self) -> String {
        format!("http://{}", self.rpc_port)
    }

    /// The file with the RPC credentials (`USER:PASSWORD`), new at each start of the node.
    pub fn cookie_file(&self) -> PathBuf {
        self.dir.join("regtest/.cookie")
    }

    /// Where it speaks Bitcoin's own protocol, with block filters.
    pub fn p2p(&self) -> SocketAddr {
        self.p2p_port
    }

    /// The node's process id.
    pub fn pid(&self) -> u32 {
        self.slot.with(Process::pid)
    }

    /// Whether it runs; a frozen node runs.
    pub fn is_running(&self) -> bool {
        self.slot.with(Process::is_running)
    }

    /// Calls of the node itself.
    pub fn rpc(&self) -> Rpc {
        Rpc::new(self.rpc_port, self.cookie_file())
    }

    /// Calls of the miner's wallet.
    fn miner(&self) -> Miner {
        Miner::of(self.rpc())
    }

    /// Stops it in order, so that it has all it knew when it starts again. Its address stays.
    pub fn stop(&self) {
        self.slot.with(|process| process.stop(STOP_GRACE));
    }

    /// Kills it as a power cut would. Blocks are on disk since they were mined; transactions that only wait
    /// in the mempool are forgotten, but for those of its own wallet.
    pub fn kill(&self) {
        self.slot.with(Process::kill);
    }

    /// Holds it: connections stay open, nothing is answered.
    pub fn freeze(&self) {
        self.slot.with(Process::freeze);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.slot.with(Process::thaw);
    }

    /// Starts it on the same chain and the same ports, after [`stop`](Self::stop) or [`kill`](Self::kill)
    /// (a node that still runs is stopped first).
    ///
    /// # Errors
    /// When it cannot be run or does not answer.
    pub fn restart(&self) -> Result<(), BitcoindError> {
        self.stop();
        // Else the credentials of the last run would be tried until the new ones are written.
        let _ = fs::remove_file(self.cookie_file());
        self.slot.restart(|| self.launch.spawn())?;
        self.wait_until_answering()?;
        self.ensure_wallet(MINER)
    }

    /// Loads wallet `name` if the node does not have it loaded.
    fn ensure_wallet(&self, name: &str) -> Result<(), BitcoindError> {
        let loaded = self.rpc().call("listwallets", &json!([]))?;
        let is_loaded = loaded.as_array().is_some_and(|all| all.iter().any(|one| one == name));
        if !is_loaded {
            self.rpc().call("loadwallet", &json!([name]))?;
        }
        Ok(())
    }

    fn wait_until_answering(&self) -> Result<(), BitcoindError> {
        let rpc = self.rpc();
        let outcome = clock::wait_for(START_LIMIT, || {
            self.slot.with(ended)?;
            Ok::<_, BitcoindError>(rpc.call("getblockcount", &Value::Array(Vec::new())).ok())
        })?;
        match outcome {
            Ok(_) => Ok(()),
            Err(cause) => {
                let log = self.slot.with(|process| process.log_tail(LOG_LINES));
                Err(BitcoindError::NotReady { cause, log })
            }
        }
    }
}

/// An error if the node has ended.
fn ended(process: &Process) -> Result<(), BitcoindError> {
    match process.exit_status() {
        None => Ok(()),
        Some(status) => Err(BitcoindError::Ended { status, log: process.log_tail(LOG_LINES) }),
    }
}

/// Loopback only, no one else's peers, block filters for light clients, and loopback peers never banned
/// nor limited: a test may behave badly and come back.
fn arguments(dir: &Path, rpc: SocketAddr, p2p: SocketAddr) -> Vec<String> {
    let fallback_fee = chain::btc(u64::from(MINER_FEE_RATE) * 1000);
    vec![
        "-regtest".into(),
        format!("-datadir={}", dir.display()),
        "-server".into(),
        format!("-rpcbind={rpc}"),
        format!("-rpcport={}", rpc.port()),
        "-rpcallowip=127.0.0.1".into(),
        format!("-bind={p2p}"),
        "-listenonion=0".into(),
        "-discover=0".into(),
        "-dnsseed=0".into(),
        "-fixedseeds=0".into(),
        "-natpmp=0".into(),
        "-blockfilterindex=1".into(),
        "-peerblockfilters=1".into(),
        "-whitelist=noban,download@127.0.0.1".into(),
        format!("-fallbackfee={fallback_fee}"),
        "-printtoconsole=1".into(),
        "-nodebuglogfile".into(),
    ]
}
