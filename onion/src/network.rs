//! Which Tor network to use: the public one, or a private one described by a file.
//!
//! # The file of a private network
//!
//! TOML, at most 64 KiB, unknown keys refused. `autonomy-testnet` writes it; a person can.
//!
//! ```toml
//! [[authority]]
//! v3ident = "0123456789ABCDEF0123456789ABCDEF01234567"    # `fingerprint` in the authority's certificate
//!
//! [[fallback]]                                            # relays to bootstrap from; name all there are
//! rsa = "89ABCDEF0123456789ABCDEF0123456789ABCDEF"        # `fingerprint`, 40 hex digits
//! ed = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"     # `fingerprint-ed25519`, 43 base64 characters
//! orport = ["127.0.0.1:5001"]
//!
//! [params]                                                # consensus parameters overridden on this client
//! cbtmintimeout = 10000
//! ```
//!
//! On a private network relays may share an IP subnet, and the circuit build timeout is never less than
//! 10 seconds unless `[params]` says otherwise: on loopback a client would learn a timeout of some
//! milliseconds, keep it on disk, and fail at the first jitter.

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use serde::{Deserialize, Serialize};
use tor_llcrypto::pk::{ed25519::Ed25519Identity, rsa::RsaIdentity};

/// Largest file read: 64 authorities of 60 bytes and 256 fallbacks of 200 bytes are below 56 KiB.
pub const MAX_FILE_LEN: usize = 64 * 1024;
/// Most authorities: the public network has 9.
pub const MAX_AUTHORITIES: usize = 64;
/// Most fallback relays: the public list has about 200.
pub const MAX_FALLBACKS: usize = 256;
/// Most overridden parameters: the consensus knows about 100.
pub const MAX_PARAMS: usize = 128;
/// Most `orport` addresses of one relay: one for each IP version, twice.
pub const MAX_ORPORTS: usize = 4;

/// Milliseconds below which the circuit build timeout must not fall on a private network.
const MIN_CIRCUIT_TIMEOUT_MS: i32 = 10_000;

/// The Tor network a client joins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TorNetwork {
    /// The public Tor network, with the authorities and fallback relays compiled into Arti.
    #[default]
    Public,
    /// A network of one's own.
    Private(PrivateNetwork),
}

/// A private Tor network; see the [module](self) for its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivateNetwork {
    /// The directory authorities: a client believes a consensus signed by more than half of them.
    #[serde(rename = "authority", default)]
    pub authorities: Vec<Authority>,
    /// Relays from which the first consensus is fetched.
    #[serde(rename = "fallback", default)]
    pub fallbacks: Vec<Fallback>,
    /// Consensus parameters this client overrides.
    #[serde(default)]
    pub params: BTreeMap<String, i32>,
}

/// A directory authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// Fingerprint of its identity key: 40 hexadecimal digits.
    pub v3ident: String,
}

/// A relay to bootstrap from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// Fingerprint of its RSA identity: 40 hexadecimal digits.
    pub rsa: String,
    /// Its Ed25519 identity: 43 base64 characters, no padding.
    pub ed: String,
    /// Where it listens.
    pub orport: Vec<SocketAddr>,
}

/// Why the description of a private network was refused.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The file could not be read.
    #[error("cannot read the Tor network file {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// More than [`MAX_FILE_LEN`] bytes.
    #[error("a Tor network file has at most {MAX_FILE_LEN} bytes; this one has more")]
    TooLarge,
    /// Not the format of the module's documentation.
    #[error("the Tor network file is not understood: {0}")]
    Syntax(String),
    /// A field holds what it must not.
    #[error("Tor network file, {field}: {rule}")]
    Field {
        /// Where: `fallback 3, rsa`.
        field: String,
        /// What it must be.
        rule: &'static str,
    },
}

impl PrivateNetwork {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The file cannot be read, is longer than [`MAX_FILE_LEN`], or breaks the rules of the module.
    pub fn load(path: &Path) -> Result<Self, NetworkError> {
        use std::io::Read as _;
        let read = |source| NetworkError::Read { path: path.display().to_string(), source };
        let mut text = Vec::new();
        let file = std::fs::File::open(path).map_err(read)?;
        file.take(MAX_FILE_LEN as u64 + 1).read_to_end(&mut text).map_err(read)?;
        if text.len() > MAX_FILE_LEN {
            return Err(NetworkError::TooLarge);
        }
        let text = std::str::from_utf8(&text).map_err(|e| NetworkError::Syntax(e.to_string()))?;
        Self::parse(text)
    }

    /// Reads and checks the text of a file.
    ///
    /// # Errors
    /// The text is longer than [`MAX_FILE_LEN`] or breaks the rules of the module; the error names
    /// the field.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        if text.len() > MAX_FILE_LEN {
            return Err(NetworkError::TooLarge);
        }
        let network: Self = toml::from_str(text).map_err(|e| NetworkError::Syntax(e.to_string()))?;
        network.check()?;
        Ok(network)
    }

    /// The text that [`PrivateNetwork::parse`] reads back.
    #[must_use]
    #[expect(clippy::expect_used, reason = "lists of strings and a map of numbers always serialise")]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("lists of strings and a map of numbers always serialise")
    }

    /// The parameters to override, our own defaults included.
    pub(crate) fn effective_params(&self) -> BTreeMap<String, i32> {
        let mut params = BTreeMap::from([("cbtmintimeout".to_owned(), MIN_CIRCUIT_TIMEOUT_MS)]);
        params.extend(self.params.clone());
        params
    }

    /// Checks counts and every field, so that [`TorConfig`](crate::TorConfig) finds nothing to
    /// refuse later.
    fn check(&self) -> Result<(), NetworkError> {
        count("authority", self.authorities.len(), 1..=MAX_AUTHORITIES, "1 to 64 are needed")?;
        count("fallback", self.fallbacks.len(), 1..=MAX_FALLBACKS, "1 to 256 are needed")?;
        count("params", self.params.len(), 0..=MAX_PARAMS, "at most 128")?;
        for (i, authority) in self.authorities.iter().enumerate() {
            authority.identity(i)?;
        }
        for (i, fallback) in self.fallbacks.iter().enumerate() {
            fallback.identities(i)?;
        }
        Ok(())
    }
}

impl Authority {
    /// The fingerprint as Arti's type. `index` counts from 0 and names the entry in an error.
    ///
    /// # Errors
    /// The text is not 40 hexadecimal digits.
    pub(crate) fn identity(&self, index: usize) -> Result<RsaIdentity, NetworkError> {
        rsa(&self.v3ident, || format!("authority {}, v3ident", index + 1))
    }
}

impl Fallback {
    /// Both identities as Arti's types. `index` counts from 0 and names the entry in an error.
    ///
    /// # Errors
    /// A fingerprint or the number of addresses breaks its rule.
    pub(crate) fn identities(&self, index: usize) -> Result<(RsaIdentity, Ed25519Identity), NetworkError> {
        let field = |name: &str| format!("fallback {}, {name}", index + 1);
        count(&field("orport"), self.orport.len(), 1..=MAX_ORPORTS, "1 to 4 addresses are needed")?;
        let ed = (self.ed.len() == 43).then(|| Ed25519Identity::from_base64(&self.ed)).flatten();
        let ed =
            ed.ok_or_else(|| NetworkError::Field { field: field("ed"), rule: "43 base64 characters" })?;
        Ok((rsa(&self.rsa, || field("rsa"))?, ed))
    }
}

/// Parses a fingerprint of 40 hexadecimal digits.
fn rsa(text: &str, field: impl FnOnce() -> String) -> Result<RsaIdentity, NetworkError> {
    let identity = (text.len() == 40).then(|| RsaIdentity::from_hex(text)).flatten();
    identity.ok_or_else(|| NetworkError::Field { field: field(), rule: "40 hexadecimal digits" })
}

/// Checks that a list has an allowed number of entries.
fn count(
    field: &str,
    found: usize,
    allowed: std::ops::RangeInclusive<usize>,
    rule: &'static str,
) -> Result<(), NetworkError> {
    if allowed.contains(&found) { Ok(()) } else { Err(NetworkError::Field { field: field.to_owned(), rule }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAMPLE: &str = r#"
        [[authority]]
        v3ident = "0123456789ABCDEF0123456789ABCDEF01234567"
        [[fallback]]
        rsa = "89ABCDEF0123456789ABCDEF0123456789ABCDEF"
        ed = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
        orport = ["127.0.0.1:5001", "[::1]:5001"]
        [params]
        cbtmintimeout = 20000
        hsdir_interval = 60
    "#;

    #[test]
    fn documented_file_round_trips() {
        let network = PrivateNetwork::parse(EXAMPLE).unwrap();
        assert_eq!(network.fallbacks[0].orport.len(), 2);
        assert_eq!(network.effective_params()["cbtmintimeout"], 20_000);
        assert_eq!(PrivateNetwork::parse(&network.to_toml()).unwrap(), network);
    }

    #[test]
    fn circuit_timeout_has_a_default_floor() {
        let text = EXAMPLE.replace("cbtmintimeout = 20000", "");
        let network = PrivateNetwork::parse(&text).unwrap();
        assert_eq!(network.effective_params()["cbtmintimeout"], MIN_CIRCUIT_TIMEOUT_MS);
    }

    #[test]
    fn each_wrong_field_is_named() {
        let cases = [
            (EXAMPLE.replace("0123456789ABCDEF0123456789ABCDEF01234567", "0123"), "authority 1, v3ident"),
            (EXAMPLE.replace("89ABCDEF0123456789ABCDEF0123456789ABCDEF", "zz"), "fallback 1, rsa"),
            (EXAMPLE.replace("AAECAwQF", "!!!!!!!!"), "fallback 1, ed"),
            (EXAMPLE.replace("\"127.0.0.1:5001\", \"[::1]:5001\"", ""), "fallback 1, orport"),
            (EXAMPLE.replace("127.0.0.1:5001", "somewhere"), "orport"),
            (EXAMPLE.replace("hsdir_interval = 60", "hsdir_interval = 9999999999"), "hsdir_interval"),
            (EXAMPLE.replace("[params]", "surprise = 1\n[params]"), "surprise"),
            ("[[authority]]\nv3ident = \"0123456789ABCDEF0123456789ABCDEF01234567\"".to_owned(), "fallback"),
            (String::new(), "authority"),
        ];
        for (text, field) in cases {
            let error = PrivateNetwork::parse(&text).unwrap_err().to_string();
            assert!(error.contains(field), "{error} names {field}");
        }
    }

    #[test]
    fn oversized_file_is_refused_before_parsing() {
        let text = format!("# {}\n", "x".repeat(MAX_FILE_LEN));
        assert!(matches!(PrivateNetwork::parse(&text), Err(NetworkError::TooLarge)));
        let nested = "a = ".to_owned() + &"[".repeat(60_000);
        assert!(matches!(PrivateNetwork::parse(&nested), Err(NetworkError::Syntax(_))));
        let crowd = EXAMPLE.to_owned()
            + &"[[authority]]\nv3ident = \"0123456789ABCDEF0123456789ABCDEF01234567\"\n"
                .repeat(MAX_AUTHORITIES);
        assert!(PrivateNetwork::parse(&crowd).unwrap_err().to_string().contains("authority"));
    }

    #[test]
    fn missing_file_is_named() {
        let error = PrivateNetwork::load(Path::new("/nowhere/network.toml")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/network.toml"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,300}") {
            let _ = PrivateNetwork::parse(&text);
        }
    }
}
