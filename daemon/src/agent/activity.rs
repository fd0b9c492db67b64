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
    use super::*;

    const LIMIT: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_stays_open_keeps_it_awake_and_its_end_starts_the_clock() {
        let activity = Activity::default();
        let stream = activity.begin();
        let short = activity.begin();
        let waiting = activity.idle_for(LIMIT);
        tokio::pin!(waiting);
        drop(short);
        assert!(tokio::time::timeout(LIMIT * 10, &mut waiting).await.is_err());
        drop(stream);
        assert!(tokio::time::timeout(LIMIT - Duration::from_secs(1), &mut waiting).await.is_err());
        assert!(tokio::time::timeout(Duration::from_secs(2), &mut waiting).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_between_starts_the_clock_anew() {
        let activity = Activity::default();
        let waiting = activity.idle_for(LIMIT);
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(LIMIT - Duration::from_secs(1), &mut waiting).await.is_err());
        drop(activity.begin());
        assert!(tokio::time::timeout(LIMIT - Duration::from_secs(1), &mut waiting).await.is_err());
        assert!(tokio::time::timeout(Duration::from_secs(2), &mut waiting).await.is_ok());
    }
}
