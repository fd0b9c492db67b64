//! Where a pod learns of the chain, and hands its transactions over: the seam, and bitcoind behind it.
//!
//! | part | does |
//! |---|---|
//! | [`ChainSource`] | the seam: serves any number of pods of a process, each from a cursor of its own |
//! | [`Bitcoind`] | the owner's own node, by RPC |
//!
//! A source decides nothing: what it saw goes to the node as an [`Input`], and what the node wants comes back through
//! the pod's [`ChainLink`].

mod bitcoind;
mod mempool;
mod rpc;

use std::{collections::BTreeSet, fmt};

use bdk_wallet::bitcoin::{Network, Transaction, Txid};

pub use self::bitcoind::{Bitcoind, BitcoindAuth, BitcoindConfig};
use autonomy_node::{ChainPoint, Input};

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
    /// Where to deliver; gives false when the pod has ended.
    pub deliver: Deliver,
}

/// Takes what the source saw; gives false when nobody listens any more.
pub type Deliver = Box<dyn FnMut(Input) -> bool + Send>;

/// What one pod asks of the source. Neither call blocks. Dropping the link ends the service of this pod.
pub trait ChainLink: Send {
    /// Exactly these own transactions should be in the mempool from now on.
    fn watch(&self, txids: BTreeSet<Txid>);

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
    fn watch(&self, _: BTreeSet<Txid>) {}
    fn broadcast(&self, _: Txid, _: Box<Transaction>) {}
}

impl fmt::Debug for PodCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tip = self.points.last().map(|point| point.height);
        f.debug_struct("PodCursor").field("network", &self.network).field("tip", &tip).finish_non_exhaustive()
    }
}
