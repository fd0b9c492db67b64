//! The flags of `message …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::duration::seconds;

/// Most messages that one `message list` shows.
const MAX_LISTED: i64 = 200;

/// `message …`.
#[derive(Debug, Subcommand)]
pub enum MessageVerb {
    /// Send a message to a contact
    ///
    /// The pod delivers the message even if this command ends. It is reported as delivered when the
    /// contact's pod has stored it, or as expired after 21 days.
    Send(SendMessage),
    /// List the messages exchanged with a contact
    List {
        /// Their name, or the beginning of their id
        contact: String,
        /// Show at most this many, the newest ones
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=MAX_LISTED))]
        limit: u32,
        /// Show only messages before this number
        #[arg(long, value_name = "NUMBER")]
        before: Option<u64>,
    },
    /// Print messages as they arrive, until interrupted
    ///
    /// A broken connection to the pod is repaired without losing messages.
    Watch {
        /// Only messages of this contact: their name, or the beginning of their id
        contact: Option<String>,
    },
    /// Write the messages that wait for a contact to a sealed file, to be delivered without a
    /// network
    ///
    /// With --qr instead of a file, the messages are shown as a sequence of QR codes until
    /// interrupted. The contact reads them with `message import`.
    Export {
        /// Their name, or the beginning of their id
        contact: String,
        /// File to create; an existing file is never overwritten
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Import messages that a contact exported: the file, or the texts of its QR codes, one per
    /// line in any order
    ///
    /// Messages that were received before are counted and not shown again.
    Import {
        /// The file, or `-` for standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Mark the messages of a contact as read
    ///
    /// The contact does not learn that messages were read.
    Read {
        /// Their name, or the beginning of their id
        contact: String,
        /// Only messages up to this number
        #[arg(long, value_name = "NUMBER")]
        up_to: Option<u64>,
    },
}

/// `message send`.
#[derive(Debug, Args)]
pub struct SendMessage {
    /// Their name, or the beginning of their id
    pub contact: String,
    /// Text of the message, or `-` to read it from standard input
    #[arg(required = true)]
    pub words: Vec<String>,
    /// Wait until the contact's pod has stored the message
    #[arg(long)]
    pub wait: bool,
    /// Longest time to wait
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = seconds)]
    pub timeout: u64,
}
