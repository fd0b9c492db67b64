//! Where pods learn of the chain, and hand their transactions over: the seam, and bitcoind behind it.
//!
//! | part | does |
//! |---|---|
//! | [`ChainSource`] | the seam: serves any number of pods of a process, each from a cursor of its own |
//! | [`Bitcoind`] | the owner's own node, by RPC |
//! | `cursor` | where one pod stands, and what it may be given next; knows no source |
//! | `orders` | what pods want of their source, as it waits to be read |
//! | `follower`, `served` | reads each block once, and gives each pod what concerns it |
//! | `mempool`, `tip`, `rpc`, `http` | the mempool, the long poll for new blocks, the calls to bitcoind, and how they travel |
//!
//! A source decides nothing: what it saw goes to the node as an [`Input`], and what the node wants comes back through
//! the pod's [`ChainLink`]. Why nothing that concerns a pod can pass it by stands in
//! `docs/decisions/0019-chain-seam.md`.

mod bitcoind;
mod cursor;
mod follower;
mod http;
mod mempool;
mod orders;
mod rpc;
mod served;
#[cfg(test)]
mod stub;
mod tip;

use std::fmt;

use bdk_wallet::bitcoin::{Network, Transaction, Txid};

pub use self::bitcoind::{Bitcoind, BitcoindAuth, BitcoindConfig};
use autonomy_node::{ChainPoint, Input, Watch};

/// Follows the chain for the pods of a process.
pub trait ChainSource: fmt::Debug + Send + Sync {
    /// Serves one more pod from its cursor on, until the link that this gives is dropped.
    fn follow(&self, pod: PodCursor) -> Box<dyn ChainLink>;
}

/// A pod that wants to be served.
pub struct PodCursor {
    /// The network of its accounts. A source on another one is reported as away, and nothing else.
    pub network: Network,
    /// Blocks the node knows, oldest first; empty for a new pod, which starts near the tip.
    pub points: Vec<ChainPoint>,
    /// Where to deliver.
    pub deliver: Deliver,
}

/// Takes what the source saw, without waiting.
pub type Deliver = Box<dyn FnMut(Delivery) -> Delivered + Send>;

/// Something that the source saw.
#[derive(Debug)]
pub struct Delivery {
    /// Counts the deliveries to a pod, from 1: by it the pod says how far it has come ([`ChainLink::committed`]).
    pub number: u64,
    /// For the node.
    pub input: Input,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// The pod will work on it after all deliveries before.
    Taken,
    /// The pod has no room now, and did not take it.
    Full,
    /// The pod has ended.
    Gone,
}

/// What one pod asks of the source. No call waits for the source. Dropping the link ends the service of this pod.
pub trait ChainLink: Send {
    /// The pod watches these too. It is given nothing before the first call, which says everything.
    fn watch(&self, watch: Watch);

    /// Everything up to the delivery of this number is committed, and [`ChainLink::watch`] was called with whatever it
    /// added. Only then the source compares further blocks with what the pod watches.
    fn committed(&self, number: u64);

    /// Hands a transaction over; the outcome comes back as [`Input::Broadcast`]. A source that has no room for it
    /// forgets it: the node sends it again.
    fn broadcast(&self, txid: Txid, transaction: Box<Transaction>);
}

/// No chain at all, for a pod that only keeps in touch: it shows no source, and sends nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoChain;

impl ChainSource for NoChain {
    fn follow(&self, _: PodCursor) -> Box<dyn ChainLink> {
        Box::new(Self)
    }
}

impl ChainLink for NoChain {
    fn watch(&self, _: Watch) {}
    fn committed(&self, _: u64) {}
    fn broadcast(&self, _: Txid, _: Box<Transaction>) {}
}

impl fmt::Debug for PodCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tip = self.points.last().map(|point| point.height);
        f.debug_struct("PodCursor").field("network", &self.network).field("tip", &tip).finish_non_exhaustive()
    }
}
