//! A running pod: everything started in order, and ended in order.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use autonomy_messaging::messenger;
use autonomy_wallet::bitcoin::Network;
use axum::{Router, body::Body, http::header, middleware::map_response, response::Response};
use futures::{StreamExt as _, future::join_all};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinHandle,
};
use zeroize::Zeroizing;

use super::{
    PodDir, PodError, mail, open,
    services::{self, Parts},
};
use crate::{
    chain::{BitcoindConfig, ChainSource, Watched},
    config::Config,
    driver::{self, Broadcaster, Handle},
    peers,
    relay::{self, Relay},
    relay_service,
    server::{ApiState, router, routes::OnionState},
    socket::{self, Socket},
};
use autonomy_node::{ChainPoint, Owner};
use autonomy_store::Unlock;

/// Threads for everything that waits. The node and the chain source have one each beside them.
const WORKERS: usize = 2;
/// What is not over by then after SIGTERM is cut off.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What happens while a pod runs, for whoever started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEvent {
    /// The pod answers at its socket.
    SocketReady,
    /// Tor starts: percent done.
    Bootstrap(u8),
    /// The pod has no owner yet; waits for `pod adopt`.
    WaitsForOwner,
    /// A service changed: its name (`app` or `peer`), address and state.
    Service {
        /// `app` or `peer`.
        name: &'static str,
        /// Full onion address.
        address: String,
        /// `unpublished`, `published`, `reachable` or `unreachable`.
        state: String,
    },
    /// Something the owner should know.
    Warning(String),
    /// The pod ends.
    Stopping,
}

/// Hears how a pod runs.
pub type Told = Arc<dyn Fn(RunEvent) + Send + Sync>;

/// Runs the pod in `dir` until SIGTERM or SIGINT. `told` hears how it goes.
///
/// # Errors
/// The pod cannot be opened, or a part of it fails for good.
pub fn run(dir: &PodDir, unlock: &Unlock, config: &Config, told: Told) -> Result<(), PodError> {
    autonomy_onion::install_crypto_provider();
    let (node, store, effects) = open(dir, unlock)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| PodError::system("starting", error))?;
    let pod = Pod {
        dir: dir.clone(),
        config: config.clone(),
        network: node.network(),
        pod_seed: node.pod_seed(),
        points: node.chain_points().to_vec(),
        watched: Watched::default(),
        broadcaster: Arc::new(RwLock::new(None)),
        told,
    };
    let (post, mail) = mpsc::unbounded_channel();
    let handle = driver::start(node, store, effects, pod.broadcaster.clone(), pod.watched.clone(), post)
        .map_err(|error| PodError::system("starting the node", error))?;
    let outcome = runtime.block_on(pod.serve(handle, mail));
    runtime.shutdown_timeout(LAST_WORDS);
    outcome
}

struct Pod {
    dir: PodDir,
    config: Config,
    network: Network,
    pod_seed: Zeroizing<[u8; 32]>,
    points: Vec<ChainPoint>,
    watched: Watched,
    broadcaster: Broadcaster,
    told: Told,
}

impl Pod {
    async fn serve(
        self,
        handle: Handle,
        mail: mpsc::UnboundedReceiver<messenger::Effect>,
    ) -> Result<(), PodError> {
        // First what can be wrong or come too early: nothing is served by then that would have to be taken down.
        let signals = Signals::listen()?;
        let tor = self.config.tor(&self.dir.tor())?;
        let bitcoind = self.config.bitcoind(self.network)?;
        let (stop, stopping) = watch::channel(false);
        let (onion, onion_seen) = watch::channel(OnionState::default());
        let onion = Arc::new(onion);
        let state = ApiState { handle: handle.clone(), onion: onion_seen.clone(), started_at: driver::now() };
        let routes = ending(router(state), stopping.clone());
        let listener = Socket::bind(&self.dir.socket()).await;
        let listener = listener.map_err(|error| PodError::system("opening the pod's socket", error))?;
        self.follow_chain(bitcoind, &handle)?;
        let mut tasks = vec![
            spawn(socket::serve(listener, routes.clone(), stopping.clone())),
            spawn(report(onion_seen, self.told.clone(), stopping.clone())),
        ];
        (self.told)(RunEvent::SocketReady);
        let parts = (self.pod_seed.clone(), self.config.tor.echo, self.told.clone());
        let relay = self.relay()?;
        let (network, told_by_network) = peers::start(&tokio::runtime::Handle::current());
        tasks.push(spawn(mail::carry_out(mail, network.clone(), stopping.clone())));
        tasks.push(spawn(mail::deliver(told_by_network, handle.clone(), stopping.clone())));
        if let Some(relay) = relay.clone() {
            tasks.push(spawn(relay_service::keep(relay, stopping.clone())));
        }
        let stopping_too = stopping.clone();
        let on_tor = handle.clone();
        tasks.push(spawn(async move {
            let Some(owner) = owner(&on_tor, &parts.2, stopping_too.clone()).await else { return };
            let Some(tor) = services::start_tor(tor, &onion, stopping_too.clone()).await else { return };
            let parts = Parts { pod_seed: parts.0, owner, echo: parts.1, network: Some(network), relay };
            services::keep_running(tor, &parts, &on_tor, &routes, &onion, stopping_too).await;
        }));
        let outcome = signals.until_told_to_end(&handle).await;
        (self.told)(RunEvent::Stopping);
        stop.send_replace(true);
        // A task that hangs must not keep the pod from ending: its runtime is shut down after.
        let _ = tokio::time::timeout(LAST_WORDS, join_all(tasks)).await;
        *self.broadcaster.write().unwrap_or_else(PoisonError::into_inner) = None;
        outcome
    }

    /// The relay beside the pod, where the settings want one. Its file has nothing to do with the pod's.
    fn relay(&self) -> Result<Option<Relay>, PodError> {
        if !self.config.relay.enabled {
            return Ok(None);
        }
        let file = relay::file_in(self.dir.path());
        let relay = Relay::open(&file, self.config.relay(), relay_service::clock());
        relay.map(Some).map_err(|error| PodError::system("opening the relay", error))
    }

    fn follow_chain(&self, bitcoind: BitcoindConfig, handle: &Handle) -> Result<(), PodError> {
        let deliver = {
            let handle = handle.clone();
            Box::new(move |input| handle.deliver_blocking(input))
        };
        let source = ChainSource::start(bitcoind, self.network, &self.points, self.watched.clone(), deliver)
            .map_err(|error| PodError::system("starting the chain source", error))?;
        *self.broadcaster.write().unwrap_or_else(PoisonError::into_inner) = Some(source);
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the running pod is where tasks start")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

/// Ends event streams when the pod ends. Its listeners would hold it else, and so they know at once that they have to
/// come again.
fn ending(router: Router, stop: watch::Receiver<bool>) -> Router {
    router.layer(map_response(move |response: Response| {
        let mut stop = stop.clone();
        async move {
            let kind = response.headers().get(header::CONTENT_TYPE);
            if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
                return response;
            }
            let stopped = Box::pin(async move { drop(stop.wait_for(|stop| *stop).await) });
            response.map(|body| Body::from_stream(body.into_data_stream().take_until(stopped)))
        }
    }))
}

/// Waits until the pod has an owner.
async fn owner(handle: &Handle, told: &Told, mut stop: watch::Receiver<bool>) -> Option<Owner> {
    let mut admitted = handle.admitted();
    if admitted.borrow().owner.is_none() {
        told(RunEvent::WaitsForOwner);
    }
    tokio::select! {
        admitted = admitted.wait_for(|admitted| admitted.owner.is_some()) => {
            admitted.ok()?.owner.as_deref().cloned()
        }
        _ = stop.wait_for(|stop| *stop) => None,
    }
}

/// What tells a pod to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, PodError> {
        let listen = |kind| signal(kind).map_err(|error| PodError::system("listening for signals", error));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn until_told_to_end(mut self, handle: &Handle) -> Result<(), PodError> {
        tokio::select! {
            _ = self.terminate.recv() => Ok(()),
            _ = self.interrupt.recv() => Ok(()),
            stopped = handle.stopped() => Ok(stopped?),
        }
    }
}

/// Tells changes of Tor and the services as they come.
async fn report(mut onion: watch::Receiver<OnionState>, told: Told, mut stop: watch::Receiver<bool>) {
    let mut before = OnionState::default();
    loop {
        tokio::select! {
            changed = onion.changed() => if changed.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let now = onion.borrow_and_update().clone();
        if now.bootstrap_percent != before.bootstrap_percent {
            told(RunEvent::Bootstrap(now.bootstrap_percent));
        }
        let services = [("app", &now.app, &before.app), ("peer", &now.peer, &before.peer)];
        for (name, service, was) in services {
            let Some(status) = service else { continue };
            if was.as_ref().map(|was| &was.state) != Some(&status.state) {
                let address = status.address.clone().unwrap_or_default();
                told(RunEvent::Service { name, address, state: status.state.clone() });
            }
        }
        for warning in now.warnings.iter().filter(|warning| !before.warnings.contains(warning)) {
            told(RunEvent::Warning(warning.clone()));
        }
        before = now;
    }
}
