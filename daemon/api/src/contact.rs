//! Contacts, and the invites by which they come.

pub use autonomy_messaging::messenger::{ContactState, InviteState};
use autonomy_messaging::{Name, vcard::VCard};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Private, written};

/// An invite: whoever has its text may ask to become a contact, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Invite {
    /// Names it; tells nothing of it.
    pub id: String,
    /// What to hand over. A secret between two people: send it by a way that others do not read.
    #[schema(value_type = String)]
    pub text: Private,
    /// Where it stands.
    pub state: InviteState,
    /// For whom it was.
    pub note: Option<String>,
    /// When it was made.
    pub created_at: u64,
    /// When it can be redeemed no more.
    pub expires_at: u64,
    /// Where it waits, `/onion3/…:4001/p2p/…`.
    pub place: String,
}

/// `GET /v1/invites`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Invites {
    /// Oldest first, at most 64.
    pub invites: Vec<Invite>,
}

/// `POST /v1/invites`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvite {
    /// For whom it is, for the owner's own memory: one visible line of 1 to 64 bytes.
    #[serde(default, with = "written::optional")]
    #[schema(value_type = Option<String>)]
    pub note: Option<Name>,
    /// Seconds for which it can be redeemed, at most 30 days; 7 days where absent.
    #[serde(default)]
    pub valid_for: Option<u64>,
}

/// `POST /v1/contacts`: redeem somebody's invite.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvite {
    /// The invite's text.
    #[serde(with = "written")]
    #[schema(value_type = String)]
    pub invite: autonomy_messaging::invite::Invite,
    /// What to call the inviter; their own card says it where absent.
    #[serde(default, with = "written::optional")]
    #[schema(value_type = Option<String>)]
    pub name: Option<Name>,
}

/// `POST /v1/vcards`: know somebody by their card in an address book.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportCard {
    /// A vCard 4.0 with `X-AUTONOMY-ROOT`.
    #[serde(with = "written")]
    #[schema(value_type = String)]
    pub vcard: VCard,
}

/// Another person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Contact {
    /// First 16 bytes of SHA-256 of a label and the person's root key.
    pub id: String,
    /// The person, as `did:key`.
    pub identity: String,
    /// What the owner calls them.
    pub name: String,
    /// What they call themselves, once their card is here.
    pub card_name: Option<String>,
    /// Where it stands.
    pub state: ContactState,
    /// Whether the owner has compared the safety numbers.
    pub verified: bool,
    /// What both compare, in digits; left out of lists.
    pub safety_number: Option<String>,
    /// Where they receive, `/onion3/…:4001/p2p/…`.
    pub places: Vec<String>,
    /// When the contact was made.
    pub created_at: u64,
    /// When something last arrived from them.
    pub heard_at: Option<u64>,
    /// Messages to them that are not yet known to be delivered.
    pub queued: u32,
    /// Messages from them that are not read yet.
    pub unread: u32,
    /// Longest file taken from them, bytes.
    pub file_limit: u64,
}

/// `GET /v1/contacts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Contacts {
    /// Everybody, those who ask and those who were asked included.
    pub contacts: Vec<Contact>,
}

/// `PATCH /v1/contacts/{id}`: at least one field; all of it is done, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateContact {
    /// What the owner calls them: one visible line of 1 to 64 bytes.
    #[serde(default, with = "written::optional")]
    #[schema(value_type = Option<String>)]
    pub name: Option<Name>,
    /// Whether the safety numbers were compared.
    #[serde(default)]
    pub verified: Option<bool>,
    /// Whether to hear nothing from them any more.
    #[serde(default)]
    pub blocked: Option<bool>,
    /// Longest file to take from them, bytes.
    #[serde(default)]
    pub file_limit: Option<u64>,
}

/// `GET /v1/contacts/{id}/safety`: what two people compare to know that nobody stands between them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Safety {
    /// Digits to read to each other; both see the same.
    pub digits: String,
    /// The same as English words (BIP-39 list).
    pub words: String,
    /// Text of a QR code for the other to scan.
    pub qr: String,
    /// Whether the owner has compared them.
    pub verified: bool,
}
