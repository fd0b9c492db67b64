//! The owner's own bitcoind, by RPC.
//!
//! One thread polls: blocks by bdk's `Emitter`, which follows reorganisations; the mempool by the difference of
//! two lists of ids, so that a pod beside a full mainnet mempool holds 32 bytes a transaction and not the
//! transactions (the `Emitter` holds them all). It never decides anything: what it saw goes to the node.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use bdk_bitcoind_rpc::{Emitter, NO_EXPECTED_MEMPOOL_TXS, bitcoincore_rpc::Client};
use bdk_wallet::{
    bitcoin::{BlockHash, Network, Transaction, Txid, hashes::Hash as _},
    chain::{BlockId, CheckPoint},
};

use super::{
    ChainLink, ChainSource, Deliver, PodCursor,
    mempool::Mempool,
    rpc::{self, Trouble},
};
use autonomy_node::{BroadcastOutcome, ChainEvent, ChainPoint, Input, SourceState};

/// Pause between two polls of a source that answers. A block a second is more than any network has, and one
/// `getbestblockhash` costs bitcoind well under a millisecond.
const POLL: Duration = Duration::from_millis(500);
/// Pause after a source did not answer.
const RETRY: Duration = Duration::from_secs(2);
/// Polls between two looks at fee estimates: 120 half seconds are a minute.
const POLLS_PER_FEES: u32 = 120;
/// Blocks below the tip that a new pod is told of, so that a reorganisation right after its birth finds its fork: as
/// many as the node keeps. Only their headers are asked for, since there is no account yet they could concern.
const ANCHOR_DEPTH: u32 = 143;
/// Transactions handed over at most in one event, so that a first look at a full mempool comes in batches, with room
/// for orders and blocks between.
const MEMPOOL_BATCH: usize = 200;
/// Orders that wait while the source is asked something. The node gives an order again that finds no room.
const MAX_ORDERS: usize = 64;

/// Where bitcoind listens, and how to log in.
#[derive(Debug, Clone)]
pub struct BitcoindConfig {
    /// `http://127.0.0.1:8332`, optionally with `/wallet/…` left away.
    pub url: String,
    /// How to log in.
    pub auth: BitcoindAuth,
}

/// How to log in to bitcoind.
#[derive(Clone)]
pub enum BitcoindAuth {
    /// Its cookie file, read again at every poll since each start of bitcoind writes a new one.
    Cookie(PathBuf),
    /// `rpcuser` and `rpcpassword`.
    UserPass(String, String),
}

impl std::fmt::Debug for BitcoindAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cookie(path) => f.debug_tuple("Cookie").field(path).finish(),
            Self::UserPass(user, _) => f.debug_tuple("UserPass").field(user).field(&"[secret]").finish(),
        }
    }
}

/// A bitcoind that pods follow: a thread for each.
#[derive(Debug, Clone)]
pub struct Bitcoind {
    config: BitcoindConfig,
}

impl Bitcoind {
    /// The bitcoind at `config`. It is asked nothing before the first pod follows it.
    #[must_use]
    pub fn new(config: BitcoindConfig) -> Self {
        Self { config }
    }
}

impl ChainSource for Bitcoind {
    fn follow(&self, pod: PodCursor) -> Box<dyn ChainLink> {
        let PodCursor { network, points, deliver } = pod;
        let (orders, inbox) = mpsc::sync_channel(MAX_ORDERS);
        let watched = Watched::default();
        let follower = Follower {
            config: self.config.clone(),
            network,
            watched: watched.clone(),
            deliver,
            last: checkpoint(&points),
            polls: 0,
            told: None,
            mempool: Mempool::default(),
        };
        let started = thread::Builder::new().name("chain".into()).spawn(move || follower.run(&inbox));
        if let Err(error) = started {
            tracing::error!("the chain cannot be followed: {error}");
        }
        Box::new(Link { orders, watched })
    }
}

type Watched = Arc<Mutex<BTreeSet<Txid>>>;

struct Link {
    orders: mpsc::SyncSender<Order>,
    watched: Watched,
}

/// What the source is asked to do.
#[derive(Debug)]
enum Order {
    Broadcast(Txid, Box<Transaction>),
}

impl ChainLink for Link {
    fn watch(&self, txids: BTreeSet<Txid>) {
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = txids;
    }

    fn broadcast(&self, txid: Txid, transaction: Box<Transaction>) {
        let _ = self.orders.try_send(Order::Broadcast(txid, transaction));
    }
}

struct Follower {
    config: BitcoindConfig,
    network: Network,
    watched: Watched,
    deliver: Deliver,
    /// The last block that was delivered; `None` until a new pod has an anchor.
    last: Option<CheckPoint>,
    polls: u32,
    /// The state told last, so that only changes are told.
    told: Option<SourceState>,
    mempool: Mempool,
}

/// The node's listener is gone: time to end.
struct Gone;

/// Whether there is more to read at once.
enum More {
    Now,
    Later,
}

impl Follower {
    fn run(mut self, inbox: &mpsc::Receiver<Order>) {
        let mut pause = Duration::ZERO;
        loop {
            match inbox.recv_timeout(pause) {
                Ok(Order::Broadcast(txid, transaction)) => {
                    let outcome = self.broadcast(&transaction);
                    if self.deliver(Input::Broadcast(txid, outcome)).is_err() {
                        return;
                    }
                    pause = Duration::ZERO;
                    continue;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            pause = match self.poll() {
                Ok(Ok(More::Now)) => Duration::ZERO,
                Ok(Ok(More::Later)) => POLL,
                Ok(Err(trouble)) => {
                    if self.tell(SourceState::Away(trouble.to_string())).is_err() {
                        return;
                    }
                    RETRY
                }
                Err(Gone) => return,
            };
        }
    }

    /// One look at the source: blocks, then a batch of the mempool, then fees.
    fn poll(&mut self) -> Result<Result<More, Trouble>, Gone> {
        let client = match rpc::client(&self.config) {
            Ok(client) => client,
            Err(trouble) => return Ok(Err(trouble)),
        };
        let source = match rpc::check_chain(&client, self.network, self.last.as_ref()) {
            Ok(source) => source,
            Err(trouble) => return Ok(Err(trouble)),
        };
        if let Err(trouble) = self.follow_blocks(&client, source)? {
            return Ok(Err(trouble));
        }
        let more = match self.follow_mempool(&client)? {
            Ok(more) => more,
            Err(trouble) => return Ok(Err(trouble)),
        };
        if self.polls.is_multiple_of(POLLS_PER_FEES) {
            let fees = rpc::fee_estimates(&client);
            if !fees.is_empty() {
                self.deliver(Input::Chain(ChainEvent::Fees(fees)))?;
            }
        }
        self.polls = self.polls.wrapping_add(1);
        Ok(Ok(more))
    }

    fn follow_blocks(
        &mut self,
        client: &Client,
        source: rpc::SourceHeight,
    ) -> Result<Result<(), Trouble>, Gone> {
        let last = match &self.last {
            Some(last) => last.clone(),
            None => match rpc::last_blocks(client, source.blocks, ANCHOR_DEPTH) {
                Ok(points) => {
                    let Some(last) = checkpoint(&points) else { return Ok(Ok(())) };
                    self.deliver(Input::Chain(ChainEvent::Anchor(points)))?;
                    last
                }
                Err(trouble) => return Ok(Err(trouble)),
            },
        };
        self.last = Some(last.clone());
        let start = last.height();
        let mut emitter = Emitter::new(client, last, start, NO_EXPECTED_MEMPOOL_TXS);
        let mut height = start;
        loop {
            match emitter.next_block() {
                Ok(Some(event)) => {
                    height = event.block_height();
                    if source.blocks > height {
                        self.tell(SourceState::Syncing(source.blocks))?;
                    }
                    self.last = Some(bounded(&event.checkpoint));
                    self.deliver(Input::Chain(ChainEvent::Block { block: Box::new(event.block), height }))?;
                }
                Ok(None) => {
                    let state =
                        source.catching_up_to.map_or(SourceState::Synced(height), SourceState::Syncing);
                    self.tell(state)?;
                    return Ok(Ok(()));
                }
                Err(error) => return Ok(Err(Trouble::rpc("reading blocks", &error))),
            }
        }
    }

    fn follow_mempool(&mut self, client: &Client) -> Result<Result<More, Trouble>, Gone> {
        let tip = self.last.as_ref().map_or(BlockHash::all_zeros(), CheckPoint::hash);
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match self.mempool.look(client, tip, &watched, MEMPOOL_BATCH) {
            Ok(news) => {
                if !news.seen.is_empty() || !news.evicted.is_empty() {
                    let event = ChainEvent::Mempool { seen: news.seen, evicted: news.evicted };
                    self.deliver(Input::Chain(event))?;
                }
                Ok(Ok(if news.more { More::Now } else { More::Later }))
            }
            Err(trouble) => Ok(Err(trouble)),
        }
    }

    fn broadcast(&self, transaction: &Transaction) -> BroadcastOutcome {
        match rpc::client(&self.config) {
            Ok(client) => rpc::broadcast(&client, transaction),
            Err(trouble) => BroadcastOutcome::Waits(trouble.to_string()),
        }
    }

    fn tell(&mut self, state: SourceState) -> Result<(), Gone> {
        if self.told.as_ref() == Some(&state) {
            return Ok(());
        }
        self.told = Some(state.clone());
        self.deliver(Input::Chain(ChainEvent::Source(state)))
    }

    fn deliver(&mut self, input: Input) -> Result<(), Gone> {
        if (self.deliver)(input) { Ok(()) } else { Err(Gone) }
    }
}

/// Checkpoints kept to find the fork of a reorganisation: more than the node itself keeps.
const KEPT_POINTS: usize = 200;

fn checkpoint(points: &[ChainPoint]) -> Option<CheckPoint> {
    let ids = points.iter().map(|point| BlockId { height: point.height, hash: point.hash });
    CheckPoint::from_block_ids(ids).ok()
}

/// The same chain with the oldest points let go, so that a pod that runs for years does not grow.
fn bounded(chain: &CheckPoint) -> CheckPoint {
    if chain.iter().nth(2 * KEPT_POINTS).is_none() {
        return chain.clone();
    }
    let mut kept: Vec<BlockId> = chain.iter().take(KEPT_POINTS).map(|point| point.block_id()).collect();
    kept.reverse();
    CheckPoint::from_block_ids(kept).unwrap_or_else(|_| chain.clone())
}
