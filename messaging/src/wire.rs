//! What is said between a pod and a place that holds queues.
//!
//! One request opens one stream; its response ends it. Only [`Request::Subscribe`] stays: after [`Response::Done`] the
//! place pushes frames, oldest first, until the stream ends. The name of the protocol carries the version; a change of
//! any encoding is another name.

mod codec;
mod work;

pub use codec::{MAX_REQUEST, MAX_RESPONSE, MalformedMessage};
pub use work::{MAX_WORK_BITS, is_worked, work, work_within};

use crate::frame::{Blob, Frame};
use crate::place::{Capability, CapabilityHash, QueueId};

/// Name of the protocol in libp2p's negotiation.
pub const PROTOCOL: &str = "/autonomy/place/1";
/// Queues in one subscription: 64 of 64 bytes are four kilobytes, and a lane of collection holds a few.
pub const MAX_SUBSCRIBED: usize = 64;
/// Longest notice: it fits a frame's blob.
pub const MAX_NOTICE: usize = crate::frame::BLOB_LEN;

/// What is asked of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Make a queue. Asking again with the same hashes is answered the same.
    Open {
        /// Its name.
        queue: QueueId,
        /// Who may deposit.
        deposit: CapabilityHash,
        /// Who may collect and close.
        collect: CapabilityHash,
        /// Why the place should.
        ticket: Ticket,
        /// Something to be read by whoever may deposit. Where the queue is there already, none takes it away.
        notice: Option<QueueNotice>,
    },
    /// Keep a frame. Answered when it is durable.
    Deposit(Frame),
    /// Read the notice of a queue.
    Redeem {
        /// The queue.
        queue: QueueId,
        /// The right to deposit there.
        deposit: Capability,
    },
    /// Push what lies in these queues and what comes.
    Subscribe(Vec<(QueueId, Capability)>),
    /// Everything pushed of this queue up to this number is safe: forget it.
    Ack {
        /// The queue.
        queue: QueueId,
        /// The right to collect.
        collect: Capability,
        /// The last number that is safe.
        up_to: u64,
    },
    /// Forget a queue and all in it.
    Close {
        /// The queue.
        queue: QueueId,
        /// The right to collect.
        collect: Capability,
    },
}

/// Why a place should make a queue for somebody it does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// The place is open.
    Open,
    /// Its operator gave this invitation token.
    Token(Capability),
    /// Work was done for it (see [`Refusal::WorkNeeded`]).
    Work {
        /// The challenge answered.
        challenge: [u8; 32],
        /// SHA-256(challenge, queue, nonce) begins with enough zero bits.
        nonce: u64,
    },
}

/// An opaque text left at a queue, at most [`MAX_NOTICE`] bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct QueueNotice(Vec<u8>);

/// What a place answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// It is so, and durable.
    Done,
    /// The notice asked for.
    Notice(QueueNotice),
    /// A frame of a subscribed queue.
    Pushed {
        /// The queue.
        queue: QueueId,
        /// Grows with each frame of the queue; what [`Request::Ack`] names.
        number: u64,
        /// The frame's blob.
        blob: Blob,
    },
    /// Nothing was changed.
    Refused(Refusal),
}

/// Why a place changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such queue, or not with this capability: a place does not say which.
    #[error("there is no such queue there, or the capability is not its own")]
    UnknownQueue,
    /// The queue holds as many frames as it may.
    #[error("the queue is full until its owner collects")]
    QueueFull,
    /// The place holds as many frames as it may.
    #[error("the place is full")]
    PlaceFull,
    /// The place holds as many queues as it may.
    #[error("the place takes no more queues")]
    TooManyQueues,
    /// The place is under load: it wants this much work first.
    #[error("the place asks for {bits} bits of work")]
    WorkNeeded {
        /// To be part of the hash.
        challenge: [u8; 32],
        /// Zero bits the hash has to begin with.
        bits: u8,
    },
    /// The token or work is not good.
    #[error("the place does not take this ticket")]
    BadTicket,
    /// Too many requests.
    #[error("the place is busy; try again in {retry_after} s")]
    Busy {
        /// When to come again, seconds.
        retry_after: u32,
    },
    /// The request is not one.
    #[error("the place does not understand the request")]
    Malformed,
}

impl QueueNotice {
    /// Takes at most [`MAX_NOTICE`] bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() <= MAX_NOTICE).then_some(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for QueueNotice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "QueueNotice({} bytes)", self.0.len())
    }
}
