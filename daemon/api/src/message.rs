//! Conversations.

pub use autonomy_messaging::messenger::{Direction, Imported};
use autonomy_messaging::payload::{FileName, Text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Hex, TransferId, schema, written};

// Flat, unlike the messenger's, so that the moment stands in a field of its own.
/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// On its way.
    Queued,
    /// Safe at the contact's pod.
    Delivered,
    /// Given up; it may or may not have arrived.
    Expired,
    /// It came from the contact.
    Received,
}

// Of a payload only what a person can read is shown.
/// What kind of thing was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Words.
    Text,
    /// A contact card.
    Card,
    /// A file is offered.
    File,
    /// A file is no longer sent or wanted.
    FileCancelled,
    /// Something this pod does not know: made by a newer version.
    Unknown,
}

/// An entry of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// Its number in the conversation; numbers grow, and some are left out.
    pub number: u64,
    /// Who said it.
    pub direction: Direction,
    /// When it was said, or arrived.
    pub at: u64,
    /// Where it stands.
    pub state: MessageState,
    /// When it was delivered or given up.
    pub settled_at: Option<u64>,
    /// What it is.
    pub kind: MessageKind,
    /// The words of a text.
    #[serde(default, with = "written::optional")]
    #[schema(value_type = Option<schema::Words>)]
    pub text: Option<Text>,
    /// The file that is offered.
    pub file: Option<OfferedFile>,
}

/// A file that is offered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OfferedFile {
    /// Names the transfer.
    #[serde(with = "written")]
    #[schema(value_type = schema::FileId)]
    pub transfer: TransferId,
    /// What its sender calls it.
    #[serde(with = "written")]
    #[schema(value_type = schema::FileName)]
    pub name: FileName,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    #[schema(value_type = schema::Bytes32)]
    pub sha256: Hex<32>,
}

/// `GET /v1/contacts/{id}/messages`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Messages {
    /// Newest last.
    pub messages: Vec<Message>,
    /// Number of the first entry that is kept: of 10,000 entries and more, older ones that were read are dropped.
    #[serde(default)]
    pub first: u64,
}

/// `POST /v1/contacts/{id}/messages`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    /// The words: 1 byte to 16 KiB of UTF-8.
    #[serde(with = "written")]
    #[schema(value_type = schema::Words)]
    pub text: Text,
}

/// A message that was taken, and will be delivered or reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueuedMessage {
    /// Its number in the conversation.
    pub number: u64,
    /// When it was taken.
    pub at: u64,
}

/// `POST /v1/contacts/{id}/read`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkRead {
    /// The number of the last message read; those before it are read too.
    pub up_to: u64,
}
