//! One request and its answer, with every bound that an answer from outside needs: time, size, shape.

use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use rand_core::{OsRng, RngCore};
use serde::{Serialize, de::DeserializeOwned};

use super::transport::{SendError, Transport, Trouble};
use autonomy_api::{Problem, from_json};

/// Time for one request and its whole answer. A cold onion circuit takes up to 30 s by itself.
pub const CALL_LIMIT: Duration = Duration::from_secs(90);

/// How often a request is sent when the connection breaks under it: once, and twice more.
const ATTEMPTS: u32 = 3;

/// Pause before it is sent again.
const PAUSE: Duration = Duration::from_millis(300);

/// Largest problem document read: a title and a sentence or two.
const MAX_PROBLEM: usize = 16 * 1024;

/// Longest text of a pod that reaches a person.
const MAX_SHOWN: usize = 2_000;

/// What most bodies are.
const JSON: &str = "application/json";

/// The header of an agent's own answers, which no pod can send through it.
pub(crate) const FROM_AGENT: &str = "autonomy-agent";

/// The problem kinds by which an agent says why it got no answer. They count from an agent only: a pod that calls
/// itself unreachable would have this device believe that nothing was done. [`NOT_ADMITTED`] a pod says too, to a
/// device that was revoked while its connection was open.
pub(crate) const UNREACHABLE: &str = "pod-unreachable";
pub(crate) const LOST: &str = "connection-lost";
pub(crate) const NOT_ADMITTED: &str = "not-admitted";
pub(crate) const WRONG_POD: &str = "wrong-pod";

/// One request, before it is sent.
///
/// What changes something carries an `Idempotency-Key` that stays the same when the request is sent again, so that a
/// request whose answer got lost is carried out once. The answer is bounded by `max_answer` bytes and by [`CALL_LIMIT`].
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    body: Bytes,
    content_type: &'static str,
    idempotency_key: Option<String>,
    max_answer: usize,
}

impl Call {
    pub(crate) fn get(path: impl Into<String>, max_answer: usize) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: Bytes::new(),
            content_type: JSON,
            idempotency_key: None,
            max_answer,
        }
    }

    pub(crate) fn delete(path: impl Into<String>, max_answer: usize) -> Self {
        Self { method: Method::DELETE, idempotency_key: Some(fresh_key()), ..Self::get(path, max_answer) }
    }

    /// A POST with a JSON body; our own types always serialise.
    pub(crate) fn post(path: impl Into<String>, body: &impl Serialize, max_answer: usize) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_default().into();
        Self { method: Method::POST, body, ..Self::delete(path, max_answer) }
    }

    /// A PUT with a JSON body.
    pub(crate) fn put(path: impl Into<String>, body: &impl Serialize, max_answer: usize) -> Self {
        Self { method: Method::PUT, ..Self::post(path, body, max_answer) }
    }

    /// A PATCH with a JSON body.
    pub(crate) fn patch(path: impl Into<String>, body: &impl Serialize, max_answer: usize) -> Self {
        Self { method: Method::PATCH, ..Self::post(path, body, max_answer) }
    }

    /// A PUT of bytes as they are.
    pub(crate) fn put_bytes(path: impl Into<String>, bytes: Bytes, max_answer: usize) -> Self {
        let content_type = "application/octet-stream";
        Self { method: Method::PUT, body: bytes, content_type, ..Self::delete(path, max_answer) }
    }

    /// A POST of bytes as they are.
    pub(crate) fn post_bytes(path: impl Into<String>, bytes: Bytes, max_answer: usize) -> Self {
        Self { method: Method::POST, ..Self::put_bytes(path, bytes, max_answer) }
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, CallError> {
        let mut request = Request::builder().method(self.method.clone()).uri(self.path.as_str());
        request = request.header(header::ACCEPT, "application/json, application/problem+json");
        if let Some(key) = &self.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if !self.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, self.content_type);
        }
        request
            .body(Full::new(self.body.clone()))
            .map_err(|_| CallError::BadRequest { what: format!("{} {}", self.method, self.path) })
    }

    /// Sends it and reads the answer as JSON.
    ///
    /// # Errors
    /// [`CallError::Misshapen`] names the field and the rule that it breaks; nothing of such an answer is used. Otherwise
    /// as [`Call::send_for_bytes`].
    pub(crate) async fn send<T: DeserializeOwned>(&self, transport: &Transport) -> Result<T, CallError> {
        let body = self.send_for_bytes(transport).await?;
        from_json(&body)
            .map_err(|error| CallError::Misshapen { what: self.name(), why: printable(&error.to_string()) })
    }

    /// Sends it, and again with the same key when the connection breaks, then reads the whole answer.
    ///
    /// # Errors
    /// [`CallError`]. A request that changes something and may have been carried out ends as [`CallError::Unanswered`],
    /// never as one that was not sent.
    pub(crate) async fn send_for_bytes(&self, transport: &Transport) -> Result<Bytes, CallError> {
        let answer = tokio::time::timeout(CALL_LIMIT, self.exchange(transport)).await;
        let answer = answer.unwrap_or(Err(CallError::TooSlow { seconds: CALL_LIMIT.as_secs() }));
        answer.map_err(|error| self.in_doubt(error))
    }

    /// What changes something and got no answer may have been done all the same; what only asks changed nothing.
    fn in_doubt(&self, error: CallError) -> CallError {
        match error {
            CallError::Unreachable { never_sent: false, .. } | CallError::TooSlow { .. }
                if self.method != Method::GET =>
            {
                CallError::Unanswered { what: self.name(), why: error.to_string() }
            }
            error => error,
        }
    }

    async fn exchange(&self, transport: &Transport) -> Result<Bytes, CallError> {
        let mut attempt = 1;
        loop {
            let outcome = match transport.send(self.request()?).await {
                Ok(response) => self.read(transport, response).await,
                Err(error) => Err(no_answer(transport, error)),
            };
            match outcome {
                Err(CallError::Unreachable { never_sent: false, .. }) if attempt < ATTEMPTS => attempt += 1,
                // This time nothing was sent; the time before it was.
                Err(CallError::Unreachable { detail, .. }) if attempt > 1 => {
                    return Err(CallError::Unreachable { detail, never_sent: false });
                }
                done => return done,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn read(&self, transport: &Transport, response: Response<Incoming>) -> Result<Bytes, CallError> {
        if !response.status().is_success() {
            return Err(refusal(transport, response, self.name()).await);
        }
        read_capped(response, self.max_answer, &self.name()).await
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// An `Idempotency-Key`: 16 random bytes in hexadecimal.
fn fresh_key() -> String {
    let mut key = [0; 16];
    OsRng.fill_bytes(&mut key);
    data_encoding::HEXLOWER.encode(&key)
}

/// Reads a body of at most `max` bytes.
async fn read_capped(response: Response<Incoming>, max: usize, what: &str) -> Result<Bytes, CallError> {
    match Limited::new(response.into_body(), max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(CallError::TooLarge { what: what.to_owned(), max })
        }
        Err(error) => {
            let detail = format!("the connection broke within the answer: {error}");
            Err(CallError::Unreachable { detail, never_sent: false })
        }
    }
}

/// Turns an answer that is not a success into an error.
pub(crate) async fn refusal(transport: &Transport, response: Response<Incoming>, what: String) -> CallError {
    let status = response.status();
    let by_agent = transport.is_agent() && response.headers().contains_key(FROM_AGENT);
    let body = match read_capped(response, MAX_PROBLEM, &what).await {
        Ok(body) => body,
        Err(error) => return error,
    };
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => refused(problem, status, by_agent),
        Err(_) => CallError::Misshapen { what, why: format!("status {status} without a problem document") },
    }
}

fn refused(problem: Problem, status: StatusCode, by_agent: bool) -> CallError {
    let kind: String = problem.kind.rsplit('/').next().unwrap_or_default().chars().take(64).collect();
    let kind: String = kind.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let detail = printable(&problem.detail);
    match kind.as_str() {
        UNREACHABLE if by_agent => CallError::Unreachable { detail, never_sent: true },
        LOST if by_agent => CallError::Unreachable { detail, never_sent: false },
        WRONG_POD if by_agent => CallError::WrongPod,
        NOT_ADMITTED => CallError::NotAdmitted { detail },
        _ => CallError::Refused { kind, status: status.as_u16(), title: printable(&problem.title), detail },
    }
}

pub(crate) fn no_answer(transport: &Transport, error: SendError) -> CallError {
    let detail = format!("{}: {}", transport.name(), printable(&error.reason));
    match error.trouble {
        Trouble::NoConnection => CallError::Unreachable { detail, never_sent: true },
        Trouble::Lost => CallError::Unreachable { detail, never_sent: false },
        Trouble::NotAdmitted => CallError::NotAdmitted { detail: printable(&error.reason) },
        Trouble::WrongPod => CallError::WrongPod,
    }
}

/// Text from outside, made safe for a terminal: no control characters (an escape sequence could redraw what a
/// person is about to approve), no characters that reorder text, no more than a screen of it.
#[must_use]
pub fn printable(text: &str) -> String {
    harmless(text).chars().take(MAX_SHOWN).collect::<String>().trim().to_owned()
}

/// The same for one line of a text that a person wants to read whole.
#[must_use]
pub fn harmless(text: &str) -> String {
    let reorders = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || reorders(c) { ' ' } else { c }).collect()
}

/// Why a call to the pod failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection, or it broke.
    #[error("the pod is not reachable: {detail}")]
    Unreachable {
        /// By which way, and why.
        detail: String,
        /// The request was never sent, so nothing was done by it.
        never_sent: bool,
    },
    /// The pod does not know this device, or no longer.
    #[error("the pod does not admit this device: {detail}")]
    NotAdmitted {
        /// What was said.
        detail: String,
    },
    /// Somebody else answers at the pod's address.
    #[error("whoever answers at the pod's address does not have the pod's key; nothing was sent there")]
    WrongPod,
    /// No whole answer in time to a question that changes nothing.
    #[error("the pod did not answer within {seconds} s")]
    TooSlow {
        /// The limit.
        seconds: u64,
    },
    /// No whole answer to a request that changes something: the pod may have acted on it, or may still.
    #[error("no answer came to {what}, and the pod may have acted on it: {why}")]
    Unanswered {
        /// The route.
        what: String,
        /// What kept the answer away.
        why: String,
    },
    /// More bytes than this route ever needs.
    #[error("the pod's answer to {what} is longer than {max} bytes; nothing of it was used")]
    TooLarge {
        /// The route.
        what: String,
        /// The limit.
        max: usize,
    },
    /// Not the JSON that this route gives, or a field of it breaks its rule.
    #[error("the pod's answer to {what} is not understood: {why}")]
    Misshapen {
        /// The route.
        what: String,
        /// The field and its rule, or what the parser says.
        why: String,
    },
    /// A request that cannot be written down as HTTP.
    #[error("{what} cannot be asked for")]
    BadRequest {
        /// The route.
        what: String,
    },
    /// The pod said no.
    #[error("{title}: {detail}")]
    Refused {
        /// Last part of the problem type, stable.
        kind: String,
        /// HTTP status.
        status: u16,
        /// The kind in words.
        title: String,
        /// What is wrong here.
        detail: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pod_text_cannot_control_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\r\nc"), "a [2Jb  c");
        assert_eq!(printable("pay \u{202e}elim"), "pay  elim");
        assert_eq!(printable(&"x".repeat(10_000)).len(), MAX_SHOWN);
    }

    #[test]
    fn each_call_keeps_its_own_idempotency_key() {
        let call = Call::delete("/v1/payments/1", 10);
        let key = |call: &Call| call.request().unwrap().headers()["idempotency-key"].clone();
        assert_eq!(key(&call), key(&call));
        assert_ne!(key(&call), key(&Call::delete("/v1/payments/1", 10)));
        assert!(Call::get("/v1/status", 10).request().unwrap().headers().get("idempotency-key").is_none());
    }

    #[test]
    fn kind_of_a_problem_is_a_plain_word() {
        let problem = Problem {
            kind: "https://autonomy.invalid/problems/gap-limit\x1b[1m".into(),
            title: "Gap limit".into(),
            status: 409,
            detail: "too many".into(),
        };
        let error = refused(problem, StatusCode::CONFLICT, false);
        assert!(matches!(error, CallError::Refused { kind, .. } if kind == "gap-limit1m"));
    }

    #[test]
    fn only_the_agent_can_report_unreachable() {
        let said = |kind: &str, by_agent| {
            let problem = Problem::new(503, kind, "No", "no");
            refused(problem, StatusCode::SERVICE_UNAVAILABLE, by_agent)
        };
        assert!(matches!(said(UNREACHABLE, true), CallError::Unreachable { never_sent: true, .. }));
        assert!(matches!(said(LOST, true), CallError::Unreachable { never_sent: false, .. }));
        assert_eq!(said(WRONG_POD, true), CallError::WrongPod);
        for kind in [UNREACHABLE, LOST, WRONG_POD] {
            assert!(matches!(said(kind, false), CallError::Refused { status: 503, .. }), "{kind}");
        }
        assert!(matches!(said(NOT_ADMITTED, false), CallError::NotAdmitted { .. }));
    }
}
