//! Room for one more draft: its coins, and its place among the drafts of the account.
//!
//! A draft holds its coins, so that drafts share none and any of them can be approved at any moment. One draft may hold all
//! coins. So drafts of devices without full access yield: where a device with full access pays and there is no room beside
//! them, those in its way are given up, the oldest first, and no more than it needs. Drafts of devices with full access, and
//! of the owner, yield to nobody.

use std::collections::BTreeSet;

use autonomy_wallet::{account::AccountId, bitcoin::OutPoint, check::Proposal, payment::Intent};

use super::{POLICY, PaymentRecord, Payments};
use crate::{Caller, PaymentId, Refusal, accounts::Accounts, context::Context, devices::Admission};
use autonomy_api::{Access, PaymentState};

/// Drafts of one account at once. Each holds coins, and a PSBT of up to 4 MiB in memory and on disk.
const MAX_DRAFTS: usize = 16;
/// Drafts of one account that one device without full access may have open at once.
const MAX_DRAFTS_LIMITED: usize = 4;
/// Said of a draft that yielded.
const YIELDED: &str = "a device with full access made a payment that needed the room";

/// The payer and what is to be paid.
pub(super) type Wanted<'a> = (Caller, AccountId, &'a Intent);

impl Payments {
    /// Drafts a payment, checked, for which there is room now. Its coins are not held yet.
    ///
    /// # Errors
    /// There are too many drafts or too few coins, or the checker refuses; no draft has yielded then.
    pub(super) fn propose(
        &mut self,
        cx: &mut Context<'_>,
        admission: &Admission,
        accounts: &mut Accounts,
        (caller, id, intent): Wanted<'_>,
    ) -> Result<Proposal, Refusal> {
        let limited = is_limited(admission, caller);
        let yielding = if limited { Vec::new() } else { self.limited_drafts(admission, id) };
        let in_the_way = self.check_place(caller, limited, id, &yielding)?;
        let (proposal, overtaken) = self.propose_over(cx, accounts, (id, intent), &yielding)?;
        // Whose coins are taken leaves a place as well.
        let yields = if overtaken.is_empty() { Vec::from_iter(in_the_way) } else { overtaken };
        for payment in yields {
            self.give_up(cx, accounts, payment, Some(YIELDED.into()))?;
        }
        Ok(proposal)
    }

    /// Drafts of devices without full access, the oldest first. Those of a device that was revoked are among them.
    fn limited_drafts(&self, admission: &Admission, account: AccountId) -> Vec<PaymentId> {
        let mut drafts: Vec<_> =
            self.drafts(account).filter(|(_, draft)| is_limited(admission, draft.by)).collect();
        drafts.sort_by_key(|(_, draft)| draft.created_at);
        drafts.into_iter().map(|(id, _)| *id).collect()
    }

    /// Which draft has to yield its place; none while there is one more.
    ///
    /// # Errors
    /// There is no place, and none that yields.
    fn check_place(
        &self,
        caller: Caller,
        limited: bool,
        account: AccountId,
        yielding: &[PaymentId],
    ) -> Result<Option<PaymentId>, Refusal> {
        let remedy = "cancel or approve one of them";
        let full = |limit| Refusal::Full { what: "drafts of an account", limit, remedy };
        let own = self.drafts(account).filter(|(_, draft)| draft.by == caller).count();
        if limited && own >= MAX_DRAFTS_LIMITED {
            return Err(full(MAX_DRAFTS_LIMITED));
        }
        if self.drafts(account).count() < MAX_DRAFTS {
            return Ok(None);
        }
        yielding.first().copied().map(Some).ok_or_else(|| full(MAX_DRAFTS))
    }

    /// A payment of free coins; where they do not suffice, of those of one more of `yielding` at a time. Gives which of
    /// them it takes coins of: these are free. All others hold theirs as before.
    ///
    /// # Errors
    /// Not even all of them suffice, or the checker refuses.
    fn propose_over(
        &self,
        cx: &mut Context<'_>,
        accounts: &mut Accounts,
        (id, intent): (AccountId, &Intent),
        yielding: &[PaymentId],
    ) -> Result<(Proposal, Vec<PaymentId>), Refusal> {
        let mut proposed = accounts.draft(cx, id, intent, &POLICY);
        let mut freed = Vec::new();
        for payment in yielding {
            if !proposed.as_ref().is_err_and(lacks_coins) {
                break;
            }
            let coins = self.get(payment)?.inputs.clone();
            accounts.release(cx, id, coins.clone())?;
            freed.push((*payment, coins));
            proposed = accounts.draft(cx, id, intent, &POLICY);
        }
        let taken: BTreeSet<OutPoint> = proposed.iter().flat_map(coins_of).collect();
        let (overtaken, kept): (Vec<_>, Vec<_>) =
            freed.into_iter().partition(|(_, coins)| coins.iter().any(|coin| taken.contains(coin)));
        for (_, coins) in kept {
            accounts.reserve(cx, id, coins)?;
        }
        Ok((proposed?, overtaken.into_iter().map(|(payment, _)| payment).collect()))
    }

    /// The drafts of an account.
    fn drafts(&self, account: AccountId) -> impl Iterator<Item = (&PaymentId, &PaymentRecord)> {
        let is_draft = move |(_, payment): &(&PaymentId, &PaymentRecord)| {
            payment.account == account && payment.state == PaymentState::Draft
        };
        self.all.iter().filter(is_draft)
    }
}

/// The coins that a payment spends.
pub(super) fn coins_of(proposal: &Proposal) -> Vec<OutPoint> {
    proposal.summary().inputs.iter().map(|input| input.outpoint).collect()
}

fn is_limited(admission: &Admission, caller: Caller) -> bool {
    admission.access(caller) < Some(Access::Full)
}

/// Whether other coins may help: there are too few, or, of those left, too many are needed for one transaction.
fn lacks_coins(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Funds(_) | Refusal::Conflict(_))
}
