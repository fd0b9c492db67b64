//! Contacts, and the invites by which they come.

pub use autonomy_messaging::messenger::{ContactState, InviteState};
use autonomy_messaging::{Name, RootPublic, place::Place, vcard::VCard};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ContactId, InviteId, SafetyCode, SafetyDigits, SafetyWords, schema, written};

/// An invite: whoever has its text may ask to become a contact, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Invite {
    /// Names it; tells nothing of it.
    #[serde(with = "written")]
    #[schema(value_type = schema::InviteId)]
    pub id: InviteId,
    /// What to hand over. A secret between two people: send it by a way that others do not read.
    #[serde(with = "written")]
    #[schema(value_type = String)]
    pub text: autonomy_messaging::invite::Invite,
    /// Where it stands.
    pub state: InviteState,
    /// For whom it was.
    #[serde(default, with = "written::optional")]
    #[schema(value_type = Option<schema::Name>)]
    pub note: Option<Name>,
    /// When it was made.
    pub created_at: u64,
    /// When it can be redeemed no more.
    pub expires_at: u64,
    /// Where it waits, `/onion3/…:4001/p2p/…`.
    #[serde(with = "written")]
    #[schema(value_type = schema::Place)]
    pub place: Place,
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
    #[schema(value_type = Option<schema::Name>)]
    pub note: Option<Name>,
    /// Seconds for which it can be redeemed, at most 30 days; 7 days where absent.
    #[serde(default)]
    pub valid_for: Option<u64>,
}

/// `POST /v1/contacts`: redeem somebody's invite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvite {
    /// The invite's text.
    #[serde(with = "written")]
    #[schema(value_type = String)]
    pub invite: autonomy_messaging::invite::Invite,
    /// What to call the inviter; their own card says it where absent.
    #[serde(default, with = "written::optional")]
    #[schema(value_type = Option<schema::Name>)]
    pub name: Option<Name>,
    /// The inviter is a contact already, and made this invite with a new pod since they lost the old one: messages wait
    /// until they have confirmed.
    #[serde(default)]
    pub again: bool,
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
    #[serde(with = "written")]
    #[schema(value_type = schema::ContactId)]
    pub id: ContactId,
    /// The person, as `did:key`.
    #[serde(with = "written")]
    #[schema(value_type = schema::Identity)]
    pub identity: RootPublic,
    /// What the owner calls them.
    #[serde(with = "written")]
    #[schema(value_type = schema::Name)]
    pub name: Name,
    /// What they call themselves, once their card is here.
    #[serde(default, with = "written::optional")]
    #[schema(value_type = Option<schema::Name>)]
    pub card_name: Option<Name>,
    /// Where it stands.
    pub state: ContactState,
    /// Was a contact before, and is asked or joined once more: with a new pod, after everything was lost. The conversation
    /// is the same.
    #[serde(default)]
    pub returns: bool,
    /// Whether the owner has compared the safety numbers.
    pub verified: bool,
    /// What both compare, in digits; left out of lists.
    #[schema(value_type = Option<schema::SafetyDigits>)]
    pub safety_number: Option<SafetyDigits>,
    /// Where they receive, `/onion3/…:4001/p2p/…`.
    #[serde(with = "written::list")]
    #[schema(value_type = Vec<schema::Place>)]
    pub places: Vec<Place>,
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
    #[schema(value_type = Option<schema::Name>)]
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
    #[schema(value_type = schema::SafetyDigits)]
    pub digits: SafetyDigits,
    /// The same as English words (BIP-39 list).
    #[schema(value_type = schema::SafetyWords)]
    pub words: SafetyWords,
    /// Text of a QR code for the other to scan.
    #[schema(value_type = String)]
    pub qr: SafetyCode,
    /// Whether the owner has compared them.
    pub verified: bool,
}
