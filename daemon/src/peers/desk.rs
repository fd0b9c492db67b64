//! Questions for the node, until it answers.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use autonomy_messaging::{
    messenger::Input,
    wire::{Refusal, Request, Response},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// Questions waiting at once; at 16 KiB each 4 MiB.
const MAX_QUESTIONS: usize = 256;
/// Longest wait for the node. The caller waits for a minute.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// When whoever finds the desk full should come again, seconds.
const COME_AGAIN: u32 = 5;

/// Takes questions to the node.
pub(super) struct Desk {
    events: mpsc::Sender<Input>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    by_ticket: HashMap<u64, oneshot::Sender<Response>>,
    tickets: u64,
}

impl Desk {
    pub(super) fn new(events: mpsc::Sender<Input>) -> Self {
        Self { events, waiting: Mutex::default() }
    }

    /// Asks the node.
    pub(super) async fn ask(&self, request: Request) -> Response {
        let busy = Response::Refused(Refusal::Busy { retry_after: COME_AGAIN });
        let Some(question) = self.enter() else { return busy };
        let asked = async {
            self.events.send(Input::Asked { ticket: question.ticket, request }).await.ok()?;
            question.answer.await.ok()
        };
        timeout(ANSWER_LIMIT, asked).await.ok().flatten().unwrap_or(busy)
    }

    /// Gives the node's answer to whoever still waits for it.
    pub(super) fn answer(&self, ticket: u64, response: Response) {
        if let Some(answer) = self.waiting().by_ticket.remove(&ticket) {
            drop(answer.send(response));
        }
    }

    fn enter(&self) -> Option<Question> {
        let mut waiting = self.waiting();
        // Those whose askers have gone make room.
        if waiting.by_ticket.len() >= MAX_QUESTIONS {
            waiting.by_ticket.retain(|_, answer| !answer.is_closed());
        }
        if waiting.by_ticket.len() >= MAX_QUESTIONS {
            return None;
        }
        let (sender, answer) = oneshot::channel();
        waiting.tickets += 1;
        let ticket = waiting.tickets;
        waiting.by_ticket.insert(ticket, sender);
        Some(Question { ticket, answer })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Question {
    ticket: u64,
    answer: oneshot::Receiver<Response>,
}
