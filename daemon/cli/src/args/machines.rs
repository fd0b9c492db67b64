//! The flags of verbs about devices, pods, the agent and events.

use std::path::PathBuf;

use super::words;
use autonomy_api::Access;
use autonomy_messaging::Network;
use autonomy_onion::OnionAddress;
use clap::{Args, Subcommand, ValueEnum, ValueHint};

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Number of words of the payment key
    #[arg(long, default_value = "24", value_parser = ["12", "24"], conflicts_with = "restore")]
    pub words: String,
    /// Restore an earlier profile from its words: those of the payment key, then those of the identity, in lines or in
    /// the numbered rows that `init` printed
    #[arg(long)]
    pub restore: bool,
    /// Identity that the restored words must have, did:key:…; without it a person is asked
    #[arg(long, value_name = "DID", requires = "restore")]
    pub identity: Option<String>,
    /// Name that this device proposes when it asks to join a pod; the device that provisioned a pod is its `first device`
    #[arg(long, default_value = "my device")]
    pub name: String,
}

/// `provision`.
#[derive(Debug, Args)]
pub struct Provision {
    /// Request of the pod: the text itself, `@FILE`, or `-` for standard input
    pub request: String,
    /// Name for the pod
    #[arg(long, default_value = "pod")]
    pub name: String,
    /// Also write the bundle to FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Give a pod that this profile already has new onion addresses; contacts get them, other
    /// devices must be added again
    #[arg(long)]
    pub new_address: bool,
    /// Replace a pod that this profile already has without asking
    #[arg(long)]
    pub yes: bool,
}

/// `device …`.
#[derive(Debug, Subcommand)]
pub enum DeviceVerb {
    /// Print a request to add this device (run on the new device)
    ///
    /// The request contains public keys only. Have a device with full access answer it with `device
    /// add`.
    Request {
        /// Name to propose for this device
        #[arg(long)]
        name: String,
    },
    /// Add a device and print its grant (run on a device with full access)
    ///
    /// The grant is sealed to the new device. It contains the account maps, as far as they fit; the
    /// others are carried over with `account export` and `account import`.
    Add {
        /// Request of the new device: the text itself, `@FILE`, or `-` for standard input
        request: String,
        /// Name for the device instead of the one it proposes
        #[arg(long)]
        name: Option<String>,
        /// What the device may do
        #[arg(long, value_parser = words::access(), default_value = "limited")]
        access: Access,
    },
    /// Accept a grant (run on the new device)
    ///
    /// Afterwards this device connects to the pod through Tor and checks everything the pod says,
    /// but it holds no payment key.
    Join {
        /// Grant: the text itself, `@FILE`, or `-` for standard input
        grant: String,
    },
    /// List all devices
    List,
    /// Revoke a device; it cannot connect again without a new grant
    ///
    /// The pod refuses the device at once, also on connections that are open. Account maps on the
    /// device remain readable there.
    Revoke {
        /// Name of the device, or the beginning of its id
        device: String,
        /// Revoke it even if it is the only device with full access
        #[arg(long)]
        last: bool,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// `events`.
#[derive(Debug, Args)]
pub struct Events {
    /// Keep printing new events until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// Start after event ID instead of after the last one this device has seen
    #[arg(long, value_name = "ID")]
    pub after: Option<u64>,
}

/// `pod …`.
#[derive(Debug, Subcommand)]
pub enum PodVerb {
    /// Create a pod on this machine and print the request for `provision`
    ///
    /// The request is one line of text, also shown as a QR code. It contains public keys only.
    Init {
        /// Bitcoin network of the pod; cannot be changed later
        #[arg(long, value_parser = words::network(), default_value = "bitcoin")]
        network: Network,
    },
    /// Print the pod's request again
    Request {
        /// Draw new keys first; the pod changes to them when it adopts the bundle for this request
        #[arg(long)]
        new_keys: bool,
    },
    /// Adopt the bundle that `provision` printed
    ///
    /// Works whether the pod runs or not. A pod that had an owner before keeps its contacts and
    /// accounts, and uses its new keys and addresses after a restart.
    Adopt {
        /// Bundle: the text itself, `@FILE`, or `-` for standard input
        bundle: String,
    },
    /// Run the pod in the foreground until SIGTERM or SIGINT
    ///
    /// Each change of Tor and of the onion services is printed as one line. Under systemd the pod
    /// reports when it is ready.
    Run,
    /// Show the status of the running pod
    Status,
    /// Write a sealed backup of the pod; works while it runs
    ///
    /// The backup opens with the same passphrase or key file as the pod.
    Backup {
        /// File to create; an existing file is never overwritten
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Allow a pod that was restored from an old backup to cosign again
    ///
    /// Compare addresses, balances and payments with what your devices know first: the pod has
    /// forgotten what it signed after the backup.
    Reconcile {
        /// Highest state epoch that your devices have seen of this pod; the refusal names it
        #[arg(long)]
        epoch: u64,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Restore a sealed backup into an empty data folder
    ///
    /// Devices that have seen a later state of the pod refuse it until `pod reconcile`.
    Restore {
        /// Backup file that `pod backup` wrote
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}

/// `agent`.
#[derive(Debug, Args)]
pub struct Agent {
    /// What to do; without it, become the agent (started by other commands)
    #[command(subcommand)]
    pub verb: Option<AgentVerb>,
}

/// `agent …`.
#[derive(Debug, Subcommand)]
pub enum AgentVerb {
    /// Stop the agent of this profile
    Stop,
    /// Show the status of the agent of this profile
    Status,
}

/// `probe`.
#[derive(Debug, Args)]
pub struct Probe {
    /// Onion address of the pod's app service [default: that of the profile's pod]
    #[arg(long, value_name = "ADDRESS")]
    pub onion: Option<OnionAddress>,
    /// Key of the pod, 64 hex digits [default: that of the profile's pod]
    #[arg(long, value_name = "HEX", value_parser = key)]
    pub pod_key: Option<[u8; 32]>,
    /// Identity to connect with
    #[arg(long = "as", value_enum, default_value = "profile")]
    pub identity: ProbeAs,
    /// Number of cold connections, each over new circuits
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_PROBES))]
    pub count: u32,
    /// Number of requests on the last connection
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=MAX_PROBES))]
    pub warm: u32,
    /// Number of round trips of 512 bytes to the pod's echo port, if it has one
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=MAX_PROBES))]
    pub echo: u32,
    /// Bytes to send through the echo port and read back on one stream, both ways at once; 0 for none
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub stream: u64,
}

/// Largest number for each of the three measurements.
const MAX_PROBES: i64 = 10_000;

/// The identity that a probe connects with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProbeAs {
    /// This device
    Profile,
    /// No descriptor key, and a new certificate
    Stranger,
    /// This device's descriptor key, and a new certificate
    Foreign,
}

/// Parses a key of 64 hex digits.
fn key(text: &str) -> Result<[u8; 32], String> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes());
    bytes.ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| "a key has 64 hex digits".to_owned())
}
