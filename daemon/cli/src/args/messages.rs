//! Messages.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::duration::seconds;

/// Most messages in one list.
const MAX_LISTED: i64 = 200;

/// `message …`.
#[derive(Debug, Subcommand)]
pub enum MessageVerb {
    /// Say something to a contact
    Send(SendMessage),
    /// What was said with a contact
    List {
        /// Their name, or the beginning of their id
        contact: String,
        /// At most so many, the newest
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=MAX_LISTED))]
        limit: u32,
        /// Only messages before this number
        #[arg(long, value_name = "NUMBER")]
        before: Option<u64>,
    },
    /// Print messages as they come, until interrupted
    Watch {
        /// Only those of this contact: their name, or the beginning of their id
        contact: Option<String>,
    },
    /// Write what waits for a contact to a file, sealed, to be carried to them without a network
    ///
    /// With --qr in place of a file, it is shown as QR codes one after the other, until interrupted.
    Export {
        /// Their name, or the beginning of their id
        contact: String,
        /// The file; nothing is written over
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Take in what somebody carried here: a parcel, or the texts of its QR codes, one a line, in any order
    Import {
        /// The file, or `-` for standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Mark all messages of a contact as read
    Read {
        /// Their name, or the beginning of their id
        contact: String,
        /// Only up to this number
        #[arg(long, value_name = "NUMBER")]
        up_to: Option<u64>,
    },
}

/// `message send`.
#[derive(Debug, Args)]
pub struct SendMessage {
    /// Their name, or the beginning of their id
    pub contact: String,
    /// The words, or `-` to read them from standard input
    #[arg(required = true)]
    pub words: Vec<String>,
    /// Wait until it is safe at the contact's pod
    #[arg(long)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = seconds)]
    pub timeout: u64,
}
