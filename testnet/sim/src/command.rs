//! What a person asks of a pod, and what comes of it: the simulator's own words. Only `pod` knows those of the node,
//! but for sessions.

use autonomy_messaging::invite::Invite;
use autonomy_messaging::messenger::{ContactId, ContactState, FileState, InviteId, InviteState, Reach};
use autonomy_messaging::place::{Capability, Place};
use autonomy_messaging::{Certificate, FileContent, Name, TransferId};
use autonomy_node::{SessionAnswer, SessionCommand};
use autonomy_wallet::account::AccountId;
use autonomy_wallet::bitcoin::Txid;

/// What is asked.
#[derive(Debug, Clone)]
pub enum Command {
    /// Use a relay.
    AddRelay {
        /// Where it is.
        place: Place,
        /// What the owner calls it.
        name: Name,
        /// The operator's invitation.
        token: Option<Capability>,
    },
    /// Be reached so from now on.
    SetReach(Reach),
    /// Be called so on cards.
    SetName(Name),
    /// Make an invite that can be redeemed for so many seconds.
    Invite {
        /// Seconds.
        valid_for: u64,
    },
    /// One invite.
    InviteById(InviteId),
    /// Redeem an invite.
    Accept(Box<Invite>),
    /// Whoever asks is who they say.
    Confirm(ContactId),
    /// Forget somebody.
    Remove(ContactId),
    /// Everybody.
    Contacts,
    /// One of them.
    Contact(ContactId),
    /// Say something.
    Send {
        /// To whom.
        contact: ContactId,
        /// The words.
        text: String,
    },
    /// All up to an entry was read.
    MarkRead {
        /// Of which conversation.
        contact: ContactId,
        /// The last entry.
        up_to: u64,
    },
    /// Hear nothing of somebody, or hear them again.
    SetBlocked(ContactId, bool),
    /// How its owner is called.
    Profile,
    /// Let a device in.
    AddDevice(Newcomer),
    /// Shut a device out.
    RevokeDevice([u8; 32]),
    /// Draw new keys of the pod.
    DrawKeys,
    /// Begin to send a file.
    OfferFile {
        /// To whom.
        contact: ContactId,
        /// What it is.
        content: FileContent,
    },
    /// All bytes of a file.
    LoadFile {
        /// To whom it goes.
        contact: ContactId,
        /// Which.
        transfer: TransferId,
        /// From the first.
        bytes: Vec<u8>,
    },
    /// Where a file stands.
    File(ContactId, TransferId),
    /// Read a file out, from its first chunk.
    ReadFile {
        /// From whom it came.
        contact: ContactId,
        /// Which.
        transfer: TransferId,
        /// How many chunks.
        count: u32,
    },
    /// How the pod is.
    Status,
    /// It may sign again, though devices have seen this later state epoch of it.
    Reconcile {
        /// The highest epoch that a device has seen.
        seen: u64,
    },
    /// Offer G for an account.
    BeginAccount,
    /// The device's half of it.
    CompleteAccount(Completion),
    /// A fresh address.
    NewAddress(AccountId),
    /// What is in an account.
    Account(AccountId),
    /// Draft a payment.
    NewPayment {
        /// Who pays.
        account: AccountId,
        /// Whom.
        address: String,
        /// How much.
        sat: u64,
    },
    /// The device has signed a draft.
    Approve {
        /// Which.
        payment: [u8; 16],
        /// The draft with P's signatures.
        psbt: String,
        /// The highest state epoch that the device has seen.
        epoch: u64,
    },
    /// All payments of an account.
    Payments(AccountId),
    /// What a session is asked, in the node's own words.
    Session(SessionCommand),
}

/// What comes of it.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It is done.
    Done,
    /// An invite.
    Invite(InviteSeen),
    /// Somebody.
    Contact(ContactSeen),
    /// Everybody.
    Contacts(Vec<ContactSeen>),
    /// A message was taken, under this number in its conversation.
    Queued(u64),
    /// How the owner is called.
    Profile {
        /// The name on cards.
        name: Option<String>,
    },
    /// A file.
    File {
        /// Names it.
        transfer: TransferId,
        /// Where it stands.
        state: FileState,
    },
    /// Bytes of a file.
    Bytes(Vec<u8>),
    /// How the pod is.
    Status {
        /// Counts what it must never forget.
        epoch: u64,
    },
    /// The pod's half of an account.
    Offer(Offer),
    /// An address, and its number.
    Address {
        /// On the branch for receiving.
        index: u32,
        /// Its text.
        address: String,
    },
    /// What is in an account.
    Account {
        /// In blocks, satoshi.
        confirmed_sat: u64,
    },
    /// A payment.
    Payment(PaymentSeen),
    /// All of an account.
    Payments(Vec<PaymentSeen>),
    /// What a session answers.
    Session(SessionAnswer),
}

/// A device that is to be let in.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// The root's certificate for it.
    pub certificate: Certificate,
    /// Its x25519 descriptor key.
    pub descriptor_key: [u8; 32],
    /// What its owner calls it.
    pub name: Name,
}

/// The pod's half of an account.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Names it.
    pub ceremony: [u8; 16],
    /// Number of the account.
    pub account_index: u32,
    /// G.
    pub pod_member_key: String,
    /// Height and time of the block before which no coin can be.
    pub birthday: (u32, u64),
}

/// The device's half of an account.
#[derive(Debug, Clone)]
pub struct Completion {
    /// Names the offer.
    pub ceremony: [u8; 16],
    /// P.
    pub device_member_key: String,
    /// R.
    pub recovery_member_key: String,
    /// What the device made of them.
    pub descriptor: String,
    /// And its first address.
    pub first_address: String,
}

/// A payment, as its owner sees it.
#[derive(Debug, Clone)]
pub struct PaymentSeen {
    /// Names it.
    pub id: [u8; 16],
    /// Its transaction.
    pub txid: Txid,
    /// Where it stands.
    pub state: PaymentStands,
    /// What is to be signed, while it is a draft.
    pub psbt: Option<String>,
}

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStands {
    /// A draft, or one that was cancelled.
    GivenUp,
    /// Signed, and in no block.
    Open,
    /// In a block.
    Confirmed,
    /// It never will be.
    Failed,
}

/// An invite, as its owner sees it.
#[derive(Debug, Clone)]
pub struct InviteSeen {
    /// Names it.
    pub id: InviteId,
    /// Where it stands.
    pub state: InviteState,
    /// What is handed over.
    pub invite: Invite,
}

/// Somebody, as an owner sees them.
#[derive(Debug, Clone)]
pub struct ContactSeen {
    /// Who.
    pub id: ContactId,
    /// Where it stands.
    pub state: ContactState,
    /// What they call themselves.
    pub card_name: Option<String>,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// What an owner is told without having asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    Asked(ContactId),
    Connected(ContactId),
    JoinFailed(ContactId),
    CardChanged(ContactId),
    Rekeyed(ContactId),
    RelayReplaced,
    RelayTrouble,
    /// Of no interest to anybody in this world.
    Other,
}

impl Command {
    /// Whether it changes anything: then a device gives it under an idempotency key.
    pub(super) fn changes(&self) -> bool {
        !matches!(
            self,
            Self::InviteById(_)
                | Self::Contacts
                | Self::Contact(_)
                | Self::Status
                | Self::Profile
                | Self::File(..)
                | Self::ReadFile { .. }
                | Self::LoadFile { .. }
                | Self::Account(_)
                | Self::Payments(_)
        )
    }
}
