//! Signed payments on their way: sent until a node takes them, kept until a block decides.
//!
//! Whoever has a signed transaction may hand it to a miner at any time. So a payment that is signed keeps its coins, and is
//! *signed* or *seen*, whatever a node says of it, until it is in a block, or until a block with another spend of its coins
//! is buried ([`BURIED`](super::BURIED)). No refusal ends it: the checker and the script interpreter have passed it, so a node
//! that calls it invalid is wrong or lies. Its owner may give up one that is known to be in no mempool (`holding`).
//!
//! ```text
//!            taken by a node                in a block
//!  Signed ───────────────────► Seen ───────────────────► Confirmed
//!    ▲ ▲                        │                          │
//!    │ └── left the mempool ────┘                          │
//!    ├─── reorganised away, or another spend in a block ───┘
//!    │
//!    └─── that spend is buried ──► Failed
//! ```

use autonomy_wallet::bitcoin::{Transaction, Txid, consensus};

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
    fn broadcast(&self) -> Option<(Txid, Effect)> {
        Some((self.txid, Effect::Broadcast(self.txid, Box::new(self.signed_transaction()?))))
    }

    /// The signed transaction.
    pub(super) fn signed_transaction(&self) -> Option<Transaction> {
        let read = consensus::deserialize(self.transaction.as_deref()?);
        read.inspect_err(|error| tracing::error!("a signed payment cannot be read and is not sent: {error}"))
            .ok()
    }
}

impl Payments {
    /// Signed payments that the network has not taken, or has lost.
    pub(super) fn unsent(&self) -> impl Iterator<Item = (&PaymentId, &PaymentRecord)> {
        self.all.iter().filter(|(_, payment)| payment.state == PaymentState::Signed)
    }

    /// Their transactions.
    pub(crate) fn unsent_ids(&self) -> impl Iterator<Item = Txid> {
        self.unsent().map(|(_, payment)| payment.txid)
    }

    /// Those that are to be sent: not what was given up, nor what another transaction rules out as long as that counts.
    fn to_send(&self) -> impl Iterator<Item = &PaymentRecord> {
        let unsent = self.unsent().map(|(_, payment)| payment);
        unsent.filter(|payment| !payment.abandoned && payment.rival.is_none())
    }

    /// What sends them, oldest first: a later one may spend the change of an earlier one.
    pub(crate) fn unsent_effects(&mut self) -> Vec<Effect> {
        let mut unsent: Vec<_> = self.to_send().collect();
        unsent.sort_by_key(|payment| payment.created_at);
        let (sent, effects): (Vec<Txid>, Vec<Effect>) =
            unsent.into_iter().filter_map(PaymentRecord::broadcast).unzip();
        self.in_flight.extend(sent);
        effects
    }

    /// When to send next; never while nothing is unsent.
    pub(crate) fn next_broadcast(&self) -> Option<Timestamp> {
        self.to_send().next().map(|_| self.last_broadcast.saturating_add(BROADCAST_SECONDS))
    }

    /// What could not be sent, or was not taken, goes out with this step.
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
        self.in_flight.remove(&txid);
        match outcome {
            BroadcastOutcome::Accepted => self.taken(cx, accounts, chain, txid),
            BroadcastOutcome::Refused(why) => self.waits(cx, txid, &why, true),
            BroadcastOutcome::Unanswered(why) => self.waits(cx, txid, &why, false),
        }
    }

    /// The network has it.
    pub(crate) fn taken(&mut self, cx: &mut Context<'_>, accounts: &mut Accounts, chain: &Chain, txid: Txid) {
        let Some((id, payment)) = self.unsent_with(txid) else { return };
        self.count_again(cx, accounts, chain, &payment);
        let taken = PaymentRecord {
            state: PaymentState::Seen,
            abandoned: false,
            rival: None,
            absent: false,
            detail: None,
            ..payment
        };
        self.set(cx, id, taken);
    }

    /// Not taken yet: it keeps its coins, is sent again when it is due, and its owner can see why it waits. A reason that
    /// differs from the one told in its figures only is no news. `absent` says whether a node has refused it: without an
    /// answer a node may have it.
    fn waits(&mut self, cx: &mut Context<'_>, txid: Txid, why: &str, absent: bool) {
        let Some((id, payment)) = self.unsent_with(txid) else { return };
        if payment.abandoned || payment.rival.is_some() {
            return;
        }
        let detail = format!("not taken by the network yet, and sent again every minute: {why}");
        let told = payment.detail.as_deref().is_some_and(|told| same_words(told, &detail));
        match told {
            false => self.set(cx, id, PaymentRecord { detail: Some(detail), absent, ..payment }),
            true if payment.absent != absent => cx.row(self.all.put(id, PaymentRecord { absent, ..payment })),
            true => {}
        }
    }

    /// Takes note of transactions that left the mempool. One of our own is signed and may come back at any time, so its
    /// coins stay spent, and it is sent again. Gives those that are not ours.
    pub(crate) fn left_mempool(&mut self, cx: &mut Context<'_>, evicted: Vec<Txid>) -> Vec<Txid> {
        evicted.into_iter().filter(|txid| !self.one_left_mempool(cx, *txid)).collect()
    }

    /// Whether it was one of ours.
    fn one_left_mempool(&mut self, cx: &mut Context<'_>, txid: Txid) -> bool {
        let ours = self.of_transaction(txid).filter(|(_, payment)| payment.is_sent());
        let Some((id, payment)) = ours.map(|(id, payment)| (*id, payment.clone())) else { return false };
        if payment.state == PaymentState::Seen {
            let detail = Some("it left the mempool, and is sent again".to_owned());
            self.set(cx, id, PaymentRecord { state: PaymentState::Signed, detail, absent: true, ..payment });
        }
        true
    }

    /// The payment that a transaction is of, where that is signed and not taken.
    pub(super) fn unsent_with(&self, txid: Txid) -> Option<(PaymentId, PaymentRecord)> {
        let (id, payment) = self.of_transaction(txid)?;
        (payment.state == PaymentState::Signed).then(|| (*id, payment.clone()))
    }

    /// The payment that a transaction is of: of several with the same, the one with the highest precedence.
    fn of_transaction(&self, txid: Txid) -> Option<(&PaymentId, &PaymentRecord)> {
        let with = self.all.iter().filter(|(_, payment)| payment.txid == txid);
        with.max_by_key(|(id, payment)| payment.precedence(**id))
    }
}

/// Whether two reasons say the same but for their figures: a minimum that moves with each look is no news.
fn same_words(one: &str, other: &str) -> bool {
    let words = |text: &str| text.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect::<String>();
    words(one) == words(other)
}
