//! What a pod says and a device does not believe.

use std::borrow::Cow;

use autonomy_api::PaymentId;
use autonomy_messaging::{Network, PublicKey};
use autonomy_wallet::{
    account::{AccountError, Keychain},
    bitcoin::{Address, Txid},
    check::CheckRefusal,
};

/// Why this device refuses what its pod said. Nothing of it was shown or kept. Nothing was signed either, unless it
/// comes as the cause of a [`MaybePaid`](super::DeviceError::MaybePaid).
#[derive(Debug, thiserror::Error)]
pub enum Distrust {
    /// The pod forgot something this device knows.
    #[error(
        "the pod has forgotten something: its state is number {reported}, this device has seen {seen}. It was restored \
         from an old backup, or something pretends to be it"
    )]
    OlderState {
        /// The highest epoch seen.
        seen: u64,
        /// What the pod reported now.
        reported: u64,
    },
    /// The pod counts in leaps. Believed, the real one would seem to have forgotten everything from then on.
    #[error(
        "the pod says that its state is number {reported}; the last this device saw was {seen}. No pod gets that far"
    )]
    StateLeapt {
        /// The highest epoch seen.
        seen: u64,
        /// What the pod reported now.
        reported: u64,
    },
    /// Status names another pod.
    #[error("the pod says its key is {reported}, this device belongs to {pinned}")]
    AnotherPod {
        /// The pinned key.
        pinned: PublicKey,
        /// What it says.
        reported: PublicKey,
    },
    /// Status names another network.
    #[error("the pod says it is on {reported}, this device belongs to a pod on {pinned}")]
    AnotherNetwork {
        /// The pinned network.
        pinned: Network,
        /// What it says.
        reported: Network,
    },
    /// The offer's signature is not the pod's.
    #[error("the account offer is not signed by the pod's key")]
    OfferSignature,
    /// A field of the offer makes no sense.
    #[error("the account offer's {field} {rule}")]
    Offer {
        /// Which field.
        field: &'static str,
        /// What it breaks.
        rule: &'static str,
    },
    /// The keys offered make no account.
    #[error("the account offered is not safe: {0}")]
    Account(#[from] AccountError),
    /// What the pod keeps is not what this device built.
    #[error(
        "the pod's {field} of account {account} is not the one this device built: do not use this account"
    )]
    AccountDiffers {
        /// What differs.
        field: &'static str,
        /// Which account.
        account: String,
    },
    /// The address is not ours.
    #[error(
        "the pod says that receive address {index} is {reported}; it is {ours}. Money sent to the first may be lost"
    )]
    Address {
        /// Its number.
        index: u32,
        /// What the pod reported.
        reported: String,
        /// What this device derived.
        ours: Address,
    },
    /// The address is ours, and this device has seen one in use that was given out later.
    #[error("the pod gives receive address {index} as a fresh one; this device has seen it given out before")]
    AddressNotFresh {
        /// Its number.
        index: u32,
    },
    /// The address is ours, and so far out that a restored wallet would not look there.
    #[error(
        "the pod gives receive address {index}; this device has seen none in use beyond {last}. A restored wallet looks \
         20 addresses ahead, so money there might not be found"
    )]
    AddressTooFar {
        /// Its number.
        index: u32,
        /// Last one known in use, in words.
        last: String,
    },
    /// The draft is not what was asked for, or breaks a rule.
    #[error("the payment is refused: {0}")]
    Payment(#[from] CheckRefusal),
    /// The draft comes without its PSBT.
    #[error("the pod sent a draft without the transaction to check")]
    NoDraft,
    /// The pod answers about something else.
    #[error("the pod was asked about one payment and answers about another: {reported}")]
    AnotherPayment {
        /// What it answers about.
        reported: PaymentId,
    },
    /// The pod was given this device's signature, and says that it has not signed.
    #[error("the pod took the approval and says that the payment is a draft, or given up")]
    TakenBack,
    /// The pod answers an approval with something else.
    #[error("the pod took the approval and answers with transaction {reported}; approved was {approved}")]
    AnotherTransaction {
        /// What was approved.
        approved: Txid,
        /// What it answers.
        reported: Txid,
    },
    /// Something about contacts and messages that is not so, or breaks a rule.
    #[error("the pod sent a {what} whose {field} {rule}")]
    Mail {
        /// The kind of thing.
        what: &'static str,
        /// Which part of it.
        field: &'static str,
        /// What is wrong with it.
        rule: String,
    },
}

impl Distrust {
    /// A stable word for scripts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OlderState { .. } => "older-state",
            Self::StateLeapt { .. } => "state-leapt",
            Self::AnotherPod { .. } => "another-pod",
            Self::AnotherNetwork { .. } => "another-network",
            Self::OfferSignature => "offer-signature",
            Self::Offer { .. } => "offer",
            Self::Account(_) => "unsafe-account",
            Self::AccountDiffers { .. } => "account-differs",
            Self::Address { .. } => "wrong-address",
            Self::AddressNotFresh { .. } => "address-not-fresh",
            Self::AddressTooFar { .. } => "address-too-far",
            Self::Payment(_) => "unsafe-payment",
            Self::NoDraft => "no-draft",
            Self::AnotherPayment { .. } => "another-payment",
            Self::TakenBack => "taken-back",
            Self::AnotherTransaction { .. } => "another-transaction",
            Self::Mail { .. } => "bad-mail",
        }
    }

    /// What to do.
    #[must_use]
    pub fn help(&self) -> Cow<'static, str> {
        let help = match self {
            Self::OlderState { seen, .. } => {
                return format!(
                    "if you restored it yourself, compare its devices and payments, then run `autonomy pod reconcile \
                     --epoch {seen}` on its machine; otherwise do not use it"
                )
                .into();
            }
            Self::AnotherPod { .. } | Self::AnotherNetwork { .. } => {
                "check --profile-dir and --pod-socket: profile and pod do not belong together"
            }
            Self::AddressNotFresh { index } => {
                return format!(
                    "whoever pays to it again links both payments. If that does not matter, `autonomy receive --index \
                     {index}` shows it; if it happens again, look at the pod's machine"
                )
                .into();
            }
            Self::AddressTooFar { .. } => {
                "if other devices of yours used many addresses, repeat it with --trust-index"
            }
            Self::Payment(
                CheckRefusal::ChangeBeyondGap { keychain: Keychain::Internal, .. }
                | CheckRefusal::InputBeyondGap { keychain: Keychain::Internal, .. },
            ) => {
                "nothing was signed. Where another device, or this one before it was restored, has paid since from this account: \
                 `autonomy account export > map.json`, then `autonomy account import @map.json`, and the next payment goes by \
                 the pod's word on change. Otherwise look at the pod's machine before you try again"
            }
            Self::Payment(_) | Self::NoDraft => {
                "nothing was signed. Look at the pod's machine before you try again: it may be broken or taken over"
            }
            Self::Offer { field: "birthday", .. } => {
                "check the clocks of this machine and of the pod's, and whether the pod is synced (`autonomy status`)"
            }
            _ => "do not use it. Look at the pod's machine: it may be broken or taken over",
        };
        help.into()
    }
}
