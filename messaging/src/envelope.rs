//! What lies under the outer seal of a frame: the first words to an inviter, words of a running session, or a new
//! session in the place of one that was lost.
//!
//! ```text
//! hello    version 1 · kind 1 · welcome 2 + n · message 2 + n         in the queue of an invite, sealed with the
//! invite's key
//! ratchet  version 1 · kind 2 · commit 2 + n (0: none) · message 2 + n
//! reset    version 1 · kind 3 · generation 8 · certificate 158 · signature 64 · welcome 2 + n · message 2 + n
//! ```
//!
//! The outer seal says who can have written an envelope (the contact whose queue it is, or whoever has the invite).
//! What is in it is checked by the ratchet, and a reset also by the root's certificate.

mod reset;

pub use reset::{Reset, ResetError, VerifiedReset};

use autonomy_codec::{Reader, put_bytes_u16};

use crate::frame::MAX_CONTENT;
use crate::ratchet::{MAX_COMMIT, MAX_WELCOME, OVERHEAD};

/// Longest packet in a [`Hello`]: the frame's content without version and kind (2), lengths (2 · 2), the welcome
/// (4,608) and what sealing adds (160).
pub const MAX_HELLO_PACKET: usize = MAX_CONTENT - HEADER_LEN - 2 * 2 - MAX_WELCOME - OVERHEAD;
/// Longest packet in a [`Reset`]: the same, without generation, certificate and signature too.
pub const MAX_RESET_PACKET: usize = MAX_HELLO_PACKET - reset::HEAD_LEN;

/// Version and kind.
const HEADER_LEN: usize = 2;
const VERSION: u8 = 1;
/// Kind of an envelope, as on the wire.
const HELLO: u8 = 1;
/// Kind of an envelope, as on the wire.
const RATCHET: u8 = 2;
/// Kind of an envelope, as on the wire.
const RESET: u8 = 3;

const _: () = assert!(MAX_RESET_PACKET > 11_000);

/// What a frame carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Envelope {
    /// Somebody accepts an invite.
    ///
    /// Taken in the queue of an invite only, and again as long as the redeemer was not heard from.
    Hello(Hello),
    /// A message of the session.
    ///
    /// Taken in the queue of a contact only.
    Ratchet(Ratchet),
    /// The contact lost the session, or cannot follow it any more.
    ///
    /// Taken in the queue of a contact only; until it is answered nothing else is sent.
    Reset(Box<Reset>),
}

/// The first flight to the queue of an invite.
///
/// A Welcome opens more than once, since key packages are of last resort; so the receiver must know repeats by the
/// card in the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The MLS Welcome into the new session.
    pub welcome: Vec<u8>,
    /// The first message of it.
    pub message: Vec<u8>,
}

/// A message of a running session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ratchet {
    /// The commit that leads to the message's epoch, until the contact was heard there.
    ///
    /// At most [`MAX_COMMIT`] bytes. Without it a message of the new epoch cannot be opened, so it rides along until
    /// it is no longer needed.
    pub commit: Option<Vec<u8>>,
    /// The message.
    pub message: Vec<u8>,
}

/// The parts do not fit into one frame.
///
/// The bounds of packets and of the ratchet leave room for each other, so this is a fault of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an envelope takes {MAX_CONTENT} bytes, these are {0}")]
pub struct EnvelopeTooLong(pub usize);

/// Why bytes are no envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedEnvelope {
    /// Longer than a frame's content.
    #[error("an envelope has at most {MAX_CONTENT} bytes, this has {0}")]
    Length(usize),
    /// A format this program does not know.
    #[error("envelope format {0} is not known here: a newer program wrote it, update this one")]
    Version(u8),
    /// A kind this program does not know.
    #[error("envelope kind {0} is not known here: a newer program wrote it, update this one")]
    Kind(u8),
    /// A field is missing, out of its bounds, or something follows the last.
    #[error("a field of the envelope is missing, wrong, or too many")]
    Field,
}

impl Envelope {
    /// The canonical bytes.
    ///
    /// # Errors
    /// [`EnvelopeTooLong`] if it does not fit the content of a frame.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EnvelopeTooLong> {
        let len = self.encoded_len();
        if len > MAX_CONTENT {
            return Err(EnvelopeTooLong(len));
        }
        let mut out = Vec::with_capacity(len);
        out.push(VERSION);
        match self {
            Self::Hello(hello) => {
                out.push(HELLO);
                put_bytes_u16(&mut out, &hello.welcome);
                put_bytes_u16(&mut out, &hello.message);
            }
            Self::Ratchet(ratchet) => {
                out.push(RATCHET);
                // No commit is empty.
                put_bytes_u16(&mut out, ratchet.commit.as_deref().unwrap_or_default());
                put_bytes_u16(&mut out, &ratchet.message);
            }
            Self::Reset(reset) => {
                out.push(RESET);
                reset.write(&mut out);
            }
        }
        Ok(out)
    }

    /// Bytes it would take.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let parts = match self {
            Self::Hello(hello) => hello.welcome.len() + hello.message.len(),
            Self::Ratchet(ratchet) => ratchet.commit.as_ref().map_or(0, Vec::len) + ratchet.message.len(),
            Self::Reset(reset) => reset::HEAD_LEN + reset.bytes_len(),
        };
        HEADER_LEN + 2 * 2 + parts
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, and nothing else.
    ///
    /// # Errors
    /// [`MalformedEnvelope`] says whether it is the length, version, kind or a field. Welcome and commit are held
    /// against their bounds here; the message only by what is left of the frame.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedEnvelope> {
        if bytes.len() > MAX_CONTENT {
            return Err(MalformedEnvelope::Length(bytes.len()));
        }
        let mut reader = Reader::new(bytes);
        let version = reader.u8().ok_or(MalformedEnvelope::Field)?;
        if version != VERSION {
            return Err(MalformedEnvelope::Version(version));
        }
        let envelope = match reader.u8().ok_or(MalformedEnvelope::Field)? {
            HELLO => Hello::read(&mut reader).map(Self::Hello),
            RATCHET => Ratchet::read(&mut reader).map(Self::Ratchet),
            RESET => Reset::read(&mut reader).map(|reset| Self::Reset(Box::new(reset))),
            kind => return Err(MalformedEnvelope::Kind(kind)),
        };
        envelope.filter(|_| reader.is_empty()).ok_or(MalformedEnvelope::Field)
    }
}

impl Hello {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { welcome: read_welcome(reader)?, message: read_message(reader)? })
    }
}

impl Ratchet {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let commit = reader.bytes_u16().filter(|commit| commit.len() <= MAX_COMMIT)?;
        let commit = (!commit.is_empty()).then(|| commit.to_vec());
        Some(Self { commit, message: read_message(reader)? })
    }
}

/// A Welcome of 1 to [`MAX_WELCOME`] bytes.
fn read_welcome(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    reader.bytes_u16().filter(|welcome| (1..=MAX_WELCOME).contains(&welcome.len())).map(<[u8]>::to_vec)
}

/// A message that is not empty; the frame bounds it.
fn read_message(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    reader.bytes_u16().filter(|message| !message.is_empty()).map(<[u8]>::to_vec)
}
