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
    bitcoin::Txid,
    check::{DeviceView, Proposal, Summary, Unchecked},
    payment::MIN_FEE_RATE,
    policy::Policy,
};

use super::{
    CallError, Device, DeviceError, Distrust, Unsettled, approval::is_in_network, ceremony::own_index,
    profile::HeldAccount,
};
use autonomy_api::{NewPayment, Payment, PaymentId, PaymentState, Recipient};

/// Receive addresses that the pod may say were given out, for recognising coins to spend: other devices ask for
/// addresses too. A year of one every five minutes. The word counts for one check only. It is never remembered: it
/// would move the place up to which this device takes receive addresses, and coins beyond it might not be found again.
const MAX_TOLD_ADDRESSES: u32 = 100_000;

/// Change addresses that the pod may say were in use, until this device has signed change for a map that was imported: it, or
/// the one before it, may have paid before. Three payments a day for ten years.
const MAX_TOLD_CHANGE: u32 = 10_000;

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
    pub(super) earlier: Vec<Earlier>,
    /// Earlier payments that are forgotten once this one is signed, since their owner knows what became of them.
    pub(super) told: Vec<Txid>,
}

/// A payment that this device signed earlier, and that this one would be paid beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// What was signed.
    pub signed: Unsettled,
    /// Whether the pod says that it signed too, and sent it. If not, whoever has P's signature can still send it.
    pub sent: bool,
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

    /// Who would be paid, and how much: as it was checked.
    pub fn recipients(&self) -> &[Recipient] {
        &self.payment.recipients
    }

    /// What would be signed, as this device parsed it itself.
    pub fn summary(&self) -> &Summary {
        self.proposal.summary()
    }

    /// Payments that may be the same wish, paid a second time: signed here, not yet known to be in the network, and excluded
    /// by none of this one's coins. Those that the pod says were sent are among them where they pay the same recipients.
    pub fn earlier(&self) -> &[Earlier] {
        &self.earlier
    }

    /// The same draft, once its owner has seen the [earlier payments](Self::earlier) and wants this one besides.
    #[must_use]
    pub fn besides(self) -> Self {
        Self { earlier: Vec::new(), ..self }
    }

    /// # Errors
    /// [`DeviceError::PaidBefore`] where the owner was not asked.
    pub(super) fn check_earlier(&self) -> Result<(), DeviceError> {
        let Some(Earlier { signed, sent }) = self.earlier.first() else { return Ok(()) };
        Err(DeviceError::PaidBefore { payment: signed.payment, txid: signed.txid, sent: *sent })
    }
}

/// What a check takes on the pod's word, for this once.
struct Told {
    /// State epoch.
    epoch: u64,
    /// Height of the chain's tip.
    height: u32,
    /// Receive addresses given out.
    revealed: u32,
    /// Change addresses used.
    change: u32,
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
        let told = self.told(account).await?;
        let payment = self.pod.draft_payment(account, wish).await?;
        match self.check(account, wish, &payment, &told) {
            Ok(proposal) => {
                let payment = checked(&payment, wish, proposal.summary());
                Ok(self.beside_earlier(payment, proposal, told.epoch).await)
            }
            Err(error) => {
                // Where the pod is not reached, the draft lapses by itself.
                let _ = self.give_up(&payment.id).await;
                Err(error)
            }
        }
    }

    async fn told(&mut self, account: &AccountId) -> Result<Told, DeviceError> {
        let status = self.status().await?;
        let reported = self.account(account).await?.reported;
        let (epoch, height) = (status.state_epoch, status.chain.height);
        Ok(Told { epoch, height, revealed: reported.revealed, change: reported.change })
    }

    /// Takes up a draft that was made before, by this device or another, and checks it as a fresh one. What it pays is the
    /// pod's word until a person has looked at it: of the wish only the draft is left.
    ///
    /// # Errors
    /// [`DeviceError::NotADraft`] for what is signed, cancelled or lapsed; [`Distrust::Payment`] as for a fresh one.
    pub async fn resume(&mut self, id: &PaymentId) -> Result<CheckedDraft, DeviceError> {
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
        let told = self.told(&account).await?;
        let wish = NewPayment {
            recipients: payment.recipients.clone(),
            fee_rate: Some(payment.fee_rate),
            note: payment.note.clone(),
        };
        let proposal = self.check(&account, &wish, &payment, &told)?;
        let payment = checked(&payment, &wish, proposal.summary());
        Ok(self.beside_earlier(payment, proposal, told.epoch).await)
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
        told: &Told,
    ) -> Result<Proposal, DeviceError> {
        let held = self.held(account)?;
        let bytes = payment.psbt.as_deref().ok_or(Distrust::NoDraft)?;
        let intent = wish.intent(held.map.network(), payment.fee_rate)?;
        let mut view: DeviceView = held.view;
        // A payment that could be sent only later than now would look lost, and be made again.
        view.height = Some(told.height);
        if let Some(last) = told.revealed.min(MAX_TOLD_ADDRESSES).checked_sub(1) {
            view.learn(Keychain::External, last);
        }
        if let Some(last) = told.change.min(MAX_TOLD_CHANGE).checked_sub(1).filter(|_| held.imported) {
            view.learn(Keychain::Internal, last);
        }
        let unchecked = Unchecked::from_bytes(bytes).map_err(Distrust::Payment)?;
        let proposal = unchecked.check(&held.map, &view, &self.policy(), Some(&intent));
        Ok(proposal.map_err(Distrust::Payment)?)
    }

    /// The draft with the payments of unknown outcome that it does not exclude. Of those that the pod says were sent, only
    /// what has the same recipients is told; it is forgotten once its owner has paid besides.
    async fn beside_earlier(&self, payment: Payment, proposal: Proposal, epoch: u64) -> CheckedDraft {
        let (account, summary) = (payment.account, proposal.summary());
        let unsettled = self.profile.account(&account).map(|held| held.unsettled.clone());
        let excluded =
            |signed: &Unsettled| summary.inputs.iter().any(|input| signed.inputs.contains(&input.outpoint));
        let (mut earlier, mut told) = (Vec::new(), Vec::new());
        for signed in unsettled.unwrap_or_default().into_iter().filter(|signed| !excluded(signed)) {
            let state = self.standing(&signed).await;
            let sent = state.is_some_and(|state| state == PaymentState::Signed || is_in_network(state));
            let same = signed.recipients == payment.recipients;
            // What is only signed may yet be called failed, so it is not forgotten.
            let is_told = match state {
                Some(PaymentState::Seen | PaymentState::Confirmed) => same || signed.answered,
                Some(PaymentState::Failed) => same,
                _ => false,
            };
            if is_told {
                told.push(signed.txid);
            }
            if same || !sent {
                earlier.push(Earlier { signed, sent });
            }
        }
        CheckedDraft { payment, proposal, account, epoch, earlier, told }
    }

    /// How the pod says that this very payment stands; none where it tells nothing of it. A failed one may still be sent by
    /// others.
    async fn standing(&self, signed: &Unsettled) -> Option<PaymentState> {
        let reported = self.pod.payment(&signed.payment).await.ok()?;
        (reported.id == signed.payment && reported.txid == signed.txid).then_some(reported.state)
    }

    /// What every payment is held against before P signs it.
    fn policy(&self) -> Policy {
        Policy::STANDARD
    }

    /// Gives up a draft at the pod, which frees its coins. It lapses by itself within a day where the pod cannot be told.
    ///
    /// # Errors
    /// The call's own: the draft may hold its coins still, or be signed.
    pub async fn give_up(&self, payment: &PaymentId) -> Result<(), CallError> {
        self.pod.cancel_payment(payment).await
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
