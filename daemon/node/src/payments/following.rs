//! How payments follow what the ledgers of their accounts say of their transactions.

use autonomy_wallet::{
    account::AccountId,
    bitcoin::{Txid, consensus},
    ledger::HistoryState,
};

use super::{PaymentRecord, Payments, holding::ABANDONED};
use crate::{PaymentId, Timestamp, accounts::Accounts, chain::Chain, context::Context};
use autonomy_api::PaymentState;

/// Blocks, its own counted, under which another spend of the same coins ends a payment. It is the depth at which payments
/// are taken for settled everywhere. Before, a reorganisation may well bring the payment back, and its coins are not free.
pub const BURIED: u32 = 6;

/// Beginning of what the owner reads of a payment that another transaction rules out.
const SPENT_OTHERWISE: &str =
    "its coins, or those of a payment that it spends, were spent by another transaction";
/// What the owner reads of a payment that is in no block any more, and in no mempool.
const LOST: &str = "it is in no block and in no mempool, and is sent again";
/// What the owner reads of a payment that failed and counts again.
const REVIVED: &str = "a deep reorganisation made it valid again. It is not sent, since it was called failed; whoever has \
                       it may send it";

impl PaymentRecord {
    /// How it stands if its transaction stands so in the ledger; `None` where nothing follows. `depth` are the confirmations
    /// of the transaction that counts in its place.
    fn follows(&self, state: HistoryState, depth: u32) -> Option<Self> {
        use PaymentState::{Cancelled, Confirmed, Draft, Failed, Seen, Signed};
        let is_signed = !matches!(self.state, Draft | Cancelled);
        let (state, rival, detail) = match state {
            HistoryState::Confirmed { .. } => (Confirmed, None, None),
            // Its owner was told that it failed, and may have paid again.
            HistoryState::Pending { .. } if self.state == Failed => {
                let detail = Some(REVIVED.to_owned());
                return Some(Self { state: Signed, abandoned: true, detail, ..self.clone() });
            }
            HistoryState::Pending { .. } if self.state == Signed && self.rival.is_none() => return None,
            HistoryState::Pending { .. } if self.state == Signed => (Signed, None, self.given_up()),
            HistoryState::Pending { .. } => (Seen, None, None),
            _ if !is_signed || self.state == Failed => return None,
            HistoryState::Replaced { by } if depth >= BURIED => (
                Failed,
                None,
                Some(format!("{SPENT_OTHERWISE}, {by}, which is buried under {BURIED} blocks")),
            ),
            HistoryState::Replaced { by } => {
                let coins = match self.abandoned {
                    true => "It was given up, so its other coins are free".to_owned(),
                    false => format!("Its coins are kept until that is buried under {BURIED} blocks"),
                };
                (Signed, Some(by), Some(format!("{SPENT_OTHERWISE}, {by}. {coins}")))
            }
            _ if self.abandoned && self.rival.is_none() => return None,
            _ if self.abandoned => (Signed, None, self.given_up()),
            _ => (Signed, None, Some(LOST.to_owned())),
        };
        let in_network = matches!(state, Confirmed | Seen);
        let (abandoned, absent) = (self.abandoned && !in_network, self.absent && !in_network);
        Some(Self { state, rival, detail, abandoned, absent, ..self.clone() })
    }

    /// What its owner reads of it, where they gave it up.
    fn given_up(&self) -> Option<String> {
        self.abandoned.then(|| ABANDONED.to_owned())
    }

    /// Of several payments of one transaction, the transaction is of the one with the highest precedence: of the one that was
    /// signed.
    pub(super) fn precedence(&self, id: PaymentId) -> (bool, bool, Timestamp, PaymentId) {
        let given_up = matches!(self.state, PaymentState::Cancelled | PaymentState::Failed);
        (self.transaction.is_some(), !given_up, self.created_at, id)
    }
}

impl Payments {
    /// Brings the payments of accounts in line with their ledgers.
    pub(crate) fn follow(
        &mut self,
        cx: &mut Context<'_>,
        accounts: &mut Accounts,
        chain: &Chain,
        changed: &[AccountId],
    ) {
        let followers = self.all.iter().filter(|(_, payment)| changed.contains(&payment.account));
        let followers = followers.filter_map(|(id, payment)| {
            let after = follower(accounts, payment)?;
            (!self.is_superseded(*id, payment)).then_some((*id, after))
        });
        let mut given_up = Vec::new();
        for (id, payment) in followers.collect::<Vec<_>>() {
            let payment = taken_over(accounts, payment);
            match (payment.state, payment.rival, payment.abandoned) {
                (PaymentState::Signed, None, true) => given_up.push(payment.clone()),
                (PaymentState::Signed, None, false) => {
                    self.count_again(cx, accounts, chain, &payment);
                    self.send_at_once();
                }
                _ => {}
            }
            self.set(cx, id, payment);
        }
        // Nothing rules it out any more, so the ledger counts it again; its owner does not.
        given_up.iter().for_each(|payment| self.free(cx, accounts, chain, payment));
    }

    /// Ends what its owner gave up before the same transaction was signed once more: the transaction is of the later payment.
    pub(super) fn supersede(&mut self, cx: &mut Context<'_>, by: PaymentId, txid: Txid) {
        let earlier = self.unsent().filter(|(id, payment)| payment.txid == txid && **id != by);
        for (id, payment) in earlier.map(|(id, payment)| (*id, payment.clone())).collect::<Vec<_>>() {
            let detail = Some(format!("given up by its owner, and signed once more as payment {by}"));
            let state = PaymentState::Cancelled;
            self.set(cx, id, PaymentRecord { state, detail, rival: None, ..payment });
        }
    }

    /// Accounts with a payment that another transaction takes the place of: each block may bury that one.
    pub(crate) fn contested(&self) -> Vec<AccountId> {
        let contested = self.unsent().filter(|(_, payment)| payment.rival.is_some());
        contested.map(|(_, payment)| payment.account).collect()
    }

    /// Whether the transaction of a payment counts for another one. Drafts of one intent may have the same transaction one
    /// after the other: it is of the one that was signed, else of one that was not given up, and else of the newest.
    pub(super) fn is_superseded(&self, id: PaymentId, payment: &PaymentRecord) -> bool {
        let own = payment.precedence(id);
        self.all.iter().any(|(other, its)| its.txid == payment.txid && its.precedence(*other) > own)
    }
}

/// The payment as its account's ledger has it now; none where it stands so already.
fn follower(accounts: &Accounts, payment: &PaymentRecord) -> Option<PaymentRecord> {
    let account = accounts.get(&payment.account).ok()?;
    let (ledger, state) = (account.ledger(), account.ledger().entry(&payment.txid)?.state);
    let depth = match state {
        HistoryState::Replaced { by } => ledger.confirmations(&by),
        _ => 0,
    };
    let after = payment.follows(state, depth)?;
    let moved = (after.state, after.rival) != (payment.state, payment.rival);
    // What is signed counts in the ledger, whatever a node once said of it.
    (moved || state == HistoryState::Dropped).then_some(after)
}

/// A payment of which the network has a transaction that was not signed here: this pod comes from a backup of before the
/// signature, or the other signers finished the draft without it. What the network has is kept as if it had been signed
/// here, to be sent again if the network loses it.
fn taken_over(accounts: &Accounts, payment: PaymentRecord) -> PaymentRecord {
    if payment.transaction.is_some() {
        return payment;
    }
    let ledger = accounts.get(&payment.account).map(|account| account.ledger());
    let Ok(Some(transaction)) = ledger.map(|ledger| ledger.transaction(&payment.txid)) else {
        return payment;
    };
    PaymentRecord { psbt: None, transaction: Some(consensus::serialize(transaction.as_ref())), ..payment }
}
