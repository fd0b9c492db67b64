//! Files on their way to and from one contact, in chunks.
//!
//! A file is an [`Outgoing`] at its sender and an [`Incoming`] at its receiver. Both are small records (88 and 80 B)
//! beside the bytes, which stay with the owner of the rows: they say which chunks to send, which have arrived, and
//! when all are there. Chunks come in any order within a window of 256, and each end can stop and go on from its
//! record.
//!
//! Neither hashes anything. Every chunk comes through the ratchet, so nobody but the sender can change one; whether
//! the sender sent what it announced is for whoever reads the file to check.

use std::ops::Range;

use autonomy_codec::Reader;

use crate::part::{BadRecord, Forged};
use crate::window::{Arrival, WINDOW_BYTES, Window};

/// Bytes of every chunk but the last, which has the rest.
pub const CHUNK_LEN: u32 = 11_500;

/// Longest file that a contact may send or get unless its limit is lower: 4 GiB, 373,476 chunks.
pub const MAX_FILE: u64 = 4 << 30;

/// Files that receipts name in one packet: four of 56 B.
pub const MAX_TRANSFERS: usize = 4;

/// Chunks of all files to one contact that may be unacknowledged at a time: 192 × 11.5 kB = 2.2 MB, which is what
/// travels in two seconds at 1.1 MB/s. A relay that keeps them for a contact who is away (256 frames) has room left for
/// 64 messages.
pub const MAX_CHUNKS_UNDERWAY: usize = 192;

/// Of these, so many may be of files for which no receipt has come yet: 64 × 11.5 kB = 736 kB. They may overtake the
/// offers of their files, and so many a receiver keeps without an offer.
pub const MAX_EARLY_CHUNKS: usize = 64;

const _: () =
    assert!(MAX_EARLY_CHUNKS <= MAX_CHUNKS_UNDERWAY && MAX_CHUNKS_UNDERWAY as u64 <= crate::WINDOW_LEN);

/// Size, hash and window.
const RECORD_BYTES: usize = 8 + 32 + WINDOW_BYTES;

/// Names one sending of one file; random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(pub [u8; 16]);

/// What is sent: its length and SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileContent {
    /// Bytes.
    pub size: u64,
    /// SHA-256 of all of them.
    pub sha256: [u8; 32],
}

/// A file that a contact gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    content: FileContent,
    /// All chunks from here on were never sent.
    /// A receipt for one of these is forged.
    sent: u64,
    /// Which chunks the contact has.
    acked: Window,
}

/// A file that comes from a contact. Chunks are written to their places in a file; whoever owns that file compares its
/// SHA-256 when all are there, before anybody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    content: FileContent,
    /// Which chunks are here: the receipt, as it is sent.
    arrived: Window,
}

/// A transfer cannot begin: the file is longer than this contact may send or get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a file of {size} bytes, and {limit} are the most")]
pub struct FileTooLong {
    /// Bytes of the file.
    pub size: u64,
    /// The limit.
    pub limit: u64,
}

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkVerdict {
    /// Write it to the file at this offset, **then** keep the record.
    /// In this order a crash costs one chunk that comes again; in the other the record would name a chunk that is not
    /// there.
    New {
        /// In bytes.
        offset: u64,
    },
    /// It was here before: the sender wants a receipt.
    Repeat,
    /// Too far ahead: not taken; it will come again.
    TooFar,
    /// There is no such chunk in this file, or it has another length.
    Malformed,
}

impl FileContent {
    /// How many chunks it makes.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.size.div_ceil(u64::from(CHUNK_LEN))
    }

    /// Which bytes a chunk has; `None` beyond the end.
    #[must_use]
    pub fn chunk(&self, index: u32) -> Option<Range<u64>> {
        let start = u64::from(index) * u64::from(CHUNK_LEN);
        (start < self.size).then(|| start..self.size.min(start + u64::from(CHUNK_LEN)))
    }

    /// Whether it is within `limit` and [`MAX_FILE`].
    fn check(&self, limit: u64) -> Result<(), FileTooLong> {
        let (size, limit) = (self.size, limit.min(MAX_FILE));
        if size > limit { Err(FileTooLong { size, limit }) } else { Ok(()) }
    }

    /// Bytes of the chunks in a window.
    /// The last chunk may be shorter than the others, so the chunks cannot simply be counted.
    fn bytes_in(&self, window: &Window) -> u64 {
        let chunk_len = u64::from(CHUNK_LEN);
        let ahead = (window.next()..window.end()).filter(|index| window.contains(*index));
        let beyond: u64 = ahead.map(|index| self.size.saturating_sub(index * chunk_len).min(chunk_len)).sum();
        self.size.min(window.next() * chunk_len) + beyond
    }

    /// Size (8), SHA-256 (32), window (40), and for an outgoing file the first chunk that was never sent (8).
    fn record(&self, sent: Option<u64>, window: &Window) -> Vec<u8> {
        let mut out = Vec::with_capacity(RECORD_BYTES + 8);
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend_from_slice(&self.sha256);
        out.extend_from_slice(&window.to_bytes());
        out.extend(sent.into_iter().flat_map(u64::to_be_bytes));
        out
    }

    /// Reads the common part of a record. None if the file is longer than any, or the window names chunks beyond its
    /// end.
    fn read(reader: &mut Reader<'_>) -> Option<(Self, Window)> {
        let content = Self { size: reader.u64()?, sha256: reader.array()? };
        let window = Window::from_bytes(&reader.array()?)?;
        (content.size <= MAX_FILE && window.end() <= content.chunks()).then_some((content, window))
    }
}

impl Outgoing {
    /// Begins to send a file of at most `limit` bytes.
    ///
    /// # Errors
    /// [`FileTooLong`] above `limit` or above [`MAX_FILE`], whichever is lower.
    pub fn new(content: FileContent, limit: u64) -> Result<Self, FileTooLong> {
        content.check(limit)?;
        Ok(Self { content, sent: 0, acked: Window::new() })
    }

    /// Chunks that the contact does not have and would take now, in order: at most [`MAX_CHUNKS_UNDERWAY`], before the
    /// first receipt [`MAX_EARLY_CHUNKS`], and all of them less than a window apart.
    pub fn unacknowledged(&self) -> impl Iterator<Item = u32> + '_ {
        let end = self.content.chunks().min(self.acked.next() + crate::window::WINDOW_LEN);
        let missing = (self.acked.next()..end).filter(|index| !self.acked.contains(*index));
        let most = if self.is_known() { MAX_CHUNKS_UNDERWAY } else { MAX_EARLY_CHUNKS };
        missing.take(most).filter_map(|index| u32::try_from(index).ok())
    }

    /// Takes note, **before** it leaves, that this chunk is sent. Says whether the record changed.
    ///
    /// A receipt for a chunk that was never marked is taken for forged, so the mark must be safe before the chunk
    /// leaves.
    pub fn mark_sent(&mut self, index: u32) -> bool {
        let sent = self.sent.max(u64::from(index) + 1).min(self.content.chunks());
        std::mem::replace(&mut self.sent, sent) != sent
    }

    /// Takes a receipt; says whether anything in it was new. A receipt for what was never sent is refused whole.
    ///
    /// # Errors
    /// [`Forged`] when the receipt names a chunk that was not sent. Nothing changed.
    pub fn acknowledge(&mut self, receipt: &Window) -> Result<bool, Forged> {
        if receipt.end() > self.sent {
            return Err(Forged { claimed: receipt.end() - 1, sent: self.sent });
        }
        Ok(self.acked.merge(receipt))
    }

    /// The contact's pod may have been restored from a backup: what it has is to be learnt anew.
    ///
    /// Chunks that it still has are acknowledged by its next receipt; until then they may be sent again. Or our own pod was, and
    /// sent more than its record says: from now on every receipt is believed that names chunks of this file.
    pub fn restart(&mut self) {
        self.acked = Window::new();
        self.sent = self.content.chunks();
    }

    /// What is sent.
    #[must_use]
    pub fn content(&self) -> &FileContent {
        &self.content
    }

    /// Whether the contact has said that it has some of it: then it knows the offer.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.acked.end() > 0
    }

    /// Chunks that the contact does not have.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.content.chunks() - self.acked.next()
    }

    /// Bytes that the contact has.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.content.bytes_in(&self.acked)
    }

    /// The contact has all of it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.acked.next() == self.content.chunks()
    }

    /// Everything as one record of 88 B.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        self.content.record(Some(self.sent), &self.acked)
    }

    /// The transfer that this record was taken from.
    ///
    /// # Errors
    /// The record was not written by [`record`](Self::record).
    pub fn restore(record: &[u8]) -> Result<Self, BadRecord> {
        let read = || {
            let mut reader = Reader::new(record);
            let (content, acked) = FileContent::read(&mut reader)?;
            let sent = reader.u64()?;
            let sane = reader.is_empty() && acked.end() <= sent && sent <= content.chunks();
            sane.then_some(Self { content, sent, acked })
        };
        read().ok_or(BadRecord("outgoing file"))
    }
}

impl Incoming {
    /// Begins to take a file of at most `limit` bytes.
    ///
    /// # Errors
    /// [`FileTooLong`] above `limit` or above [`MAX_FILE`], whichever is lower: to be declined before anything is
    /// kept of it.
    pub fn new(content: FileContent, limit: u64) -> Result<Self, FileTooLong> {
        content.check(limit)?;
        Ok(Self { content, arrived: Window::new() })
    }

    /// Takes a chunk of `len` bytes.
    ///
    /// The bytes themselves are the caller's: it keeps them where the verdict says so, and drops them otherwise.
    pub fn accept(&mut self, index: u32, len: usize) -> ChunkVerdict {
        let Some(bytes) = self.content.chunk(index) else { return ChunkVerdict::Malformed };
        if bytes.end - bytes.start != len as u64 {
            return ChunkVerdict::Malformed;
        }
        match self.arrived.insert(u64::from(index)) {
            Arrival::New => ChunkVerdict::New { offset: bytes.start },
            Arrival::Repeat => ChunkVerdict::Repeat,
            Arrival::TooFar => ChunkVerdict::TooFar,
        }
    }

    /// What comes.
    #[must_use]
    pub fn content(&self) -> &FileContent {
        &self.content
    }

    /// The receipt for the contact.
    #[must_use]
    pub fn receipt(&self) -> &Window {
        &self.arrived
    }

    /// Bytes that are here.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.content.bytes_in(&self.arrived)
    }

    /// All chunks are here; the SHA-256 is to be compared.
    ///
    /// True at once for an empty file, which has no chunks.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.arrived.next() == self.content.chunks()
    }

    /// Everything as one record of 80 B.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        self.content.record(None, &self.arrived)
    }

    /// The transfer that this record was taken from.
    ///
    /// # Errors
    /// The record was not written by [`record`](Self::record).
    pub fn restore(record: &[u8]) -> Result<Self, BadRecord> {
        let mut reader = Reader::new(record);
        let read = FileContent::read(&mut reader).filter(|_| reader.is_empty());
        read.map(|(content, arrived)| Self { content, arrived }).ok_or(BadRecord("incoming file"))
    }
}
