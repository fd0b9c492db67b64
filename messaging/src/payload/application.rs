use std::fmt;

use autonomy_codec::Reader;

use super::MAX_PAYLOAD;
use crate::packet::TransferId;
use crate::transfer::FileContent;

/// Application kinds start here; all below are the messenger's. From 0x0100 on they are for payments, from 0x0200 for
/// cosigning, from 0x0300 for recovery, from 0x0400 for the fields of cards.
pub const FIRST_APPLICATION_KIND: u16 = 0x0100;

/// Longest application payload that is one message: [`MAX_PAYLOAD`] (65,536 B) less the kind.
pub const MAX_INLINE_LEN: usize = MAX_PAYLOAD - size_of::<u16>();

/// Longest application payload. A PSBT with complete previous transactions takes up to 4 MB (40 inputs of 100 kB); this
/// is 365 chunks of 11,500 B.
pub const MAX_APPLICATION_LEN: usize = 4 << 20;

/// The kind of an application payload: 0x0100 or above.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApplicationKind(u16);

/// An application payload that fits a message. `Debug` shows its kind and length.
#[derive(Clone, PartialEq, Eq)]
pub struct Application {
    kind: ApplicationKind,
    bytes: Vec<u8>,
}

/// Announces an application payload that is longer than a message: its chunks follow as those of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApplicationOffer {
    /// Names this transfer.
    pub transfer: TransferId,
    /// The kind of the payload.
    pub kind: ApplicationKind,
    /// Its length, above [`MAX_INLINE_LEN`] and at most [`MAX_APPLICATION_LEN`], and its SHA-256.
    pub content: FileContent,
}

impl ApplicationKind {
    /// None for a kind of the messenger.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (number >= FIRST_APPLICATION_KIND).then_some(Self(number))
    }

    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

impl Application {
    /// None unless `bytes` has 1 to [`MAX_INLINE_LEN`] bytes. By convention the first is the version of the session's
    /// format; the messenger does not read it.
    #[must_use]
    pub fn new(kind: ApplicationKind, bytes: Vec<u8>) -> Option<Self> {
        (1..=MAX_INLINE_LEN).contains(&bytes.len()).then_some(Self { kind, bytes })
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> ApplicationKind {
        self.kind
    }

    /// The session's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The session's bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl ApplicationOffer {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.transfer.0);
        out.extend_from_slice(&self.kind.0.to_be_bytes());
        out.extend_from_slice(&self.content.size.to_be_bytes());
        out.extend_from_slice(&self.content.sha256);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let transfer = TransferId(reader.array()?);
        let kind = ApplicationKind::new(reader.u16()?)?;
        let long = MAX_INLINE_LEN as u64 + 1..=MAX_APPLICATION_LEN as u64;
        let size = reader.u64().filter(|size| long.contains(size))?;
        Some(Self { transfer, kind, content: FileContent { size, sha256: reader.array()? } })
    }
}

impl fmt::Debug for ApplicationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Application({:?}, {} bytes)", self.kind, self.bytes.len())
    }
}
