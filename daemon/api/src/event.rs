//! What happened at the pod.

use std::fmt;

use autonomy_messaging::{Name, place::Place};
use autonomy_wallet::bitcoin::{SignedAmount, Txid};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AccountId, AccountName, ContactId, DeviceKey, InviteId, PaymentId, PaymentState, TransferId, number,
    schema, written,
};

/// One event of `GET /v1/events`; the SSE `id` field is `id`, the SSE `event` field is `kind`'s tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Grows by one with each event; give the last one seen as `Last-Event-ID` to resume.
    pub id: u64,
    /// When it happened.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Why a transaction is confirmed no more, or will not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnconfirmedReason {
    /// Its block is no longer in the chain; it waits for another one.
    Reorganised,
    /// Another transaction spent its coins.
    Replaced,
    /// It left the mempool.
    Dropped,
}

impl fmt::Display for UnconfirmedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reorganised => "its block is no longer in the chain",
            Self::Replaced => "its coins were spent elsewhere",
            Self::Dropped => "it is not in the mempool now",
        })
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// A device was let in.
    DeviceAdded {
        /// The device.
        #[schema(value_type = schema::DeviceKey)]
        device: DeviceKey,
        /// Its name.
        #[serde(with = "written")]
        #[schema(value_type = schema::Name)]
        name: Name,
    },
    /// A device was shut out.
    DeviceRevoked {
        /// The device.
        #[schema(value_type = schema::DeviceKey)]
        device: DeviceKey,
        /// Its name.
        #[serde(with = "written")]
        #[schema(value_type = schema::Name)]
        name: Name,
    },
    /// An account is ready.
    AccountCreated {
        /// The account.
        #[serde(with = "written")]
        #[schema(value_type = schema::AccountId)]
        account: AccountId,
        /// Its name.
        #[schema(value_type = schema::AccountName)]
        name: AccountName,
    },
    /// Bitcoin moves in or out: first seen in the mempool.
    TransactionSeen {
        /// The account.
        #[serde(with = "written")]
        #[schema(value_type = schema::AccountId)]
        account: AccountId,
        /// The transaction.
        #[serde(with = "written")]
        #[schema(value_type = schema::Txid)]
        txid: Txid,
        /// Net change of the account.
        #[serde(rename = "net_sat", with = "number")]
        #[schema(value_type = schema::NetSat)]
        net: SignedAmount,
        /// Estimate of the minutes to the first confirmation, where the source can tell.
        estimated_minutes: Option<u32>,
    },
    /// A transaction reached a number of confirmations (1, 2, 3, 6).
    TransactionConfirmed {
        /// The account.
        #[serde(with = "written")]
        #[schema(value_type = schema::AccountId)]
        account: AccountId,
        /// The transaction.
        #[serde(with = "written")]
        #[schema(value_type = schema::Txid)]
        txid: Txid,
        /// How many.
        confirmations: u32,
        /// Its block.
        height: u32,
    },
    /// A transaction fell out of its block by a reorganisation, or out of the mempool.
    TransactionUnconfirmed {
        /// The account.
        #[serde(with = "written")]
        #[schema(value_type = schema::AccountId)]
        account: AccountId,
        /// The transaction.
        #[serde(with = "written")]
        #[schema(value_type = schema::Txid)]
        txid: Txid,
        /// What became of it.
        reason: UnconfirmedReason,
    },
    /// A payment changed its state.
    PaymentChanged {
        /// The payment.
        #[schema(value_type = schema::PaymentId)]
        payment: PaymentId,
        /// Its account.
        #[serde(with = "written")]
        #[schema(value_type = schema::AccountId)]
        account: AccountId,
        /// Its state now.
        state: PaymentState,
        /// What went wrong, where something did.
        detail: Option<String>,
    },
    /// An invite can be redeemed now.
    InviteReady {
        /// The invite.
        #[serde(with = "written")]
        #[schema(value_type = schema::InviteId)]
        invite: InviteId,
    },
    /// An invite cannot be redeemed: its place does not take it.
    InviteFailed {
        /// The invite.
        #[serde(with = "written")]
        #[schema(value_type = schema::InviteId)]
        invite: InviteId,
        /// Why.
        detail: String,
    },
    /// Somebody redeemed an invite and waits to be confirmed.
    ContactAsked {
        /// Who.
        #[serde(with = "written")]
        #[schema(value_type = schema::ContactId)]
        contact: ContactId,
    },
    /// Two people are contacts now: messages go both ways.
    ContactConnected {
        /// Who.
        #[serde(with = "written")]
        #[schema(value_type = schema::ContactId)]
        contact: ContactId,
    },
    /// An invite that was accepted here leads nowhere.
    JoinFailed {
        /// Whose it was.
        #[serde(with = "written")]
        #[schema(value_type = schema::ContactId)]
        contact: ContactId,
        /// Why.
        detail: String,
    },
    /// A contact's card changed.
    ContactChanged {
        /// Whose.
        #[serde(with = "written")]
        #[schema(value_type = schema::ContactId)]
        contact: ContactId,
    },
    /// A message arrived.
    MessageReceived {
        /// From whom.
        #[serde(with = "written")]
        #[schema(value_type = schema::ContactId)]
        contact: ContactId,
        /// Its number in the conversation.
        number: u64,
    },
    /// A message is safe at the contact's pod.
    MessageDelivered {
        /// To whom.
        #[serde(with = "written")]
        #[schema(value_type = schema::ContactId)]
        contact: ContactId,
        /// Its number in the conversation.
        number: u64,
    },
    /// A message could not be delivered in time.
    MessageExpired {
        /// To whom.
        #[serde(with = "written")]
        #[schema(value_type = schema::ContactId)]
        contact: ContactId,
        /// Its number in the conversation.
        number: u64,
    },
    /// A conversation has new keys, after a restore or a fault. Verification holds.
    ContactRekeyed {
        /// With whom.
        #[serde(with = "written")]
        #[schema(value_type = schema::ContactId)]
        contact: ContactId,
    },
    /// A contact offers a file.
    FileOffered {
        /// Who.
        #[serde(with = "written")]
        #[schema(value_type = schema::ContactId)]
        contact: ContactId,
        /// The file.
        #[serde(with = "written")]
        #[schema(value_type = schema::FileId)]
        file: TransferId,
    },
    /// A file from a contact is here.
    FileReceived {
        /// From whom.
        #[serde(with = "written")]
        #[schema(value_type = schema::ContactId)]
        contact: ContactId,
        /// The file.
        #[serde(with = "written")]
        #[schema(value_type = schema::FileId)]
        file: TransferId,
    },
    /// A contact has a file.
    FileDelivered {
        /// Who.
        #[serde(with = "written")]
        #[schema(value_type = schema::ContactId)]
        contact: ContactId,
        /// The file.
        #[serde(with = "written")]
        #[schema(value_type = schema::FileId)]
        file: TransferId,
    },
    /// A contact does not take a file, or no longer offers it.
    FileCancelled {
        /// Who.
        #[serde(with = "written")]
        #[schema(value_type = schema::ContactId)]
        contact: ContactId,
        /// The file.
        #[serde(with = "written")]
        #[schema(value_type = schema::FileId)]
        file: TransferId,
    },
    /// A relay does not do what it should.
    RelayTrouble {
        /// Which, `/onion3/…:4001/p2p/…`.
        #[serde(with = "written")]
        #[schema(value_type = schema::Place)]
        place: Place,
        /// What is wrong.
        detail: String,
    },
    /// Another relay took a relay's place.
    RelayReplaced {
        /// The one that went.
        #[serde(with = "written")]
        #[schema(value_type = schema::Place)]
        place: Place,
        /// The one that came.
        #[serde(with = "written")]
        #[schema(value_type = schema::Place)]
        by: Place,
    },
    /// Some events before or among those that follow are no longer kept: read the lists anew.
    Gap {
        /// The first of those that follow.
        oldest: u64,
    },
}
