//! What must hold of money in the end: pods and the chain agree on balances and payments.

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
    fn check_payments(&mut self, pod: usize) {
        let Some(account) = self.shells[pod].money.device_account.as_ref().map(DeviceAccount::id) else {
            return;
        };
        let Some(Ok(Answer::Payments(payments))) = self.ask(pod, Command::Payments(account)) else {
            return self.breach(Some(pod), "it lists no payments".into());
        };
        for payment in payments {
            if let Some(wrong) = self.wrong_with(pod, &payment) {
                self.breach(Some(pod), format!("payment {}: {wrong}", payment.txid));
            }
        }
    }

    /// What of a payment does not agree with the chain.
    ///
    /// A payment that is mined has to be reported as confirmed, and no other one. One that is reported as waiting
    /// must not be minable: with all its coins unspent it would have been mined, because pods send again each minute.
    fn wrong_with(&self, pod: usize, payment: &PaymentSeen) -> Option<String> {
        let mined = self.chain.height_of(&payment.txid);
        let coins = || self.shells[pod].money.signed.iter().filter(|(_, txid)| **txid == payment.txid);
        let could_be_mined = coins().next().is_some() && coins().all(|(coin, _)| self.chain.has_coin(coin));
        match (payment.state, mined) {
            (PaymentProgress::Confirmed, None) => {
                Some("it is reported as confirmed and is in no block".into())
            }
            (PaymentProgress::Confirmed, Some(_)) | (_, None) if !could_be_mined => None,
            (PaymentProgress::Open, None) => Some("it waits, though all its coins are there".into()),
            (PaymentProgress::Failed | PaymentProgress::GivenUp, None) => None,
            (state, Some(height)) if state != PaymentProgress::Confirmed => {
                Some(format!("it is in block {height} and told as {state:?}"))
            }
            _ => None,
        }
    }
}
