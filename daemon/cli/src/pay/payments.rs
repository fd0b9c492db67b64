//! `payment …`: the payments of an account, and drafts that were left behind.

use autonomy_wallet::rate;
use serde_json::json;

use crate::{
    Exit, Failure,
    account::listed,
    amount::btc,
    args::PaymentVerb,
    ask,
    contact::{MIN_ID_PREFIX, short},
    context::Context,
    output::{Report, pairs, table, time},
};
use autonomy_api::{Payment, PaymentId, PaymentState, Recipient, Written as _};
use autonomy_client::{CallError, PodClient, printable};

/// Carries out a verb of `payment`.
///
/// # Errors
/// There is no such payment, or it is no draft any more; the pod refuses or is not reached.
pub(crate) async fn payment(context: &Context, verb: PaymentVerb) -> Result<Report, Failure> {
    match verb {
        PaymentVerb::List { account } => list(context, account.as_deref()).await,
        PaymentVerb::Show { payment } => {
            let session = context.session().await?;
            let payment = find(context, session.pod(), &payment).await?;
            Ok(Report::new(&payment, described(&payment)))
        }
        PaymentVerb::Resume { payment } => super::resume(context, &payment).await,
        PaymentVerb::Cancel { payment, signed, yes } => cancel(context, &payment, signed, yes).await,
    }
}

/// Cancels a draft; where that is meant, a signed payment. One that ended by itself is told as it is: nothing is left to do.
async fn cancel(context: &Context, wanted: &str, signed: bool, yes: bool) -> Result<Report, Failure> {
    let session = context.session().await?;
    let payment = find(context, session.pod(), wanted).await?;
    let json = json!({ "cancelled": payment.id });
    match payment.state {
        PaymentState::Draft => {}
        PaymentState::Cancelled => {
            return Ok(Report::new(&json, format!("payment {} was cancelled before", short(&payment.id))));
        }
        PaymentState::Signed if signed => return give_up(context, session.pod(), &payment, yes).await,
        _ => return Err(no_draft(&payment)),
    }
    ask::confirm(&format!("Cancel draft {} of {}?", short(&payment.id), paid(&payment)), yes)?;
    context.spinner.during("telling the pod", session.pod().cancel_payment(&payment.id)).await?;
    Ok(Report::new(&json, "the draft is cancelled; its coins can be spent again"))
}

/// Gives up a payment that is signed. The pod does so only where it knows that no mempool has it.
async fn give_up(
    context: &Context,
    pod: &PodClient,
    payment: &Payment,
    yes: bool,
) -> Result<Report, Failure> {
    let id = short(&payment.id);
    let question = format!(
        "Payment {id} of {} is signed: whoever has it may send it all the same, until another payment that spends one of its \
         coins is confirmed.\nGive it up?",
        paid(payment)
    );
    ask::confirm(&question, yes)?;
    let given_up = context.spinner.during("telling the pod", pod.give_up_payment(&payment.id)).await?;
    let text = format!("payment {id} is given up: it is not sent any more, and its coins can be spent again");
    Ok(Report::new(&json!({ "given_up": payment.id, "state": given_up.state }), text))
}

/// The failure of a payment that cannot be cancelled as it stands.
fn no_draft(payment: &Payment) -> Failure {
    let id = short(&payment.id);
    let help = match payment.state {
        PaymentState::Signed => format!(
            "it may be sent at any time. If no mempool has it, `autonomy payment cancel {id} --signed` gives it up; else wait"
        ),
        _ => "a signed payment cannot be taken back: it may be in the network already".to_owned(),
    };
    let detail = format!("payment {id} is no draft any more: {}", state(payment.state));
    Failure::new(Exit::PodRefused, "conflict", detail).help(help)
}

/// The payment that is meant, by id or the beginning of it.
///
/// # Errors
/// There is none, or several fit.
pub(crate) async fn find(context: &Context, pod: &PodClient, wanted: &str) -> Result<Payment, Failure> {
    let id = match wanted.parse::<PaymentId>() {
        Ok(id) => id,
        Err(_) => of_beginning(context, pod, wanted).await?,
    };
    match context.spinner.during("asking the pod", pod.payment(&id)).await {
        Err(CallError::Refused { status: 404, .. }) => Err(none(wanted)),
        payment => Ok(payment?),
    }
}

/// The id that begins so, among the payments of all accounts.
async fn of_beginning(context: &Context, pod: &PodClient, wanted: &str) -> Result<PaymentId, Failure> {
    let mut all = Vec::new();
    for account in context.spinner.during("asking the pod", pod.accounts()).await?.accounts {
        all.extend(context.spinner.during("asking the pod", pod.payments(&account.id)).await?.payments);
    }
    let ids = all.iter().map(|payment| payment.id);
    let mut found = ids.filter(|id| wanted.len() >= MIN_ID_PREFIX && id.to_string().starts_with(wanted));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => Err(none(wanted)),
        _ => {
            Err(Failure::usage(format!("several payments have ids that begin with `{}`", printable(wanted)))
                .help("give more of the id"))
        }
    }
}

fn none(wanted: &str) -> Failure {
    Failure::usage(format!("no payment has the id `{}`", printable(wanted)))
        .help("see `autonomy payment list`")
}

/// Lists the payments of an account, newest first.
async fn list(context: &Context, wanted: Option<&str>) -> Result<Report, Failure> {
    let (session, accounts) = listed(context).await?;
    let account = accounts.choose(wanted)?;
    let payments =
        context.spinner.during("asking the pod", session.pod().payments(&account.reported.id)).await?;
    let row = |payment: &Payment| {
        let amounts = payment.recipients.iter().map(|recipient| recipient.amount.to_sat());
        let (drafted, paid) = (time(payment.created_at), btc(amounts.fold(0, u64::saturating_add)));
        vec![drafted, paid, state(payment.state).into(), short(&payment.id), note(payment)]
    };
    let rows: Vec<Vec<String>> = payments.payments.iter().map(row).collect();
    let text = match rows.is_empty() {
        true => "no payment yet".to_owned(),
        false => table(&["drafted", "BTC", "state", "id", "note"], &rows),
    };
    Ok(Report::new(&json!({ "account": account.reported.id, "payments": payments.payments }), text))
}

/// A payment in words, as the pod reports it.
pub(super) fn described(payment: &Payment) -> String {
    let confirmed = payment.confirmed_height.map_or_else(String::new, |height| {
        format!("in block {height}, {} confirmation(s)", payment.confirmations)
    });
    let wait =
        payment.estimated_minutes.map_or_else(String::new, |minutes| format!("in about {minutes} min"));
    let rate = rate::to_sat_per_vb(payment.fee_rate);
    let fee = format!("{} BTC, {rate:.2} sat/vB", btc(payment.fee.to_sat()));
    pairs([
        ("payment", payment.id.to_string()),
        ("state", state(payment.state).to_owned()),
        ("paid", paid(payment)),
        ("fee", fee),
        ("transaction", payment.txid.to_string()),
        ("confirmed", confirmed),
        ("confirms", wait),
        ("note", note(payment)),
        ("detail", payment.detail.as_deref().map_or_else(String::new, printable)),
    ])
}

/// Whom a payment pays, and how much.
pub(super) fn paid(payment: &Payment) -> String {
    let recipient =
        |to: &Recipient| format!("{} BTC to {}", btc(to.amount.to_sat()), to.address.write().as_str());
    payment.recipients.iter().map(recipient).collect::<Vec<_>>().join(", ")
}

/// The note of a payment, safe to print; empty where there is none.
fn note(payment: &Payment) -> String {
    payment.note.as_ref().map_or_else(String::new, |note| printable(note.as_str()))
}

pub(super) fn state(state: PaymentState) -> &'static str {
    match state {
        PaymentState::Draft => "draft",
        PaymentState::Signed => "signed, not yet in the network",
        PaymentState::Seen => "in the network, unconfirmed",
        PaymentState::Confirmed => "confirmed",
        PaymentState::Cancelled => "cancelled",
        PaymentState::Failed => "failed",
    }
}
