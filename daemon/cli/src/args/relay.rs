//! The flags of `relay …`.

use clap::Subcommand;

/// `relay …`.
#[derive(Debug, Subcommand)]
pub enum RelayVerb {
    /// Add a relay, which holds messages for you while your pod is offline
    ///
    /// Up to three relays are used at a time; further ones are spares. A relay that is unreachable
    /// for too long, or withholds messages, is replaced by a spare.
    Add {
        /// Address of the relay as its operator gives it: `/onion3/…:4001/p2p/…`
        place: String,
        /// Name for the relay
        #[arg(long)]
        name: Option<String>,
        /// Invitation token of the operator, if the relay requires one
        #[arg(long, value_name = "HEX")]
        token: Option<String>,
    },
    /// Remove a relay
    ///
    /// Contacts are informed of the change with the next message to them.
    Remove {
        /// Name or address of the relay
        relay: String,
    },
    /// List relays
    List,
    /// Show mail traffic and the status of each relay
    Status,
    /// Run a relay on this machine until SIGTERM or SIGINT; --data-dir names its folder, which is
    /// created
    ///
    /// The first run creates the relay's keys. Each change of Tor and of the onion service is
    /// printed as one line.
    Run,
    /// Print the address of the relay in this folder, for people who want to use it
    Place,
    /// Print the counters of the relay that runs in this folder
    Metrics,
}
