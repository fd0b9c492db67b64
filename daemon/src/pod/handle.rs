//! A running pod, for the code that started it.

use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use crate::{
    driver::{AskError, Handle, StoreFailed},
    server::routes::OnionState,
};
use autonomy_api::Event;
use autonomy_node::{Reply, Request};

/// How a pod ended; `None` while it runs.
pub(super) type Ended = Option<Result<(), StoreFailed>>;

/// A running pod. Cheap to clone; the pod ends on [`Self::stop`], or when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct PodHandle {
    /// Reaches the node.
    pub(super) node: Handle,
    /// The state of Tor and of both services.
    pub(super) onion: watch::Receiver<OnionState>,
    /// Ends the pod when set, or when the last clone is dropped.
    pub(super) stop: Arc<watch::Sender<bool>>,
    /// Set once everything of the pod has ended.
    pub(super) ended: watch::Receiver<Ended>,
}

impl PodHandle {
    /// Sends a request to the node and waits for its reply.
    ///
    /// # Errors
    /// The pod is stopping.
    pub async fn ask(&self, request: Request) -> Result<Reply, AskError> {
        self.node.ask(request).await
    }

    /// The events from now on. A receiver that falls behind loses some and reads them from the node
    /// instead.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.node.events()
    }

    /// The state of the onion services, and its changes.
    #[must_use]
    pub fn services(&self) -> watch::Receiver<OnionState> {
        self.onion.clone()
    }

    /// Ends the pod without waiting. Other pods of the process go on; [`Self::stopped`] waits for
    /// the end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the pod has ended: its services are gone, its socket is removed and its database is closed.
    ///
    /// # Errors
    /// It ended by itself, since its store failed.
    pub async fn stopped(&self) -> Result<(), StoreFailed> {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.clone().unwrap_or(Ok(())),
            // The runtime was shut down before the pod had ended: the node's own word counts.
            Err(_) => self.node.stopped().await,
        }
    }
}
