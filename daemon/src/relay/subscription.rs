//! Pushing frames to subscribers. The file is the queue; a subscription only remembers how far it
//! has read.
//!
//! A new frame marks its queue at its subscriber and wakes it. So a slow subscriber costs no
//! memory for frames, and a frame that arrives while another is sent is found by the next read.
//!
//! A queue has one subscriber, the newest: there are never more subscriptions than queues, and an owner whose
//! connection broke unseen need not wait until the relay has noticed too.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use autonomy_messaging::{place::QueueId, wire::Response};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::Relay;

/// Frames read ahead for one subscriber: 128 KiB.
const READ_AHEAD: usize = 8;
/// Frames read ahead for all subscribers beyond the first of each: 2,048 of 16.4 kB are 34 MB. A subscriber for whom none
/// is left reads one frame at a time.
const READ_AHEAD_OF_ALL: usize = 2048;

/// The subscriber of each queue, and what they share.
pub(super) struct Subscribers {
    by_queue: Mutex<HashMap<QueueId, Arc<Subscriber>>>,
    /// Frames that may still be read ahead.
    read_ahead: Arc<Semaphore>,
}

/// What one subscriber has to read.
///
/// A queue is marked once, however many frames arrive, so this is bounded by the number of queues.
#[derive(Default)]
struct Subscriber {
    /// Wakes the subscription.
    notify: Notify,
    /// Queues that may hold more than was read.
    filled: Mutex<BTreeSet<QueueId>>,
    /// Queues that no newer subscriber has taken.
    kept: Mutex<BTreeSet<QueueId>>,
}

impl Default for Subscribers {
    fn default() -> Self {
        Self { by_queue: Mutex::default(), read_ahead: Arc::new(Semaphore::new(READ_AHEAD_OF_ALL)) }
    }
}

impl Subscriber {
    /// A queue may hold more than was read, unless another subscriber has it by now.
    fn mark(&self, queue: QueueId) {
        if lock(&self.kept).contains(&queue) {
            lock(&self.filled).insert(queue);
        }
    }

    /// A newer subscriber took a queue.
    fn lose(&self, queue: &QueueId) {
        lock(&self.kept).remove(queue);
        lock(&self.filled).remove(queue);
        self.notify.notify_one();
    }
}

impl Subscribers {
    /// Notifies the subscriber of a queue that got a frame. Called after the commit.
    pub(super) fn filled(&self, queue: &QueueId) {
        if let Some(subscriber) = self.lock().get(queue) {
            subscriber.mark(*queue);
            subscriber.notify.notify_one();
        }
    }

    /// Number of queues with a subscriber.
    pub(super) fn count(&self) -> u64 {
        self.lock().len() as u64
    }

    /// Adds a subscriber, who takes these queues from any other. All of them count as filled until they have been read.
    fn listen(&self, queues: &BTreeSet<QueueId>) -> Arc<Subscriber> {
        let subscriber = Arc::new(Subscriber {
            notify: Notify::new(),
            filled: Mutex::new(queues.clone()),
            kept: Mutex::new(queues.clone()),
        });
        let mut subscribers = self.lock();
        for queue in queues {
            if let Some(older) = subscribers.insert(*queue, subscriber.clone()) {
                older.lose(queue);
            }
        }
        subscriber
    }

    /// Removes a subscriber from the queues it still has.
    fn leave(&self, subscriber: &Arc<Subscriber>) {
        let mut subscribers = self.lock();
        for queue in &*lock(&subscriber.kept) {
            subscribers.remove(queue);
        }
    }

    /// The right to hold frames read ahead: as many as are free, at most `READ_AHEAD` less the one that needs no right.
    fn read_ahead(&self) -> Option<OwnedSemaphorePermit> {
        let free = self.read_ahead.available_permits().min(READ_AHEAD - 1);
        self.read_ahead.clone().try_acquire_many_owned(u32::try_from(free).ok()?).ok()
    }

    /// The subscribers, locked.
    fn lock(&self) -> MutexGuard<'_, HashMap<QueueId, Arc<Subscriber>>> {
        lock(&self.by_queue)
    }
}

/// The frames of some queues, as they arrive. It keeps the relay open.
pub struct Subscription {
    relay: Relay,
    /// Marked and woken when a frame arrives.
    subscriber: Arc<Subscriber>,
    /// The number of the next frame of each queue.
    next: BTreeMap<QueueId, u64>,
    /// Frames that were read and not yet returned.
    ready: VecDeque<Response>,
    /// The right to hold what is ready, beyond one frame.
    read_ahead: Option<OwnedSemaphorePermit>,
}

impl Subscription {
    /// A subscription to these queues, from their oldest frames on. The caller has checked the
    /// right to collect them.
    pub(super) fn new(relay: Relay, queues: &[QueueId]) -> Self {
        let subscriber = relay.0.subscribers.listen(&queues.iter().copied().collect());
        let next = queues.iter().map(|queue| (*queue, 0)).collect();
        Self { relay, subscriber, next, ready: VecDeque::new(), read_ahead: None }
    }

    /// The next frame as a [`Response::Pushed`]. `None` once the relay has failed, or newer subscriptions have taken all
    /// queues of this one.
    pub async fn next(&mut self) -> Option<Response> {
        loop {
            // Also while queues are marked: what a failed relay has cannot be read any more.
            if self.relay.has_failed() || lock(&self.subscriber.kept).is_empty() {
                return None;
            }
            if let Some(pushed) = self.ready.pop_front() {
                self.relay.0.metrics.pushed();
                return Some(pushed);
            }
            self.read_ahead = None;
            let first = lock(&self.subscriber.filled).pop_first();
            match first {
                Some(queue) => self.read(queue).await,
                None => tokio::select! {
                    () = self.subscriber.notify.notified() => {}
                    _ = self.relay.failed() => return None,
                },
            }
        }
    }

    /// Reads the next frames of a queue. While the file is reopened, the queue is tried again after
    /// a second.
    ///
    /// A full read marks the queue again, so the next read goes on with it.
    async fn read(&mut self, queue: QueueId) {
        let from = self.next.get(&queue).copied().unwrap_or_default();
        self.read_ahead = self.relay.0.subscribers.read_ahead();
        let most = 1 + self.read_ahead.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let read = self.relay.blocking(move |inner| inner.db.frames(&queue, from, most)).await;
        let Ok(frames) = read else {
            // The file is being opened again: soon.
            self.subscriber.mark(queue);
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            return;
        };
        if frames.len() == most {
            self.subscriber.mark(queue);
        }
        if let Some((last, _)) = frames.last() {
            self.next.insert(queue, last + 1);
        }
        let pushed = frames.into_iter().map(|(number, blob)| Response::Pushed { queue, number, blob });
        self.ready.extend(pushed);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.relay.0.subscribers.leave(&self.subscriber);
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("queues", &self.next.len()).finish_non_exhaustive()
    }
}

/// Locks a mutex; a panic elsewhere does not matter to what it holds.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
