//! The two onion services of a pod: launched when it has an owner, kept current, watched, told about.

use std::{sync::Arc, time::UNIX_EPOCH};

use autonomy_messaging::{place::PLACE_PORT, wire::PROTOCOL};
use autonomy_onion::{
    Access, DescriptorPublicKey, OnionKey, OnionService, ServiceConfig, Tor,
    https::{self, ClientGate, OnionTlsListener, TlsIdentity},
    peers::PeerServer,
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

use super::PodError;
use crate::{
    driver::{self, Admitted, Handle},
    peers::{
        NetworkHandle,
        door::{self, Counter},
        tor::OverTor,
    },
    relay::Relay,
    server::routes::OnionState,
};
use autonomy_api::{APP_PORT, DeviceKey, ServiceState, ServiceStatus, place};
use autonomy_node::{Caller, Owner};

/// The port of the echo, where it is asked for.
pub const ECHO_PORT: u16 = 7;
/// Pause between two tries to launch the services.
const LAUNCH_RETRY: std::time::Duration = std::time::Duration::from_secs(10);
/// Bytes of the hash that a nickname carries: 64 bits, so that two of a thousand services meet once in 10^13.
const NICKNAME_BYTES: usize = 8;

/// What the services are made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) pod_seed: Zeroizing<[u8; 32]>,
    pub(super) owner: Owner,
    pub(super) echo: bool,
    /// Leads to the node what peers ask, and places what the node asks.
    pub(super) network: Option<NetworkHandle>,
    /// Keeps frames for others.
    pub(super) relay: Option<Relay>,
}

/// Launches both services and runs them, again and again if it must, until `stop` turns true.
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

async fn run(
    tor: &Tor,
    parts: &Parts,
    handle: &Handle,
    router: Router,
    onion: &watch::Sender<OnionState>,
    stop: watch::Receiver<bool>,
) -> Result<(), PodError> {
    let failed = |error: &dyn std::fmt::Display| PodError::system("launching the onion services", error);
    let app = launch_app(tor, parts, handle).await?;
    let key = OnionKey::from_seed(*parts.owner.peer_seed);
    let peer_config =
        ServiceConfig { nickname: nickname("peer", &key), key, access: Access::Open, echo_port: None };
    let peer = tor.launch(peer_config).await.map_err(|error| failed(&error))?;
    let door = peer.listen(PLACE_PORT).map_err(|error| failed(&error))?;
    let door = PeerServer::start(door, &parts.pod_seed, PROTOCOL).map_err(|error| failed(&error))?;
    let identity = TlsIdentity::from_seed(&parts.pod_seed).map_err(|error| failed(&error))?;
    let listener = app.listen(APP_PORT).map_err(|error| failed(&error))?;
    let streams = stream::unfold(listener, async |mut listener| Some((listener.accept().await?, listener)));
    let tls = OnionTlsListener::new(streams, &identity, gate(handle)).map_err(|error| failed(&error))?;

    let watches = [reachability::watch(app.clone()), reachability::watch(peer.clone())];
    tell(onion, &app, &peer, &watches);
    let mut tasks = JoinSet::new();
    tasks.spawn(serve_app(tls, router, stop.clone()));
    let counter = Counter::new(parts.network.as_ref(), parts.relay.clone());
    tasks.spawn(door::serve(door, counter, stop.clone()));
    if let Some(network) = &parts.network {
        network.attach(Some(Arc::new(OverTor::new(tor))));
    }
    tasks.spawn(keep_current(app.clone(), handle.admitted(), stop.clone()));
    let mut changes = [watches[0].subscribe(), watches[1].subscribe()];
    let mut stop = stop;
    loop {
        let [app_change, peer_change] = &mut changes;
        tokio::select! {
            _ = app_change.changed() => tell(onion, &app, &peer, &watches),
            _ = peer_change.changed() => tell(onion, &app, &peer, &watches),
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    if let Some(network) = &parts.network {
        network.attach(None);
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

async fn launch_app(tor: &Tor, parts: &Parts, handle: &Handle) -> Result<OnionService, PodError> {
    let key = OnionKey::from_seed(*parts.owner.app_seed);
    let config = ServiceConfig {
        nickname: nickname("app", &key),
        key,
        access: Access::Restricted(descriptor_keys(&handle.admitted().borrow())),
        echo_port: parts.echo.then_some(ECHO_PORT),
    };
    tor.launch(config).await.map_err(|error| PodError::system("launching the app onion service", error))
}

/// Names a service in this process and in Tor's state folder, so that pods on one Tor client do not meet. A hash, since
/// names stand in logs, where an onion address has no place.
fn nickname(service: &str, key: &OnionKey) -> String {
    let hash = sha256::Hash::hash(key.address().to_string().as_bytes());
    format!("{service}-{}", HEXLOWER.encode(&hash.as_byte_array()[..NICKNAME_BYTES]))
}

/// Who may finish a TLS handshake now. Each request is checked by the node again.
fn gate(handle: &Handle) -> ClientGate {
    let admitted = handle.admitted();
    Arc::new(move |key| admitted.borrow().devices.contains_key(&DeviceKey(*key)))
}

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

/// The key of the caller's certificate becomes the [`Caller`] of the request.
async fn name_caller(
    ConnectInfo(caller): ConnectInfo<https::Caller>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(Caller::Device(DeviceKey(caller.0)));
    next.run(request).await
}

/// Publishes the descriptor anew when devices come or go.
async fn keep_current(
    app: OnionService,
    mut admitted: watch::Receiver<Admitted>,
    mut stop: watch::Receiver<bool>,
) {
    let mut published = descriptor_keys(&admitted.borrow_and_update());
    loop {
        tokio::select! {
            changed = admitted.changed() => if changed.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let keys = descriptor_keys(&admitted.borrow_and_update());
        if keys == published {
            continue;
        }
        match app.set_descriptor_keys(keys.clone()) {
            Ok(()) => published = keys,
            Err(error) => tracing::error!("the descriptor keys cannot be changed: {error}"),
        }
    }
}

fn descriptor_keys(admitted: &Admitted) -> Vec<DescriptorPublicKey> {
    admitted.descriptor_keys.iter().map(|key| DescriptorPublicKey::from_bytes(*key)).collect()
}

fn tell(onion: &watch::Sender<OnionState>, app: &OnionService, peer: &OnionService, watches: &[Report; 2]) {
    onion.send_modify(|state| {
        state.app = Some(service_status(app, &watches[0].now(), state.app.as_ref()));
        state.peer = Some(service_status(peer, &watches[1].now(), state.peer.as_ref()));
    });
}

fn service_status(
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
