//! The pod's event stream: server-sent events (WHATWG HTML 9.2), read with bounds.

use std::time::Duration;

use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};

use super::{
    call::{CallError, no_answer, printable, refusal},
    transport::Transport,
};
use autonomy_api::{Event, from_json};

/// Longest line and longest event: an event has some ten short fields, 1 KiB at most, 64 times that for room.
const MAX_EVENT: usize = 64 * 1024;

/// Silence after which a stream counts as broken. The pod sends a comment at least every 15 s; through Tor one
/// may come late, four in a row do not.
const SILENCE: Duration = Duration::from_secs(60);

/// Time for the stream to begin.
const BEGIN: Duration = Duration::from_secs(60);

/// An open event stream. Dropping it closes it.
///
/// Each event is read by the rules of its fields; one that breaks a rule ends the stream with [`CallError::Misshapen`].
/// Events are the pod's word: what they tell of is asked for, and checked, where it counts.
pub struct EventStream {
    body: Incoming,
    lines: Lines,
}

impl EventStream {
    /// Opens the stream after the event `after`. With `follow` false, the pod ends it after the last event that it keeps.
    ///
    /// # Errors
    /// As for any call.
    pub async fn open(transport: &Transport, after: Option<u64>, follow: bool) -> Result<Self, CallError> {
        let path = if follow { "/v1/events" } else { "/v1/events?follow=false" };
        let mut request = Request::builder().method(Method::GET).uri(path);
        request = request.header(header::ACCEPT, "text/event-stream");
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let request = request.body(Full::new(Bytes::new()));
        let request = request.map_err(|_| CallError::BadRequest { what: path.to_owned() })?;
        let response = tokio::time::timeout(BEGIN, transport.send(request))
            .await
            .map_err(|_| CallError::TooSlow { seconds: BEGIN.as_secs() })?
            .map_err(|error| no_answer(transport, error))?;
        if !response.status().is_success() {
            return Err(refusal(transport, response, "GET /v1/events".to_owned()).await);
        }
        Ok(Self { body: response.into_body(), lines: Lines::default() })
    }

    /// The next event, or `None` when the pod ended the stream.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] when the stream broke or fell silent: open it again after the last event seen.
    /// [`CallError::TooLarge`] and [`CallError::Misshapen`] for what no pod of ours sends.
    pub async fn next(&mut self) -> Result<Option<Event>, CallError> {
        loop {
            if let Some(event) = self.lines.next_event()? {
                return Ok(Some(event));
            }
            match tokio::time::timeout(SILENCE, self.body.frame()).await {
                Err(_) => return Err(broken("nothing came for a minute")),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(broken(&error.to_string())),
                Ok(Some(Ok(frame))) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.lines.push(bytes);
                    }
                }
            }
        }
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").field("unread_bytes", &self.lines.unread.len()).finish_non_exhaustive()
    }
}

fn broken(why: &str) -> CallError {
    CallError::Unreachable { detail: format!("the event stream broke: {why}"), never_sent: false }
}

/// Splits bytes into events. Holds at most one frame of the body and one event of [`MAX_EVENT`] bytes.
#[derive(Default)]
struct Lines {
    unread: Vec<u8>,
    data: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    fn next_event(&mut self) -> Result<Option<Event>, CallError> {
        let too_large = || CallError::TooLarge { what: "GET /v1/events".to_owned(), max: MAX_EVENT };
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.len() + self.data.len() > MAX_EVENT {
                return Err(too_large());
            }
            if line.is_empty() && !self.data.is_empty() {
                return decode(&std::mem::take(&mut self.data)).map(Some);
            }
            if let Some(data) = line.strip_prefix(b"data:") {
                self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
                self.data.push(b'\n');
            }
        }
        if self.unread.len() > MAX_EVENT { Err(too_large()) } else { Ok(None) }
    }
}

fn decode(data: &[u8]) -> Result<Event, CallError> {
    from_json(data).map_err(|error| CallError::Misshapen {
        what: "GET /v1/events".to_owned(),
        why: printable(&error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TWO: &str = "id: 7\nevent: gap\ndata: {\"id\":7,\"at\":1,\"kind\":\"gap\",\"oldest\":7}\n\n: still here\n\n\
                       id: 8\r\ndata: {\"id\":8,\"at\":2,\r\ndata: \"kind\":\"gap\",\"oldest\":8}\r\n\r\n";

    fn ids(chunks: impl Iterator<Item = Vec<u8>>) -> Result<Vec<u64>, CallError> {
        let (mut lines, mut ids) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(&chunk);
            while let Some(event) = lines.next_event()? {
                ids.push(event.id);
            }
        }
        Ok(ids)
    }

    proptest! {
        #[test]
        fn events_parse_independent_of_chunking(size in 1usize..80) {
            prop_assert_eq!(ids(TWO.as_bytes().chunks(size).map(<[u8]>::to_vec)), Ok(vec![7, 8]));
        }

        #[test]
        fn parsing_never_panics(bytes: Vec<u8>) {
            let _ = ids(std::iter::once(bytes));
        }
    }

    #[test]
    fn endless_line_is_refused_at_its_limit() {
        let endless = std::iter::repeat_with(|| vec![b'x'; 4_096]).take(1_000);
        assert!(matches!(ids(endless), Err(CallError::TooLarge { .. })));
        let endless = std::iter::repeat_with(|| b"data: xxxxxxxxxxxxxxxxxxxxxxxx\n".to_vec()).take(100_000);
        assert!(matches!(ids(endless), Err(CallError::TooLarge { .. })));
    }

    #[test]
    fn foreign_event_is_refused() {
        let bytes = b"data: {\"id\":1,\"at\":2,\"kind\":\"free_money\"}\n\n".to_vec();
        assert!(matches!(ids(std::iter::once(bytes)), Err(CallError::Misshapen { .. })));
    }
}
