//! `events`: what happened at the pod, once or continuously.
//!
//! A device remembers the last event it has shown, so the next command goes on after it.

use std::{
    io::{self, Write},
    time::Duration,
};

use super::{
    Failure,
    amount::signed_btc,
    args::Events,
    contact::short,
    context::{Context, Session},
    output::time,
};
use autonomy_api::{Event, EventKind, UnconfirmedReason, place};
use autonomy_client::{CallError, PodClient, Profile, printable};

/// Pause before a broken stream is opened again; doubled after each failure, up to
/// [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Prints events, one per line, and remembers the last one where there is a profile.
///
/// The profile is closed while events are followed, since other commands need it.
///
/// # Errors
/// The pod refuses or, without `--follow`, is not reached; the profile cannot be written.
pub(super) async fn events(context: &Context, wish: &Events) -> Result<(), Failure> {
    let (pod, remembered) = match context.session().await? {
        // The profile is closed while events are followed: other commands need it.
        Session::Device(device) => (device.pod, device.profile.event_cursor()),
        Session::Owner(pod) => (pod, None),
    };
    let mut last = wish.after.or(remembered).unwrap_or(0);
    let before = last;
    let outcome = tokio::select! {
        outcome = follow(context, &pod, wish.follow, &mut last) => outcome,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    if last > before && Profile::exists(&context.profile_dir()) {
        context.profile().await?.set_event_cursor(last)?;
    }
    outcome
}

/// Prints events and, with `follow`, reconnects when the stream breaks.
///
/// The pause between two attempts grows to a minute and is reset by the first new event.
async fn follow(context: &Context, pod: &PodClient, follow: bool, last: &mut u64) -> Result<(), Failure> {
    let mut pause = FIRST_PAUSE;
    loop {
        let before = *last;
        match show_events(context, pod, follow, last).await {
            Ok(StreamEnd::ReaderGone) => return Ok(()),
            Ok(StreamEnd::All) if !follow => return Ok(()),
            Ok(StreamEnd::All) | Err(CallError::Unreachable { .. } | CallError::TooSlow { .. }) if follow => {
            }
            Ok(StreamEnd::All) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if *last > before {
            pause = FIRST_PAUSE;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// How a stream of events ended.
enum StreamEnd {
    /// The pod ended it: without `follow` that is the end of the list.
    All,
    /// Nobody reads standard output any more.
    ReaderGone,
}

/// Opens the stream after `last`, prints its events and moves `last` along.
///
/// # Errors
/// The stream could not be opened, or broke. What was printed before counts as shown.
async fn show_events(
    context: &Context,
    pod: &PodClient,
    follow: bool,
    last: &mut u64,
) -> Result<StreamEnd, CallError> {
    let mut stream = pod.events(Some(*last), follow).await?;
    while let Some(event) = stream.next().await? {
        let line = match context.out.json {
            true => serde_json::to_string(&event).unwrap_or_default(),
            false => format!("{}  {}", time(event.at), sentence(&event)),
        };
        let mut out = io::stdout().lock();
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            return Ok(StreamEnd::ReaderGone);
        }
        *last = event.id;
    }
    Ok(StreamEnd::All)
}

/// An event as one sentence for people.
///
/// Text from the pod is shown without control characters.
fn sentence(event: &Event) -> String {
    match &event.kind {
        EventKind::DeviceAdded { name, .. } => format!("device {name} was added"),
        EventKind::DeviceRevoked { name, .. } => format!("device {name} was revoked"),
        EventKind::AccountCreated { name, .. } => format!("account {} is ready", printable(name.as_str())),
        EventKind::TransactionSeen { txid, net, estimated_minutes, .. } => {
            let wait = estimated_minutes
                .map_or_else(String::new, |minutes| format!(", confirms in about {minutes} min"));
            format!("{} BTC seen in {}{wait}", signed_btc(net.to_sat()), txid)
        }
        EventKind::TransactionConfirmed { txid, confirmations, height, .. } => {
            format!("{txid} has {confirmations} confirmation(s), block {height}")
        }
        EventKind::TransactionUnconfirmed { txid, reason, .. } => {
            let what = match reason {
                UnconfirmedReason::Reorganised => "is unconfirmed again",
                _ => "is gone from the network",
            };
            format!("{txid} {what}: {reason}")
        }
        EventKind::PaymentChanged { payment, state, detail, .. } => {
            let state = serde_json::to_value(state).ok().and_then(|state| state.as_str().map(str::to_owned));
            let detail =
                detail.as_deref().map_or_else(String::new, |detail| format!(": {}", printable(detail)));
            format!("payment {payment} is {}{detail}", state.unwrap_or_default())
        }
        EventKind::Gap { oldest } => format!("some events are no longer kept; the next is number {oldest}"),
        people => sentence_of_people(people),
    }
}

/// The same for contacts, messages, files and relays. People are named by the beginning of their
/// id, which every verb accepts.
fn sentence_of_people(kind: &EventKind) -> String {
    match kind {
        EventKind::InviteReady { invite } => format!("invite {} can be used", short(invite)),
        EventKind::InviteFailed { invite, detail } => {
            format!("invite {} cannot be used: {}", short(invite), printable(detail))
        }
        EventKind::ContactAsked { contact } => {
            format!("{0} used your invite: `autonomy contact confirm {0}`", short(contact))
        }
        EventKind::ContactConnected { contact } => format!("{} is a contact now", short(contact)),
        EventKind::JoinFailed { contact, detail } => {
            format!("the invite of {} cannot be used: {}", short(contact), printable(detail))
        }
        EventKind::ContactChanged { contact } => format!("the card of {} changed", short(contact)),
        EventKind::MessageReceived { contact, number } => {
            format!("message {number} of {0} arrived: `autonomy message list {0}`", short(contact))
        }
        EventKind::MessageDelivered { contact, number } => {
            format!("message {number} to {} is delivered", short(contact))
        }
        EventKind::MessageExpired { contact, number } => {
            format!("message {number} to {} expired", short(contact))
        }
        EventKind::ContactRekeyed { contact } => {
            format!("the conversation with {} has new keys", short(contact))
        }
        EventKind::FileOffered { contact, file } => {
            format!("{} sends a file, {}", short(contact), short(file))
        }
        EventKind::FileReceived { contact, file } => {
            format!("file {1} of {0} is here: `autonomy file get {0} {1}`", short(contact), short(file))
        }
        EventKind::FileDelivered { contact, file } => {
            format!("file {} is delivered to {}", short(file), short(contact))
        }
        EventKind::FileCancelled { contact, file } => {
            format!("file {} to or from {} was cancelled", short(file), short(contact))
        }
        EventKind::RelayTrouble { place, detail } => {
            format!("relay {}: {}", place::text(place), printable(detail))
        }
        EventKind::RelayReplaced { place, by } => {
            format!("relay {} was replaced by {}", place::text(place), place::text(by))
        }
        _ => "an event that this version does not know".to_owned(),
    }
}
