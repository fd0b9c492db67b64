//! What is shown of a payment, and the digest that names all of it.

use core::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::fees::Fee;
use super::inputs::CheckedInput;
use super::outputs::CheckedOutput;
use crate::account::{AccountId, AccountMap, Keychain};
use crate::bitcoin::consensus::encode::serialize;
use crate::bitcoin::{Address, Amount, FeeRate, OutPoint, Transaction, Txid};

/// Whose an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Derived from the stored account map.
    Own {
        /// Which chain of addresses.
        keychain: Keychain,
        /// Its number.
        index: u32,
    },
    /// Anyone else's.
    Other,
}

/// A coin that would be spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputLine {
    /// The coin.
    pub outpoint: OutPoint,
    /// Its verified amount.
    pub amount: Amount,
    /// Which chain of addresses it lies on.
    pub keychain: Keychain,
    /// The address's number.
    pub index: u32,
}

/// Somebody who would be paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputLine {
    /// The address, in the form of the account's network.
    pub address: Address,
    /// What it gets.
    pub amount: Amount,
    /// Whether it is ours.
    pub owner: Owner,
}

/// The whole payment as it would be signed: what a screen shows and a policy decides on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The account that pays.
    pub account: AccountId,
    /// The transaction's id, final before any signature (all inputs are segwit).
    pub txid: Txid,
    /// What is spent.
    pub inputs: Vec<InputLine>,
    /// Who is paid, in the transaction's order.
    pub outputs: Vec<OutputLine>,
    /// What miners get.
    pub fee: Amount,
    /// The largest weight the signed transaction can have.
    pub weight: crate::bitcoin::Weight,
    /// Not valid below this height.
    pub lock_height: u32,
}

impl Summary {
    pub(super) fn of(
        map: &AccountMap,
        tx: &Transaction,
        inputs: &[CheckedInput],
        outputs: &[CheckedOutput],
        fee: Fee,
    ) -> Self {
        let input = |input: &CheckedInput| InputLine {
            outpoint: input.outpoint,
            amount: input.txout.value,
            keychain: input.own.keychain,
            index: input.own.index,
        };
        let output = |output: &CheckedOutput| OutputLine {
            address: output.address.clone(),
            amount: output.amount,
            owner: output
                .own
                .as_ref()
                .map_or(Owner::Other, |own| Owner::Own { keychain: own.keychain, index: own.index }),
        };
        Self {
            account: map.id(),
            txid: tx.compute_txid(),
            inputs: inputs.iter().map(input).collect(),
            outputs: outputs.iter().map(output).collect(),
            fee: fee.amount,
            weight: fee.weight,
            lock_height: tx.lock_time.to_consensus_u32(),
        }
    }

    /// The fee rate, on the largest size: the real one is never lower.
    #[must_use]
    pub fn fee_rate(&self) -> FeeRate {
        self.fee / self.weight
    }

    /// What others get.
    #[must_use]
    pub fn paid(&self) -> Amount {
        self.outputs.iter().filter(|output| output.owner == Owner::Other).map(|output| output.amount).sum()
    }

    /// The name of exactly this payment: two summaries with one digest show the same.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update(b"autonomy/payment-summary/v1");
        hash.update(self.account.to_bytes());
        hash.update(serialize(&self.txid));
        hash.update((self.inputs.len() as u64).to_be_bytes());
        for input in &self.inputs {
            hash.update(serialize(&input.outpoint));
            hash.update(input.amount.to_sat().to_be_bytes());
            hash.update(place(Some((input.keychain, input.index))));
        }
        hash.update((self.outputs.len() as u64).to_be_bytes());
        for output in &self.outputs {
            hash.update(serialize(&output.address.script_pubkey()));
            hash.update(output.amount.to_sat().to_be_bytes());
            hash.update(place(match output.owner {
                Owner::Own { keychain, index } => Some((keychain, index)),
                Owner::Other => None,
            }));
        }
        for number in [self.fee.to_sat(), self.weight.to_wu(), self.lock_height.into()] {
            hash.update(number.to_be_bytes());
        }
        Digest(hash.finalize().into())
    }
}

/// 0 for others; 1 + step and index for ours.
fn place(own: Option<(Keychain, u32)>) -> [u8; 5] {
    let (tag, index) = own.map_or((0, 0), |(keychain, index)| (1 + keychain.step() as u8, index));
    let [a, b, c, d] = index.to_be_bytes();
    [tag, a, b, c, d]
}

/// SHA-256 over everything a [`Summary`] shows. An approval names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest's bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Takes a digest as [`Digest::to_bytes`] gave it.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or("a digest is 64 hexadecimal digits")
    }
}
