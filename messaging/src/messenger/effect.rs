//! All that a messenger can do to the world.

use super::{ContactId, InviteId};
use crate::{
    TransferId,
    lane::{CallId, Lane},
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
    /// Tell the owner.
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

/// What the owner is told.
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
