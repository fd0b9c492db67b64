//! What pods say to each other: a kind, the version of that kind, and a body.
//!
//! A kind or version that this program does not know is kept as it came ([`Payload::Unknown`]) and reported: a newer
//! program of the contact said something, and its owner should hear that.

mod file;
mod text;

use std::fmt;

use autonomy_codec::Reader;
use zeroize::Zeroizing;

pub use file::{BadFileName, FileName, FileOffer, MAX_FILE_LEN, MAX_FILE_NAME_LEN};
pub use text::{BadText, MAX_TEXT_LEN, Text};

use crate::card::MAX_CARD;
use crate::packet::TransferId;

/// Longest encoded payload: six parts. A message of this length is seen whole or not at all.
pub const MAX_PAYLOAD: usize = crate::part::MAX_MESSAGE_LEN as usize;
/// Kind and version.
const HEADER_LEN: usize = 2 + 1;

const _: () = assert!(HEADER_LEN + MAX_TEXT_LEN <= MAX_PAYLOAD && HEADER_LEN + MAX_CARD <= MAX_PAYLOAD);

/// What kinds there are. From 0x0100 on they are for payments, from 0x0200 for cosigning, from 0x0300 for recovery.
mod kind {
    pub(super) const TEXT: u16 = 0x0001;
    pub(super) const RECEIPT: u16 = 0x0002;
    pub(super) const CARD: u16 = 0x0003;
    pub(super) const FILE_OFFER: u16 = 0x0004;
    pub(super) const FILE_CANCEL: u16 = 0x0005;
}

const VERSION: u8 = 1;

/// Names a message between two pods, the same on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 16]);

/// One thing said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payload {
    /// Words.
    Text(Text),
    /// The contact's owner has read a message.
    Receipt(MessageId),
    /// The contact's card changed: the bytes of a [signed card](crate::card::SignedCard), still to be verified.
    Card(Vec<u8>),
    /// A file can be had.
    FileOffer(FileOffer),
    /// A file is no longer offered, or no longer wanted.
    FileCancel(TransferId),
    /// Something of a newer program.
    Unknown(Unknown),
}

/// A payload of a kind or version that is not known here.
#[derive(Clone, PartialEq, Eq)]
pub struct Unknown {
    kind: u16,
    version: u8,
    bytes: Vec<u8>,
}

/// Why bytes are no payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedPayload {
    /// Longer than [`MAX_PAYLOAD`], or too short for a kind.
    #[error("a message has {HEADER_LEN} to {MAX_PAYLOAD} bytes, this has {0}")]
    Length(usize),
    /// The body is not what its kind says.
    #[error("a message of kind {0:#06x} is malformed")]
    Body(u16),
}

impl Payload {
    /// The kind's number.
    #[must_use]
    pub fn kind(&self) -> u16 {
        match self {
            Self::Text(_) => kind::TEXT,
            Self::Receipt(_) => kind::RECEIPT,
            Self::Card(_) => kind::CARD,
            Self::FileOffer(_) => kind::FILE_OFFER,
            Self::FileCancel(_) => kind::FILE_CANCEL,
            Self::Unknown(unknown) => unknown.kind,
        }
    }

    /// The canonical bytes, wiped when dropped. Longer than [`MAX_PAYLOAD`] only for a card that is none.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(512));
        out.extend_from_slice(&self.kind().to_be_bytes());
        out.push(if let Self::Unknown(unknown) = self { unknown.version } else { VERSION });
        match self {
            Self::Text(text) => out.extend_from_slice(text.as_str().as_bytes()),
            Self::Receipt(message) => out.extend_from_slice(&message.0),
            Self::Card(bytes) => out.extend_from_slice(bytes),
            Self::FileOffer(offer) => offer.write(&mut out),
            Self::FileCancel(transfer) => out.extend_from_slice(&transfer.0),
            Self::Unknown(unknown) => out.extend_from_slice(&unknown.bytes),
        }
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, and nothing else.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedPayload> {
        let length = MalformedPayload::Length(bytes.len());
        if bytes.len() > MAX_PAYLOAD {
            return Err(length);
        }
        let mut reader = Reader::new(bytes);
        let kind = reader.u16().ok_or(length)?;
        let version = reader.u8().ok_or(length)?;
        if let Some(unknown) = Unknown::new(kind, version, bytes[HEADER_LEN..].to_vec()) {
            return Ok(Self::Unknown(unknown));
        }
        let payload = Self::read(kind, &mut reader).filter(|_| reader.is_empty());
        payload.ok_or(MalformedPayload::Body(kind))
    }

    fn read(kind: u16, reader: &mut Reader<'_>) -> Option<Self> {
        Some(match kind {
            kind::TEXT => Self::Text(Text::new(std::str::from_utf8(reader.rest()).ok()?).ok()?),
            kind::RECEIPT => Self::Receipt(MessageId(reader.array()?)),
            kind::CARD => Self::Card(Some(reader.rest()).filter(|card| card.len() <= MAX_CARD)?.to_vec()),
            kind::FILE_OFFER => Self::FileOffer(FileOffer::read(reader)?),
            kind::FILE_CANCEL => Self::FileCancel(TransferId(reader.array()?)),
            _ => return None,
        })
    }
}

impl Unknown {
    /// None if the kind is known here in this version, or the body is too long.
    #[must_use]
    pub fn new(kind: u16, version: u8, bytes: Vec<u8>) -> Option<Self> {
        let known = (kind::TEXT..=kind::FILE_CANCEL).contains(&kind) && version == VERSION;
        (!known && bytes.len() <= MAX_PAYLOAD - HEADER_LEN).then_some(Self { kind, version, bytes })
    }

    /// The kind's number.
    #[must_use]
    pub fn kind(&self) -> u16 {
        self.kind
    }

    /// The kind's version.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.version
    }

    /// The body.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unknown({:#06x} version {}, {} bytes)", self.kind, self.version, self.bytes.len())
    }
}
