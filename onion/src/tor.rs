//! The Tor client of a process.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arti_client::{IsolationToken, KeystoreSelector, StreamPrefs, TorClient};
use tokio::time::Instant;
use tor_rtcompat::PreferredRuntime;

use crate::{
    BootstrapError, BootstrapProgress, DescriptorSecret, DialError, DialPolicy, OnionAddress, OnionStream,
    TorConfig, bootstrap, chain,
    dial::{AttemptError, Winner, race},
    isolation::{Isolation, Role},
    pace::Pace,
    state::{StateDir, private_dir},
};

/// A running Tor client. Cheap to clone; ends when the last clone is dropped (services hold one each).
///
/// Shut down in this order: stop accepting, drop streams, drop services, drop `Tor`, then end the runtime
/// with [`tokio::runtime::Runtime::shutdown_timeout`].
#[derive(Clone)]
pub struct Tor(Arc<Inner>);

struct Inner {
    client: Arc<TorClient<PreferredRuntime>>,
    isolation: Isolation,
    pace: Pace,
    /// The address behind each nickname this process has launched: the ephemeral keystore holds one key for a
    /// nickname until the process ends.
    launched: Mutex<HashMap<String, OnionAddress>>,
    /// Descriptor keys in the keystore, so that adding one again is no error.
    discovery: Mutex<HashMap<OnionAddress, [u8; 32]>>,
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
            pace: Pace::default(),
            launched: Mutex::default(),
            discovery: Mutex::default(),
            state,
        };
        Ok(Tor(Arc::new(inner)))
    }

    /// Connects to an onion service by the rules of `policy`.
    ///
    /// A success keeps the circuits for the next dial of the same peer and role; a failure gives them up.
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
        let doubt = Doubt { isolation, peer: to, role: policy.role, token: kept };
        let outcome = Box::pin(race(policy, self.0.pace.slow_after(policy.hedge_after), kept, attempt)).await;
        let elapsed = begin.elapsed();
        match outcome {
            Ok(Winner { stream, token, took_fresh }) => {
                doubt.dispel();
                if let Some(took) = took_fresh {
                    self.0.pace.learn(took);
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

    /// Gives up all circuits to a peer: the next dial starts anew. Call it when a connection proves dead (a
    /// ping without answer).
    pub fn rotate(&self, peer: &OnionAddress) {
        self.0.isolation.rotate(*peer);
    }

    /// Gives up the circuits to a peer in one role.
    pub fn rotate_role(&self, peer: &OnionAddress, role: Role) {
        self.0.isolation.rotate_role(*peer, role);
    }

    /// Makes this client able to find a restricted service. Replaces an earlier key for the same service.
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

    /// Forgets the key for a restricted service.
    pub fn remove_discovery_key(&self, onion: &OnionAddress) -> Result<(), DiscoveryKeyError> {
        let removed = self.0.client.remove_service_discovery_key(KeystoreSelector::Primary, onion.hs_id());
        removed.map_err(|e| DiscoveryKeyError(chain(&e)))?;
        lock(&self.0.discovery).remove(onion);
        self.rotate(onion);
        Ok(())
    }

    pub(crate) fn client(&self) -> &TorClient<PreferredRuntime> {
        &self.0.client
    }

    pub(crate) fn state(&self) -> &StateDir {
        &self.0.state
    }

    pub(crate) fn launched(&self) -> MutexGuard<'_, HashMap<String, OnionAddress>> {
        lock(&self.0.launched)
    }
}

/// Gives up the circuits in use unless the dial on them succeeds: also when the dial is dropped half-way.
struct Doubt<'a> {
    isolation: &'a Isolation,
    peer: OnionAddress,
    role: Role,
    token: Option<IsolationToken>,
}

impl Doubt<'_> {
    fn dispel(mut self) {
        self.token = None;
    }
}

impl Drop for Doubt<'_> {
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

/// Locks a map that a panic elsewhere cannot leave half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
