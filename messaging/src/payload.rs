//! What pods say to each other: a kind, the version of that kind, and a body.
//!
//! The messenger knows kinds by range ([`PayloadRange`]) and reads only its own: those of *applications* pass through as
//! bytes, so a session is added without a change here. A kind or version of the messenger's own ranges that this program
//! does not know is kept as it came ([`Payload::Unknown`]) and shown: a newer program of the contact wrote it.
//!
//! ```text
//! kind 2 · version 1 · body        0x0001 to 0x00ff  the messenger's own
//! kind 2 · the session's bytes     0x0100 and above  an application's
//! ```
//!
//! A payload is what a message consists of once its parts are put together; the ratchet has said that the contact
//! wrote it. Everything in it is still chosen by the contact, so bodies are checked here and bounded, and what they
//! ask for is decided elsewhere.

mod application;
mod file;
mod text;

use std::fmt;

use autonomy_codec::Reader;
use zeroize::Zeroizing;

pub use application::{
    Application, ApplicationKind, ApplicationOffer, FIRST_APPLICATION_KIND, MAX_APPLICATION_LEN,
    MAX_INLINE_LEN, NotAnApplicationKind,
};
pub use file::{BadFileName, FileName, FileOffer, MAX_FILE_LEN, MAX_FILE_NAME_LEN};
pub use text::{BadText, MAX_TEXT_LEN, Text};

use crate::card::MAX_CARD;
use crate::packet::TransferId;

/// Longest encoded payload: six parts. A message of this length is seen whole or not at all.
pub const MAX_PAYLOAD: usize = crate::part::MAX_MESSAGE_LEN as usize;
/// Kind and version.
/// Bytes before the body of the messenger's own kinds.
const HEADER_LEN: usize = 2 + 1;

const _: () = assert!(HEADER_LEN + MAX_TEXT_LEN <= MAX_PAYLOAD && HEADER_LEN + MAX_CARD <= MAX_PAYLOAD);

/// The kinds of the messenger itself. 0x0002 was a receipt for reading and stays unused.
mod kind {
    pub(super) const TEXT: u16 = 0x0001;
    pub(super) const CARD: u16 = 0x0003;
    pub(super) const FILE_OFFER: u16 = 0x0004;
    pub(super) const FILE_CANCEL: u16 = 0x0005;
    pub(super) const APPLICATION_OFFER: u16 = 0x0006;

    pub(super) const ALL: [u16; 5] = [TEXT, CARD, FILE_OFFER, FILE_CANCEL, APPLICATION_OFFER];
}

/// Version of every kind of the messenger, so far.
const VERSION: u8 = 1;

/// Who consumes a payload. The only place that decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadRange {
    /// The messenger itself: cards, cancelled files, offers of large application payloads. Never shown.
    Control,
    /// People: an entry of the conversation.
    Conversation,
    /// A session that the messenger does not know. Delivered to the node, not shown.
    Application,
}

/// One thing said. `Debug` shows neither words nor the rights that a card grants.
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    /// Words.
    Text(Text),
    /// The contact's card changed: the bytes of a [signed card](crate::card::SignedCard), still to be verified.
    ///
    /// At most [`MAX_CARD`] bytes.
    Card(Vec<u8>),
    /// A file can be had.
    FileOffer(FileOffer),
    /// A file is no longer offered, or no longer wanted.
    ///
    /// Either end may say it; chunks that are on their way are dropped.
    FileCancel(TransferId),
    /// A payload of a session is too long for a message and follows as a file.
    ApplicationOffer(ApplicationOffer),
    /// Bytes of a session.
    Application(Application),
    /// Something of a newer program.
    Unknown(Unknown),
}

/// A payload of a kind or version that is not known here.
///
/// It is shown as something that a newer program wrote, and kept as it came: after an update the entry can be read.
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
    /// Only for kinds that are known here in this version.
    #[error("a message of kind {0:#06x} is malformed")]
    Body(u16),
}

impl Payload {
    /// The kind's number.
    #[must_use]
    pub fn kind(&self) -> u16 {
        match self {
            Self::Text(_) => kind::TEXT,
            Self::Card(_) => kind::CARD,
            Self::FileOffer(_) => kind::FILE_OFFER,
            Self::FileCancel(_) => kind::FILE_CANCEL,
            Self::ApplicationOffer(_) => kind::APPLICATION_OFFER,
            Self::Application(application) => application.kind().number(),
            Self::Unknown(unknown) => unknown.kind,
        }
    }

    /// Who consumes it.
    ///
    /// A kind that is not known counts as conversation, so that nothing that a contact said is hidden from the owner.
    #[must_use]
    pub fn range(&self) -> PayloadRange {
        match self {
            Self::Card(_) | Self::FileCancel(_) | Self::ApplicationOffer(_) => PayloadRange::Control,
            Self::Text(_) | Self::FileOffer(_) | Self::Unknown(_) => PayloadRange::Conversation,
            Self::Application(_) => PayloadRange::Application,
        }
    }

    /// The canonical bytes, wiped when dropped. Longer than [`MAX_PAYLOAD`] only for a card that is none.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(512));
        out.extend_from_slice(&self.kind().to_be_bytes());
        match self {
            Self::Unknown(unknown) => out.push(unknown.version),
            // The session's own version is its first byte.
            Self::Application(_) => {}
            _ => out.push(VERSION),
        }
        match self {
            Self::Text(text) => out.extend_from_slice(text.as_str().as_bytes()),
            Self::Card(bytes) => out.extend_from_slice(bytes),
            Self::FileOffer(offer) => offer.write(&mut out),
            Self::FileCancel(transfer) => out.extend_from_slice(&transfer.0),
            Self::ApplicationOffer(offer) => offer.write(&mut out),
            Self::Application(application) => out.extend_from_slice(application.as_bytes()),
            Self::Unknown(unknown) => out.extend_from_slice(&unknown.bytes),
        }
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, and nothing else.
    ///
    /// # Errors
    /// [`MalformedPayload::Length`] above [`MAX_PAYLOAD`] or without kind and version, [`MalformedPayload::Body`]
    /// where a known kind does not hold what it says.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedPayload> {
        let length = MalformedPayload::Length(bytes.len());
        if bytes.len() > MAX_PAYLOAD {
            return Err(length);
        }
        let mut reader = Reader::new(bytes);
        let kind = reader.u16().ok_or(length)?;
        let version = reader.u8().ok_or(length)?;
        if let Some(kind) = ApplicationKind::new(kind) {
            let body = bytes[size_of::<u16>()..].to_vec();
            return Application::new(kind, body).map(Self::Application).ok_or(length);
        }
        if let Some(unknown) = Unknown::new(kind, version, bytes[HEADER_LEN..].to_vec()) {
            return Ok(Self::Unknown(unknown));
        }
        let payload = Self::read(kind, &mut reader).filter(|_| reader.is_empty());
        payload.ok_or(MalformedPayload::Body(kind))
    }

    /// A body of one of the messenger's own kinds in the known version.
    fn read(kind: u16, reader: &mut Reader<'_>) -> Option<Self> {
        Some(match kind {
            kind::TEXT => Self::Text(Text::new(std::str::from_utf8(reader.rest()).ok()?).ok()?),
            kind::CARD => Self::Card(Some(reader.rest()).filter(|card| card.len() <= MAX_CARD)?.to_vec()),
            kind::FILE_OFFER => Self::FileOffer(FileOffer::read(reader)?),
            kind::FILE_CANCEL => Self::FileCancel(TransferId(reader.array()?)),
            kind::APPLICATION_OFFER => Self::ApplicationOffer(ApplicationOffer::read(reader)?),
            _ => return None,
        })
    }
}

impl Unknown {
    /// None if the kind is known here in this version or is an application's, or the body is too long.
    #[must_use]
    pub fn new(kind: u16, version: u8, bytes: Vec<u8>) -> Option<Self> {
        let known = kind >= FIRST_APPLICATION_KIND || kind::ALL.contains(&kind) && version == VERSION;
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

impl fmt::Debug for Payload {
    /// A card grants the right to deposit in queues: its length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => fmt::Debug::fmt(text, f),
            Self::Card(bytes) => write!(f, "Card({} bytes)", bytes.len()),
            Self::FileOffer(offer) => fmt::Debug::fmt(offer, f),
            Self::FileCancel(transfer) => write!(f, "FileCancel({transfer:?})"),
            Self::ApplicationOffer(offer) => fmt::Debug::fmt(offer, f),
            Self::Application(application) => fmt::Debug::fmt(application, f),
            Self::Unknown(unknown) => fmt::Debug::fmt(unknown, f),
        }
    }
}

impl fmt::Debug for Unknown {
    /// Kind, version and length: the body may be anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unknown({:#06x} version {}, {} bytes)", self.kind, self.version, self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_in_a_payload_is_not_printed() {
        assert_eq!(format!("{:?}", Payload::Card(vec![77; 3])), "Card(3 bytes)");
    }
}
