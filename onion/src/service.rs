//! Onion services of this process: launching, changing who may find them, relaunching.
//!
//! A service has one [`Inner`] for its whole existence; a relaunch replaces only what is in
//! [`Launch`]. Arti's keystore holds one key for a nickname until the process ends, hence the rules
//! for nicknames.

mod arti;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::Stream;
use tokio::sync::mpsc;
use tor_config::Reconfigure;
use tor_hsservice::{HsNickname, OnionServiceConfig, RendRequest, RunningOnionService};

use crate::{
    DescriptorPublicKey, DescriptorSecret, OnionAddress, OnionKey, OnionStream, PortTaken, Tor,
    acceptor::{self, Ports},
    chain, echo,
    task::OwnedTask,
};

/// Most clients of a restricted service. About 160 fit the descriptor of 50 kB; one is our own self-check.
pub const MAX_DESCRIPTOR_KEYS: usize = 159;
/// Arti's number of introduction points, and the number that makes it publish a new descriptor.
const INTRODUCTION_POINTS: [u8; 2] = [3, 4];
/// Acceptors of earlier launches kept for callers that are still connected. With more relaunches
/// than that, the oldest is aborted and its connections end.
const MAX_DRAINING: usize = 4;

/// Who may find a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceAccess {
    /// Whoever knows the address.
    Open,
    /// Only holders of these keys (Tor restricted discovery), at most [`MAX_DESCRIPTOR_KEYS`]; the
    /// list may be empty. This hides the service and is no access control: whoever found it once
    /// may find it for hours after the key was removed.
    Restricted(Vec<DescriptorPublicKey>),
}

/// What a service is launched with.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Names the service in this process and its state folder: 1 to 32 of `a-z 0-9 - _`. A service
    /// with another key needs another nickname until the process ends.
    pub nickname: String,
    /// The service's identity.
    pub key: OnionKey,
    /// Who may find it.
    pub access: ServiceAccess,
    /// A port that sends back what it receives, to measure round trips; `None` opens no such port.
    pub echo_port: Option<u16>,
}

/// Why a service did not start or change.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LaunchError {
    /// The nickname has other characters or another length.
    #[error("a service nickname has 1 to 32 characters of a-z, 0-9, - and _; this one is {0:?}")]
    Nickname(String),
    /// The nickname was launched with another key in this process.
    #[error(
        "the service name {0:?} belongs to another onion address until this process ends; use another name"
    )]
    NicknameTaken(String),
    /// A service with this nickname runs.
    #[error("the service {0:?} is running already; drop it first")]
    Running(String),
    /// Too many descriptor keys.
    #[error("a restricted service has at most {MAX_DESCRIPTOR_KEYS} clients; {0} keys were given")]
    TooManyKeys(usize),
    /// Keys were given to a service that is open.
    #[error("this service is open to all; it has no descriptor keys to set")]
    NotRestricted,
    /// The echo port is taken.
    #[error(transparent)]
    Port(#[from] PortTaken),
    /// The operating system gives no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(String),
    /// Arti refused.
    #[error("Tor did not launch the service: {0}")]
    Arti(String),
}

/// A running onion service. Cheap to clone; it ends when the last clone and the last listener are
/// dropped.
#[derive(Clone)]
pub struct OnionService(Arc<Inner>);

/// What the clones of a service share.
struct Inner {
    tor: Tor,
    nickname: HsNickname,
    address: OnionAddress,
    /// The listeners. They stay across relaunches.
    ports: Arc<Ports>,
    /// Opens the descriptor of a restricted service for our own self-check.
    self_check: Option<DescriptorSecret>,
    launch: Mutex<Launch>,
    _echo: Option<OwnedTask>,
}

/// The state of the current launch: what a relaunch replaces.
struct Launch {
    /// Who may find the service now.
    access: ServiceAccess,
    /// How many introduction points Arti was asked for: one of [`INTRODUCTION_POINTS`].
    introduction_points: u8,
    /// Arti's service; `None` between the end of one launch and the next.
    running: Option<Arc<RunningOnionService>>,
    /// The task that accepts callers of the current launch.
    acceptor: Option<OwnedTask>,
    /// The tasks of earlier launches: they accept nobody new and serve who is connected.
    draining: Vec<OwnedTask>,
}

/// Streams that callers opened to one port. Dropping it closes the port; streams accepted before
/// stay.
#[derive(Debug)]
pub struct PortListener {
    address: OnionAddress,
    port: u16,
    streams: mpsc::Receiver<OnionStream>,
    service: OnionService,
}

impl Tor {
    /// Launches an onion service. It is reachable once its descriptor is published, usually within
    /// seconds; [`watch`](crate::reachability::watch) reports when.
    ///
    /// # Errors
    /// The nickname is malformed, in use or belongs to another key; there are too many descriptor
    /// keys; or Arti refused to launch the service.
    pub async fn launch(&self, config: ServiceConfig) -> Result<OnionService, LaunchError> {
        let nickname = arti::nickname(&config.nickname)?;
        let address = config.key.address();
        let ports = Arc::new(Ports::default());
        let echo = config.echo_port.map(|port| ports.listen(port)).transpose()?;
        let self_check = match &config.access {
            ServiceAccess::Open => None,
            ServiceAccess::Restricted(_) => Some(arti::new_secret()?),
        };
        let launch = Launch {
            access: config.access,
            introduction_points: INTRODUCTION_POINTS[0],
            running: None,
            acceptor: None,
            draining: Vec::new(),
        };
        let arti = arti::config(&nickname, &launch, self_check.as_ref())?;
        let (running, requests) = self.launch_arti(arti, &config.nickname, config.key).await?;
        let service = OnionService(Arc::new(Inner {
            tor: self.clone(),
            nickname,
            address,
            ports,
            self_check,
            launch: Mutex::new(launch),
            _echo: echo.map(|streams| OwnedTask::spawn(echo::serve(streams))),
        }));
        service.0.open(running, requests);
        if let Some(secret) = &service.0.self_check {
            self.add_discovery_key(&address, secret).map_err(|e| LaunchError::Arti(e.to_string()))?;
        }
        tracing::info!(service = %config.nickname, address = %address.scrubbed(), "onion service launched");
        Ok(service)
    }
}

impl OnionService {
    /// The address of the service. It follows from the key and never changes.
    #[must_use]
    pub fn address(&self) -> OnionAddress {
        self.0.address
    }

    /// The Tor client that the service runs on.
    #[must_use]
    pub fn tor(&self) -> &Tor {
        &self.0.tor
    }

    /// Listens on a port. Streams to ports without a listener are rejected.
    ///
    /// # Errors
    /// The port has a listener already.
    pub fn listen(&self, port: u16) -> Result<PortListener, PortTaken> {
        let streams = self.0.ports.listen(port)?;
        Ok(PortListener { address: self.0.address, port, streams, service: self.clone() })
    }

    /// Replaces the clients of a restricted service, without a restart.
    ///
    /// A new key works once the next descriptor is uploaded: at once, or after up to about 77 s if
    /// one was uploaded in the last minute. A removed key stops finding the service at about the
    /// same time. Open connections stay open, so revocation is up to the layer above.
    ///
    /// # Errors
    /// The service is open to all, there are too many keys, or Arti refused; the clients are then
    /// as before.
    pub fn set_descriptor_keys(&self, keys: Vec<DescriptorPublicKey>) -> Result<(), LaunchError> {
        let mut launch = self.0.launch();
        if launch.access == ServiceAccess::Open {
            return Err(LaunchError::NotRestricted);
        }
        let before = std::mem::replace(&mut launch.access, ServiceAccess::Restricted(keys));
        let done = self.0.reconfigure(&launch);
        if done.is_err() {
            launch.access = before;
        }
        done
    }

    /// Whether Arti believes the service to be reachable. It may say no for minutes while the
    /// service is reachable.
    #[must_use]
    pub fn is_published(&self) -> bool {
        let launch = self.0.launch();
        launch.running.as_ref().is_some_and(|service| service.status().state().is_fully_reachable())
    }

    /// Makes Arti publish a new descriptor, by asking for one introduction point more, or one less
    /// the next time. [`watch`](crate::reachability::watch) does this when it is needed.
    ///
    /// # Errors
    /// Arti refused the changed configuration.
    pub fn republish(&self) -> Result<(), LaunchError> {
        let mut launch = self.0.launch();
        let [usual, other] = INTRODUCTION_POINTS;
        launch.introduction_points = if launch.introduction_points == usual { other } else { usual };
        self.0.reconfigure(&launch)
    }

    /// Ends the service in Arti and launches it anew, under the same address and with the same
    /// listeners. Open connections stay open. [`watch`](crate::reachability::watch) does this when
    /// it is needed.
    ///
    /// # Errors
    /// Arti did not release the old service within five seconds, refused to launch the new one, or refused to change it
    /// to what was set meanwhile.
    pub async fn relaunch(&self) -> Result<(), LaunchError> {
        let config = {
            let mut launch = self.0.launch();
            launch.running = None;
            launch.introduction_points = INTRODUCTION_POINTS[0];
            arti::config(&self.0.nickname, &launch, self.0.self_check.as_ref())?
        };
        let (running, requests) = self.0.tor.launch_again(config.clone()).await?;
        self.0.open(running, requests);
        self.0.catch_up(&config)?;
        tracing::info!(address = %self.0.address.scrubbed(), "onion service relaunched");
        Ok(())
    }
}

impl Inner {
    /// Starts accepting for a new launch, and lets the acceptor of the one before drain.
    fn open(
        &self,
        running: Arc<RunningOnionService>,
        requests: impl Stream<Item = RendRequest> + Send + 'static,
    ) {
        let acceptor = OwnedTask::spawn(acceptor::serve(requests, self.ports.clone()));
        let mut launch = self.launch();
        launch.running = Some(running);
        let old = launch.acceptor.replace(acceptor);
        launch.draining.extend(old);
        launch.draining.retain(|acceptor| !acceptor.is_finished());
        let surplus = launch.draining.len().saturating_sub(MAX_DRAINING);
        launch.draining.drain(..surplus);
    }

    /// Hands the configuration that follows from `launch` to the running service. Does nothing
    /// between two launches: the next one reads the same state, or catches up with it.
    fn reconfigure(&self, launch: &Launch) -> Result<(), LaunchError> {
        let config = arti::config(&self.nickname, launch, self.self_check.as_ref())?;
        let Some(running) = &launch.running else { return Ok(()) };
        running.reconfigure(config, Reconfigure::AllOrNothing).map_err(|e| LaunchError::Arti(chain(&e)))
    }

    /// Changes the service that was launched with `launched` where something else was set meanwhile.
    fn catch_up(&self, launched: &OnionServiceConfig) -> Result<(), LaunchError> {
        let launch = self.launch();
        if arti::config(&self.nickname, &launch, self.self_check.as_ref())? == *launched {
            return Ok(());
        }
        self.reconfigure(&launch)
    }

    /// The state of the current launch, locked.
    fn launch(&self) -> MutexGuard<'_, Launch> {
        self.launch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Before the service itself goes: a successor's key is added only after that.
        if self.self_check.is_some()
            && let Err(error) = self.tor.remove_discovery_key(&self.address)
        {
            tracing::debug!(%error, "the self-check key of an onion service stays");
        }
    }
}

impl PortListener {
    /// The next stream; `None` once the service has ended.
    pub async fn accept(&mut self) -> Option<OnionStream> {
        self.streams.recv().await
    }

    /// The address of the service.
    #[must_use]
    pub fn address(&self) -> OnionAddress {
        self.address
    }

    /// The port that this listener serves.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The service that this listener belongs to.
    #[must_use]
    pub fn service(&self) -> &OnionService {
        &self.service
    }
}

impl Stream for PortListener {
    type Item = OnionStream;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<OnionStream>> {
        self.streams.poll_recv(cx)
    }
}

impl fmt::Debug for OnionService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnionService").field("address", &self.0.address).finish_non_exhaustive()
    }
}
