//! Accounts and payments.

use autonomy_wallet::{
    account::MapKind,
    bitcoin::{Amount, FeeRate, Network},
    payment::{Intent, IntentError, parse_address},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Blocks after which R alone may spend in the time-locked kind: 52,560 of ten minutes are a year.
const RECOVERY_BLOCKS: u32 = 52_560;

/// What an account's policy text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// `wsh(sortedmulti(2,P,R,G))`.
    TwoOfThree,
    /// Two of three, or R alone after 52,560 blocks (about a year) without movement.
    TwoOfThreeOrRecovery,
    /// `wsh(sortedmulti(m,…))`, one key a member. Pods do not make these yet.
    Shared,
}

/// `POST /v1/accounts`: begin an account. The pod answers with its own key; nothing can be received yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginAccount {
    /// What the owner calls it, at most 64 characters.
    pub name: String,
    /// The kind of account.
    pub kind: AccountKind,
}

/// The pod's half of an account's beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccountOffer {
    /// Names the ceremony until the account has its own id.
    pub ceremony: String,
    /// BIP-48 account number that P and G use, and R's first step. Never offered twice.
    pub account_index: u32,
    /// G as a BIP-380 key expression with origin, e.g. `[3ba436ce/48h/1h/0h/2h]tpub…`.
    pub pod_member_key: String,
    /// 32 bytes of the pod's randomness, mixed into R by the device.
    pub entropy: String,
    /// Ed25519 signature of the pod key over (ceremony, index, key, entropy).
    pub signature: String,
    /// Chain tip when it was offered: the account's birthday.
    pub birthday_height: u32,
    /// Time of that block.
    pub birthday_time: u64,
}

/// `POST /v1/accounts/{ceremony}/complete`: the device has dealt R's decks; both sides compare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteAccount {
    /// P as a BIP-380 key expression with origin.
    pub device_member_key: String,
    /// R as a BIP-380 key expression at depth 0.
    pub recovery_member_key: String,
    /// The descriptor as the device built it, with checksum.
    pub descriptor: String,
    /// Its first receive address.
    pub first_address: String,
}

/// One account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// First 16 bytes of SHA-256 of the descriptor.
    pub id: String,
    /// What the owner calls it.
    pub name: String,
    /// The kind.
    pub kind: AccountKind,
    /// BIP-380/389 descriptor with checksum.
    pub descriptor: String,
    /// First receive address, to compare on every device.
    pub first_address: String,
    /// Height before which no coin can be.
    pub birthday_height: u32,
    /// Time of that block.
    pub birthday_time: u64,
    /// BIP-48 account number.
    pub account_index: u32,
    /// What is in it.
    pub balance: Balance,
    /// Revealed receive addresses.
    pub revealed: u32,
}

/// `GET /v1/accounts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Accounts {
    /// All accounts, oldest first.
    pub accounts: Vec<Account>,
}

/// What is in an account, in satoshi.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Balance {
    /// In blocks.
    pub confirmed_sat: u64,
    /// In the mempool, coming in or as own change.
    pub unconfirmed_sat: u64,
    /// Mined, not yet 100 blocks deep.
    pub immature_sat: u64,
    /// `confirmed_sat + unconfirmed_sat + immature_sat`.
    pub total_sat: u64,
}

/// `POST /v1/accounts/{id}/addresses`: a fresh receive address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReceiveAddress {
    /// Its number on the receive branch.
    pub index: u32,
    /// The address; the device derives it again and compares.
    pub address: String,
}

/// One output to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// A Bitcoin address of the account's network.
    pub address: String,
    /// Satoshi to pay.
    pub amount_sat: u64,
}

/// `POST /v1/accounts/{id}/payments`: what the owner wants paid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPayment {
    /// Whom and how much, 1 to 100 entries.
    pub recipients: Vec<Recipient>,
    /// Fee rate in satoshi a virtual byte; the pod's estimate where absent.
    #[serde(default)]
    pub fee_rate: Option<f64>,
    /// A word for the owner's own memory, at most 256 characters.
    #[serde(default)]
    pub note: Option<String>,
}

impl NewPayment {
    /// The wish as the wallet builds it and every check compares it, with each recipient checked for this network.
    ///
    /// # Errors
    /// [`IntentError`] says which recipient or rate cannot be paid.
    pub fn intent(&self, network: Network, rate: FeeRate) -> Result<Intent, IntentError> {
        let recipients = self.recipients.iter().enumerate().map(|(recipient, to)| {
            let address = parse_address(&to.address).map_err(|_| IntentError::NotAnAddress { recipient })?;
            Ok((address, Amount::from_sat(to.amount_sat)))
        });
        let recipients: Vec<_> = recipients.collect::<Result<_, IntentError>>()?;
        Intent::pay(network, recipients, rate)
    }
}

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// Built, waits for the device's signature.
    Draft,
    /// Signed by both and handed to the chain source, not yet accepted by it.
    Signed,
    /// In the mempool of the chain source.
    Seen,
    /// In a block.
    Confirmed,
    /// Given up before it was signed; its coins are free.
    Cancelled,
    /// Another transaction spent its coins, or the network refused it; `detail` says which.
    Failed,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Payment {
    /// Its id.
    pub id: String,
    /// The account that pays.
    pub account: String,
    /// Where it stands.
    pub state: PaymentState,
    /// Whom and how much.
    pub recipients: Vec<Recipient>,
    /// Fee in satoshi.
    pub fee_sat: u64,
    /// Fee rate in satoshi a virtual byte.
    pub fee_rate: f64,
    /// Transaction id; it does not change by signing.
    pub txid: String,
    /// The PSBT to check and sign (BIP-174, base64); only while a draft.
    pub psbt: Option<String>,
    /// Word of the owner.
    pub note: Option<String>,
    /// When it was drafted.
    pub created_at: u64,
    /// Height of its block.
    pub confirmed_height: Option<u32>,
    /// Confirmations now.
    pub confirmations: u32,
    /// Estimate of the minutes to the first confirmation, where the source can tell.
    pub estimated_minutes: Option<u32>,
    /// What went wrong, where something did.
    pub detail: Option<String>,
}

/// `GET /v1/accounts/{id}/payments`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Payments {
    /// Newest first.
    pub payments: Vec<Payment>,
}

/// `POST /v1/payments/{id}/approve`: the device has checked the draft and signed it with P.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovePayment {
    /// The draft with P's partial signatures (BIP-174, base64).
    pub psbt: String,
    /// The highest state epoch this device has seen of the pod. A pod that is behind refuses.
    pub state_epoch: u64,
}

/// One line of an account's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// Transaction id.
    pub txid: String,
    /// What the account gained (positive) or lost, fee included, in satoshi.
    pub net_sat: i64,
    /// Fee in satoshi, known where all inputs are the account's.
    pub fee_sat: Option<u64>,
    /// Height of its block; absent while unconfirmed.
    pub height: Option<u32>,
    /// Time of the block, or when it was first seen.
    pub time: Option<u64>,
    /// Confirmations now.
    pub confirmations: u32,
    /// The payment that made it, where it is ours.
    pub payment: Option<String>,
    /// Note of that payment.
    pub note: Option<String>,
}

/// `GET /v1/accounts/{id}/history`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// Newest first; unconfirmed before confirmed.
    pub entries: Vec<HistoryEntry>,
}

impl From<AccountKind> for MapKind {
    fn from(kind: AccountKind) -> Self {
        match kind {
            AccountKind::TwoOfThree => Self::Personal,
            AccountKind::TwoOfThreeOrRecovery => Self::PersonalOrRecovery { blocks: RECOVERY_BLOCKS },
            AccountKind::Shared => Self::Shared,
        }
    }
}

impl From<MapKind> for AccountKind {
    fn from(kind: MapKind) -> Self {
        match kind {
            MapKind::Personal => Self::TwoOfThree,
            MapKind::PersonalOrRecovery { .. } => Self::TwoOfThreeOrRecovery,
            MapKind::Shared => Self::Shared,
        }
    }
}
