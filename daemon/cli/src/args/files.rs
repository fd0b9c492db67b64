//! Files.

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};

use super::duration::seconds;

/// `file …`.
#[derive(Debug, Subcommand)]
pub enum FileVerb {
    /// Send a file to a contact; repeated after a break, it goes on where it was
    Send {
        /// Their name, or the beginning of their id
        contact: String,
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// What they see it called [default: the file's own name]
        #[arg(long)]
        name: Option<String>,
        /// Wait until it is at the contact's pod
        #[arg(long)]
        wait: bool,
        /// How long to wait
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = seconds)]
        timeout: u64,
    },
    /// Fetch a file of a contact from your pod
    Get {
        /// Their name, or the beginning of their id
        contact: String,
        /// The file: its id, the beginning of it, or its name
        file: String,
        /// Where to put it; nothing is written over [default: its name, in this folder]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
        /// Wait until it has arrived
        #[arg(long)]
        wait: bool,
        /// How long to wait
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = seconds)]
        timeout: u64,
    },
    /// List files to and from a contact
    List {
        /// Their name, or the beginning of their id
        contact: String,
    },
    /// Stop sending or taking a file, and forget it
    Remove {
        /// Their name, or the beginning of their id
        contact: String,
        /// The file: its id, the beginning of it, or its name
        file: String,
    },
    /// Take files of at most so many bytes from a contact
    Limit {
        /// Their name, or the beginning of their id
        contact: String,
        /// Bytes
        bytes: u64,
    },
}
