//! What can happen to a pod. Nothing reaches the node but as one of these.

use std::sync::Arc;

use autonomy_messaging::{
    messenger::{self, ContactId},
    provision::SealedBundle,
};
use bdk_wallet::bitcoin::{Block, BlockHash, FeeRate, Transaction, Txid, block::Header};
use serde::{Deserialize, Serialize};

use super::{AccountId, CeremonyId, DeviceKey, PaymentId, SessionCommand, mail_command};
use autonomy_api::{
    Access, AddDevice, ApprovePayment, BeginAccount, CompleteAccount, NewPayment, SetProfile, UpdateContact,
};

/// One thing that happened.
#[derive(Debug)]
pub enum Input {
    /// Somebody asks for something.
    Request(Request),
    /// The chain source saw something.
    Chain(ChainEvent),
    /// What became of a transaction that was handed to the chain source.
    Broadcast(Txid, BroadcastOutcome),
    /// A place answered, a frame came, or somebody asks at the peer service.
    Mail(messenger::Input),
    /// Whether the clock is right, as far as anything outside of the machine tells. Until the first of these after a start it
    /// counts as wrong: nothing ends for good by it.
    Clock {
        /// Whether it is right.
        is_right: bool,
    },
    /// Time has passed: look for what is due.
    Wake,
}

/// A command and who gives it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who asks. The shell has proved it: by a TLS certificate, or by the rights of the socket.
    pub caller: Caller,
    /// By what a repeat of this request is known, and gets the same answer.
    pub idempotency_key: Option<IdempotencyKey>,
    /// What is asked.
    pub command: Command,
}

/// The key that a caller gave to a request, and the request that it was given to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// What the caller calls the request: 1 to [`MAX_KEY_LEN`](autonomy_api::MAX_KEY_LEN) printable characters.
    pub key: String,
    /// SHA-256 of method, path and body, as they came. Another request under the same key is refused.
    pub request: [u8; 32],
    /// What the program calls itself that asks: several may share one caller. Empty where it says nothing.
    pub app: String,
}

/// Who gives a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Caller {
    /// The owner of the machine the pod runs on, through the Unix socket.
    Owner,
    /// A device, by the key of its TLS certificate.
    Device(DeviceKey),
}

/// What can be asked of a pod.
#[derive(Debug, Clone)]
pub enum Command {
    /// How is the pod?
    Status,
    /// Take this sealed bundle: become the pod of its root.
    Adopt(SealedBundle),
    /// The owner knows that this pod was restored from an old backup, and up to which state epoch its devices
    /// have seen it: it may cosign again.
    Reconcile {
        /// The highest epoch that a device has seen.
        seen: u64,
    },
    /// Draw new keys: the pod request is another one from now on, and the keys count once its bundle is adopted.
    DrawKeys,
    /// Who may enter?
    Devices,
    /// Let a device in.
    AddDevice(AddDevice),
    /// Shut a device out.
    RevokeDevice(DeviceKey),
    /// All accounts.
    Accounts,
    /// One account.
    Account(AccountId),
    /// Offer G for a new account.
    BeginAccount(BeginAccount),
    /// Compare and open the account.
    CompleteAccount(CeremonyId, Box<CompleteAccount>),
    /// The receive addresses revealed so far.
    Addresses(AccountId, AddressPage),
    /// A fresh receive address.
    NewAddress(AccountId),
    /// What happened in an account.
    History(AccountId, HistoryPage),
    /// Payments of an account.
    Payments(AccountId),
    /// Build a payment.
    NewPayment(AccountId, NewPayment),
    /// One payment.
    Payment(PaymentId),
    /// Check what the device signed, sign, and send.
    ApprovePayment(PaymentId, ApprovePayment),
    /// Give a draft up.
    CancelPayment(PaymentId),
    /// Give a payment up, also one that is signed.
    GiveUpPayment(PaymentId),
    /// Contacts, messages, files, relays: what the messenger does by itself.
    Mail(messenger::Command),
    /// How the owner is called and reached.
    Profile,
    /// Changes either.
    SetProfile(SetProfile),
    /// What to compare with a contact.
    Safety(ContactId),
    /// Renames, verifies, blocks: all of it or nothing.
    UpdateContact(ContactId, UpdateContact),
    /// What a session is asked.
    Session(SessionCommand),
    /// Events after an id, oldest first.
    Events {
        /// The last one seen.
        after: u64,
    },
}

/// Which addresses of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddressPage {
    /// The index of the first.
    pub from: u32,
    /// At most so many; all where none is given.
    pub limit: Option<u32>,
}

/// Which lines of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryPage {
    /// At most so many.
    pub limit: u32,
}

impl Command {
    /// How far a device must be allowed to go to give this command.
    #[must_use]
    pub fn required_access(&self) -> Access {
        match self {
            Self::Mail(command) => mail_command::required_access(command),
            Self::Session(command) => command.required_access(),
            Self::Status => Access::Minimal,
            Self::Accounts
            | Self::Account(_)
            | Self::Addresses(..)
            | Self::NewAddress(_)
            | Self::History(..)
            | Self::Payments(_)
            | Self::NewPayment(..)
            | Self::Payment(_)
            | Self::CancelPayment(_)
            | Self::Profile
            | Self::Safety(_)
            | Self::Events { .. } => Access::Limited,
            Self::Adopt(_)
            | Self::DrawKeys
            | Self::Reconcile { .. }
            | Self::Devices
            | Self::AddDevice(_)
            | Self::RevokeDevice(_)
            | Self::BeginAccount(_)
            | Self::CompleteAccount(..)
            | Self::SetProfile(_)
            | Self::UpdateContact(..)
            | Self::ApprovePayment(..)
            | Self::GiveUpPayment(_) => Access::Full,
        }
    }
}

/// A block by height and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainPoint {
    /// Height; genesis is 0.
    pub height: u32,
    /// Block hash.
    pub hash: BlockHash,
    /// Time in the block's header, seconds.
    pub time: u64,
}

/// What the chain source saw.
#[derive(Debug, Clone)]
pub enum ChainEvent {
    /// The last blocks when a new pod starts, oldest first: what lies before cannot concern an account of this pod.
    Anchor(Vec<ChainPoint>),
    /// A block with something of ours, which connects to one the node knows; a height that is not above the tip's means a
    /// reorganisation.
    Block {
        /// The whole block: up to 10 MB in memory, so that all pods of a process are given the same one.
        block: Arc<Block>,
        /// Its height.
        height: u32,
    },
    /// The same of a block that holds nothing the node watches ([`Watched::event`](super::Watched::event)).
    Header {
        /// The block's header.
        header: Header,
        /// Its height.
        height: u32,
    },
    /// News from the mempool.
    Mempool {
        /// Transactions with the time they were first seen, seconds; 0 where that is not known. Foreign ones are ignored.
        /// All pods of a process are given the same ones.
        seen: Vec<(Arc<Transaction>, u64)>,
        /// Watched transactions that left without being mined.
        evicted: Vec<Txid>,
    },
    /// How the source is.
    Source(SourceState),
    /// Fee estimates: `(target in blocks, satoshi a virtual byte)`; none where the source cannot tell any more.
    Fees(Vec<(u16, f64)>),
    /// What the source's node takes.
    FeeFloor(FeeFloor),
}

/// The least fee rates that the source's node takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeFloor {
    /// For any transaction: the higher of its relay minimum and of what a full mempool asks.
    pub least: FeeRate,
    /// For a replacement, beside the rate of what it replaces.
    pub increment: FeeRate,
}

/// How the chain source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceState {
    /// Not heard of yet, or not answering; says why.
    Away(String),
    /// Reading blocks up to this height.
    Syncing(u32),
    /// At the tip, which has this height.
    Synced(u32),
}

/// What became of a broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BroadcastOutcome {
    /// In the source's mempool, or known to it already.
    Accepted,
    /// The source's node refuses it, and does not have it; says why. It decides nothing: another node may take what this one
    /// refuses, and a node may lie.
    Refused(String),
    /// No node was asked, or none gave an answer: nothing is known of it. Says why.
    Unanswered(String),
}
