//! A network that falls silent. This test program breaks its network, so it has one of its own.
#![allow(clippy::expect_used, reason = "a test that cannot go on should stop")]

use std::{sync::Arc, time::Duration};

use autonomy_onion::{
    BootstrapError, CircuitRole, DialErrorKind, DialPolicy, OnionKey, OnionService, OnionStream,
    PrivateNetwork, ServiceAccess, ServiceConfig, Tor, TorConfig, TorNetwork,
    https::{HttpsClient, HttpsError, OnionTlsListener, Server, TlsIdentity},
};
use axum::{Router, routing::get};
use http_body_util::Full;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep, timeout},
};

const ECHO: u16 = 7;
const COMES_BACK_WITHIN: Duration = Duration::from_secs(180);

fn config(dir: &std::path::Path) -> TorConfig {
    let file = autonomy_testnet::fixture::tor().network_file();
    TorConfig::new(dir)
        .with_network(TorNetwork::Private(PrivateNetwork::load(&file).expect("the file is good")))
}

async fn says(stream: &mut OnionStream, text: &[u8]) -> std::io::Result<()> {
    stream.write_all(text).await?;
    stream.flush().await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    assert_eq!(answer, text);
    Ok(())
}

async fn dial_until_it_works(tor: &Tor, service: &OnionService) -> OnionStream {
    let end = Instant::now() + COMES_BACK_WITHIN;
    loop {
        match tor.connect(&service.address(), ECHO, &DialPolicy::new(CircuitRole::APP)).await {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < end, "never reached: {error}"),
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// A pod's API in small, and a client for it.
fn serve_https(service: &OnionService, device: &Tor) -> HttpsClient {
    let identity = |seed| TlsIdentity::from_seed(&[seed; 32]).expect("a seed makes an identity");
    let listener = service.listen(443).expect("free");
    let listener = OnionTlsListener::new(listener, &identity(1), Arc::new(|_| true)).expect("TLS");
    let app = Router::new().route("/", get(|| async { "here" })).into_make_service();
    tokio::runtime::Handle::current().spawn(axum::serve(listener, app).into_future());
    let server = Server { onion: service.address(), port: 443, key: identity(1).public_key() };
    HttpsClient::new(device, server, &identity(2), DialPolicy::new(CircuitRole::APP)).expect("TLS")
}

async fn ask(client: &HttpsClient) -> Result<(), HttpsError> {
    client.send(http::Request::new(Full::default())).await.map(drop)
}

/// One test, for there is one network to break.
#[tokio::test(flavor = "multi_thread")]
async fn silent_network_is_noticed_reported_and_survived() {
    let network = autonomy_testnet::fixture::tor();
    let folder = tempfile::tempdir().unwrap();
    let pod = Tor::bootstrap(config(&folder.path().join("pod")), |_| {}).await.unwrap();
    let device = Tor::bootstrap(config(&folder.path().join("device")), |_| {}).await.unwrap();
    let service = ServiceConfig {
        nickname: "echo".to_owned(),
        key: OnionKey::from_seed([1; 32]),
        access: ServiceAccess::Open,
        echo_port: Some(ECHO),
    };
    let service = pod.launch(service).await.unwrap();
    let mut stream = dial_until_it_works(&device, &service).await;
    says(&mut stream, b"all is well").await.unwrap();
    let client = serve_https(&service, &device);
    ask(&client).await.unwrap();

    network.freeze();

    // A request on the connection in use: the pings find out, long before the request's own limit.
    let begin = Instant::now();
    let error = ask(&client).await.unwrap_err();
    assert!(matches!(error, HttpsError::Lost(_)), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());

    // A dial on the circuit in use hangs, is joined by another, and both end at their limits.
    let policy = DialPolicy {
        attempt_limit: Duration::from_secs(4),
        total_limit: Duration::from_secs(10),
        hedge_after: Duration::from_secs(2),
        ..DialPolicy::new(CircuitRole::APP)
    };
    let error = device.connect(&service.address(), ECHO, &policy).await.unwrap_err();
    assert_eq!(error.kind, DialErrorKind::TimedOut, "{error}");
    assert!(error.attempts >= 2, "{error}");
    assert!(error.elapsed < Duration::from_secs(12), "{error}");

    // The open stream says nothing: only a limit of the caller's own tells.
    assert!(timeout(Duration::from_secs(3), says(&mut stream, b"hello?")).await.is_err());

    // A start in such a network ends with its limit, and says how far it came.
    let mut impatient = config(&folder.path().join("late"));
    impatient.bootstrap_limit = Duration::from_secs(5);
    let error = Tor::bootstrap(impatient, |_| {}).await.unwrap_err();
    assert!(matches!(error, BootstrapError::TimedOut { .. } | BootstrapError::Offline(_)), "{error}");

    network.thaw();

    let mut stream = dial_until_it_works(&device, &service).await;
    says(&mut stream, b"all is well again").await.unwrap();
    ask(&client).await.unwrap();

    // Two relays die at once. The service and its callers find other ways.
    network.kill_relay(0);
    network.kill_relay(1);
    let mut stream = dial_until_it_works(&device, &service).await;
    says(&mut stream, b"with fewer relays").await.unwrap();
    network.restart_relay(0).unwrap();
    network.restart_relay(1).unwrap();
}

/// Needs no network: nothing listens where the relays should be.
#[tokio::test(flavor = "multi_thread")]
async fn missing_network_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut alone = config(folder.path());
    if let TorNetwork::Private(network) = &mut alone.network {
        for fallback in &mut network.fallbacks {
            fallback.orport = vec!["127.0.0.1:1".parse().unwrap()];
        }
    }
    alone.bootstrap_limit = Duration::from_secs(8);
    let error = Tor::bootstrap(alone, |_| {}).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, BootstrapError::Offline(_) | BootstrapError::TimedOut { .. }), "{text}");
}
