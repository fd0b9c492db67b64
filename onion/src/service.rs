//! Onion services of this process: launch, change who may find them, launch again.

mod arti;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::Stream;
use tokio::sync::mpsc;
use tor_config::Reconfigure;
use tor_hsservice::{HsNickname, RendRequest, RunningOnionService};

use crate::{
    DescriptorPublicKey, DescriptorSecret, OnionAddress, OnionKey, OnionStream, PortTaken, Tor, chain,
    door::{self, Ports},
    echo,
    task::OwnedTask,
};

/// Most clients of a restricted service. About 160 fit the descriptor of 50 kB; one is our own self-check.
pub const MAX_DESCRIPTOR_KEYS: usize = 159;
/// Arti's number of introduction points, and the number that makes it publish a new descriptor.
const INTRODUCTION_POINTS: [u8; 2] = [3, 4];
/// Doors of earlier launches kept open for callers who are still inside.
const MAX_OLD_DOORS: usize = 4;

/// Who may find a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever knows the address.
    Open,
    /// Only holders of these keys (Tor restricted discovery), at most [`MAX_DESCRIPTOR_KEYS`]; none is
    /// allowed. This hides the door and is no access control: who found it once may find it for hours.
    Restricted(Vec<DescriptorPublicKey>),
}

/// What a service is launched with.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Names the service in this process and its state folder: 1 to 32 of `a-z 0-9 - _`. Another key needs
    /// another nickname until the process ends.
    pub nickname: String,
    /// The service's identity.
    pub key: OnionKey,
    /// Who may find it.
    pub access: Access,
    /// A port that echoes, for diagnosis.
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

/// A running onion service. Cheap to clone; it ends when the last clone and the listeners are dropped.
#[derive(Clone)]
pub struct OnionService(Arc<Inner>);

struct Inner {
    tor: Tor,
    nickname: HsNickname,
    address: OnionAddress,
    ports: Arc<Ports>,
    /// Opens the descriptor of a restricted service for our own self-check.
    self_check: Option<DescriptorSecret>,
    life: Mutex<Life>,
    _echo: Option<OwnedTask>,
}

/// What a relaunch replaces.
struct Life {
    access: Access,
    introduction_points: u8,
    running: Option<Arc<RunningOnionService>>,
    door: Option<OwnedTask>,
    old_doors: Vec<OwnedTask>,
}

/// Streams that callers opened to one port. Dropping it closes the port.
#[derive(Debug)]
pub struct PortListener {
    address: OnionAddress,
    port: u16,
    streams: mpsc::Receiver<OnionStream>,
    service: OnionService,
}

impl Tor {
    /// Launches an onion service. It is reachable once its descriptor is published, usually within seconds;
    /// [`watch`](crate::reachability::watch) tells when.
    pub async fn launch(&self, config: ServiceConfig) -> Result<OnionService, LaunchError> {
        let nickname = arti::nickname(&config.nickname)?;
        let address = config.key.address();
        let ports = Arc::new(Ports::default());
        let echo = config.echo_port.map(|port| ports.listen(port)).transpose()?;
        let self_check = match &config.access {
            Access::Open => None,
            Access::Restricted(_) => Some(arti::new_secret()?),
        };
        let life = Life {
            access: config.access,
            introduction_points: INTRODUCTION_POINTS[0],
            running: None,
            door: None,
            old_doors: Vec::new(),
        };
        let arti = arti::config(&nickname, &life, self_check.as_ref())?;
        let (running, requests) = self.launch_arti(arti, &config.nickname, config.key).await?;
        let service = OnionService(Arc::new(Inner {
            tor: self.clone(),
            nickname,
            address,
            ports,
            self_check,
            life: Mutex::new(life),
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
    /// The service's address.
    pub fn address(&self) -> OnionAddress {
        self.0.address
    }

    /// The Tor client the service runs on.
    pub fn tor(&self) -> &Tor {
        &self.0.tor
    }

    /// Listens on a port. Streams to ports nobody listens on are turned away.
    pub fn listen(&self, port: u16) -> Result<PortListener, PortTaken> {
        let streams = self.0.ports.listen(port)?;
        Ok(PortListener { address: self.0.address, port, streams, service: self.clone() })
    }

    /// Replaces the clients of a restricted service, without a restart.
    ///
    /// A new key works once the next descriptor is uploaded: at once, or after up to about 77 s if one was
    /// uploaded in the last minute. A key taken away stops finding the service at about the same time; whoever
    /// is connected stays connected, so revocation is for the layer above.
    pub fn set_descriptor_keys(&self, keys: Vec<DescriptorPublicKey>) -> Result<(), LaunchError> {
        let mut life = self.0.life();
        if life.access == Access::Open {
            return Err(LaunchError::NotRestricted);
        }
        let before = std::mem::replace(&mut life.access, Access::Restricted(keys));
        let done = self.0.reconfigure(&life);
        if done.is_err() {
            life.access = before;
        }
        done
    }

    /// Whether Arti believes the service to be reachable. It may say no for minutes while all is well.
    pub fn is_published(&self) -> bool {
        let life = self.0.life();
        life.running.as_ref().is_some_and(|service| service.status().state().is_fully_reachable())
    }

    /// Makes Arti publish a new descriptor, by asking for one introduction point more, or less the next time.
    ///
    /// [`watch`](crate::reachability::watch) does this when it is needed.
    pub fn republish(&self) -> Result<(), LaunchError> {
        let mut life = self.0.life();
        let [usual, other] = INTRODUCTION_POINTS;
        life.introduction_points = if life.introduction_points == usual { other } else { usual };
        self.0.reconfigure(&life)
    }

    /// Ends the service in Arti and launches it anew, under the same address and with the same listeners; who is
    /// connected stays so. [`watch`](crate::reachability::watch) does this when it is needed.
    pub async fn relaunch(&self) -> Result<(), LaunchError> {
        let config = {
            let mut life = self.0.life();
            life.running = None;
            life.introduction_points = INTRODUCTION_POINTS[0];
            arti::config(&self.0.nickname, &life, self.0.self_check.as_ref())?
        };
        let (running, requests) = self.0.tor.launch_again(config).await?;
        self.0.open(running, requests);
        tracing::info!(address = %self.0.address.scrubbed(), "onion service relaunched");
        Ok(())
    }
}

impl Inner {
    fn open(
        &self,
        running: Arc<RunningOnionService>,
        requests: impl Stream<Item = RendRequest> + Send + 'static,
    ) {
        let door = OwnedTask::spawn(door::serve(requests, self.ports.clone()));
        let mut life = self.life();
        life.running = Some(running);
        let old = life.door.replace(door);
        life.old_doors.extend(old);
        life.old_doors.retain(|door| !door.is_finished());
        let surplus = life.old_doors.len().saturating_sub(MAX_OLD_DOORS);
        life.old_doors.drain(..surplus);
    }

    fn reconfigure(&self, life: &Life) -> Result<(), LaunchError> {
        let config = arti::config(&self.nickname, life, self.self_check.as_ref())?;
        let Some(running) = &life.running else { return Ok(()) };
        running.reconfigure(config, Reconfigure::AllOrNothing).map_err(|e| LaunchError::Arti(chain(&e)))
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// The next stream; `None` once the service is gone.
    pub async fn accept(&mut self) -> Option<OnionStream> {
        self.streams.recv().await
    }

    /// The address of the service.
    pub fn address(&self) -> OnionAddress {
        self.address
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The service it belongs to.
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
