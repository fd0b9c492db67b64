//! `pay` and `payment …`: drafting, checking, approving and following payments.
//!
//! The order protects the money: the pod drafts, this device checks the draft against its own
//! account map and the amount that was typed, the person sees what the device has parsed, and only
//! then P signs. An outcome that is unknown has an exit status of its own, so that nobody pays
//! twice.

use std::{fmt::Write as _, time::Duration};

use autonomy_wallet::{
    bitcoin::{Amount, FeeRate},
    check::{Owner, Summary},
    rate,
};
use serde_json::{Value, json};

use super::{
    Exit, Failure,
    account::{choose, listed, listed_by_device},
    amount::{Sat, btc},
    args::{Pay, PaymentVerb},
    ask,
    bip21::Payee,
    context::Context,
    output::{Report, pairs, table, time},
};
use autonomy_api::{NewPayment, Payment, PaymentState, Recipient, Written as _};
use autonomy_client::{CheckedDraft, Device, DeviceError, printable};

/// Time for the network to accept a signed payment before the command ends; the pod goes on trying.
const TAKEN_WITHIN: Duration = Duration::from_secs(15);

/// Makes a payment, from the draft until the network has it.
///
/// Without a terminal `--yes` is required before anything is drafted.
///
/// # Errors
/// The amount is missing or ambiguous; a check refused the draft; the person says no; or the
/// outcome is unknown, with exit status 6.
pub(super) async fn pay(context: &Context, wish: &Pay) -> Result<Report, Failure> {
    let amount = amount_of(wish)?;
    ask::can_confirm(wish.yes)?;
    let (mut device, accounts) = listed_by_device(context, "pay").await?;
    let account = choose(&accounts, wish.account.as_deref())?;
    let id = account.reported.id;
    let address = ask::written("address", &wish.payee.address)?;
    let recipient = Recipient { address, amount: Amount::from_sat(amount.to_sat()) };
    let note = wish.note.as_deref().map(|note| ask::written("--note", note)).transpose()?;
    let payment = NewPayment { recipients: vec![recipient], fee_rate: fee_rate(wish)?, note };
    let drafting = Box::pin(device.draft(&id, &payment));
    let draft = context.spinner.during("drafting and checking", drafting).await?;
    let name = device.profile.account(&id).map_or("", |held| held.map.name());
    let (summary, shown) = (json_of(draft.summary()), text_of(name, draft.summary()));
    context.out.note(&shown);
    note_passed_over(context, &wish.payee);
    note_earlier(context, &draft);
    if let Err(refused) = ask::confirm("Pay this?", wish.yes) {
        device.give_up(&draft.id()).await;
        return Err(refused);
    }
    // Whoever was asked has been told of earlier payments; without a question they are refused.
    let draft = if wish.yes { draft } else { draft.besides() };
    let (payment, warning) = sign_and_send(context, &mut device, draft).await?;
    let mut json = serde_json::to_value(&payment).unwrap_or(Value::Null);
    json["checked"] = summary;
    let mut text = described(&payment);
    if let Some(warning) = warning {
        json["warning"] = warning.clone().into();
        let _ = writeln!(text, "warning: the payment is made, but {warning}");
    }
    Ok(Report::new(&json, text))
}

/// Whoever pays while the outcome of an earlier payment is unknown may pay twice.
fn note_earlier(context: &Context, draft: &CheckedDraft) {
    for earlier in draft.earlier() {
        let what =
            if earlier.sent { "paid the same already" } else { "was signed before and may still be sent" };
        context.out.note(&format!("payment {} {what}: both would be paid", earlier.signed.payment));
    }
}

/// A URI may offer more than an address and an amount: who pays should know that nothing came of the rest.
fn note_passed_over(context: &Context, payee: &Payee) {
    if !payee.passed_over.is_empty() {
        context.out.note(&format!("passed over in the URI: {}", payee.passed_over.join(", ")));
    }
}

/// The fee rate that was typed, at the step in which the wallet counts.
fn fee_rate(wish: &Pay) -> Result<Option<FeeRate>, Failure> {
    let rate = |typed| {
        rate::nearest(typed).ok_or_else(|| Failure::usage("`--fee-rate`: a number of satoshi a virtual byte"))
    };
    wish.fee_rate.map(rate).transpose()
}

/// Signs here and at the pod, and waits until the network has the payment. A warning comes with a
/// payment that is made but was not recorded properly.
///
/// After the pod has signed, a lost connection is no failure: the payment exists.
///
/// # Errors
/// The pod or the network refused; or the outcome is unknown.
async fn sign_and_send(
    context: &Context,
    device: &mut Device,
    draft: CheckedDraft,
) -> Result<(Payment, Option<String>), Failure> {
    let approving = Box::pin(device.approve(draft));
    let paid = context.spinner.during("signing, here and at the pod", approving).await?;
    let following = device.follow_payment(&paid.payment, TAKEN_WITHIN);
    let payment = match context.spinner.during("broadcasting", following).await {
        Ok(payment) => payment,
        // It is signed: that the last question got no answer changes nothing.
        Err(DeviceError::Call(_)) => paid.payment,
        Err(error) => return Err(error.into()),
    };
    let warning = paid.warning.map(|warning| warning.to_string());
    if payment.state == PaymentState::Failed { Err(failed(&payment)) } else { Ok((payment, warning)) }
}

/// The amount that was typed or that the URI names; they must agree.
fn amount_of(wish: &Pay) -> Result<Sat, Failure> {
    let typed = match wish.amount.join(" ").as_str() {
        "" => None,
        text => Some(text.parse::<Sat>().map_err(Failure::usage)?),
    };
    match (typed, wish.payee.amount) {
        (Some(typed), Some(asked)) if typed != asked => {
            Err(Failure::usage(format!("you typed {typed}, the URI asks for {asked}: give one of them")))
        }
        (Some(amount), _) | (None, Some(amount)) => Ok(amount),
        (None, None) => {
            Err(Failure::usage("the amount is missing: write it with its unit, `0.25 BTC` or `25000 sat`"))
        }
    }
}

/// The failure of a payment that the pod reports as failed. The pod may be wrong or lie: whoever
/// pays again may pay twice.
fn failed(payment: &Payment) -> Failure {
    let why = payment.detail.as_deref().map_or_else(|| "no reason given".to_owned(), printable);
    let detail = format!("the network refused the payment: {why}");
    Failure::new(Exit::PodRefused, "payment-failed", detail).help(format!(
        "look for transaction {} elsewhere before you pay again: this is the pod's word",
        payment.txid
    ))
}

/// What the person approves. All of it was parsed from the draft by this device; nothing is the
/// pod's text.
fn text_of(account: &str, summary: &Summary) -> String {
    let mut text = String::new();
    for output in &summary.outputs {
        let to = match output.owner {
            Owner::Other => "pay",
            Owner::Own { .. } => "back to the account",
        };
        let _ = writeln!(text, "{to:<20} {} BTC  {}", btc(output.amount.to_sat()), output.address);
    }
    let rate = rate::to_sat_per_vb(summary.fee_rate());
    let _ = writeln!(text, "{:<20} {} BTC  {rate:.2} sat/vB", "fee", btc(summary.fee.to_sat()));
    let total = summary.paid() + summary.fee;
    let _ = write!(text, "{:<20} {} BTC  from account {}", "in all", btc(total.to_sat()), printable(account));
    text
}

/// The same for programs.
///
/// `checked` in the result holds what the device itself parsed, beside what the pod reports.
fn json_of(summary: &Summary) -> Value {
    let output = |output: &autonomy_wallet::check::OutputLine| {
        json!({
            "address": output.address.to_string(), "amount_sat": output.amount.to_sat(),
            "own": matches!(output.owner, Owner::Own { .. }),
        })
    };
    json!({
        "txid": summary.txid, "fee_sat": summary.fee.to_sat(), "inputs": summary.inputs.len(),
        "paid_sat": summary.paid().to_sat(), "outputs": summary.outputs.iter().map(output).collect::<Vec<_>>(),
    })
}

/// Carries out a verb of `payment`.
///
/// # Errors
/// There is no such payment, or it is no draft any more; the pod refuses or is not reached.
pub(super) async fn payment(context: &Context, verb: PaymentVerb) -> Result<Report, Failure> {
    match verb {
        PaymentVerb::List { account } => list(context, account.as_deref()).await,
        PaymentVerb::Show { payment } => {
            let session = context.session().await?;
            let payment = context.spinner.during("asking the pod", session.pod().payment(&payment)).await?;
            Ok(Report::new(&payment, described(&payment)))
        }
        PaymentVerb::Cancel { payment, yes } => {
            let session = context.session().await?;
            ask::confirm("Cancel this draft?", yes)?;
            context.spinner.during("telling the pod", session.pod().cancel_payment(&payment)).await?;
            Ok(Report::new(
                &json!({ "cancelled": payment }),
                "the draft is cancelled; its coins can be spent again",
            ))
        }
    }
}

/// Lists the payments of an account, newest first.
async fn list(context: &Context, wanted: Option<&str>) -> Result<Report, Failure> {
    let (session, accounts) = listed(context).await?;
    let account = choose(&accounts, wanted)?;
    let payments =
        context.spinner.during("asking the pod", session.pod().payments(&account.reported.id)).await?;
    let row = |payment: &Payment| {
        let amounts = payment.recipients.iter().map(|recipient| recipient.amount.to_sat());
        let (drafted, paid) = (time(payment.created_at), btc(amounts.fold(0, u64::saturating_add)));
        vec![drafted, paid, state(payment.state).into(), payment.id.to_string(), note(payment)]
    };
    let rows: Vec<Vec<String>> = payments.payments.iter().map(row).collect();
    let text = match rows.is_empty() {
        true => "no payment yet".to_owned(),
        false => table(&["drafted", "BTC", "state", "id", "note"], &rows),
    };
    Ok(Report::new(&json!({ "account": account.reported.id, "payments": payments.payments }), text))
}

/// A payment in words, as the pod reports it.
fn described(payment: &Payment) -> String {
    let recipient =
        |to: &Recipient| format!("{} BTC to {}", btc(to.amount.to_sat()), to.address.write().as_str());
    let recipients: Vec<String> = payment.recipients.iter().map(recipient).collect();
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
        ("paid", recipients.join(", ")),
        ("fee", fee),
        ("transaction", payment.txid.to_string()),
        ("confirmed", confirmed),
        ("confirms", wait),
        ("note", note(payment)),
        ("detail", payment.detail.as_deref().map_or_else(String::new, printable)),
    ])
}

/// The note of a payment, safe to print; empty where there is none.
fn note(payment: &Payment) -> String {
    payment.note.as_ref().map_or_else(String::new, |note| printable(note.as_str()))
}

fn state(state: PaymentState) -> &'static str {
    match state {
        PaymentState::Draft => "draft",
        PaymentState::Signed => "signed, not yet in the network",
        PaymentState::Seen => "in the network, unconfirmed",
        PaymentState::Confirmed => "confirmed",
        PaymentState::Cancelled => "cancelled",
        PaymentState::Failed => "failed",
    }
}
