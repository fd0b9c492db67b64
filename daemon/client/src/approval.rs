//! From a checked draft to a payment that both have signed, and what is known of it when answers get lost.
//!
//! Once P's signature has left this device, no error may read as "nothing happened": whoever believes that pays twice.
//! So a lost answer is followed by a question, and what stays unknown is [`DeviceError::MaybePaid`].

use std::time::Duration;

use autonomy_wallet::{
    account::Keychain,
    check::{CheckRefusal, DeviceView, Owner, Summary},
};

use super::{
    CallError, CheckedDraft, Device, DeviceError, Distrust, Unsettled, ceremony::own_index,
    device::within_reach, profile::InUse,
};
use autonomy_api::{ApprovePayment, Payment, PaymentState, PsbtBytes};

/// Pauses before the pod is asked what became of an approval: a circuit that broke is built again within seconds.
const ASKED_AFTER: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// Time for all these questions.
const ASKED_WITHIN: Duration = Duration::from_secs(120);

/// Pause between two looks at a payment that is followed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A payment that device and pod have signed.
#[derive(Debug)]
pub struct Paid {
    /// Whom, how much, fee and transaction are as this device checked them; where the payment stands is the pod's word.
    pub payment: Payment,
    /// The pod has signed, and does something since that its owner should look at.
    pub warning: Option<DeviceError>,
}

impl Device {
    /// Signs what was shown with P, and hands it to the pod, which checks again and signs with G.
    ///
    /// What is signed is remembered before it leaves, and until the network is said to have it: a pod that calls it failed may
    /// send it all the same. When the answer is lost, the pod is asked what became of the payment. A draft that was not signed
    /// is given up.
    ///
    /// # Errors
    /// [`DeviceError::PaidBefore`], see [`CheckedDraft::earlier`]; the pod's refusal when it holds the payment unsigned; [`DeviceError::MaybePaid`] when it may have signed.
    pub async fn approve(&mut self, draft: CheckedDraft) -> Result<Paid, DeviceError> {
        let (id, account) = (draft.id(), draft.account());
        let (ours, approval) = match self.sign(draft) {
            Ok(signed) => signed,
            Err(error) => {
                // Where the pod is not reached, the draft lapses by itself.
                let _ = self.give_up(&id).await;
                return Err(error);
            }
        };
        let payment = match self.pod.approve_payment(&id, &approval).await {
            Ok(reported) => ours.signed(&reported).map_err(|cause| ours.maybe_paid(cause))?,
            Err(error) if never_left(&error) => {
                self.profile.settle_payment(&account, &ours.0.txid)?;
                return Err(error.into());
            }
            Err(error) => self.what_became_of(&ours, error).await?,
        };
        self.settle(&payment);
        // The debit moved the pod's state on: a pod that forgets it later is found out.
        let warning = self.status().await.err().filter(|error| !matches!(error, DeviceError::Call(_)));
        Ok(Paid { payment, warning })
    }

    /// Signs, and remembers it. Nothing has left this device yet.
    fn sign(&mut self, draft: CheckedDraft) -> Result<(Ours, ApprovePayment), DeviceError> {
        draft.check_earlier()?;
        let CheckedDraft { payment, proposal, account, epoch, told, .. } = draft;
        let summary = proposal.summary().clone();
        let held = self
            .profile
            .account(&account)
            .ok_or_else(|| DeviceError::UnknownAccount { id: account.to_string() })?;
        let key = self.payment_key(own_index(&held.map)?, "pay")?;
        let used = in_use(&summary, &held.view);
        let approved = proposal.approve(&summary.digest()).map_err(Distrust::Payment)?;
        let signed = approved.sign(&key).map_err(Distrust::Payment)?;
        let psbt = to_send(signed.to_bytes())?;
        self.profile.begin_payment(&account, unsettled(&payment, &summary), &used, &told)?;
        let approval = ApprovePayment { psbt, state_epoch: epoch.max(self.profile.state_epoch()) };
        Ok((Ours(payment), approval))
    }

    /// Takes note of how a signed payment stands: what the network has is forgotten. Where that cannot be written down, the
    /// next payment asks the pod about it.
    fn settle(&mut self, Payment { account, txid, state, .. }: &Payment) {
        let _ = match is_in_network(*state) {
            true => self.profile.settle_payment(account, txid),
            false => self.profile.payment_answered(account, txid),
        };
    }

    async fn what_became_of(&self, ours: &Ours, error: CallError) -> Result<Payment, DeviceError> {
        let asked = self.ask_for(ours, &error);
        match tokio::time::timeout(ASKED_WITHIN, asked).await.unwrap_or(Ok(Fate::Unknown))? {
            Fate::Signed(payment) => Ok(*payment),
            Fate::NotSigned => Err(error.into()),
            Fate::Unknown => Err(ours.maybe_paid(error)),
        }
    }

    async fn ask_for(&self, ours: &Ours, error: &CallError) -> Result<Fate, DeviceError> {
        let said_no =
            matches!(error, CallError::Refused { .. } | CallError::NotAdmitted { .. } | CallError::WrongPod);
        for pause in ASKED_AFTER {
            tokio::time::sleep(pause).await;
            match self.pod.payment(&ours.0.id).await {
                Ok(reported) => {
                    let payment = ours.standing(&reported).map_err(|cause| ours.maybe_paid(cause))?;
                    match is_signed(payment.state) {
                        true => return Ok(Fate::Signed(Box::new(payment))),
                        // It said no, and says now that it did not sign.
                        false if said_no => return Ok(Fate::NotSigned),
                        // The approval may still be on its way.
                        false => {}
                    }
                }
                Err(again) if said_no && again == *error => return Ok(Fate::NotSigned),
                Err(_) => {}
            }
        }
        Ok(Fate::Unknown)
    }

    /// Waits until a payment is past `Signed`: the network has it, or the pod calls it failed. Gives it as it is after `limit`.
    ///
    /// # Errors
    /// A call's own, which changes nothing about the payment; [`DeviceError::MaybePaid`] when the pod answers about
    /// another transaction, or takes its signature back.
    pub async fn follow_payment(&mut self, paid: &Payment, limit: Duration) -> Result<Payment, DeviceError> {
        let ours = Ours(paid.clone());
        let mut waited = Duration::ZERO;
        loop {
            let reported = self.pod.payment(&paid.id).await?;
            let payment = ours.signed(&reported).map_err(|cause| ours.maybe_paid(cause))?;
            if payment.state != PaymentState::Signed || waited >= limit {
                self.settle(&payment);
                return Ok(payment);
            }
            tokio::time::sleep(LOOK_EVERY).await;
            waited += LOOK_EVERY;
        }
    }
}

/// What is remembered of a payment until the network has it.
fn unsettled(payment: &Payment, summary: &Summary) -> Unsettled {
    Unsettled {
        payment: payment.id,
        txid: summary.txid,
        inputs: summary.inputs.iter().map(|input| input.outpoint).collect(),
        recipients: payment.recipients.clone(),
        answered: false,
    }
}

fn to_send(signed: Vec<u8>) -> Result<PsbtBytes, Distrust> {
    let bytes = signed.len();
    PsbtBytes::new(signed).map_err(|_| Distrust::Payment(CheckRefusal::TooLarge(bytes)))
}

/// What a question about a lost approval brought.
enum Fate {
    Signed(Box<Payment>),
    NotSigned,
    Unknown,
}

/// A payment as this device checked it.
struct Ours(Payment);

impl Ours {
    /// Our words, with the pod's about where the payment stands.
    fn standing(&self, reported: &Payment) -> Result<Payment, Distrust> {
        if reported.id != self.0.id {
            return Err(Distrust::AnotherPayment { reported: reported.id });
        }
        if reported.txid != self.0.txid {
            return Err(Distrust::AnotherTransaction { approved: self.0.txid, reported: reported.txid });
        }
        Ok(Payment {
            state: reported.state,
            confirmed_height: reported.confirmed_height,
            confirmations: reported.confirmations,
            estimated_minutes: reported.estimated_minutes,
            detail: reported.detail.clone(),
            ..self.0.clone()
        })
    }

    /// The same once the pod has said that it signed.
    fn signed(&self, reported: &Payment) -> Result<Payment, Distrust> {
        let payment = self.standing(reported)?;
        if is_signed(payment.state) { Ok(payment) } else { Err(Distrust::TakenBack) }
    }

    fn maybe_paid(&self, cause: impl Into<DeviceError>) -> DeviceError {
        let cause = Box::new(cause.into());
        DeviceError::MaybePaid { payment: self.0.id, txid: self.0.txid, cause }
    }
}

pub(super) fn is_signed(state: PaymentState) -> bool {
    !matches!(state, PaymentState::Draft | PaymentState::Cancelled)
}

/// Whether the pod says that the network has it: that can be looked up elsewhere.
pub(super) fn is_in_network(state: PaymentState) -> bool {
    matches!(state, PaymentState::Seen | PaymentState::Confirmed)
}

/// Errors that come before anything is sent.
fn never_left(error: &CallError) -> bool {
    matches!(error, CallError::Unreachable { never_sent: true, .. } | CallError::BadRequest { .. })
}

/// Addresses of ours that a payment shows to be in use: those it spends from, and its change. A receive address
/// beyond reach is left out: a pod that makes up a coin there must not move the place where this device looks.
fn in_use(summary: &Summary, view: &DeviceView) -> InUse {
    let spent = summary.inputs.iter().map(|input| (input.keychain, input.index));
    let change = summary.outputs.iter().filter_map(|output| match output.owner {
        Owner::Own { keychain, index } => Some((keychain, index)),
        Owner::Other => None,
    });
    let has_change = change.clone().any(|(keychain, _)| keychain == Keychain::Internal);
    let near = |(keychain, index): &(Keychain, u32)| {
        *keychain == Keychain::Internal || within_reach(view.external, *index)
    };
    InUse { addresses: spent.chain(change).filter(near).collect(), has_change }
}
