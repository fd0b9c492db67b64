//! Files between contacts.

pub use autonomy_messaging::messenger::FileState;
use autonomy_messaging::payload::FileName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Direction, Hex, TransferId, schema, written};

/// A file to or from a contact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct File {
    /// Names the transfer.
    #[serde(with = "written")]
    #[schema(value_type = schema::FileId)]
    pub id: TransferId,
    /// Whether it comes or goes.
    pub direction: Direction,
    /// What its sender calls it: no path.
    #[serde(with = "written")]
    #[schema(value_type = schema::FileName)]
    pub name: FileName,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of its bytes, as its sender says: whoever reads it out compares.
    #[schema(value_type = schema::Bytes32)]
    pub sha256: Hex<32>,
    /// Where it stands.
    pub state: FileState,
    /// Bytes loaded (while it is loaded), or that the one who takes it has.
    pub done: u64,
    /// When it was offered.
    pub at: u64,
}

/// `GET /v1/contacts/{id}/files`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Files {
    /// At most 64.
    pub files: Vec<File>,
}

/// `POST /v1/contacts/{id}/files`: a file whose bytes follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferFile {
    /// What it is called, 1 to 255 bytes, no path.
    #[serde(with = "written")]
    #[schema(value_type = schema::FileName)]
    pub name: FileName,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of its bytes, 64 hexadecimal characters.
    #[schema(value_type = schema::Bytes32)]
    pub sha256: Hex<32>,
}
