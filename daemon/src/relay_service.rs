//! A relay that runs by itself: its folder, its keys, its onion service.
//!
//! The folder holds `relay.redb`; the relay's keys in `relay.key`, readable by its user only and
//! not encrypted (whoever has them can pretend to be the relay, and can read nothing by that);
//! Tor's state in `tor`; and `relay.sock`, which answers `GET /metrics` and `GET /v1/relay` while
//! the relay runs.

mod keys;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use autonomy_messaging::{place::PLACE_PORT, wire::PROTOCOL};
use autonomy_onion::{
    BootstrapProgress, OnionService, ServiceAccess, ServiceConfig, Tor, TorConfig,
    peers::{PeerAddress, PeerServer},
    reachability::{self, Reachability},
};
use axum::{Json, Router, extract::State, routing::get};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use crate::relay::{CheckedClock, Relay, RelayError, file_in, metrics::Snapshot};
use crate::{
    config::{Config, ConfigError},
    consensus::ConsensusWatch,
    driver,
    peers::server::{self, RequestRouter},
    socket::{self, Socket},
    socket_path::{self, SocketPathTooLong},
};
use keys::RelayKeys;

/// Threads of the runtime. The writer has one beside them.
const WORKERS: usize = 2;
/// Time after SIGTERM for tasks to end before they are aborted.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);
/// Pause between two tries to start Tor or the service.
const RETRY: Duration = Duration::from_secs(10);
/// Pause between two sweeps for what is too old.
const SWEEP: Duration = Duration::from_secs(10);
/// Pause where the last sweep left some.
const SWEEP_AGAIN: Duration = Duration::from_millis(200);

/// What happens while a relay runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayEvent {
    /// The relay's address, a multiaddr for `relay add`.
    Place(String),
    /// Tor starts: percent done.
    Bootstrap(u8),
    /// The state of the onion service changed: `unpublished`, `published`, `reachable` or
    /// `unreachable`.
    Service(&'static str),
    /// Something that the operator should know.
    Warning(String),
    /// The relay ends.
    Stopping,
}

/// Called for each event of a running relay, from its tasks: it must not block.
pub type RelayObserver = Arc<dyn Fn(RelayEvent) + Send + Sync>;

/// Why a relay does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Its database.
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
    /// There is no relay in this folder.
    #[error("there is no relay in {}; `autonomy relay run` makes one, or name its folder with --data-dir", .0.display())]
    Missing(PathBuf),
    /// Its socket would have too long a path.
    #[error(transparent)]
    SocketPath(#[from] SocketPathTooLong),
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
    /// The error of something the operating system refused.
    fn system(doing: &'static str, error: impl std::fmt::Display) -> Self {
        Self::System { doing, why: error.to_string() }
    }
}

/// Runs the relay in `dir`, which is created if needed, until SIGTERM or SIGINT.
///
/// # Errors
/// A part of it cannot be opened, or fails for good.
pub fn run(dir: &Path, config: &Config, observer: RelayObserver) -> Result<(), ServiceError> {
    autonomy_onion::install_crypto_provider();
    socket_path::check(&dir.join("relay.sock"))?;
    private_folder(dir)?;
    let clock = CheckedClock::new(driver::now);
    let relay = Relay::open(&file_in(dir), config.relay(), clock.clock())?;
    let keys = RelayKeys::load_or_make(dir)?;
    let tor = config.tor(&dir.join("tor"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| ServiceError::system("starting", error))?;
    let outcome = runtime.block_on(Box::pin(serve(dir, (relay, clock), keys, tor, observer)));
    runtime.shutdown_timeout(SHUTDOWN_GRACE);
    outcome
}

/// Creates the folder with mode 0700.
///
/// The mode of an existing folder is not changed: one that lets others in is an error.
///
/// # Errors
/// It cannot be created, or existed with a mode that lets others in.
fn private_folder(dir: &Path) -> Result<(), ServiceError> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    let failed = |error: std::io::Error| ServiceError::system("making the relay's folder", error);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let mode = std::fs::metadata(dir).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 { Err(ServiceError::Exposed(dir.to_owned())) } else { Ok(()) }
}

/// Runs everything of the relay until a signal or a failure.
///
/// The socket answers before Tor has started, so that an operator can see how the start proceeds.
async fn serve(
    dir: &Path,
    (relay, clock): (Relay, CheckedClock),
    keys: RelayKeys,
    tor: TorConfig,
    observer: RelayObserver,
) -> Result<(), ServiceError> {
    let listen = |kind| signal(kind).map_err(|error| ServiceError::system("listening for signals", error));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let (stop, stopping) = watch::channel(false);
    let socket = Socket::bind(&dir.join("relay.sock")).await;
    let socket = socket.map_err(|error| ServiceError::system("opening the relay's socket", error))?;
    observer(RelayEvent::Place(keys.address().to_string()));
    let mut tasks = JoinSet::new();
    tasks.spawn(socket::serve(socket, pages(relay.clone()), stopping.clone()));
    tasks.spawn(sweep_until_stopped(relay.clone(), stopping.clone()));
    tasks.spawn(Box::pin(on_tor(tor, (relay.clone(), clock), keys, observer.clone(), stopping)));
    let outcome = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        why = relay.failed() => Err(ServiceError::Failed(why)),
    };
    observer(RelayEvent::Stopping);
    stop.send_replace(true);
    // A task that hangs must not keep the relay from ending: its runtime is shut down after.
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, async { while tasks.join_next().await.is_some() {} }).await;
    outcome
}

/// The routes of the operator's socket.
fn pages(relay: Relay) -> Router {
    let metrics = async |State(relay): State<Relay>| relay.snapshot().await.page();
    let json = async |State(relay): State<Relay>| -> Json<Snapshot> { Json(relay.snapshot().await) };
    Router::new().route("/metrics", get(metrics)).route("/v1/relay", get(json)).with_state(relay)
}

/// Removes what is too old, again and again, until `stop` turns true. Every relay needs it, also
/// one inside a pod.
pub async fn sweep_until_stopped(relay: Relay, mut stop: watch::Receiver<bool>) {
    loop {
        let pause = if relay.sweep().await { SWEEP_AGAIN } else { SWEEP };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Starts Tor and serves on it. After a failure everything is tried again, [`RETRY`] later.
///
/// Queues stay open for callers of a Tor client that is started anew: only the connections are
/// lost.
async fn on_tor(
    config: TorConfig,
    (relay, clock): (Relay, CheckedClock),
    keys: RelayKeys,
    observer: RelayObserver,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let progress = |progress: BootstrapProgress| {
            observer(RelayEvent::Bootstrap((progress.fraction * 100.0).clamp(0.0, 100.0) as u8));
        };
        let served = async {
            let tor = Tor::bootstrap(config.clone(), progress).await.map_err(|error| error.to_string())?;
            tokio::select! {
                served = Box::pin(serve_onion(&tor, &relay, &keys, &observer, stop.clone())) => served,
                () = watch_clock(&tor, &clock, &observer, stop.clone()) => Ok(()),
            }
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
            Err(why) => observer(RelayEvent::Warning(why)),
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Holds this machine's clock against Tor's consensus until `stop` turns true, and says where it is wrong.
async fn watch_clock(
    tor: &Tor,
    clock: &CheckedClock,
    observer: &RelayObserver,
    mut stop: watch::Receiver<bool>,
) {
    let mut consensus = ConsensusWatch::default();
    while let Some((from, until)) = consensus.next(tor, &mut stop).await {
        clock.consensus(from, until);
        if let Some(warning) = clock.read().warning() {
            observer(RelayEvent::Warning(warning));
        }
    }
}

/// Serves behind an onion service until `stop` turns true.
///
/// # Errors
/// The service or the server could not be started; the text is for the operator.
async fn serve_onion(
    tor: &Tor,
    relay: &Relay,
    keys: &RelayKeys,
    observer: &RelayObserver,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let config = ServiceConfig {
        nickname: "relay".into(),
        key: keys.onion(),
        access: ServiceAccess::Open,
        echo_port: None,
    };
    let service: OnionService = tor.launch(config).await.map_err(|error| error.to_string())?;
    let listener = service.listen(PLACE_PORT).map_err(|error| error.to_string())?;
    let server = PeerServer::start(listener, keys.peer(), PROTOCOL).map_err(|error| error.to_string())?;
    let report = reachability::watch(service);
    let mut changes = report.subscribe();
    let serving = server::serve(server, RequestRouter::new(None, Some(relay.clone())), stop.clone());
    tokio::pin!(serving);
    loop {
        observer(RelayEvent::Service(state(&report.now())));
        tokio::select! {
            () = &mut serving => return Ok(()),
            _ = changes.changed() => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}

/// The word for a state, as events and metrics use it.
fn state(now: &Reachability) -> &'static str {
    match now {
        Reachability::Unpublished => "unpublished",
        Reachability::Published => "published",
        Reachability::Reachable => "reachable",
        Reachability::Unreachable { .. } => "unreachable",
    }
}

/// The address of the relay in `dir`.
///
/// # Errors
/// There is no relay, or its keys cannot be read.
pub fn address(dir: &Path) -> Result<PeerAddress, ServiceError> {
    Ok(RelayKeys::load(dir)?.ok_or_else(|| ServiceError::Missing(dir.to_owned()))?.address())
}
