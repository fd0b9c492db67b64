//! The onion services of a pod: launched when it has an owner, kept current, watched, reported.
//!
//! *App* serves the API to the owner's devices: restricted discovery, then TLS by the device's key,
//! then the node's own check for each request. *Peer* serves contacts: whoever knows a queue and
//! its capability may deposit there; it runs at each of its addresses, or at none (`peer_services`).

use std::{sync::Arc, time::UNIX_EPOCH};

use autonomy_onion::{
    DescriptorPublicKey, OnionKey, OnionService, ServiceAccess, ServiceConfig, Tor,
    https::{self, ClientGate, OnionTlsListener, TlsIdentity},
    reachability::{self, Reachability, Report},
};
use autonomy_wallet::bitcoin::hashes::{Hash as _, sha256};
use axum::{
    Router, extract::ConnectInfo, extract::Request, middleware, middleware::Next, response::Response,
};
use data_encoding::HEXLOWER;
use futures::stream;
use tokio::{sync::watch, task::JoinSet};
use zeroize::Zeroizing;

use super::{PodError, discovery::Discovery, peer_services::PeerServices};
use crate::{
    driver::{self, Handle},
    peers::{NetworkHandle, tor::OverTor},
    relay::Relay,
    server::routes::OnionState,
};
use autonomy_api::{APP_PORT, DeviceKey, ServiceState, ServiceStatus, place};
use autonomy_node::{Caller, Owner};

/// The port of the echo on the app service, where the settings ask for one.
pub const ECHO_PORT: u16 = 7;
/// Pause between two tries to launch the services.
const LAUNCH_RETRY: std::time::Duration = std::time::Duration::from_secs(10);
/// Bytes of the hash in a nickname: 64 bits, so that among a thousand services two collide with a
/// probability of 1 to 3 × 10^13.
const NICKNAME_BYTES: usize = 8;

/// What the services are made of. It holds seeds, and is not for any log.
#[derive(Clone)]
pub(super) struct Parts {
    /// The seed of the pod's key: its TLS identity and its libp2p identity.
    pub(super) pod_seed: Zeroizing<[u8; 32]>,
    /// The owner, and with it the seeds of both onion addresses.
    pub(super) owner: Owner,
    /// Whether the app service echoes on [`ECHO_PORT`].
    pub(super) echo: bool,
    /// Passes what peers ask to the node; gets the way to places while the services run.
    pub(super) network: Option<NetworkHandle>,
    /// Keeps frames for others, where the settings want a relay.
    pub(super) relay: Option<Relay>,
}

/// Launches the services and runs them until `stop` turns true. A launch that fails, and a service that ends by itself,
/// is shown as a warning; all are launched again after [`LAUNCH_RETRY`].
///
/// The settings of the services follow from the owner, so an error here is Tor's: waiting and
/// trying again is the only remedy.
pub(super) async fn keep_running(
    tor: Tor,
    parts: &Parts,
    handle: &Handle,
    router: &Router,
    onion: &watch::Sender<OnionState>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        match run(&tor, parts, handle, router.clone(), onion, stop.clone()).await {
            Ok(()) => return,
            Err(error) => onion.send_modify(|state| state.warnings = vec![error.to_string()]),
        }
        tokio::select! {
            () = tokio::time::sleep(LAUNCH_RETRY) => onion.send_modify(|state| state.warnings.clear()),
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// One launch of the services and everything behind them.
///
/// The services, their listeners and the watches live exactly as long as this call. On the way out
/// the pod's way to places is taken away first, so that no new call starts on a Tor client that is
/// about to end.
///
/// # Errors
/// Something could not be launched, or has ended by itself. What else was launched ends with it.
async fn run(
    tor: &Tor,
    parts: &Parts,
    handle: &Handle,
    router: Router,
    onion: &watch::Sender<OnionState>,
    stop: watch::Receiver<bool>,
) -> Result<(), PodError> {
    let failed = |error: &dyn std::fmt::Display| PodError::system("launching the onion services", error);
    let devices = Discovery::new(handle.admitted());
    let app = launch_app(tor, parts, devices.published()).await?;
    let identity = TlsIdentity::from_seed(&parts.pod_seed).map_err(|error| failed(&error))?;
    let listener = app.listen(APP_PORT).map_err(|error| failed(&error))?;
    let streams = stream::unfold(listener, async |mut listener| Some((listener.accept().await?, listener)));
    let tls = OnionTlsListener::new(streams, &identity, gate(handle)).map_err(|error| failed(&error))?;

    let report = reachability::watch(app.clone());
    publish_state(onion, &app, &report);
    let mut tasks = JoinSet::new();
    tasks.spawn(serve_app(tls, router, stop.clone()));
    let peers = PeerServices::new(tor, parts, handle.admitted(), onion).run(stop.clone());
    tokio::pin!(peers);
    if let Some(network) = &parts.network {
        network.attach(Some(Arc::new(OverTor::new(tor))));
    }
    let changed = app.clone();
    tasks.spawn(devices.keep_current(move |keys| changed.set_descriptor_keys(keys), stop.clone()));
    let mut app_change = report.subscribe();
    let mut stop = stop;
    let ended = loop {
        tokio::select! {
            // First, since the tasks end by it too.
            biased;
            _ = stop.wait_for(|stop| *stop) => break Ok(()),
            Some(_) = tasks.join_next() => break Err(PodError::system("serving over Tor", "a service ended")),
            ended = &mut peers => break ended,
            _ = app_change.changed() => publish_state(onion, &app, &report),
        }
    };
    if let Some(network) = &parts.network {
        network.attach(None);
    }
    if ended.is_err() {
        tasks.abort_all();
    }
    while tasks.join_next().await.is_some() {}
    ended
}

/// Launches the app service for the devices with these keys.
///
/// # Errors
/// Tor refused to launch it.
async fn launch_app(
    tor: &Tor,
    parts: &Parts,
    devices: &[DescriptorPublicKey],
) -> Result<OnionService, PodError> {
    let key = OnionKey::from_seed(*parts.owner.app_seed);
    let config = ServiceConfig {
        nickname: nickname("app", &key),
        key,
        access: ServiceAccess::Restricted(devices.to_vec()),
        echo_port: parts.echo.then_some(ECHO_PORT),
    };
    tor.launch(config).await.map_err(|error| PodError::system("launching the app onion service", error))
}

/// Names a service in this process and in Tor's state folder, so that pods on one Tor client do not
/// collide. It is a hash because names appear in logs and onion addresses must not.
pub(super) fn nickname(service: &str, key: &OnionKey) -> String {
    let hash = sha256::Hash::hash(key.address().to_string().as_bytes());
    format!("{service}-{}", HEXLOWER.encode(&hash.as_byte_array()[..NICKNAME_BYTES]))
}

/// Decides by the device's key whether a TLS handshake succeeds now. The node checks each request
/// again.
fn gate(handle: &Handle) -> ClientGate {
    let admitted = handle.admitted();
    Arc::new(move |key| admitted.borrow().devices.contains_key(&DeviceKey(*key)))
}

/// Serves the API over TLS until the pod stops, finishing requests under way.
///
/// An event stream would never end by itself: see `ending` in `start`.
async fn serve_app(listener: OnionTlsListener, router: Router, mut stop: watch::Receiver<bool>) {
    let router = router.layer(middleware::from_fn(name_caller));
    let service = router.into_make_service_with_connect_info::<https::Caller>();
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stopped).await {
        tracing::error!("the app service failed: {error}");
    }
}

/// Makes the key of the caller's certificate the [`Caller`] of the request.
async fn name_caller(
    ConnectInfo(caller): ConnectInfo<https::Caller>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(Caller::Device(DeviceKey(caller.0)));
    next.run(request).await
}

/// Publishes the state of the app service to the API and the observer.
fn publish_state(onion: &watch::Sender<OnionState>, app: &OnionService, report: &Report) {
    onion.send_modify(|state| {
        state.app = Some(service_status(app, &report.now(), state.app.as_ref()));
    });
}

/// The status of a service. `since` is the time of the last change: an unchanged state keeps it.
///
/// States are texts here because the API shows them as such: `unpublished`, `published`,
/// `reachable`, `unreachable`.
pub(super) fn service_status(
    service: &OnionService,
    now: &Reachability,
    before: Option<&ServiceStatus>,
) -> ServiceStatus {
    let (state, since, detail) = match now {
        Reachability::Unpublished => (ServiceState::Unpublished, None, None),
        Reachability::Published => (ServiceState::Published, None, None),
        Reachability::Reachable => (ServiceState::Reachable, None, None),
        Reachability::Unreachable { since, reason } => {
            (ServiceState::Unreachable, Some(*since), Some(reason.clone()))
        }
    };
    let since = since.and_then(|since| since.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs());
    let unchanged = before.filter(|before| before.state == state).map(|before| before.since);
    ServiceStatus {
        address: Some(place::OnionAddress(*service.address().as_bytes())),
        state,
        since: since.or(unchanged).unwrap_or_else(driver::now),
        detail,
    }
}
