//! The first draft of a payment: a PSBT before any check.

use bdk_wallet::descriptor::policy::Condition;
use bdk_wallet::error::CreateTxError;
use rand_core::RngCore;

use super::{Intent, Recipient};
use crate::account::Keychain;
use crate::bitcoin::{Amount, Network, Psbt};
use crate::check::{MAX_INPUTS, MAX_PSBT_BYTES, Unchecked};
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
        /// Confirmed coins and own change, less reserved ones.
        available: Amount,
    },
    /// The account's coins are too many and too small for one transaction.
    #[error("the payment needs {inputs} coins, one transaction takes {MAX_INPUTS}; pay less, or in parts")]
    TooManyInputs {
        /// Coins needed.
        inputs: usize,
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
    /// Builds the PSBT of a payment: coins chosen, change added, full previous transactions included, replaceable
    /// (BIP-125), not valid below the current height (against fee sniping).
    ///
    /// It is [`Unchecked`] like any other: whoever built it, the checker decides. Untrusted unconfirmed coins
    /// and [reserved](Ledger::reserve) ones are left alone. `rng` orders inputs and outputs.
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
        let untrusted = |coin: &&OwnedCoin| coin.state == CoinState::Untrusted;
        let unspendable = self.coins().filter(untrusted).map(|coin| coin.outpoint).collect();
        let mut builder = self.wallet_mut().build_tx();
        builder
            .fee_rate(intent.fee_rate())
            .unspendable(unspendable)
            // The members' branch has no lock of its own, in both kinds of account.
            .set_condition(Condition { csv: None, timelock: None });
        if intent.is_drain() {
            builder.drain_wallet().drain_to(intent.recipients()[0].script());
        } else {
            let to = |to: &Recipient| (to.script(), to.amount);
            builder.set_recipients(intent.recipients().iter().map(to).collect());
        }
        let psbt = builder.finish_with_aux_rand(rng).map_err(draft_error)?;
        self.free_change_address(&psbt);
        check_size(&psbt)?;
        Ok(Unchecked::built_here(psbt))
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
    let inputs = psbt.inputs.len();
    if inputs > MAX_INPUTS {
        return Err(DraftError::TooManyInputs { inputs });
    }
    let bytes = psbt.serialize().len();
    if bytes > MAX_PSBT_BYTES {
        return Err(DraftError::TooLarge { bytes });
    }
    Ok(())
}

fn draft_error(error: CreateTxError) -> DraftError {
    match error {
        CreateTxError::CoinSelection(short) => {
            DraftError::InsufficientFunds { needed: short.needed, available: short.available }
        }
        other => DraftError::Build(other.to_string()),
    }
}
