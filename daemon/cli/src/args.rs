//! The command line: every verb and flag, and nothing that acts.

mod duration;
mod files;
mod machines;
mod messages;
mod money;
mod people;
mod relay;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueHint};

use super::verbs::OwnVerb;

pub use self::{
    files::FileVerb,
    machines::{
        Access, Agent, AgentVerb, DeviceVerb, Events, Init, Network, PodVerb, Probe, ProbeAs, Provision,
    },
    messages::{MessageVerb, SendMessage},
    money::{AccountVerb, CreateAccount, ExportFormat, History, Kind, Pay, PaymentVerb, Receive},
    people::{ContactVerb, NewInvite},
    relay::RelayVerb,
};

/// Your own always-on Bitcoin cosigner and mailbox.
///
/// A pod runs on a machine that stays on; your device speaks to it through Tor. Neither can spend alone.
#[derive(Debug, Parser)]
#[command(name = "autonomy", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "A first payment: `autonomy init`, then `autonomy pod init` on the pod's machine, \
`autonomy provision REQUEST`, `autonomy pod adopt BUNDLE`, `autonomy pod run`, `autonomy account create`, \
`autonomy receive`.\n\nA first message: `autonomy contact invite` here, `autonomy contact accept INVITE` \
there, `autonomy contact confirm NAME` here, `autonomy message send NAME hello`.\n\nExit status: 0 done, 1 failed, 2 wrong usage, 3 refused by a check, 4 pod not reachable, \
5 refused by the pod, 6 perhaps done: find out before it is repeated.")]
pub struct Cli {
    /// What holds for every verb.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every verb.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Where this device keeps its profile [default: ~/.local/share/autonomy/device]
    #[arg(long, global = true, env = "AUTONOMY_PROFILE", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub profile_dir: Option<PathBuf>,
    /// Where the pod on this machine keeps its data [default: ~/.local/share/autonomy/pod]
    #[arg(long, global = true, env = "AUTONOMY_DATA", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,
    /// Settings in TOML; flags and environment go before them [default: ~/.config/autonomy/config.toml]
    #[arg(long, global = true, env = "AUTONOMY_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Print one JSON object (events: one a line); errors too, on standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// Read the passphrase from the first line of a file (or set AUTONOMY_PASSPHRASE)
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "key_file")]
    pub passphrase_file: Option<PathBuf>,
    /// Unlock by a file that holds a key of 32 bytes in place of a passphrase
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,
    /// Use the private Tor network that this file describes
    #[arg(long, global = true, env = "AUTONOMY_TOR_NETWORK", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tor_network: Option<PathBuf>,
    /// Speak to the pod of this machine by its Unix socket, without Tor
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub pod_socket: Option<PathBuf>,
    /// Start Tor inside this command and leave nothing running behind it
    #[arg(long, global = true)]
    pub no_agent: bool,
    /// Draw the QR code even where standard output is no terminal
    #[arg(long, global = true)]
    pub qr: bool,
    /// Tell more on standard error; twice tells much more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make this device's profile: its keys, shown once as words to write down
    Init(Init),
    /// Seal a bundle for a new pod, by the request that `pod init` printed there
    Provision(Provision),
    /// Ask the pod how it is
    Status,
    /// Let devices in and shut them out
    #[command(subcommand)]
    Device(DeviceVerb),
    /// Create and see accounts
    #[command(subcommand)]
    Account(AccountVerb),
    /// Get a fresh address to be paid at
    Receive(Receive),
    /// Pay: the draft is checked here, shown, signed here, then signed by the pod
    Pay(Pay),
    /// See payments and cancel drafts
    #[command(subcommand)]
    Payment(PaymentVerb),
    /// What came into an account and went out
    History(History),
    /// Become contacts with other people
    #[command(subcommand)]
    Contact(ContactVerb),
    /// Exchange messages with contacts
    #[command(subcommand)]
    Message(MessageVerb),
    /// Send files to contacts, and take theirs
    #[command(subcommand)]
    File(FileVerb),
    /// Relays, which hold your messages while your pod is away; and a relay of your own for others
    #[command(subcommand)]
    Relay(RelayVerb),
    /// Those of `verbs`, each with its arguments.
    #[command(flatten)]
    Own(OwnVerb),
    /// What happened at the pod, as it happens
    Events(Events),
    /// The pod on this machine
    #[command(subcommand)]
    Pod(PodVerb),
    /// The background helper that keeps Tor warm
    #[command(hide = true)]
    Agent(Agent),
    /// Measure connections to the pod, or see how it turns strangers away
    #[command(hide = true)]
    Probe(Probe),
    /// Print a completion script for a shell
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Man {
        /// Folder for them.
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
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_amount_may_be_typed_with_or_without_quotes() {
        for line in ["autonomy pay bcrt1q 0.25 BTC --yes", "autonomy pay bcrt1q 25 000 sat --yes"] {
            let Verb::Pay(pay) = parse(line).unwrap().verb else { panic!("not a payment") };
            assert!(pay.yes && pay.amount.len() > 1, "{pay:?}");
        }
    }

    #[test]
    fn global_flags_stand_before_or_behind_the_verb() {
        for line in ["autonomy --json --pod-socket /s status", "autonomy status --json --pod-socket /s"] {
            let global = parse(line).unwrap().global;
            assert!(global.json && global.pod_socket.is_some());
        }
    }

    #[test]
    fn two_ways_to_unlock_at_once_are_refused() {
        assert!(parse("autonomy status --passphrase-file a --key-file b").is_err());
        assert!(parse("autonomy init --words 13").is_err());
        assert!(parse("autonomy history --limit 0").is_err());
        assert!(parse("autonomy account create --kind three-of-three").is_err());
    }

    #[test]
    fn a_message_may_be_typed_with_or_without_quotes() {
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
    fn what_is_carried_goes_to_a_file_or_to_the_screen() {
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
