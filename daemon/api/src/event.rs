//! What happened at the pod.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::PaymentState;

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

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// A device was let in.
    DeviceAdded {
        /// The device.
        device: String,
        /// Its name.
        name: String,
    },
    /// A device was shut out.
    DeviceRevoked {
        /// The device.
        device: String,
        /// Its name.
        name: String,
    },
    /// An account is ready.
    AccountCreated {
        /// The account.
        account: String,
        /// Its name.
        name: String,
    },
    /// Bitcoin moves in or out: first seen in the mempool.
    TransactionSeen {
        /// The account.
        account: String,
        /// The transaction.
        txid: String,
        /// Net change of the account.
        net_sat: i64,
        /// Estimate of the minutes to the first confirmation, where the source can tell.
        estimated_minutes: Option<u32>,
    },
    /// A transaction reached a number of confirmations (1, 2, 3, 6).
    TransactionConfirmed {
        /// The account.
        account: String,
        /// The transaction.
        txid: String,
        /// How many.
        confirmations: u32,
        /// Its block.
        height: u32,
    },
    /// A transaction fell out of its block by a reorganisation, or out of the mempool.
    TransactionUnconfirmed {
        /// The account.
        account: String,
        /// The transaction.
        txid: String,
        /// `reorganised`, `replaced` or `dropped`.
        reason: String,
    },
    /// A payment changed its state.
    PaymentChanged {
        /// The payment.
        payment: String,
        /// Its account.
        account: String,
        /// Its state now.
        state: PaymentState,
        /// What went wrong, where something did.
        detail: Option<String>,
    },
    /// An invite can be redeemed now.
    InviteReady {
        /// The invite.
        invite: String,
    },
    /// An invite cannot be redeemed: its place does not take it.
    InviteFailed {
        /// The invite.
        invite: String,
        /// Why.
        detail: String,
    },
    /// Somebody redeemed an invite and waits to be confirmed.
    ContactAsked {
        /// Who.
        contact: String,
    },
    /// Two people are contacts now: messages go both ways.
    ContactConnected {
        /// Who.
        contact: String,
    },
    /// An invite that was accepted here leads nowhere.
    JoinFailed {
        /// Whose it was.
        contact: String,
        /// Why.
        detail: String,
    },
    /// A contact's card changed.
    ContactChanged {
        /// Whose.
        contact: String,
    },
    /// A message arrived.
    MessageReceived {
        /// From whom.
        contact: String,
        /// Its number in the conversation.
        number: u64,
    },
    /// A message is safe at the contact's pod.
    MessageDelivered {
        /// To whom.
        contact: String,
        /// Its number in the conversation.
        number: u64,
    },
    /// A message could not be delivered in time.
    MessageExpired {
        /// To whom.
        contact: String,
        /// Its number in the conversation.
        number: u64,
    },
    /// A conversation has new keys, after a restore or a fault. Verification holds.
    ContactRekeyed {
        /// With whom.
        contact: String,
    },
    /// A contact offers a file.
    FileOffered {
        /// Who.
        contact: String,
        /// The file.
        file: String,
    },
    /// A file from a contact is here.
    FileReceived {
        /// From whom.
        contact: String,
        /// The file.
        file: String,
    },
    /// A contact has a file.
    FileDelivered {
        /// Who.
        contact: String,
        /// The file.
        file: String,
    },
    /// A contact does not take a file, or no longer offers it.
    FileCancelled {
        /// Who.
        contact: String,
        /// The file.
        file: String,
    },
    /// A relay does not do what it should.
    RelayTrouble {
        /// Which, `/onion3/…:4001/p2p/…`.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// Another relay took a relay's place.
    RelayReplaced {
        /// The one that went.
        place: String,
        /// The one that came.
        by: String,
    },
    /// Some events before or among those that follow are no longer kept: read the lists anew.
    Gap {
        /// The first of those that follow.
        oldest: u64,
    },
}
