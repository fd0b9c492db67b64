//! The pod itself: its status, its owner, its backups.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
