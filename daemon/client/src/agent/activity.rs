//! Measures for how long nothing has been in progress.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

/// Counts what is in progress. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct Activity(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// How many guards exist.
    busy: AtomicUsize,
    /// Notified when a guard is made or dropped.
    changed: Notify,
}

impl Activity {
    /// Counts one thing as in progress until the returned guard is dropped.
    #[must_use = "the guard is what counts"]
    pub fn begin(&self) -> Busy {
        self.0.busy.fetch_add(1, Ordering::SeqCst);
        self.0.changed.notify_one();
        Busy(self.clone())
    }

    /// Returns once nothing has been in progress for `limit` without interruption.
    pub async fn idle_for(&self, limit: Duration) {
        loop {
            let changed = self.0.changed.notified();
            if self.0.busy.load(Ordering::SeqCst) > 0 {
                changed.await;
            } else if tokio::time::timeout(limit, changed).await.is_err() {
                return;
            }
        }
    }
}

/// Something in progress, until it is dropped.
#[derive(Debug)]
pub struct Busy(Activity);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.busy.fetch_sub(1, Ordering::SeqCst);
        self.0.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::poll;

    use super::*;

    /// Any time at all is enough to tell waiting from not waiting.
    const SHORT: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn open_stream_prevents_idle_and_its_end_starts_the_time() {
        let activity = Activity::default();
        let stream = activity.begin();
        drop(activity.begin());
        let mut waiting = pin!(activity.idle_for(SHORT));
        assert!(tokio::time::timeout(SHORT * 20, &mut waiting).await.is_err(), "something goes on");
        drop(stream);
        waiting.await;
    }

    #[tokio::test]
    async fn short_request_restarts_the_idle_time() {
        let activity = Activity::default();
        let mut waiting = pin!(activity.idle_for(SHORT));
        assert!(poll!(&mut waiting).is_pending());
        let request = activity.begin();
        assert!(tokio::time::timeout(SHORT * 20, &mut waiting).await.is_err(), "the request goes on");
        drop(request);
        waiting.await;
    }
}
