//! `events`: what happened at the pod, once or as it happens.

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
use autonomy_api::{Event, EventKind, place};
use autonomy_client::{CallError, PodClient, Profile, printable};

/// Pause before a broken stream is opened again; doubled each time in vain, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Prints events, one a line, and remembers the last one shown where there is a profile.
pub(super) async fn events(context: &Context, wish: &Events) -> Result<(), Failure> {
    let (pod, remembered) = match context.session().await? {
        // The profile is closed while events are followed: other commands need it.
        Session::Device(device) => (device.pod, device.profile.event_cursor()),
        Session::Owner(pod) => (pod, None),
    };
    let mut last = wish.after.or(remembered).unwrap_or(0);
    let before = last;
    let told = tokio::select! {
        told = follow(context, &pod, wish.follow, &mut last) => told,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    if last > before && Profile::exists(&context.profile_dir()) {
        context.profile().await?.set_event_cursor(last)?;
    }
    told
}

async fn follow(context: &Context, pod: &PodClient, follow: bool, last: &mut u64) -> Result<(), Failure> {
    let mut pause = FIRST_PAUSE;
    loop {
        let before = *last;
        match tell(context, pod, follow, last).await {
            Ok(Told::ReaderGone) => return Ok(()),
            Ok(Told::All) if !follow => return Ok(()),
            Ok(Told::All) | Err(CallError::Unreachable { .. } | CallError::TooSlow { .. }) if follow => {}
            Ok(Told::All) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if *last > before {
            pause = FIRST_PAUSE;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

enum Told {
    All,
    ReaderGone,
}

/// Opens the stream after `last` and prints what comes until it ends.
async fn tell(context: &Context, pod: &PodClient, follow: bool, last: &mut u64) -> Result<Told, CallError> {
    let mut stream = pod.events(Some(*last), follow).await?;
    while let Some(event) = stream.next().await? {
        let line = match context.out.json {
            true => serde_json::to_string(&event).unwrap_or_default(),
            false => format!("{}  {}", time(event.at), sentence(&event)),
        };
        let mut out = io::stdout().lock();
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            return Ok(Told::ReaderGone);
        }
        *last = event.id;
    }
    Ok(Told::All)
}

fn sentence(event: &Event) -> String {
    match &event.kind {
        EventKind::DeviceAdded { name, .. } => format!("device {name} was let in"),
        EventKind::DeviceRevoked { name, .. } => format!("device {name} was shut out"),
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
            format!("{txid} is unconfirmed again: {reason}")
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

/// The same for contacts, messages and relays. People are named by the beginning of their id, which every verb takes.
fn sentence_of_people(kind: &EventKind) -> String {
    match kind {
        EventKind::InviteReady { invite } => format!("invite {} can be used", short(invite)),
        EventKind::InviteFailed { invite, detail } => {
            format!("invite {} cannot be used: {}", short(invite), printable(detail))
        }
        EventKind::ContactAsked { contact } => {
            format!("{0} used an invite and asks: `autonomy contact confirm {0}`", short(contact))
        }
        EventKind::ContactConnected { contact } => format!("{} is a contact now", short(contact)),
        EventKind::JoinFailed { contact, detail } => {
            format!("the invite of {} leads nowhere: {}", short(contact), printable(detail))
        }
        EventKind::ContactChanged { contact } => format!("the card of {} changed", short(contact)),
        EventKind::MessageReceived { contact, number } => {
            format!("message {number} of {0} arrived: `autonomy message list {0}`", short(contact))
        }
        EventKind::MessageDelivered { contact, number } => {
            format!("message {number} to {} is delivered", short(contact))
        }
        EventKind::MessageExpired { contact, number } => {
            format!("message {number} to {} was given up", short(contact))
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
            format!("file {} to or from {} was given up", short(file), short(contact))
        }
        EventKind::RelayTrouble { place, detail } => {
            format!("relay {}: {}", place::text(place), printable(detail))
        }
        EventKind::RelayReplaced { place, by } => {
            format!("relay {} was replaced by {}", place::text(place), place::text(by))
        }
        _ => "something that this version has no words for".to_owned(),
    }
}
