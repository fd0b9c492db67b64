//! The first draft of a payment: a PSBT before any check.

use bdk_wallet::WeightedUtxo;
use bdk_wallet::coin_selection::{CoinSelectionAlgorithm, CoinSelectionResult, Excess, InsufficientFunds};
use bdk_wallet::descriptor::policy::Condition;
use rand_core::RngCore;

use super::coins::{Candidate, Demand, Shortage};
use super::{Intent, Recipient};
use crate::account::Keychain;
use crate::bitcoin::{Amount, FeeRate, Network, OutPoint, Psbt, Script};
use crate::check::{MAX_PSBT_BYTES, Unchecked, attach_previous};
use crate::ledger::{CoinState, Ledger, OwnedCoin, kind};

/// Why no draft can be made. The ledger is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// The intent is for another network than the account.
    #[error("the payment is meant for {intent}, the account is on {account}")]
    WrongNetwork {
        /// The intent's network.
        intent: Network,
        /// The account's.
        account: Network,
    },
    /// Not enough spendable coins.
    #[error("the payment with its fee needs {needed}, spendable are {available}")]
    InsufficientFunds {
        /// Amount and fee.
        needed: Amount,
        /// Confirmed coins and own change, less reserved ones and those that cost more to spend than they hold.
        available: Amount,
    },
    /// The account's coins are too many and too small for one transaction.
    #[error("the payment needs {inputs} coins, one transaction takes {most}; pay less, or in parts")]
    TooManyInputs {
        /// Coins needed, the largest first.
        inputs: usize,
        /// Most that fit.
        most: usize,
    },
    /// The draft is larger than a signer accepts.
    #[error("the draft has {bytes} bytes, signers accept {MAX_PSBT_BYTES}; pay less, or in parts")]
    TooLarge {
        /// Size of the draft.
        bytes: usize,
    },
    /// Anything else the builder refuses.
    #[error("the draft cannot be built: {0}")]
    Build(String),
}

impl Ledger {
    /// Builds the PSBT of a payment: the cheapest coins chosen, change added, full previous transactions included,
    /// replaceable (BIP-125), not valid below the current height (against fee sniping).
    ///
    /// It is [`Unchecked`] like any other: whoever built it, the checker decides. Confirmed coins come first; unconfirmed
    /// ones only where these do not suffice, and only change of our own. Untrusted unconfirmed coins and
    /// [reserved](Ledger::reserve) ones are left alone. `rng` orders inputs and outputs; which coins are spent does not
    /// depend on it.
    ///
    /// Two drafts made before either is broadcast have the same change address, so that abandoned drafts do
    /// not use up the gap limit. **Commit the ledger's rows before the draft leaves.**
    ///
    /// # Errors
    /// [`DraftError`].
    pub fn draft(&mut self, intent: &Intent, rng: &mut impl RngCore) -> Result<Unchecked<Psbt>, DraftError> {
        let account = self.map().network();
        if intent.network() != account {
            return Err(DraftError::WrongNetwork { intent: intent.network(), account });
        }
        let chosen = self.choose(intent)?;
        let mut psbt = self.build(intent, chosen, rng)?;
        self.free_change_address(&psbt);
        attach_previous(&mut psbt, |txid| self.transaction(txid));
        check_size(&psbt)?;
        Ok(Unchecked::built_here(psbt))
    }

    /// Confirmed coins, if they suffice; else these and unconfirmed change of our own.
    ///
    /// # Errors
    /// [`DraftError`], of all of them.
    fn choose(&self, intent: &Intent) -> Result<Chosen, DraftError> {
        let spendable = |coin: &&OwnedCoin| !self.is_reserved(&coin.outpoint);
        let candidate = |coin: &OwnedCoin| Candidate { outpoint: coin.outpoint, value: coin.txout.value };
        let of = |wanted: fn(CoinState) -> bool| {
            self.coins().filter(spendable).filter(move |coin| wanted(coin.state)).map(candidate)
        };
        let confirmed = |state| matches!(state, CoinState::Confirmed { .. });
        let trusted = |state| matches!(state, CoinState::Confirmed { .. } | CoinState::Trusted);
        let chosen = match intent.is_drain() {
            true => Chosen::all(self, intent, of(trusted)),
            false => {
                Chosen::few(self, intent, of(confirmed)).or_else(|_| Chosen::few(self, intent, of(trusted)))
            }
        };
        chosen.map_err(DraftError::from)
    }

    /// Hands what was chosen to bdk, which writes the PSBT.
    ///
    /// # Errors
    /// [`DraftError::Build`].
    fn build(&mut self, intent: &Intent, chosen: Chosen, rng: &mut impl RngCore) -> Result<Psbt, DraftError> {
        let failed = |error: &dyn core::fmt::Display| DraftError::Build(error.to_string());
        let coins = chosen.coins.clone();
        let mut builder = self.wallet_mut().build_tx().coin_selection(chosen);
        builder
            .manually_selected_only()
            // The previous transactions are put in afterwards.
            .only_witness_utxo()
            // The members' branch has no lock of its own, in both kinds of account.
            .set_condition(Condition { csv: None, timelock: None });
        builder.add_utxos(&coins).map_err(|error| failed(&error))?;
        if intent.is_drain() {
            builder.drain_to(intent.recipients()[0].script());
        } else {
            let to = |to: &Recipient| (to.script(), to.amount);
            builder.set_recipients(intent.recipients().iter().map(to).collect());
        }
        builder.finish_with_aux_rand(rng).map_err(|error| failed(&error))
    }

    fn free_change_address(&mut self, psbt: &Psbt) {
        for output in &psbt.unsigned_tx.output {
            if let Some((Keychain::Internal, index)) = self.owner_of(&output.script_pubkey) {
                self.wallet_mut().unmark_used(kind(Keychain::Internal), index);
            }
        }
    }
}

fn check_size(psbt: &Psbt) -> Result<(), DraftError> {
    let bytes = psbt.serialize().len();
    if bytes > MAX_PSBT_BYTES {
        return Err(DraftError::TooLarge { bytes });
    }
    Ok(())
}

/// The coins of a payment and what is left over, for bdk: it chooses nothing, and adds nothing to the fee.
#[derive(Debug)]
struct Chosen {
    coins: Vec<OutPoint>,
    /// For the change address; for the recipient where the account is emptied.
    left: Option<Amount>,
}

impl Chosen {
    /// The cheapest coins for a payment.
    fn few(
        ledger: &Ledger,
        intent: &Intent,
        coins: impl Iterator<Item = Candidate>,
    ) -> Result<Self, Shortage> {
        let selection = Demand::new(ledger.map(), intent).select(coins)?;
        Ok(Self { coins: selection.coins, left: selection.change })
    }

    /// All of them, for the one recipient.
    fn all(
        ledger: &Ledger,
        intent: &Intent,
        coins: impl Iterator<Item = Candidate>,
    ) -> Result<Self, Shortage> {
        let least = intent.recipients()[0].script().minimal_non_dust();
        let (coins, left) = Demand::new(ledger.map(), intent).drain(coins, least)?;
        Ok(Self { coins, left: Some(left) })
    }
}

impl CoinSelectionAlgorithm for Chosen {
    fn coin_select<R: RngCore>(
        &self,
        required: Vec<WeightedUtxo>,
        _: Vec<WeightedUtxo>,
        _: FeeRate,
        target: Amount,
        _: &Script,
        _: &mut R,
    ) -> Result<CoinSelectionResult, InsufficientFunds> {
        let selected: Vec<_> = required.into_iter().map(|coin| coin.utxo).collect();
        let excess = match self.left {
            Some(amount) => Excess::Change { amount, fee: Amount::ZERO },
            None => Excess::NoChange {
                dust_threshold: Amount::ZERO,
                remaining_amount: Amount::ZERO,
                change_fee: Amount::ZERO,
            },
        };
        Ok(CoinSelectionResult { selected, fee_amount: target, excess })
    }
}

impl From<Shortage> for DraftError {
    fn from(shortage: Shortage) -> Self {
        match shortage {
            Shortage::Funds { needed, available } => Self::InsufficientFunds { needed, available },
            Shortage::Inputs { needed, most } => Self::TooManyInputs { inputs: needed, most },
        }
    }
}
