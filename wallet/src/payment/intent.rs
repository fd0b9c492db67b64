//! What a human wants paid.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::bitcoin::address::NetworkUnchecked;
use crate::bitcoin::{Address, Amount, FeeRate, Network, ScriptBuf};
use crate::policy::FeeLimits;
use crate::rate::to_sat_per_vb;

/// Most recipients of one payment. Each costs 43 vB at most; 100 of them a twentieth of the largest standard
/// transaction.
pub const MAX_RECIPIENTS: usize = 100;

/// Longest address text that is parsed, in bytes: BIP-173 allows no more than 90 characters.
pub const MAX_ADDRESS_LEN: usize = 90;

/// Lowest fee rate a payment may ask for, 0.1 sat/vB: what Bitcoin Core relays by default from version 29.1 on (100 satoshi
/// a kvB). A node may ask for more.
pub const MIN_FEE_RATE: FeeRate = FeeRate::from_sat_per_kwu(25);

/// Highest fee rate a payment may ask for, 1,000 sat/vB: what [`FeeLimits`](crate::policy::FeeLimits) allow.
pub const MAX_FEE_RATE: FeeRate = FeeLimits::STANDARD.rate;

/// Why an intent is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntentError {
    /// Nobody to pay.
    #[error("a payment needs at least one recipient")]
    NoRecipients,
    /// More than [`MAX_RECIPIENTS`].
    #[error("{0} recipients; a payment has at most {MAX_RECIPIENTS}: split it")]
    TooManyRecipients(usize),
    /// The text is not an address.
    #[error("recipient {}: not a bitcoin address; check for a missing or mistyped character", recipient + 1)]
    NotAnAddress {
        /// Which one, from 0.
        recipient: usize,
    },
    /// An address of another network.
    #[error("recipient {}: the address is not for {expected}; coins sent there would be lost", recipient + 1)]
    WrongNetwork {
        /// Which one, from 0.
        recipient: usize,
        /// The payer's network.
        expected: Network,
    },
    /// Too little to be relayed.
    #[error("recipient {}: {amount} is less than {least}, the least the network relays", recipient + 1)]
    Dust {
        /// Which one, from 0.
        recipient: usize,
        /// The amount asked for.
        amount: Amount,
        /// The least possible.
        least: Amount,
    },
    /// The amounts add up to more than there will ever be.
    #[error("the amounts add up to more than 21 million bitcoin")]
    Amount,
    /// The fee rate is below what nodes relay, or absurd.
    #[error(
        "a fee rate of {} sat/vB; it must be {} to {} sat/vB",
        to_sat_per_vb(*.0), to_sat_per_vb(MIN_FEE_RATE), to_sat_per_vb(MAX_FEE_RATE)
    )]
    FeeRate(FeeRate),
}

/// One recipient of an [`Intent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Where to.
    pub address: Address,
    /// How much; when the account is emptied, whatever is left after the fee.
    pub amount: Amount,
}

impl Recipient {
    pub(crate) fn script(&self) -> ScriptBuf {
        self.address.script_pubkey()
    }
}

/// What a human wants paid: checked recipients on one network, and a fee rate.
///
/// The checker compares a PSBT with it, output by output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Intent {
    network: Network,
    recipients: Vec<Recipient>,
    fee_rate: FeeRate,
    drain: bool,
}

impl Intent {
    /// A payment of exact amounts; the account pays the fee on top.
    ///
    /// # Errors
    /// [`IntentError`] names the recipient and the rule.
    pub fn pay(
        network: Network,
        recipients: impl IntoIterator<Item = (Address<NetworkUnchecked>, Amount)>,
        fee_rate: FeeRate,
    ) -> Result<Self, IntentError> {
        let mut checked = Vec::new();
        for (recipient, (address, amount)) in recipients.into_iter().enumerate() {
            if recipient == MAX_RECIPIENTS {
                return Err(IntentError::TooManyRecipients(recipient + 1));
            }
            let address = for_network(address, network, recipient)?;
            let least = address.script_pubkey().minimal_non_dust();
            if amount < least {
                return Err(IntentError::Dust { recipient, amount, least });
            }
            checked.push(Recipient { address, amount });
        }
        if checked.is_empty() {
            return Err(IntentError::NoRecipients);
        }
        let total = checked.iter().try_fold(Amount::ZERO, |sum, recipient| sum.checked_add(recipient.amount));
        total.filter(|total| *total <= Amount::MAX_MONEY).ok_or(IntentError::Amount)?;
        Self { network, recipients: checked, fee_rate, drain: false }.with_possible_fee()
    }

    /// Everything the account has, to one address, less the fee.
    ///
    /// # Errors
    /// [`IntentError`] for an address of another network or a fee rate too low.
    pub fn drain(
        network: Network,
        to: Address<NetworkUnchecked>,
        fee_rate: FeeRate,
    ) -> Result<Self, IntentError> {
        let address = for_network(to, network, 0)?;
        let recipients = vec![Recipient { address, amount: Amount::ZERO }];
        Self { network, recipients, fee_rate, drain: true }.with_possible_fee()
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> Network {
        self.network
    }

    /// Who gets what.
    #[must_use]
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// The rate asked for.
    #[must_use]
    pub fn fee_rate(&self) -> FeeRate {
        self.fee_rate
    }

    /// Whether the account is emptied.
    #[must_use]
    pub fn is_drain(&self) -> bool {
        self.drain
    }

    /// What all recipients get together; zero when the account is emptied.
    #[must_use]
    pub fn total(&self) -> Amount {
        self.recipients.iter().map(|recipient| recipient.amount).sum()
    }

    fn with_possible_fee(self) -> Result<Self, IntentError> {
        if !(MIN_FEE_RATE..=MAX_FEE_RATE).contains(&self.fee_rate) {
            return Err(IntentError::FeeRate(self.fee_rate));
        }
        Ok(self)
    }
}

/// Reads an address of any network; [`Intent`] then insists on the right one.
///
/// # Errors
/// [`IntentError::NotAnAddress`].
pub fn parse_address(text: &str) -> Result<Address<NetworkUnchecked>, IntentError> {
    let wrong = IntentError::NotAnAddress { recipient: 0 };
    if text.len() > MAX_ADDRESS_LEN {
        return Err(wrong);
    }
    Address::from_str(text).map_err(|_| wrong)
}

fn for_network(
    address: Address<NetworkUnchecked>,
    network: Network,
    recipient: usize,
) -> Result<Address, IntentError> {
    address.require_network(network).map_err(|_| IntentError::WrongNetwork { recipient, expected: network })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    network: Network,
    recipients: Vec<WireRecipient>,
    sat_per_kwu: u64,
    #[serde(default)]
    drain: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireRecipient {
    address: String,
    #[serde(default)]
    sat: u64,
}

impl From<Intent> for Wire {
    fn from(intent: Intent) -> Self {
        let recipient =
            |to: &Recipient| WireRecipient { address: to.address.to_string(), sat: to.amount.to_sat() };
        Self {
            network: intent.network,
            recipients: intent.recipients.iter().map(recipient).collect(),
            sat_per_kwu: intent.fee_rate.to_sat_per_kwu(),
            drain: intent.drain,
        }
    }
}

impl TryFrom<Wire> for Intent {
    type Error = IntentError;

    fn try_from(wire: Wire) -> Result<Self, IntentError> {
        let rate = FeeRate::from_sat_per_kwu(wire.sat_per_kwu);
        if wire.recipients.len() > MAX_RECIPIENTS {
            return Err(IntentError::TooManyRecipients(wire.recipients.len()));
        }
        let mut recipients = Vec::new();
        for (recipient, to) in wire.recipients.iter().enumerate() {
            let address = parse_address(&to.address).map_err(|_| IntentError::NotAnAddress { recipient })?;
            recipients.push((address, Amount::from_sat(to.sat)));
        }
        if !wire.drain {
            return Self::pay(wire.network, recipients, rate);
        }
        match <[_; 1]>::try_from(recipients) {
            Ok([(to, _)]) => Self::drain(wire.network, to, rate),
            Err(recipients) if recipients.is_empty() => Err(IntentError::NoRecipients),
            Err(recipients) => Err(IntentError::TooManyRecipients(recipients.len())),
        }
    }
}
