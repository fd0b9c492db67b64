//! What a block or the mempool means to an account: what its listeners hear, and what becomes of its payments.

use autonomy_wallet::{
    account::AccountId,
    ledger::{HistoryEntry, HistoryState},
};

use super::super::{PaymentRecord, turn::Turn};
use autonomy_api::{EventKind, PaymentState, UnconfirmedReason};

/// Depths that are told.
const TOLD_CONFIRMATIONS: [u32; 4] = [1, 2, 3, 6];
/// The deepest of them.
const DEEPEST_TOLD: u32 = 6;

impl Turn<'_> {
    /// Takes the rows, and tells what stands differently from what was told.
    pub(in super::super) fn ledger_changed(&mut self, id: AccountId) {
        self.take_ledger_rows(id);
        let Some(account) = self.node.accounts.get_mut(&id) else { return };
        let standings = account.standings();
        let told = std::mem::replace(&mut account.told, standings);
        let moved: Vec<HistoryEntry> = account
            .ledger
            .history()
            .iter()
            .rev()
            .filter(|entry| told.get(&entry.txid) != Some(&entry.state))
            .cloned()
            .collect();
        for entry in moved {
            self.tell_movement(id, &entry, told.get(&entry.txid).copied());
        }
        self.follow_payments(id);
    }

    fn tell_movement(&mut self, id: AccountId, entry: &HistoryEntry, before: Option<HistoryState>) {
        use HistoryState::{Confirmed, Dropped, Pending, Replaced};
        let (account, txid) = (id, entry.txid);
        let reason = match (before, entry.state) {
            (None | Some(Dropped | Replaced { .. }), Confirmed { .. } | Pending { .. }) => {
                let net = entry.net();
                let estimated_minutes = self.estimate_for(id, entry);
                return self.notify(EventKind::TransactionSeen { account, txid, net, estimated_minutes });
            }
            (Some(Confirmed { .. }), Pending { .. }) => UnconfirmedReason::Reorganised,
            (Some(Confirmed { .. } | Pending { .. }), Replaced { .. }) => UnconfirmedReason::Replaced,
            (Some(Confirmed { .. } | Pending { .. }), Dropped) => UnconfirmedReason::Dropped,
            _ => return,
        };
        self.notify(EventKind::TransactionUnconfirmed { account, txid, reason });
    }

    /// Known for pending transactions of which all inputs are ours: only then is the fee known.
    fn estimate_for(&self, id: AccountId, entry: &HistoryEntry) -> Option<u32> {
        let pending = matches!(entry.state, HistoryState::Pending { .. });
        let transaction = self.node.accounts.get(&id)?.ledger.transaction(&entry.txid)?;
        let rate = entry.fee.filter(|_| pending)? / transaction.weight();
        self.node.estimated_minutes(rate)
    }

    pub(super) fn tell_confirmations(&mut self, id: AccountId) {
        let tip = self.node.tip_height();
        let Some(account) = self.node.accounts.get(&id) else { return };
        let mut told = Vec::new();
        for entry in account.ledger.history() {
            let HistoryState::Confirmed { height, .. } = entry.state else { continue };
            let confirmations = entry.confirmations(tip);
            if confirmations > DEEPEST_TOLD {
                break; // The history is in order of height.
            }
            if TOLD_CONFIRMATIONS.contains(&confirmations) {
                let (account, txid) = (id, entry.txid);
                told.push(EventKind::TransactionConfirmed { account, txid, confirmations, height });
            }
        }
        told.into_iter().for_each(|event| self.notify(event));
    }

    /// Brings the payments of an account in line with its ledger.
    fn follow_payments(&mut self, id: AccountId) {
        let Some(account) = self.node.accounts.get(&id) else { return };
        let of_account = self.node.payments.iter().filter(|(_, payment)| payment.account == id);
        let changes: Vec<_> = of_account
            .filter_map(|(payment_id, payment)| {
                let (state, detail) = standing(payment, account.ledger.entry(&payment.txid)?.state)?;
                (state != payment.state).then_some((*payment_id, state, detail))
            })
            .collect();
        changes
            .into_iter()
            .for_each(|(payment, state, detail)| self.set_payment_state(payment, state, detail));
    }
}

/// The state of a payment whose transaction stands so in the ledger; `None` where nothing follows.
fn standing(payment: &PaymentRecord, state: HistoryState) -> Option<(PaymentState, Option<String>)> {
    match state {
        HistoryState::Confirmed { .. } => Some((PaymentState::Confirmed, None)),
        HistoryState::Pending { .. } if payment.state == PaymentState::Signed => None,
        HistoryState::Pending { .. } => Some((PaymentState::Seen, None)),
        HistoryState::Replaced { by } => {
            Some((PaymentState::Failed, Some(format!("its coins were spent by another transaction, {by}"))))
        }
        _ => None,
    }
}
