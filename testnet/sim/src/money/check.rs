//! What must hold of money: pods and the chain agree on payments, whenever a pod is at the last block, and on balances in
//! the end.

use autonomy_node::BURIED;
use autonomy_wallet::bitcoin::Txid;

use crate::command::{Answer, Command, PaymentProgress, PaymentSeen};
use crate::device_account::DeviceAccount;
use crate::world::World;

impl World {
    /// Compares what pods report of money with the chain. Only once no block is found any more and everybody knows
    /// the last one.
    pub(crate) fn check_money(&mut self) {
        for pod in 0..self.shells.len() {
            if self.shells[pod].money.device_account.is_some() {
                self.check_balance(pod);
                self.check_payments(pod);
                self.check_open_payments(pod);
            }
        }
    }

    /// The balance is what the chain has at the account's scripts.
    fn check_balance(&mut self, pod: usize) {
        let Some(device_account) = &self.shells[pod].money.device_account else { return };
        let (account, scripts) = (device_account.id(), device_account.scripts());
        let true_sat = self.chain.worth(&scripts);
        match self.ask(pod, Command::Account(account)) {
            Some(Ok(Answer::Account { confirmed_sat })) if confirmed_sat == true_sat => {}
            other => self.breach(Some(pod), format!("its account has {true_sat} sat, and it says {other:?}")),
        }
    }

    /// Each payment is reported as it stands in the chain. Only payments that the pod lists are compared: one that
    /// was lost with a disk is in the chain or not, and its coins show in the balance.
    ///
    /// The pod has to be at the last block, and to have looked at the mempool of its bitcoind.
    pub(super) fn check_payments(&mut self, pod: usize) {
        let Some(payments) = self.payments_of(pod) else { return };
        for payment in &payments {
            let twin =
                |other: &PaymentSeen| other.txid == payment.txid && other.state != PaymentProgress::GivenUp;
            let superseded = payment.state == PaymentProgress::GivenUp && payments.iter().any(twin);
            if let Some(wrong) = self.wrong_with(pod, payment).filter(|_| !superseded) {
                self.breach(Some(pod), format!("payment {}: {wrong}", payment.txid));
            }
        }
    }

    /// None where there is no account, and where the pod crashes over the question.
    fn payments_of(&mut self, pod: usize) -> Option<Vec<PaymentSeen>> {
        let account = self.shells[pod].money.device_account.as_ref().map(DeviceAccount::id)?;
        match self.ask(pod, Command::Payments(account))? {
            Ok(Answer::Payments(payments)) => Some(payments),
            other => {
                self.breach(Some(pod), format!("it lists no payments: {other:?}"));
                None
            }
        }
    }

    /// What of a payment does not agree with the chain.
    ///
    /// A payment that is mined has to be reported as confirmed, and no other one. One that is reported as failed or given up
    /// can never be mined; and one that is reported as in the network is in the mempool of the pod's bitcoind.
    fn wrong_with(&mut self, pod: usize, payment: &PaymentSeen) -> Option<String> {
        use PaymentProgress::{Confirmed, Failed, GivenUp, Seen, Signed};
        let txid = payment.txid;
        match (payment.state, self.chain.height_of(&txid)) {
            (Confirmed, Some(_)) | (Signed, None) => None,
            (Confirmed, None) => Some("it is reported as confirmed and is in no block".into()),
            (state, Some(height)) => Some(format!("it is in block {height} and told as {state:?}")),
            (Seen, None) if self.is_visible(pod, &txid) => None,
            (Seen, None) => Some("it is reported as in the network and is in no mempool".into()),
            (Failed | GivenUp, None) if self.may_be_over(pod, txid) => None,
            (state, None) => Some(format!("it is told as {state:?}, and can still be mined")),
        }
    }

    /// Whether the mempool of a pod's bitcoind has a transaction.
    fn is_visible(&self, pod: usize, txid: &Txid) -> bool {
        self.chain.is_waiting(txid) && !self.shells[pod].money.node.hidden.contains(txid)
    }

    /// Whether no signature of the pod is out, or the transaction can never be mined; or could not, when this was told first.
    fn may_be_over(&mut self, pod: usize, txid: Txid) -> bool {
        let money = &mut self.shells[pod].money;
        if !money.signed.values().any(|signed| *signed == txid) || money.ended.contains(&txid) {
            return true;
        }
        let dead = self.chain.is_dead(&txid, BURIED);
        if dead {
            self.shells[pod].money.ended.insert(txid);
        }
        dead
    }

    /// In the end nothing waits that could be mined: with all its coins unspent it would have been, because pods send again
    /// each minute.
    fn check_open_payments(&mut self, pod: usize) {
        for payment in self.payments_of(pod).unwrap_or_default() {
            let open = matches!(payment.state, PaymentProgress::Signed | PaymentProgress::Seen);
            let money = &self.shells[pod].money;
            // What was called failed is not sent again.
            let open = open && !money.ended.contains(&payment.txid);
            let mut coins = money.signed.iter().filter(|(_, txid)| **txid == payment.txid).peekable();
            if open && coins.peek().is_some() && coins.all(|(coin, _)| self.chain.has_coin(coin)) {
                let txid = payment.txid;
                self.breach(Some(pod), format!("payment {txid} waits, though all its coins are there"));
            }
        }
    }
}
