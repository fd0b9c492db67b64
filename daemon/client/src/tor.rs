//! From keys to a transport: starts Tor in this process and points it at one pod.

use std::{path::Path, time::Duration};

use autonomy_api::APP_PORT;
use autonomy_onion::{
    BootstrapProgress, BridgeTransport, CircuitRole, DescriptorSecret, DialPolicy, OnionAddress,
    PrivateNetwork, Tor, TorConfig, TorNetwork,
    https::{HttpsClient, Server, TlsIdentity},
};

use super::Transport;
use crate::agent::{Setup, setup::BridgeProgram};

/// Starts Tor and gives the way to the pod of `setup`. Nothing is dialled yet.
///
/// Tor runs as long as the transport or a clone of it lives.
///
/// # Errors
/// [`LinkError`] says what is wrong and what to do.
pub async fn link(setup: &Setup, progress: impl Fn(BootstrapProgress)) -> Result<Transport, LinkError> {
    let tor = Tor::bootstrap(config(setup)?, progress).await.map_err(LinkError::of)?;
    let onion = OnionAddress::from_public_key(setup.app_onion);
    let secret = DescriptorSecret::from_bytes(setup.descriptor_secret);
    tor.add_discovery_key(&onion, &secret).map_err(LinkError::of)?;
    let server = Server { onion, port: APP_PORT, key: setup.pod_key };
    let identity = TlsIdentity::from_seed(&setup.device_seed).map_err(LinkError::of)?;
    let client = HttpsClient::new(&tor, server, &identity, DialPolicy::new(CircuitRole::APP))
        .map_err(LinkError::of)?;
    Ok(Transport::onion(client))
}

fn config(setup: &Setup) -> Result<TorConfig, LinkError> {
    let mut config = TorConfig::new(&setup.tor_dir);
    if let Some(text) = &setup.tor_network {
        let network = PrivateNetwork::parse(text).map_err(LinkError::of)?;
        config = config.with_network(TorNetwork::Private(network));
    }
    config.bridges.clone_from(&setup.bridges);
    let programs = setup.bridge_programs.iter().cloned();
    config.transports = programs
        .map(|BridgeProgram { protocols, program, arguments }| BridgeTransport {
            protocols,
            program,
            arguments,
        })
        .collect();
    if let Some(seconds) = setup.bootstrap_seconds {
        config.bootstrap_limit = Duration::from_secs(seconds);
    }
    Ok(config)
}

/// The text of a private network's file, checked.
///
/// # Errors
/// [`LinkError`] names the file and the rule it breaks.
pub fn read_network(path: &Path) -> Result<String, LinkError> {
    PrivateNetwork::load(path).map(|network| network.to_toml()).map_err(LinkError::of)
}

/// Tor did not start, or its keys or network are wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LinkError(String);

impl LinkError {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}
