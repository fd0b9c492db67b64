//! How messages flow: the owner's name, the state, the relays that hold messages for a pod that is away.

use std::collections::BTreeMap;

pub use autonomy_messaging::messenger::{Reach, RefusalReason, RelayState};
use autonomy_messaging::{
    Name,
    place::{Capability, Place},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{schema, written};

/// `GET /v1/mail`: how messages flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MailStatus {
    /// The name on the owner's cards, where one was chosen.
    #[serde(default, with = "written::optional")]
    #[schema(value_type = Option<schema::Name>)]
    pub name: Option<Name>,
    /// Contacts with whom messages go both ways.
    pub contacts: u32,
    /// People who redeemed an invite and wait to be confirmed.
    pub asking: u32,
    /// Messages not yet known to be delivered.
    pub queued: u32,
    /// Messages not read yet.
    pub unread: u32,
    /// What came in, or was due, and changed nothing since the process started: how often, for each reason.
    pub refused: BTreeMap<RefusalReason, u64>,
}

/// `GET /v1/profile`: how the owner is called on the cards that contacts get, and how the pod is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    /// The name; absent until one is chosen, and cards carry the pod's name then.
    #[serde(default, with = "written::optional")]
    #[schema(value_type = Option<schema::Name>)]
    pub name: Option<Name>,
    /// How contacts reach the pod.
    pub reach: Reach,
}

/// `PUT /v1/profile`: what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetProfile {
    /// One visible line of 1 to 64 bytes. Contacts get a new card.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "written::optional")]
    #[schema(value_type = Option<schema::Name>)]
    pub name: Option<Name>,
    /// Contacts get a new card. `relays` needs a relay, and ends invites that carry the pod's own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
}

/// A place of somebody else's that holds messages while the pod is away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Relay {
    /// Where, `/onion3/…:4001/p2p/…`.
    #[serde(with = "written")]
    #[schema(value_type = schema::Place)]
    pub place: Place,
    /// What the owner calls it.
    #[serde(with = "written")]
    #[schema(value_type = schema::Name)]
    pub name: Name,
    /// Where it stands.
    pub state: RelayState,
    /// Whether messages are being collected there now.
    pub connected: bool,
    /// Queues kept there.
    pub queues: u32,
    /// What is wrong, where something is.
    pub detail: Option<String>,
}

/// `GET /v1/relays`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Relays {
    /// All of them, at most 16.
    pub relays: Vec<Relay>,
}

/// `POST /v1/relays`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddRelay {
    /// Where, `/onion3/<56 characters>:4001/p2p/<peer id>`.
    #[serde(with = "written")]
    #[schema(value_type = schema::Place)]
    pub place: Place,
    /// What to call it: one visible line of 1 to 64 bytes; the beginning of its address where absent.
    #[serde(default, with = "written::optional")]
    #[schema(value_type = Option<schema::Name>)]
    pub name: Option<Name>,
    /// The operator's invitation, 64 hexadecimal characters, where one is needed.
    #[serde(default, with = "written::optional")]
    #[schema(value_type = Option<schema::Bytes32>)]
    pub token: Option<Capability>,
}
