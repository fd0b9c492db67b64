//! A relay's keys in one file of 64 bytes: the seed of its onion service (32) and the seed of its
//! libp2p identity (32).
//!
//! The file is not encrypted, so that a relay starts without a person. Its mode must be 0600.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use autonomy_messaging::{SigningKey, place::PLACE_PORT};
use autonomy_onion::{OnionKey, peers::PeerAddress};
use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

use super::ServiceError;

/// Where the keys lie.
fn file_in(dir: &Path) -> PathBuf {
    dir.join("relay.key")
}

fn failed(dir: &Path, error: &io::Error) -> ServiceError {
    ServiceError::Keys { path: file_in(dir), why: error.to_string() }
}

/// The two seeds, wiped when dropped.
pub(super) struct RelayKeys {
    /// Seed of the onion service's Ed25519 key, which determines its address.
    onion: Zeroizing<[u8; 32]>,
    /// Seed of the libp2p identity's Ed25519 key, which callers expect.
    peer: Zeroizing<[u8; 32]>,
}

impl RelayKeys {
    /// Reads the keys in the relay's folder, or draws and writes them.
    ///
    /// Without a key file a new relay is made: its users find it under another address than before.
    ///
    /// # Errors
    /// The file cannot be read or written, has another length, or others can read it.
    pub(super) fn load_or_make(dir: &Path) -> Result<Self, ServiceError> {
        match Self::load(dir)? {
            Some(keys) => Ok(keys),
            None => Self::make(dir, &file_in(dir)).map_err(|error| failed(dir, &error)),
        }
    }

    /// Reads the keys in the relay's folder, if there are any.
    ///
    /// # Errors
    /// The file cannot be read, has another length, or others can read it.
    pub(super) fn load(dir: &Path) -> Result<Option<Self>, ServiceError> {
        match File::open(file_in(dir)).and_then(Self::read) {
            Ok(keys) => Ok(Some(keys)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(dir, &error)),
        }
    }

    /// Reads the file and checks its mode and its length.
    ///
    /// A file that others can read is refused rather than corrected, since it may have been read
    /// already.
    fn read(mut file: File) -> io::Result<Self> {
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            return Err(io::Error::other("others on this machine can read them; run: chmod 600 on the file"));
        }
        let mut bytes = Zeroizing::new([0; 64]);
        file.read_exact(bytes.as_mut_slice())?;
        if file.read(&mut [0])? != 0 {
            return Err(io::Error::other("a relay's key file has 64 bytes"));
        }
        Ok(Self::split(&bytes))
    }

    /// Draws both seeds and writes them under a temporary name, which is renamed when the file is
    /// complete.
    fn make(dir: &Path, path: &Path) -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; 64]);
        OsRng.fill_bytes(bytes.as_mut_slice());
        // Whole or not at all, also after a power cut.
        let unfinished = dir.join(".relay.key.unfinished");
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
        file.write_all(bytes.as_slice())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)?;
        File::open(dir)?.sync_all()?;
        Ok(Self::split(&bytes))
    }

    /// The two seeds of the file's bytes.
    fn split(bytes: &[u8; 64]) -> Self {
        let (mut onion, mut peer) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        onion.copy_from_slice(&bytes[..32]);
        peer.copy_from_slice(&bytes[32..]);
        Self { onion, peer }
    }

    /// The key of the onion service.
    pub(super) fn onion(&self) -> OnionKey {
        OnionKey::from_seed(*self.onion)
    }

    /// The seed of the libp2p identity.
    pub(super) fn peer(&self) -> &Zeroizing<[u8; 32]> {
        &self.peer
    }

    /// The address that callers dial, and the key they expect there.
    pub(super) fn address(&self) -> PeerAddress {
        let key = SigningKey::from_bytes(&self.peer).verifying_key().to_bytes();
        PeerAddress { onion: self.onion().address(), port: PLACE_PORT, key }
    }
}
