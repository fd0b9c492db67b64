//! Pushing: the file is the queue, a subscription only remembers how far it is.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use autonomy_messaging::{place::QueueId, wire::Response};
use tokio::sync::Notify;

use super::Relay;

/// Frames read ahead for one subscriber: 128 KiB.
const READ_AHEAD: usize = 8;

/// Who listens to which queue.
#[derive(Default)]
pub(super) struct Ears(Mutex<HashMap<QueueId, Vec<Arc<Ear>>>>);

/// One subscriber's ear.
#[derive(Default)]
struct Ear {
    notify: Notify,
    /// Queues in which there may be more than was read.
    filled: Mutex<BTreeSet<QueueId>>,
}

impl Ears {
    /// A frame was stored here.
    pub(super) fn filled(&self, queue: &QueueId) {
        for ear in self.lock().get(queue).into_iter().flatten() {
            lock(&ear.filled).insert(*queue);
            ear.notify.notify_one();
        }
    }

    /// Queues that are listened to.
    pub(super) fn count(&self) -> u64 {
        self.lock().len() as u64
    }

    fn listen(&self, queues: &[QueueId]) -> Arc<Ear> {
        let ear =
            Arc::new(Ear { notify: Notify::new(), filled: Mutex::new(queues.iter().copied().collect()) });
        let mut ears = self.lock();
        for queue in queues {
            ears.entry(*queue).or_default().push(ear.clone());
        }
        ear
    }

    fn leave(&self, ear: &Arc<Ear>, queues: impl Iterator<Item = QueueId>) {
        let mut ears = self.lock();
        for queue in queues {
            if let Some(listening) = ears.get_mut(&queue) {
                listening.retain(|other| !Arc::ptr_eq(other, ear));
                if listening.is_empty() {
                    ears.remove(&queue);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<QueueId, Vec<Arc<Ear>>>> {
        lock(&self.0)
    }
}

/// Frames of some queues, as they come. Ends with the relay.
pub struct Subscription {
    relay: Relay,
    ear: Arc<Ear>,
    /// The next number of each queue.
    next: BTreeMap<QueueId, u64>,
    ready: VecDeque<Response>,
}

impl Subscription {
    pub(super) fn new(relay: Relay, queues: &[QueueId]) -> Self {
        let ear = relay.0.ears.listen(queues);
        let next = queues.iter().map(|queue| (*queue, 0)).collect();
        Self { relay, ear, next, ready: VecDeque::new() }
    }

    /// The next frame: [`Response::Pushed`]. `None` once the relay has failed.
    pub async fn next(&mut self) -> Option<Response> {
        loop {
            if let Some(pushed) = self.ready.pop_front() {
                self.relay.0.metrics.pushed();
                return Some(pushed);
            }
            let first = lock(&self.ear.filled).pop_first();
            match first {
                Some(queue) => self.read(queue).await,
                None => tokio::select! {
                    () = self.ear.notify.notified() => {}
                    _ = self.relay.failed() => return None,
                },
            }
        }
    }

    async fn read(&mut self, queue: QueueId) {
        let from = self.next.get(&queue).copied().unwrap_or_default();
        let read = self.relay.blocking(move |inner| inner.shelf.frames(&queue, from, READ_AHEAD)).await;
        let Ok(frames) = read else {
            // The file is being opened again: soon.
            lock(&self.ear.filled).insert(queue);
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            return;
        };
        if frames.len() == READ_AHEAD {
            lock(&self.ear.filled).insert(queue);
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
        self.relay.0.ears.leave(&self.ear, self.next.keys().copied());
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("queues", &self.next.len()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
