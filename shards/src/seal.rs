//! What a deck hides from the one who keeps it.

use std::fmt;

use autonomy_codec::{Reader, put_bytes_u16};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use rand_core::CryptoRngCore;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{PublicKey, Secret, SetId};

/// Most account maps in one deck. A recovery key belongs to one account; the rest is room for its later
/// versions.
pub const MAX_MAPS: usize = 8;

/// Longest account map in bytes. A descriptor has about 150 for each member; 15 members (the most that a
/// standard script takes) and their names stay below it.
pub const MAX_MAP_LEN: usize = 4_096;

/// Length of what is sealed grows in steps of this many bytes, so that its size tells nearly nothing.
const PADDING_STEP: usize = 1_024;

/// Longest sealed part: count, chain code and a length before each map, padded, and the AEAD's tag:
/// 33 + 8 · (2 + 4,096) = 32,817, up to 33 steps of 1,024 = 33,792, and 16 = 33,808 bytes.
pub(crate) const MAX_SEALED_LEN: usize =
    (33 + MAX_MAPS * (2 + MAX_MAP_LEN)).next_multiple_of(PADDING_STEP) + TAG_LEN;

/// Poly1305's.
const TAG_LEN: usize = 16;
/// XChaCha20's: long enough to be drawn at random.
pub(crate) const NONCE_LEN: usize = 24;

/// What can only be read with the secret made whole: its chain code and the account maps it belongs to.
///
/// Account maps are opaque here. None of it lets anybody spend, all of it shows what the owner has: it is
/// wiped when dropped and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Contents {
    /// Of the secret's extended key (BIP-32).
    chain_code: Zeroizing<[u8; 32]>,
    account_maps: Vec<Zeroizing<Vec<u8>>>,
}

/// The account maps are too many, empty, or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadContents {
    /// More than [`MAX_MAPS`].
    #[error("a deck takes {MAX_MAPS} account maps, these are {0}")]
    TooMany(usize),
    /// Empty, or longer than [`MAX_MAP_LEN`].
    #[error("account map {number} has {len} bytes: 1 to {MAX_MAP_LEN} are possible")]
    MapLength {
        /// Position in the list, from 0.
        number: usize,
        /// Its bytes.
        len: usize,
    },
}

/// The sealed part does not open with this secret: it belongs to another one, or was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed part of the deck does not open: it was changed, take another holder's copy")]
pub struct DoesNotOpen;

impl Contents {
    /// Puts together what goes into a deck: the chain code beside the secret in its extended key, and
    /// account maps as their owner encodes them.
    ///
    /// # Errors
    /// [`BadContents`] names the map that is empty or too long, or says that there are too many.
    pub fn new(chain_code: &[u8; 32], account_maps: &[impl AsRef<[u8]>]) -> Result<Self, BadContents> {
        if account_maps.len() > MAX_MAPS {
            return Err(BadContents::TooMany(account_maps.len()));
        }
        for (number, map) in account_maps.iter().enumerate() {
            let len = map.as_ref().len();
            if !(1..=MAX_MAP_LEN).contains(&len) {
                return Err(BadContents::MapLength { number, len });
            }
        }
        let account_maps = account_maps.iter().map(|map| Zeroizing::new(map.as_ref().to_vec())).collect();
        Ok(Self { chain_code: Zeroizing::new(*chain_code), account_maps })
    }

    /// The chain code of the secret's extended key (BIP-32).
    #[must_use]
    pub fn chain_code(&self) -> &[u8; 32] {
        &self.chain_code
    }

    /// The account maps, in the order they were given.
    #[must_use]
    pub fn account_maps(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.account_maps.iter().map(|map| map.as_slice())
    }

    /// Count, chain code, each map behind its length, zeros up to the next step.
    #[expect(clippy::expect_used, reason = "the constructor bounds the number of account maps")]
    fn to_padded(&self) -> Zeroizing<Vec<u8>> {
        // All of the room at once: a vector that grows leaves copies behind that nobody wipes.
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_SEALED_LEN));
        out.push(u8::try_from(self.account_maps.len()).expect("bounded in the constructor"));
        out.extend_from_slice(self.chain_code.as_slice());
        self.account_maps.iter().for_each(|map| put_bytes_u16(&mut out, map));
        let padded = out.len().next_multiple_of(PADDING_STEP);
        out.resize(padded, 0);
        out
    }

    /// What lies behind the last map is padding and is not looked at: the seal says that the owner wrote it.
    fn from_padded(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let count = reader.u8()?;
        let chain_code = Zeroizing::new(reader.array()?);
        let maps: Vec<&[u8]> = (0..count).map(|_| reader.bytes_u16()).collect::<Option<_>>()?;
        Self::new(&chain_code, &maps).ok()
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents").field("account_maps", &self.account_maps.len()).finish_non_exhaustive()
    }
}

/// [`Contents`] that only the whole secret opens.
///
/// XChaCha20-Poly1305 under HKDF-SHA256(salt = set id, secret, "autonomy deck seal v1"). Bound to the set id
/// and to the *public key of the secret* (the first commitment), not to the other commitments: these change
/// when a set is refreshed, and nobody has the key then to seal anew.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Drawn for this dealing.
    pub(crate) nonce: [u8; NONCE_LEN],
    /// With the tag at its end.
    pub(crate) ciphertext: Vec<u8>,
}

impl Sealed {
    /// Seals under a key that only the whole secret gives.
    #[expect(clippy::expect_used, reason = "the cipher takes 256 GiB")]
    pub(crate) fn seal(
        secret: &Secret,
        set: &SetId,
        contents: &Contents,
        rng: &mut dyn CryptoRngCore,
    ) -> Self {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let plain = contents.to_padded();
        let aad = associated_data(set, &secret.public_key());
        let ciphertext = cipher(secret, set)
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: &plain, aad: &aad })
            .expect("far below the 256 GiB that the cipher takes");
        Self { nonce, ciphertext }
    }

    /// # Errors
    /// [`DoesNotOpen`].
    pub(crate) fn open(&self, secret: &Secret, set: &SetId) -> Result<Contents, DoesNotOpen> {
        let aad = associated_data(set, &secret.public_key());
        let plain = cipher(secret, set)
            .decrypt(XNonce::from_slice(&self.nonce), Payload { msg: &self.ciphertext, aad: &aad })
            .map_err(|_| DoesNotOpen)?;
        Contents::from_padded(&Zeroizing::new(plain)).ok_or(DoesNotOpen)
    }
}

/// The cipher under the key that follows from the secret and the set.
#[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8,160 bytes, and 32 are asked for")]
fn cipher(secret: &Secret, set: &SetId) -> XChaCha20Poly1305 {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(set), secret.as_bytes())
        .expand(b"autonomy deck seal v1", key.as_mut_slice())
        .expect("32 bytes are within what HKDF gives");
    XChaCha20Poly1305::new(key.as_slice().into())
}

/// What the seal is bound to: the set, and the public key of the secret.
fn associated_data(set: &SetId, key: &PublicKey) -> Vec<u8> {
    [b"autonomy deck v1".as_slice(), set, key].concat()
}
