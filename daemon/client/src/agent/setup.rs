//! What an agent gets through its standard input.

use std::{
    io::{self, Read},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Largest setup that is read, bytes: keys, paths, and a network file of at most 256 KiB.
const MAX_SETUP: u64 = 512 * 1024;

/// Everything an agent needs to reach one pod as one device, and nothing that could spend. Keys are
/// wiped when it is dropped.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// Seed of the device's Ed25519 key, its TLS identity.
    pub device_seed: [u8; 32],
    /// The device's x25519 secret for the descriptor of the app onion.
    pub descriptor_secret: [u8; 32],
    /// Public key in the address of the app onion.
    pub app_onion: [u8; 32],
    /// The pod's Ed25519 key, which its TLS certificate must show.
    pub pod_key: [u8; 32],
    /// The text of a private Tor network's file; the public network where absent.
    pub tor_network: Option<String>,
    /// Bridge lines; if any, only bridges are used.
    #[zeroize(skip)]
    pub bridges: Vec<String>,
    /// Programs that speak the bridges' protocols.
    #[zeroize(skip)]
    pub bridge_programs: Vec<BridgeProgram>,
    /// Seconds that a start of Tor may take; 300 where absent.
    pub bootstrap_seconds: Option<u64>,
    /// Folder of Tor's state and cache.
    #[zeroize(skip)]
    pub tor_dir: PathBuf,
    /// Path of the agent's socket.
    #[zeroize(skip)]
    pub socket: PathBuf,
    /// Seconds without a request after which the agent ends.
    pub idle_seconds: u64,
}

/// A program that disguises the connection to a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeProgram {
    /// The protocol names in bridge lines that the program serves.
    pub protocols: Vec<String>,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl Setup {
    /// Reads a setup from `input` until its end.
    ///
    /// # Errors
    /// The input fails, is too long, or is not a setup.
    pub fn read(input: impl Read) -> Result<Self, SetupError> {
        let mut bytes = Zeroizing::new(Vec::new());
        input.take(MAX_SETUP + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_SETUP {
            return Err(SetupError::NotASetup(format!("more than {MAX_SETUP} bytes")));
        }
        ciborium::from_reader(bytes.as_slice()).map_err(|error| SetupError::NotASetup(error.to_string()))
    }

    /// The bytes that [`Setup::read`] reads.
    #[must_use]
    #[expect(clippy::expect_used, reason = "plain values are written to memory")]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Room for everything at once, so that no copy of the keys is left behind by growing.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SETUP as usize));
        ciborium::into_writer(self, &mut *bytes).expect("plain values are written to memory");
        bytes
    }

    /// Names this setup without revealing it. An agent with another fingerprint belongs to an
    /// earlier pod, certificate, network or version of the program, and is replaced.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new_with_prefix(b"autonomy agent setup v1\0");
        hash.update(env!("CARGO_PKG_VERSION"));
        hash.update(&*self.to_bytes());
        data_encoding::HEXLOWER.encode(&hash.finalize()[..16])
    }

    /// Time without a request after which the agent ends.
    #[must_use]
    pub fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("device_seed", &"[secret]")
            .field("descriptor_secret", &"[secret]")
            .field("app_onion", &"[scrubbed]")
            .field("pod_key", &data_encoding::HEXLOWER.encode(&self.pod_key))
            .field("private_tor_network", &self.tor_network.is_some())
            .field("bridges", &self.bridges.len())
            .field("tor_dir", &self.tor_dir)
            .field("socket", &self.socket)
            .field("idle_seconds", &self.idle_seconds)
            .finish()
    }
}

/// Why standard input had no setup.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It could not be read.
    #[error("the agent could not read its setup: {0}")]
    Unreadable(#[from] io::Error),
    /// It is something else, or too long.
    #[error("standard input is not an agent's setup ({0}); other commands start the agent when they need it")]
    NotASetup(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> Setup {
        Setup {
            device_seed: [1; 32],
            descriptor_secret: [2; 32],
            app_onion: [3; 32],
            pod_key: [4; 32],
            tor_network: None,
            bridges: Vec::new(),
            bridge_programs: Vec::new(),
            bootstrap_seconds: None,
            tor_dir: "/tor".into(),
            socket: "/agent.sock".into(),
            idle_seconds: 600,
        }
    }

    #[test]
    fn setup_round_trips_and_changes_change_the_fingerprint() {
        let setup = setup();
        let read = Setup::read(setup.to_bytes().as_slice()).unwrap();
        assert_eq!(read.fingerprint(), setup.fingerprint());
        let mut moved = setup.clone();
        moved.app_onion = [9; 32];
        assert_ne!(moved.fingerprint(), setup.fingerprint());
    }

    #[test]
    fn input_that_is_not_a_setup_is_refused() {
        for bytes in [&b""[..], b"hello", &[0x9f; 100]] {
            assert!(matches!(Setup::read(bytes), Err(SetupError::NotASetup(_))));
        }
        assert!(matches!(Setup::read(io::repeat(0x41)), Err(SetupError::NotASetup(_))));
    }

    proptest::proptest! {
        #[test]
        fn reading_never_panics(bytes: Vec<u8>) {
            let _ = Setup::read(bytes.as_slice());
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?}", setup());
        assert!(text.contains("[secret]") && !text.contains("1, 1") && !text.contains("0101"));
    }
}
