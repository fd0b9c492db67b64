//! What the node answers: an answer, or a refusal that names the field and the rule.

use autonomy_messaging::{Network, PublicKey, RootPublic, SecretWriter};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use zeroize::Zeroizing;

use super::{SessionAnswer, table};

use autonomy_api::{
    Access, Account, AccountOffer, Accounts, ChainStatus, Contact, Contacts, Device, Devices, Event, File,
    Files, History, Imported, Invite, Invites, MailStatus, Messages, Payment, Payments, Profile,
    QueuedMessage, ReceiveAddress, Relays, Safety, written,
};

/// Room that a kept answer gets at first: most fit. A larger one costs a copy.
const USUAL_LEN: usize = 1024;

/// The node's reply to a request.
pub type Reply = Result<Answer, Refusal>;

/// What a command gives back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Command::Status`](super::Command::Status); the shell adds what it knows.
    Status(NodeStatus),
    /// The pod has an owner. Where it was adopted for new keys, it has to start again to use them.
    Adopted,
    /// All devices, as the caller sees them.
    Devices(Devices),
    /// The device that was let in.
    Device(Device),
    /// All accounts, oldest first.
    Accounts(Accounts),
    /// One account, as it stands now.
    Account(Account),
    /// The pod's half of an account; it stands for an hour.
    Offer(AccountOffer),
    /// All receive addresses revealed so far, in order.
    Addresses(Vec<ReceiveAddress>),
    /// A fresh receive address.
    Address(ReceiveAddress),
    /// What happened in an account, newest first.
    History(History),
    /// Payments of an account, newest first, without their drafts.
    Payments(Payments),
    /// One payment, with its draft where it is one. A repeat is answered with the payment as it stands then.
    Payment(Payment),
    /// Events after the one named, oldest first; a gap leads where some are no longer kept.
    Events(Vec<Event>),
    /// How messages flow.
    MailStatus(MailStatus),
    /// How the owner is called and reached.
    Profile(Profile),
    /// One invite. Its text is a right to ask: it is shown with full access only.
    Invite(Invite),
    /// All invites, oldest first.
    Invites(Invites),
    /// One person, with the safety number.
    Contact(Contact),
    /// Everybody, without the safety numbers, which cost milliseconds each.
    Contacts(Contacts),
    /// What two people compare.
    Safety(Safety),
    /// A page of a conversation, newest last.
    Messages(Messages),
    /// A message that cannot be lost any more, with its number.
    Queued(QueuedMessage),
    /// All relays.
    Relays(Relays),
    /// One file.
    File(File),
    /// Files to and from a contact, oldest first.
    Files(Files),
    /// Chunks of a file, or a parcel to be carried by hand.
    Bytes(ByteBuf),
    /// What became of the messages of a parcel.
    Imported(Imported),
    /// A person as a vCard.
    Card(String),
    /// What a session answers.
    Session(SessionAnswer),
    /// It is done, and there is nothing to tell.
    Done,
}

impl Answer {
    /// What kind of answer it is: all that may stand in a log, since invites and messages are answers too.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Status(_) => "Status",
            Self::Adopted => "Adopted",
            Self::Devices(_) => "Devices",
            Self::Device(_) => "Device",
            Self::Accounts(_) => "Accounts",
            Self::Account(_) => "Account",
            Self::Offer(_) => "Offer",
            Self::Addresses(_) => "Addresses",
            Self::Address(_) => "Address",
            Self::History(_) => "History",
            Self::Payments(_) => "Payments",
            Self::Payment(_) => "Payment",
            Self::Events(_) => "Events",
            Self::MailStatus(_) => "MailStatus",
            Self::Profile(_) => "Profile",
            Self::Invite(_) => "Invite",
            Self::Invites(_) => "Invites",
            Self::Contact(_) => "Contact",
            Self::Contacts(_) => "Contacts",
            Self::Safety(_) => "Safety",
            Self::Messages(_) => "Messages",
            Self::Queued(_) => "Queued",
            Self::Relays(_) => "Relays",
            Self::File(_) => "File",
            Self::Files(_) => "Files",
            Self::Bytes(_) => "Bytes",
            Self::Imported(_) => "Imported",
            Self::Card(_) => "Card",
            Self::Session(_) => "Session",
            Self::Done => "Done",
        }
    }

    /// The bytes in which an answer is kept for a repeat of its request. They are wiped when they are dropped.
    #[expect(clippy::expect_used, reason = "answers are plain data, and the buffer takes every byte")]
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = SecretWriter::with_capacity(USUAL_LEN);
        ciborium::into_writer(self, &mut bytes)
            .expect("answers are plain data, and the buffer takes every byte");
        bytes.into_bytes()
    }

    /// Reads [`Answer::to_bytes`]; none where another version of the program wrote it in another shape.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        table::whole(bytes).ok()
    }
}

/// The part of a status the node knows; the shell adds Tor and the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Bitcoin network.
    #[serde(with = "written")]
    pub network: Network,
    /// Ed25519 key of the pod.
    #[serde(with = "written")]
    pub pod_key: PublicKey,
    /// Whom it belongs to.
    #[serde(with = "written::optional")]
    pub owner: Option<RootPublic>,
    /// See [`autonomy_api::Status::state_epoch`].
    pub state_epoch: u64,
    /// The chain as the pod sees it.
    pub chain: ChainStatus,
    /// Devices that may enter.
    pub devices: u32,
    /// Accounts.
    pub accounts: u32,
    /// What the owner should know, in words.
    pub warnings: Vec<String>,
}

/// Why a command changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The caller is no device of this pod.
    #[error("this device is not admitted to this pod; let another device of yours add it")]
    NotAdmitted,
    /// The certificate of the device has run out.
    #[error("the certificate of this device is not valid now: {0}")]
    CertificateInvalid(String),
    /// The device may not do this.
    #[error("this needs {needed:?} access, and this device has {has:?} access")]
    AccessTooLow {
        /// Level needed.
        needed: Access,
        /// Level held.
        has: Access,
    },
    /// Nothing by that name.
    #[error("there is no {what} `{id}` on this pod")]
    Unknown {
        /// The kind of thing.
        what: &'static str,
        /// The name asked for.
        id: String,
    },
    /// A field breaks a rule.
    #[error("`{field}`: {rule}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The rule it breaks.
        rule: String,
    },
    /// The pod has no owner yet.
    #[error(
        "this pod has no owner yet: run `autonomy provision` on the device and `autonomy pod adopt` here"
    )]
    NotAdopted,
    /// The thing is in a state that does not allow this.
    #[error("{0}")]
    Conflict(String),
    /// The same idempotency key came with another command.
    #[error("this Idempotency-Key was used for another request; use a fresh one")]
    KeyReused,
    /// A bound is reached.
    #[error("{what}: at most {limit}; {remedy}")]
    Full {
        /// What there is too much of.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
        /// What the owner can do.
        remedy: &'static str,
    },
    /// The checker refused: money was at stake.
    #[error("refused by the checker: {0}")]
    Unsafe(String),
    /// The account has not enough to pay.
    #[error("not enough funds: {0}")]
    Funds(String),
    /// The device remembers a later state of this pod.
    #[error(
        "this pod is behind: the device has seen state epoch {seen}, the pod is at {own}. It was restored from an \
         old backup; it cosigns nothing until `autonomy pod reconcile --epoch {seen}` is run on its machine"
    )]
    Behind {
        /// What the device has seen.
        seen: u64,
        /// What the pod has.
        own: u64,
    },
    /// The chain source cannot tell what must be known first.
    #[error("the chain source is not ready: {0}")]
    ChainNotReady(String),
}

impl Refusal {
    /// A refusal of one field.
    pub fn invalid(field: &'static str, rule: impl Into<String>) -> Self {
        Self::Invalid { field, rule: rule.into() }
    }
}
