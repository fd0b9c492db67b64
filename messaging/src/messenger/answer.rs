//! The messenger's answers to commands.

use serde::{Deserialize, Serialize};

use super::{
    ids::{ContactId, InviteId},
    refusals::RefusalCounts,
    states::{ContactState, Direction, EntryState, FileState, InviteState, Reach, RelayState, Timestamp},
};
use crate::{
    FileContent, Name, RootPublic, TransferId,
    invite::Invite,
    payload::{FileName, Payload},
    place::Place,
    safety::SafetyNumber,
    vcard::Note,
};

/// What a command gives back.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each variant is the answer its payload type documents")]
pub enum MailAnswer {
    Done,
    Status(MessengerStatus),
    Invite(Box<InviteView>),
    Invites(Vec<InviteView>),
    Contact(Box<ContactView>),
    Contacts(Vec<ContactView>),
    /// The number of the message in the conversation.
    Queued(u64),
    /// A piece of a conversation, newest last, and the number of the first entry that is kept: older ones were
    /// dropped.
    Messages {
        entries: Vec<EntryView>,
        first: u64,
    },
    Relays(Vec<RelayView>),
    File(FileView),
    Files(Vec<FileView>),
    Bytes(Vec<u8>),
    /// The bytes of a [`Parcel`](crate::carrier::Parcel).
    Parcel(Vec<u8>),
    Imported(Imported),
    /// The text of a [`VCard`](crate::vcard::VCard).
    Card(String),
}

/// The state of the messenger in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessengerStatus {
    /// The name on cards.
    pub name: Option<Name>,
    /// How contacts reach the pod.
    pub reach: Reach,
    /// Contacts with whom messages go both ways.
    pub contacts: u32,
    /// Requests that wait to be confirmed.
    pub asking: u32,
    /// Messages not yet known to be delivered.
    pub queued: u32,
    /// Messages not read yet.
    pub unread: u32,
    /// What came in, or was due, and changed nothing.
    pub refused: RefusalCounts,
}

/// What became of messages that were carried here by hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Imported {
    /// Opened, and something new was in them.
    pub opened: u32,
    /// Known already.
    pub repeats: u32,
    /// Not for this pod, or they cannot be opened any more.
    pub refused: u32,
}

/// An invite as its owner sees it.
#[derive(Debug, Clone)]
pub struct InviteView {
    /// Names it.
    pub id: InviteId,
    /// What to hand over.
    pub invite: Invite,
    /// For whom it was.
    pub note: Option<Name>,
    /// How it stands.
    pub state: InviteState,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A contact as its owner sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ContactView {
    /// Names it.
    pub id: ContactId,
    /// The person.
    pub root: RootPublic,
    /// What the owner calls them.
    pub name: Name,
    /// What they call themselves, once their card is here.
    pub card_name: Option<Name>,
    /// How it stands.
    pub state: ContactState,
    /// Asks or is joined once more, and was a contact before.
    pub returns: bool,
    /// What the owner noted about them.
    pub note: Option<Note>,
    /// Whether the safety numbers were compared.
    pub verified: bool,
    /// The owner.
    pub own: RootPublic,
    /// When the contact was made.
    pub created_at: Timestamp,
    /// When something last arrived from them.
    pub heard_at: Option<Timestamp>,
    /// Where they receive.
    pub places: Vec<Place>,
    /// Messages not yet known to be delivered.
    pub queued: u32,
    /// Longest file taken from them, bytes.
    pub file_limit: u64,
    /// Messages not read yet.
    pub unread: u32,
    /// The number after the last entry of the conversation.
    pub next_entry: u64,
}

impl ContactView {
    /// What both compare. Takes some milliseconds, so it is not computed for a whole list.
    #[must_use]
    pub fn safety_number(&self) -> SafetyNumber {
        SafetyNumber::between(&self.own, &self.root)
    }
}

/// One entry of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryView {
    /// Its number in the conversation.
    pub number: u64,
    /// Who said it.
    pub direction: Direction,
    /// When it was said or arrived.
    pub at: Timestamp,
    /// How it stands.
    pub state: EntryState,
    /// What was said.
    pub payload: Payload,
}

/// A file as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileView {
    /// Names it.
    pub transfer: TransferId,
    /// Whether it goes or comes.
    pub direction: Direction,
    /// What it is called.
    pub name: FileName,
    /// What it is.
    pub content: FileContent,
    /// How it stands.
    pub state: FileState,
    /// Bytes that were loaded (while it is loaded), or that the one who takes it has.
    pub done: u64,
    /// When it was offered.
    pub at: Timestamp,
}

/// A relay as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayView {
    /// Where.
    pub place: Place,
    /// What the owner calls it.
    pub name: Name,
    /// How it stands.
    pub state: RelayState,
    /// Whether frames are being collected there now.
    pub connected: bool,
    /// Queues kept there.
    pub queues: u32,
    /// What is wrong, where something is.
    pub detail: Option<String>,
}

/// Why a command changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedBecause {
    /// The pod has no owner yet.
    #[error("the pod has no owner yet")]
    NotAdopted,
    /// Nothing by that name.
    #[error("there is no {0} by that name")]
    Unknown(&'static str),
    /// Something is not so that this can be done.
    #[error("{0}")]
    Conflict(String),
    /// A bound is reached.
    #[error("no room: at most {limit} {what}; {remedy}")]
    Full {
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        limit: usize,
        /// What to do.
        remedy: &'static str,
    },
    /// A field breaks a rule.
    #[error("`{field}`: {rule}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The rule.
        rule: String,
    },
}
