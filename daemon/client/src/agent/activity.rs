//! Knows whether anything is being asked, and for how long nothing was.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

/// Counts what goes on. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Activity(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    busy: AtomicUsize,
    changed: Notify,
}

impl Activity {
    /// Something goes on until the returned guard is dropped.
    pub fn begin(&self) -> Busy {
        self.0.busy.fetch_add(1, Ordering::SeqCst);
        self.0.changed.notify_one();
        Busy(self.clone())
    }

    /// Returns once nothing has gone on for `limit` without a break.
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

/// Something that goes on.
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
    async fn a_stream_that_stays_open_keeps_it_awake_and_its_end_starts_the_clock() {
        let activity = Activity::default();
        let stream = activity.begin();
        drop(activity.begin());
        let mut waiting = pin!(activity.idle_for(SHORT));
        assert!(tokio::time::timeout(SHORT * 20, &mut waiting).await.is_err(), "something goes on");
        drop(stream);
        waiting.await;
    }

    #[tokio::test]
    async fn a_request_in_between_is_noticed() {
        let activity = Activity::default();
        let mut waiting = pin!(activity.idle_for(SHORT));
        assert!(poll!(&mut waiting).is_pending());
        let request = activity.begin();
        assert!(tokio::time::timeout(SHORT * 20, &mut waiting).await.is_err(), "the request goes on");
        drop(request);
        waiting.await;
    }
}
