//! The words of the app API: what a device says to its pod, and what it hears.
//!
//! Every amount is in satoshi, every time in seconds since 1970 (UTC), every key and id in lower-case
//! hexadecimal unless said otherwise. Requests refuse unknown fields: a misspelt limit must not be ignored.

mod contact;
mod event;
mod file;
mod mail;
mod message;
mod money;
mod private;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::{contact::*, event::*, file::*, mail::*, message::*, money::*, private::Private};

/// How far a device may go with its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessLevel {
    /// Sees whether the pod is well, and nothing else.
    Minimal,
    /// Sees accounts, asks for addresses, proposes payments.
    Limited,
    /// Everything, the list of devices included.
    Full,
}

/// `GET /v1/status`: how the pod is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// `bitcoin`, `testnet`, `signet` or `regtest`.
    pub network: String,
    /// Seconds since the pod's process started.
    pub uptime_seconds: u64,
    /// Ed25519 key of the pod.
    pub pod_key: String,
    /// `did:key` of the owner; absent until a bundle is adopted.
    pub owner: Option<String>,
    /// Counts what the pod must never forget (debits, devices). A device that has seen a higher number knows
    /// that the pod was restored from an old backup.
    pub state_epoch: u64,
    /// The two onion services.
    pub onion: OnionStatus,
    /// The chain as the pod sees it.
    pub chain: ChainStatus,
    /// How many devices may enter.
    pub devices: u32,
    /// How many accounts the pod cosigns.
    pub accounts: u32,
    /// What the owner should look at, in plain words.
    pub warnings: Vec<String>,
}

/// How the pod is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OnionStatus {
    /// Tor bootstrap, 0 to 100.
    pub bootstrap_percent: u8,
    /// The app service, where devices enter.
    pub app: ServiceStatus,
    /// The peer service, where contacts deliver.
    pub peer: ServiceStatus,
}

/// One onion service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServiceStatus {
    /// Full onion address, `….onion`; absent until a bundle is adopted.
    pub address: Option<String>,
    /// `unpublished`, `published`, `reachable` or `unreachable`.
    pub state: String,
    /// When that state began.
    pub since: u64,
    /// Why, where there is something to say.
    pub detail: Option<String>,
}

/// The pod's own view of the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChainStatus {
    /// `synced`, `syncing`, or `away` with `detail`.
    pub state: String,
    /// Height of the last block the accounts have seen.
    pub height: u32,
    /// Its hash.
    pub tip: String,
    /// Height the source reports; more than `height` while syncing.
    pub source_height: Option<u32>,
    /// What is wrong, where something is.
    pub detail: Option<String>,
}

/// One device of the pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Its Ed25519 key; also its id.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// How far it may go.
    pub access: AccessLevel,
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
    pub certificate: String,
    /// What the owner calls it, at most 64 characters.
    pub name: String,
    /// Its x25519 descriptor key. One of the spare keys takes effect at once, another within about a minute.
    pub descriptor_key: String,
}

/// `GET /v1/devices`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Devices {
    /// All that may enter.
    pub devices: Vec<Device>,
    /// Descriptor keys in the descriptor that no device uses yet (x25519 public keys).
    pub spare_descriptor_keys: Vec<String>,
}
/// `POST /v1/pod/adopt`, on the pod's own machine only: the bundle that `autonomy provision` made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Adopt {
    /// The bundle's text.
    pub bundle: String,
}

/// `POST /v1/pod/reconcile`, on the pod's own machine only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    /// The highest state epoch that a device has seen of this pod.
    pub seen: u64,
}

/// `POST /v1/pod/backup`, on the pod's own machine only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackUp {
    /// Absolute path of a new file on the pod's machine.
    pub file: String,
}

/// `application/problem+json` (RFC 9457): what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `https://autonomy.invalid/problems/<kind>`: the part after the last slash is stable.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in plain words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What is wrong here: names the field and the rule.
    pub detail: String,
}
