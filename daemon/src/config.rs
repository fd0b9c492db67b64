//! Settings: one TOML file, the environment, flags. The later wins.
//!
//! Each section is optional, and unknown keys are refused: a misspelt setting must not be ignored.
//! What a section says is turned into the configuration of the part it is for here, in one place.

mod file;
mod relay;

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use autonomy_onion::{BridgeTransport, DEFAULT_BOOTSTRAP_LIMIT, PrivateNetwork, TorConfig, TorNetwork};
use autonomy_wallet::bitcoin::Network;
use serde::Deserialize;

pub use self::relay::{RelaySection, RelayToken};
use crate::chain::{BitcoindAuth, BitcoindConfig};

/// Largest file read, bytes: ten times a private network of a hundred relays.
const MAX_FILE: u64 = 256 * 1024;

/// The settings file. All of it is optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The folder of the pod's data, or of a relay's.
    pub data_dir: Option<PathBuf>,
    /// The folder of the device's profile.
    pub profile_dir: Option<PathBuf>,
    /// A file whose first line is the passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// A file that holds a key of 32 bytes.
    pub key_file: Option<PathBuf>,
    /// How to reach bitcoind.
    pub bitcoind: BitcoindSection,
    /// How to reach Tor.
    pub tor: TorSection,
    /// The device's background helper.
    pub agent: AgentSection,
    /// Limits of a relay, and whether a pod runs one.
    pub relay: RelaySection,
    /// What is wrong with the file and stops nothing; no setting.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// `[bitcoind]`: the owner's own node.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BitcoindSection {
    /// `http://127.0.0.1:8332`; the network's usual port on this machine where absent.
    pub url: Option<String>,
    /// bitcoind's cookie file, which holds its login.
    pub cookie_file: Option<PathBuf>,
    /// bitcoind's `rpcuser`, where there is no cookie.
    pub user: Option<String>,
    /// bitcoind's `rpcpassword`. Never printed.
    pub password: Option<String>,
}

impl std::fmt::Debug for BitcoindSection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BitcoindSection")
            .field("url", &self.url)
            .field("cookie_file", &self.cookie_file)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "[secret]"))
            .finish()
    }
}

/// `[tor]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TorSection {
    /// A file that describes a private Tor network; the public one where absent.
    pub network_file: Option<PathBuf>,
    /// Bridge lines, as `https://bridges.torproject.org` prints them. With any, only bridges are
    /// used.
    pub bridges: Vec<String>,
    /// Programs for the bridges' transports.
    pub transports: Vec<TransportSection>,
    /// Seconds that a start of Tor may take; 300 where absent.
    pub bootstrap_seconds: Option<u64>,
    /// Open a port that echoes on the app service, to measure Tor without the pod.
    pub echo: bool,
}

/// `[[tor.transports]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransportSection {
    /// The protocol names in bridge lines that this program serves.
    pub protocols: Vec<String>,
    /// Path of the program.
    pub program: PathBuf,
    /// Its arguments.
    #[serde(default)]
    pub arguments: Vec<String>,
}

/// `[agent]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentSection {
    /// Minutes without a request after which the agent ends; 10 where absent.
    pub idle_minutes: Option<u64>,
    /// Minutes for which the agent holds the passphrase that was typed; 0, not at all, where absent.
    pub passphrase_minutes: Option<u64>,
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {why}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The file breaks a rule.
    #[error("{path}: {why}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
    /// bitcoind's URL cannot be spoken, or holds a login.
    #[error(
        "`bitcoind.url`: {0}; write http://HOST:PORT, and the login in `bitcoind.cookie_file`, or in `bitcoind.user` and \
         `bitcoind.password`"
    )]
    BitcoindUrl(&'static str),
    /// The settings hold no complete login for bitcoind.
    #[error(
        "no way to log in to bitcoind: set `bitcoind.cookie_file` (usually .cookie in bitcoind's data folder), or \
         `bitcoind.user` and `bitcoind.password`, in the settings file"
    )]
    NoLogin,
}

impl Config {
    /// Reads the file, else the one that `AUTONOMY_CONFIG` names, else the default one if it exists, and applies the environment over it.
    ///
    /// # Errors
    /// A named file cannot be read; or a file has unknown keys or values of the wrong type.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let default = config_home().join("autonomy").join("config.toml");
        let named = env::var_os("AUTONOMY_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
        let mut config = match path.map(Path::to_owned).or(named) {
            Some(path) => Self::read(&path)?,
            None if default.exists() => Self::read(&default)?,
            None => Self::default(),
        };
        config.overlay(|name| env::var_os(name));
        Ok(config)
    }

    /// Applies the environment variables that have a setting. An empty one counts as not set.
    fn overlay(&mut self, variable: impl Fn(&str) -> Option<std::ffi::OsString>) {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name| variable(name).and_then(|value| value.into_string().ok());
        let path = |name| variable(name).map(PathBuf::from);
        replace(&mut self.data_dir, path("AUTONOMY_DATA"));
        replace(&mut self.profile_dir, path("AUTONOMY_PROFILE"));
        replace(&mut self.bitcoind.url, text("AUTONOMY_BITCOIND_URL"));
        replace(&mut self.bitcoind.cookie_file, path("AUTONOMY_BITCOIND_COOKIE"));
        replace(&mut self.tor.network_file, path("AUTONOMY_TOR_NETWORK"));
    }

    /// The pod's data folder: `~/.local/share/autonomy/pod` where no setting names another.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| data_home().join("autonomy").join("pod"))
    }

    /// The device's profile folder: `~/.local/share/autonomy/device` where no setting names
    /// another.
    #[must_use]
    pub fn profile_dir(&self) -> PathBuf {
        self.profile_dir.clone().unwrap_or_else(|| data_home().join("autonomy").join("device"))
    }

    /// Time without a request after which an agent ends: ten minutes where no setting says
    /// otherwise.
    #[must_use]
    pub fn agent_idle(&self) -> Duration {
        Duration::from_secs(60 * self.agent.idle_minutes.unwrap_or(10))
    }

    /// Time for which an agent holds the passphrase that was typed; zero where no setting says otherwise.
    #[must_use]
    pub fn passphrase_time(&self) -> Duration {
        Duration::from_secs(self.agent.passphrase_minutes.unwrap_or(0).saturating_mul(60))
    }

    /// The Tor client's configuration, with its state in `dir`.
    ///
    /// # Errors
    /// The file of the private network cannot be read or breaks its rules.
    pub fn tor(&self, dir: &Path) -> Result<TorConfig, ConfigError> {
        let mut tor = TorConfig::new(dir);
        if let Some(path) = &self.tor.network_file {
            let text = file::read_bounded(path)?;
            let network = PrivateNetwork::parse(&text)
                .map_err(|error| ConfigError::Malformed { path: path.clone(), why: error.to_string() })?;
            tor = tor.with_network(TorNetwork::Private(network));
        }
        tor.bridges.clone_from(&self.tor.bridges);
        let transports = self.tor.transports.iter().cloned();
        tor.transports = transports
            .map(|TransportSection { protocols, program, arguments }| BridgeTransport {
                protocols,
                program,
                arguments,
            })
            .collect();
        tor.bootstrap_limit = self.tor.bootstrap_seconds.map_or(DEFAULT_BOOTSTRAP_LIMIT, Duration::from_secs);
        Ok(tor)
    }

    /// How to reach bitcoind. Without a login in the settings, the cookie file of a node on this
    /// machine in its usual folder.
    ///
    /// # Errors
    /// A user without a password, or a password without a user.
    pub fn bitcoind(&self, network: Network) -> Result<BitcoindConfig, ConfigError> {
        let section = &self.bitcoind;
        let url = section.url.clone().unwrap_or_else(|| format!("http://127.0.0.1:{}", usual_port(network)));
        check_url(&url)?;
        let auth = match (&section.cookie_file, &section.user, &section.password) {
            (Some(path), _, _) => BitcoindAuth::Cookie(path.clone()),
            (None, Some(user), Some(password)) => BitcoindAuth::UserPass(user.clone(), password.clone()),
            (None, None, None) => BitcoindAuth::Cookie(usual_cookie(network)),
            (None, _, _) => return Err(ConfigError::NoLogin),
        };
        Ok(BitcoindConfig { url, auth })
    }
}

/// Refuses what is not plain HTTP: spoken as if it were, it would carry the login in the clear.
fn check_url(url: &str) -> Result<(), ConfigError> {
    let (scheme, rest) = url.split_once("://").ok_or(ConfigError::BitcoindUrl("it names no scheme"))?;
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(ConfigError::BitcoindUrl("bitcoind is spoken to in plain HTTP only"));
    }
    match rest.split('/').next() {
        Some("") | None => Err(ConfigError::BitcoindUrl("it names no host")),
        Some(host) if host.contains('@') => Err(ConfigError::BitcoindUrl("it holds a login")),
        Some(_) => Ok(()),
    }
}

/// Sets a setting where there is a value for it.
fn replace<T>(setting: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *setting = value;
    }
}

/// The port on which Bitcoin Core serves RPC on this network.
fn usual_port(network: Network) -> u16 {
    match network {
        Network::Bitcoin => 8332,
        Network::Signet => 38332,
        Network::Regtest => 18443,
        _ => 18332,
    }
}

/// Where Bitcoin Core puts its cookie file for this network.
fn usual_cookie(network: Network) -> PathBuf {
    let dir = home().join(".bitcoin");
    match network {
        Network::Bitcoin => dir.join(".cookie"),
        Network::Signet => dir.join("signet").join(".cookie"),
        Network::Regtest => dir.join("regtest").join(".cookie"),
        _ => dir.join("testnet3").join(".cookie"),
    }
}

/// The user's home folder, or the current one where there is none.
fn home() -> PathBuf {
    env::home_dir().unwrap_or_else(|| PathBuf::from("."))
}

/// Where programs keep data (XDG base directories).
fn data_home() -> PathBuf {
    env::var_os("XDG_DATA_HOME").map_or_else(|| home().join(".local").join("share"), PathBuf::from)
}

/// Where programs keep settings (XDG base directories).
fn config_home() -> PathBuf {
    env::var_os("XDG_CONFIG_HOME").map_or_else(|| home().join(".config"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_file_gives_default_folders() {
        let config: Config = toml::from_str("").unwrap();
        let bitcoind = config.bitcoind(Network::Regtest).unwrap();
        assert_eq!(bitcoind.url, "http://127.0.0.1:18443");
        assert!(
            matches!(bitcoind.auth, BitcoindAuth::Cookie(path) if path.ends_with(".bitcoin/regtest/.cookie"))
        );
    }

    /// The keys that a section knows, by what it says of one that it does not.
    fn keys_of(section: &str) -> Vec<String> {
        let head = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
        let error = toml::from_str::<Config>(&format!("{head}no_such_key = 1")).unwrap_err();
        let expected =
            error.message().split_once("expected one of ").or(error.message().split_once("expected "));
        let prefix = if section.is_empty() { String::new() } else { format!("{section}.") };
        let names = expected.unwrap().1.split('`').skip(1).step_by(2);
        names.map(|name| format!("{prefix}{name}")).collect()
    }

    #[test]
    fn reference_page_names_every_key_and_no_other() {
        let page =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md")).unwrap();
        let keys = page.split_once("## Keys").unwrap().1.split_once("\n## ").unwrap().0;
        let mut named: Vec<String> = keys
            .lines()
            .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
            .collect();
        let sections = ["bitcoind", "tor", "agent", "relay"];
        let top = keys_of("").into_iter().filter(|key| !sections.contains(&key.as_str()));
        let mut known: Vec<String> = top.chain(sections.into_iter().flat_map(keys_of)).collect();
        named.sort();
        known.sort();
        assert_eq!(named, known);
        let mut asked = std::cell::RefCell::new(Vec::new());
        Config::default().overlay(|name| {
            asked.borrow_mut().push(name.to_owned());
            None
        });
        assert!(asked.get_mut().iter().all(|name| page.contains(&format!("| `{name}` |"))), "{asked:?}");
    }

    #[test]
    fn environment_overrides_the_file() {
        let mut config: Config =
            toml::from_str("data_dir = \"/file\"\n[bitcoind]\nurl = \"http://file\"").unwrap();
        config.overlay(|name| (name == "AUTONOMY_BITCOIND_URL").then(|| "http://env".into()));
        assert_eq!(config.data_dir(), Path::new("/file"));
        assert_eq!(config.bitcoind(Network::Bitcoin).unwrap().url, "http://env");
    }

    #[test]
    fn empty_variable_counts_as_not_set() {
        let mut config: Config = toml::from_str("data_dir = \"/file\"").unwrap();
        config.overlay(|_| Some("".into()));
        assert_eq!(config.data_dir(), Path::new("/file"));
        assert!(config.bitcoind.url.is_none() && config.tor.network_file.is_none());
    }

    #[test]
    fn url_that_would_carry_a_login_in_the_clear_is_refused() {
        for (url, fits) in [
            ("http://127.0.0.1:8332", true),
            ("HTTP://node.lan:8332/", true),
            ("https://node.example:8332", false),
            ("ftp://127.0.0.1", false),
            ("127.0.0.1:8332", false),
            ("http://", false),
            ("http://me:hunter2@127.0.0.1:8332", false),
        ] {
            let config: Config = toml::from_str(&format!("[bitcoind]\nurl = '{url}'")).unwrap();
            let outcome = config.bitcoind(Network::Bitcoin);
            assert_eq!(outcome.is_ok(), fits, "{url}");
            assert!(outcome.err().is_none_or(|error| !error.to_string().contains("hunter2")));
        }
    }

    #[test]
    fn unknown_setting_is_refused_by_name() {
        let error = toml::from_str::<Config>("[tor]\nbridge = []").unwrap_err();
        assert!(error.to_string().contains("unknown field `bridge`"));
    }

    #[test]
    fn user_without_password_is_refused() {
        let config: Config = toml::from_str("[bitcoind]\nuser = \"me\"").unwrap();
        assert!(matches!(config.bitcoind(Network::Bitcoin), Err(ConfigError::NoLogin)));
    }

    #[test]
    fn debug_output_has_no_password() {
        let config: Config = toml::from_str("[bitcoind]\nuser = \"me\"\npassword = \"hunter2\"").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
