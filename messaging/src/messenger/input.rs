//! All that can happen to a messenger.

use serde::{Deserialize, Serialize};

use super::{ContactId, InviteId, Timestamp};
use crate::{
    FileContent, Name, TransferId,
    carrier::Parcel,
    frame::Blob,
    invite::Invite,
    lane::{CallId, Unreached},
    payload::{FileName, Text},
    place::{Capability, Place, QueueId},
    vcard::VCard,
    wire::{Request, Response},
};

/// One thing that happened.
#[derive(Debug)]
pub enum Input {
    /// The owner wants something.
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
    /// A place says that it has no such queue of ours: it lost it.
    Missing {
        /// The place.
        place: Place,
        /// The queue.
        queue: QueueId,
    },
    /// Somebody deposits in a queue of the pod's own, or redeems an invite there. The answer is an effect.
    Asked {
        /// Names the caller for the answer.
        ticket: u64,
        /// What is asked.
        request: Request,
    },
    /// Time has passed.
    Wake,
}

/// How contacts reach a pod.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// At its own address first, and through its relays while it is away.
    #[default]
    Direct,
    /// Through its relays only: its address is on no card and in no invite, so contacts do not learn when it runs.
    Relays,
}

/// What the owner can want. What is in here was checked when it was parsed.
#[derive(Debug, Clone)]
pub enum Command {
    /// How is it going?
    Status,
    /// Be called so, on cards.
    SetName(Name),
    /// Be reached so from now on.
    SetReach(Reach),
    /// Make an invite.
    Invite {
        /// For the owner, to remember whom it was for.
        note: Option<Name>,
        /// How long it can be redeemed, seconds.
        valid_for: u64,
    },
    /// All invites.
    Invites,
    /// One invite.
    InviteById(InviteId),
    /// Let nobody redeem this invite any more.
    CancelInvite(InviteId),
    /// Redeem an invite.
    Accept {
        /// The invite.
        invite: Box<Invite>,
        /// What to call the inviter until their card says.
        name: Option<Name>,
    },
    /// Somebody who redeemed an invite is who they say: become contacts.
    Confirm(ContactId),
    /// Everybody: contacts, and those who asked or were asked.
    Contacts,
    /// One of them.
    Contact(ContactId),
    /// Call a contact so.
    Rename(ContactId, Name),
    /// The safety numbers were compared, or are in doubt.
    SetVerified(ContactId, bool),
    /// Hear nothing from a contact any more, or again.
    SetBlocked(ContactId, bool),
    /// Forget a contact and all that was said. Declines one who asks, and gives up an invite that was accepted; who was
    /// on record before stays so.
    Remove(ContactId),
    /// Say something.
    Send {
        /// To whom.
        contact: ContactId,
        /// What.
        text: Text,
    },
    /// What was said, newest last.
    Messages {
        /// With whom.
        contact: ContactId,
        /// Only entries before this number.
        before: Option<u64>,
        /// At most so many.
        limit: u32,
    },
    /// All up to this entry was read.
    MarkRead {
        /// Whose messages.
        contact: ContactId,
        /// The last one read.
        up_to: u64,
    },
    /// Keep queues at this place too.
    AddRelay {
        /// Where.
        place: Place,
        /// What the owner calls it.
        name: Name,
        /// The operator's invitation, where one is needed.
        token: Option<Capability>,
    },
    /// Keep no queues there any more.
    RemoveRelay(Place),
    /// All relays.
    Relays,
    /// Offer a file; its bytes follow.
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
        bytes: Vec<u8>,
    },
    /// Files to and from a contact.
    Files(ContactId),
    /// One of them.
    File(ContactId, TransferId),
    /// Chunks of a file.
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
    /// Stop sending or taking a file, and forget it.
    RemoveFile(ContactId, TransferId),
    /// Take files of at most so many bytes from a contact.
    SetFileLimit(ContactId, u64),
    /// Everything that a contact waits for, sealed, to be carried to them by hand.
    ExportParcel(ContactId),
    /// What waits at the place of an invite, to be carried to whoever redeems it.
    ExportInvite(InviteId),
    /// Take in what was carried here.
    ImportParcel(Parcel),
    /// A contact for an address book.
    ExportCard(ContactId),
    /// Know somebody by what an address book says. A later invite of theirs is known to be theirs.
    ImportCard(Box<VCard>),
}

/// Longest time an invite can be redeemed: 30 days, in seconds.
pub const MAX_INVITE_VALIDITY: Timestamp = 30 * 24 * 60 * 60;
