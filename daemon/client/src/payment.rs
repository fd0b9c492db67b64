//! Paying: the pod drafts, the device checks, a person approves, P signs.
//!
//! ```text
//! wish ─► pod drafts ─► Unchecked<Psbt> ─ check against own map and the wish ─► shown ─ approve ─► signed by P ─► pod
//! ```
//!
//! What is checked is what is shown, and what is shown is what is signed: [`CheckedDraft`] holds the one copy.
//! [`approval`](super::approval) goes on from there.

use autonomy_wallet::{
    account::{AccountId, Keychain},
    check::{DeviceView, Proposal, Summary, Unchecked},
    payment::MIN_FEE_RATE,
    policy::Policy,
};

use super::{Device, DeviceError, Distrust, ceremony::own_index, profile::HeldAccount};
use autonomy_api::{NewPayment, Payment, PaymentId, PaymentState};

/// Receive addresses that the pod may say were given out, for recognising coins to spend: other devices ask for
/// addresses too. A year of one every five minutes. The word counts for one check only. It is never remembered: it
/// would move the place up to which this device takes receive addresses, and coins beyond it might not be found again.
const MAX_TOLD_ADDRESSES: u32 = 100_000;

/// A draft that this device has checked, ready to be shown.
///
/// It is signed by [`Device::approve`] as it is, or given up by [`Device::give_up`]; dropped, it holds its coins at the pod
/// for a day.
pub struct CheckedDraft {
    /// As this device checked it; of the pod's words only its id and time.
    pub(super) payment: Payment,
    pub(super) proposal: Proposal,
    pub(super) account: AccountId,
    pub(super) epoch: u64,
}

impl CheckedDraft {
    /// The pod's id of the payment.
    pub fn id(&self) -> PaymentId {
        self.payment.id
    }

    /// The account that would pay.
    pub fn account(&self) -> AccountId {
        self.account
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
        wish: &NewPayment,
    ) -> Result<CheckedDraft, DeviceError> {
        let held = self.held(account)?;
        let map = held.map.clone();
        map.check_own(&self.own_member(own_index(&map)?, "pay")?)?;
        // The wish must be sound by itself before anyone is asked: with any rate, here the lowest.
        wish.intent(map.network(), MIN_FEE_RATE)?;
        let epoch = self.status().await?.state_epoch;
        let reported = self.account(account).await?.reported;
        let payment = self.pod.draft_payment(account, wish).await?;
        match self.check(account, wish, &payment, reported.revealed) {
            Ok(proposal) => {
                let payment = checked(&payment, wish, proposal.summary());
                Ok(CheckedDraft { payment, proposal, account: *account, epoch })
            }
            Err(error) => {
                self.give_up(&payment.id).await;
                Err(error)
            }
        }
    }

    /// Takes up a draft that was made before, by this device or another, and checks it as a fresh one. What it pays is the
    /// pod's word until a person has looked at it: of the wish only the draft is left.
    ///
    /// # Errors
    /// [`DeviceError::NotADraft`] for what is signed, cancelled or lapsed; [`Distrust::Payment`] as for a fresh one.
    pub async fn resume(&mut self, id: &PaymentId) -> Result<CheckedDraft, DeviceError> {
        let epoch = self.status().await?.state_epoch;
        let payment = self.pod.payment(id).await?;
        if payment.id != *id {
            return Err(Distrust::AnotherPayment { reported: payment.id }.into());
        }
        if payment.state != PaymentState::Draft {
            return Err(DeviceError::NotADraft { payment: *id, state: payment.state });
        }
        let account = payment.account;
        let held = self.held(&account)?;
        held.map.check_own(&self.own_member(own_index(&held.map)?, "pay")?)?;
        let revealed = self.account(&account).await?.reported.revealed;
        let wish = NewPayment {
            recipients: payment.recipients.clone(),
            fee_rate: Some(payment.fee_rate),
            note: payment.note.clone(),
        };
        let proposal = self.check(&account, &wish, &payment, revealed)?;
        let payment = checked(&payment, &wish, proposal.summary());
        Ok(CheckedDraft { payment, proposal, account, epoch })
    }

    fn held(&self, account: &AccountId) -> Result<&HeldAccount, DeviceError> {
        let held = self.profile.account(account);
        held.ok_or_else(|| DeviceError::UnknownAccount { id: account.to_string() })
    }

    fn check(
        &self,
        account: &AccountId,
        wish: &NewPayment,
        payment: &Payment,
        revealed: u32,
    ) -> Result<Proposal, DeviceError> {
        let held = self.held(account)?;
        let bytes = payment.psbt.as_deref().ok_or(Distrust::NoDraft)?;
        let intent = wish.intent(held.map.network(), payment.fee_rate)?;
        let mut view: DeviceView = held.view;
        if let Some(last) = revealed.min(MAX_TOLD_ADDRESSES).checked_sub(1) {
            view.learn(Keychain::External, last);
        }
        let unchecked = Unchecked::from_bytes(bytes).map_err(Distrust::Payment)?;
        let proposal = unchecked.check(&held.map, &view, &self.policy(), Some(&intent));
        Ok(proposal.map_err(Distrust::Payment)?)
    }

    /// What every payment is held against before P signs it.
    fn policy(&self) -> Policy {
        Policy::STANDARD
    }

    /// Gives up a draft at the pod, which frees its coins. It lapses by itself where the pod cannot be told.
    pub async fn give_up(&self, payment: &PaymentId) {
        let _ = self.pod.cancel_payment(payment).await;
    }
}

/// The payment in this device's own words: the checker has found the wish in the draft, exactly. Of the pod's words only
/// the id and the time of drafting are taken: a receipt shows nothing that was not checked here.
fn checked(reported: &Payment, wish: &NewPayment, summary: &Summary) -> Payment {
    Payment {
        id: reported.id,
        account: summary.account,
        state: PaymentState::Draft,
        recipients: wish.recipients.clone(),
        fee: summary.fee,
        fee_rate: summary.fee_rate(),
        txid: summary.txid,
        psbt: None,
        note: wish.note.clone(),
        created_at: reported.created_at,
        confirmed_height: None,
        confirmations: 0,
        estimated_minutes: None,
        detail: None,
    }
}

impl std::fmt::Debug for CheckedDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckedDraft").field("payment", &self.payment.id).finish_non_exhaustive()
    }
}
