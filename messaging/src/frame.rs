//! What a relay or peer sees of a message: a header that opens a queue, and a blob that looks random. All of one size.

use std::fmt;

use rand_core::CryptoRngCore;

use crate::place::{Capability, QueueId};

/// Bytes of every frame on the wire.
pub const FRAME_LEN: usize = 16 * 1024;
/// Version (4), deposit id (16), queue (32), capability (32).
pub const HEADER_LEN: usize = 4 + 16 + 32 + 32;
/// The sealed rest. With its key and page header it just fits four pages of the relay's database.
pub const BLOB_LEN: usize = FRAME_LEN - HEADER_LEN;

/// Names one act of depositing: a repeat after a lost answer carries the same name and is stored once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DepositId([u8; 16]);

/// The sealed part of a frame, [`BLOB_LEN`] bytes.
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
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blob(..)")
    }
}
