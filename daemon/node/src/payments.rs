//! Payments: built here, checked and signed by the device, checked again and signed here, sent.
//!
//! The order that matters: the row that says *signed* (the debit) is committed before the signature leaves the
//! pod, since effects and replies come after the commit. From then on the transaction is sent until the network
//! has it or refuses it.

use autonomy_wallet::{
    account::{AccountId, MemberLabel},
    bitcoin::{Amount, FeeRate, Network, OutPoint, Transaction, Txid, consensus},
    check::{Proposal, Refusal as CheckRefusal, Signed, Unchecked},
    estimate,
    payment::{DraftError, Intent, IntentError},
    policy::Policy,
    rate,
};
use serde::{Deserialize, Serialize};

use super::{
    Answer, Caller, Effect, Node, PaymentId, Refusal, Reply, Timestamp, accounts::place, disk, row::tag,
    table::Table, turn::Turn,
};
use autonomy_api::{
    Access, ApprovePayment, EventKind, NewPayment, Note, PaymentState, Payments, PsbtBytes, Recipient,
};

/// How long a draft holds its coins, seconds: a day.
const DRAFT_SECONDS: u64 = 24 * 60 * 60;
/// Drafts of one account at once. Each holds coins, and a PSBT of up to 4 MiB in memory and on disk.
const MAX_DRAFTS: usize = 16;
/// Drafts of one account that a device without full access may have open at once: it must not hold every coin.
const MAX_DRAFTS_LIMITED: usize = 4;
/// Cancelled drafts of one account that are still shown; the oldest goes first.
const MAX_CANCELLED: usize = 16;
/// Payments in one list, newest first: a year of one a day.
const MAX_LISTED: usize = 366;
/// Blocks within which a payment without a fee rate should confirm: an hour.
const DEFAULT_TARGET: u16 = 6;
/// Fee rate on test networks, where bitcoind has no figures.
const TEST_FEE_RATE: FeeRate = rate::sat_per_vb(2);

/// Payments, drafts among them.
pub static PAYMENTS: Table<PaymentId, PaymentRecord> = Table::new(tag::PAYMENT);

/// A payment and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaymentRecord {
    /// Who pays.
    pub account: AccountId,
    /// Who asked for it.
    pub by: Caller,
    /// Where it stands.
    #[serde(with = "disk::payment_state")]
    pub state: PaymentState,
    /// Word of the owner.
    pub note: Option<Note>,
    /// Fee, satoshi.
    pub fee_sat: u64,
    /// What was asked for, checked.
    pub intent: Intent,
    /// Transaction id; signing does not change it, since all inputs are segwit.
    pub txid: Txid,
    /// The coins it spends.
    pub inputs: Vec<OutPoint>,
    /// The draft (BIP-174), until it is signed.
    #[serde(with = "serde_bytes")]
    pub psbt: Option<Vec<u8>>,
    /// The signed transaction: kept, since a reorganisation may ask for it again.
    #[serde(with = "serde_bytes")]
    pub transaction: Option<Vec<u8>>,
    /// When it was drafted.
    pub created_at: Timestamp,
    /// What went wrong.
    pub detail: Option<String>,
}

impl PaymentRecord {
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        let waits = matches!(self.state, PaymentState::Draft | PaymentState::Cancelled);
        waits.then(|| self.created_at.saturating_add(DRAFT_SECONDS))
    }

    fn recipients(&self) -> Vec<Recipient> {
        let recipients = self.intent.recipients().iter();
        recipients
            .map(|to| Recipient { address: to.address.as_unchecked().clone(), amount: to.amount })
            .collect()
    }
}

impl Node {
    pub(super) fn payment_list(&self, account: &AccountId) -> Result<Payments, Refusal> {
        self.account(account)?;
        let mut of_account: Vec<_> =
            self.payments.iter().filter(|(_, payment)| payment.account == *account).collect();
        of_account.sort_by_key(|(_, payment)| std::cmp::Reverse(payment.created_at));
        // Without drafts' PSBTs, which have megabytes: whoever wants to sign asks for the one.
        let listed = |(id, payment)| autonomy_api::Payment { psbt: None, ..self.describe(id, payment) };
        let newest = of_account.into_iter().take(MAX_LISTED).map(|(id, payment)| (*id, payment));
        Ok(Payments { payments: newest.map(listed).collect() })
    }

    pub(super) fn describe_payment(&self, id: &PaymentId) -> Result<autonomy_api::Payment, Refusal> {
        Ok(self.describe(*id, self.payment(id)?))
    }

    fn payment(&self, id: &PaymentId) -> Result<&PaymentRecord, Refusal> {
        self.payments.get(id).ok_or_else(|| Refusal::Unknown { what: "payment", id: id.to_string() })
    }

    fn describe(&self, id: PaymentId, payment: &PaymentRecord) -> autonomy_api::Payment {
        let account = self.accounts.get(&payment.account);
        let entry = account.and_then(|account| account.ledger.entry(&payment.txid));
        let (confirmed_height, _) = entry.map_or((None, None), |entry| place(entry.state));
        let rate = payment.intent.fee_rate();
        let waits = matches!(payment.state, PaymentState::Draft | PaymentState::Signed | PaymentState::Seen);
        autonomy_api::Payment {
            id,
            account: payment.account,
            state: payment.state,
            recipients: payment.recipients(),
            fee: Amount::from_sat(payment.fee_sat),
            fee_rate: rate,
            txid: payment.txid,
            psbt: payment.psbt.clone().and_then(|psbt| PsbtBytes::new(psbt).ok()),
            note: payment.note.clone(),
            created_at: payment.created_at,
            confirmed_height,
            confirmations: entry.map_or(0, |entry| entry.confirmations(self.tip_height())),
            estimated_minutes: waits.then(|| self.estimated_minutes(rate)).flatten(),
            detail: payment.detail.clone(),
        }
    }

    fn drafts(&self, account: AccountId, counts: impl Fn(&PaymentRecord) -> bool) -> usize {
        let draft =
            |payment: &&PaymentRecord| payment.account == account && payment.state == PaymentState::Draft;
        self.payments.values().filter(draft).filter(|payment| counts(payment)).count()
    }

    /// What is wanted, each recipient checked for this network.
    fn intent(&self, body: &NewPayment) -> Result<Intent, Refusal> {
        let refused = |error: IntentError| match error {
            IntentError::FeeRate(_) => Refusal::invalid("fee_rate", error.to_string()),
            _ => Refusal::invalid("recipients", error.to_string()),
        };
        let rate = body.fee_rate.map_or_else(|| self.usual_rate(), Ok)?;
        body.intent(self.network(), rate).map_err(refused)
    }

    /// What every payment is held against before G signs it.
    fn policy(&self) -> Policy {
        Policy::STANDARD
    }

    /// The rate of a payment that names none.
    fn usual_rate(&self) -> Result<FeeRate, Refusal> {
        let estimated = estimate::rate_for(DEFAULT_TARGET, self.chain.fees());
        match (estimated, self.network()) {
            (Some(rate), _) => Ok(rate),
            (None, Network::Bitcoin) => {
                Err(Refusal::invalid("fee_rate", "the chain source has no estimate now; say what to pay"))
            }
            (None, _) => Ok(TEST_FEE_RATE),
        }
    }
}

impl Turn<'_> {
    pub(super) fn new_payment(&mut self, caller: Caller, id: AccountId, body: &NewPayment) -> Reply {
        self.node.account(&id)?;
        let intent = self.node.intent(body)?;
        self.check_room_for_draft(caller, id)?;
        let drafted = self.draft(id, &intent);
        // Also after a refusal: looking for change may have moved the ledger on.
        self.take_ledger_rows(id);
        let proposal = drafted?;
        let summary = proposal.summary();
        let inputs: Vec<OutPoint> = summary.inputs.iter().map(|input| input.outpoint).collect();
        let record = PaymentRecord {
            account: id,
            by: caller,
            state: PaymentState::Draft,
            note: body.note.clone(),
            fee_sat: summary.fee.to_sat(),
            intent,
            txid: summary.txid,
            inputs: inputs.clone(),
            psbt: Some(proposal.to_bytes()),
            transaction: None,
            created_at: self.now,
            detail: None,
        };
        if let Some(account) = self.node.accounts.get_mut(&id) {
            account.ledger.reserve(inputs);
        }
        self.take_ledger_rows(id);
        let payment = PaymentId::draw(self.rng);
        self.step.rows.push(self.node.payments.put(payment, record));
        self.tell_payment(payment);
        Ok(Answer::Payment(self.node.describe_payment(&payment)?))
    }

    fn check_room_for_draft(&self, caller: Caller, id: AccountId) -> Result<(), Refusal> {
        let remedy = "cancel or approve one of them";
        let full = |limit| Refusal::Full { what: "drafts of an account", limit, remedy };
        if self.node.drafts(id, |_| true) >= MAX_DRAFTS {
            return Err(full(MAX_DRAFTS));
        }
        let limited = self.node.access(caller) < Some(Access::Full);
        if limited && self.node.drafts(id, |payment| payment.by == caller) >= MAX_DRAFTS_LIMITED {
            return Err(full(MAX_DRAFTS_LIMITED));
        }
        Ok(())
    }

    /// Builds a draft, and holds it against the rules that it will meet again.
    fn draft(&mut self, id: AccountId, intent: &Intent) -> Result<Proposal, Refusal> {
        let policy = self.node.policy();
        let account = self.node.accounts.get_mut(&id).ok_or(Refusal::NotAdopted)?;
        let unchecked = account.ledger.draft(intent, &mut self.rng).map_err(draft_refusal)?;
        let checked = unchecked.check(&account.record.map, &account.ledger, &policy, Some(intent));
        checked.map_err(unsafe_payment)
    }

    /// Takes the device's signatures, checks everything again, signs with G, and sends.
    pub(super) fn approve_payment(&mut self, id: PaymentId, body: &ApprovePayment) -> Reply {
        let own = self.node.counters.state_epoch;
        if body.state_epoch > own {
            return Err(Refusal::Behind { seen: body.state_epoch, own });
        }
        let payment = self.node.payment(&id)?.clone();
        if payment.state != PaymentState::Draft {
            let detail = format!("this payment is {:?} and takes no signatures", payment.state);
            return Err(Refusal::Conflict(detail.to_lowercase()));
        }
        let transaction = self.sign_with_gordian(&payment, &body.psbt)?;
        let account = payment.account;
        // The debit: committed with this step, before the signature leaves by an effect.
        self.advance_epoch();
        let record = PaymentRecord {
            psbt: None,
            transaction: Some(consensus::serialize(&transaction)),
            ..payment.clone()
        };
        self.step.rows.push(self.node.payments.put(id, record));
        self.set_payment_state(id, PaymentState::Signed, None);
        if let Some(account) = self.node.accounts.get_mut(&account) {
            account.ledger.release(payment.inputs);
            let _ = account.ledger.apply_unconfirmed([(transaction.clone(), self.now)]);
        }
        self.ledger_changed(account);
        self.node.outside.last_broadcast = self.now;
        self.effect(Effect::Broadcast(payment.txid, Box::new(transaction)));
        Ok(Answer::Payment(self.node.describe_payment(&id)?))
    }

    /// What is signed is the pod's own stored draft, checked anew against the ledger of this moment. Of the
    /// device's copy only P's signatures are taken.
    fn sign_with_gordian(&self, payment: &PaymentRecord, theirs: &[u8]) -> Result<Transaction, Refusal> {
        let account = self.node.account(&payment.account)?;
        let (map, draft) = (&account.record.map, payment.psbt.as_deref().unwrap_or_default());
        let theirs = Unchecked::from_bytes(theirs).map_err(unsafe_payment)?;
        let proposal = Unchecked::from_bytes(draft)
            .and_then(|draft| draft.check(map, &account.ledger, &self.node.policy(), Some(&payment.intent)))
            .map_err(unsafe_payment)?;
        let shown = proposal.summary().digest();
        let approved = proposal.approve(&shown).map_err(unsafe_payment)?;
        let key = self.node.gordian_key(account.record.index)?;
        let mut signed: Signed = approved.sign(&key).map_err(unsafe_payment)?;
        signed.merge(&theirs).map_err(unsafe_payment)?;
        if !signed.signers().contains(&MemberLabel::P) {
            return Err(Refusal::Unsafe("the device's key P has not signed every input".into()));
        }
        signed.finalise().map_err(unsafe_payment)
    }

    pub(super) fn cancel_payment(&mut self, caller: Caller, id: PaymentId) -> Reply {
        let payment = self.node.payment(&id)?;
        let has = self.node.access(caller).unwrap_or(Access::Minimal);
        if has < Access::Full && payment.by != caller {
            return Err(Refusal::AccessTooLow { needed: Access::Full, has });
        }
        match payment.state {
            PaymentState::Draft => self.give_up(id),
            PaymentState::Cancelled => {}
            _ => {
                return Err(Refusal::Conflict(
                    "this payment is signed, and can no longer be taken back".into(),
                ));
            }
        }
        Ok(Answer::Payment(self.node.describe_payment(&id)?))
    }

    fn give_up(&mut self, id: PaymentId) {
        let Some(payment) = self.node.payments.get(&id).cloned() else { return };
        if let Some(account) = self.node.accounts.get_mut(&payment.account) {
            account.ledger.release(payment.inputs.iter().copied());
        }
        self.take_ledger_rows(payment.account);
        self.step.rows.push(self.node.payments.put(id, PaymentRecord { psbt: None, ..payment }));
        let account = self.node.payments.get(&id).map(|payment| payment.account);
        self.set_payment_state(id, PaymentState::Cancelled, None);
        account.into_iter().for_each(|account| self.forget_cancelled(account, id));
    }

    /// Keeps cancelled drafts of an account within their bound. The one just cancelled stays: its answer is still to
    /// be given, and all may be of the same second.
    fn forget_cancelled(&mut self, account: AccountId, newest: PaymentId) {
        let others = |(id, payment): &(&PaymentId, &PaymentRecord)| {
            payment.account == account && payment.state == PaymentState::Cancelled && **id != newest
        };
        let mut ids: Vec<_> = self.node.payments.iter().filter(others).collect();
        ids.sort_by_key(|(_, payment)| payment.created_at);
        let surplus = (ids.len() + 1).saturating_sub(MAX_CANCELLED);
        let surplus: Vec<PaymentId> = ids.into_iter().take(surplus).map(|(id, _)| *id).collect();
        surplus.into_iter().for_each(|id| self.step.rows.push(self.node.payments.remove(&id)));
    }

    pub(super) fn expire_drafts(&mut self) {
        let now = self.now;
        let old =
            self.node.payments.iter().filter(|(_, payment)| payment.expires_at().is_some_and(|at| at <= now));
        let old: Vec<(PaymentId, PaymentState)> = old.map(|(id, payment)| (*id, payment.state)).collect();
        for (id, state) in old {
            if state == PaymentState::Draft {
                self.give_up(id);
            }
            self.step.rows.push(self.node.payments.remove(&id));
        }
    }

    pub(super) fn set_payment_state(&mut self, id: PaymentId, state: PaymentState, detail: Option<String>) {
        let Some(payment) = self.node.payments.get(&id).cloned() else { return };
        self.step.rows.push(self.node.payments.put(id, PaymentRecord { state, detail, ..payment }));
        self.tell_payment(id);
    }

    fn tell_payment(&mut self, id: PaymentId) {
        let Some(payment) = self.node.payments.get(&id) else { return };
        let (account, state, detail) = (payment.account, payment.state, payment.detail.clone());
        self.notify(EventKind::PaymentChanged { payment: id, account, state, detail });
    }
}

fn unsafe_payment(refusal: CheckRefusal) -> Refusal {
    Refusal::Unsafe(refusal.to_string())
}

fn draft_refusal(error: DraftError) -> Refusal {
    match error {
        DraftError::InsufficientFunds { .. } => Refusal::Funds(error.to_string()),
        other => Refusal::Conflict(other.to_string()),
    }
}
