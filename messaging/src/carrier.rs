//! Sealed messages that travel without a network: as a file, or as QR codes shown one after the other.
//!
//! A parcel carries blobs as a place would have them, for queues of one contact; what is in them stays as sealed as on
//! the wire, and each is taken as if it had been collected. A parcel read twice, or beside the network, harms nothing.
//!
//! ```text
//! "apcl" · version 1 · count 2 · count × (queue 32 · deposit id 16 · blob 16,300) · checksum 8
//! ```
//!
//! Whoever carries a parcel learns from it which queues it is for, and nothing else.

mod parts;

pub use parts::{Assembler, Assembly, BadPart, MAX_PARTS, PART_LEN, parts};

use std::fmt;

use sha2::{Digest as _, Sha256};

use autonomy_codec::Reader;

use crate::frame::{BLOB_LEN, Blob, DepositId};
use crate::place::QueueId;

/// Most blobs in a parcel: 1,024 of 16 KiB are 16.7 MB, what a mail still carries.
pub const MAX_BLOBS: usize = 1_024;
/// Longest parcel: magic and version (5), count (2), blobs with queue (32) and deposit id (16), checksum (8).
pub const MAX_PARCEL: usize = HEAD_LEN + MAX_BLOBS * ENTRY_LEN + CHECKSUM_LEN;

/// Magic, version and count.
const HEAD_LEN: usize = 5 + 2;
/// Bytes of one entry.
const ENTRY_LEN: usize = 32 + 16 + BLOB_LEN;
/// Of SHA-256 over all before: enough for accidents, and no protection against anybody.
const CHECKSUM_LEN: usize = 8;
/// What a file of this kind begins with.
const MAGIC: &[u8; 4] = b"apcl";
const VERSION: u8 = 1;

/// Blobs on their way in somebody's pocket.
#[derive(Clone, PartialEq, Eq)]
pub struct Parcel(Vec<ParcelEntry>);

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParcelEntry {
    /// Where it would have been deposited.
    pub queue: QueueId,
    /// Under which name, so that a repeat is known.
    pub deposit: DepositId,
    /// What would lie there.
    pub blob: Blob,
}

/// A parcel takes 1 to [`MAX_BLOBS`] blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a parcel has 1 to {MAX_BLOBS} messages, these are {0}")]
pub struct BadParcel(pub usize);

/// Why bytes are no parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedParcel {
    /// Longer than [`MAX_PARCEL`].
    #[error("a parcel has at most {MAX_PARCEL} bytes, this has {0}")]
    TooLong(usize),
    /// Something else.
    #[error("this is not a parcel of messages")]
    NotAParcel,
    /// A format this program does not know.
    #[error("parcel format {0} is not known here: a newer program wrote it, update this one")]
    Version(u8),
    /// Not as long as its head says, or the checksum does not fit.
    #[error("the parcel was cut or changed on the way: copy it again, whole")]
    Damaged,
}

impl Parcel {
    /// Packs blobs.
    ///
    /// # Errors
    /// [`BadParcel`] with no entry, or more than [`MAX_BLOBS`].
    pub fn new(entries: Vec<ParcelEntry>) -> Result<Self, BadParcel> {
        if !(1..=MAX_BLOBS).contains(&entries.len()) {
            return Err(BadParcel(entries.len()));
        }
        Ok(Self(entries))
    }

    /// What is in it.
    #[must_use]
    pub fn entries(&self) -> &[ParcelEntry] {
        &self.0
    }

    /// The same, without a copy.
    #[must_use]
    pub fn into_entries(self) -> Vec<ParcelEntry> {
        self.0
    }

    /// The canonical bytes, for a file or for [`parts`].
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "the constructor takes at most MAX_BLOBS entries, fewer than 65,536"
    )]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_LEN + self.0.len() * ENTRY_LEN + CHECKSUM_LEN);
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(
            &u16::try_from(self.0.len()).expect("bounded in the constructor").to_be_bytes(),
        );
        for ParcelEntry { queue, deposit, blob } in &self.0 {
            out.extend_from_slice(queue.as_bytes());
            out.extend_from_slice(deposit.as_bytes());
            out.extend_from_slice(blob.as_bytes());
        }
        let sum = checksum(&out);
        out.extend_from_slice(&sum);
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, and nothing else. The checksum finds accidents; an attacker
    /// finds out that the blobs are sealed.
    ///
    /// # Errors
    /// [`MalformedParcel`] says whether it is another kind of file, another version, too long, or damaged. What is
    /// sealed within is not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedParcel> {
        if bytes.len() > MAX_PARCEL {
            return Err(MalformedParcel::TooLong(bytes.len()));
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(MalformedParcel::NotAParcel)?;
        match rest.first() {
            None => return Err(MalformedParcel::Damaged),
            Some(&VERSION) => (),
            Some(version) => return Err(MalformedParcel::Version(*version)),
        }
        let (body, sum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(MalformedParcel::Damaged)?;
        if checksum(body) != *sum {
            return Err(MalformedParcel::Damaged);
        }
        Self::read(body.get(5..).unwrap_or_default()).ok_or(MalformedParcel::Damaged)
    }

    /// The entries behind magic and version; the count must fit the length exactly.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let count = usize::from(reader.u16()?);
        if bytes.len() != 2 + count * ENTRY_LEN {
            return None;
        }
        let entries = (0..count).map(|_| ParcelEntry::read(&mut reader)).collect::<Option<_>>()?;
        Self::new(entries).ok()
    }
}

impl ParcelEntry {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            queue: QueueId::from_bytes(reader.array()?),
            deposit: DepositId::from_bytes(reader.array()?),
            blob: Blob::from_slice(reader.take(BLOB_LEN)?)?,
        })
    }
}

/// The first bytes of SHA-256 under a label of this format.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let digest = Sha256::new().chain_update(b"autonomy parcel v1\0").chain_update(bytes).finalize();
    std::array::from_fn(|at| digest[at])
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parcel({} blobs)", self.0.len())
    }
}
