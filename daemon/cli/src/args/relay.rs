//! Relays.

use clap::Subcommand;

/// `relay …`.
#[derive(Debug, Subcommand)]
pub enum RelayVerb {
    /// Keep messages at a relay too, for when your pod is away
    Add {
        /// Where: `/onion3/…:4001/p2p/…`, as its operator says
        place: String,
        /// What to call it
        #[arg(long)]
        name: Option<String>,
        /// The operator's invitation, where the relay wants one
        #[arg(long, value_name = "HEX")]
        token: Option<String>,
    },
    /// Keep no messages at a relay any more
    Remove {
        /// Its name or its place
        relay: String,
    },
    /// List relays
    List,
    /// How messages flow, and how each relay is
    Status,
    /// Run a relay on this machine, until it is told to end; --data-dir names its folder, which is made
    Run,
    /// Where the relay of this folder is, for whoever wants to use it
    Place,
    /// What the relay that runs in this folder has counted
    Metrics,
}
