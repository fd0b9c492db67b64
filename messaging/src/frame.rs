//! What a relay or peer sees of a message: a header that opens a queue, and a blob that looks random. All of one size.
//!
//! A relay sees queue, capability and deposit id in clear, since it has to act on them. The blob is sealed with a key
//! that only the two ends have, under a fresh nonce of 24 random bytes (so no counter has to survive a restart), and
//! bound to its queue: a relay that moves a blob to another queue makes it unreadable. Padding is zeros inside the
//! seal.

use std::fmt;

use autonomy_codec::Reader;
use chacha20poly1305::aead::{AeadInPlace as _, KeyInit as _};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use crate::keys::derive_key;
use crate::place::{Capability, QueueId};

/// Bytes of every frame on the wire.
pub const FRAME_LEN: usize = 16 * 1024;
/// Version (4), deposit id (16), queue (32), capability (32).
/// Bytes of a frame before the blob.
pub const HEADER_LEN: usize = 4 + 16 + 32 + 32;
/// The sealed rest. With its key and page header it just fits four pages of the relay's database.
pub const BLOB_LEN: usize = FRAME_LEN - HEADER_LEN;

/// XChaCha20's: long enough to be drawn at random.
const NONCE_LEN: usize = 24;
/// Poly1305's.
const TAG_LEN: usize = 16;
/// What is sealed: the content behind its length, and zeros up to here, so that every blob has one size.
const PLAIN_LEN: usize = BLOB_LEN - NONCE_LEN - TAG_LEN;
/// Longest content of a frame: the blob without nonce (24), tag (16) and length (2), 16,258 bytes.
pub const MAX_CONTENT: usize = PLAIN_LEN - 2;

const _: () = assert!(MAX_CONTENT == 16_300 - 24 - 16 - 2);

/// Bytes that every frame begins with, before its version.
const MAGIC: &[u8; 2] = b"af";
const VERSION: u8 = 1;

/// Names one act of depositing: a repeat after a lost answer carries the same name and is stored once.
///
/// Random, so it tells nothing; a sender draws one for each frame, and keeps it for repeats of that frame.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DepositId([u8; 16]);

/// The sealed part of a frame, [`BLOB_LEN`] bytes.
///
/// Heap-allocated, for it is moved often and is 16 kB.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob(Box<[u8; BLOB_LEN]>);

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Which act of depositing this is.
    pub deposit: DepositId,
    /// Where it goes.
    pub queue: QueueId,
    /// The right to put it there.
    pub capability: Capability,
    /// What it carries.
    pub blob: Blob,
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedFrame {
    /// Another length than [`FRAME_LEN`].
    #[error("a frame has {FRAME_LEN} bytes, this has {0}")]
    Length(usize),
    /// Something else.
    /// The magic is another, or the fourth byte is not zero.
    #[error("this is not a frame")]
    NotAFrame,
    /// A format this program does not know.
    #[error("frame format {0} is not known here: a newer program wrote it, update this one")]
    Version(u8),
}

/// The content does not fit into a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame takes {MAX_CONTENT} bytes, these are {0}")]
pub struct TooLong(pub usize);

/// Seals what goes to one queue and opens what comes from it (XChaCha20-Poly1305).
///
/// It hides from places what the ratchet shows of itself, and makes all frames look alike. That it stays the same for
/// long does not weaken what the ratchet protects. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct QueueKey(Zeroizing<[u8; 32]>);

impl Frame {
    /// The bytes on the wire: magic, version, zero (4), deposit id (16), queue (32), capability (32), blob.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the parts of a frame add up to its length: each has a fixed one")]
    pub fn to_bytes(&self) -> Box<[u8; FRAME_LEN]> {
        let mut bytes = Vec::with_capacity(FRAME_LEN);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[VERSION, 0]);
        bytes.extend_from_slice(self.deposit.as_bytes());
        bytes.extend_from_slice(self.queue.as_bytes());
        bytes.extend_from_slice(self.capability.as_bytes());
        bytes.extend_from_slice(self.blob.as_bytes());
        bytes.try_into().expect("the parts of a frame add up to its length")
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, and nothing else.
    ///
    /// # Errors
    /// [`MalformedFrame`] says whether it is the length, the magic or the version. Nothing else can be wrong: every
    /// other byte is opaque here.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedFrame> {
        if bytes.len() != FRAME_LEN {
            return Err(MalformedFrame::Length(bytes.len()));
        }
        let (head, rest) = bytes.split_at(4);
        if !head.starts_with(MAGIC) || head[3] != 0 {
            return Err(MalformedFrame::NotAFrame);
        }
        if head[2] != VERSION {
            return Err(MalformedFrame::Version(head[2]));
        }
        Self::read(&mut Reader::new(rest)).ok_or(MalformedFrame::Length(bytes.len()))
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            deposit: DepositId(reader.array()?),
            queue: QueueId::from_bytes(reader.array()?),
            capability: Capability::from_bytes(reader.array()?),
            blob: Blob::from_slice(reader.take(BLOB_LEN)?)?,
        })
    }
}

impl QueueKey {
    /// Takes 32 secret bytes, from a store.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key for one purpose of a shared secret: HKDF-SHA256(salt "autonomy queue key v1", secret, label). Both ends
    /// name the direction in the label, so that each has a key of its own.
    ///
    /// Changing a label, or the salt, makes all frames unreadable that are on their way.
    #[must_use]
    pub fn derive(secret: &[u8; 32], label: &str) -> Self {
        Self(derive_key(b"autonomy queue key v1", secret, &[label.as_bytes()]))
    }

    /// The 32 bytes, to be stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals `content` for `queue`: the same content never gives the same blob.
    ///
    /// # Errors
    /// [`TooLong`] above [`MAX_CONTENT`] bytes.
    #[expect(clippy::expect_used, reason = "the cipher takes 256 GiB, and the blob was made with its length")]
    pub fn seal(
        &self,
        queue: &QueueId,
        content: &[u8],
        rng: &mut dyn CryptoRngCore,
    ) -> Result<Blob, TooLong> {
        let too_long = TooLong(content.len());
        let len = u16::try_from(content.len()).map_err(|_| too_long)?;
        if content.len() > MAX_CONTENT {
            return Err(too_long);
        }
        let mut blob = vec![0; BLOB_LEN];
        let (nonce, rest) = blob.split_at_mut(NONCE_LEN);
        let (plain, tag) = rest.split_at_mut(PLAIN_LEN);
        rng.fill_bytes(nonce);
        plain[..2].copy_from_slice(&len.to_be_bytes());
        plain[2..2 + content.len()].copy_from_slice(content);
        let made = self
            .cipher()
            .encrypt_in_place_detached(XNonce::from_slice(nonce), queue.as_bytes(), plain)
            .expect("far below the 256 GiB that the cipher takes");
        tag.copy_from_slice(&made);
        Ok(Blob(blob.try_into().expect("made with this length")))
    }

    /// Opens a blob that came from `queue`. `None` when it was sealed with another key, for another queue, or was
    /// changed.
    ///
    /// Padding that is not zero is refused too: one content has one plaintext, so nothing can hide behind it.
    #[must_use]
    pub fn open(&self, queue: &QueueId, blob: &Blob) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, rest) = blob.0.split_at(NONCE_LEN);
        let (sealed, tag) = rest.split_at(PLAIN_LEN);
        let mut plain = Zeroizing::new(sealed.to_vec());
        self.cipher()
            .decrypt_in_place_detached(
                XNonce::from_slice(nonce),
                queue.as_bytes(),
                &mut plain,
                Tag::from_slice(tag),
            )
            .ok()?;
        let mut reader = Reader::new(&plain);
        let content = reader.bytes_u16()?.len();
        let padded = plain[2 + content..].iter().all(|byte| *byte == 0);
        padded.then(|| Zeroizing::new(plain[2..2 + content].to_vec()))
    }

    /// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with this key; the queue is the associated data.
    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.as_slice().into())
    }
}

impl DepositId {
    /// Takes 16 bytes as they came.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Draws a new one.
    #[must_use]
    pub fn generate(rng: &mut dyn CryptoRngCore) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Blob {
    /// Takes bytes as they came. None unless they are [`BLOB_LEN`].
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BLOB_LEN] = bytes.try_into().ok()?;
        Some(Self(Box::new(*bytes)))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; BLOB_LEN] {
        &self.0
    }
}

impl fmt::Debug for Blob {
    /// Sealed bytes help nobody in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blob(..)")
    }
}

impl fmt::Debug for QueueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueueKey(..)")
    }
}
