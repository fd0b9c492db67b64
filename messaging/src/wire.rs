//! What is said between a pod and a place that holds queues.
//!
//! One request opens one stream; its response ends it. Only [`Request::Subscribe`] stays: after [`Response::Done`] the
//! place pushes frames, oldest first, until the stream ends. The name of the protocol carries the version; a change of
//! any encoding is another name.
//!
//! # Rights
//!
//! A queue has two secrets. The *deposit* capability is on the card of each contact, or in an invite; the *collect*
//! capability never leaves the owner. The place keeps the hashes of both and compares in constant time. It answers a
//! wrong secret like a queue that does not exist, so nobody can search for queues.
//!
//! # Repeats
//!
//! Each request may be sent again after a lost answer: opening with the same hashes is answered the same, a deposit
//! with the same id is stored once, acknowledging says what is true already, and a queue that was closed is unknown. So a pod
//! repeats what it does
//! not know the outcome of.

mod codec;
mod work;

pub use codec::{MAX_REQUEST, MAX_RESPONSE, MalformedMessage};
pub use work::{MAX_WORK_BITS, is_worked, work, work_within};

use crate::frame::{Blob, Frame};
use crate::place::{Capability, CapabilityHash, QueueId};

/// Name of the protocol in libp2p's negotiation.
///
/// A place without this protocol refuses the stream, which a pod treats as a place that does not answer.
pub const PROTOCOL: &str = "/autonomy/place/1";
/// Queues in one subscription: 64 of 64 bytes are four kilobytes, and a lane of collection holds a few.
pub const MAX_SUBSCRIBED: usize = 64;
/// Longest notice: it fits a frame's blob.
pub const MAX_NOTICE: usize = crate::frame::BLOB_LEN;

/// What is asked of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Make a queue. Asking again with the same hashes is answered the same.
    ///
    /// The first to open a name owns it. A place under load asks for a token or for work.
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
    ///
    /// The capability in the frame must be that of its queue.
    Deposit(Frame),
    /// Read the notice of a queue.
    ///
    /// Reading changes nothing: whoever holds an invite may read as often as they like, until the inviter takes the
    /// notice away.
    Redeem {
        /// The queue.
        queue: QueueId,
        /// The right to deposit there.
        deposit: Capability,
    },
    /// Push what lies in these queues and what comes.
    ///
    /// One to [`MAX_SUBSCRIBED`]; one wrong capability refuses all of it. Frames that were pushed and not
    /// acknowledged are pushed again on the next subscription. A queue has one subscription: a newer one takes it
    /// from the older, which ends when it has no queue left.
    Subscribe(Vec<(QueueId, Capability)>),
    /// Everything pushed of this queue up to this number is safe: forget it.
    ///
    /// Also answered when nothing is left to remove.
    Ack {
        /// The queue.
        queue: QueueId,
        /// The right to collect.
        collect: Capability,
        /// The last number that is safe.
        up_to: u64,
    },
    /// Forget a queue and all in it.
    ///
    /// Asked again after a lost answer, the place knows no such queue, which says the same.
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
    ///
    /// Compared with the hashes that the place was started with; it stands for work at any load.
    Token(Capability),
    /// Work was done for it (see [`PlaceRefusal::WorkNeeded`]).
    Work {
        /// The challenge answered.
        challenge: [u8; 32],
        /// SHA-256(challenge, queue, nonce) begins with enough zero bits.
        nonce: u64,
    },
}

/// An opaque text left at a queue, at most [`MAX_NOTICE`] bytes.
///
/// For an invite it is the sealed key package, always of the size of a blob.
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
    ///
    /// The stream ends with the connection; the place keeps each frame until it is acknowledged.
    Pushed {
        /// The queue.
        queue: QueueId,
        /// Grows with each frame of the queue; what [`Request::Ack`] names.
        number: u64,
        /// The frame's blob.
        blob: Blob,
    },
    /// Nothing was changed.
    ///
    /// The same request may succeed later where [`PlaceRefusal`] says so.
    Refused(PlaceRefusal),
}

/// Why a place changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceRefusal {
    /// No such queue, or not with this capability: a place does not say which.
    #[error("there is no such queue there, or the capability is not its own")]
    UnknownQueue,
    /// The queue holds as many frames as it may.
    /// The sender tries other places, and this one again later.
    #[error("the queue is full until its owner collects")]
    QueueFull,
    /// The place holds as many frames as it may.
    /// As for a full queue: it may pass.
    #[error("the place is full")]
    PlaceFull,
    /// The place holds as many queues as it may.
    #[error("the place takes no more queues")]
    TooManyQueues,
    /// The place is under load: it wants this much work first.
    ///
    /// With [`work()`] the answer is a ticket for the same request.
    #[error("the place asks for {bits} bits of work")]
    WorkNeeded {
        /// To be part of the hash.
        challenge: [u8; 32],
        /// Zero bits the hash has to begin with.
        bits: u8,
    },
    /// The token or work is not good.
    /// Does not pass by itself: another token is needed, or the place takes strangers no more.
    #[error("the place does not take this ticket")]
    BadTicket,
    /// Too many requests.
    #[error("the place is busy; try again in {retry_after} s")]
    Busy {
        /// When to come again, seconds.
        retry_after: u32,
    },
    /// The request is not one.
    /// A place of another version, or a fault of the program; does not pass.
    #[error("the place does not understand the request")]
    Malformed,
}

impl QueueNotice {
    /// Takes at most [`MAX_NOTICE`] bytes.
    ///
    /// None if there are more.
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
