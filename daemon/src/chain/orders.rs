//! What pods want of their source, as it waits to be read: links write, the follower reads, and neither waits for the
//! other for longer than a few assignments take.
//!
//! The orders of one pod lie together: whoever reads a number that is committed reads everything that was said before it.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bdk_wallet::bitcoin::{Transaction, Txid};

use super::{ChainLink, PodCursor};
use autonomy_node::Watch;

/// Transactions of a pod that wait to be sent while the source is busy or away. The node sends again what finds no
/// room. A transaction has at most 400 kB by the rules of relay, so 64 are 26 MB at worst.
const MAX_BROADCASTS: usize = 64;

/// Names a pod for as long as it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PodId(u64);

/// What one pod wants, since it was asked last.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// What it watches beside what it watched before. Never dropped, however many: a script that is lost is a payment
    /// that is lost. They are bounded by what the pod itself holds in memory, 34 bytes a script.
    pub(super) watch: Vec<Watch>,
    /// The last delivery that it has committed, if it said so.
    pub(super) committed: Option<u64>,
    /// Transactions to send.
    pub(super) broadcasts: Vec<(Txid, Box<Transaction>)>,
    /// Its link is dropped.
    pub(super) left: bool,
}

/// What the pods of a process and the thread that follows the chain for them share.
#[derive(Debug, Default)]
pub(super) struct OrderBook {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Default)]
struct Inner {
    /// The name of the next pod that joins.
    next: u64,
    /// Pods that the follower has not taken in yet.
    joining: Vec<(PodId, PodCursor)>,
    orders: BTreeMap<PodId, Orders>,
    /// Something waits that the follower has not looked at.
    news: bool,
    /// The source says that its best block is another one.
    tip_moved: bool,
    /// Whether a follower runs. It ends when nobody is left to be served.
    followed: bool,
    /// Counts the followers: a watcher of the tip ends with its own.
    generation: u64,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("pods", &self.orders.len())
            .field("joining", &self.joining.len())
            .field("followed", &self.followed)
            .finish_non_exhaustive()
    }
}

impl OrderBook {
    /// Enters a pod. Gives its link, and the number of the follower that has to be started where none runs.
    pub(super) fn join(self: &Arc<Self>, pod: PodCursor) -> (PodLink, Option<u64>) {
        let mut inner = self.lock();
        let id = PodId(inner.next);
        inner.next += 1;
        inner.joining.push((id, pod));
        inner.orders.insert(id, Orders::default());
        let start = !mem::replace(&mut inner.followed, true);
        inner.generation += u64::from(start);
        let generation = inner.generation;
        self.tell(inner);
        (PodLink { book: self.clone(), id }, start.then_some(generation))
    }

    /// The pods that joined since the last call.
    pub(super) fn joined(&self) -> Vec<(PodId, PodCursor)> {
        mem::take(&mut self.lock().joining)
    }

    /// What a pod wants, since the last call for it.
    pub(super) fn take(&self, pod: PodId) -> Orders {
        self.lock().orders.get_mut(&pod).map(mem::take).unwrap_or_default()
    }

    /// A pod is served no more; its link has no effect from now on.
    pub(super) fn forget(&self, pod: PodId) {
        self.lock().orders.remove(&pod);
    }

    /// Ends the follower if nobody joined meanwhile. Whoever joins later starts another.
    pub(super) fn end_if_idle(&self) -> bool {
        let mut inner = self.lock();
        let idle = inner.joining.is_empty();
        inner.followed &= !idle;
        idle
    }

    /// No follower could be started. Whoever joins next tries again.
    pub(super) fn give_up(&self) {
        self.lock().followed = false;
    }

    /// Whether the follower of this number still runs.
    pub(super) fn is_followed(&self, generation: u64) -> bool {
        let inner = self.lock();
        inner.followed && inner.generation == generation
    }

    /// The source's best block is another one.
    pub(super) fn tip_moved(&self) {
        let mut inner = self.lock();
        inner.tip_moved = true;
        self.tell(inner);
    }

    /// Whether [`OrderBook::tip_moved`] was called since the last look.
    pub(super) fn take_tip_moved(&self) -> bool {
        mem::take(&mut self.lock().tip_moved)
    }

    /// Waits until anything is new since the last wait, or for so long. What came between two waits ends the second at
    /// once, so nothing that a pod says is slept over.
    pub(super) fn wait(&self, longest: Duration) {
        let inner = self.lock();
        let waited = self.wake.wait_timeout_while(inner, longest, |inner| !inner.news);
        let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        inner.news = false;
    }

    /// Wakes the follower.
    fn tell(&self, mut inner: MutexGuard<'_, Inner>) {
        inner.news = true;
        drop(inner);
        self.wake.notify_one();
    }

    /// Changes the orders of a pod. Nothing happens where it is served no more.
    fn with(&self, pod: PodId, change: impl FnOnce(&mut Orders)) {
        let mut inner = self.lock();
        if let Some(orders) = inner.orders.get_mut(&pod) {
            change(orders);
            self.tell(inner);
        }
    }

    /// A thread that panicked with the lock left whole orders behind: each change is one assignment.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pod's link to a follower.
#[derive(Debug)]
pub(super) struct PodLink {
    book: Arc<OrderBook>,
    id: PodId,
}

impl ChainLink for PodLink {
    fn watch(&self, watch: Watch) {
        self.book.with(self.id, |orders| orders.watch.push(watch));
    }

    fn committed(&self, number: u64) {
        self.book.with(self.id, |orders| orders.committed = Some(number));
    }

    fn broadcast(&self, txid: Txid, transaction: Box<Transaction>) {
        self.book.with(self.id, |orders| {
            if orders.broadcasts.len() < MAX_BROADCASTS {
                orders.broadcasts.push((txid, transaction));
            }
        });
    }
}

impl Drop for PodLink {
    fn drop(&mut self) {
        self.book.with(self.id, |orders| orders.left = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Delivered;
    use bdk_wallet::bitcoin::Network;

    fn pod() -> PodCursor {
        let deliver = Box::new(|_| Delivered::Taken);
        PodCursor { network: Network::Regtest, points: Vec::new(), deliver }
    }

    #[test]
    fn the_first_pod_starts_a_follower_and_the_last_ends_it() {
        let book = Arc::new(OrderBook::default());
        let (_one, start) = book.join(pod());
        let first = start.unwrap();
        let (_two, start) = book.join(pod());
        assert!(start.is_none());
        assert!(!book.end_if_idle(), "two wait to be served");
        assert_eq!(book.joined().len(), 2);
        assert!(book.is_followed(first));
        assert!(book.end_if_idle());
        assert!(!book.is_followed(first));
        let (_three, start) = book.join(pod());
        assert_ne!(start.unwrap(), first);
        assert!(!book.is_followed(first), "the watcher of an earlier follower ends");
    }

    #[test]
    fn orders_are_kept_until_they_are_taken_and_go_to_one_pod() {
        let book = Arc::new(OrderBook::default());
        let [(one, _), (two, _)] = [book.join(pod()), book.join(pod())];
        one.watch(Watch::default());
        one.watch(Watch::default());
        one.committed(3);
        one.committed(4);
        two.committed(9);
        let orders = book.take(one.id);
        assert_eq!((orders.watch.len(), orders.committed, orders.left), (2, Some(4), false));
        assert!(book.take(one.id).watch.is_empty());
        let (id, other) = (one.id, book.take(two.id));
        assert_eq!((other.watch.len(), other.committed), (0, Some(9)));
        drop(one);
        assert!(book.take(id).left);
        book.forget(id);
        assert!(!book.take(id).left, "nobody is there any more");
    }

    #[test]
    fn a_wait_ends_at_once_when_something_came_before_it() {
        let book = Arc::new(OrderBook::default());
        book.tip_moved();
        // A whole hour otherwise.
        book.wait(Duration::from_secs(3600));
        assert!(book.take_tip_moved());
        assert!(!book.take_tip_moved());
        book.wait(Duration::ZERO);
    }
}
