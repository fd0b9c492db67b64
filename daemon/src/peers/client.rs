//! One call: a stream, a request, its response.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use autonomy_messaging::{
    lane::{Lane, Unreached},
    place::Place,
    wire::{MAX_RESPONSE, Request, Response},
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
        let answer = Box::pin(self.ask(place, lane, request));
        timeout(CALL_LIMIT, answer)
            .await
            .unwrap_or_else(|_| Err(unreached(format!("no answer within {} s", CALL_LIMIT.as_secs()))))
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

/// Waits for the way to places.
pub(super) async fn attached(line: &mut Line) -> Result<Arc<dyn Dial>, Unreached> {
    let dial = line.wait_for(Option::is_some).await.map_err(|_| unreached("the network ends".into()))?;
    dial.clone().ok_or_else(|| unreached("the network ends".into()))
}

pub(super) fn unreached(detail: String) -> Unreached {
    Unreached { detail }
}
