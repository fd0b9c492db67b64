//! The devices of a pod.

pub use autonomy_messaging::Access;
use autonomy_messaging::{Name, UnverifiedCertificate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DeviceKey, Hex, schema, written};

/// One device of the pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Its Ed25519 key; also its id.
    #[schema(value_type = schema::DeviceKey)]
    pub id: DeviceKey,
    /// What its owner calls it.
    #[serde(with = "written")]
    #[schema(value_type = schema::Name)]
    pub name: Name,
    /// How far it may go.
    pub access: Access,
    /// When it was added.
    pub added_at: u64,
    /// When it last made a request.
    pub last_seen: Option<u64>,
    /// Whether this is the device that asks.
    pub this_device: bool,
}

/// `POST /v1/devices`: let a device in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddDevice {
    /// Certificate of the device by the owner's root, hexadecimal.
    #[serde(with = "written")]
    #[schema(value_type = String)]
    pub certificate: UnverifiedCertificate,
    /// What the owner calls it: one visible line of 1 to 64 bytes.
    #[serde(with = "written")]
    #[schema(value_type = schema::Name)]
    pub name: Name,
    /// Its x25519 descriptor key. One of the spare keys takes effect at once, another within about a minute.
    #[schema(value_type = schema::Bytes32)]
    pub descriptor_key: Hex<32>,
}

/// `GET /v1/devices`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Devices {
    /// All that may enter.
    pub devices: Vec<Device>,
    /// Descriptor keys in the descriptor that no device uses yet (x25519 public keys).
    #[schema(value_type = Vec<schema::Bytes32>)]
    pub spare_descriptor_keys: Vec<Hex<32>>,
}
