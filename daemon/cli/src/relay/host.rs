//! `relay …` on the machine of a relay: run it, ask where it is and what it counted.

use std::{io::Write as _, sync::Arc};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use crate::{
    Exit, Failure,
    context::{Context, absolute},
    output::{Answer, pairs},
};
use autonomy_daemon::{
    relay::metrics::Snapshot,
    relay_service::{self, RelayEvent, ServiceError},
};

/// Longest answer of the relay's socket: the counters are two kilobytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// Where the relay of this folder is.
pub(super) fn place(context: &Context) -> Result<Answer, Failure> {
    let place = relay_service::address(&absolute(&context.config.relay_dir()))?.to_string();
    Ok(Answer::new(&json!({ "place": place }), place.clone()).with_qr(place))
}

/// What the relay that runs in this folder has counted.
pub(super) async fn metrics(context: &Context) -> Result<Answer, Failure> {
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
        .map_err(|error| Failure::other("relay", format!("its answer is none: {error}")))?;
    Ok(Answer::new(&counted, text(&counted)))
}

fn text(counted: &Snapshot) -> String {
    let number = |name, value: u64| (name, value.to_string());
    let refused: u64 = counted.refused.values().sum();
    pairs([
        number("queues", counted.queues),
        number("frames", counted.frames),
        number("listened to", counted.subscribed),
        number("deposits", counted.deposits),
        number("pushed", counted.pushed),
        number("acknowledged", counted.acked),
        number("expired", counted.expired_frames),
        number("refused", refused),
        ("file", format!("{} MB", counted.file_bytes / 1_000_000)),
    ])
}

/// Runs the relay until it is told to end. It makes its own runtime.
pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let json = context.out.json;
    let told: relay_service::Told = Arc::new(move |event| {
        tell_service_manager(&event);
        let line = if json { json_of(&event).to_string() } else { sentence(&event) };
        let mut out = std::io::stdout().lock();
        // A relay runs on when nobody listens.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    });
    Ok(relay_service::run(&absolute(&context.config.relay_dir()), &context.config, told)?)
}

/// systemd's readiness protocol; does nothing elsewhere. Without the address: it would end in a log.
fn tell_service_manager(event: &RelayEvent) {
    use sd_notify::NotifyState::{Ready, Status, Stopping};
    let text = sentence(event);
    let state = match event {
        RelayEvent::Place(_) => vec![Ready],
        RelayEvent::Stopping => vec![Stopping, Status(&text)],
        _ => vec![Status(&text)],
    };
    let _ = sd_notify::notify(false, &state);
}

fn sentence(event: &RelayEvent) -> String {
    match event {
        RelayEvent::Place(place) => format!("this relay is {place}"),
        RelayEvent::Bootstrap(percent) => format!("starting Tor: {percent} %"),
        RelayEvent::Service(state) => format!("the relay's onion is {state}"),
        RelayEvent::Warning(warning) => format!("warning: {warning}"),
        RelayEvent::Stopping => "the relay ends".to_owned(),
    }
}

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
