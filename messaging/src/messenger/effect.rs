//! All that comes out of a step beside rows: effects on the world, notices to the owner, events for sessions.

use super::ids::{ContactId, InviteId};
use crate::{
    TransferId,
    lane::{CallId, Lane},
    payload::ApplicationKind,
    place::{Capability, Place, QueueId},
    wire::{Request, Response},
};

/// Something to do after the rows of a step are safe. Doing it twice does no harm.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask a place something.
    Call {
        /// Names the call in its outcome.
        call: CallId,
        /// Whom to ask.
        place: Place,
        /// Over which connection: lanes never share one.
        lane: Lane,
        /// What.
        request: Request,
    },
    /// Exactly these queues are to be collected from now on.
    Collect(Vec<Collection>),
    /// Exactly these queues are the pod's own: requests for them are inputs.
    Serve(Vec<QueueId>),
    /// The answer to an [`Input::Asked`](super::Input::Asked).
    Answer {
        /// Whom to answer.
        ticket: u64,
        /// What.
        response: Response,
    },
    /// Notify the owner.
    Notify(Notice),
}

/// A queue to be collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// Where.
    pub place: Place,
    /// Over which connection.
    pub lane: Lane,
    /// Which queue.
    pub queue: QueueId,
    /// The right to collect.
    pub capability: Capability,
}

/// A notice for the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An invite can be redeemed now.
    InviteReady(InviteId),
    /// An invite cannot be redeemed: its place does not take it.
    InviteFailed(InviteId, String),
    /// Somebody redeemed an invite and asks to become a contact.
    Asked(ContactId),
    /// Contacts now: messages can go both ways.
    Connected(ContactId),
    /// An invite that was accepted here leads nowhere.
    JoinFailed(ContactId, String),
    /// A contact's card changed.
    CardChanged(ContactId),
    /// A message arrived: its number in the conversation.
    Received(ContactId, u64),
    /// A message is safe at the contact's pod.
    Delivered(ContactId, u64),
    /// A message could not be delivered in time.
    Expired(ContactId, u64),
    /// The conversation has new keys, after a restore or a fault.
    Rekeyed(ContactId),
    /// A relay does not do what it should.
    RelayTrouble(Place, String),
    /// A contact offers a file that is now being taken; or it is over their limit.
    FileOffered(ContactId, TransferId),
    /// A file from a contact is here.
    FileReceived(ContactId, TransferId),
    /// A contact has a file.
    FileDelivered(ContactId, TransferId),
    /// A contact does not take a file, or no longer offers it.
    FileCancelled(ContactId, TransferId),
    /// A relay's queues were moved to another.
    RelayReplaced(Place, Place),
}

/// What happened to a payload of a session, or to a contact. The embedding node hands it to the session **in the same step**: the rows of
/// both are one transaction, so that a payload is consumed exactly once.
#[derive(Clone, PartialEq, Eq)]
pub enum ApplicationEvent {
    /// One arrived, in the order in which the contact sent it; a long one when its last chunk came.
    Deliver {
        /// Who sent it.
        contact: ContactId,
        /// Which session it is for.
        kind: ApplicationKind,
        /// The session's bytes.
        bytes: Vec<u8>,
    },
    /// One that was sent ended.
    Settled {
        /// To whom it was sent.
        contact: ContactId,
        /// The number that [`MailAnswer::Queued`](super::MailAnswer::Queued) gave for it.
        number: u64,
        /// Which session it is of.
        kind: ApplicationKind,
        /// It is safe at the contact's pod; otherwise it expired or was declined, and may or may not have arrived.
        delivered: bool,
    },
    /// One that was sent may have ended: what was under this number cannot be read any more, so it may have been of any
    /// session, or of none. Whose number it is takes it for not delivered; it may have arrived all the same.
    Lost {
        /// To whom it was sent.
        contact: ContactId,
        /// The number that [`MailAnswer::Queued`](super::MailAnswer::Queued) gave for it.
        number: u64,
    },
    /// A contact of whom a session may keep something.
    Contact {
        /// Who.
        contact: ContactId,
        /// What became of them.
        change: ContactChange,
    },
}

/// What became of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactChange {
    /// Payloads go both ways, for the first time or again.
    Connected,
    /// A new group was begun: one of the two came back from a backup, so what was sent may be forgotten over there, and
    /// what is kept here may be old. Sessions say again what must be known.
    Renewed,
    /// The contact and all of theirs was removed. The same person may be known anew at the end of the step: see
    /// [`Messenger::contact_state`](super::Messenger::contact_state).
    Forgotten,
}

impl std::fmt::Debug for ApplicationEvent {
    /// Payloads of sessions may be secret: only their length is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deliver { contact, kind, bytes } => {
                write!(f, "Deliver({contact:?}, {kind:?}, {} bytes)", bytes.len())
            }
            Self::Settled { contact, number, kind, delivered } => {
                write!(f, "Settled({contact:?}, {number}, {kind:?}, delivered: {delivered})")
            }
            Self::Lost { contact, number } => write!(f, "Lost({contact:?}, {number})"),
            Self::Contact { contact, change } => write!(f, "Contact({contact:?}, {change:?})"),
        }
    }
}
