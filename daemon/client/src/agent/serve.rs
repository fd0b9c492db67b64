//! The proxy: a request at the socket is passed to the pod, and the answer streams back.
//!
//! Only a few headers pass in each direction, so that nothing of the command's HTTP client reaches
//! the pod. Answers of the agent itself carry a mark that a pod cannot set.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Query, Request, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use tokio::sync::{Notify, watch};
use zeroize::Zeroizing;

use super::{
    acceptor::Acceptor,
    activity::Activity,
    kept::{Kept, MAX_KEPT},
    status::{AgentStatus, Phase, Progress},
};
use crate::{
    Transport,
    call::{FROM_AGENT, LOST, NOT_ADMITTED, UNREACHABLE, WRONG_POD},
    transport::Trouble,
};
use autonomy_api::{MAX_PARCEL_BODY, MAX_SIGNED_BODY, Problem};

/// Largest request that is passed on: a parcel of messages, 16.7 MB. An approval with its PSBT has
/// at most 6 MiB.
const MAX_REQUEST: usize = MAX_PARCEL_BODY;
const _: () = assert!(MAX_SIGNED_BODY <= MAX_REQUEST);

/// Headers passed on to the pod; all others concern this socket only.
const TO_POD: [HeaderName; 4] = [
    header::ACCEPT,
    header::CONTENT_TYPE,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
];

/// Headers passed back; those of the connection are made anew. The agent's mark ([`FROM_AGENT`]) is
/// not among them, so a pod cannot pretend to be the agent.
const FROM_POD: [HeaderName; 3] = [header::CONTENT_TYPE, header::CACHE_CONTROL, header::CONTENT_LENGTH];

/// Time that a failed agent keeps running, so that the command that started it can read the reason.
const FAILURE_GRACE: Duration = Duration::from_secs(3);

/// Time for answers under way when the agent ends.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// The connection to the pod as its task reports it: progress, and the transport once there is one.
#[derive(Debug, Clone)]
pub struct Link {
    /// How far the connection is.
    pub progress: Progress,
    /// Present once [`Phase::Ready`].
    pub transport: Option<Transport>,
}

impl Link {
    /// A link before anything was done.
    #[must_use]
    pub fn begin() -> Self {
        Self { progress: Progress::begin(), transport: None }
    }

    /// A link that is connected.
    #[must_use]
    pub fn ready(transport: Transport) -> Self {
        let progress = Progress { phase: Phase::Ready, percent: 100, text: "ready".to_owned() };
        Self { progress, transport: Some(transport) }
    }

    /// A link that cannot be connected, with the reason for people.
    #[must_use]
    pub fn failed(why: String) -> Self {
        Self { progress: Progress { phase: Phase::Failed, percent: 0, text: why }, transport: None }
    }
}

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    /// Names the setup, so that a command can tell an outdated agent.
    fingerprint: Arc<str>,
    /// The connection to the pod.
    link: watch::Receiver<Link>,
    /// Keeps the agent running while requests are under way.
    activity: Activity,
    /// Notified by `POST /agent/stop`.
    stop: Arc<Notify>,
    /// The passphrase, where it is held.
    kept: Kept,
}

/// Serves until it is asked to stop, until nothing was requested for `idle`, or until the link has
/// failed.
///
/// # Errors
/// The socket failed.
pub async fn serve(
    acceptor: Acceptor,
    fingerprint: String,
    idle: Duration,
    link: watch::Receiver<Link>,
) -> std::io::Result<()> {
    let (activity, stop) = (Activity::default(), Arc::new(Notify::new()));
    let shared = Shared {
        fingerprint: fingerprint.into(),
        link: link.clone(),
        activity: activity.clone(),
        stop: stop.clone(),
        kept: Kept::default(),
    };
    let router = Router::new()
        .route("/agent/status", get(status))
        .route("/agent/stop", post(stop_agent))
        .route("/agent/passphrase", get(give_passphrase).put(hold_passphrase))
        .fallback(proxy)
        .with_state(shared);
    let end = Arc::new(Notify::new());
    let ended = end.clone();
    let server = axum::serve(acceptor, router).with_graceful_shutdown(async move { ended.notified().await });
    let server = IntoFuture::into_future(server);
    tokio::pin!(server);
    tokio::select! {
        done = &mut server => return done,
        () = stop.notified() => tracing::info!("stopped by a command"),
        () = activity.idle_for(idle) => tracing::info!("stopping after a time without requests"),
        () = failure_grace(link) => {}
    }
    end.notify_one();
    // An event stream never ends by itself, so it is cut off after the grace time.
    tokio::time::timeout(SHUTDOWN_GRACE, server).await.unwrap_or(Ok(()))
}

/// Returns [`FAILURE_GRACE`] after the link has failed; never, where it does not fail.
async fn failure_grace(mut link: watch::Receiver<Link>) {
    if link.wait_for(|link| link.progress.phase == Phase::Failed).await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(FAILURE_GRACE).await;
}

/// `GET /agent/status`. It does not count as a request to the pod.
async fn status(State(shared): State<Shared>) -> Json<AgentStatus> {
    let Progress { phase, percent, text } = shared.link.borrow().progress.clone();
    let setup = shared.fingerprint.to_string();
    Json(AgentStatus { setup, phase, bootstrap_percent: percent, text, pid: std::process::id() })
}

/// `POST /agent/stop`.
async fn stop_agent(State(shared): State<Shared>) -> StatusCode {
    shared.stop.notify_one();
    StatusCode::NO_CONTENT
}

/// `GET /agent/passphrase`: what is held, or 404.
async fn give_passphrase(State(shared): State<Shared>) -> Response {
    match shared.kept.give() {
        Some(bytes) => bytes.to_vec().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// How long a passphrase is held.
#[derive(serde::Deserialize)]
struct HoldFor {
    seconds: u64,
}

/// `PUT /agent/passphrase?seconds=N`.
async fn hold_passphrase(
    State(shared): State<Shared>,
    Query(HoldFor { seconds }): Query<HoldFor>,
    body: Bytes,
) -> StatusCode {
    if body.is_empty() || body.len() > MAX_KEPT {
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    shared.kept.hold(Zeroizing::new(body.to_vec()), seconds);
    StatusCode::NO_CONTENT
}

/// Any other request: passed on once the link is ready. The agent counts as busy until the last
/// byte of the answer was read.
async fn proxy(State(shared): State<Shared>, request: Request) -> Response {
    let busy = shared.activity.begin();
    let request = match for_pod(request).await {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    let transport = match ready(shared.link).await {
        Ok(transport) => transport,
        Err(why) => return no_answer(Trouble::NoConnection, why),
    };
    match transport.send(request).await {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            // The guard lives as long as the body streams.
            let body = body.map_frame(move |frame| {
                let _ = &busy;
                frame
            });
            let mut response = Response::new(Body::new(body));
            *response.status_mut() = parts.status;
            copy(&FROM_POD, &parts.headers, response.headers_mut());
            response
        }
        Err(error) => no_answer(error.trouble, error.reason),
    }
}

/// The request as the pod gets it: method, path, a few headers, and the whole body.
///
/// # Errors
/// The agent's own answer to a request that is too large or breaks off.
async fn for_pod(request: Request) -> Result<http::Request<Full<Bytes>>, Response> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_REQUEST).collect().await.map_err(|_| {
        let detail = format!("the request has more than {MAX_REQUEST} bytes, or broke off");
        problem("request-too-large", "Too large", StatusCode::PAYLOAD_TOO_LARGE, detail)
    })?;
    let mut outgoing = http::Request::new(Full::new(body.to_bytes()));
    *outgoing.method_mut() = parts.method;
    *outgoing.uri_mut() = parts.uri;
    copy(&TO_POD, &parts.headers, outgoing.headers_mut());
    Ok(outgoing)
}

/// Waits until the link is ready.
///
/// # Errors
/// The reason why it never will be.
async fn ready(mut link: watch::Receiver<Link>) -> Result<Transport, String> {
    let link = link.wait_for(|link| link.progress.phase != Phase::Starting).await;
    match link {
        Ok(link) => link.transport.clone().ok_or_else(|| link.progress.text.clone()),
        Err(_) => Err("the agent is ending".to_owned()),
    }
}

/// Copies the named headers.
fn copy(names: &[HeaderName], from: &http::HeaderMap, to: &mut http::HeaderMap) {
    for name in names {
        if let Some(value) = from.get(name) {
            to.insert(name.clone(), value.clone());
        }
    }
}

/// The agent's own answer where the pod gave none. Its kind tells a command whether the request may
/// have been carried out.
fn no_answer(trouble: Trouble, why: String) -> Response {
    let (kind, title, status) = match trouble {
        Trouble::NoConnection => (UNREACHABLE, "Pod not reachable", StatusCode::SERVICE_UNAVAILABLE),
        Trouble::Lost => (LOST, "Connection lost", StatusCode::BAD_GATEWAY),
        Trouble::NotAdmitted => (NOT_ADMITTED, "Not admitted", StatusCode::FORBIDDEN),
        Trouble::WrongPod => (WRONG_POD, "Wrong pod", StatusCode::BAD_GATEWAY),
    };
    problem(kind, title, status, why)
}

/// An answer of the agent itself, marked as such.
fn problem(kind: &str, title: &str, status: StatusCode, detail: String) -> Response {
    let headers = [
        (HeaderName::from_static(FROM_AGENT), HeaderValue::from_static("1")),
        (header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json")),
    ];
    let problem = Problem::new(status.as_u16(), kind, title, detail);
    (status, headers, serde_json::to_vec(&problem).unwrap_or_default()).into_response()
}
