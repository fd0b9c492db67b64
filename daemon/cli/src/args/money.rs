//! Accounts and payments.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::words;
use crate::bip21::Payee;
use autonomy_api::{AccountKind, PaymentId};

/// The last address of a branch: from 2^31 on, BIP-32's numbers mean hardened steps.
const MAX_INDEX: i64 = (1 << 31) - 1;

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
    #[arg(long, value_parser = words::account_kind(), default_value = "two-of-three")]
    pub kind: AccountKind,
    /// Where the three decks of the recovery key are written [default: PROFILE-DIR/decks/ACCOUNT]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub decks_dir: Option<PathBuf>,
    /// Who will keep a deck; give it three times
    #[arg(long = "holder", value_name = "NAME")]
    pub holders: Vec<String>,
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
    /// Show this address again, in place of a fresh one; no pod is asked
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=MAX_INDEX))]
    pub index: Option<u32>,
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
        payment: PaymentId,
    },
    /// Give up a draft, which frees its coins
    Cancel {
        /// Its id
        payment: PaymentId,
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
