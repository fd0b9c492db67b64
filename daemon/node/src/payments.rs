//! Payments: built here, checked and signed by the device, checked again and signed here, sent.
//!
//! The order that matters: the row that says *signed* (the debit) is committed before the signature leaves the
//! pod, since effects and replies come after the commit. From then on the transaction is sent until the network
//! has it (`sending`).

mod following;
mod holding;
mod room;
mod sending;
mod view;

pub use following::BURIED;

use std::collections::BTreeSet;

use autonomy_wallet::{
    account::{AccountId, MemberLabel},
    bitcoin::{FeeRate, Network, OutPoint, Transaction, Txid, consensus},
    check::{CheckRefusal, Signed, Unchecked},
    payment::{Intent, IntentError},
    policy::Policy,
    rate,
};
use serde::{Deserialize, Serialize};

use super::{
    Answer, Caller, Effect, PaymentId, Refusal, Reply, Timestamp,
    accounts::Accounts,
    chain::Chain,
    context::Context,
    devices::Admission,
    disk,
    identity::Identity,
    row::tag,
    table::{Held, Restore, Table},
};
use autonomy_api::{ApprovePayment, EventKind, NewPayment, Note, PaymentState};

/// How long a draft holds its coins, seconds: a day.
const DRAFT_SECONDS: u64 = 24 * 60 * 60;
/// Cancelled drafts of one account that are still shown; the oldest goes first.
const MAX_CANCELLED: usize = 16;
/// Payments in one list, newest first: a year of one a day.
const MAX_LISTED: usize = 366;
/// Blocks within which a payment without a fee rate should confirm: an hour.
const DEFAULT_TARGET: u16 = 6;
/// Blocks that a pod may have still to read when it drafts a payment: they come at any moment, and an hour of them is what
/// confirmations are counted up to.
const MAX_BEHIND: u32 = 6;
/// Fee rate on test networks, where bitcoind has no figures.
const TEST_FEE_RATE: FeeRate = rate::sat_per_vb(2);

/// What every payment is held against before G signs it.
const POLICY: Policy = Policy::STANDARD;

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
    /// Whether its owner gave it up after it was signed.
    #[serde(default)]
    pub abandoned: bool,
    /// The transaction that counts in its place, until that one is buried.
    #[serde(default)]
    pub rival: Option<Txid>,
    /// Whether the last thing known of it is that the source's mempool lacks it: its node refused it, or it has left.
    #[serde(default)]
    pub absent: bool,
}

impl PaymentRecord {
    /// When a draft, or a cancelled one, is forgotten; never for what was signed.
    fn expires_at(&self) -> Option<Timestamp> {
        let waits = matches!(self.state, PaymentState::Draft | PaymentState::Cancelled);
        waits.then(|| self.created_at.saturating_add(DRAFT_SECONDS))
    }
}

/// All payments, and when they were sent last.
#[derive(Debug)]
pub(super) struct Payments {
    /// Drafts, payments, and the last cancelled ones.
    all: Held<PaymentId, PaymentRecord>,
    /// Not in rows: after a start everything unsent is sent at once.
    last_broadcast: Timestamp,
    /// What was sent since its last outcome. Not in rows: after a start everything unsent is sent at once.
    in_flight: BTreeSet<Txid>,
    /// Whether coins may have to be held or let go. Not in rows: after a start they are compared once.
    moved: bool,
}

impl Default for Payments {
    fn default() -> Self {
        Self { all: Held::new(&PAYMENTS), last_broadcast: 0, in_flight: BTreeSet::new(), moved: true }
    }
}

/// Equal in what rows hold.
impl PartialEq for Payments {
    fn eq(&self, other: &Self) -> bool {
        self.all == other.all
    }
}

/// What is asked of them.
impl Payments {
    /// What of it is restored row by row.
    pub(super) fn tables(&mut self) -> [&mut dyn Restore; 1] {
        [&mut self.all]
    }

    /// When the next draft lapses, or a cancelled one is forgotten.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.all.values().filter_map(PaymentRecord::expires_at).min()
    }

    /// One payment.
    ///
    /// # Errors
    /// There is none of this id.
    fn get(&self, id: &PaymentId) -> Result<&PaymentRecord, Refusal> {
        self.all.get(id).ok_or_else(|| Refusal::Unknown { what: "payment", id: id.to_string() })
    }
}

/// What changes them.
impl Payments {
    /// Drafts a payment, and holds its coins. Drafts of devices without full access may have to yield (`room`).
    ///
    /// # Errors
    /// There is no such account, the request breaks a rule, there are too many drafts or too few coins, or the checker
    /// refuses.
    pub(super) fn draft(
        &mut self,
        cx: &mut Context<'_>,
        admission: &Admission,
        accounts: &mut Accounts,
        chain: &Chain,
        caller: Caller,
        (id, body): (AccountId, &NewPayment),
    ) -> Reply {
        accounts.get(&id)?;
        check_synced(chain)?;
        let intent = intent(admission.identity().network(), chain, body)?;
        let proposal = self.propose(cx, admission, accounts, (caller, id, &intent))?;
        let summary = proposal.summary();
        let inputs = room::coins_of(&proposal);
        accounts.reserve(cx, id, inputs.clone())?;
        let record = PaymentRecord {
            account: id,
            by: caller,
            state: PaymentState::Draft,
            note: body.note.clone(),
            fee_sat: summary.fee.to_sat(),
            intent,
            txid: summary.txid,
            inputs,
            psbt: Some(proposal.to_bytes()),
            transaction: None,
            created_at: cx.now,
            detail: None,
            abandoned: false,
            rival: None,
            absent: false,
        };
        let payment = PaymentId::draw(cx.rng);
        let described = view::describe(accounts, chain, payment, &record);
        self.set(cx, payment, record);
        Ok(Answer::Payment(described))
    }

    /// Takes the device's signatures, checks everything again, signs with G, and sends.
    ///
    /// # Errors
    /// The device knows a later state of this pod, the payment is no draft, or the checker refuses.
    pub(super) fn approve(
        &mut self,
        cx: &mut Context<'_>,
        identity: &Identity,
        accounts: &mut Accounts,
        chain: &Chain,
        (id, body): (PaymentId, &ApprovePayment),
    ) -> Reply {
        let own = cx.journal().state_epoch();
        if body.state_epoch > own {
            return Err(Refusal::Behind { seen: body.state_epoch, own });
        }
        let payment = self.get(&id)?.clone();
        if payment.state != PaymentState::Draft {
            let detail = format!("this payment is {:?} and takes no signatures", payment.state);
            return Err(Refusal::Conflict(detail.to_lowercase()));
        }
        let transaction = sign_with_gordian(identity, accounts, &payment, &body.psbt)?;
        let (account, txid) = (payment.account, payment.txid);
        // The debit: committed with this step, before the signature leaves by an effect.
        cx.advance_epoch();
        let (psbt, signed) = (None, Some(consensus::serialize(&transaction)));
        let state = PaymentState::Signed;
        self.set(cx, id, PaymentRecord { psbt, transaction: signed, state, detail: None, ..payment });
        self.supersede(cx, id, txid);
        accounts.spend(cx, chain, account, transaction.clone())?;
        self.follow(cx, accounts, chain, &[account]);
        self.last_broadcast = cx.now;
        self.in_flight.insert(txid);
        cx.effect(Effect::Broadcast(txid, Box::new(transaction)));
        Ok(Answer::Payment(self.describe(accounts, chain, &id)?))
    }

    /// Cancels a draft and frees its coins; `detail` says why, where its maker did not ask for it.
    fn give_up(
        &mut self,
        cx: &mut Context<'_>,
        accounts: &mut Accounts,
        id: PaymentId,
        detail: Option<String>,
    ) -> Result<(), Refusal> {
        let payment = self.get(&id)?.clone();
        let account = payment.account;
        accounts.release(cx, account, payment.inputs.clone())?;
        let state = PaymentState::Cancelled;
        self.set(cx, id, PaymentRecord { psbt: None, state, detail, ..payment });
        self.forget_cancelled(cx, account, id);
        Ok(())
    }

    /// Keeps cancelled drafts of an account within their bound. The one just cancelled stays: its answer is still to
    /// be given, and all may be of the same second.
    fn forget_cancelled(&mut self, cx: &mut Context<'_>, account: AccountId, newest: PaymentId) {
        let others = |(id, payment): &(&PaymentId, &PaymentRecord)| {
            payment.account == account && payment.state == PaymentState::Cancelled && **id != newest
        };
        let mut ids: Vec<_> = self.all.iter().filter(others).collect();
        ids.sort_by_key(|(_, payment)| payment.created_at);
        let surplus = (ids.len() + 1).saturating_sub(MAX_CANCELLED);
        let surplus: Vec<PaymentId> = ids.into_iter().take(surplus).map(|(id, _)| *id).collect();
        cx.rows(surplus.iter().map(|id| self.all.remove(id)));
    }

    /// Lets drafts lapse that nobody approved, and forgets cancelled ones.
    pub(super) fn expire_drafts(&mut self, cx: &mut Context<'_>, accounts: &mut Accounts) {
        let old = self.all.iter().filter(|(_, payment)| payment.expires_at().is_some_and(|at| at <= cx.now));
        let old: Vec<(PaymentId, PaymentState)> = old.map(|(id, payment)| (*id, payment.state)).collect();
        for (id, state) in old {
            if state == PaymentState::Draft
                && let Err(error) = self.give_up(cx, accounts, id, None)
            {
                tracing::error!(payment = %id, "a draft that lapsed holds its coins: {error}");
            }
            cx.row(self.all.remove(&id));
        }
    }

    /// Keeps a payment as it stands now, and tells it.
    fn set(&mut self, cx: &mut Context<'_>, id: PaymentId, payment: PaymentRecord) {
        let (account, state, detail) = (payment.account, payment.state, payment.detail.clone());
        cx.row(self.all.put(id, payment));
        self.moved = true;
        cx.notify(EventKind::PaymentChanged { payment: id, account, state, detail });
    }
}

/// What is wanted, each recipient checked for this network.
///
/// # Errors
/// A recipient or rate that cannot be, or a rate that the source does not relay.
fn intent(network: Network, chain: &Chain, body: &NewPayment) -> Result<Intent, Refusal> {
    let refused = |error: IntentError| match error {
        IntentError::FeeRate(_) => Refusal::invalid("fee_rate", error.to_string()),
        _ => Refusal::invalid("recipients", error.to_string()),
    };
    let rate = body.fee_rate.map_or_else(|| usual_rate(network, chain), Ok)?;
    let intent = body.intent(network, rate).map_err(refused)?;
    let floor = chain.least_rate();
    if rate < floor {
        let [rate, floor] = [rate, floor].map(rate::to_sat_per_vb);
        let rule =
            format!("{rate} sat/vB; the chain source relays from {floor} sat/vB on now: pay that or more");
        return Err(Refusal::invalid("fee_rate", rule));
    }
    Ok(intent)
}

/// The rate of a payment that names none: the source's estimate for an hour, and no less than the source relays. Only test
/// networks have a rate without an estimate: on mainnet a guess would cost money.
fn usual_rate(network: Network, chain: &Chain) -> Result<FeeRate, Refusal> {
    let estimate = match (chain.rate_for(DEFAULT_TARGET), network) {
        (Some(rate), _) => rate,
        (None, Network::Bitcoin) => {
            return Err(Refusal::invalid(
                "fee_rate",
                "the chain source has no estimate now; say what to pay",
            ));
        }
        (None, _) => TEST_FEE_RATE,
    };
    Ok(estimate.max(chain.least_rate()))
}

/// Whoever has not read the last blocks may spend a coin that is spent there already.
fn check_synced(chain: &Chain) -> Result<(), Refusal> {
    match chain.blocks_behind() {
        0..=MAX_BEHIND => Ok(()),
        behind => {
            let detail =
                format!("the pod has {behind} blocks of the chain still to read; wait until it is synced");
            Err(Refusal::Conflict(detail))
        }
    }
}

/// What is signed is the pod's own stored draft, checked anew against the ledger of this moment. Of the
/// device's copy only P's signatures are taken.
fn sign_with_gordian(
    identity: &Identity,
    accounts: &Accounts,
    payment: &PaymentRecord,
    theirs: &[u8],
) -> Result<Transaction, Refusal> {
    let account = accounts.get(&payment.account)?;
    // A draft has its PSBT; without one the checker refuses empty bytes.
    let draft = payment.psbt.as_deref().unwrap_or_default();
    let theirs = Unchecked::from_bytes(theirs).map_err(unsafe_payment)?;
    let proposal = Unchecked::from_bytes(draft)
        .and_then(|draft| draft.check(account.map(), account.ledger(), &POLICY, Some(&payment.intent)))
        .map_err(unsafe_payment)?;
    let shown = proposal.summary().digest();
    let approved = proposal.approve(&shown).map_err(unsafe_payment)?;
    let key = identity.gordian_key(account.index())?;
    let mut signed: Signed = approved.sign(&key).map_err(unsafe_payment)?;
    signed.merge(&theirs).map_err(unsafe_payment)?;
    if !signed.signers().contains(&MemberLabel::P) {
        return Err(Refusal::Unsafe("the device's key P has not signed every input".into()));
    }
    signed.finalise().map_err(unsafe_payment)
}

/// The checker's refusal, in its own words: they say which rule.
fn unsafe_payment(refusal: CheckRefusal) -> Refusal {
    Refusal::Unsafe(refusal.to_string())
}
