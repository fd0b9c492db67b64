//! Paying: the pod drafts, the device checks, a person approves, P signs.
//!
//! ```text
//! wish ─► pod drafts ─► Unchecked<Psbt> ─ check against own map and the wish ─► shown ─ approve ─► signed by P ─► pod
//! ```
//!
//! What is checked is what is shown, and what is shown is what is signed: [`CheckedDraft`] holds the one copy.

use autonomy_wallet::{
    account::{AccountId, Keychain},
    bitcoin::{Amount, FeeRate},
    check::{DeviceView, Owner, Proposal, Summary, Unchecked},
    payment::{Intent, IntentError, parse_address},
    policy::FeeLimits,
};
use data_encoding::BASE64;

use super::{CallError, Device, DeviceError, Distrust, printable};
use crate::api::types::{ApprovePayment, NewPayment, Payment, PaymentState, Recipient};

/// Receive addresses that the pod's word may add to those this device knows, for recognising coins to spend. A wrong
/// word costs nothing: spending from an address far out loses no coin. A year of an address every five minutes.
const MAX_TOLD_ADDRESSES: u32 = 100_000;

/// Satoshi for 1,000 weight units in a satoshi for a virtual byte (4 units).
const KWU_PER_VB: f64 = 250.0;

/// What the owner wants paid.
#[derive(Debug, Clone)]
pub struct PaymentWish {
    /// Whom and how much.
    pub recipients: Vec<Recipient>,
    /// Satoshi a virtual byte; the pod's estimate where absent.
    pub fee_rate: Option<f64>,
    /// A word for the owner's own memory.
    pub note: Option<String>,
}

/// A draft that this device has checked, ready to be shown.
pub struct CheckedDraft {
    payment: Payment,
    proposal: Proposal,
    account: AccountId,
    epoch: u64,
}

impl CheckedDraft {
    /// The pod's id of the payment.
    pub fn id(&self) -> &str {
        &self.payment.id
    }

    /// What would be signed, as this device parsed it itself.
    pub fn summary(&self) -> &Summary {
        self.proposal.summary()
    }
}

impl Device {
    /// Has the pod draft a payment, and checks the draft against this device's own map and the wish.
    ///
    /// A draft that fails the check is given up at the pod too.
    ///
    /// # Errors
    /// [`Distrust::Payment`] with the rule that was broken; nothing was signed.
    pub async fn draft(
        &mut self,
        account: &AccountId,
        wish: &PaymentWish,
    ) -> Result<CheckedDraft, DeviceError> {
        let held = self
            .profile
            .account(account)
            .ok_or_else(|| DeviceError::UnknownAccount { id: account.to_string() })?;
        let map = held.map.clone();
        map.check_own(self.payment_key(map.account(), "pay")?.public())?;
        // The wish must be sound by itself before anyone is asked: with any rate, here the lowest.
        intent(wish, wish.fee_rate.unwrap_or(1.0), map.network())?;
        let epoch = self.status().await?.state_epoch;
        let told = self.account(account).await?.told;
        let new = NewPayment {
            recipients: wish.recipients.clone(),
            fee_rate: wish.fee_rate,
            note: wish.note.clone(),
        };
        let payment = self.pod.draft_payment(&account.to_string(), &new).await?;
        match self.check(account, wish, &payment, told.revealed) {
            Ok(proposal) => Ok(CheckedDraft { payment, proposal, account: *account, epoch }),
            Err(error) => {
                self.give_up(&payment.id).await;
                Err(error)
            }
        }
    }

    fn check(
        &self,
        account: &AccountId,
        wish: &PaymentWish,
        payment: &Payment,
        revealed: u32,
    ) -> Result<Proposal, DeviceError> {
        let held = self
            .profile
            .account(account)
            .ok_or_else(|| DeviceError::UnknownAccount { id: account.to_string() })?;
        let text = payment.psbt.as_deref().ok_or(Distrust::NoDraft)?;
        let intent = intent(wish, wish.fee_rate.unwrap_or(payment.fee_rate), held.map.network())?;
        let mut view: DeviceView = held.view;
        if let Some(last) = revealed.min(MAX_TOLD_ADDRESSES).checked_sub(1) {
            view.learn(Keychain::External, last);
        }
        let unchecked = Unchecked::from_base64(text).map_err(Distrust::Payment)?;
        let proposal = unchecked.check(&held.map, &view, &FeeLimits::default(), Some(&intent));
        Ok(proposal.map_err(Distrust::Payment)?)
    }

    /// Signs what was shown with P, and hands it to the pod, which checks again and signs with G.
    ///
    /// # Errors
    /// The pod's refusal, or [`Distrust::AnotherTransaction`] when its answer is about something else.
    pub async fn approve(&mut self, draft: CheckedDraft) -> Result<Payment, DeviceError> {
        let CheckedDraft { payment, proposal, account, epoch } = draft;
        let summary = proposal.summary().clone();
        let held = self
            .profile
            .account(&account)
            .ok_or_else(|| DeviceError::UnknownAccount { id: account.to_string() })?;
        let key = self.payment_key(held.map.account(), "pay")?;
        self.profile.learn(&account, &addresses_in(&summary))?;
        let approved = proposal.approve(&summary.digest()).map_err(Distrust::Payment)?;
        let signed = approved.sign(&key).map_err(Distrust::Payment)?;
        let psbt = BASE64.encode(&signed.to_bytes());
        let approval = ApprovePayment { psbt, state_epoch: epoch.max(self.profile.state_epoch()) };
        let answer = self.pod.approve_payment(&payment.id, &approval).await?;
        if answer.txid != summary.txid.to_string() {
            let told = printable(&answer.txid);
            return Err(Distrust::AnotherTransaction { approved: summary.txid, told }.into());
        }
        // The debit moved the pod's state on; a pod that forgets it later is found out.
        match self.status().await {
            Ok(_) | Err(DeviceError::Call(_)) => Ok(answer),
            Err(error) => Err(error),
        }
    }

    /// Gives up a draft at the pod, which frees its coins. It lapses by itself where the pod cannot be told.
    pub async fn give_up(&self, payment: &str) {
        let _ = self.pod.cancel_payment(payment).await;
    }

    /// Waits until a payment is past `Signed`: the network has it, or has refused it. Gives it as it is after `limit`.
    ///
    /// # Errors
    /// As any call.
    pub async fn follow_payment(&self, id: &str, limit: std::time::Duration) -> Result<Payment, CallError> {
        let pause = std::time::Duration::from_millis(500);
        let mut waited = std::time::Duration::ZERO;
        loop {
            let payment = self.pod.payment(id).await?;
            if payment.state != PaymentState::Signed || waited >= limit {
                return Ok(payment);
            }
            tokio::time::sleep(pause).await;
            waited += pause;
        }
    }
}

/// Addresses of ours that a payment shows to be in use: those it spends from, and its change.
fn addresses_in(summary: &Summary) -> Vec<(Keychain, u32)> {
    let spent = summary.inputs.iter().map(|input| (input.keychain, input.index));
    let change = summary.outputs.iter().filter_map(|output| match output.owner {
        Owner::Own { keychain, index } => Some((keychain, index)),
        Owner::Other => None,
    });
    spent.chain(change).collect()
}

/// The wish as the checker compares it.
fn intent(
    wish: &PaymentWish,
    rate: f64,
    network: autonomy_wallet::bitcoin::Network,
) -> Result<Intent, IntentError> {
    let recipients = wish.recipients.iter().enumerate().map(|(recipient, to)| {
        let address = parse_address(&to.address).map_err(|_| IntentError::NotAnAddress { recipient })?;
        Ok((address, Amount::from_sat(to.amount_sat)))
    });
    let recipients: Vec<_> = recipients.collect::<Result<_, IntentError>>()?;
    Intent::pay(network, recipients, fee_rate(rate))
}

/// Rounded up to what the wallet counts in. Nonsense becomes zero, which the intent refuses.
fn fee_rate(sat_per_vb: f64) -> FeeRate {
    let units = (sat_per_vb * KWU_PER_VB).ceil();
    // A cast of a float saturates, and not-a-number becomes zero.
    FeeRate::from_sat_per_kwu(units as u64)
}

impl std::fmt::Debug for CheckedDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckedDraft").field("payment", &self.payment.id).finish_non_exhaustive()
    }
}
