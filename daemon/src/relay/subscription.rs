//! Pushing frames to subscribers. The file is the queue; a subscription only remembers how far it
//! has read.
//!
//! A new frame marks its queue at each subscriber and wakes it. So a slow subscriber costs no
//! memory for frames, and a frame that arrives while another is sent is found by the next read.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use autonomy_messaging::{place::QueueId, wire::Response};
use tokio::sync::Notify;

use super::Relay;

/// Frames read ahead for one subscriber: 128 KiB.
const READ_AHEAD: usize = 8;

/// The subscribers of each queue.
#[derive(Default)]
pub(super) struct Subscribers(Mutex<HashMap<QueueId, Vec<Arc<Subscriber>>>>);

/// What one subscriber has to read.
///
/// A queue is marked once, however many frames arrive, so this is bounded by the number of queues.
#[derive(Default)]
struct Subscriber {
    /// Wakes the subscription.
    notify: Notify,
    /// Queues that may hold more than was read.
    filled: Mutex<BTreeSet<QueueId>>,
}

impl Subscribers {
    /// Notifies the subscribers of a queue that got a frame. Called after the commit.
    pub(super) fn filled(&self, queue: &QueueId) {
        for subscriber in self.lock().get(queue).into_iter().flatten() {
            lock(&subscriber.filled).insert(*queue);
            subscriber.notify.notify_one();
        }
    }

    /// Number of queues with a subscriber.
    pub(super) fn count(&self) -> u64 {
        self.lock().len() as u64
    }

    /// Adds a subscriber of these queues. All of them count as filled until they have been read.
    fn listen(&self, queues: &[QueueId]) -> Arc<Subscriber> {
        let subscriber = Arc::new(Subscriber {
            notify: Notify::new(),
            filled: Mutex::new(queues.iter().copied().collect()),
        });
        let mut subscribers = self.lock();
        for queue in queues {
            subscribers.entry(*queue).or_default().push(subscriber.clone());
        }
        subscriber
    }

    /// Removes a subscriber.
    fn leave(&self, subscriber: &Arc<Subscriber>, queues: impl Iterator<Item = QueueId>) {
        let mut subscribers = self.lock();
        for queue in queues {
            if let Some(listening) = subscribers.get_mut(&queue) {
                listening.retain(|other| !Arc::ptr_eq(other, subscriber));
                if listening.is_empty() {
                    subscribers.remove(&queue);
                }
            }
        }
    }

    /// The subscribers, locked.
    fn lock(&self) -> MutexGuard<'_, HashMap<QueueId, Vec<Arc<Subscriber>>>> {
        lock(&self.0)
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
}

impl Subscription {
    /// A subscription to these queues, from their oldest frames on. The caller has checked the
    /// right to collect them.
    pub(super) fn new(relay: Relay, queues: &[QueueId]) -> Self {
        let subscriber = relay.0.subscribers.listen(queues);
        let next = queues.iter().map(|queue| (*queue, 0)).collect();
        Self { relay, subscriber, next, ready: VecDeque::new() }
    }

    /// The next frame as a [`Response::Pushed`]. `None` once the relay has failed.
    pub async fn next(&mut self) -> Option<Response> {
        loop {
            // Also while queues are marked: what a failed relay has cannot be read any more.
            if self.relay.has_failed() {
                return None;
            }
            if let Some(pushed) = self.ready.pop_front() {
                self.relay.0.metrics.pushed();
                return Some(pushed);
            }
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
        let read = self.relay.blocking(move |inner| inner.db.frames(&queue, from, READ_AHEAD)).await;
        let Ok(frames) = read else {
            // The file is being opened again: soon.
            lock(&self.subscriber.filled).insert(queue);
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            return;
        };
        if frames.len() == READ_AHEAD {
            lock(&self.subscriber.filled).insert(queue);
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
        self.relay.0.subscribers.leave(&self.subscriber, self.next.keys().copied());
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
