//! Signed payments on their way to the network: sent again until it has them or refuses them.

use autonomy_wallet::bitcoin::{Transaction, Txid, consensus};

use super::{BroadcastOutcome, Effect, Node, PaymentId, Timestamp, payments::PaymentRecord, turn::Turn};
use autonomy_api::PaymentState;

/// Seconds between two tries to send.
const BROADCAST_SECONDS: u64 = 60;

impl PaymentRecord {
    fn is_sent(&self) -> bool {
        matches!(self.state, PaymentState::Signed | PaymentState::Seen)
    }

    /// Sends the signed transaction; nothing where there is none.
    fn broadcast(&self) -> Option<Effect> {
        let transaction: Transaction = consensus::deserialize(self.transaction.as_deref()?).ok()?;
        Some(Effect::Broadcast(self.txid, Box::new(transaction)))
    }
}

impl Node {
    /// Signed payments that the network has not taken yet.
    pub(super) fn unsent(&self) -> impl Iterator<Item = (&PaymentId, &PaymentRecord)> {
        self.payments.iter().filter(|(_, payment)| payment.state == PaymentState::Signed)
    }

    pub(super) fn unsent_effects(&self) -> Vec<Effect> {
        // Oldest first: a later one may spend the change of an earlier one.
        let mut unsent: Vec<_> = self.unsent().map(|(_, payment)| payment).collect();
        unsent.sort_by_key(|payment| payment.created_at);
        unsent.into_iter().filter_map(PaymentRecord::broadcast).collect()
    }

    pub(super) fn next_broadcast(&self) -> Option<Timestamp> {
        self.unsent().next().map(|_| self.outside.last_broadcast.saturating_add(BROADCAST_SECONDS))
    }
}

impl Turn<'_> {
    pub(super) fn broadcast_again(&mut self) {
        // A clock that was set back must not hold a payment for as long.
        self.node.outside.last_broadcast = self.node.outside.last_broadcast.min(self.now);
        if self.node.next_broadcast().is_some_and(|due| due <= self.now) {
            self.node.outside.last_broadcast = self.now;
            self.node.unsent_effects().into_iter().for_each(|effect| self.effect(effect));
        }
    }

    pub(super) fn broadcast_outcome(&mut self, txid: Txid, outcome: BroadcastOutcome) {
        match outcome {
            BroadcastOutcome::Accepted => self.payment_seen(txid),
            BroadcastOutcome::Invalid(why) => self.payment_refused(txid, why),
            BroadcastOutcome::Waits(why) => self.payment_waits(txid, &why),
        }
    }

    /// The network has it.
    pub(super) fn payment_seen(&mut self, txid: Txid) {
        for id in self.unsent_with(txid) {
            self.set_payment_state(id, PaymentState::Seen, None);
        }
    }

    /// Not taken yet: it keeps its coins, is sent again when it is due, and its owner can see why it waits.
    fn payment_waits(&mut self, txid: Txid, why: &str) {
        for id in self.unsent_with(txid) {
            let detail = format!("not taken by the network yet, and sent again every minute: {why}");
            if self.node.payments.get(&id).is_some_and(|payment| payment.detail.as_ref() != Some(&detail)) {
                self.set_payment_state(id, PaymentState::Signed, Some(detail));
            }
        }
    }

    /// One of our own has left the mempool. It is signed and may come back at any time, so its coins stay spent;
    /// it is sent again. Gives whether it was one of ours.
    pub(super) fn payment_left_mempool(&mut self, txid: Txid) -> bool {
        let ours = self.node.payments.iter().find(|(_, payment)| payment.txid == txid && payment.is_sent());
        let Some((id, state)) = ours.map(|(id, payment)| (*id, payment.state)) else { return false };
        if state == PaymentState::Seen {
            let detail = "it left the mempool, and is sent again".to_owned();
            self.set_payment_state(id, PaymentState::Signed, Some(detail));
        }
        true
    }

    fn payment_refused(&mut self, txid: Txid, why: String) {
        for id in self.unsent_with(txid) {
            let detail = format!("the network refused it: {why}");
            self.set_payment_state(id, PaymentState::Failed, Some(detail));
            let Some(account) = self.node.payments.get(&id).map(|payment| payment.account) else { continue };
            if let Some(account) = self.node.accounts.get_mut(&account) {
                let _ = account.ledger.apply_evicted([(txid, self.now)]);
            }
            self.ledger_changed(account);
        }
    }

    fn unsent_with(&self, txid: Txid) -> Vec<PaymentId> {
        self.node.unsent().filter(|(_, payment)| payment.txid == txid).map(|(id, _)| *id).collect()
    }
}
