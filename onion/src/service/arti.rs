//! The part of a launch that speaks to Arti: nicknames, keys, and the translation of a service's
//! settings.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::stream::BoxStream;
use rand_core::RngCore as _;
use tokio::time::sleep;
use tor_hsservice::{
    HsNickname, OnionServiceConfig, RendRequest, RunningOnionService, config::OnionServiceConfigBuilder,
    config::restricted_discovery::HsClientNickname,
};

use super::{Launch, LaunchError, MAX_DESCRIPTOR_KEYS, ServiceAccess};
use crate::{DescriptorSecret, OnionKey, Tor, chain};

/// Streams one circuit may have open, beyond which Tor closes the circuit. A device needs one, a libp2p peer one
/// for each connection; twice [`MAX_WAITING`](crate::MAX_WAITING), so that a full queue is met first.
const STREAMS_PER_CIRCUIT: u32 = 128;
/// How often a relaunch is tried. A dropped service releases its state within about 250 ms.
const RELEASE_TRIES: u32 = 50;
/// Pause between two tries.
const RELEASE_PAUSE: Duration = Duration::from_millis(100);

impl Tor {
    /// Launches a service. The first launch of a nickname in this process hands over the key; later
    /// ones find it in the keystore.
    ///
    /// # Errors
    /// The nickname belongs to another key; state of an earlier run cannot be removed; or Arti
    /// refused.
    pub(super) async fn launch_arti(
        &self,
        config: OnionServiceConfig,
        nickname: &str,
        key: OnionKey,
    ) -> Result<(Arc<RunningOnionService>, BoxStream<'static, RendRequest>), LaunchError> {
        let address = key.address();
        let known = self.launched().get(nickname).copied();
        match known {
            Some(other) if other != address => return Err(LaunchError::NicknameTaken(nickname.to_owned())),
            Some(_) => return self.launch_again(config).await,
            None => {}
        }
        let forgotten = self.state().forget_introduction_points(nickname);
        forgotten.map_err(|e| LaunchError::Arti(format!("cannot clear the state of an earlier run: {e}")))?;
        let launched = self.client().launch_onion_service_with_hsid(config, key.hs_keypair());
        let (service, requests) = launched.map_err(|e| LaunchError::Arti(chain(&e)))?.ok_or_else(disabled)?;
        self.launched().insert(nickname.to_owned(), address);
        Ok((service, Box::pin(requests)))
    }

    /// Launches a service whose key the keystore holds, waiting up to five seconds for its
    /// predecessor to release the state.
    ///
    /// # Errors
    /// The predecessor still runs, or Arti refused.
    pub(super) async fn launch_again(
        &self,
        config: OnionServiceConfig,
    ) -> Result<(Arc<RunningOnionService>, BoxStream<'static, RendRequest>), LaunchError> {
        use arti_client::{ErrorKind, HasKind as _};
        for _ in 0..RELEASE_TRIES {
            match self.client().launch_onion_service(config.clone()) {
                Ok(launched) => {
                    let (service, requests) = launched.ok_or_else(disabled)?;
                    return Ok((service, Box::pin(requests)));
                }
                Err(e) if e.kind() == ErrorKind::LocalResourceAlreadyInUse => sleep(RELEASE_PAUSE).await,
                Err(e) => return Err(LaunchError::Arti(chain(&e))),
            }
        }
        Err(LaunchError::Running(config.nickname().to_string()))
    }
}

/// Checks a nickname: 1 to 32 of `a-z 0-9 - _`. It becomes the name of a folder, hence the short
/// list.
///
/// # Errors
/// The nickname has other characters or another length; the error shows at most 64 characters of
/// it.
pub(super) fn nickname(text: &str) -> Result<HsNickname, LaunchError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let bad = || LaunchError::Nickname(text.chars().take(64).collect());
    if text.is_empty() || text.len() > 32 || !text.chars().all(allowed) {
        return Err(bad());
    }
    HsNickname::new(text.to_owned()).map_err(|_| bad())
}

/// Arti's configuration for a launch. `self_check` is the key of our own self-dials; it is added to
/// the clients of a restricted service.
///
/// # Errors
/// There are more than [`MAX_DESCRIPTOR_KEYS`] keys, or Arti rejects the result.
pub(super) fn config(
    nickname: &HsNickname,
    launch: &Launch,
    self_check: Option<&DescriptorSecret>,
) -> Result<OnionServiceConfig, LaunchError> {
    let mut config = OnionServiceConfigBuilder::default();
    config
        .nickname(nickname.clone())
        .num_intro_points(launch.introduction_points)
        .max_concurrent_streams_per_circuit(STREAMS_PER_CIRCUIT);
    if let (ServiceAccess::Restricted(keys), Some(self_check)) = (&launch.access, self_check) {
        let keys: BTreeSet<_> = keys.iter().copied().collect();
        if keys.len() > MAX_DESCRIPTOR_KEYS {
            return Err(LaunchError::TooManyKeys(keys.len()));
        }
        let restricted = config.restricted_discovery();
        restricted.enabled(true);
        let clients = restricted.static_keys().access();
        for (i, key) in keys.into_iter().chain([self_check.public()]).enumerate() {
            let name: HsClientNickname =
                format!("client-{i}").parse().map_err(|e| LaunchError::Arti(format!("{e}")))?;
            clients.push((name, key.hs_key()));
        }
    }
    config.build().map_err(|e| LaunchError::Arti(chain(&e)))
}

/// The error where Arti launches nothing because a configuration disables the service.
fn disabled() -> LaunchError {
    LaunchError::Arti("the service is disabled by its configuration".to_owned())
}

/// A descriptor key for our own self-dials. It is drawn at each launch and never leaves the
/// process.
///
/// # Errors
/// The operating system gives no randomness.
pub(super) fn new_secret() -> Result<DescriptorSecret, LaunchError> {
    let mut bytes = [0; 32];
    rand_core::OsRng.try_fill_bytes(&mut bytes).map_err(|e| LaunchError::Randomness(e.to_string()))?;
    Ok(DescriptorSecret::from_bytes(bytes))
}
