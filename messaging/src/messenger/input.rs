//! All that can happen to a messenger.

use std::fmt;

use super::{
    ids::{ContactId, InviteId},
    states::{Reach, Timestamp},
};
use crate::{
    FileContent, Name, TransferId,
    carrier::Parcel,
    frame::Blob,
    invite::Invite,
    lane::{CallId, Unreached},
    payload::{ApplicationKind, FileName, Text},
    place::{Capability, Place, QueueId},
    vcard::VCard,
    wire::{Request, Response},
};

/// One thing that happened.
#[derive(Debug)]
pub enum Input {
    /// A command of the owner.
    Command(Command),
    /// What became of an [`Effect::Call`](super::Effect::Call). Each gets exactly one of these, in any order; none
    /// comes for calls made before a restart.
    Called {
        /// Which call.
        call: CallId,
        /// What the place answered, or that it was not reached.
        outcome: Result<Response, Unreached>,
    },
    /// A place pushed a frame of a queue that is collected.
    Collected {
        /// The place.
        place: Place,
        /// The queue.
        queue: QueueId,
        /// The frame's number there.
        number: u64,
        /// The frame.
        blob: Box<Blob>,
    },
    /// The collection at a place works, or no longer does.
    Subscribed {
        /// The place.
        place: Place,
        /// Whether it works now.
        up: bool,
    },
    /// A place lost one of our queues: it answers that it has no such queue.
    Missing {
        /// The place.
        place: Place,
        /// The queue.
        queue: QueueId,
    },
    /// A caller deposits in one of the pod's own queues, or redeems an invite there. The answer is an effect.
    Asked {
        /// Names the caller for the answer.
        ticket: u64,
        /// What is asked.
        request: Request,
    },
    /// Whether the clock is right, as far as anything outside of the machine tells. Until the first of these after a start it
    /// counts as wrong: nothing ends for good by it.
    Clock {
        /// Whether it is right.
        is_right: bool,
    },
    /// So many bytes of the disk are free. Below [`DISK_RESERVE`] no chunk of a file is taken, from contacts or from the
    /// owner's devices.
    FreeSpace(u64),
    /// Time has passed.
    Wake,
}

/// Bytes of the disk that files leave free: what the rows of everything else need, and a compaction of them. A full
/// pod of a thousand contacts has some 30 MB of conversations and ratchets a day; 256 MiB are a week of that.
pub const DISK_RESERVE: u64 = 256 << 20;

/// Bytes of a file or of a session: their `Debug` gives the length only, so that no log shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct OpaqueBytes(pub Vec<u8>);

impl From<Vec<u8>> for OpaqueBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for OpaqueBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

/// What the owner can ask for. The values were validated when they were parsed.
#[derive(Debug, Clone)]
pub enum Command {
    /// Returns the status.
    Status,
    /// Sets the display name on cards.
    SetName(Name),
    /// Sets how contacts reach the pod.
    SetReach(Reach),
    /// Creates an invite.
    Invite {
        /// For the owner, to remember whom it was for.
        note: Option<Name>,
        /// How long it can be redeemed, seconds.
        valid_for: u64,
    },
    /// Lists all invites.
    Invites,
    /// Returns one invite.
    InviteById(InviteId),
    /// Cancels an invite: it can no longer be redeemed.
    CancelInvite(InviteId),
    /// Redeems an invite.
    Accept {
        /// The invite.
        invite: Box<Invite>,
        /// What to call the inviter until their card says.
        name: Option<Name>,
        /// The inviter is a contact, and made the invite with a new pod since they lost the old one.
        again: bool,
    },
    /// Confirms a person who redeemed an invite: they become a contact.
    Confirm(ContactId),
    /// Lists contacts, requests and redemptions.
    Contacts,
    /// Returns one contact.
    Contact(ContactId),
    /// Sets the owner's name for a contact.
    Rename(ContactId, Name),
    /// Records whether the safety numbers were compared.
    SetVerified(ContactId, bool),
    /// Blocks or unblocks a contact.
    SetBlocked(ContactId, bool),
    /// Removes a contact and the conversation. Declines a request, and gives up a redemption; a person imported from an
    /// address book stays known.
    Remove(ContactId),
    /// Sends a text.
    Send {
        /// The receiver.
        contact: ContactId,
        /// The text.
        text: Text,
    },
    /// Sends a payload of a session.
    SendApplication {
        /// The receiver.
        contact: ContactId,
        /// The session.
        kind: ApplicationKind,
        /// The session's bytes, at most [`MAX_APPLICATION_LEN`](crate::payload::MAX_APPLICATION_LEN).
        bytes: OpaqueBytes,
    },
    /// Lists entries of a conversation, newest last.
    Messages {
        /// The contact.
        contact: ContactId,
        /// Only entries before this number.
        before: Option<u64>,
        /// At most so many.
        limit: u32,
    },
    /// Marks all entries up to this one as read.
    MarkRead {
        /// The contact.
        contact: ContactId,
        /// The last one read.
        up_to: u64,
    },
    /// Adds a relay.
    AddRelay {
        /// Where.
        place: Place,
        /// What the owner calls it.
        name: Name,
        /// The operator's invitation, where one is needed.
        token: Option<Capability>,
    },
    /// Removes a relay.
    RemoveRelay(Place),
    /// Lists all relays.
    Relays,
    /// Offers a file; its bytes follow by `LoadFile`.
    OfferFile {
        /// To whom.
        contact: ContactId,
        /// What it is called.
        name: FileName,
        /// What it is.
        content: FileContent,
    },
    /// The next bytes of a file that was offered: whole chunks, but for its end.
    LoadFile {
        /// To whom it goes.
        contact: ContactId,
        /// Which file.
        transfer: TransferId,
        /// The first chunk of these: the one after those loaded before.
        first: u32,
        /// The bytes.
        bytes: OpaqueBytes,
    },
    /// Lists files to and from a contact.
    Files(ContactId),
    /// Returns one file.
    File(ContactId, TransferId),
    /// Reads chunks of a received file.
    ReadFile {
        /// Whose.
        contact: ContactId,
        /// Which file.
        transfer: TransferId,
        /// The first chunk wanted.
        first: u32,
        /// How many.
        count: u32,
    },
    /// Cancels a file and removes its chunks.
    RemoveFile(ContactId, TransferId),
    /// Sets the largest file accepted from a contact, bytes.
    SetFileLimit(ContactId, u64),
    /// Exports all unacknowledged messages for a contact as a parcel.
    ExportParcel(ContactId),
    /// Exports the notice of an invite as a parcel, for a redeemer who cannot reach its place.
    ExportInvite(InviteId),
    /// Imports a parcel.
    ImportParcel(Parcel),
    /// Exports a contact as a vCard.
    ExportCard(ContactId),
    /// Imports a vCard: the person is known, and a later invite of theirs is recognised.
    ImportCard(Box<VCard>),
}

impl Command {
    /// The conversation into which the owner looks with it.
    pub(super) fn conversation(&self) -> Option<ContactId> {
        match self {
            Self::Send { contact, .. }
            | Self::Messages { contact, .. }
            | Self::MarkRead { contact, .. }
            | Self::OfferFile { contact, .. }
            | Self::ReadFile { contact, .. } => Some(*contact),
            _ => None,
        }
    }
}

/// Longest time an invite can be redeemed: 30 days, in seconds.
pub const MAX_INVITE_VALIDITY: Timestamp = 30 * 24 * 60 * 60;
