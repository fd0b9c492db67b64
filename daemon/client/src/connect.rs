//! From a profile to a device that reaches its pod over Tor.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use autonomy_onion::BootstrapProgress;

use crate::{
    Device, PodClient, Profile,
    agent::{Setup, setup::BridgeProgram},
    tor::{self, LinkError},
};

/// Time without a request after which an agent ends, where nothing else is set.
const DEFAULT_AGENT_IDLE: Duration = Duration::from_secs(10 * 60);

/// How a device reaches Tor.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// File that describes a private Tor network; the public one where absent.
    pub network_file: Option<PathBuf>,
    /// Bridge lines; if any, only bridges are used.
    pub bridges: Vec<String>,
    /// Programs that speak the bridges' protocols.
    pub bridge_programs: Vec<BridgeProgram>,
    /// Seconds that a start of Tor may take; the usual limit where absent.
    pub bootstrap_seconds: Option<u64>,
    /// Time without a request after which an agent ends.
    pub agent_idle: Duration,
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            network_file: None,
            bridges: Vec::new(),
            bridge_programs: Vec::new(),
            bootstrap_seconds: None,
            agent_idle: DEFAULT_AGENT_IDLE,
        }
    }
}

impl Profile {
    /// What it takes to reach the pod over Tor as this device: for an agent, or for [`tor::link`] in this process.
    ///
    /// # Errors
    /// The profile has no pod, or the file of a private Tor network is wrong.
    pub fn setup(&self, settings: &LinkSettings) -> Result<Setup, ConnectError> {
        let pod = self.pod().ok_or(ConnectError::NoPod)?;
        let tor_network = settings.network_file.as_deref().map(tor::read_network).transpose()?;
        Ok(Setup {
            device_seed: self.device_key().to_bytes(),
            descriptor_secret: *pod.descriptor_secret(),
            app_onion: *pod.app_onion(),
            pod_key: *pod.pod_key().as_bytes(),
            tor_network,
            bridges: settings.bridges.clone(),
            bridge_programs: settings.bridge_programs.clone(),
            bootstrap_seconds: settings.bootstrap_seconds,
            tor_dir: self.dir().join("tor"),
            socket: agent_socket(self.dir()),
            idle_seconds: settings.agent_idle.as_secs(),
        })
    }
}

impl Device {
    /// Starts Tor in this process and points it at the device's pod. Nothing is dialled yet. Tor runs as long as the
    /// device or a clone of its client lives; an agent must not run for the same profile meanwhile.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(
        profile: Profile,
        settings: &LinkSettings,
        progress: impl Fn(BootstrapProgress),
    ) -> Result<Self, ConnectError> {
        let transport = tor::link(&profile.setup(settings)?, progress).await?;
        Ok(Self { profile, pod: PodClient::new(transport) })
    }
}

/// Where the agent of a profile listens.
#[must_use]
pub fn agent_socket(profile_dir: &Path) -> PathBuf {
    profile_dir.join("agent.sock")
}

/// Why a device cannot reach its pod.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It belongs to none.
    #[error("this device has no pod yet")]
    NoPod,
    /// Tor does not start, or its settings are wrong.
    #[error(transparent)]
    Link(#[from] LinkError),
}
