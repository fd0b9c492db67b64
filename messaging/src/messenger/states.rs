//! How things stand and since when, in the words that owners see and rows keep.

use serde::{Deserialize, Serialize};

use super::row::Kept;

/// Seconds since 1970, UTC.
pub type Timestamp = u64;

/// How it stands between us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ContactState {
    /// We redeemed their invite; they have not confirmed us yet.
    Joining,
    /// They redeemed our invite; we have not confirmed them yet.
    Asking,
    /// Messages go both ways.
    Active,
    /// Blocked by the owner: what they send is answered, and dropped.
    Blocked,
    /// Known by an imported card, and nothing more.
    Known,
}

/// Who wrote an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Direction {
    /// The contact.
    Incoming,
    /// The owner.
    Outgoing,
}

/// How an entry of a conversation stands.
///
/// An entry moves from queued to one of the two ends and stays there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryState {
    /// On its way.
    Queued,
    /// Safe at the contact's pod since then.
    Delivered(Timestamp),
    /// Given up then; it may or may not have arrived.
    Expired(Timestamp),
    /// It arrived.
    Received,
}

/// How an invite stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum InviteState {
    /// Its place does not have it yet: it cannot be redeemed.
    Publishing,
    /// It can be redeemed.
    Ready,
    /// Somebody redeemed it and was confirmed.
    Used,
    /// Its time is over.
    Expired,
    /// Its owner took it back.
    Cancelled,
    /// Its place does not take it.
    Failed,
}

/// How a relay stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RelayState {
    /// Holds queues for every contact.
    Active,
    /// Waits to take another's place.
    Spare,
    /// Was away too long.
    Dead,
    /// Took frames and did not give them out.
    Withholding,
}

/// How a file stands.
///
/// Complete and cancelled are ends; a file leaves the list only when its room is needed or the owner removes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum FileState {
    /// Its owner's device is loading it.
    Loading,
    /// On its way.
    Underway,
    /// All of it is where it should be.
    Complete,
    /// One of the two gave it up.
    Cancelled,
}

/// How contacts reach a pod.
///
/// To change it gives every contact a new card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Reach {
    /// At its own address first, and through its relays while it is away.
    #[default]
    Direct,
    /// Through its relays only: its address is on no card and in no invite, and receipts alone wait for moments of their own.
    Relays,
}

impl Kept for Reach {}
