//! The header of a store: the data key, wrapped.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `autonomy` |
//! | 2 | format version |
//! | 1 | what locks it: 1 passphrase, 2 key file |
//! | 4 + 4 + 4 | argon2id memory in KiB, passes, lanes (zero with a key file) |
//! | 16 | salt |
//! | 72 | data key: nonce, tag, ciphertext, bound to all bytes before |
//! | 32 | SHA-256 of all bytes before |
//!
//! Numbers are big-endian. The hash at the end guards against accidents only: it tells a damaged header from a
//! mistyped passphrase. Against malice the seal stands.

use std::{fmt, path::Path};

use argon2::{Algorithm, Argon2, Params, Version};
use hkdf::Hkdf;
use rand_core::{OsRng, RngCore as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{
    error::OpenError,
    keys::{DataKey, open, seal},
    unlock::{Secret, Unlock},
};

/// The format this program writes, and the newest it reads.
pub(super) const VERSION: u16 = 1;

const MAGIC: &[u8; 8] = b"autonomy";
const LOCKED_LEN: usize = 8 + 2 + 1 + 12 + 16;
const WRAPPED_LEN: usize = 24 + 16 + 32;
const HEADER_LEN: usize = LOCKED_LEN + WRAPPED_LEN + 32;

/// Second choice of RFC 9106 section 4 (64 MiB, 3 passes), with one lane: the device and a small server do it in
/// well under a second, a guesser pays 64 MiB for each guess.
const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
/// What a header may ask for at most, four times of each of what we write: a hostile file must not exhaust the
/// machine. 256 MiB, 12 passes, 4 lanes.
const MAX_COST: Cost = Cost { memory_kib: 4 * 64 * 1024, passes: 4 * 3, lanes: 4 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lock {
    Passphrase(Cost),
    KeyFile,
}

/// A header that was read.
#[derive(Debug)]
pub(super) struct Header<'a> {
    lock: Lock,
    salt: [u8; 16],
    /// The bytes that the wrapped key is bound to.
    locked: &'a [u8],
    wrapped: &'a [u8],
}

/// Why a header gives no data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// Not ours at all.
    Foreign,
    Newer(u16),
    Damaged(&'static str),
    NeedsPassphrase,
    NeedsKeyFile,
    WrongPassphrase,
    WrongKeyFile,
}

/// What wraps the data keys of a store, one after the other: a key made of its passphrase or key file. An open store keeps
/// it, so that its data key can be drawn anew without asking a person.
#[derive(Clone)]
pub(super) struct Wrapping {
    /// The bytes that a wrapped key is bound to; they say how the key was made.
    locked: Vec<u8>,
    key: Zeroizing<[u8; 32]>,
}

impl Wrapping {
    /// By a passphrase or key file, with a fresh salt.
    #[expect(clippy::expect_used, reason = "the lock was chosen to fit, and its cost is ours")]
    pub(super) fn new(unlock: &Unlock) -> Self {
        let lock = match unlock.secret() {
            Secret::Passphrase(_) => Lock::Passphrase(COST),
            Secret::Key(_) => Lock::KeyFile,
        };
        let mut salt = [0; 16];
        OsRng.fill_bytes(&mut salt);
        let key =
            wrapping_key(lock, &salt, unlock).expect("the lock was chosen to fit, and its cost is ours");
        Self { locked: encode(lock, &salt), key }
    }

    /// The header with this data key in it.
    pub(super) fn wrap(&self, data_key: &DataKey) -> Vec<u8> {
        let mut bytes = self.locked.clone();
        bytes.extend(seal(&self.key, &bytes, &[data_key.as_ref()]));
        bytes.extend(Sha256::digest(&bytes));
        bytes
    }
}

impl<'a> Header<'a> {
    /// Reads a header. Sizes and costs are checked before anything is computed from them.
    ///
    /// # Errors
    /// Not a header, one of a newer program, or damaged; each is an error of its own, because the remedies differ.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, HeaderError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(HeaderError::Foreign)?;
        let (version, _) = rest.split_first_chunk().ok_or(HeaderError::Foreign)?;
        let version = u16::from_be_bytes(*version);
        if version > VERSION {
            return Err(HeaderError::Newer(version));
        }
        if bytes.len() != HEADER_LEN {
            return Err(HeaderError::Damaged("its header has the wrong length"));
        }
        let (body, hash) = bytes.split_at(HEADER_LEN - 32);
        if Sha256::digest(body).as_slice() != hash {
            return Err(HeaderError::Damaged("its header does not fit its checksum"));
        }
        let (locked, wrapped) = body.split_at(LOCKED_LEN);
        let lock = decode_lock(&locked[10..23])?;
        let salt = locked[23..].try_into().map_err(|_| HeaderError::Damaged("its salt"))?;
        Ok(Self { lock, salt, locked, wrapped })
    }

    /// The data key, by the key or passphrase that locks it, and what wraps the next one. With a passphrase this takes memory and time as the header
    /// asks, at most [`MAX_COST`].
    ///
    /// # Errors
    /// Another kind of key is needed, or this is not the one.
    pub(super) fn unwrap(&self, unlock: &Unlock) -> Result<(DataKey, Wrapping), HeaderError> {
        let key = wrapping_key(self.lock, &self.salt, unlock)?;
        let wrong = match self.lock {
            Lock::Passphrase(_) => HeaderError::WrongPassphrase,
            Lock::KeyFile => HeaderError::WrongKeyFile,
        };
        let plain = open(&key, self.locked, self.wrapped).ok_or(wrong)?;
        let mut data_key = DataKey::default();
        data_key.copy_from_slice(&plain);
        Ok((data_key, Wrapping { locked: self.locked.to_vec(), key }))
    }
}

fn encode(lock: Lock, salt: &[u8; 16]) -> Vec<u8> {
    let (kind, cost) = match lock {
        Lock::Passphrase(cost) => (1, cost),
        Lock::KeyFile => (2, Cost { memory_kib: 0, passes: 0, lanes: 0 }),
    };
    let mut bytes = Vec::with_capacity(HEADER_LEN);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_be_bytes());
    bytes.push(kind);
    [cost.memory_kib, cost.passes, cost.lanes].iter().for_each(|number| bytes.extend(number.to_be_bytes()));
    bytes.extend(salt);
    bytes
}

fn decode_lock(bytes: &[u8]) -> Result<Lock, HeaderError> {
    let number = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let cost = Cost { memory_kib: number(1), passes: number(5), lanes: number(9) };
    match bytes[0] {
        1 if cost.memory_kib > MAX_COST.memory_kib
            || cost.passes > MAX_COST.passes
            || cost.lanes > MAX_COST.lanes =>
        {
            Err(HeaderError::Damaged("its header asks for more memory or time than any store of ours"))
        }
        1 => Ok(Lock::Passphrase(cost)),
        2 => Ok(Lock::KeyFile),
        _ => Err(HeaderError::Damaged("its header names no lock that is known")),
    }
}

#[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8,160 bytes")]
fn wrapping_key(lock: Lock, salt: &[u8; 16], unlock: &Unlock) -> Result<Zeroizing<[u8; 32]>, HeaderError> {
    let mut key = Zeroizing::new([0; 32]);
    match (lock, unlock.secret()) {
        (Lock::Passphrase(cost), Secret::Passphrase(passphrase)) => {
            let impossible =
                |_| HeaderError::Damaged("its header asks for a key derivation that does not exist");
            let params =
                Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(impossible)?;
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(passphrase.as_bytes(), salt, key.as_mut())
                .map_err(impossible)?;
        }
        (Lock::KeyFile, Secret::Key(secret)) => Hkdf::<Sha256>::new(Some(salt), secret)
            .expand(b"autonomy store v1 key file", key.as_mut())
            .expect("HKDF-SHA256 gives up to 8,160 bytes"),
        (Lock::Passphrase(_), Secret::Key(_)) => return Err(HeaderError::NeedsPassphrase),
        (Lock::KeyFile, Secret::Passphrase(_)) => return Err(HeaderError::NeedsKeyFile),
    }
    Ok(key)
}

impl fmt::Debug for Wrapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wrapping { .. }")
    }
}

impl HeaderError {
    /// The same, said of the store at `path`.
    pub(super) fn at(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Foreign => OpenError::NotAStore { path },
            Self::Newer(found) => OpenError::Newer { path, found, known: VERSION },
            Self::Damaged(what) => OpenError::damaged(&path, what),
            Self::NeedsPassphrase => OpenError::NeedsPassphrase { path },
            Self::NeedsKeyFile => OpenError::NeedsKeyFile { path },
            Self::WrongPassphrase => OpenError::WrongPassphrase { path },
            Self::WrongKeyFile => OpenError::WrongKeyFile { path },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_file() -> Unlock {
        Unlock::key([7; 32])
    }

    fn wrapped() -> Vec<u8> {
        Wrapping::new(&key_file()).wrap(&DataKey::new([3; 32]))
    }

    fn resealed(mut header: Vec<u8>) -> Vec<u8> {
        header.truncate(HEADER_LEN - 32);
        let hash = Sha256::digest(&header);
        header.extend(hash);
        header
    }

    #[test]
    fn a_wrapped_key_comes_back() {
        let bytes = wrapped();
        assert_eq!(bytes.len(), HEADER_LEN);
        let (data_key, wrapping) = Header::parse(&bytes).unwrap().unwrap(&key_file()).unwrap();
        assert_eq!(*data_key, [3; 32]);
        let next = wrapping.wrap(&DataKey::new([4; 32]));
        assert_eq!(*Header::parse(&next).unwrap().unwrap(&key_file()).unwrap().0, [4; 32]);
    }

    #[test]
    fn a_flipped_bit_is_never_reported_as_a_wrong_passphrase() {
        let bytes = wrapped();
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[at / 8] ^= 1 << (at % 8);
            let error = Header::parse(&bad).unwrap_err();
            assert!(
                matches!(error, HeaderError::Foreign | HeaderError::Newer(_) | HeaderError::Damaged(_)),
                "bit {at}: {error:?}"
            );
        }
    }

    #[test]
    fn a_forger_who_mends_the_checksum_still_gets_no_key() {
        let bytes = wrapped();
        for at in 23..HEADER_LEN - 32 {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            let bad = resealed(bad);
            assert_eq!(
                Header::parse(&bad).unwrap().unwrap(&key_file()).unwrap_err(),
                HeaderError::WrongKeyFile
            );
        }
    }

    #[test]
    fn costs_are_bounded_before_they_are_paid() {
        let huge = Cost { memory_kib: u32::MAX, passes: 1, lanes: 1 };
        let long = Cost { passes: MAX_COST.passes + 1, ..COST };
        let wide = Cost { lanes: MAX_COST.lanes + 1, ..COST };
        for cost in [huge, long, wide] {
            let mut bytes = encode(Lock::Passphrase(cost), &[0; 16]);
            bytes.resize(HEADER_LEN, 0);
            assert!(matches!(Header::parse(&resealed(bytes)), Err(HeaderError::Damaged(_))), "{cost:?}");
        }
        // Below what argon2 knows: refused when it is used.
        let mut bytes = encode(Lock::Passphrase(Cost { memory_kib: 0, passes: 0, lanes: 0 }), &[0; 16]);
        bytes.resize(HEADER_LEN, 0);
        let bytes = resealed(bytes);
        let unlock = Unlock::passphrase("a".to_owned()).unwrap();
        assert!(matches!(Header::parse(&bytes).unwrap().unwrap(&unlock), Err(HeaderError::Damaged(_))));
    }

    #[test]
    fn another_length_or_version_is_named() {
        let bytes = wrapped();
        assert!(matches!(Header::parse(&bytes[..bytes.len() - 1]), Err(HeaderError::Damaged(_))));
        assert_eq!(Header::parse(b"something else").unwrap_err(), HeaderError::Foreign);
        let mut newer = bytes;
        newer[9] = 2;
        newer.push(0);
        assert_eq!(Header::parse(&newer).unwrap_err(), HeaderError::Newer(2));
    }
}
