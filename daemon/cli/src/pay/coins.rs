//! Which coins of an account cannot be spent now, and why.

use autonomy_wallet::bitcoin::{Amount, Psbt};

use super::payments::paid;
use crate::{Failure, amount::btc, contact::short, context::Context};
use autonomy_api::{Balance, Payment, PaymentState};
use autonomy_client::{ListedAccount, PodClient};

/// A draft, and what it holds.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// The draft.
    pub(crate) payment: Payment,
    /// The sum of the coins that it would spend.
    pub(crate) amount: Amount,
}

impl Held {
    /// The drafts of an account.
    ///
    /// # Errors
    /// The pod is not reached.
    pub(crate) async fn of(
        context: &Context,
        pod: &PodClient,
        account: &ListedAccount,
    ) -> Result<Vec<Self>, Failure> {
        let listed = context.spinner.during("asking the pod", pod.payments(&account.reported.id)).await?;
        let mut held = Vec::new();
        for draft in listed.payments.iter().filter(|payment| payment.state == PaymentState::Draft) {
            // The list comes without what would be signed.
            let payment = context.spinner.during("asking the pod", pod.payment(&draft.id)).await?;
            if let Some(amount) = payment.psbt.as_deref().and_then(coins) {
                held.push(Self { payment, amount });
            }
        }
        Ok(held)
    }

    /// The sum of several.
    pub(crate) fn sum(held: &[Self]) -> Amount {
        held.iter()
            .fold(Amount::ZERO, |sum, draft| sum.checked_add(draft.amount).unwrap_or(Amount::MAX_MONEY))
    }

    /// The draft in a sentence, with the command that ends it.
    pub(crate) fn sentence(&self) -> String {
        let (amount, id) = (btc(self.amount.to_sat()), short(&self.payment.id));
        format!(
            "{amount} BTC are held by draft {id} ({}); `autonomy payment cancel {id}` frees them, `autonomy payment \
             resume {id}` pays it",
            paid(&self.payment)
        )
    }
}

/// What the inputs of a draft are worth; `None` for what is no PSBT.
fn coins(bytes: &[u8]) -> Option<Amount> {
    let psbt = Psbt::deserialize(bytes).ok()?;
    psbt.iter_funding_utxos().try_fold(Amount::ZERO, |sum, coin| sum.checked_add(coin.ok()?.value))
}

/// Adds to "not enough" where the rest is: in drafts, unconfirmed, or too young.
pub(super) async fn explain(
    context: &Context,
    pod: &PodClient,
    account: &ListedAccount,
    failure: Failure,
) -> Failure {
    // Where the pod is not reached any more, the refusal stands as it is.
    let held = Held::of(context, pod, account).await.unwrap_or_default();
    let reasons = reasons(&account.reported.balance, &held);
    if reasons.is_empty() { failure } else { failure.help(reasons.join("; ")) }
}

fn reasons(balance: &Balance, held: &[Held]) -> Vec<String> {
    let mut reasons: Vec<String> = held.iter().map(Held::sentence).collect();
    if balance.unconfirmed > Amount::ZERO {
        let amount = btc(balance.unconfirmed.to_sat());
        reasons.push(format!(
            "{amount} BTC are unconfirmed: what came from others can be spent once a block has it"
        ));
    }
    if balance.immature > Amount::ZERO {
        let amount = btc(balance.immature.to_sat());
        reasons.push(format!("{amount} BTC are mined and can be spent once 100 blocks follow"));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balance_names_what_is_unconfirmed_and_immature() {
        let sat = Amount::from_sat;
        let balance =
            Balance { confirmed: sat(5), unconfirmed: sat(40_000_000), immature: sat(1), total: sat(0) };
        let reasons = reasons(&balance, &[]).join("; ");
        assert!(reasons.starts_with("0.40000000 BTC are unconfirmed: "), "{reasons}");
        assert!(reasons.contains("0.00000001 BTC are mined"), "{reasons}");
        assert_eq!(super::reasons(&Balance::default(), &[]), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_draft_holds_nothing() {
        assert_eq!(coins(b"hello"), None);
    }
}
