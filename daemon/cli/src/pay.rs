//! `pay`: drafting, checking, approving and following payments.
//!
//! The order protects the money: the pod drafts, this device checks the draft against its own
//! account map and the amount that was typed, the person sees what the device has parsed, and only
//! then P signs. An outcome that is unknown has an exit status of its own, so that nobody pays
//! twice.

mod coins;
pub(super) mod payments;
mod repeat;

use std::{fmt::Write as _, time::Duration};

use autonomy_wallet::{
    account::AccountId,
    bitcoin::{Amount, FeeRate},
    check::{Owner, Summary},
    payment::MIN_FEE_RATE,
    rate,
};
use serde_json::{Value, json};

pub(super) use self::coins::Held;
use super::{
    Exit, Failure,
    account::listed_by_device,
    amount::{Sat, btc},
    args::Pay,
    ask::{self, Question},
    bip21::Payee,
    contact::short,
    context::{Context, no_pod},
    interrupt::{Interrupt, interrupted},
    output::Report,
    payee, terminal,
};
use autonomy_api::{NewPayment, Payment, PaymentId, PaymentState, Recipient};
use autonomy_client::{CheckedDraft, Device, DeviceError, printable};

/// Time for the network to accept a signed payment before the command ends; the pod goes on trying.
const TAKEN_WITHIN: Duration = Duration::from_secs(15);

/// Time for a draft that is under way when the command is interrupted, so that it can be given up.
const LATE_DRAFT: Duration = Duration::from_secs(10);

/// Makes a payment, from the draft until the network has it.
///
/// What was typed is looked at before anybody is asked, and the account before anything is drafted: a draft holds coins.
///
/// # Errors
/// The amount is missing or ambiguous; a check refused the draft; the person says no; the same was paid before; or the
/// outcome is unknown, with exit status 6.
pub(super) async fn pay(context: &Context, wish: &Pay) -> Result<Report, Failure> {
    let payment = wanted(wish)?;
    let (mut device, accounts) = listed_by_device(context, "pay").await?;
    let account = accounts.choose(wish.account.as_deref())?;
    for_network(&device, &payment)?;
    ask::can_confirm(wish.yes)?;
    let id = account.reported.id;
    let earlier =
        repeat::same(context, &device, (&id, payment.recipients.as_slice()), None, wish.yes).await?;
    earlier.allow(wish.yes, wish.again)?;
    let mut interrupt = Interrupt::listen()?;
    let draft = match drafted(context, &mut device, (&id, &payment), &mut interrupt).await {
        Err(failure) if failure.kind == "funds" => {
            return Err(coins::explain(context, &device.pod, account, failure).await);
        }
        draft => draft?,
    };
    note_passed_over(context, &wish.payee, wish.yes);
    let question = earlier.question(!draft.earlier().is_empty());
    let agreed = (&question, wish.yes, wish.again || !wish.yes);
    agreed_and_sent(context, &mut device, draft, &mut interrupt, agreed).await
}

/// Takes up a draft that was left behind, from its check until the network has it.
///
/// # Errors
/// As [`pay`]; or it is no draft.
pub(super) async fn resume(context: &Context, wanted: &str) -> Result<Report, Failure> {
    ask::can_confirm(false)?;
    let mut device = context.device("pay").await?;
    let id = payments::find(context, &device.pod, wanted).await?.id;
    let mut interrupt = Interrupt::listen()?;
    let taken = Box::pin(device.resume(&id));
    let draft = context.spinner.during("checking the draft", taken).await?;
    let same = (&draft.account(), draft.recipients());
    let earlier = repeat::same(context, &device, same, Some(&id), false).await?;
    let question = earlier.question(!draft.earlier().is_empty());
    agreed_and_sent(context, &mut device, draft, &mut interrupt, (&question, false, true)).await
}

/// What was typed, as the pod takes it.
fn wanted(wish: &Pay) -> Result<NewPayment, Failure> {
    let amount = amount_of(wish)?;
    let address = payee::read(&wish.payee.address)?;
    let note = wish.note.as_deref().map(|note| ask::written("--note", note)).transpose()?;
    let recipients = vec![Recipient { address, amount: Amount::from_sat(amount.to_sat()) }];
    Ok(NewPayment { recipients, fee_rate: fee_rate(wish)?, note })
}

/// Checks the address and the amount for the pod's network.
fn for_network(device: &Device, payment: &NewPayment) -> Result<(), Failure> {
    let network = device.profile.pod().ok_or_else(no_pod)?.network();
    payment.recipients.iter().try_for_each(|to| payee::check_network(&to.address, network))?;
    payment.intent(network, MIN_FEE_RATE).map(drop).map_err(|error| Failure::from(DeviceError::from(error)))
}

/// Has the pod draft the payment. A draft that an interrupted command no longer waits for is given up.
async fn drafted(
    context: &Context,
    device: &mut Device,
    (account, wish): (&AccountId, &NewPayment),
    interrupt: &mut Interrupt,
) -> Result<CheckedDraft, Failure> {
    let mut drafting = Box::pin(device.draft(account, wish));
    tokio::select! {
        draft = context.spinner.during("drafting and checking", &mut drafting) => return Ok(draft?),
        () = interrupt.came() => {}
    }
    let late = tokio::time::timeout(LATE_DRAFT, &mut drafting).await;
    drop(drafting);
    let failure = interrupted("nothing was paid");
    Err(match late {
        Ok(Ok(draft)) => failure.help(given_up(device, &draft.id()).await),
        _ => failure,
    })
}

/// Gives a draft up, and says what came of it.
async fn given_up(device: &Device, draft: &PaymentId) -> String {
    match device.give_up(draft).await {
        Ok(()) => "the draft is cancelled, and its coins can be spent again".to_owned(),
        Err(error) => format!(
            "the draft may hold its coins for a day: the pod was not told that it is given up ({error}). `autonomy payment \
             cancel {}` frees them",
            short(draft)
        ),
    }
}

/// Shows a checked draft, asks, signs and sends it. A draft that is not agreed to is given up, whatever the reason.
async fn agreed_and_sent(
    context: &Context,
    device: &mut Device,
    draft: CheckedDraft,
    interrupt: &mut Interrupt,
    (question, yes, is_meant): (&Question, bool, bool),
) -> Result<Report, Failure> {
    let name = device.profile.account(&draft.account()).map_or("", |held| held.map.name());
    let (summary, shown) = (json_of(draft.summary()), text_of(name, draft.summary()));
    context.out.before_question(yes, &shown);
    note_earlier(context, &draft, yes);
    if let Err(refused) = interrupt.confirm(question, yes).await {
        return Err(refused.help(given_up(device, &draft.id()).await));
    }
    let id = draft.id();
    // Whoever was asked, or said so, has been told of earlier payments; otherwise they are refused.
    let draft = if is_meant { draft.besides() } else { draft };
    let sending = Box::pin(sign_and_send(context, device, draft));
    let (payment, warning) = tokio::select! {
        sent = sending => sent?,
        () = interrupt.came() => return Err(left_behind(&id)),
    };
    let mut json = serde_json::to_value(&payment).unwrap_or(Value::Null);
    json["checked"] = summary;
    let mut text = payments::described(&payment);
    if let Some(warning) = warning {
        json["warning"] = warning.clone().into();
        let _ = writeln!(text, "warning: the payment is made, but {warning}");
    }
    Ok(Report::new(&json, text))
}

/// Whoever pays while the outcome of an earlier payment is unknown may pay twice.
fn note_earlier(context: &Context, draft: &CheckedDraft, yes: bool) {
    for earlier in draft.earlier() {
        let what =
            if earlier.sent { "paid the same already" } else { "was signed before and may still be sent" };
        let text = format!("payment {} {what}: both would be paid", earlier.signed.payment);
        context.out.before_question(yes, &text);
    }
}

/// The failure of a command that was interrupted after the person agreed: the signature may have left this device.
fn left_behind(id: &PaymentId) -> Failure {
    terminal::end_line();
    let detail =
        format!("interrupted while payment {} was signed and sent: the pod may go on with it", short(id));
    Failure::new(Exit::InDoubt, "interrupted", detail)
        .help(format!("do NOT pay again before you know: `autonomy payment show {}`", short(id)))
}

/// A URI may offer more than an address and an amount: who pays should know that nothing came of the rest.
fn note_passed_over(context: &Context, payee: &Payee, yes: bool) {
    if !payee.passed_over.is_empty() {
        let text = format!("passed over in the URI: {}", payee.passed_over.join(", "));
        context.out.before_question(yes, &text);
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
/// The pod refused; or the outcome is unknown, as it is of what the pod calls failed.
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
    let detail = format!("the pod says that payment {} failed: {why}", short(&payment.id));
    Failure::new(Exit::InDoubt, "payment-failed", detail).help(format!(
        "do NOT pay again before you have looked for transaction {} elsewhere: it is signed, and that it failed is the pod's \
         word",
        payment.txid
    ))
}

/// What the person approves. All of it was parsed from the draft by this device; nothing is the
/// pod's text.
fn text_of(account: &str, summary: &Summary) -> String {
    let mut text = String::new();
    // Whom it pays comes first, whatever the order in the transaction.
    let (own, others): (Vec<_>, Vec<_>) =
        summary.outputs.iter().partition(|output| matches!(output.owner, Owner::Own { .. }));
    for output in others.into_iter().chain(own) {
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
