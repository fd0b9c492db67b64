//! Accounts and payments.

use autonomy_wallet::{
    account::MapKind,
    bitcoin::{Address, Amount, FeeRate, Network, SignedAmount, Txid, address::NetworkUnchecked},
    keys::{AccountIndex, MemberKey},
    payment::{Intent, IntentError},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AccountId, AccountName, CeremonyId, Hex, Note, PaymentId, PsbtBytes, number, schema, written};

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
    /// What the owner calls it.
    #[schema(value_type = schema::AccountName)]
    pub name: AccountName,
    /// The kind of account.
    pub kind: AccountKind,
}

/// The pod's half of an account's beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccountOffer {
    /// Names the ceremony until the account has its own id.
    #[schema(value_type = schema::CeremonyId)]
    pub ceremony: CeremonyId,
    /// BIP-48 account number that P and G use, and R's first step. Never offered twice.
    #[schema(value_type = u32, maximum = 2_147_483_647)]
    pub account_index: AccountIndex,
    /// G as a BIP-380 key expression with origin, e.g. `[3ba436ce/48h/1h/0h/2h]tpub…`.
    #[serde(with = "written")]
    #[schema(value_type = schema::MemberKey)]
    pub pod_member_key: MemberKey,
    /// 32 bytes of the pod's randomness, mixed into R by the device.
    #[schema(value_type = schema::Bytes32)]
    pub entropy: Hex<32>,
    /// Ed25519 signature of the pod key over (ceremony, index, key, entropy).
    #[schema(value_type = schema::Signature)]
    pub signature: Hex<64>,
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
    #[serde(with = "written")]
    #[schema(value_type = schema::MemberKey)]
    pub device_member_key: MemberKey,
    /// R as a BIP-380 key expression at depth 0.
    #[serde(with = "written")]
    #[schema(value_type = schema::MemberKey)]
    pub recovery_member_key: MemberKey,
    /// The descriptor as the device built it, with checksum.
    pub descriptor: String,
    /// Its first receive address.
    #[serde(with = "written")]
    #[schema(value_type = schema::Address)]
    pub first_address: Address<NetworkUnchecked>,
}

/// One account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// First 16 bytes of SHA-256 of the descriptor.
    #[serde(with = "written")]
    #[schema(value_type = schema::AccountId)]
    pub id: AccountId,
    /// What the owner calls it.
    #[schema(value_type = schema::AccountName)]
    pub name: AccountName,
    /// The kind.
    pub kind: AccountKind,
    /// BIP-380/389 descriptor with checksum.
    pub descriptor: String,
    /// First receive address, to compare on every device.
    #[serde(with = "written")]
    #[schema(value_type = schema::Address)]
    pub first_address: Address<NetworkUnchecked>,
    /// Height before which no coin can be.
    pub birthday_height: u32,
    /// Time of that block.
    pub birthday_time: u64,
    /// BIP-48 account number.
    #[schema(value_type = u32, maximum = 2_147_483_647)]
    pub account_index: AccountIndex,
    /// What is in it.
    pub balance: Balance,
    /// Revealed receive addresses.
    pub revealed: u32,
    /// Change addresses that were used.
    #[serde(default)]
    pub change: u32,
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
    #[serde(rename = "confirmed_sat", with = "number")]
    #[schema(value_type = schema::Sat)]
    pub confirmed: Amount,
    /// In the mempool, coming in or as own change.
    #[serde(rename = "unconfirmed_sat", with = "number")]
    #[schema(value_type = schema::Sat)]
    pub unconfirmed: Amount,
    /// Mined, not yet 100 blocks deep.
    #[serde(rename = "immature_sat", with = "number")]
    #[schema(value_type = schema::Sat)]
    pub immature: Amount,
    /// The sum of the other three.
    #[serde(rename = "total_sat", with = "number")]
    #[schema(value_type = schema::Sat)]
    pub total: Amount,
}

/// `POST /v1/accounts/{id}/addresses`: a fresh receive address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReceiveAddress {
    /// Its number on the receive branch.
    pub index: u32,
    /// The address; the device derives it again and compares.
    #[serde(with = "written")]
    #[schema(value_type = schema::Address)]
    pub address: Address<NetworkUnchecked>,
}

/// One output to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// A Bitcoin address of the account's network.
    #[serde(with = "written")]
    #[schema(value_type = schema::Address)]
    pub address: Address<NetworkUnchecked>,
    /// Satoshi to pay.
    #[serde(rename = "amount_sat", with = "number")]
    #[schema(value_type = schema::Sat)]
    pub amount: Amount,
}

/// `POST /v1/accounts/{id}/payments`: what the owner wants paid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPayment {
    /// Whom and how much, 1 to 100 entries.
    pub recipients: Vec<Recipient>,
    /// Fee rate in satoshi a virtual byte; the pod's estimate where absent.
    #[serde(default, with = "number::optional")]
    #[schema(value_type = Option<schema::FeeRate>)]
    pub fee_rate: Option<FeeRate>,
    /// A word for the owner's own memory.
    #[serde(default)]
    #[schema(value_type = Option<schema::Note>)]
    pub note: Option<Note>,
}

impl NewPayment {
    /// The wish as the wallet builds it and every check compares it, each recipient checked for this network. `rate` is
    /// what counts where the wish names none.
    ///
    /// # Errors
    /// [`IntentError`] says which recipient or rate cannot be paid.
    pub fn intent(&self, network: Network, rate: FeeRate) -> Result<Intent, IntentError> {
        let recipients = self.recipients.iter().map(|to| (to.address.clone(), to.amount));
        Intent::pay(network, recipients, self.fee_rate.unwrap_or(rate))
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
    /// Given up before it was signed, or signed once more as another payment; its coins are free, or the other's.
    Cancelled,
    /// Another transaction spent its coins and is buried under six blocks; `detail` names it.
    Failed,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Payment {
    /// Its id.
    #[schema(value_type = schema::PaymentId)]
    pub id: PaymentId,
    /// The account that pays.
    #[serde(with = "written")]
    #[schema(value_type = schema::AccountId)]
    pub account: AccountId,
    /// Where it stands.
    pub state: PaymentState,
    /// Whom and how much.
    pub recipients: Vec<Recipient>,
    /// Fee in satoshi.
    #[serde(rename = "fee_sat", with = "number")]
    #[schema(value_type = schema::Sat)]
    pub fee: Amount,
    /// Fee rate in satoshi a virtual byte.
    #[serde(with = "number")]
    #[schema(value_type = schema::FeeRate)]
    pub fee_rate: FeeRate,
    /// Transaction id; it does not change by signing.
    #[serde(with = "written")]
    #[schema(value_type = schema::Txid)]
    pub txid: Txid,
    /// The PSBT to check and sign (BIP-174, base64); only while a draft.
    #[schema(value_type = Option<schema::Psbt>)]
    pub psbt: Option<PsbtBytes>,
    /// Word of the owner.
    #[schema(value_type = Option<schema::Note>)]
    pub note: Option<Note>,
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
    #[schema(value_type = schema::Psbt)]
    pub psbt: PsbtBytes,
    /// The highest state epoch this device has seen of the pod. A pod that is behind refuses.
    pub state_epoch: u64,
}

/// One line of an account's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// Transaction id.
    #[serde(with = "written")]
    #[schema(value_type = schema::Txid)]
    pub txid: Txid,
    /// What the account gained (positive) or lost, fee included, in satoshi.
    #[serde(rename = "net_sat", with = "number")]
    #[schema(value_type = schema::NetSat)]
    pub net: SignedAmount,
    /// Fee in satoshi, known where all inputs are the account's.
    #[serde(rename = "fee_sat", default, with = "number::optional")]
    #[schema(value_type = Option<schema::Sat>)]
    pub fee: Option<Amount>,
    /// Height of its block; absent while unconfirmed.
    pub height: Option<u32>,
    /// Time of the block, or when it was first seen.
    pub time: Option<u64>,
    /// Confirmations now.
    pub confirmations: u32,
    /// The payment that made it, where it is ours.
    #[schema(value_type = Option<schema::PaymentId>)]
    pub payment: Option<PaymentId>,
    /// Note of that payment.
    #[schema(value_type = Option<schema::Note>)]
    pub note: Option<Note>,
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
