//! Requests of peers for the node, until it answers.
//!
//! A request gets a ticket, waits here while the node works, and gets its answer by that ticket. So
//! the node needs no channel of its own for each caller.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use autonomy_messaging::{
    messenger::Input,
    wire::{PlaceRefusal, Request, Response},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// Requests that wait at once; at 16 KiB each 4 MiB. Further ones get `Busy`.
const MAX_PENDING: usize = 256;
/// Longest wait for the node. A caller waits for a minute.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Seconds after which a caller that got `Busy` should ask again.
const RETRY_AFTER: u32 = 5;

/// The requests that wait, and the way to the node.
pub(super) struct PendingRequests {
    /// Where requests go, as inputs of the messenger.
    events: mpsc::Sender<Input>,
    /// Who waits.
    waiting: Mutex<Waiting>,
}

/// Who waits for which answer.
#[derive(Default)]
struct Waiting {
    /// Where the answer to each ticket goes.
    by_ticket: HashMap<u64, oneshot::Sender<Response>>,
    /// Tickets given out so far. None is used twice.
    tickets: u64,
}

impl PendingRequests {
    /// No request waits yet.
    pub(super) fn new(events: mpsc::Sender<Input>) -> Self {
        Self { events, waiting: Mutex::default() }
    }

    /// Passes a request to the node and waits for its answer. Gives `Busy` where too many wait or
    /// the node does not answer in time.
    pub(super) async fn ask(&self, request: Request) -> Response {
        let busy = Response::Refused(PlaceRefusal::Busy { retry_after: RETRY_AFTER });
        let Some(pending) = self.register() else { return busy };
        let asked = async {
            self.events.send(Input::Asked { ticket: pending.ticket, request }).await.ok()?;
            pending.answer.await.ok()
        };
        timeout(ANSWER_LIMIT, asked).await.ok().flatten().unwrap_or(busy)
    }

    /// Sends the node's answer to the caller, if it still waits.
    pub(super) fn answer(&self, ticket: u64, response: Response) {
        if let Some(answer) = self.waiting().by_ticket.remove(&ticket) {
            drop(answer.send(response));
        }
    }

    /// Gives out a ticket; `None` where too many requests wait. Requests whose callers have gone
    /// are removed first.
    fn register(&self) -> Option<PendingRequest> {
        let mut waiting = self.waiting();
        // Those whose askers have gone make room.
        if waiting.by_ticket.len() >= MAX_PENDING {
            waiting.by_ticket.retain(|_, answer| !answer.is_closed());
        }
        if waiting.by_ticket.len() >= MAX_PENDING {
            return None;
        }
        let (sender, answer) = oneshot::channel();
        waiting.tickets += 1;
        let ticket = waiting.tickets;
        waiting.by_ticket.insert(ticket, sender);
        Some(PendingRequest { ticket, answer })
    }

    /// Who waits, locked.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A registered request: its ticket, and where its answer comes from.
struct PendingRequest {
    ticket: u64,
    answer: oneshot::Receiver<Response>,
}
