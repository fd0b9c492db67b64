//! One call: a stream, a request, its response.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use autonomy_messaging::{
    lane::{Lane, Unreached},
    place::Place,
    wire::{MAX_RESPONSE, Refusal, Request, Response, Ticket, work},
};
use tokio::{
    io::AsyncWriteExt as _,
    sync::{Semaphore, watch},
    time::timeout,
};

use super::{Dial, message};

/// A call ends within this time, whatever happens: time for a dial over slow circuits, and two round trips.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// Requests of one lane on their way at once: they fill a circuit (network figures: 32 frames in flight).
const IN_FLIGHT: usize = 32;
/// Lanes remembered before those at rest are forgotten.
const LANES_KEPT: usize = 1024;

pub(super) type Line = watch::Receiver<Option<Arc<dyn Dial>>>;

/// Carries out calls.
pub(super) struct Client {
    line: Line,
    lanes: Mutex<HashMap<(Place, Lane), Arc<Semaphore>>>,
}

impl Client {
    pub(super) fn new(line: Line) -> Self {
        Self { line, lanes: Mutex::default() }
    }

    /// Asks and waits for the answer.
    pub(super) async fn call(
        &self,
        place: &Place,
        lane: Lane,
        request: &Request,
    ) -> Result<Response, Unreached> {
        let answer = Box::pin(self.ask_with_work(place, lane, request));
        timeout(CALL_LIMIT, answer)
            .await
            .unwrap_or_else(|_| Err(unreached(format!("no answer within {} s", CALL_LIMIT.as_secs()))))
    }

    /// Asks; where the place wants work for a queue first, does it and asks once more.
    async fn ask_with_work(
        &self,
        place: &Place,
        lane: Lane,
        request: &Request,
    ) -> Result<Response, Unreached> {
        let answer = self.ask(place, lane, request).await?;
        let Some(worked) = with_work(request, &answer).await else { return Ok(answer) };
        self.ask(place, lane, &worked).await
    }

    async fn ask(&self, place: &Place, lane: Lane, request: &Request) -> Result<Response, Unreached> {
        let seats = self.seats(place, lane);
        let _seat = seats.acquire().await.map_err(|error| unreached(error.to_string()))?;
        let dial = attached(&mut self.line.clone()).await?;
        let mut stream = dial.open(place, lane).await?;
        let broken = |error: std::io::Error| unreached(format!("the connection broke: {error}"));
        message::write(&mut stream, &request.to_bytes()).await.map_err(broken)?;
        stream.shutdown().await.map_err(broken)?;
        let answer = message::read(&mut stream, MAX_RESPONSE).await.map_err(broken)?;
        match Response::parse(&answer) {
            Ok(Response::Pushed { .. }) => Err(unreached("an answer to another question".into())),
            Ok(response) => Ok(response),
            Err(error) => Err(unreached(format!("an answer that is none: {error}"))),
        }
    }

    fn seats(&self, place: &Place, lane: Lane) -> Arc<Semaphore> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() >= LANES_KEPT {
            lanes.retain(|_, seats| Arc::strong_count(seats) > 1);
        }
        lanes.entry((*place, lane)).or_insert_with(|| Arc::new(Semaphore::new(IN_FLIGHT))).clone()
    }
}

/// The same request with the work that the place asked for; none where it asked for none, or for too much.
async fn with_work(request: &Request, answer: &Response) -> Option<Request> {
    let Response::Refused(Refusal::WorkNeeded { challenge, bits }) = *answer else { return None };
    let Request::Open { queue, deposit, collect, notice, .. } = request.clone() else { return None };
    // A second at most (22 bits); the threads for blocking work have nothing to do with those that carry frames.
    let nonce = tokio::task::spawn_blocking(move || work(&challenge, &queue, bits)).await.ok()??;
    Some(Request::Open { queue, deposit, collect, ticket: Ticket::Work { challenge, nonce }, notice })
}

/// Waits for the way to places.
pub(super) async fn attached(line: &mut Line) -> Result<Arc<dyn Dial>, Unreached> {
    let dial = line.wait_for(Option::is_some).await.map_err(|_| unreached("the network ends".into()))?;
    dial.clone().ok_or_else(|| unreached("the network ends".into()))
}

pub(super) fn unreached(detail: String) -> Unreached {
    Unreached { detail }
}

#[cfg(test)]
mod tests {
    use autonomy_messaging::{
        place::{Capability, QueueId},
        wire::is_worked,
    };

    use super::*;

    #[tokio::test]
    async fn a_place_that_wants_work_gets_it_and_one_that_wants_none_is_not_asked_again() {
        let (queue, right) = (QueueId::from_bytes([1; 32]), Capability::from_bytes([2; 32]));
        let (deposit, collect) = (right.hash(), right.hash());
        let open = Request::Open { queue, deposit, collect, ticket: Ticket::Open, notice: None };
        let wanted = Response::Refused(Refusal::WorkNeeded { challenge: [3; 32], bits: 8 });
        let Some(Request::Open { ticket: Ticket::Work { challenge, nonce }, .. }) =
            with_work(&open, &wanted).await
        else {
            panic!("no work was done")
        };
        assert!(challenge == [3; 32] && is_worked(&challenge, &queue, nonce, 8));

        assert_eq!(with_work(&open, &Response::Done).await, None);
        let too_much = Response::Refused(Refusal::WorkNeeded { challenge: [3; 32], bits: 40 });
        assert_eq!(with_work(&open, &too_much).await, None);
        assert_eq!(with_work(&Request::Subscribe(Vec::new()), &wanted).await, None);
    }
}
