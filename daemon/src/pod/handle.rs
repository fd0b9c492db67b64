//! A running pod, for whoever started it.

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
    pub(super) node: Handle,
    pub(super) onion: watch::Receiver<OnionState>,
    pub(super) stop: Arc<watch::Sender<bool>>,
    pub(super) ended: watch::Receiver<Ended>,
}

impl PodHandle {
    /// Asks the node.
    ///
    /// # Errors
    /// The pod is stopping.
    pub async fn ask(&self, request: Request) -> Result<Reply, AskError> {
        self.node.ask(request).await
    }

    /// Events from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.node.events()
    }

    /// How the onion services are, as it changes.
    #[must_use]
    pub fn services(&self) -> watch::Receiver<OnionState> {
        self.onion.clone()
    }

    /// Ends the pod. Other pods of the process go on. [`Self::stopped`] tells when it has ended.
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
