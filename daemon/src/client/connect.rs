//! From a profile to a device that reaches its pod.

use std::path::{Path, PathBuf};

use autonomy_onion::BootstrapProgress;

use super::{
    Device, PodClient, Profile, Transport,
    tor::{self, LinkError},
};
use crate::{
    agent::{Setup, setup::BridgeProgram},
    config::{Config, TransportSection},
};

impl Profile {
    /// What it takes to reach the pod over Tor as this device: for an agent, or for [`tor::link`] in this process.
    ///
    /// # Errors
    /// The profile has no pod, or the file of a private Tor network is wrong.
    pub fn setup(&self, config: &Config) -> Result<Setup, ConnectError> {
        let pod = self.pod().ok_or(ConnectError::NoPod)?;
        let tor_network = config.tor.network_file.as_deref().map(tor::read_network).transpose()?;
        let programs = config.tor.transports.iter().cloned();
        Ok(Setup {
            device_seed: self.device_key().to_bytes(),
            descriptor_secret: *pod.descriptor_secret(),
            app_onion: *pod.app_onion(),
            pod_key: *pod.pod_key().as_bytes(),
            tor_network,
            bridges: config.tor.bridges.clone(),
            bridge_programs: programs
                .map(|TransportSection { protocols, program, arguments }| BridgeProgram {
                    protocols,
                    program,
                    arguments,
                })
                .collect(),
            bootstrap_seconds: config.tor.bootstrap_seconds,
            tor_dir: self.dir().join("tor"),
            socket: agent_socket(self.dir()),
            idle_seconds: config.agent_idle().as_secs(),
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
        config: &Config,
        progress: impl Fn(BootstrapProgress),
    ) -> Result<Self, ConnectError> {
        let transport = tor::link(&profile.setup(config)?, progress).await?;
        Ok(Self { profile, pod: PodClient::new(transport) })
    }

    /// Reaches the pod by its own Unix socket.
    pub fn at_socket(profile: Profile, socket: &Path) -> Self {
        Self { profile, pod: PodClient::new(Transport::socket(socket)) }
    }
}

/// Where the agent of a profile listens.
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
