//! How requests and responses are written: a tag, then the fields, big-endian; lists and texts behind their length.
//!
//! One message has one encoding; a reader takes exactly that and nothing after it. Lengths are checked against the
//! longest message before anything is read, and every count against its bound before anything is allocated. Requests
//! and responses have tags of their own, so the one cannot be read as the other by more than accident: the stream
//! says which it is.

use autonomy_codec::{Reader, put_bytes_u16};

use super::{MAX_NOTICE, MAX_SUBSCRIBED, PlaceRefusal, QueueNotice, Request, Response, Ticket};
use crate::frame::{BLOB_LEN, Blob, FRAME_LEN, Frame};
use crate::place::{Capability, CapabilityHash, QueueId};

/// Longest request: to open a queue, with a tag (1), queue and two hashes (96), work (1 + 32 + 8) and a notice
/// (1 + 2 + 16,300). A deposit has 16,385.
pub const MAX_REQUEST: usize = 1 + 3 * 32 + (1 + 32 + 8) + (1 + 2 + MAX_NOTICE);
/// Longest response: a pushed frame, with a tag (1), queue (32), number (8) and blob (16,300).
pub const MAX_RESPONSE: usize = 1 + 32 + 8 + BLOB_LEN;

const _: () = assert!(MAX_REQUEST == 16_441 && MAX_REQUEST > FRAME_LEN && MAX_RESPONSE == 16_341);
const _: () = assert!(MAX_SUBSCRIBED < u8::MAX as usize);

/// Why bytes are no request, or no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedMessage {
    /// Longer than any.
    #[error("{found} bytes are more than such a message can have ({most})")]
    TooLong {
        /// Its bytes.
        found: usize,
        /// Most bytes possible.
        most: usize,
    },
    /// A kind this program does not know.
    #[error("message kind {0} is not known here")]
    Kind(u8),
    /// A field is missing, out of its bounds, or something follows the last.
    #[error("a field of the message is missing, wrong, or too many")]
    Field,
}

/// First bytes of messages, tickets and refusals. Numbers are never used again for another meaning.
mod tag {
    pub(super) const OPEN: u8 = 1;
    pub(super) const DEPOSIT: u8 = 2;
    pub(super) const REDEEM: u8 = 3;
    pub(super) const SUBSCRIBE: u8 = 4;
    pub(super) const ACK: u8 = 5;
    pub(super) const CLOSE: u8 = 6;

    pub(super) const DONE: u8 = 1;
    pub(super) const NOTICE: u8 = 2;
    pub(super) const PUSHED: u8 = 3;
    pub(super) const REFUSED: u8 = 4;

    pub(super) const TICKET_OPEN: u8 = 0;
    pub(super) const TICKET_TOKEN: u8 = 1;
    pub(super) const TICKET_WORK: u8 = 2;

    pub(super) const UNKNOWN_QUEUE: u8 = 1;
    pub(super) const QUEUE_FULL: u8 = 2;
    pub(super) const PLACE_FULL: u8 = 3;
    pub(super) const TOO_MANY_QUEUES: u8 = 4;
    pub(super) const WORK_NEEDED: u8 = 5;
    pub(super) const BAD_TICKET: u8 = 6;
    pub(super) const BUSY: u8 = 7;
    pub(super) const MALFORMED: u8 = 8;
}

impl Request {
    /// The bytes on the wire. A subscription of too many queues is written so that it is refused.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        match self {
            Self::Open { queue, deposit, collect, ticket, notice } => {
                out.push(tag::OPEN);
                out.extend_from_slice(queue.as_bytes());
                out.extend_from_slice(deposit.as_bytes());
                out.extend_from_slice(collect.as_bytes());
                ticket.write(&mut out);
                out.push(u8::from(notice.is_some()));
                notice.iter().for_each(|notice| put_bytes_u16(&mut out, notice.as_bytes()));
            }
            Self::Deposit(frame) => {
                out.push(tag::DEPOSIT);
                out.extend_from_slice(frame.to_bytes().as_slice());
            }
            Self::Redeem { queue, deposit } => put_right(&mut out, tag::REDEEM, queue, deposit),
            Self::Subscribe(queues) => {
                out.extend_from_slice(&[tag::SUBSCRIBE, u8::try_from(queues.len()).unwrap_or(u8::MAX)]);
                for (queue, collect) in queues {
                    out.extend_from_slice(queue.as_bytes());
                    out.extend_from_slice(collect.as_bytes());
                }
            }
            Self::Ack { queue, collect, up_to } => {
                put_right(&mut out, tag::ACK, queue, collect);
                out.extend_from_slice(&up_to.to_be_bytes());
            }
            Self::Close { queue, collect } => put_right(&mut out, tag::CLOSE, queue, collect),
        }
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, and nothing else.
    ///
    /// # Errors
    /// [`MalformedMessage`] says whether it is the length, the kind or a field. A malformed frame within a deposit is
    /// a field.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedMessage> {
        let (kind, mut reader) = start(bytes, MAX_REQUEST)?;
        let reader = &mut reader;
        let request = match kind {
            tag::OPEN => read_open(reader),
            tag::DEPOSIT => {
                reader.take(FRAME_LEN).and_then(|frame| Frame::parse(frame).ok()).map(Self::Deposit)
            }
            tag::REDEEM => read_right(reader).map(|(queue, deposit)| Self::Redeem { queue, deposit }),
            tag::SUBSCRIBE => read_subscription(reader),
            tag::ACK => read_ack(reader),
            tag::CLOSE => read_right(reader).map(|(queue, collect)| Self::Close { queue, collect }),
            _ => return Err(MalformedMessage::Kind(kind)),
        };
        request.filter(|_| reader.is_empty()).ok_or(MalformedMessage::Field)
    }
}

impl Response {
    /// The bytes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        match self {
            Self::Done => out.push(tag::DONE),
            Self::Notice(notice) => {
                out.push(tag::NOTICE);
                put_bytes_u16(&mut out, notice.as_bytes());
            }
            Self::Pushed { queue, number, blob } => {
                out.push(tag::PUSHED);
                out.extend_from_slice(queue.as_bytes());
                out.extend_from_slice(&number.to_be_bytes());
                out.extend_from_slice(blob.as_bytes());
            }
            Self::Refused(refusal) => {
                out.push(tag::REFUSED);
                refusal.write(&mut out);
            }
        }
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, and nothing else.
    ///
    /// # Errors
    /// [`MalformedMessage`] says whether it is the length, the kind or a field.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedMessage> {
        let (kind, mut reader) = start(bytes, MAX_RESPONSE)?;
        let reader = &mut reader;
        let response = match kind {
            tag::DONE => Some(Self::Done),
            tag::NOTICE => read_notice(reader).map(Self::Notice),
            tag::PUSHED => read_pushed(reader),
            tag::REFUSED => PlaceRefusal::read(reader).map(Self::Refused),
            _ => return Err(MalformedMessage::Kind(kind)),
        };
        response.filter(|_| reader.is_empty()).ok_or(MalformedMessage::Field)
    }
}

impl Ticket {
    /// A tag, and what proves the right.
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Open => out.push(tag::TICKET_OPEN),
            Self::Token(token) => {
                out.push(tag::TICKET_TOKEN);
                out.extend_from_slice(token.as_bytes());
            }
            Self::Work { challenge, nonce } => {
                out.push(tag::TICKET_WORK);
                out.extend_from_slice(challenge);
                out.extend_from_slice(&nonce.to_be_bytes());
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.u8()? {
            tag::TICKET_OPEN => Self::Open,
            tag::TICKET_TOKEN => Self::Token(Capability::from_bytes(reader.array()?)),
            tag::TICKET_WORK => Self::Work { challenge: reader.array()?, nonce: reader.u64()? },
            _ => return None,
        })
    }
}

impl PlaceRefusal {
    /// A tag, and what the refusal carries.
    fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::UnknownQueue => out.push(tag::UNKNOWN_QUEUE),
            Self::QueueFull => out.push(tag::QUEUE_FULL),
            Self::PlaceFull => out.push(tag::PLACE_FULL),
            Self::TooManyQueues => out.push(tag::TOO_MANY_QUEUES),
            Self::WorkNeeded { challenge, bits } => {
                out.push(tag::WORK_NEEDED);
                out.extend_from_slice(&challenge);
                out.push(bits);
            }
            Self::BadTicket => out.push(tag::BAD_TICKET),
            Self::Busy { retry_after } => {
                out.push(tag::BUSY);
                out.extend_from_slice(&retry_after.to_be_bytes());
            }
            Self::Malformed => out.push(tag::MALFORMED),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.u8()? {
            tag::UNKNOWN_QUEUE => Self::UnknownQueue,
            tag::QUEUE_FULL => Self::QueueFull,
            tag::PLACE_FULL => Self::PlaceFull,
            tag::TOO_MANY_QUEUES => Self::TooManyQueues,
            tag::WORK_NEEDED => Self::WorkNeeded { challenge: reader.array()?, bits: reader.u8()? },
            tag::BAD_TICKET => Self::BadTicket,
            tag::BUSY => Self::Busy { retry_after: reader.u32()? },
            tag::MALFORMED => Self::Malformed,
            _ => return None,
        })
    }
}

/// Checks the length before anything else, and takes the tag.
fn start(bytes: &[u8], most: usize) -> Result<(u8, Reader<'_>), MalformedMessage> {
    if bytes.len() > most {
        return Err(MalformedMessage::TooLong { found: bytes.len(), most });
    }
    let (kind, rest) = bytes.split_first().ok_or(MalformedMessage::Field)?;
    Ok((*kind, Reader::new(rest)))
}

/// Tag, queue and a capability: what four of the requests begin with.
fn put_right(out: &mut Vec<u8>, tag: u8, queue: &QueueId, right: &Capability) {
    out.push(tag);
    out.extend_from_slice(queue.as_bytes());
    out.extend_from_slice(right.as_bytes());
}

/// A queue and a capability.
fn read_right(reader: &mut Reader<'_>) -> Option<(QueueId, Capability)> {
    Some((QueueId::from_bytes(reader.array()?), Capability::from_bytes(reader.array()?)))
}

/// The flag before the notice is 0 or 1 and nothing else.
fn read_open(reader: &mut Reader<'_>) -> Option<Request> {
    Some(Request::Open {
        queue: QueueId::from_bytes(reader.array()?),
        deposit: CapabilityHash::from_bytes(reader.array()?),
        collect: CapabilityHash::from_bytes(reader.array()?),
        ticket: Ticket::read(reader)?,
        notice: match reader.u8()? {
            0 => None,
            1 => Some(read_notice(reader)?),
            _ => return None,
        },
    })
}

/// Bytes behind a length of two bytes, at most [`MAX_NOTICE`].
fn read_notice(reader: &mut Reader<'_>) -> Option<QueueNotice> {
    QueueNotice::new(reader.bytes_u16()?.to_vec())
}

/// One to [`MAX_SUBSCRIBED`] pairs. A subscription to nothing would hold its stream, and show no right to it.
fn read_subscription(reader: &mut Reader<'_>) -> Option<Request> {
    let count = reader.u8().filter(|count| (1..=MAX_SUBSCRIBED).contains(&usize::from(*count)))?;
    (0..count).map(|_| read_right(reader)).collect::<Option<_>>().map(Request::Subscribe)
}

/// A right, and the last number that is safe.
fn read_ack(reader: &mut Reader<'_>) -> Option<Request> {
    let (queue, collect) = read_right(reader)?;
    Some(Request::Ack { queue, collect, up_to: reader.u64()? })
}

/// A queue, a number and a blob of fixed length.
fn read_pushed(reader: &mut Reader<'_>) -> Option<Response> {
    Some(Response::Pushed {
        queue: QueueId::from_bytes(reader.array()?),
        number: reader.u64()?,
        blob: Blob::from_slice(reader.take(BLOB_LEN)?)?,
    })
}
