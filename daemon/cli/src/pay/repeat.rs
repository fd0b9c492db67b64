//! The same wish a second time: whoever repeats a command that was cut off may pay twice.

use autonomy_wallet::account::AccountId;

use super::payments::{paid, state};
use crate::{
    Failure,
    ask::Question,
    contact::short,
    context::{Context, now},
    output::time,
};
use autonomy_api::{Payment, PaymentId, PaymentState, Recipient};
use autonomy_client::{Device, Unsettled};

/// For so long a payment that is confirmed counts as the same wish: a day, within which a person repeats what seemed to
/// fail. Rent of the same amount is paid later than that. Seconds since it was drafted.
const RECENT: u64 = 24 * 60 * 60;
/// The same in confirmations, six an hour: what was drafted long ago may have been confirmed just now.
const RECENT_BLOCKS: u32 = 144;

/// An earlier payment of the same amounts to the same addresses.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Earlier {
    /// None that counts.
    None,
    /// A draft, which holds coins and was never paid.
    Draft(Box<Payment>),
    /// One that is paid, or on its way.
    Paid(Box<Payment>),
}

/// Looks for an earlier payment of the same; a draft is named to the person. `own` is the draft that is about to be paid,
/// `yes` says that nobody is asked.
///
/// # Errors
/// The pod is not reached.
pub(super) async fn same(
    context: &Context,
    device: &Device,
    (account, recipients): (&AccountId, &[Recipient]),
    own: Option<&PaymentId>,
    yes: bool,
) -> Result<Earlier, Failure> {
    let asked = device.pod.payments(account);
    let mut payments = context.spinner.during("asking the pod", asked).await?.payments;
    payments.retain(|payment| Some(&payment.id) != own);
    let unsettled = device.profile.account(account).map(|held| held.unsettled.as_slice());
    let earlier = among(&payments, recipients, unsettled.unwrap_or_default(), now());
    if let Earlier::Draft(payment) = &earlier {
        let id = short(&payment.id);
        context.out.before_question(yes, &format!(
            "an earlier draft of the same payment, {id}, still holds its coins: `autonomy payment resume {id}` goes on \
             with it, `autonomy payment cancel {id}` frees them"
        ));
    }
    Ok(earlier)
}

/// The earlier payment that counts: the newest that is paid, else the newest draft. That a payment failed is the pod's word:
/// where this device has signed it and the network was never said to have it (`unsettled`), it may be paid.
fn among(payments: &[Payment], recipients: &[Recipient], unsettled: &[Unsettled], now: u64) -> Earlier {
    let mut same = payments.iter().filter(|payment| payment.recipients == recipients);
    let is_paid = |payment: &&Payment| match payment.state {
        PaymentState::Signed | PaymentState::Seen => true,
        PaymentState::Confirmed => {
            payment.confirmations < RECENT_BLOCKS || payment.created_at.saturating_add(RECENT) > now
        }
        PaymentState::Failed => unsettled.iter().any(|signed| signed.txid == payment.txid),
        PaymentState::Draft | PaymentState::Cancelled => false,
    };
    if let Some(paid) = same.clone().find(is_paid) {
        return Earlier::Paid(Box::new(paid.clone()));
    }
    let draft = same.find(|payment| payment.state == PaymentState::Draft);
    draft.map_or(Earlier::None, |draft| Earlier::Draft(Box::new(draft.clone())))
}

impl Earlier {
    /// Refuses to pay the same again where nobody is asked, unless `again` says that it is wanted.
    ///
    /// # Errors
    /// The same is paid, and there is only a `--yes`.
    pub(super) fn allow(&self, yes: bool, again: bool) -> Result<(), Failure> {
        match self {
            Self::Paid(payment) if yes && !again => {
                Err(Failure::check("paid-before", named(payment)).help(format!(
                    "see `autonomy payment show {}`; with --again the same is paid once more",
                    short(&payment.id)
                )))
            }
            _ => Ok(()),
        }
    }

    /// The question before it is paid, `besides` another that this device has signed and that may be paid too.
    pub(super) fn question(&self, besides: bool) -> Question {
        match self {
            Self::Paid(payment) => {
                Question::with_word(format!("{}.\nPay the same a second time?", named(payment)), "again")
            }
            _ if besides => Question::with_word("Pay this besides?", "again"),
            _ => Question::new("Pay this?"),
        }
    }
}

fn named(payment: &Payment) -> String {
    let stands = match payment.state {
        PaymentState::Failed => "signed here: the pod says that it failed, and it may be paid all the same",
        other => state(other),
    };
    let (id, at) = (short(&payment.id), time(payment.created_at));
    format!("payment {id} of {at} pays the same, {}, and is {stands}", paid(payment))
}

#[cfg(test)]
mod tests {
    use autonomy_wallet::bitcoin::{Amount, FeeRate, Txid, hashes::Hash as _};

    use super::*;
    use crate::Exit;

    const NOW: u64 = 1_795_442_527;

    fn wish(sat: u64) -> Vec<Recipient> {
        let address = autonomy_api::Written::read("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080").unwrap();
        vec![Recipient { address, amount: Amount::from_sat(sat) }]
    }

    /// What this device remembers of a payment that it signed.
    fn unsettled(payment: &Payment) -> Unsettled {
        let (inputs, recipients) = (Vec::new(), payment.recipients.clone());
        Unsettled { payment: payment.id, txid: payment.txid, inputs, recipients, answered: true }
    }

    fn payment(id: u8, sat: u64, state: PaymentState, created_at: u64) -> Payment {
        Payment {
            id: format!("{id:032x}").parse().unwrap(),
            account: AccountId::from_bytes([1; 16]),
            state,
            recipients: wish(sat),
            fee: Amount::ZERO,
            fee_rate: FeeRate::ZERO,
            txid: Txid::from_byte_array([id; 32]),
            psbt: None,
            note: None,
            created_at,
            confirmed_height: None,
            confirmations: RECENT_BLOCKS,
            estimated_minutes: None,
            detail: None,
        }
    }

    /// The id of the earlier payment that counts, and whether it is paid.
    fn found(payments: &[Payment], unsettled: &[Unsettled]) -> Option<(u8, bool)> {
        let last = |payment: &Payment| u8::from_str_radix(&payment.id.to_string()[30..], 16).unwrap();
        match among(payments, &wish(100), unsettled, NOW) {
            Earlier::None => None,
            Earlier::Draft(payment) => Some((last(&payment), false)),
            Earlier::Paid(payment) => Some((last(&payment), true)),
        }
    }

    #[test]
    fn same_wish_is_found_while_it_may_be_a_repeat() {
        use PaymentState::{Cancelled, Confirmed, Draft, Failed, Seen, Signed};
        for (state, age, expected) in [
            (Signed, 9 * RECENT, Some((1, true))),
            (Seen, 9 * RECENT, Some((1, true))),
            (Confirmed, 60, Some((1, true))),
            (Confirmed, RECENT, None),
            (Draft, 60, Some((1, false))),
            (Cancelled, 60, None),
            (Failed, 60, None),
        ] {
            assert_eq!(found(&[payment(1, 100, state, NOW - age)], &[]), expected, "{state:?} {age}");
            assert_eq!(found(&[payment(1, 101, state, NOW - age)], &[]), None, "another amount");
        }
        let both = [payment(1, 100, Draft, NOW), payment(2, 100, Seen, NOW - 5)];
        assert_eq!(found(&both, &[]), Some((2, true)), "a paid one counts more than a draft");
    }

    #[test]
    fn payment_drafted_long_ago_and_confirmed_today_counts() {
        let confirmed = |confirmations| {
            let payment = payment(1, 100, PaymentState::Confirmed, NOW - 9 * RECENT);
            Payment { confirmations, ..payment }
        };
        assert_eq!(found(&[confirmed(RECENT_BLOCKS - 1)], &[]), Some((1, true)));
        assert_eq!(found(&[confirmed(RECENT_BLOCKS)], &[]), None);
    }

    #[test]
    fn payment_that_the_pod_calls_failed_counts_if_it_was_signed_here() {
        let failed = payment(1, 100, PaymentState::Failed, NOW - 9 * RECENT);
        let signed = unsettled(&failed);
        assert_eq!(found(&[failed], std::slice::from_ref(&signed)), Some((1, true)));
        assert_eq!(found(&[payment(2, 100, PaymentState::Failed, NOW)], &[signed]), None, "another one");
    }

    #[test]
    fn same_wish_asks_and_is_never_paid_by_yes_alone() {
        let paid = Earlier::Paid(Box::new(payment(1, 100, PaymentState::Seen, NOW)));
        assert_eq!(paid.allow(true, false).unwrap_err().exit, Exit::Check);
        assert!(paid.allow(false, false).is_ok() && paid.allow(true, true).is_ok());
        let asked = "payment 00000000 of 2026-11-23 14:02:07Z pays the same, 0.00000100 BTC to \
                     bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080, and is in the network, unconfirmed.\n\
                     Pay the same a second time?";
        assert_eq!(paid.question(false), Question::with_word(asked, "again"));
        for other in [Earlier::None, Earlier::Draft(Box::new(payment(1, 100, PaymentState::Draft, NOW)))] {
            assert!(other.allow(true, false).is_ok());
            assert_eq!(other.question(false), Question::new("Pay this?"));
            assert_eq!(other.question(true), Question::with_word("Pay this besides?", "again"));
        }
    }
}
