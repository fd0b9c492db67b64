//! The flags of verbs about accounts and payments.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::words;
use crate::bip21::Payee;
use autonomy_api::AccountKind;

/// The last address of a branch: in BIP-32, larger numbers mean hardened derivation.
const MAX_INDEX: i64 = (1 << 31) - 1;

/// `account …`.
#[derive(Debug, Subcommand)]
pub enum AccountVerb {
    /// Create an account that any two of device, pod and recovery key can spend from
    ///
    /// The recovery key is split into three decks for three people and then deleted. Any two decks
    /// restore it.
    Create(CreateAccount),
    /// List accounts and their balances
    List,
    /// Show an account
    Show {
        /// Name or id of the account; may be omitted if there is only one
        account: Option<String>,
    },
    /// Import an account map, so that this device can check its addresses and pay
    ///
    /// The map is checked before it is kept. Compare the first address with the other device.
    Import(ImportAccount),
    /// Print the account map: besides the keys, the one thing that must not be lost
    Export {
        /// Name or id of the account; may be omitted if there is only one
        account: Option<String>,
        /// Format to print
        #[arg(long, value_enum, default_value = "json")]
        format: ExportFormat,
    },
}

/// `account create`.
#[derive(Debug, Args)]
pub struct CreateAccount {
    /// Name of the account
    #[arg(long, default_value = "main")]
    pub name: String,
    /// Who can spend
    #[arg(long, value_parser = words::account_kind(), default_value = "two-of-three")]
    pub kind: AccountKind,
    /// Folder for the three decks of the recovery key [default: PROFILE-DIR/decks/ACCOUNT]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub decks_dir: Option<PathBuf>,
    /// Person who will keep a deck; give it three times
    #[arg(long = "holder", value_name = "NAME")]
    pub holders: Vec<String>,
}

/// `account import`.
#[derive(Debug, Args)]
pub struct ImportAccount {
    /// Account map that `account export` printed: `@FILE`, or `-` for standard input
    #[arg(required_unless_present = "from_pod", conflicts_with = "from_pod")]
    pub map: Option<String>,
    /// Take the map from the pod, where the device that made the account is lost
    ///
    /// The map must hold this device's own key, and an address that you know from before.
    #[arg(long)]
    pub from_pod: bool,
    /// Name or id of the account at the pod; may be omitted if there is only one
    #[arg(long, requires = "from_pod")]
    pub account: Option<String>,
    /// An address of the account that you know: somebody has paid to it, or you have noted it
    #[arg(long, value_name = "ADDRESS", requires = "from_pod")]
    pub known: Option<String>,
}

/// Form of an exported account map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// The whole account map in JSON
    Json,
    /// The output descriptor alone, with checksum
    Descriptor,
    /// Input for Bitcoin Core's `importdescriptors`
    Core,
}

/// `receive`.
#[derive(Debug, Args)]
pub struct Receive {
    /// Name or id of the account; may be omitted if there is only one
    pub account: Option<String>,
    /// Amount to put into the QR code, such as `0.25 BTC`
    #[arg(long, num_args = 1..=3, value_name = "AMOUNT", allow_negative_numbers = true)]
    pub amount: Vec<String>,
    /// Show this address again instead of a fresh one; does not need the pod
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=MAX_INDEX))]
    pub index: Option<u32>,
    /// Show an address beyond those that this device has seen in use
    #[arg(long)]
    pub trust_index: bool,
}

/// `pay`.
#[derive(Debug, Args)]
pub struct Pay {
    /// Bitcoin address or `bitcoin:` URI
    pub payee: Payee,
    /// Amount with its unit: `0.25 BTC` or `25000 sat`; may be omitted if the URI has one
    #[arg(num_args = 0.., allow_negative_numbers = true)]
    pub amount: Vec<String>,
    /// Name or id of the account; may be omitted if there is only one
    #[arg(long)]
    pub account: Option<String>,
    /// Fee rate in satoshi per virtual byte [default: the pod's estimate]
    #[arg(long, value_name = "SAT/VB")]
    pub fee_rate: Option<f64>,
    /// Note for yourself, at most 256 characters
    #[arg(long)]
    pub note: Option<String>,
    /// Do not ask for confirmation
    #[arg(long)]
    pub yes: bool,
    /// Pay even where the same amount was just paid to the same address
    #[arg(long, requires = "yes")]
    pub again: bool,
}

/// `payment …`.
#[derive(Debug, Subcommand)]
pub enum PaymentVerb {
    /// List payments, newest first
    List {
        /// Name or id of the account; may be omitted if there is only one
        account: Option<String>,
    },
    /// Show a payment
    Show {
        /// Id of the payment, or the beginning of it
        payment: String,
    },
    /// Take up a draft that was left behind: check it, show it, ask, sign and send it
    Resume {
        /// Id of the payment, or the beginning of it
        payment: String,
    },
    /// Cancel a draft and release its coins
    ///
    /// A signed payment may already be in the network. One that is known to be in no mempool can be given up with --signed.
    Cancel {
        /// Id of the payment, or the beginning of it
        payment: String,
        /// Give the payment up although it is signed: it is sent no more, but whoever has it still may
        #[arg(long)]
        signed: bool,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// `history`.
#[derive(Debug, Args)]
pub struct History {
    /// Name or id of the account; may be omitted if there is only one
    pub account: Option<String>,
    /// Show at most this many transactions, the newest ones
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub limit: u32,
}
