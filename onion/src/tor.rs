//! The Tor client of a process.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use arti_client::{IsolationToken, KeystoreSelector, StreamPrefs, TorClient};
use tokio::time::Instant;
use tor_rtcompat::PreferredRuntime;

use crate::{
    BootstrapError, BootstrapProgress, DescriptorSecret, DialError, DialPolicy, OnionAddress, OnionStream,
    TorConfig, bootstrap, chain,
    dial::{AttemptError, Winner, race},
    dial_rtt::DialRtt,
    isolation::{CircuitRole, Isolation},
    state::{StateDir, private_dir},
};

/// A running Tor client. Cheap to clone; ends when the last clone is dropped (services hold one each).
///
/// Shut down in this order: stop accepting, drop streams, drop services, drop `Tor`, then end the runtime
/// with [`tokio::runtime::Runtime::shutdown_timeout`].
#[derive(Clone)]
pub struct Tor(Arc<Inner>);

/// What the clones of a [`Tor`] share.
struct Inner {
    /// Arti's client. It ends its tasks when the last reference to it is dropped.
    client: Arc<TorClient<PreferredRuntime>>,
    /// Which circuits belong to which peer and role.
    isolation: Isolation,
    /// How long dials on this network usually take; decides when a second attempt is started.
    dial_rtt: DialRtt,
    /// The address behind each nickname this process has launched: the ephemeral keystore holds one key for a
    /// nickname until the process ends.
    launched: Mutex<HashMap<String, OnionAddress>>,
    /// Descriptor keys in the keystore, so that adding one again is no error.
    discovery: Mutex<HashMap<OnionAddress, [u8; 32]>>,
    /// The lock on the state folder, held until the last clone is dropped.
    state: StateDir,
}

/// A descriptor key could not be handed to Arti.
#[derive(Clone, Debug, thiserror::Error)]
#[error("Tor did not take the descriptor key: {0}")]
pub struct DiscoveryKeyError(String);

impl Tor {
    /// Starts Tor and waits until it can dial.
    ///
    /// Locks the state folder first, so a second process gets a clear error. `progress` is called from this
    /// future each time there is news.
    ///
    /// # Errors
    /// The folder is in use or cannot be made private; the configuration is not usable; the clock
    /// is wrong; the network cannot be reached; or the time limit of `config` passed.
    pub async fn bootstrap(
        config: TorConfig,
        progress: impl Fn(BootstrapProgress),
    ) -> Result<Tor, BootstrapError> {
        bootstrap::install_crypto_provider();
        let state = StateDir::lock_soon(&config.state_dir).await?;
        private_dir(&config.cache_dir)?;
        let client = bootstrap::start(config.to_arti()?, config.bootstrap_limit, progress).await?;
        let inner = Inner {
            client,
            isolation: Isolation::default(),
            dial_rtt: DialRtt::default(),
            launched: Mutex::default(),
            discovery: Mutex::default(),
            state,
        };
        Ok(Tor(Arc::new(inner)))
    }

    /// Connects to `port` of an onion service by the rules of `policy`.
    ///
    /// A success keeps the circuits for the next dial of the same peer and role. A failure discards
    /// them, and so does dropping this future before it is done.
    ///
    /// # Errors
    /// No attempt succeeded within the limits of `policy`: see [`DialError::retry_after`].
    pub async fn connect(
        &self,
        to: &OnionAddress,
        port: u16,
        policy: &DialPolicy,
    ) -> Result<OnionStream, DialError> {
        let begin = Instant::now();
        let (to, isolation) = (*to, &self.0.isolation);
        let kept = isolation.kept(to, policy.role);
        let attempt = |token| async move {
            let mut prefs = StreamPrefs::new();
            prefs
                .connect_to_onion_services(arti_client::config::BoolOrAuto::Explicit(true))
                .set_isolation(token);
            let host = to.to_string();
            self.0.client.connect_with_prefs((host.as_str(), port), &prefs).await.map_err(AttemptError::from)
        };
        let guard = DiscardOnFailure { isolation, peer: to, role: policy.role, token: kept };
        let outcome =
            Box::pin(race(policy, self.0.dial_rtt.slow_after(policy.hedge_after), kept, attempt)).await;
        let elapsed = begin.elapsed();
        match outcome {
            Ok(Winner { stream, token, took_fresh }) => {
                guard.disarm();
                if let Some(took) = took_fresh {
                    self.0.dial_rtt.record(took);
                }
                isolation.keep(to, policy.role, token);
                tracing::debug!(peer = %to.scrubbed(), port, ms = elapsed.as_millis(), "connected");
                Ok(OnionStream::dialled(stream))
            }
            Err((AttemptError { kind, detail }, attempts)) => {
                tracing::debug!(peer = %to.scrubbed(), port, ?kind, %detail, attempts, "dial failed");
                Err(DialError { kind, to, port, detail, attempts, elapsed })
            }
        }
    }

    /// Discards all circuits to a peer: the next dial builds new ones and fetches the descriptor
    /// anew. Call it when a connection proves dead, for example after a ping without an answer.
    pub fn rotate(&self, peer: &OnionAddress) {
        self.0.isolation.rotate(*peer);
    }

    /// Discards the circuits to a peer in one role. Connections in use stay as they are.
    pub fn rotate_role(&self, peer: &OnionAddress, role: CircuitRole) {
        self.0.isolation.rotate_role(*peer, role);
    }

    /// Makes this client able to find a restricted service. The key replaces an earlier one for the
    /// same service; adding the same key again changes nothing.
    ///
    /// # Errors
    /// Arti's keystore refused the key.
    pub fn add_discovery_key(
        &self,
        onion: &OnionAddress,
        secret: &DescriptorSecret,
    ) -> Result<(), DiscoveryKeyError> {
        let public = *secret.public().as_bytes();
        let mut known = lock(&self.0.discovery);
        if known.get(onion) == Some(&public) {
            return Ok(());
        }
        let client = &self.0.client;
        let failed = |e: arti_client::Error| DiscoveryKeyError(chain(&e));
        client.remove_service_discovery_key(KeystoreSelector::Primary, onion.hs_id()).map_err(failed)?;
        client
            .insert_service_discovery_key(KeystoreSelector::Primary, onion.hs_id(), secret.hs_secret())
            .map_err(failed)?;
        known.insert(*onion, public);
        self.rotate(onion);
        Ok(())
    }

    /// Removes the descriptor key for a restricted service, and discards the circuits to it.
    ///
    /// # Errors
    /// Arti's keystore refused to remove the key.
    pub fn remove_discovery_key(&self, onion: &OnionAddress) -> Result<(), DiscoveryKeyError> {
        let removed = self.0.client.remove_service_discovery_key(KeystoreSelector::Primary, onion.hs_id());
        removed.map_err(|e| DiscoveryKeyError(chain(&e)))?;
        lock(&self.0.discovery).remove(onion);
        self.rotate(onion);
        Ok(())
    }

    /// From when until when the consensus is valid that Tor works with. None before there is one. One that was kept from an
    /// earlier process may have ended up to three days ago.
    #[must_use]
    pub fn consensus(&self) -> Option<(SystemTime, SystemTime)> {
        crate::clock::consensus(&self.0.client)
    }

    /// Arti's client, for the modules that launch services.
    pub(crate) fn client(&self) -> &TorClient<PreferredRuntime> {
        &self.0.client
    }

    /// The locked state folder.
    pub(crate) fn state(&self) -> &StateDir {
        &self.0.state
    }

    /// Nicknames launched in this process, with the address each belongs to.
    pub(crate) fn launched(&self) -> MutexGuard<'_, HashMap<String, OnionAddress>> {
        lock(&self.0.launched)
    }
}

/// Discards the circuits of a dial unless the dial succeeds, also when its future is dropped
/// half-way. Circuits on which a dial failed would fail the next one too.
struct DiscardOnFailure<'a> {
    isolation: &'a Isolation,
    peer: OnionAddress,
    role: CircuitRole,
    /// The circuits in use; `None` where the dial began on fresh ones, or succeeded.
    token: Option<IsolationToken>,
}

impl DiscardOnFailure<'_> {
    /// The dial succeeded: its circuits are kept.
    fn disarm(mut self) {
        self.token = None;
    }
}

impl Drop for DiscardOnFailure<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            self.isolation.discard(self.peer, self.role, token);
        }
    }
}

impl fmt::Debug for Tor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tor").field("services", &lock(&self.0.launched).len()).finish_non_exhaustive()
    }
}

/// Locks a map. A panic while it was locked cannot have left it half-changed, so poisoning is
/// ignored.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
