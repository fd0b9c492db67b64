//! `autonomy probe`: what a connection to a pod costs, and how the pod refuses strangers.
//!
//! A diagnosis with a Tor client of its own in a temporary folder: no circuit is warm, and a
//! stranger has nothing of this device but the addresses. It tells kinds of refusal apart, which
//! everyday commands need not.

use std::{future::Future, path::Path, time::Duration};

use autonomy_onion::{
    CircuitRole, DescriptorSecret, DialError, DialErrorKind, DialPolicy, OnionAddress, Tor,
    https::{HttpsClient, HttpsError, Server, TlsIdentity},
};
use http::Request;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use rand_core::{OsRng, RngCore as _};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, timeout},
};
use zeroize::Zeroizing;

use super::{
    Exit, Failure,
    args::{Probe, ProbeAs},
    context::Context,
    output::{Report, pairs},
};
use autonomy_api::APP_PORT;
use autonomy_daemon::pod::ECHO_PORT;

/// Bytes of one echo: two relay cells, each of which carries at most 498 bytes.
const ECHO_LEN: usize = 512;
/// Largest status that is read, bytes; a real one has about a kilobyte.
const MAX_STATUS: usize = 64 * 1024;
/// Time for the body of an answer, or for an echo, to arrive.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Times in seconds, in the order in which they were measured.
///
/// The names of the fields are part of the interface: `--json` prints them.
#[derive(Debug, Default, Serialize)]
struct Figures {
    /// From nothing to a Tor client that can dial.
    bootstrap_seconds: f64,
    /// Each from the dial over new circuits to the last byte of the first answer.
    cold_seconds: Vec<f64>,
    /// Cold connections that failed after one had succeeded.
    cold_failed: u32,
    /// Each from a request on an open connection to the last byte of its answer.
    warm_seconds: Vec<f64>,
    /// Each a round trip of [`ECHO_LEN`] bytes on one stream.
    echo_seconds: Vec<f64>,
    /// From the first byte sent on one stream until the last came back, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_seconds: Option<f64>,
}

/// Whom to connect to, and as whom.
///
/// A stranger given on the command line by address and key needs no profile, so that a probe can
/// run on a machine that has never seen the pod.
struct Plan {
    /// The app service and the key it must have.
    server: Server,
    /// The seed of the client certificate.
    tls_seed: Zeroizing<[u8; 32]>,
    /// The key that finds the app service; a stranger has none.
    descriptor: Option<DescriptorSecret>,
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// The connection or the pod's TLS.
    #[error(transparent)]
    Https(#[from] HttpsError),
    /// The echo's own dial.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The pod answered with an error, so the connection itself works.
    #[error("the pod answered with status {0}")]
    Status(http::StatusCode),
    /// The echo stopped in the middle.
    #[error("the echo on port {ECHO_PORT} broke off: {0}")]
    Echo(String),
}

/// Measures as the flags say, or reports how the pod refused. Tor keeps its state in `folder`.
///
/// A refusal is an expected result of a probe as a stranger: its exit status is 4, and its kind
/// says which of the pod's checks refused.
///
/// # Errors
/// The flags cannot be used, Tor does not start, or the pod refused.
pub(super) async fn probe(context: &Context, wish: &Probe, folder: &Path) -> Result<Report, Failure> {
    let plan = plan(context, wish).await?;
    let config = context.config.tor(folder).map_err(|error| Failure::usage(error.to_string()))?;
    let mut figures = Figures::default();
    let start = Instant::now();
    let start_tor = Box::pin(Tor::bootstrap(config, |_| {}));
    let started = context.spinner.during("starting Tor", start_tor).await;
    let tor = match started {
        Ok(tor) => tor,
        Err(error) => return Err(refused(context, "tor", &error, start.elapsed(), None)),
    };
    figures.bootstrap_seconds = start.elapsed().as_secs_f64();
    let client = plan.client(&tor)?;
    let start = Instant::now();
    let measured = Box::pin(measure(&tor, &client, &plan.server.onion, wish, &mut figures));
    match context.spinner.during("calling the pod", measured).await {
        Ok(()) => Ok(figures.answer()),
        Err((error, seconds)) => {
            let seconds = seconds.unwrap_or_else(|| start.elapsed());
            Err(refused(context, error.kind(), &error, seconds, Some(&figures)))
        }
    }
}

/// Fills what the flags leave open from the profile. A stranger with both flags needs no profile.
async fn plan(context: &Context, wish: &Probe) -> Result<Plan, Failure> {
    let mut fresh = Zeroizing::new([0; 32]);
    OsRng.fill_bytes(fresh.as_mut_slice());
    if let (ProbeAs::Stranger, Some(onion), Some(key)) = (wish.identity, wish.onion, wish.pod_key) {
        let server = Server { onion, port: APP_PORT, key };
        return Ok(Plan { server, tls_seed: fresh, descriptor: None });
    }
    let setup = context.profile().await?.setup(&context.link_settings())?;
    let descriptor = Some(DescriptorSecret::from_bytes(setup.descriptor_secret));
    let (tls_seed, descriptor) = match wish.identity {
        ProbeAs::Profile => (Zeroizing::new(setup.device_seed), descriptor),
        ProbeAs::Foreign => (fresh, descriptor),
        ProbeAs::Stranger => (fresh, None),
    };
    let server = Server {
        onion: wish.onion.unwrap_or_else(|| OnionAddress::from_public_key(setup.app_onion)),
        port: APP_PORT,
        key: wish.pod_key.unwrap_or(setup.pod_key),
    };
    Ok(Plan { server, tls_seed, descriptor })
}

impl Plan {
    /// The HTTPS client for this plan, with its descriptor key where it has one.
    fn client(&self, tor: &Tor) -> Result<HttpsClient, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::other("tor", error);
        if let Some(secret) = &self.descriptor {
            tor.add_discovery_key(&self.server.onion, secret).map_err(|error| failed(&error))?;
        }
        let identity = TlsIdentity::from_seed(&self.tls_seed).map_err(|error| failed(&error))?;
        HttpsClient::new(tor, self.server, &identity, DialPolicy::new(CircuitRole::APP))
            .map_err(|error| failed(&error))
    }
}

/// An error, and the time spent on the failed part where only that counts.
type Failed = (Refused, Option<Duration>);

/// The measurements in their order: cold, warm, echo. A cold connection that fails after one
/// succeeded is counted and not fatal, since a network loses some.
async fn measure(
    tor: &Tor,
    client: &HttpsClient,
    onion: &OnionAddress,
    wish: &Probe,
    figures: &mut Figures,
) -> Result<(), Failed> {
    for _ in 0..wish.count {
        // The first connection has nothing to give up; all others dial over new circuits.
        client.reconnect();
        match timed(status(client)).await {
            Ok(seconds) => figures.cold_seconds.push(seconds),
            // A network loses some; the first call alone says whether this identity is admitted.
            Err((error, _)) if !figures.cold_seconds.is_empty() && error.may_pass() => {
                figures.cold_failed += 1
            }
            Err((error, spent)) => return Err((error, Some(spent))),
        }
    }
    if wish.warm > 0 {
        // If the last cold call failed, there is no connection to be warm.
        status(client).await.map_err(|error| (error, None))?;
    }
    for _ in 0..wish.warm {
        let seconds = timed(status(client)).await.map_err(|(error, spent)| (error, Some(spent)))?;
        figures.warm_seconds.push(seconds);
    }
    if wish.echo > 0 {
        echoes(tor, onion, wish.echo, &mut figures.echo_seconds).await.map_err(|error| (error, None))?;
    }
    if wish.stream > 0 {
        let through = through_one_stream(tor, onion, wish.stream).await;
        figures.stream_seconds = Some(through.map_err(|error| (error, None))?);
    }
    Ok(())
}

/// Seconds that so many bytes take through one stream and back, both ways at once: what a Tor stream carries.
async fn through_one_stream(tor: &Tor, onion: &OnionAddress, bytes: u64) -> Result<f64, Refused> {
    let stream = tor.connect(onion, ECHO_PORT, &DialPolicy::new(CircuitRole::APP)).await?;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let start = Instant::now();
    let send = async {
        tokio::io::copy(&mut tokio::io::repeat(7).take(bytes), &mut writer).await?;
        writer.flush().await
    };
    let mut back = (&mut reader).take(bytes);
    let mut away = tokio::io::sink();
    let read = tokio::io::copy(&mut back, &mut away);
    let (_, heard) = tokio::try_join!(send, read).map_err(|error| Refused::Echo(error.to_string()))?;
    if heard != bytes {
        return Err(Refused::Echo(format!("{heard} of {bytes} bytes came back")));
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds that the work took, also where it failed.
async fn timed(work: impl Future<Output = Result<(), Refused>>) -> Result<f64, (Refused, Duration)> {
    let start = Instant::now();
    match work.await {
        Ok(()) => Ok(start.elapsed().as_secs_f64()),
        Err(error) => Err((error, start.elapsed())),
    }
}

/// Requests the status and reads its body to the end.
async fn status(client: &HttpsClient) -> Result<(), Refused> {
    let request = Request::get("/v1/status").body(Full::<Bytes>::default());
    let request = request.map_err(|error| HttpsError::Request(error.to_string()))?;
    let answer = client.send(request).await?;
    if !answer.status().is_success() {
        return Err(Refused::Status(answer.status()));
    }
    let body = timeout(ANSWER_LIMIT, Limited::new(answer.into_body(), MAX_STATUS).collect()).await;
    body.map_err(|_| HttpsError::TimedOut(ANSWER_LIMIT))?
        .map_err(|error| HttpsError::classify(error.as_ref()))?;
    Ok(())
}

/// Round trips on one stream, over the circuit of the HTTPS connection before it.
async fn echoes(tor: &Tor, onion: &OnionAddress, count: u32, seconds: &mut Vec<f64>) -> Result<(), Refused> {
    let mut stream = tor.connect(onion, ECHO_PORT, &DialPolicy::new(CircuitRole::APP)).await?;
    let (sent, mut heard) = ([7; ECHO_LEN], [0; ECHO_LEN]);
    for _ in 0..count {
        let start = Instant::now();
        let round = async {
            stream.write_all(&sent).await?;
            stream.flush().await?;
            stream.read_exact(&mut heard).await
        };
        let round = timeout(ANSWER_LIMIT, round).await;
        round
            .map_err(|_| Refused::Echo("no answer".to_owned()))?
            .map_err(|error| Refused::Echo(error.to_string()))?;
        if heard != sent {
            return Err(Refused::Echo("it answers with something else".to_owned()));
        }
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(())
}

impl Refused {
    /// A stable identifier for scripts.
    ///
    /// `descriptor-key` means that restricted discovery refused, `certificate` that TLS did.
    fn kind(&self) -> &'static str {
        match self {
            Self::Dial(error) | Self::Https(HttpsError::Dial(error)) => match error.kind {
                DialErrorKind::KeyRequired | DialErrorKind::KeyWrong => "descriptor-key",
                DialErrorKind::NotFound => "not-found",
                DialErrorKind::Refused => "port-closed",
                DialErrorKind::Unreachable => "unreachable",
                DialErrorKind::TimedOut => "timeout",
                DialErrorKind::TorNotReady => "tor",
            },
            Self::Https(HttpsError::CertificateRefused) => "certificate",
            Self::Https(HttpsError::WrongServer) => "wrong-pod",
            Self::Https(HttpsError::Handshake(_)) => "tls",
            Self::Https(HttpsError::Lost(_)) => "lost",
            Self::Https(HttpsError::TimedOut(_)) => "timeout",
            Self::Https(HttpsError::Request(_)) => "request",
            Self::Status(_) => "status",
            Self::Echo(_) => "echo",
        }
    }

    /// Whether the same attempt may succeed later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Https(error) => error.retry_after().is_some(),
            Self::Dial(error) => error.retry_after().is_some(),
            Self::Status(_) | Self::Echo(_) => false,
        }
    }
}

/// The failure of a refused probe. With `--json` the refusal and its time are a result on standard
/// output too, since they are what was measured.
fn refused(
    context: &Context,
    kind: &'static str,
    error: &dyn std::error::Error,
    spent: Duration,
    figures: Option<&Figures>,
) -> Failure {
    let (detail, seconds) = (error.to_string(), spent.as_secs_f64());
    let mut said = json!({ "ok": false, "refused": kind, "detail": detail, "seconds": seconds });
    if let Some(figures) = figures {
        said["bootstrap_seconds"] = figures.bootstrap_seconds.into();
    }
    if context.out.json
        && let Err(error) = context.out.answer(&Report::new(&said, ""))
    {
        return Failure::other("output", format!("cannot write the answer: {error}"));
    }
    Failure::new(Exit::Unreachable, kind, format!("refused ({kind}) after {seconds:.1} s: {detail}"))
}

impl Figures {
    /// All measured times.
    fn json(&self) -> Value {
        let mut said = json!(self);
        said["ok"] = true.into();
        said
    }

    /// The times as a table and as JSON.
    fn answer(&self) -> Report {
        let failed = if self.cold_failed == 0 { String::new() } else { self.cold_failed.to_string() };
        let text = pairs([
            ("Tor started", format!("{:.1} s", self.bootstrap_seconds)),
            ("cold to first answer", spread(&self.cold_seconds)),
            ("cold, failed", failed),
            ("warm round trip", spread(&self.warm_seconds)),
            ("echo round trip", spread(&self.echo_seconds)),
            ("one stream, and back", spread(&self.stream_seconds.into_iter().collect::<Vec<_>>())),
        ]);
        Report::new(&self.json(), text)
    }
}

/// Median, 95th percentile and worst time by nearest rank; empty for an empty list.
fn spread(seconds: &[f64]) -> String {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = |percent: usize| (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    let at = |percent| sorted.get(rank(percent)).copied().unwrap_or_default();
    match sorted.len() {
        0 => String::new(),
        1 => format!("{:.3} s", at(100)),
        count => format!("p50 {:.3} s, p95 {:.3} s, worst {:.3} s ({count} times)", at(50), at(95), at(100)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_uses_nearest_rank() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(spread(&hundred), "p50 50.000 s, p95 95.000 s, worst 100.000 s (100 times)");
        assert_eq!(spread(&[2.0, 1.0]), "p50 1.000 s, p95 2.000 s, worst 2.000 s (2 times)");
        assert_eq!((spread(&[0.25]).as_str(), spread(&[]).as_str()), ("0.250 s", ""));
    }

    #[test]
    fn json_of_figures_is_flat_and_has_ok() {
        let figures = Figures { bootstrap_seconds: 1.5, cold_seconds: vec![2.0], ..Figures::default() };
        let expected = json!({
            "ok": true, "bootstrap_seconds": 1.5, "cold_seconds": [2.0], "cold_failed": 0,
            "warm_seconds": [], "echo_seconds": [],
        });
        assert_eq!(figures.json(), expected);
    }

    #[test]
    fn refusals_by_descriptor_and_certificate_have_own_kinds() {
        let dial = |kind| DialError {
            kind,
            to: OnionAddress::from_public_key([1; 32]),
            port: APP_PORT,
            detail: String::new(),
            attempts: 1,
            elapsed: Duration::ZERO,
        };
        let stranger = Refused::from(HttpsError::Dial(dial(DialErrorKind::KeyRequired)));
        let foreign = Refused::from(HttpsError::CertificateRefused);
        assert_eq!((stranger.kind(), foreign.kind()), ("descriptor-key", "certificate"));
        assert!(!stranger.may_pass() && !foreign.may_pass());
        assert!(Refused::from(dial(DialErrorKind::TimedOut)).may_pass());
    }
}
