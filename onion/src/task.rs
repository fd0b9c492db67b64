//! Tasks that end with their owner, and tasks bounded in number.

use std::future::Future;

use futures::{Stream, StreamExt as _};
use tokio::task::JoinSet;

/// A background task, aborted when this value is dropped.
#[derive(Debug)]
pub(crate) struct OwnedTask(tokio::task::JoinHandle<()>);

impl OwnedTask {
    /// Starts `work` on the current runtime.
    #[expect(clippy::disallowed_methods, reason = "the one place where this crate starts tasks")]
    pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// Whether the work has ended, by itself or by a panic.
    pub(crate) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves each request in a task of its own, at most `most` at a time; further requests wait in the
/// stream. A task that fails or panics does not affect the others. After the end of the stream the
/// tasks under way are awaited.
pub(crate) async fn serve_each<R, F: Future<Output = ()> + Send + 'static>(
    requests: impl Stream<Item = R>,
    most: usize,
    serve: impl Fn(R) -> F,
) {
    let mut requests = std::pin::pin!(requests);
    let mut in_service = JoinSet::new();
    loop {
        tokio::select! {
            request = requests.next(), if in_service.len() < most => match request {
                Some(request) => {
                    in_service.spawn(serve(request));
                }
                None => break,
            },
            Some(_) = in_service.join_next() => {}
        }
    }
    while in_service.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn tasks_are_limited_and_all_are_served() {
        let (running, most_seen, done) = (Arc::default(), Arc::default(), Arc::default());
        let counters: (Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>) = (running, most_seen, done);
        let serve = |_| {
            let (running, most_seen, done) = counters.clone();
            async move {
                most_seen.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
            }
        };
        serve_each(futures::stream::iter(0..100), 3, serve).await;
        assert_eq!(counters.1.load(Ordering::SeqCst), 3);
        assert_eq!(counters.2.load(Ordering::SeqCst), 100);
    }

    #[tokio::test]
    async fn panic_in_one_task_does_not_affect_others() {
        let done = Arc::new(AtomicUsize::new(0));
        let serve = |n: u32| {
            let done = done.clone();
            async move {
                assert!(n.is_multiple_of(2), "this one fails on purpose");
                done.fetch_add(1, Ordering::SeqCst);
            }
        };
        serve_each(futures::stream::iter(0..10), 2, serve).await;
        assert_eq!(done.load(Ordering::SeqCst), 5);
    }

    #[tokio::test]
    async fn owned_task_ends_with_its_owner() {
        let alive = Arc::new(Semaphore::new(0));
        let inside = alive.clone();
        let task = OwnedTask::spawn(async move {
            let _inside = inside;
            std::future::pending().await
        });
        tokio::task::yield_now().await;
        drop(task);
        while Arc::strong_count(&alive) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
