//! The pod itself: its status, its owner, its backups.

use std::fmt;

use autonomy_messaging::{Network, PublicKey, RootPublic, provision::SealedBundle};
use autonomy_wallet::bitcoin::BlockHash;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AbsolutePath, place::OnionAddress, schema, written};

/// `GET /v1/status`: how the pod is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// The Bitcoin network it works on.
    #[serde(with = "written")]
    pub network: Network,
    /// Seconds since the pod's process started.
    pub uptime_seconds: u64,
    /// Ed25519 key of the pod.
    #[serde(with = "written")]
    #[schema(value_type = schema::Bytes32)]
    pub pod_key: PublicKey,
    /// `did:key` of the owner; absent until a bundle is adopted.
    #[serde(default, with = "written::optional")]
    #[schema(value_type = Option<schema::Identity>)]
    pub owner: Option<RootPublic>,
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
    #[serde(default, with = "written::optional")]
    #[schema(value_type = Option<schema::OnionAddress>)]
    pub address: Option<OnionAddress>,
    /// How far it is.
    pub state: ServiceState,
    /// When that state began.
    pub since: u64,
    /// Why, where there is something to say.
    pub detail: Option<String>,
}

/// How far an onion service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// No descriptor is published.
    Unpublished,
    /// A descriptor is published; whether it leads here was not tried yet.
    Published,
    /// The pod has reached itself through it.
    Reachable,
    /// The pod did not reach itself through it; `detail` says why.
    Unreachable,
}

impl fmt::Display for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unpublished => "unpublished",
            Self::Published => "published",
            Self::Reachable => "reachable",
            Self::Unreachable => "unreachable",
        })
    }
}

/// How the chain source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChainState {
    /// All blocks that the source has were seen.
    Synced,
    /// Blocks are being read.
    Syncing,
    /// The source does not answer, or leads elsewhere; `detail` says why.
    Away,
}

impl fmt::Display for ChainState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Synced => "synced",
            Self::Syncing => "syncing",
            Self::Away => "away",
        })
    }
}

/// The pod's own view of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChainStatus {
    /// How the source is.
    pub state: ChainState,
    /// Height of the last block the accounts have seen.
    pub height: u32,
    /// Its hash; absent before the first block.
    #[serde(default, with = "written::optional")]
    #[schema(value_type = Option<schema::BlockHash>)]
    pub tip: Option<BlockHash>,
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
    #[serde(with = "written")]
    #[schema(value_type = String)]
    pub bundle: SealedBundle,
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
    #[schema(value_type = String)]
    pub file: AbsolutePath,
}
