//! Requests of a device and the pod's answers, in the simulator's own types. Only `pod` knows those of the node, so
//! what changes in the node's API changes one translation here. Sessions are the exception: [`Command::Session`] and
//! [`Answer::Session`] carry the node's types.

use autonomy_messaging::invite::Invite;
use autonomy_messaging::messenger::{ContactId, ContactState, FileState, InviteId, InviteState, Reach};
use autonomy_messaging::place::{Capability, Place};
use autonomy_messaging::{Certificate, FileContent, Name, TransferId};
use autonomy_node::{SessionAnswer, SessionCommand};
use autonomy_wallet::account::AccountId;
use autonomy_wallet::bitcoin::Txid;

/// A request of a device. The methods of [`World`](crate::World) give them.
#[derive(Debug, Clone)]
pub enum Command {
    /// Use a relay.
    AddRelay {
        /// Where it is.
        place: Place,
        /// The owner's name for it.
        name: Name,
        /// The operator's token, where the relay asks for one.
        token: Option<Capability>,
    },
    /// Set how others reach the pod.
    SetReach(Reach),
    /// Set the name on cards.
    SetName(Name),
    /// Set both with one request.
    SetNameAndReach(Name, Reach),
    /// Make an invite.
    Invite {
        /// Seconds for which it can be redeemed.
        valid_for: u64,
    },
    /// Get an invite.
    InviteById(InviteId),
    /// Redeem an invite.
    Accept {
        /// The invite.
        invite: Box<Invite>,
        /// Its maker is a contact, who lost what the pod knew of that.
        again: bool,
    },
    /// Confirm who redeemed an invite.
    Confirm(ContactId),
    /// Remove a contact, with everything that waits for them.
    Remove(ContactId),
    /// List contacts, and whoever asks to be one.
    Contacts,
    /// Get a contact.
    Contact(ContactId),
    /// Send a text.
    Send {
        /// To whom.
        contact: ContactId,
        /// The words.
        text: String,
    },
    /// Mark a conversation as read.
    MarkRead {
        /// Of which conversation.
        contact: ContactId,
        /// Number of the last entry that was read.
        up_to: u64,
    },
    /// Block a contact, or end that.
    SetBlocked(ContactId, bool),
    /// Get the name on cards.
    Profile,
    /// Add a device.
    AddDevice(NewDevice),
    /// Revoke a device, by its public key.
    RevokeDevice([u8; 32]),
    /// Draw new keys of the pod. They are in use once they are certified.
    DrawKeys,
    /// Begin to send a file.
    OfferFile {
        /// To whom.
        contact: ContactId,
        /// What it is.
        content: FileContent,
    },
    /// Give the pod some chunks of a file, at most [`MAX_LOADED`](autonomy_messaging::messenger::MAX_LOADED).
    LoadFile {
        /// To whom it goes.
        contact: ContactId,
        /// Which.
        transfer: TransferId,
        /// Number of the first chunk.
        first: u32,
        /// The chunks.
        bytes: Vec<u8>,
    },
    /// Get the state of a file.
    File(ContactId, TransferId),
    /// Read chunks of a file.
    ReadFile {
        /// From whom it came.
        contact: ContactId,
        /// Which.
        transfer: TransferId,
        /// Number of the first chunk.
        first: u32,
        /// How many chunks.
        count: u32,
    },
    /// Get the state epoch.
    Status,
    /// Allow a pod that was restored from a backup to sign again.
    Reconcile {
        /// The highest state epoch that a device has seen.
        seen: u64,
    },
    /// Get the pod's half of a new account.
    BeginAccount,
    /// Give the pod the device's half.
    CompleteAccount(Completion),
    /// Get a new receiving address.
    NewAddress(AccountId),
    /// Get the balance of an account.
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
    /// Complete a payment that the device has signed.
    Approve {
        /// Which.
        payment: [u8; 16],
        /// The draft with P's signatures.
        psbt: String,
        /// The highest state epoch that the device has seen.
        epoch: u64,
    },
    /// Give a draft up.
    Cancel([u8; 16]),
    /// List the payments of an account.
    Payments(AccountId),
    /// Ask a session, in the node's own types.
    Session(SessionCommand),
}

/// The answer to a command that was carried out.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Nothing more to say.
    Done,
    /// An invite.
    Invite(InviteSeen),
    /// Somebody.
    Contact(ContactSeen),
    /// Everybody.
    Contacts(Vec<ContactSeen>),
    /// The message has this number in its conversation.
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
    /// A receiving address.
    Address {
        /// Its number on the external branch.
        index: u32,
        /// Its text.
        address: String,
    },
    /// What is in an account.
    Account {
        /// Satoshi in blocks.
        confirmed_sat: u64,
    },
    /// A payment.
    Payment(PaymentSeen),
    /// All of an account.
    Payments(Vec<PaymentSeen>),
    /// The answer of a session, in the node's own types.
    Session(SessionAnswer),
}

/// What a pod needs to let a device in.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// The root's certificate for it.
    pub certificate: Certificate,
    /// Its x25519 descriptor key.
    pub descriptor_key: [u8; 32],
    /// What its owner calls it.
    pub name: Name,
}

/// The pod's half of a new account.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The pod's name for it, which the answer repeats.
    pub ceremony: [u8; 16],
    /// Number of the account at the pod.
    pub account_index: u32,
    /// The key G.
    pub pod_member_key: String,
    /// Height and time of the block before which the account has no coin.
    pub birthday: (u32, u64),
}

/// The device's half of a new account.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The name of the pod's offer.
    pub ceremony: [u8; 16],
    /// The key P.
    pub device_member_key: String,
    /// The key R.
    pub recovery_member_key: String,
    /// The descriptor that the device made of the three keys: the pod has to make the same.
    pub descriptor: String,
    /// Its first address: the pod has to derive the same.
    pub first_address: String,
}

/// A payment as the pod reports it.
#[derive(Debug, Clone)]
pub struct PaymentSeen {
    /// Names it.
    pub id: [u8; 16],
    /// Its transaction.
    pub txid: Txid,
    /// Where it stands.
    pub state: PaymentProgress,
    /// The draft in base64, while it waits for the device's signature.
    pub psbt: Option<String>,
}

/// How far a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentProgress {
    /// A draft, or cancelled: no signature of the pod exists.
    GivenUp,
    /// Signed by both, and neither in a block nor known to be in the network.
    Signed,
    /// In the network, and in no block.
    Seen,
    /// In a block.
    Confirmed,
    /// Never to be in a block: another transaction spent its coins, or the network refused it.
    Failed,
}

/// An invite as the pod reports it.
#[derive(Debug, Clone)]
pub struct InviteSeen {
    /// Names it.
    pub id: InviteId,
    /// Where it stands.
    pub state: InviteState,
    /// What the owner hands over.
    pub invite: Invite,
}

/// A contact as the pod reports it.
#[derive(Debug, Clone)]
pub struct ContactSeen {
    /// Who.
    pub id: ContactId,
    /// Where it stands.
    pub state: ContactState,
    /// The name on their card.
    pub card_name: Option<String>,
}

/// Why the pod refused a command, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// An event that devices get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    Asked(ContactId),
    Connected(ContactId),
    JoinFailed(ContactId),
    CardChanged(ContactId),
    Rekeyed(ContactId),
    RelayReplaced,
    RelayTrouble,
    /// One that nobody here waits for.
    Other,
}

impl Command {
    /// Whether the command changes anything: a device gives such a command under an idempotency key.
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
