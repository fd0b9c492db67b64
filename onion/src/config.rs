//! What a Tor client must know before it starts, and its translation into Arti's configuration.

use std::{path::PathBuf, time::Duration};

use arti_client::config::{
    BoolOrAuto, BridgeConfigBuilder, BridgeParseError, CfgPath, TorClientConfig, TorClientConfigBuilder,
    dir::FallbackDirBuilder, pt::TransportConfigBuilder,
};

use crate::{
    bootstrap::BootstrapError,
    network::{PrivateNetwork, TorNetwork},
};

/// Time for a first start on the public network over a slow line. The directory is about 2 MB,
/// fetched through one guard: a minute is common, five minutes occur.
pub const DEFAULT_BOOTSTRAP_LIMIT: Duration = Duration::from_secs(300);

/// Settings that no caller can change.
///
/// * No key on disk: onion keys live in the caller's encrypted rows and are handed over at each
///   launch.
/// * Full vanguards: a pod's services run for years, so its guards are worth protecting.
/// * No circuits to ordinary exits are built in advance: a pod dials onion services only.
const FIXED: &str = r#"
    [storage.keystore.primary]
    kind = "ephemeral"
    [vanguards]
    mode = "full"
    [preemptive_circuits]
    initial_predicted_ports = []
"#;

/// The configuration of [`Tor`](crate::Tor).
#[derive(Clone, Debug)]
pub struct TorConfig {
    /// Where Arti keeps its guards. Created with mode 0700; locked, so one process at a time.
    pub state_dir: PathBuf,
    /// Where the directory of relays is cached. May be deleted at any time while nothing runs.
    pub cache_dir: PathBuf,
    /// The network to join.
    pub network: TorNetwork,
    /// Bridge lines, as `https://bridges.torproject.org` prints them. If any is given, only bridges are used.
    pub bridges: Vec<String>,
    /// Programs that speak the bridges' obfuscation protocols.
    pub transports: Vec<BridgeTransport>,
    /// Longest time a start may take. [`Tor::bootstrap`](crate::Tor::bootstrap) fails after it.
    pub bootstrap_limit: Duration,
}

/// A pluggable transport: a program that disguises the connection to a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeTransport {
    /// The protocol names in bridge lines that this program serves: `obfs4`, `snowflake`.
    pub protocols: Vec<String>,
    /// Path of the program. Arti starts it when a bridge needs it, and ends it with the client.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl TorConfig {
    /// A configuration for the public network without bridges, with the folders `state` and `cache`
    /// inside `dir`. Nothing is created before the client starts.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self {
            state_dir: dir.join("state"),
            cache_dir: dir.join("cache"),
            network: TorNetwork::Public,
            bridges: Vec::new(),
            transports: Vec::new(),
            bootstrap_limit: DEFAULT_BOOTSTRAP_LIMIT,
        }
    }

    /// The same configuration for another network.
    #[must_use]
    pub fn with_network(mut self, network: TorNetwork) -> Self {
        self.network = network;
        self
    }

    /// The configuration in Arti's form.
    ///
    /// # Errors
    /// A bridge line, a bridge program's protocol name or an entry of the private network cannot be
    /// used.
    pub(crate) fn to_arti(&self) -> Result<TorClientConfig, BootstrapError> {
        let mut arti: TorClientConfigBuilder = toml::from_str(FIXED).map_err(config_error)?;
        arti.storage()
            .state_dir(CfgPath::new_literal(&self.state_dir))
            .cache_dir(CfgPath::new_literal(&self.cache_dir));
        if let TorNetwork::Private(network) = &self.network {
            join_private(&mut arti, network)?;
        }
        self.use_bridges(&mut arti)?;
        arti.build().map_err(config_error)
    }

    /// Adds bridges and the programs for them. With any bridge given, Arti connects through bridges
    /// only.
    fn use_bridges(&self, arti: &mut TorClientConfigBuilder) -> Result<(), BootstrapError> {
        let bridges = arti.bridges();
        bridges.enabled(BoolOrAuto::Explicit(!self.bridges.is_empty()));
        for line in &self.bridges {
            let bridge: BridgeConfigBuilder = line
                .parse()
                .map_err(|e: BridgeParseError| BootstrapError::Config(format!("bridge line: {e}")))?;
            bridges.bridges().push(bridge);
        }
        for transport in &self.transports {
            let mut program = TransportConfigBuilder::default();
            let names: Result<_, _> = transport.protocols.iter().map(|name| name.parse()).collect();
            program
                .protocols(names.map_err(config_error)?)
                .path(CfgPath::new_literal(&transport.program))
                .arguments(transport.arguments.clone());
            bridges.transports().push(program);
        }
        Ok(())
    }
}

/// Replaces the public network's authorities and fallback relays by those of `network`, and lets
/// all its relays share an IP subnet.
fn join_private(arti: &mut TorClientConfigBuilder, network: &PrivateNetwork) -> Result<(), BootstrapError> {
    let mut authorities = Vec::new();
    for (i, authority) in network.authorities.iter().enumerate() {
        authorities.push(authority.identity(i)?);
    }
    let mut fallbacks = Vec::new();
    for (i, fallback) in network.fallbacks.iter().enumerate() {
        let (rsa, ed) = fallback.identities(i)?;
        let mut relay = FallbackDirBuilder::default();
        relay.rsa_identity(rsa).ed_identity(ed);
        relay.orports().extend(fallback.orport.iter().copied());
        fallbacks.push(relay);
    }
    arti.tor_network().set_fallback_caches(fallbacks);
    arti.tor_network().authorities().set_v3idents(authorities);
    arti.override_net_params().extend(network.effective_params());
    // Prefix lengths longer than an address: no two relays count as one operator's.
    arti.path_rules().ipv4_subnet_family_prefix(33).ipv6_subnet_family_prefix(129);
    Ok(())
}

/// An error of Arti's configuration, as text: its type is not part of this crate's interface.
fn config_error(error: impl std::fmt::Display) -> BootstrapError {
    BootstrapError::Config(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_network_needs_only_a_folder() {
        assert!(TorConfig::new("/tmp/pod").to_arti().is_ok());
    }

    #[test]
    fn bridges_and_their_transports_are_passed_through() {
        let mut config = TorConfig::new("/tmp/pod");
        config.bridges = vec![
            "obfs4 192.0.2.7:443 4352E58420E68F5E40BF7C74FADDCCD9D1349413 cert=c1 iat-mode=0".to_owned(),
        ];
        assert!(config.to_arti().is_err(), "a bridge whose transport nobody speaks");
        config.transports = vec![BridgeTransport {
            protocols: vec!["obfs4".to_owned()],
            program: "/usr/bin/obfs4proxy".into(),
            arguments: vec![],
        }];
        let arti = format!("{:?}", config.to_arti().unwrap());
        assert!(arti.contains("192.0.2.7") && arti.contains("obfs4proxy"));
    }

    #[test]
    fn bad_bridge_line_is_named() {
        let mut config = TorConfig::new("/tmp/pod");
        config.bridges = vec!["nonsense".to_owned()];
        assert!(config.to_arti().unwrap_err().to_string().contains("bridge line"));
    }
}
