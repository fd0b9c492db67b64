//! One call: a stream, a request, its response.
//!
//! Calls of one lane run side by side up to [`IN_FLIGHT`]. A call is never repeated here, with one
//! exception: where a place demands work for a new queue, the work is done and the request is sent
//! again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use autonomy_messaging::{
    lane::{Lane, Unreached},
    place::Place,
    wire::{MAX_RESPONSE, PlaceRefusal, Request, Response, Ticket, work},
};
use tokio::{
    io::AsyncWriteExt as _,
    sync::{Semaphore, watch},
    time::timeout,
};

use super::{Dial, message};

/// A call ends within this time: enough for a dial over slow circuits and two round trips.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// Requests of one lane on their way at once: they fill a circuit (measured: 32 frames in flight).
const IN_FLIGHT: usize = 32;
/// Lanes whose permits are remembered; beyond it idle ones are forgotten.
const LANES_KEPT: usize = 1024;

/// The way to places, as it is set and taken away.
pub(super) type CurrentDial = watch::Receiver<Option<Arc<dyn Dial>>>;

/// Carries out calls.
pub(super) struct Client {
    /// How streams are opened.
    dial: CurrentDial,
    /// Permits for the requests in flight on each lane.
    lanes: Mutex<HashMap<(Place, Lane), Arc<Semaphore>>>,
}

impl Client {
    /// A client that has made no call yet.
    pub(super) fn new(dial: CurrentDial) -> Self {
        Self { dial, lanes: Mutex::default() }
    }

    /// Sends a request and waits for the response.
    ///
    /// # Errors
    /// The place was not reached, broke the connection, or sent no response in time. The request
    /// may have been carried out.
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

    /// Sends the request; where the place demands work for a queue, does it and sends the request
    /// once more.
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

    /// Sends one request over a new stream of the lane.
    async fn ask(&self, place: &Place, lane: Lane, request: &Request) -> Result<Response, Unreached> {
        let permits = self.permits(place, lane);
        let _permit = permits.acquire().await.map_err(|error| unreached(error.to_string()))?;
        let dial = attached(&mut self.dial.clone()).await?;
        let mut stream = dial.open(place, lane).await?;
        let broken = |error: std::io::Error| unreached(format!("the connection broke: {error}"));
        message::write(&mut stream, request.to_bytes()).await.map_err(broken)?;
        stream.shutdown().await.map_err(broken)?;
        let answer = message::read(&mut stream, MAX_RESPONSE).await.map_err(broken)?;
        match Response::parse(&answer) {
            Ok(Response::Pushed { .. }) => Err(unreached("an answer to another request".into())),
            Ok(response) => Ok(response),
            Err(error) => Err(unreached(format!("a malformed answer: {error}"))),
        }
    }

    /// The permits of a lane.
    fn permits(&self, place: &Place, lane: Lane) -> Arc<Semaphore> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() >= LANES_KEPT {
            lanes.retain(|_, permits| Arc::strong_count(permits) > 1);
        }
        lanes.entry((*place, lane)).or_insert_with(|| Arc::new(Semaphore::new(IN_FLIGHT))).clone()
    }
}

/// The request with the work that the place demands; `None` where it demands none, or too much.
async fn with_work(request: &Request, answer: &Response) -> Option<Request> {
    let Response::Refused(PlaceRefusal::WorkNeeded { challenge, bits }) = *answer else { return None };
    let Request::Open { queue, deposit, collect, notice, .. } = request.clone() else { return None };
    // A second at most (22 bits); the threads for blocking work have nothing to do with those that carry frames.
    let nonce = tokio::task::spawn_blocking(move || work(&challenge, &queue, bits)).await.ok()??;
    Some(Request::Open { queue, deposit, collect, ticket: Ticket::Work { challenge, nonce }, notice })
}

/// Waits until there is a way to places.
///
/// # Errors
/// The network is being shut down.
pub(super) async fn attached(dial_state: &mut CurrentDial) -> Result<Arc<dyn Dial>, Unreached> {
    let dial =
        dial_state.wait_for(Option::is_some).await.map_err(|_| unreached("the network ends".into()))?;
    dial.clone().ok_or_else(|| unreached("the network ends".into()))
}

/// The error of a call that failed for this reason.
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
    async fn work_is_done_only_where_the_place_demands_it() {
        let (queue, right) = (QueueId::from_bytes([1; 32]), Capability::from_bytes([2; 32]));
        let (deposit, collect) = (right.hash(), right.hash());
        let open = Request::Open { queue, deposit, collect, ticket: Ticket::Open, notice: None };
        let wanted = Response::Refused(PlaceRefusal::WorkNeeded { challenge: [3; 32], bits: 8 });
        let Some(Request::Open { ticket: Ticket::Work { challenge, nonce }, .. }) =
            with_work(&open, &wanted).await
        else {
            panic!("no work was done")
        };
        assert!(challenge == [3; 32] && is_worked(&challenge, &queue, nonce, 8));

        assert_eq!(with_work(&open, &Response::Done).await, None);
        let too_much = Response::Refused(PlaceRefusal::WorkNeeded { challenge: [3; 32], bits: 40 });
        assert_eq!(with_work(&open, &too_much).await, None);
        assert_eq!(with_work(&Request::Subscribe(Vec::new()), &wanted).await, None);
    }
}
