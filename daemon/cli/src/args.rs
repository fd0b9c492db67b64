//! The command line: every verb and flag, and nothing that acts.
//!
//! The texts here are what `--help` and the manual pages show, so a field's documentation is
//! written for the person at the terminal. A type's fields are checked when they are parsed where
//! their rule needs no profile and no pod.

mod duration;
mod files;
mod machines;
mod messages;
mod money;
mod people;
mod relay;
pub(crate) mod words;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueHint};

use super::verbs::OwnVerb;

pub use self::{
    files::FileVerb,
    machines::{Agent, AgentVerb, DeviceVerb, Events, Init, PodVerb, Probe, ProbeAs, Provision},
    messages::{MessageVerb, SendMessage},
    money::{AccountVerb, CreateAccount, ExportFormat, History, ImportAccount, Pay, PaymentVerb, Receive},
    people::{AcceptedInvite, ContactVerb, NewInvite},
    relay::RelayVerb,
};

/// Your own always-on Bitcoin cosigner and mailbox.
///
/// A pod runs on a machine that stays on; your device talks to it through Tor. Neither of them can
/// spend alone.
#[derive(Debug, Parser)]
#[command(name = "autonomy", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Set up a pod and get paid:
  autonomy init                     on your device
  autonomy pod init                 on the pod's machine; prints a REQUEST
  autonomy provision REQUEST        on your device; prints a BUNDLE
  autonomy pod adopt BUNDLE         on the pod's machine
  autonomy pod run                  on the pod's machine
  autonomy account create
  autonomy receive

Send a first message:
  autonomy contact invite           prints an INVITE for the other person
  autonomy contact accept INVITE    on the other person's device
  autonomy contact confirm NAME
  autonomy message send NAME hello

Exit status:
    0  success
    1  failure on this machine
    2  wrong usage, or a name or id that names nothing
    3  refused by a check on this device, or not confirmed
    4  pod not reachable
    5  refused by the pod
    6  outcome unknown: check before you repeat the command
  130  interrupted before anything was changed")]
pub struct Cli {
    /// The flags that every verb takes.
    #[command(flatten)]
    pub global: Global,
    /// The verb, with its own flags.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The flags that every verb takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Folder of this device's profile (or set AUTONOMY_PROFILE) [default: ~/.local/share/autonomy/device]
    #[arg(long, global = true, hide_short_help = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub profile_dir: Option<PathBuf>,
    /// Folder of the pod's data on this machine (or set AUTONOMY_DATA) [default: ~/.local/share/autonomy/pod]
    #[arg(long, global = true, hide_short_help = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,
    /// Settings file in TOML (or set AUTONOMY_CONFIG); flags and environment variables override it [default:
    /// ~/.config/autonomy/config.toml]
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Print one JSON object on standard output (events: one per line), and errors as JSON on
    /// standard error
    #[arg(long, global = true, hide_short_help = true)]
    pub json: bool,
    /// Read the passphrase from the first line of FILE (or set AUTONOMY_PASSPHRASE)
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "key_file")]
    pub passphrase_file: Option<PathBuf>,
    /// Unlock with the 32-byte key in FILE instead of a passphrase
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,
    /// Use the private Tor network described in FILE (or set AUTONOMY_TOR_NETWORK)
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tor_network: Option<PathBuf>,
    /// Connect to the pod through this Unix socket, without Tor
    #[arg(long, global = true, hide_short_help = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub pod_socket: Option<PathBuf>,
    /// Run Tor inside this command instead of in a background agent
    #[arg(long, global = true, hide_short_help = true)]
    pub no_agent: bool,
    /// Draw QR codes even if standard output is not a terminal
    #[arg(long, global = true, hide_short_help = true)]
    pub qr: bool,
    /// Log more on standard error; repeat for even more
    #[arg(short, long, global = true, hide_short_help = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// The verbs of the program.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Create this device's profile and print its keys as words to write down
    ///
    /// The profile holds the payment key and the identity key. The words are shown once: write them
    /// down on paper. An existing profile is never overwritten.
    Init(Init),
    /// Seal a bundle for a new pod, from the request that `pod init` printed
    ///
    /// The bundle gives the pod its owner, its keys and its onion addresses. Only the pod that made
    /// the request can open it.
    Provision(Provision),
    /// Show the status of the pod: Tor, onion services, chain, devices
    Status,
    /// Add, list and revoke devices
    #[command(subcommand)]
    Device(DeviceVerb),
    /// Create, list, import and export accounts
    #[command(subcommand)]
    Account(AccountVerb),
    /// Show a fresh address to be paid at
    ///
    /// The address is derived on this device; the pod only chooses the index.
    Receive(Receive),
    /// Pay an address
    ///
    /// The pod drafts the transaction. This device checks the draft against its own account map,
    /// shows it, asks, and signs; then the pod checks it again, signs it and broadcasts it.
    Pay(Pay),
    /// List and show payments, and cancel drafts
    #[command(subcommand)]
    Payment(PaymentVerb),
    /// Show the transactions of an account
    History(History),
    /// Invite, accept, verify and manage contacts
    #[command(subcommand)]
    Contact(ContactVerb),
    /// Send, list and watch messages
    #[command(subcommand)]
    Message(MessageVerb),
    /// Send files to contacts and fetch theirs
    #[command(subcommand)]
    File(FileVerb),
    /// Manage relays, which hold your messages while your pod is offline, or run one for others
    #[command(subcommand)]
    Relay(RelayVerb),
    /// Those of `verbs`, each with its arguments.
    #[command(flatten)]
    Own(OwnVerb),
    /// Print the pod's events
    Events(Events),
    /// Create, run, back up and restore the pod on this machine
    #[command(subcommand)]
    Pod(PodVerb),
    /// Show or stop the background process that keeps Tor running between commands
    Agent(Agent),
    /// Measure connections to the pod, or show how it refuses strangers
    #[command(hide = true)]
    Probe(Probe),
    /// Print a shell completion script
    Completions {
        /// Shell to print the script for
        shell: clap_complete::Shell,
    },
    /// Write the manual pages to a folder
    Man {
        /// Folder for the pages; created if needed
        #[arg(value_hint = ValueHint::DirPath)]
        dir: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn help_names_every_exit_status() {
        let help = Cli::command().render_long_help().to_string();
        for (status, meaning) in crate::failure::EXIT_STATUS {
            assert!(
                help.contains(&format!("{status:>5}  {meaning}\n"))
                    || help.ends_with(&format!("{status:>5}  {meaning}")),
                "{status}"
            );
        }
    }

    #[test]
    fn clap_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn amount_parses_with_and_without_quotes() {
        for line in ["autonomy pay bcrt1q 0.25 BTC --yes", "autonomy pay bcrt1q 25 000 sat --yes"] {
            let Verb::Pay(pay) = parse(line).unwrap().verb else { panic!("not a payment") };
            assert!(pay.yes && pay.amount.len() > 1, "{pay:?}");
        }
    }

    #[test]
    fn global_flags_parse_before_and_after_the_verb() {
        for line in ["autonomy --json --pod-socket /s status", "autonomy status --json --pod-socket /s"] {
            let global = parse(line).unwrap().global;
            assert!(global.json && global.pod_socket.is_some());
        }
    }

    #[test]
    fn passphrase_file_and_key_file_conflict() {
        assert!(parse("autonomy status --passphrase-file a --key-file b").is_err());
        assert!(parse("autonomy init --words 13").is_err());
        assert!(parse("autonomy history --limit 0").is_err());
        assert!(parse("autonomy account create --kind three-of-three").is_err());
    }

    #[test]
    fn message_parses_with_and_without_quotes() {
        for line in [
            "autonomy message send --wait Bob see you at noon",
            "autonomy message send Bob -- --wait is a flag",
        ] {
            let Verb::Message(MessageVerb::Send(send)) = parse(line).unwrap().verb else {
                panic!("no message")
            };
            assert_eq!((send.contact.as_str(), send.words.len()), ("Bob", 4), "{send:?}");
        }
        assert!(parse("autonomy message send Bob").is_err(), "nothing to say");
        assert!(parse("autonomy message list Bob --limit 201").is_err());
        assert!(parse("autonomy contact invite --valid-for 7w").is_err());
    }

    #[test]
    fn export_takes_a_file_or_qr_codes() {
        for (line, to_file) in [("Bob out.parcel", true), ("Bob --qr", false)] {
            let cli = parse(&format!("autonomy message export {line}")).unwrap();
            let Verb::Message(MessageVerb::Export { contact, file }) = cli.verb else { panic!("no export") };
            assert_eq!((contact.as_str(), file.is_some(), cli.global.qr), ("Bob", to_file, !to_file));
        }
        for line in
            ["contact export Bob", "contact import -", "contact export-invite 4f0c x", "message import -"]
        {
            assert!(parse(&format!("autonomy {line}")).is_ok(), "{line}");
        }
        for line in ["message export", "message import", "contact import", "contact export-invite"] {
            assert!(parse(&format!("autonomy {line}")).is_err(), "{line}");
        }
    }
}
