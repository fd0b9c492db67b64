//! The flags of `file …`.

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};

use super::duration::seconds;

/// `file …`.
#[derive(Debug, Subcommand)]
pub enum FileVerb {
    /// Send a file to a contact; repeating an interrupted command resumes it
    ///
    /// The file is uploaded to your pod, which delivers it even if this command ends.
    Send {
        /// Their name, or the beginning of their id
        contact: String,
        /// File to send
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Name that the contact sees [default: the name of the file]
        #[arg(long)]
        name: Option<String>,
        /// Wait until the contact's pod has the whole file
        #[arg(long)]
        wait: bool,
        /// Longest time to wait
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = seconds)]
        timeout: u64,
    },
    /// Fetch a file of a contact from your pod
    ///
    /// The hash that the sender gave is checked before the file gets its name.
    Get {
        /// Their name, or the beginning of their id
        contact: String,
        /// The file: its id, the beginning of it, or its name
        file: String,
        /// Where to write it; an existing file is never overwritten [default: its name, in this
        /// folder]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
        /// Wait until your pod has the whole file
        #[arg(long)]
        wait: bool,
        /// Longest time to wait
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = seconds)]
        timeout: u64,
    },
    /// List the files sent to and received from a contact
    List {
        /// Their name, or the beginning of their id
        contact: String,
    },
    /// Cancel the transfer of a file, or delete a transferred file from the pod
    Remove {
        /// Their name, or the beginning of their id
        contact: String,
        /// The file: its id, the beginning of it, or its name
        file: String,
    },
    /// Set the size of the largest file accepted from a contact
    ///
    /// Larger files are declined, and their sender is informed.
    Limit {
        /// Their name, or the beginning of their id
        contact: String,
        /// Size in bytes
        bytes: u64,
    },
}
