//! Starts a pod with what its process provides, and stops it in order.
//!
//! Order of a start: socket, relay, node, then everything that runs on Tor. Order of a stop: tasks
//! are asked to end and get [`TASK_GRACE`], then the node commits what it has and closes the
//! database.

use std::{sync::Arc, time::Duration};

use autonomy_messaging::messenger;
use autonomy_onion::Tor;
use autonomy_wallet::bitcoin::Network;
use axum::{Router, body::Body, http::header, middleware::map_response, response::Response};
use futures::StreamExt as _;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use zeroize::Zeroizing;

use super::{
    PodDir, PodError, PodHandle, RunEvent, RunObserver, SharedTor, mail, open, relay,
    report::report,
    services::{self, Parts},
};
use crate::{
    chain::ChainSource,
    config::Config,
    consensus::ConsensusWatch,
    driver::{self, Handle},
    peers::{self, NetworkHandle},
    relay::{CheckedClock, Relay, RelayConfig},
    relay_service,
    server::{ApiState, router, routes::OnionState},
    socket::{self, Socket},
};
use autonomy_node::{Effect, Node, Owner};
use autonomy_store::{Store, Unlock};

/// Time for the tasks of a pod to end by themselves before they are aborted.
const TASK_GRACE: Duration = Duration::from_secs(3);

/// What a pod gets from the process it runs in. Pods may share the Tor client and the chain source:
/// neither reveals to anybody outside that two pods run in one process.
pub struct Deps {
    /// The Tor client for both services and all dials.
    pub tor: SharedTor,
    /// Where blocks and the mempool come from, and where transactions are broadcast.
    pub chain: Arc<dyn ChainSource>,
    /// The owner's choices.
    pub settings: PodSettings,
    /// Gets the pod's events.
    pub observer: RunObserver,
}

/// What the owner chose for this pod in the settings of the process that runs it.
#[derive(Debug, Clone, Default)]
pub struct PodSettings {
    /// Open a port that echoes on the app service, to measure Tor without the pod.
    pub echo: bool,
    /// Run a relay for others beside the pod, with these limits.
    pub relay: Option<RelayConfig>,
}

impl From<&Config> for PodSettings {
    fn from(config: &Config) -> Self {
        Self { echo: config.tor.echo, relay: config.relay.enabled.then(|| config.relay()) }
    }
}

/// A pod of which the database is open. No other process can open it meanwhile.
pub struct Pod {
    dir: PodDir,
    node: Node,
    store: Store,
    /// What its last process may not have carried out.
    effects: Vec<Effect>,
}

impl Pod {
    /// Opens the pod in `dir`.
    ///
    /// # Errors
    /// There is none, it does not open, or another process runs it.
    pub fn open(dir: &PodDir, unlock: &Unlock) -> Result<Self, PodError> {
        let (node, store, effects) = open(dir, unlock)?;
        Ok(Self { dir: dir.clone(), node, store, effects })
    }

    /// Where its files are.
    #[must_use]
    pub fn dir(&self) -> &PodDir {
        &self.dir
    }

    /// The Bitcoin network of its accounts.
    #[must_use]
    pub fn network(&self) -> Network {
        self.node.network()
    }

    /// Starts the pod on the current runtime. It answers at its socket when this returns; its onion
    /// services are launched later, once it has an owner and Tor runs.
    ///
    /// # Errors
    /// A part of it cannot be started; then nothing of it runs.
    pub async fn start(self, deps: Deps) -> Result<PodHandle, PodError> {
        autonomy_onion::install_crypto_provider();
        let socket = Socket::bind(&self.dir.socket()).await;
        let socket = socket.map_err(|error| PodError::system("opening the pod's socket", error))?;
        let clock = CheckedClock::new(driver::now);
        let relay = relay::open(&self.dir, &deps.settings, &clock)?;
        let pod_seed = self.node.pod_seed();
        let (post, mail) = mpsc::unbounded_channel();
        let node = driver::start(self.node, self.store, self.effects, deps.chain.clone(), post)
            .map_err(|error| PodError::system("starting the node", error))?;
        (deps.observer)(RunEvent::SocketReady);
        let running = Running { deps, node, relay, clock, pod_seed };
        Ok(running.start(socket, mail))
    }
}

/// A pod whose node runs and whose tasks are about to be started.
///
/// It exists between the start of the node and the return of [`Pod::start`].
struct Running {
    deps: Deps,
    node: Handle,
    relay: Option<Relay>,
    /// What time it is for the relay.
    clock: CheckedClock,
    pod_seed: Zeroizing<[u8; 32]>,
}

impl Running {
    /// Starts all tasks, and one more that waits for the end and stops them in order.
    ///
    /// The task that stops the pod is detached: it must run to its end even when the caller drops
    /// every handle.
    fn start(self, socket: Socket, mail: mpsc::UnboundedReceiver<messenger::Effect>) -> PodHandle {
        let (stop, asked_to_stop) = watch::channel(false);
        let (stopping, stopping_seen) = watch::channel(false);
        let (onion, onion_seen) = watch::channel(OnionState::default());
        let (end, ended) = watch::channel(None);
        let handle =
            PodHandle { node: self.node.clone(), onion: onion_seen.clone(), stop: Arc::new(stop), ended };
        let tasks = self.tasks(socket, mail, onion, onion_seen, stopping_seen);
        let (node, observer) = (self.node, self.deps.observer);
        drop(super::spawn(async move {
            until_asked_to_stop(asked_to_stop, &node).await;
            observer(RunEvent::Stopping);
            stopping.send_replace(true);
            finish(tasks).await;
            node.stop().await;
            end.send_replace(Some(node.stopped().await));
        }));
        handle
    }

    /// The tasks of the pod. Each ends when `stopping` turns true.
    ///
    /// None of them decides anything; each connects two channels or serves one listener.
    fn tasks(
        &self,
        socket: Socket,
        mail: mpsc::UnboundedReceiver<messenger::Effect>,
        onion: watch::Sender<OnionState>,
        onion_seen: watch::Receiver<OnionState>,
        stopping: watch::Receiver<bool>,
    ) -> JoinSet<()> {
        let node = self.node.clone();
        let state = ApiState { handle: node.clone(), onion: onion_seen.clone(), started_at: driver::now() };
        let routes = ending(router(state), stopping.clone());
        let (network, from_network) = peers::start(&tokio::runtime::Handle::current());
        let mut tasks = JoinSet::new();
        tasks.spawn(socket::serve(socket, routes.clone(), stopping.clone()));
        tasks.spawn(report(onion_seen, self.deps.observer.clone(), stopping.clone()));
        tasks.spawn(mail::carry_out(mail, network.clone(), stopping.clone()));
        tasks.spawn(mail::deliver(from_network, node.clone(), stopping.clone()));
        if let Some(relay) = self.relay.clone() {
            let failed = relay.clone();
            let failed = async move { failed.failed().await };
            tasks.spawn(relay::show_failure(failed, onion.clone(), stopping.clone()));
            tasks.spawn(relay_service::sweep_until_stopped(relay, stopping.clone()));
        }
        tasks.spawn(self.on_tor(network, routes, onion, stopping));
        tasks
    }

    /// The onion services: from the moment the pod has an owner until it stops.
    fn on_tor(
        &self,
        network: NetworkHandle,
        routes: Router,
        onion: watch::Sender<OnionState>,
        stopping: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (node, tor, observer) = (self.node.clone(), self.deps.tor.clone(), self.deps.observer.clone());
        let (echo, relay, pod_seed) = (self.deps.settings.echo, self.relay.clone(), self.pod_seed.clone());
        let clock = self.clock.clone();
        async move {
            let Some(owner) = owner(&node, &observer, stopping.clone()).await else { return };
            let Some(client) = tor.client(&onion, stopping.clone()).await else { return };
            let parts = Parts { pod_seed, owner, echo, network: Some(network), relay };
            let tor = client.clone();
            let tell = tell_time(&tor, &node, &clock, stopping.clone());
            tokio::join!(
                services::keep_running(client, &parts, &node, &routes, &onion, stopping.clone()),
                tell,
            );
        }
    }
}

/// Tells the node, and the relay beside it, which consensus Tor works with, until the pod stops.
async fn tell_time(tor: &Tor, node: &Handle, relay: &CheckedClock, mut stop: watch::Receiver<bool>) {
    let mut consensus = ConsensusWatch::default();
    while let Some((from, until)) = consensus.next(tor, &mut stop).await {
        relay.consensus(from, until);
        if !node.consensus(from, until).await {
            return;
        }
    }
}

/// Waits for a request to stop. A dropped last handle counts as one, and so does a node that ended
/// by itself.
async fn until_asked_to_stop(mut asked: watch::Receiver<bool>, node: &Handle) {
    tokio::select! {
        _ = asked.wait_for(|stop| *stop) => {}
        _ = node.stopped() => {}
    }
}

/// Waits for tasks that were asked to end, and aborts those that have not after [`TASK_GRACE`].
async fn finish(mut tasks: JoinSet<()>) {
    let ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(TASK_GRACE, ended).await.is_err() {
        tracing::warn!(left = tasks.len(), "tasks of the pod did not end in time and are cut off");
    }
    tasks.shutdown().await;
}

/// Ends event streams when the pod stops. They would keep the server from ending, and their clients
/// know at once that they must reconnect.
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
///
/// Gives none where `stopping` comes first.
async fn owner(handle: &Handle, observer: &RunObserver, mut stop: watch::Receiver<bool>) -> Option<Owner> {
    let mut admitted = handle.admitted();
    if admitted.borrow().owner.is_none() {
        observer(RunEvent::WaitsForOwner);
    }
    tokio::select! {
        admitted = admitted.wait_for(|admitted| admitted.owner.is_some()) => {
            admitted.ok()?.owner.as_deref().cloned()
        }
        _ = stop.wait_for(|stop| *stop) => None,
    }
}
