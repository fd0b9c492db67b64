//! What one caller may have in service at once.
//!
//! Callers are anonymous: what there is of one is a connection. Each has a share of its own of requests and another of
//! subscriptions. No share is taken from another connection's, so no caller can use up what others need, and nobody
//! waits for anybody: what is over a share is told so at once.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use autonomy_onion::peers::{MAX_CONNECTIONS, MAX_STREAMS};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests of one connection in service at once: as many as a pod sends over one lane. At about 20 kB each while they
/// are read (16.4 kB and a task), 384 connections that stall them all hold 252 MB.
pub const MAX_REQUESTS: usize = 32;
/// Subscriptions of one connection: 16 of 64 queues are the 1,024 contacts of a pod, should it collect all at one relay
/// over one lane. 384 connections × 16 of them are 6,144, each with one frame that its caller does not take (16.4 kB)
/// and a task (4 kB): 126 MB, beside the frames read ahead, which all subscriptions share.
pub const MAX_SUBSCRIPTIONS: usize = 16;

const _: () = assert!(MAX_REQUESTS + MAX_SUBSCRIPTIONS <= MAX_STREAMS);
const _: () = assert!(MAX_CONNECTIONS * MAX_REQUESTS * 20_500 < 256_000_000);
const _: () = assert!(MAX_CONNECTIONS * MAX_SUBSCRIPTIONS * 20_500 < 128_000_000);

/// The share of one connection.
#[derive(Debug)]
pub struct Share {
    requests: Arc<Semaphore>,
    subscriptions: Arc<Semaphore>,
}

impl Share {
    /// The right to have one request more in service; `None` where all are taken.
    pub(super) fn request(&self) -> Option<OwnedSemaphorePermit> {
        self.requests.clone().try_acquire_owned().ok()
    }

    /// The right to one subscription more; `None` where all are taken.
    pub(super) fn subscription(&self) -> Option<OwnedSemaphorePermit> {
        self.subscriptions.clone().try_acquire_owned().ok()
    }
}

impl Default for Share {
    /// All of it is free.
    fn default() -> Self {
        let free = |permits| Arc::new(Semaphore::new(permits));
        Self { requests: free(MAX_REQUESTS), subscriptions: free(MAX_SUBSCRIPTIONS) }
    }
}

/// The shares of all connections that have something in service.
#[derive(Debug, Default)]
pub(super) struct Shares(HashMap<u64, Weak<Share>>);

impl Shares {
    /// The share of a connection, which its streams keep.
    pub(super) fn of(&mut self, connection: u64) -> Arc<Share> {
        if let Some(share) = self.0.get(&connection).and_then(Weak::upgrade) {
            return share;
        }
        // Connections come and go: those without anything in service are forgotten before there are twice as many.
        if self.0.len() >= 2 * MAX_CONNECTIONS {
            self.0.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Share::default());
        self.0.insert(connection, Arc::downgrade(&share));
        share
    }
}
