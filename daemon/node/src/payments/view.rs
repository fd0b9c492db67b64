//! Payments as devices see them.

use std::collections::BTreeMap;

use autonomy_wallet::{
    account::AccountId,
    bitcoin::{Amount, Txid},
};

use super::{MAX_LISTED, PaymentRecord, Payments};
use crate::{
    PaymentId, Refusal,
    accounts::{Accounts, place},
    chain::Chain,
};
use autonomy_api::{Note, PaymentState, Payments as PaymentList, PsbtBytes, Recipient};

impl PaymentRecord {
    /// Who gets how much, as a device sees it.
    fn recipients(&self) -> Vec<Recipient> {
        let recipients = self.intent.recipients().iter();
        recipients
            .map(|to| Recipient { address: to.address.as_unchecked().clone(), amount: to.amount })
            .collect()
    }
}

impl Payments {
    /// Payments of an account, newest first.
    ///
    /// # Errors
    /// There is no such account.
    pub(crate) fn list(
        &self,
        accounts: &Accounts,
        chain: &Chain,
        account: &AccountId,
    ) -> Result<PaymentList, Refusal> {
        accounts.get(account)?;
        let mut of_account: Vec<_> =
            self.all.iter().filter(|(_, payment)| payment.account == *account).collect();
        of_account.sort_by_key(|(_, payment)| std::cmp::Reverse(payment.created_at));
        // Without drafts' PSBTs, which have megabytes: whoever wants to sign asks for the one.
        let listed =
            |(id, payment): (&PaymentId, &PaymentRecord)| without_psbt(accounts, chain, *id, payment);
        Ok(PaymentList { payments: of_account.into_iter().take(MAX_LISTED).map(listed).collect() })
    }

    /// One payment as a device sees it.
    ///
    /// # Errors
    /// There is none of this id.
    pub(crate) fn describe(
        &self,
        accounts: &Accounts,
        chain: &Chain,
        id: &PaymentId,
    ) -> Result<autonomy_api::Payment, Refusal> {
        Ok(describe(accounts, chain, *id, self.get(id)?))
    }

    /// The payment, and its note, that each transaction is of.
    pub(crate) fn by_transaction(&self) -> BTreeMap<Txid, (PaymentId, Option<Note>)> {
        let mut all: Vec<_> = self.all.iter().collect();
        all.sort_by_key(|(id, payment)| payment.precedence(**id));
        all.into_iter().map(|(id, payment)| (payment.txid, (*id, payment.note.clone()))).collect()
    }
}

/// The same with its draft, which has megabytes.
pub(super) fn describe(
    accounts: &Accounts,
    chain: &Chain,
    id: PaymentId,
    payment: &PaymentRecord,
) -> autonomy_api::Payment {
    let psbt = payment.psbt.clone().and_then(|psbt| PsbtBytes::new(psbt).ok());
    autonomy_api::Payment { psbt, ..without_psbt(accounts, chain, id, payment) }
}

/// What a payment is, with what the ledger of its account and the chain say of it now.
fn without_psbt(
    accounts: &Accounts,
    chain: &Chain,
    id: PaymentId,
    payment: &PaymentRecord,
) -> autonomy_api::Payment {
    let account = accounts.get(&payment.account).ok();
    let entry = account.and_then(|account| account.ledger().entry(&payment.txid));
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
        psbt: None,
        note: payment.note.clone(),
        created_at: payment.created_at,
        confirmed_height,
        confirmations: entry.map_or(0, |entry| entry.confirmations(chain.tip_height())),
        estimated_minutes: waits.then(|| chain.estimated_minutes(rate)).flatten(),
        detail: payment.detail.clone(),
    }
}
