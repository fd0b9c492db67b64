//! A relay that stands alone: its folder, its keys, its onion service.
//!
//! The folder holds `relay.redb`, the relay's keys in `relay.key` (readable by its user only, not encrypted: whoever
//! has them can pretend to be the relay, and reads nothing by it), Tor's state in `tor`, and `relay.sock`, which
//! answers `GET /metrics` and `GET /v1/relay` while it runs.

mod keys;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use autonomy_messaging::{place::PLACE_PORT, wire::PROTOCOL};
use autonomy_onion::{
    Access, BootstrapProgress, OnionService, ServiceConfig, Tor, TorConfig,
    peers::{PeerAddress, PeerServer},
    reachability::{self, Reachability},
};
use axum::{Json, Router, extract::State, routing::get};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use crate::relay::{Clock, Relay, RelayError, file_in, metrics::Snapshot};
use crate::{
    config::{Config, ConfigError},
    driver,
    peers::door::{self, Counter},
    socket::{self, Socket},
};
use keys::RelayKeys;

/// Threads for everything that waits. The writer has one beside them.
const WORKERS: usize = 2;
/// What is not over by then after SIGTERM is cut off.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Pause between two tries to start Tor or the service.
const RETRY: Duration = Duration::from_secs(10);
/// Pause between two looks for what is too old.
const SWEEP: Duration = Duration::from_secs(10);
/// Pause while there is more.
const SWEEP_ON: Duration = Duration::from_millis(200);

/// What happens while a relay runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayEvent {
    /// Where it will be: a multiaddr, to be given to `relay add`.
    Place(String),
    /// Tor starts: percent done.
    Bootstrap(u8),
    /// The service changed: `unpublished`, `published`, `reachable` or `unreachable`.
    Service(&'static str),
    /// Something its operator should know.
    Warning(String),
    /// It ends.
    Stopping,
}

/// Hears how a relay runs.
pub type Told = Arc<dyn Fn(RelayEvent) + Send + Sync>;

/// Why a relay does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Its file.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// Its settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its keys cannot be read or made.
    #[error("the relay's keys in {}: {why}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Others on this machine can enter its folder.
    #[error("{} can be entered by others on this machine; run: chmod 700 {}", .0.display(), .0.display())]
    Exposed(PathBuf),
    /// It failed while it ran.
    #[error("the relay ends: {0}")]
    Failed(String),
    /// The operating system refuses something.
    #[error("{doing}: {why}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        why: String,
    },
}

impl ServiceError {
    fn system(doing: &'static str, error: impl std::fmt::Display) -> Self {
        Self::System { doing, why: error.to_string() }
    }
}

/// Runs the relay in `dir`, which is made where it does not exist, until SIGTERM or SIGINT.
///
/// # Errors
/// Something of it cannot be opened, or fails for good.
pub fn run(dir: &Path, config: &Config, told: Told) -> Result<(), ServiceError> {
    autonomy_onion::install_crypto_provider();
    private_folder(dir)?;
    let relay = Relay::open(&file_in(dir), config.relay(), clock())?;
    let keys = RelayKeys::load_or_make(dir)?;
    let tor = config.tor(&dir.join("tor"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| ServiceError::system("starting", error))?;
    let outcome = runtime.block_on(Box::pin(serve(dir, relay, keys, tor, told)));
    runtime.shutdown_timeout(LAST_WORDS);
    outcome
}

/// The wall clock.
#[must_use]
pub fn clock() -> Clock {
    Arc::new(driver::now)
}

fn private_folder(dir: &Path) -> Result<(), ServiceError> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    let failed = |error: std::io::Error| ServiceError::system("making the relay's folder", error);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let mode = std::fs::metadata(dir).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 { Err(ServiceError::Exposed(dir.to_owned())) } else { Ok(()) }
}

async fn serve(
    dir: &Path,
    relay: Relay,
    keys: RelayKeys,
    tor: TorConfig,
    told: Told,
) -> Result<(), ServiceError> {
    let listen = |kind| signal(kind).map_err(|error| ServiceError::system("listening for signals", error));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let (stop, stopping) = watch::channel(false);
    let socket = Socket::bind(&dir.join("relay.sock")).await;
    let socket = socket.map_err(|error| ServiceError::system("opening the relay's socket", error))?;
    told(RelayEvent::Place(keys.address().to_string()));
    let mut tasks = JoinSet::new();
    tasks.spawn(socket::serve(socket, pages(relay.clone()), stopping.clone()));
    tasks.spawn(keep(relay.clone(), stopping.clone()));
    tasks.spawn(Box::pin(on_tor(tor, relay.clone(), keys, told.clone(), stopping)));
    let outcome = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        why = relay.failed() => Err(ServiceError::Failed(why)),
    };
    told(RelayEvent::Stopping);
    stop.send_replace(true);
    // A task that hangs must not keep the relay from ending: its runtime is shut down after.
    let _ = tokio::time::timeout(LAST_WORDS, async { while tasks.join_next().await.is_some() {} }).await;
    outcome
}

/// What the operator's socket shows.
fn pages(relay: Relay) -> Router {
    let metrics = async |State(relay): State<Relay>| relay.snapshot().await.page();
    let json = async |State(relay): State<Relay>| -> Json<Snapshot> { Json(relay.snapshot().await) };
    Router::new().route("/metrics", get(metrics)).route("/v1/relay", get(json)).with_state(relay)
}

/// Removes what is too old, until `stop` turns true. Part of every relay, in a pod too.
pub async fn keep(relay: Relay, mut stop: watch::Receiver<bool>) {
    loop {
        let pause = if relay.sweep().await { SWEEP_ON } else { SWEEP };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Starts Tor and serves, again and again if it must.
async fn on_tor(
    config: TorConfig,
    relay: Relay,
    keys: RelayKeys,
    told: Told,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let progress = |progress: BootstrapProgress| {
            told(RelayEvent::Bootstrap((progress.fraction * 100.0).clamp(0.0, 100.0) as u8));
        };
        let served = async {
            let tor = Tor::bootstrap(config.clone(), progress).await.map_err(|error| error.to_string())?;
            Box::pin(behind(&tor, &relay, &keys, &told, stop.clone())).await
        };
        let outcome = {
            let mut stop = stop.clone();
            tokio::select! {
                outcome = served => outcome,
                _ = stop.wait_for(|stop| *stop) => return,
            }
        };
        match outcome {
            Ok(()) => return,
            Err(why) => told(RelayEvent::Warning(why)),
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Serves behind an onion service until `stop` turns true.
async fn behind(
    tor: &Tor,
    relay: &Relay,
    keys: &RelayKeys,
    told: &Told,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let config =
        ServiceConfig { nickname: "relay".into(), key: keys.onion(), access: Access::Open, echo_port: None };
    let service: OnionService = tor.launch(config).await.map_err(|error| error.to_string())?;
    let listener = service.listen(PLACE_PORT).map_err(|error| error.to_string())?;
    let server = PeerServer::start(listener, keys.peer(), PROTOCOL).map_err(|error| error.to_string())?;
    let report = reachability::watch(service);
    let mut changes = report.subscribe();
    let serving = door::serve(server, Counter::new(None, Some(relay.clone())), stop.clone());
    tokio::pin!(serving);
    loop {
        told(RelayEvent::Service(state(&report.now())));
        tokio::select! {
            () = &mut serving => return Ok(()),
            _ = changes.changed() => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}

fn state(now: &Reachability) -> &'static str {
    match now {
        Reachability::Unpublished => "unpublished",
        Reachability::Published => "published",
        Reachability::Reachable => "reachable",
        Reachability::Unreachable { .. } => "unreachable",
    }
}

/// Where the relay in `dir` is; it is made where it does not exist yet.
///
/// # Errors
/// Its keys cannot be read or made.
pub fn address(dir: &Path) -> Result<PeerAddress, ServiceError> {
    private_folder(dir)?;
    Ok(RelayKeys::load_or_make(dir)?.address())
}
