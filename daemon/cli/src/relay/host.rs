//! `relay …` for whoever runs a relay on this machine: run it, print its address and its counters.

use std::{io::Write as _, sync::Arc};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use crate::{
    Exit, Failure,
    context::{Context, absolute},
    output::{Report, pairs},
};
use autonomy_daemon::{
    relay::metrics::Snapshot,
    relay_service::{self, RelayEvent, ServiceError},
};

/// Longest answer read from the relay's socket, bytes: the counters take two kilobytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// Prints the address of the relay in this folder. Its keys are made if there are none yet.
///
/// # Errors
/// The keys cannot be read or made.
pub(super) fn place(context: &Context) -> Result<Report, Failure> {
    let place = relay_service::address(&absolute(&context.config.relay_dir()))?.to_string();
    Ok(Report::new(&json!({ "place": place }), place.clone()).with_qr(place))
}

/// Prints the counters of the relay that runs in this folder.
///
/// Anyone who can read the socket's folder may ask: the counters name nobody.
///
/// # Errors
/// No relay runs there, or its answer is not understood.
pub(super) async fn metrics(context: &Context) -> Result<Report, Failure> {
    let socket = absolute(&context.config.relay_dir()).join("relay.sock");
    let not_running = |error: std::io::Error| {
        Failure::new(Exit::Unreachable, "not-running", format!("the relay does not run ({error})"))
            .help("start it with `autonomy relay run`, or name its folder with --data-dir")
    };
    let mut stream = UnixStream::connect(&socket).await.map_err(not_running)?;
    let failed = |error: std::io::Error| Failure::other("relay", error);
    stream.write_all(b"GET /v1/relay HTTP/1.0\r\n\r\n").await.map_err(failed)?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer).await.map_err(failed)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    let counted: Snapshot = serde_json::from_str(body)
        .map_err(|error| Failure::other("relay", format!("its answer is not understood: {error}")))?;
    Ok(Report::new(&counted, text(&counted)))
}

/// The counters for people; `--json` has all of them.
fn text(counted: &Snapshot) -> String {
    let number = |name, value: u64| (name, value.to_string());
    let refused: u64 = counted.refused.values().sum();
    pairs([
        number("queues", counted.queues),
        number("frames", counted.frames),
        number("subscribed queues", counted.subscribed),
        number("deposits", counted.deposits),
        number("pushed", counted.pushed),
        number("acknowledged", counted.acked),
        number("expired", counted.expired_frames),
        number("refused", refused),
        ("file", format!("{} MB", counted.file_bytes / 1_000_000)),
    ])
}

/// Runs the relay until SIGTERM or SIGINT, with a runtime of its own. Events are printed as lines.
///
/// # Errors
/// The relay cannot be opened, or fails for good.
pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let json = context.out.json;
    let observer: relay_service::RelayObserver = Arc::new(move |event| {
        notify_service_manager(&event);
        let line = if json { json_of(&event).to_string() } else { sentence(&event) };
        let mut out = std::io::stdout().lock();
        // A relay keeps running when standard output is closed.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    });
    Ok(relay_service::run(&absolute(&context.config.relay_dir()), &context.config, observer)?)
}

/// Reports readiness and status to systemd; does nothing elsewhere. The address is left out, since
/// the status ends up in a log.
fn notify_service_manager(event: &RelayEvent) {
    use sd_notify::NotifyState::{Ready, Status, Stopping};
    let text = sentence(event);
    let state = match event {
        RelayEvent::Place(_) => vec![Ready],
        RelayEvent::Stopping => vec![Stopping, Status(&text)],
        _ => vec![Status(&text)],
    };
    let _ = sd_notify::notify(false, &state);
}

/// An event as a sentence for people.
fn sentence(event: &RelayEvent) -> String {
    match event {
        RelayEvent::Place(place) => format!("relay address: {place}"),
        RelayEvent::Bootstrap(percent) => format!("starting Tor: {percent} %"),
        RelayEvent::Service(state) => format!("the relay's onion service is {state}"),
        RelayEvent::Warning(warning) => format!("warning: {warning}"),
        RelayEvent::Stopping => "the relay is stopping".to_owned(),
    }
}

/// An event as JSON.
fn json_of(event: &RelayEvent) -> Value {
    match event {
        RelayEvent::Place(place) => json!({ "event": "place", "place": place }),
        RelayEvent::Bootstrap(percent) => json!({ "event": "bootstrap", "percent": percent }),
        RelayEvent::Service(state) => json!({ "event": "service", "state": state }),
        RelayEvent::Warning(warning) => json!({ "event": "warning", "text": warning }),
        RelayEvent::Stopping => json!({ "event": "stopping" }),
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Config(_) => Self::usage(error),
            _ => Self::other("relay", error),
        }
    }
}
