//! Devices, pods, the agent between them, and what they tell.

use std::path::PathBuf;

use super::words;
use autonomy_api::Access;
use autonomy_messaging::Network;
use autonomy_onion::OnionAddress;
use clap::{Args, Subcommand, ValueEnum, ValueHint};

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// How many words the payment key has
    #[arg(long, default_value = "24", value_parser = ["12", "24"], conflicts_with = "restore")]
    pub words: String,
    /// Enter the words of an earlier profile: payment key on the first line, identity on the second
    #[arg(long)]
    pub restore: bool,
    /// What this device calls itself
    #[arg(long, default_value = "my device")]
    pub name: String,
}

/// `provision`.
#[derive(Debug, Args)]
pub struct Provision {
    /// The pod's request: its text, `@FILE`, or `-` for standard input
    pub request: String,
    /// A name for the pod
    #[arg(long, default_value = "pod")]
    pub name: String,
    /// Also write the bundle to a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Give a pod that this profile already has new onion addresses: contacts are told, other devices must be added anew
    #[arg(long)]
    pub new_address: bool,
    /// Do not ask before a pod that this profile already has is replaced
    #[arg(long)]
    pub yes: bool,
}

/// `device …`.
#[derive(Debug, Subcommand)]
pub enum DeviceVerb {
    /// On a new device: print a request to be let in
    Request {
        /// What the owner will call this device
        #[arg(long)]
        name: String,
    },
    /// On a device that is in: let a new one in, and print its grant
    Add {
        /// The new device's request: its text, `@FILE`, or `-`
        request: String,
        /// What to call it in place of the name it asks for
        #[arg(long)]
        name: Option<String>,
        /// How far it may go
        #[arg(long, value_parser = words::access(), default_value = "limited")]
        access: Access,
    },
    /// On the new device: take the grant
    Join {
        /// The grant: its text, `@FILE`, or `-`
        grant: String,
    },
    /// List the devices that may enter
    List,
    /// Shut a device out
    Revoke {
        /// Its name, or its id
        device: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// `events`.
#[derive(Debug, Args)]
pub struct Events {
    /// Wait for more until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// Begin after this event in place of the last one this device saw
    #[arg(long, value_name = "ID")]
    pub after: Option<u64>,
}

/// `pod …`.
#[derive(Debug, Subcommand)]
pub enum PodVerb {
    /// Make a pod on this machine, and print the request for `provision`
    Init {
        /// Which Bitcoin network
        #[arg(long, value_parser = words::network(), default_value = "bitcoin")]
        network: Network,
    },
    /// Print the request again
    Request {
        /// Draw new keys for the pod first: it changes to them when it adopts the bundle that answers this request
        #[arg(long)]
        new_keys: bool,
    },
    /// Take the bundle that `provision` printed
    Adopt {
        /// The bundle: its text, `@FILE`, or `-`
        bundle: String,
    },
    /// Run the pod until it is told to end
    Run,
    /// How the pod on this machine is
    Status,
    /// Write a sealed copy of all that the pod must keep
    Backup {
        /// A new file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Let a pod from an old backup cosign again, once you have compared what it knows
    Reconcile {
        /// The highest state epoch your devices have seen of it; the refusal names it
        #[arg(long)]
        epoch: u64,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Bring a sealed copy back into an empty data folder
    Restore {
        /// A file that `pod backup` wrote
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}

/// `agent`.
#[derive(Debug, Args)]
pub struct Agent {
    /// What to do with it; serve where absent
    #[command(subcommand)]
    pub verb: Option<AgentVerb>,
}

/// `agent …`.
#[derive(Debug, Subcommand)]
pub enum AgentVerb {
    /// Tell the agent of this profile to end
    Stop,
    /// How the agent of this profile is
    Status,
}

/// `probe`.
#[derive(Debug, Args)]
pub struct Probe {
    /// The app onion of the pod [default: that of the profile's pod]
    #[arg(long, value_name = "ADDRESS")]
    pub onion: Option<OnionAddress>,
    /// The pod's key, 64 hex digits [default: that of the profile's pod]
    #[arg(long, value_name = "HEX", value_parser = key)]
    pub pod_key: Option<[u8; 32]>,
    /// Who calls
    #[arg(long = "as", value_enum, default_value = "profile")]
    pub identity: ProbeAs,
    /// Cold calls: each over new circuits, until the first answer
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_PROBES))]
    pub count: u32,
    /// Warm calls on the last connection
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=MAX_PROBES))]
    pub warm: u32,
    /// Round trips of 512 bytes to the pod's echo, if it has one
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=MAX_PROBES))]
    pub echo: u32,
}

/// Most calls of a kind in one probe.
const MAX_PROBES: i64 = 10_000;

/// As whom a probe calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProbeAs {
    /// As this device
    Profile,
    /// Without a descriptor key, with a new certificate
    Stranger,
    /// With this device's descriptor key, but a new certificate
    Foreign,
}

fn key(text: &str) -> Result<[u8; 32], String> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes());
    bytes.ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| "a key has 64 hex digits".to_owned())
}
