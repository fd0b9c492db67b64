//! Contacts and invites.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::duration::seconds;

/// `contact …`.
#[derive(Debug, Subcommand)]
pub enum ContactVerb {
    /// Make an invite: whoever gets its text may ask to become a contact, once
    Invite(NewInvite),
    /// List invites
    Invites,
    /// Take an invite back, so that nobody can use it any more
    Cancel {
        /// Its id, or the beginning of it
        invite: String,
    },
    /// Use somebody's invite
    Accept {
        /// The invite: its text, `@FILE`, or `-`
        invite: String,
        /// What to call them [default: what they call themselves]
        #[arg(long)]
        name: Option<String>,
        /// Wait until they have confirmed
        #[arg(long)]
        wait: bool,
        /// How long to wait
        #[arg(long, value_name = "TIME", default_value = "10m", value_parser = seconds)]
        timeout: u64,
    },
    /// Say that whoever asks is who they say: you are contacts then
    Confirm {
        /// Their name, or the beginning of their id
        contact: String,
    },
    /// List contacts, and those who ask
    List,
    /// Show one contact
    Show {
        /// Their name, or the beginning of their id
        contact: String,
    },
    /// Call a contact otherwise
    Rename {
        /// Their name now, or the beginning of their id
        contact: String,
        /// Their name from now on
        name: String,
    },
    /// Show what to compare with a contact, so that you know nobody stands between you
    Safety {
        /// Their name, or the beginning of their id
        contact: String,
    },
    /// Mark a contact as compared
    Verify {
        /// Their name, or the beginning of their id
        contact: String,
        /// What the other side shows: the line in its QR code, `@FILE`, or `-`; compared here
        #[arg(long, value_name = "TEXT")]
        scanned: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Take that mark away
    Unverify {
        /// Their name, or the beginning of their id
        contact: String,
    },
    /// Hear nothing from a contact any more
    Block {
        /// Their name, or the beginning of their id
        contact: String,
    },
    /// Hear from a contact again
    Unblock {
        /// Their name, or the beginning of their id
        contact: String,
    },
    /// Write a contact as a vCard, for an address book
    Export {
        /// Their name, or the beginning of their id
        contact: String,
        /// The file; nothing is written over [default: print it]
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Know somebody by their vCard: an invite of theirs is known to be theirs then
    Import {
        /// The file, or `-` for standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Write what waits at the place of an invite to a file, for whoever has the invite and no network
    ///
    /// With --qr in place of a file, it is shown as QR codes one after the other, until interrupted.
    ExportInvite {
        /// The invite's id, or the beginning of it
        invite: String,
        /// The file; nothing is written over
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Forget a contact and all that was said; decline one who asks
    Remove {
        /// Their name, or the beginning of their id
        contact: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// `contact invite`.
#[derive(Debug, Args)]
pub struct NewInvite {
    /// For whom it is, so that you know later
    #[arg(long)]
    pub note: Option<String>,
    /// How long it can be used, at most 30d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = seconds)]
    pub valid_for: u64,
    /// Print it at once, even if it cannot be used yet
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait until it can be used
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = seconds)]
    pub timeout: u64,
}
