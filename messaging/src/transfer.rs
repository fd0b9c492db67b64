//! Files on their way to and from one contact, in chunks.

use std::ops::Range;

use autonomy_codec::Reader;

use crate::part::{BadRecord, Forged};
use crate::window::{Arrival, WINDOW_BYTES, Window};

/// Bytes of every chunk but the last, which has the rest.
pub const CHUNK_LEN: u32 = 11_500;

/// Longest file that a contact may send or get unless its limit is lower: 4 GiB, 373,476 chunks.
pub const MAX_FILE: u64 = 4 << 30;

/// Files on their way from one contact at a time, and as many to it: as many as receipts name in one packet.
pub const MAX_TRANSFERS: usize = 4;

/// Chunks that may be unacknowledged at a time: 64 × 11.5 kB = 736 kB a file. A relay that keeps them for a contact who
/// is away has room left for messages.
pub const MAX_CHUNKS_UNDERWAY: usize = 64;

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
    sent: u64,
    acked: Window,
}

/// A file that comes from a contact. Chunks are written to their places in a file; whoever owns that file compares its
/// SHA-256 when all are there, before anybody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    content: FileContent,
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

    fn check(&self, limit: u64) -> Result<(), FileTooLong> {
        let (size, limit) = (self.size, limit.min(MAX_FILE));
        if size > limit { Err(FileTooLong { size, limit }) } else { Ok(()) }
    }

    /// Bytes of the chunks in a window.
    fn bytes_in(&self, window: &Window) -> u64 {
        let chunk_len = u64::from(CHUNK_LEN);
        let ahead = (window.next()..window.end()).filter(|index| window.contains(*index));
        let beyond: u64 = ahead.map(|index| self.size.saturating_sub(index * chunk_len).min(chunk_len)).sum();
        self.size.min(window.next() * chunk_len) + beyond
    }

    fn record(&self, sent: Option<u64>, window: &Window) -> Vec<u8> {
        let mut out = Vec::with_capacity(RECORD_BYTES + 8);
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend_from_slice(&self.sha256);
        out.extend_from_slice(&window.to_bytes());
        out.extend(sent.into_iter().flat_map(u64::to_be_bytes));
        out
    }

    fn read(reader: &mut Reader<'_>) -> Option<(Self, Window)> {
        let content = Self { size: reader.u64()?, sha256: reader.array()? };
        let window = Window::from_bytes(&reader.array()?)?;
        (content.size <= MAX_FILE && window.end() <= content.chunks()).then_some((content, window))
    }
}

impl Outgoing {
    /// Begins to send a file of at most `limit` bytes.
    pub fn new(content: FileContent, limit: u64) -> Result<Self, FileTooLong> {
        content.check(limit)?;
        Ok(Self { content, sent: 0, acked: Window::new() })
    }

    /// Chunks that the contact does not have and would take now, in order: at most [`MAX_CHUNKS_UNDERWAY`], and all of
    /// them less than a window apart.
    pub fn unacknowledged(&self) -> impl Iterator<Item = u32> + '_ {
        let end = self.content.chunks().min(self.acked.next() + crate::window::WINDOW_LEN);
        let missing = (self.acked.next()..end).filter(|index| !self.acked.contains(*index));
        missing.take(MAX_CHUNKS_UNDERWAY).filter_map(|index| u32::try_from(index).ok())
    }

    /// Takes note, **before** it leaves, that this chunk is sent. Says whether the record changed.
    pub fn mark_sent(&mut self, index: u32) -> bool {
        let sent = self.sent.max(u64::from(index) + 1).min(self.content.chunks());
        std::mem::replace(&mut self.sent, sent) != sent
    }

    /// Takes a receipt; says whether anything in it was new. A receipt for what was never sent is refused whole.
    pub fn acknowledge(&mut self, receipt: &Window) -> Result<bool, Forged> {
        if receipt.end() > self.sent {
            return Err(Forged { claimed: receipt.end() - 1, sent: self.sent });
        }
        Ok(self.acked.merge(receipt))
    }

    /// The contact's pod may have been restored from a backup: what it has is to be learnt anew.
    pub fn restart(&mut self) {
        self.acked = Window::new();
    }

    /// What is sent.
    #[must_use]
    pub fn content(&self) -> &FileContent {
        &self.content
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
    pub fn new(content: FileContent, limit: u64) -> Result<Self, FileTooLong> {
        content.check(limit)?;
        Ok(Self { content, arrived: Window::new() })
    }

    /// Takes a chunk of `len` bytes.
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
    pub fn restore(record: &[u8]) -> Result<Self, BadRecord> {
        let mut reader = Reader::new(record);
        let read = FileContent::read(&mut reader).filter(|_| reader.is_empty());
        read.map(|(content, arrived)| Self { content, arrived }).ok_or(BadRecord("incoming file"))
    }
}
