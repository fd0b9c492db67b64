//! The command line: every verb and flag, and nothing that acts.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};

use super::bip21::Payee;

/// Your own always-on Bitcoin cosigner and mailbox.
///
/// A pod runs on a machine that stays on; your device speaks to it through Tor. Neither can spend alone.
#[derive(Debug, Parser)]
#[command(name = "autonomy", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "A first payment: `autonomy init`, then `autonomy pod init` on the pod's machine, \
`autonomy provision REQUEST`, `autonomy pod adopt BUNDLE`, `autonomy pod run`, `autonomy account create`, \
`autonomy receive`.\n\nExit status: 0 done, 1 failed, 2 wrong usage, 3 refused by a check, 4 pod not reachable, \
5 refused by the pod.")]
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
    /// What happened at the pod, as it happens
    Events(Events),
    /// The pod on this machine
    #[command(subcommand)]
    Pod(PodVerb),
    /// The background helper that keeps Tor warm
    #[command(hide = true)]
    Agent(Agent),
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

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// How many words the payment key has
    #[arg(long, default_value = "24", value_parser = ["12", "24"], conflicts_with = "restore")]
    pub words: String,
    /// Enter the words of an earlier profile: payment key on the first line, identity on the second
    #[arg(long)]
    pub restore: bool,
    /// What this device calls itself
    #[arg(long, default_value = "my device")]
    pub name: String,
}

/// `provision`.
#[derive(Debug, Args)]
pub struct Provision {
    /// The pod's request: its text, `@FILE`, or `-` for standard input
    pub request: String,
    /// A name for the pod
    #[arg(long, default_value = "pod")]
    pub name: String,
    /// Also write the bundle to a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Do not ask before a pod that this profile already has is replaced
    #[arg(long)]
    pub yes: bool,
}

/// `device …`.
#[derive(Debug, Subcommand)]
pub enum DeviceVerb {
    /// On a new device: print a request to be let in
    Request {
        /// What the owner will call this device
        #[arg(long)]
        name: String,
    },
    /// On a device that is in: let a new one in, and print its grant
    Add {
        /// The new device's request: its text, `@FILE`, or `-`
        request: String,
        /// What to call it in place of the name it asks for
        #[arg(long)]
        name: Option<String>,
        /// How far it may go
        #[arg(long, value_enum, default_value = "limited")]
        access: Access,
    },
    /// On the new device: take the grant
    Join {
        /// The grant: its text, `@FILE`, or `-`
        grant: String,
    },
    /// List the devices that may enter
    List,
    /// Shut a device out
    Revoke {
        /// Its name, or its id
        device: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// How far a device may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Access {
    /// Sees whether the pod is well
    Minimal,
    /// Sees accounts, asks for addresses, proposes payments
    Limited,
    /// Everything
    Full,
}

/// `account …`.
#[derive(Debug, Subcommand)]
pub enum AccountVerb {
    /// Create an account: any two of device, pod and recovery key can spend
    Create(CreateAccount),
    /// List accounts and what is in them
    List,
    /// Show one account
    Show {
        /// Its name or id; not needed where there is one only
        account: Option<String>,
    },
    /// Take an account map from another device of yours, so that this one can check its addresses
    Import {
        /// What `account export` printed there: `@FILE`, or `-`
        map: String,
    },
    /// Print the account map, the one thing besides keys that must not get lost
    Export {
        /// Its name or id; not needed where there is one only
        account: Option<String>,
        /// In which form
        #[arg(long, value_enum, default_value = "json")]
        format: ExportFormat,
    },
}

/// `account create`.
#[derive(Debug, Args)]
pub struct CreateAccount {
    /// What to call it
    #[arg(long, default_value = "main")]
    pub name: String,
    /// What can spend
    #[arg(long, value_enum, default_value = "two-of-three")]
    pub kind: Kind,
    /// Where the three decks of the recovery key are written [default: PROFILE-DIR/decks/ACCOUNT]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub decks_dir: Option<PathBuf>,
    /// Who will keep a deck; give it three times
    #[arg(long = "holder", value_name = "NAME")]
    pub holders: Vec<String>,
}

/// The kind of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Any two of device, pod and recovery key
    TwoOfThree,
    /// The same, or the recovery key alone after a year without movement
    TwoOfThreeOrRecovery,
}

/// Form of an exported account map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// The whole account map
    Json,
    /// The output descriptor alone, with checksum
    Descriptor,
    /// What Bitcoin Core's `importdescriptors` takes
    Core,
}

/// `receive`.
#[derive(Debug, Args)]
pub struct Receive {
    /// Name or id of the account; not needed where there is one only
    pub account: Option<String>,
    /// Ask for this amount in the QR code, such as `0.25 BTC`
    #[arg(long, num_args = 1..=3, value_name = "AMOUNT")]
    pub amount: Vec<String>,
    /// Take an address of this account that lies further out than this device has seen in use
    #[arg(long)]
    pub trust_index: bool,
}

/// `pay`.
#[derive(Debug, Args)]
pub struct Pay {
    /// A Bitcoin address or a `bitcoin:` URI
    pub payee: Payee,
    /// How much, with its unit: `0.25 BTC` or `25000 sat`; not needed where the URI says it
    #[arg(num_args = 0..)]
    pub amount: Vec<String>,
    /// Name or id of the account; not needed where there is one only
    #[arg(long)]
    pub account: Option<String>,
    /// Fee rate in satoshi a virtual byte; the pod's estimate where absent
    #[arg(long, value_name = "SAT/VB")]
    pub fee_rate: Option<f64>,
    /// A word for your own memory, at most 256 characters
    #[arg(long)]
    pub note: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// `payment …`.
#[derive(Debug, Subcommand)]
pub enum PaymentVerb {
    /// List payments, newest first
    List {
        /// Name or id of the account; not needed where there is one only
        account: Option<String>,
    },
    /// Show one payment
    Show {
        /// Its id
        payment: String,
    },
    /// Give up a draft, which frees its coins
    Cancel {
        /// Its id
        payment: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// `history`.
#[derive(Debug, Args)]
pub struct History {
    /// Name or id of the account; not needed where there is one only
    pub account: Option<String>,
    /// At most this many entries
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub limit: u32,
}

/// `events`.
#[derive(Debug, Args)]
pub struct Events {
    /// Wait for more until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// Begin after this event in place of the last one this device saw
    #[arg(long, value_name = "ID")]
    pub after: Option<u64>,
}

/// `pod …`.
#[derive(Debug, Subcommand)]
pub enum PodVerb {
    /// Make a pod on this machine, and print the request for `provision`
    Init {
        /// Which Bitcoin network
        #[arg(long, value_enum, default_value = "bitcoin")]
        network: Network,
    },
    /// Print the request again
    Request,
    /// Take the bundle that `provision` printed
    Adopt {
        /// The bundle: its text, `@FILE`, or `-`
        bundle: String,
    },
    /// Run the pod until it is told to end
    Run,
    /// How the pod on this machine is
    Status,
    /// Write a sealed copy of all that the pod must keep
    Backup {
        /// A new file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Let a pod from an old backup cosign again, once you have compared what it knows
    Reconcile {
        /// The highest state epoch your devices have seen of it; the refusal names it
        #[arg(long)]
        epoch: u64,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Bring a sealed copy back into an empty data folder
    Restore {
        /// A file that `pod backup` wrote
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}

/// A Bitcoin network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Network {
    /// The real one
    Bitcoin,
    /// Public test network
    Testnet,
    /// Public test network with signed blocks
    Signet,
    /// A network of one's own
    Regtest,
}

/// `agent`.
#[derive(Debug, Args)]
pub struct Agent {
    /// What to do with it; serve where absent
    #[command(subcommand)]
    pub verb: Option<AgentVerb>,
}

/// `agent …`.
#[derive(Debug, Subcommand)]
pub enum AgentVerb {
    /// Tell the agent of this profile to end
    Stop,
    /// How the agent of this profile is
    Status,
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
}
