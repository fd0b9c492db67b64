//! What is kept of a conversation beside its entries, and what it says to its owner about parts and messages that left.

use serde::{Deserialize, Serialize};

use crate::{
    messenger::{
        row::{Kept, Unreadable, whole},
        states::Timestamp,
    },
    payload::Payload,
};

/// Of which run of numbers of the contact a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::messenger) enum Run {
    /// The one that goes on.
    Present,
    /// A later one, which goes on from now on: they began anew.
    Later,
    /// One that ended: what it says of numbers counts no more.
    Earlier,
}

/// The contact acknowledges what was never sent to it, or in a later run of numbers than ours: our disk went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::messenger) struct WentBack;

/// How a conversation stands. Changes with every message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::messenger) struct ThreadRecord {
    /// Number of the next entry; entries count from 0.
    pub(super) next_entry: u64,
    /// Incoming entries before this one were read.
    pub(super) read_to: u64,
    /// Incoming entries from there on.
    pub(super) unread: u32,
    /// When something last arrived.
    pub(super) heard_at: Option<Timestamp>,
    /// The inbox.
    pub(super) inbox: Vec<u8>,
    /// The outbox, but for the messages in it.
    pub(super) outbox: Vec<u8>,
    /// For our queues at relays: frames that they say were taken there, and frames we collected there.
    pub(super) counts: Vec<AuditCount>,
    /// When the run of numbers began that the inbox counts in.
    pub(super) inbox_since: u64,
    /// When the run of numbers began that the outbox counts in.
    pub(super) outbox_since: u64,
    /// When the run before that one began: between the two there was none.
    pub(super) outbox_before: u64,
}

/// The same before runs of numbers had a beginning.
#[derive(Deserialize)]
struct ThreadRecordV1 {
    next_entry: u64,
    read_to: u64,
    unread: u32,
    heard_at: Option<Timestamp>,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    counts: Vec<AuditCount>,
}

/// Of a queue: frames that the contact says were taken there, and frames we collected there.
pub(in crate::messenger) type AuditCount = ([u8; 32], u32, u32);

/// A message in the outbox: when it was queued (none once it was given up), and the outbox's record of it.
pub(in crate::messenger) type QueuedRow = (Option<Timestamp>, Vec<u8>);

impl Kept for ThreadRecord {
    const VERSION: u8 = 2;

    /// Numbers of version 1 belong to a group: the next run begins later than that.
    fn upgrade(version: u8, body: &[u8]) -> Result<Self, Unreadable> {
        if version != 1 {
            return Err(format!("there was no version {version}").into());
        }
        let ThreadRecordV1 { next_entry, read_to, unread, heard_at, inbox, outbox, counts } = whole(body)?;
        Ok(Self {
            next_entry,
            read_to,
            unread,
            heard_at,
            inbox,
            outbox,
            counts,
            inbox_since: 0,
            outbox_since: 0,
            outbox_before: 0,
        })
    }
}

impl Kept for QueuedRow {}

/// Something left the outbox, and people do not see what it was.
#[derive(Debug)]
pub(in crate::messenger) struct HiddenSettled {
    /// Its number in the conversation.
    pub(in crate::messenger) number: u64,
    /// It is at the contact's pod; otherwise it expired.
    pub(in crate::messenger) delivered: bool,
    /// What it was; none where its row is lost or damaged.
    pub(in crate::messenger) payload: Option<Payload>,
}

/// What came of a part.
pub(in crate::messenger) struct PartTaken {
    /// A receipt is owed; whether the part had come before.
    pub(in crate::messenger) owes_receipt: Option<bool>,
    /// Payloads that are whole now, in order.
    pub(in crate::messenger) payloads: Vec<Vec<u8>>,
}
