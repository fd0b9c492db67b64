//! Which coins payments hold, and how an owner gives up a draft, or a payment that is signed.
//!
//! The coins that are held follow from the payments alone, and are compared with those that the ledgers hold after every
//! step that changed a payment.

use std::collections::BTreeSet;

use autonomy_wallet::{
    account::AccountId,
    bitcoin::{OutPoint, Txid},
};

use super::{PaymentRecord, Payments};
use crate::{
    Answer, Caller, PaymentId, Refusal, Reply, accounts::Accounts, chain::Chain, context::Context,
    devices::Admission,
};
use autonomy_api::{Access, PaymentState};

/// What the owner reads of a payment that was given up.
pub(super) const ABANDONED: &str = "given up: it is not sent any more, and its coins are free. It is signed, so whoever \
                         has it may still send it, until a payment that spends one of its coins is confirmed";

impl PaymentRecord {
    /// Coins that nobody else may have: of a draft, and of what is signed and may still be mined.
    fn claims(&self) -> &[OutPoint] {
        let claims = match self.state {
            PaymentState::Draft => true,
            PaymentState::Signed | PaymentState::Seen => !self.abandoned,
            _ => false,
        };
        if claims { &self.inputs } else { &[] }
    }
}

impl Payments {
    /// Holds the coins that payments claim, and lets go of all others.
    pub(crate) fn hold_coins(&mut self, cx: &mut Context<'_>, accounts: &mut Accounts) {
        if std::mem::take(&mut self.moved) {
            for id in accounts.iter().map(|account| account.map().id()).collect::<Vec<_>>() {
                let held = self.held(accounts, id);
                accounts.hold(cx, id, &held);
            }
        }
    }

    /// Coins that no draft of an account may take. What a payment makes that no node has taken is among them: what spends it
    /// could not be taken either, and its coins would be bound for nothing.
    fn held(&self, accounts: &Accounts, id: AccountId) -> BTreeSet<OutPoint> {
        let own = || self.all.values().filter(|payment| payment.account == id);
        let signed = own().filter(|own| own.state == PaymentState::Signed);
        let untaken: BTreeSet<Txid> = signed.map(|own| own.txid).collect();
        let ledger = accounts.get(&id).ok().map(|account| account.ledger());
        let made = ledger.into_iter().flat_map(|ledger| ledger.coins()).map(|coin| coin.outpoint);
        let made = made.filter(|coin| untaken.contains(&coin.txid));
        own().flat_map(PaymentRecord::claims).copied().chain(made).collect()
    }

    /// Gives a draft up: its coins are free again. A device without full access may give up its own only; what is
    /// cancelled already stays so.
    ///
    /// # Errors
    /// There is no such payment, it is another's, or it is signed.
    pub(crate) fn cancel(
        &mut self,
        cx: &mut Context<'_>,
        admission: &Admission,
        accounts: &mut Accounts,
        chain: &Chain,
        (caller, id): (Caller, PaymentId),
    ) -> Reply {
        let payment = self.get(&id)?;
        let has = admission.access(caller).unwrap_or(Access::Minimal);
        if has < Access::Full && payment.by != caller {
            return Err(Refusal::AccessTooLow { needed: Access::Full, has });
        }
        match payment.state {
            PaymentState::Draft => self.give_up(cx, accounts, id, None)?,
            PaymentState::Cancelled => {}
            _ => {
                let detail = "this payment is signed, and no draft: with `signed=true` it can be given up if it is known to \
                              be in no mempool";
                return Err(Refusal::Conflict(detail.into()));
            }
        }
        Ok(Answer::Payment(self.describe(accounts, chain, &id)?))
    }

    /// The same by somebody who means it of a signed payment, too.
    ///
    /// # Errors
    /// There is no such payment; it is in the network or over, or may be in a mempool.
    pub(crate) fn give_up_signed(
        &mut self,
        cx: &mut Context<'_>,
        accounts: &mut Accounts,
        chain: &Chain,
        id: PaymentId,
    ) -> Reply {
        match self.get(&id)?.state {
            PaymentState::Draft => self.give_up(cx, accounts, id, None)?,
            PaymentState::Cancelled => {}
            _ => self.abandon(cx, accounts, chain, id)?,
        }
        Ok(Answer::Payment(self.describe(accounts, chain, &id)?))
    }

    /// Gives up a signed payment that is known to be in no mempool, with those that spend its change: it is sent no more from
    /// here, and its coins are free. It is not called failed, since whoever has it may still send it. One that was given up
    /// before is given up once more: whatever holds its coins again lets go of them.
    ///
    /// # Errors
    /// It is in the network or over, or a mempool may have it.
    fn abandon(
        &mut self,
        cx: &mut Context<'_>,
        accounts: &mut Accounts,
        chain: &Chain,
        id: PaymentId,
    ) -> Result<(), Refusal> {
        let payment = self.get(&id)?;
        if let Some(why) = self.bound(id, payment) {
            let detail = format!("this payment is signed, and can no longer be taken back: {why}");
            return Err(Refusal::Conflict(detail));
        }
        let txid = payment.txid;
        if !payment.abandoned {
            // A device that has seen this refuses a pod of an older backup, which would send it again.
            cx.advance_epoch();
        }
        self.abandon_all(cx, accounts, chain, txid);
        Ok(())
    }

    /// Why a signed payment cannot be given up now.
    fn bound(&self, id: PaymentId, payment: &PaymentRecord) -> Option<&'static str> {
        // As long as the other transaction counts, the node's mempool lacks this one.
        let is_absent = payment.rival.is_some() || payment.absent && !self.in_flight.contains(&payment.txid);
        match payment.state {
            _ if self.is_superseded(id, payment) => {
                Some("its transaction was signed again, as another payment")
            }
            PaymentState::Signed if payment.abandoned || is_absent => None,
            PaymentState::Signed => Some(
                "it is on its way, and no node has said that it lacks it; ask again once the chain source has answered",
            ),
            PaymentState::Seen => {
                Some("it is in the network; it can be given up once it has left the mempool")
            }
            _ => Some("it is over"),
        }
    }

    /// Later payments first: as long as one of them counts, what it spends counts too.
    fn abandon_all(&mut self, cx: &mut Context<'_>, accounts: &mut Accounts, chain: &Chain, txid: Txid) {
        for later in self.unsent_spenders(txid) {
            self.abandon_all(cx, accounts, chain, later);
        }
        if let Some((id, payment)) = self.unsent_with(txid) {
            let detail = Some(ABANDONED.to_owned());
            self.set(cx, id, PaymentRecord { abandoned: true, detail, ..payment.clone() });
            self.free(cx, accounts, chain, &payment);
        }
    }

    /// Signed payments, not in the network, that spend what this transaction makes. Each is signed after the one that it
    /// spends, so there is no circle.
    fn unsent_spenders(&self, txid: Txid) -> Vec<Txid> {
        let spends = |payment: &PaymentRecord| payment.inputs.iter().any(|coin| coin.txid == txid);
        self.unsent().filter(|(_, payment)| spends(payment)).map(|(_, payment)| payment.txid).collect()
    }

    /// Its transaction counts no longer: its coins can be spent again.
    pub(super) fn free(
        &mut self,
        cx: &mut Context<'_>,
        accounts: &mut Accounts,
        chain: &Chain,
        payment: &PaymentRecord,
    ) {
        let account = payment.account;
        match accounts.unspend(cx, chain, account, payment.txid) {
            Ok(()) => self.follow(cx, accounts, chain, &[account]),
            Err(error) => tracing::error!(txid = %payment.txid, "a payment holds its coins: {error}"),
        }
    }

    /// Its transaction counts, unless another one rules it out: its coins are spent.
    pub(super) fn count_again(
        &self,
        cx: &mut Context<'_>,
        accounts: &mut Accounts,
        chain: &Chain,
        payment: &PaymentRecord,
    ) {
        let Some(transaction) = payment.signed_transaction() else { return };
        if let Err(error) = accounts.spend(cx, chain, payment.account, transaction) {
            tracing::error!(txid = %payment.txid, "a signed payment does not hold its coins: {error}");
        }
    }
}
