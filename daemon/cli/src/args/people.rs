//! The flags of verbs about contacts and invites.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::duration::seconds;

/// `contact …`.
#[derive(Debug, Subcommand)]
pub enum ContactVerb {
    /// Create an invite; the first person to use it may ask to become a contact
    ///
    /// Send the invite through a channel that nobody else reads: whoever uses it first is the one
    /// who asks. With relays, the two of you need not be online at the same time.
    Invite(NewInvite),
    /// List invites
    Invites,
    /// Cancel an invite, so that nobody can use it any more
    ///
    /// A person who has used the invite before is not affected; decline them with `contact remove`.
    Cancel {
        /// Id of the invite, or the beginning of it
        invite: String,
    },
    /// Accept somebody's invite
    ///
    /// You are contacts once the other person has confirmed. Your pod waits for that for 30 days.
    Accept(AcceptedInvite),
    /// Confirm the person who used your invite; you are contacts from then on
    ///
    /// Compare safety numbers afterwards, with `contact safety` and `contact verify`: an invite may
    /// have been used by somebody else who saw its text.
    Confirm {
        /// Their name, or the beginning of their id
        contact: String,
    },
    /// List contacts, and people who wait for your confirmation
    List,
    /// Show a contact
    Show {
        /// Their name, or the beginning of their id
        contact: String,
    },
    /// Change the name of a contact
    Rename {
        /// Present name, or the beginning of their id
        contact: String,
        /// New name
        name: String,
    },
    /// Show the safety number to compare with a contact, which reveals a third party between you
    ///
    /// The number follows from the identities of both. Compare it in person or by telephone, or
    /// scan the QR code.
    Safety {
        /// Their name, or the beginning of their id
        contact: String,
    },
    /// Mark a contact as verified after comparing safety numbers
    Verify {
        /// Their name, or the beginning of their id
        contact: String,
        /// Compare with what the contact shows: the text of their QR code, `@FILE`, or `-` for
        /// standard input
        #[arg(long, value_name = "TEXT")]
        scanned: Option<String>,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Remove the verified mark from a contact
    Unverify {
        /// Their name, or the beginning of their id
        contact: String,
    },
    /// Block a contact: what they send is dropped
    ///
    /// The contact is answered as before for 30 days, and gets nothing: your pod is like one that is
    /// away. What they send meanwhile arrives after `contact unblock`, unless it has expired by then.
    Block {
        /// Their name, or the beginning of their id
        contact: String,
    },
    /// Unblock a contact
    Unblock {
        /// Their name, or the beginning of their id
        contact: String,
    },
    /// Export a contact as a vCard, for an address book
    Export {
        /// Their name, or the beginning of their id
        contact: String,
        /// File to create; an existing file is never overwritten [default: print it]
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Import a contact from a vCard, so that an invite of theirs is recognised
    Import {
        /// The file, or `-` for standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Write what waits at the place of an invite to a file, for somebody who has the invite and no
    /// network
    ///
    /// With --qr instead of a file, it is shown as a sequence of QR codes until interrupted.
    ExportInvite {
        /// The invite's id, or the beginning of it
        invite: String,
        /// The file; nothing is written over
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Delete a contact and all messages, or decline somebody who asks
    ///
    /// To become contacts again, one of you must invite the other.
    Remove {
        /// Their name, or the beginning of their id
        contact: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// `contact invite`.
#[derive(Debug, Args)]
pub struct NewInvite {
    /// Note for yourself about whom it is for
    #[arg(long)]
    pub note: Option<String>,
    /// How long the invite is valid, at most 30d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = seconds)]
    pub valid_for: u64,
    /// Print the invite at once, even if it cannot be used yet
    #[arg(long)]
    pub no_wait: bool,
    /// Longest time to wait until the invite can be used
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = seconds)]
    pub timeout: u64,
}

/// `contact accept`.
#[derive(Debug, Args)]
pub struct AcceptedInvite {
    /// Invite: the text itself, `@FILE`, or `-` for standard input
    pub invite: String,
    /// Name for the contact [default: the name they chose]
    #[arg(long)]
    pub name: Option<String>,
    /// The inviter is a contact of yours who lost their pod, and made this invite with a new one
    #[arg(long)]
    pub again: bool,
    /// Wait until they have confirmed
    #[arg(long)]
    pub wait: bool,
    /// Longest time to wait
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = seconds)]
    pub timeout: u64,
}
