//! The way to the driver for everybody else.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot, watch};

use super::{AskError, LargeBodyPlace, Message, StoreFailed, turns::Turns};
use autonomy_api::{Access, Event};
use autonomy_messaging::OnionSeed;
use autonomy_node::{Caller, DeviceKey, Input, Owner, Reply, Request, Timestamp};
use autonomy_store::BackupError;

/// A way to reach the node from any task. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    /// Inputs for the driver.
    pub(super) inbox: mpsc::Sender<Message>,
    /// Where the driver publishes events.
    pub(super) events: broadcast::Sender<Event>,
    /// Who may connect.
    pub(super) admitted: watch::Receiver<Admitted>,
    /// What the owner should know of the disk.
    pub(super) disk_warning: watch::Receiver<Option<String>>,
    pub(super) clock_warning: watch::Receiver<Option<String>>,
    /// Who has how much in the line.
    pub(super) turns: Arc<Turns>,
    /// Set when the driver has ended.
    pub(super) stopped: watch::Receiver<Option<Result<(), StoreFailed>>>,
}

/// Who may connect now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Admitted {
    /// Device keys for the TLS gate, and the access of each.
    pub devices: BTreeMap<DeviceKey, Access>,
    /// x25519 keys for restricted discovery.
    pub descriptor_keys: Vec<[u8; 32]>,
    /// The pod's owner; `None` until it is adopted.
    pub owner: Option<Arc<Owner>>,
    /// Keys of the addresses at which contacts come, the present one first.
    pub peer_seeds: Vec<OnionSeed>,
}

impl Handle {
    /// Sends a request to the node and waits for its reply, which comes after the commit. Waits before that while the
    /// caller has its share in the line.
    ///
    /// # Errors
    /// The pod is stopping, or nothing of the request was kept since the disk takes no more.
    pub async fn ask(&self, request: Request) -> Result<Reply, AskError> {
        let _place = self.turns.wait(request.caller, &request.command).await;
        let (answer, reply) = oneshot::channel();
        self.inbox.send(Message::Asked(request, answer)).await.map_err(|_| AskError::Stopped)?;
        self.answer(reply).await?
    }

    /// Waits for an answer, or for the end of the driver. A message that was sent while the driver
    /// ended stays in the inbox with its sender as long as there is a handle, so that waiting for
    /// the answer alone might never end.
    ///
    /// # Errors
    /// The driver ended without an answer.
    async fn answer<T>(&self, answer: oneshot::Receiver<T>) -> Result<T, AskError> {
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| AskError::NoAnswer),
            _ = self.stopped() => Err(AskError::NoAnswer),
        }
    }

    /// Delivers an input; waits while the inbox is full. False when the node has ended.
    #[must_use]
    pub async fn deliver(&self, input: Input) -> bool {
        self.inbox.send(Message::Happened(input)).await.is_ok()
    }

    /// Tells that Tor works with a consensus of this validity. False when the node has ended.
    #[must_use]
    pub async fn consensus(&self, valid_after: Timestamp, valid_until: Timestamp) -> bool {
        self.inbox.send(Message::Consensus(valid_after, valid_until)).await.is_ok()
    }

    /// Writes a consistent sealed copy of the pod's database to `file`. It holds everything that
    /// was acknowledged before this call.
    ///
    /// # Errors
    /// The pod is stopping (outer), or the copy could not be written (inner).
    pub async fn back_up(&self, file: PathBuf) -> Result<Result<(), BackupError>, AskError> {
        let (answer, reply) = oneshot::channel();
        self.inbox.send(Message::BackUp(file, answer)).await.map_err(|_| AskError::Stopped)?;
        self.answer(reply).await
    }

    /// Ends the driver once everything that waits is committed. [`Self::stopped`] waits for the
    /// end.
    pub async fn stop(&self) {
        // A driver that has ended needs no order to end.
        drop(self.inbox.send(Message::Stop).await);
    }

    /// The right to one more event stream; `None` where the caller has [`MAX_STREAMS`](super::MAX_STREAMS).
    #[must_use]
    pub fn listen(&self, caller: Caller) -> Option<OwnedSemaphorePermit> {
        self.turns.stream(caller)
    }

    /// Waits until one more list of a caller may be answered; the place is given back when it is dropped.
    pub async fn list(&self, caller: Caller) -> Option<OwnedSemaphorePermit> {
        self.turns.list(caller).await
    }

    /// The right to send a large body; `None` where as many are on their way as may be.
    #[must_use]
    pub fn large_body(&self, caller: Caller) -> Option<LargeBodyPlace> {
        self.turns.large_body(caller)
    }

    /// The events from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Who may connect, and its changes.
    #[must_use]
    pub fn admitted(&self) -> watch::Receiver<Admitted> {
        self.admitted.clone()
    }

    /// What the owner should know of the disk now.
    #[must_use]
    pub fn disk_warning(&self) -> Option<String> {
        self.disk_warning.borrow().clone()
    }

    /// What the owner should know of this machine's clock now.
    #[must_use]
    pub fn clock_warning(&self) -> Option<String> {
        self.clock_warning.borrow().clone()
    }

    /// Waits until the driver has ended and its store is closed.
    ///
    /// # Errors
    /// The driver ended because the store failed.
    pub async fn stopped(&self) -> Result<(), StoreFailed> {
        let mut stopped = self.stopped.clone();
        match stopped.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
            // The thread is gone without a word: a fault of the program. The rows are safe; a new start reads them.
            Err(_) => Err(StoreFailed::thread_ended()),
        }
    }
}
