//! Signed payments on their way to the network: sent again until it has them or refuses them.

use autonomy_wallet::{
    account::AccountId,
    bitcoin::{Transaction, Txid, consensus},
    ledger::HistoryState,
};

use super::{PaymentRecord, Payments};
use crate::{
    BroadcastOutcome, Effect, PaymentId, Timestamp, accounts::Accounts, chain::Chain, context::Context,
};
use autonomy_api::PaymentState;

/// Seconds between two tries to send.
const BROADCAST_SECONDS: u64 = 60;

impl PaymentRecord {
    /// Whether the network has it or is to have it.
    fn is_sent(&self) -> bool {
        matches!(self.state, PaymentState::Signed | PaymentState::Seen)
    }

    /// Sends the signed transaction; nothing where there is none. One that cannot be read is a damaged row: it is logged,
    /// since the network cannot have it.
    fn broadcast(&self) -> Option<Effect> {
        match consensus::deserialize::<Transaction>(self.transaction.as_deref()?) {
            Ok(transaction) => Some(Effect::Broadcast(self.txid, Box::new(transaction))),
            Err(error) => {
                tracing::error!("a signed payment cannot be read and is not sent: {error}");
                None
            }
        }
    }

    /// Where it stands if its transaction stands so in the ledger; `None` where nothing follows.
    fn follows(&self, state: HistoryState) -> Option<(PaymentState, Option<String>)> {
        match state {
            HistoryState::Confirmed { .. } => Some((PaymentState::Confirmed, None)),
            HistoryState::Pending { .. } if self.state == PaymentState::Signed => None,
            HistoryState::Pending { .. } => Some((PaymentState::Seen, None)),
            HistoryState::Replaced { by } => {
                let why = format!(
                    "its coins, or those of a payment that it spends, were spent by another transaction, {by}"
                );
                Some((PaymentState::Failed, Some(why)))
            }
            _ => None,
        }
    }

    /// Of several payments of one transaction, the transaction is of the one with the highest precedence.
    pub(super) fn precedence(&self, id: PaymentId) -> (bool, Timestamp, PaymentId) {
        let given_up = matches!(self.state, PaymentState::Cancelled | PaymentState::Failed);
        (!given_up, self.created_at, id)
    }
}

impl Payments {
    /// Signed payments that the network has not taken yet.
    fn unsent(&self) -> impl Iterator<Item = (&PaymentId, &PaymentRecord)> {
        self.all.iter().filter(|(_, payment)| payment.state == PaymentState::Signed)
    }

    /// Their transactions.
    pub(crate) fn unsent_ids(&self) -> impl Iterator<Item = Txid> {
        self.unsent().map(|(_, payment)| payment.txid)
    }

    /// What sends them, oldest first: a later one may spend the change of an earlier one.
    pub(crate) fn unsent_effects(&self) -> Vec<Effect> {
        let mut unsent: Vec<_> = self.unsent().map(|(_, payment)| payment).collect();
        unsent.sort_by_key(|payment| payment.created_at);
        unsent.into_iter().filter_map(PaymentRecord::broadcast).collect()
    }

    /// When to send next; never while nothing is unsent.
    pub(crate) fn next_broadcast(&self) -> Option<Timestamp> {
        self.unsent().next().map(|_| self.last_broadcast.saturating_add(BROADCAST_SECONDS))
    }

    /// What could not be sent while the chain source was away goes out with this step.
    pub(crate) fn send_at_once(&mut self) {
        self.last_broadcast = 0;
    }

    /// Sends what is due.
    pub(crate) fn broadcast_again(&mut self, cx: &mut Context<'_>) {
        // A clock that was set back must not hold a payment for as long.
        self.last_broadcast = self.last_broadcast.min(cx.now);
        if self.next_broadcast().is_some_and(|due| due <= cx.now) {
            self.last_broadcast = cx.now;
            self.unsent_effects().into_iter().for_each(|effect| cx.effect(effect));
        }
    }

    /// Takes what became of a transaction that was sent.
    pub(crate) fn broadcast_outcome(
        &mut self,
        cx: &mut Context<'_>,
        accounts: &mut Accounts,
        chain: &Chain,
        (txid, outcome): (Txid, BroadcastOutcome),
    ) {
        match outcome {
            BroadcastOutcome::Accepted => self.seen(cx, txid),
            BroadcastOutcome::Invalid(why) => self.refused(cx, accounts, chain, txid, &why),
            BroadcastOutcome::Waits(why) => self.waits(cx, txid, &why),
        }
    }

    /// The network has it.
    pub(crate) fn seen(&mut self, cx: &mut Context<'_>, txid: Txid) {
        for (id, payment) in self.unsent_with(txid) {
            self.set_state(cx, id, payment, PaymentState::Seen, None);
        }
    }

    /// Not taken yet: it keeps its coins, is sent again when it is due, and its owner can see why it waits.
    fn waits(&mut self, cx: &mut Context<'_>, txid: Txid, why: &str) {
        for (id, payment) in self.unsent_with(txid) {
            let detail = Some(format!("not taken by the network yet, and sent again every minute: {why}"));
            if payment.detail != detail {
                self.set_state(cx, id, payment, PaymentState::Signed, detail);
            }
        }
    }

    /// The network will never take it, nor what spends its change: their coins can be spent again.
    fn refused(
        &mut self,
        cx: &mut Context<'_>,
        accounts: &mut Accounts,
        chain: &Chain,
        txid: Txid,
        why: &str,
    ) {
        for later in self.unsent_spenders(txid) {
            self.refused(
                cx,
                accounts,
                chain,
                later,
                &format!("it spends what {txid} would pay, refused as well: {why}"),
            );
        }
        for (id, payment) in self.unsent_with(txid) {
            let account = payment.account;
            let detail = Some(format!("the network refused it: {why}"));
            self.set_state(cx, id, payment, PaymentState::Failed, detail);
            match accounts.unspend(cx, chain, account, txid) {
                Ok(()) => self.follow(cx, accounts, &[account]),
                Err(error) => tracing::error!(payment = %id, "a refused payment holds its coins: {error}"),
            }
        }
    }

    /// Signed payments, not taken yet, that spend what this transaction makes. Each is signed after the one that it spends, so
    /// there is no circle.
    fn unsent_spenders(&self, txid: Txid) -> Vec<Txid> {
        let spends = |payment: &PaymentRecord| payment.inputs.iter().any(|coin| coin.txid == txid);
        self.unsent().filter(|(_, payment)| spends(payment)).map(|(_, payment)| payment.txid).collect()
    }

    /// Takes note of transactions that left the mempool. One of our own is signed and may come back at any time, so its
    /// coins stay spent, and it is sent again. Gives those that are not ours.
    pub(crate) fn left_mempool(&mut self, cx: &mut Context<'_>, evicted: Vec<Txid>) -> Vec<Txid> {
        evicted.into_iter().filter(|txid| !self.one_left_mempool(cx, *txid)).collect()
    }

    /// Whether it was one of ours.
    fn one_left_mempool(&mut self, cx: &mut Context<'_>, txid: Txid) -> bool {
        let ours = self.all.iter().find(|(_, payment)| payment.txid == txid && payment.is_sent());
        let Some((id, payment)) = ours.map(|(id, payment)| (*id, payment.clone())) else { return false };
        if payment.state == PaymentState::Seen {
            let detail = "it left the mempool, and is sent again".to_owned();
            self.set_state(cx, id, payment, PaymentState::Signed, Some(detail));
        }
        true
    }

    /// Brings the payments of accounts in line with their ledgers.
    pub(crate) fn follow(&mut self, cx: &mut Context<'_>, accounts: &mut Accounts, changed: &[AccountId]) {
        let follows = |payment: &PaymentRecord| {
            let account =
                changed.contains(&payment.account).then(|| accounts.get(&payment.account).ok())??;
            let (state, detail) = payment.follows(account.ledger().entry(&payment.txid)?.state)?;
            (state != payment.state).then_some((state, detail))
        };
        let followers = self.all.iter().filter_map(|(id, payment)| {
            let (state, detail) = follows(payment)?;
            (!self.is_superseded(*id, payment)).then(|| (*id, payment.clone(), state, detail))
        });
        let followers: Vec<_> = followers.collect();
        for (id, payment, state, detail) in followers {
            let payment = taken_over(cx, accounts, payment);
            self.set_state(cx, id, payment, state, detail);
        }
    }

    /// Whether the transaction of a payment counts for another one. Drafts of one intent may have the same transaction one
    /// after the other: it is of the one that was not given up, and else of the newest.
    fn is_superseded(&self, id: PaymentId, payment: &PaymentRecord) -> bool {
        let own = payment.precedence(id);
        self.all.iter().any(|(other, its)| its.txid == payment.txid && its.precedence(*other) > own)
    }

    /// Unsent payments of a transaction: one at most, since drafts of one account share no coin.
    fn unsent_with(&self, txid: Txid) -> Vec<(PaymentId, PaymentRecord)> {
        let unsent = self.unsent().filter(|(_, payment)| payment.txid == txid);
        unsent.map(|(id, payment)| (*id, payment.clone())).collect()
    }
}

/// A payment of which the network has a transaction that was not signed here: this pod comes from a backup of before the
/// signature, or the other signers finished the draft without it. What the network has is kept as if it had been signed
/// here, to be sent again if the network loses it; and its coins are spent, no longer held.
fn taken_over(cx: &mut Context<'_>, accounts: &mut Accounts, payment: PaymentRecord) -> PaymentRecord {
    if payment.transaction.is_some() {
        return payment;
    }
    let ledger = accounts.get(&payment.account).map(|account| account.ledger());
    let Ok(Some(transaction)) = ledger.map(|ledger| ledger.transaction(&payment.txid)) else {
        return payment;
    };
    // What was given up holds no coins: another draft may hold them by now.
    if payment.state == PaymentState::Draft
        && let Err(error) = accounts.release(cx, payment.account, payment.inputs.clone())
    {
        tracing::error!(txid = %payment.txid, "a payment found on the network holds its coins: {error}");
    }
    PaymentRecord { psbt: None, transaction: Some(consensus::serialize(transaction.as_ref())), ..payment }
}
