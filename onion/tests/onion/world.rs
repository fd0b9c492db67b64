//! One Tor network, one pod and one device for all tests of this program.

use std::{
    future::Future,
    path::Path,
    sync::{
        LazyLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use autonomy_onion::{
    CircuitRole, DialError, DialPolicy, OnionAddress, OnionKey, OnionService, OnionStream, PrivateNetwork,
    ServiceAccess, ServiceConfig, Tor, TorConfig, TorNetwork,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    runtime::Runtime,
    time::{Instant, sleep},
};

/// The port on which test services echo.
pub(crate) const ECHO: u16 = 7;
/// A new descriptor may have to wait a minute for its upload, and then some seconds more.
pub(crate) const UPLOAD_LIMIT: Duration = Duration::from_secs(150);

/// One runtime for all tests, since the clients live on it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts")
});

pub(crate) struct World {
    pub(crate) pod: Tor,
    pub(crate) device: Tor,
    _folders: [TempDir; 2],
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (pod_folder, device_folder) = (folder(), folder());
    RUNTIME.block_on(async {
        let (pod, device) = tokio::join!(start_tor(pod_folder.path()), start_tor(device_folder.path()));
        World { pod, device, _folders: [pod_folder, device_folder] }
    })
});

/// Far more than any test of this program takes: four dials to new services, each after the longest wait for its
/// descriptor. A test that waits longer waits for something that never comes.
const TEST_LIMIT: Duration = Duration::from_secs(4 * 150 + 300);

/// Runs a test in the world. A test that hangs fails by name, instead of stopping all that come after it.
pub(crate) fn in_world<F: Future<Output = ()>>(test: impl FnOnce(&'static World) -> F) {
    let world = &*WORLD;
    let ended = RUNTIME.block_on(Box::pin(async { tokio::time::timeout(TEST_LIMIT, test(world)).await }));
    ended.expect("it ends");
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

pub(crate) fn config(dir: &Path) -> TorConfig {
    let file = autonomy_testnet::fixture::tor().network_file();
    let network = PrivateNetwork::load(&file).expect("the test network's file is as documented");
    TorConfig::new(dir).with_network(TorNetwork::Private(network))
}

pub(crate) async fn start_tor(dir: &Path) -> Tor {
    Tor::bootstrap(config(dir), |_| {}).await.expect("Tor starts on the test network")
}

/// A nickname and a key that no other test has.
pub(crate) fn service(access: ServiceAccess) -> ServiceConfig {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    ServiceConfig {
        nickname: format!("test-{n}"),
        key: OnionKey::from_seed([n; 32]),
        access,
        echo_port: Some(ECHO),
    }
}

pub(crate) async fn launch(tor: &Tor, access: ServiceAccess) -> OnionService {
    tor.launch(service(access)).await.expect("the service launches")
}

/// Dials until it works: a service needs a moment to be published.
pub(crate) async fn reach(tor: &Tor, onion: &OnionAddress, port: u16) -> OnionStream {
    let end = Instant::now() + UPLOAD_LIMIT;
    loop {
        match tor.connect(onion, port, &DialPolicy::new(CircuitRole::APP)).await {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < end, "never reached: {error}"),
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Dials on circuits nothing has used before.
pub(crate) async fn dial_fresh(tor: &Tor, onion: &OnionAddress, port: u16) -> Result<OnionStream, DialError> {
    tor.rotate(onion);
    tor.connect(onion, port, &DialPolicy::new(CircuitRole::APP)).await
}

/// Sends `text` and expects it back.
pub(crate) async fn echo(stream: &mut OnionStream, text: &str) {
    stream.write_all(text.as_bytes()).await.expect("the stream takes bytes");
    stream.flush().await.expect("the stream sends bytes");
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await.expect("the echo answers");
    assert_eq!(answer, text.as_bytes());
}
