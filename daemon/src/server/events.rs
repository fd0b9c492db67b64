//! `GET /v1/events`: server-sent events that resume where a listener left.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{self, KeepAlive, Sse},
};
use futures::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast::error::RecvError},
    time::Instant,
};

use super::{
    extract::{LastEventId, Query},
    problem::ApiError,
    routes::{ApiState, ask},
};
use crate::driver::{Admitted, Handle, MAX_STREAMS};
use autonomy_api::{Access, Event, Problem};
use autonomy_node::{Answer, Caller, Command, Refusal};

/// How often it is asked whether a listener may still listen: certificates run out without an event.
const CHECK_AGAIN: Duration = Duration::from_secs(60);
/// A comment line this often, so that a dead circuit is noticed by the one who waits.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a listener wants to stay.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// `false` ends the stream once all that is kept was told.
    follow: Option<bool>,
}

/// Streams events as they happen, from the one after `Last-Event-ID` where that is given.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(("Last-Event-ID" = Option<u64>, Header, description = "The last event seen; those after it come first"),
           ("follow" = Option<bool>, Query, description = "`false` ends the stream once all that is kept was told")),
    responses((status = 200, description = "`text/event-stream`; each `data` is an Event", body = Event, content_type = "text/event-stream"),
              (status = 403, description = "Not admitted, or access too low", body = Problem),
              (status = 409, description = "`full`: the caller has 16 streams open", body = Problem),
              (status = 422, description = "`Last-Event-ID` is no number", body = Problem)))]
pub(super) async fn stream_events(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<EventsQuery>,
    LastEventId(last): LastEventId,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, ApiError> {
    let Some(place) = state.handle.listen(caller) else { return Err(too_many()) };
    // Subscribed before the backlog is read, so that nothing falls between the two.
    let live = state.handle.events();
    let backlog = match last {
        Some(after) => backlog(&state.handle, caller, after).await?,
        // Asked all the same: it is the check that this caller may listen.
        None => backlog(&state.handle, caller, u64::MAX - 1).await?,
    };
    let seen = backlog.last().map_or(0, |event| event.id);
    let follow = Follow { live, handle: state.handle.clone(), caller, seen, _place: place };
    let lasting = if query.follow.unwrap_or(true) { usize::MAX } else { 0 };
    let events = stream::iter(backlog).chain(stream::unfold(follow, Follow::next).take(lasting));
    Ok(Sse::new(events.map(|event| Ok(encode(&event)))).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct Follow {
    live: tokio::sync::broadcast::Receiver<Event>,
    handle: Handle,
    caller: Caller,
    seen: u64,
    /// One of the streams that the caller may have open.
    _place: OwnedSemaphorePermit,
}

impl Follow {
    /// The next event; ends the stream when the caller may no longer listen, or falls too far behind. The listener then
    /// comes again with its `Last-Event-ID`.
    async fn next(mut self) -> Option<(Event, Self)> {
        let mut admitted = self.handle.admitted();
        let mut check = tokio::time::interval_at(Instant::now() + CHECK_AGAIN, CHECK_AGAIN);
        loop {
            if !self.may_listen(&admitted.borrow_and_update()) {
                return None;
            }
            tokio::select! {
                event = self.live.recv() => match event {
                    Ok(event) if event.id > self.seen => {
                        self.seen = event.id;
                        return Some((event, self));
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return None,
                },
                changed = admitted.changed() => changed.ok()?,
                _ = check.tick() => self.ask_again().await?,
            }
        }
    }

    /// Whether the caller is a device that has the access that events need.
    fn may_listen(&self, admitted: &Admitted) -> bool {
        match self.caller {
            Caller::Owner => true,
            Caller::Device(key) => {
                admitted.devices.get(&key).is_some_and(|access| *access >= Access::Limited)
            }
        }
    }

    /// Has the node check the caller as for any request; `None` where it refuses.
    async fn ask_again(&self) -> Option<()> {
        backlog(&self.handle, self.caller, u64::MAX - 1).await.ok().map(drop)
    }
}

fn too_many() -> ApiError {
    let what = "event streams of one caller";
    let remedy = "close one first; one stream tells everything";
    Refusal::Full { what, limit: MAX_STREAMS, remedy }.into()
}

/// All events after `after`, page by page.
async fn backlog(handle: &Handle, caller: Caller, after: u64) -> Result<Vec<Event>, ApiError> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(after, |event| event.id);
        match ask(handle, caller, None, Command::Events { after }).await? {
            Answer::Events(page) if !page.is_empty() => events.extend(page),
            _ => return Ok(events),
        }
    }
}

fn encode(event: &Event) -> sse::Event {
    let data = serde_json::to_value(event).unwrap_or_default();
    let kind = data.get("kind").and_then(|kind| kind.as_str()).unwrap_or("event").to_owned();
    sse::Event::default().id(event.id.to_string()).event(kind).data(data.to_string())
}
