//! `relay …`: the relays that hold messages while the pod is offline.
//!
//! The verbs for whoever runs a relay are in `host`.

mod host;

use std::fmt::Write as _;

use serde_json::json;

use super::{
    Failure,
    args::RelayVerb,
    ask::written,
    context::Context,
    output::{Report, pairs, table},
};
use autonomy_api::{AddRelay, MailStatus, RefusalReason, Relay, RelayState, place};
use autonomy_client::printable;

pub(super) use self::host::run;

/// Carries out a verb of `relay`, except `run`, which needs no runtime of the command.
///
/// # Errors
/// The relay is not known or not usable; the pod refuses or is not reached.
pub(super) async fn relay(context: &Context, verb: RelayVerb) -> Result<Report, Failure> {
    match verb {
        RelayVerb::Add { place, name, token } => add(context, place, name, token).await,
        RelayVerb::Remove { relay } => remove(context, &relay).await,
        RelayVerb::List => {
            let mail = context.mail().await?;
            let relays = context.spinner.during("asking the pod", mail.mailbox().relays()).await?;
            Ok(listed(&relays))
        }
        RelayVerb::Status => status(context).await,
        RelayVerb::Place => host::place(context),
        RelayVerb::Metrics => host::metrics(context).await,
        // Runs without the runtime of this command.
        RelayVerb::Run => Err(Failure::usage("`relay run` cannot be used here")),
    }
}

/// Adds a relay and shows the list. Nothing is asked of the relay: `relay status` shows whether it
/// answers.
async fn add(
    context: &Context,
    place: String,
    name: Option<String>,
    token: Option<String>,
) -> Result<Report, Failure> {
    let wish = AddRelay {
        place: place::parse(&place).map_err(Failure::usage)?,
        name: name.as_deref().map(|name| written("--name", name)).transpose()?,
        token: token.as_deref().map(|token| written("--token", token)).transpose()?,
    };
    let mail = context.mail().await?;
    let relays = context.spinner.during("telling the pod", mail.mailbox().add_relay(&wish)).await?;
    Ok(listed(&relays))
}

/// Removes the relay with this name or address.
///
/// The pod closes its queues there, and asks contacts to deposit elsewhere.
async fn remove(context: &Context, wanted: &str) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let relays = context.spinner.during("asking the pod", mailbox.relays()).await?;
    let fits = |relay: &&Relay| relay.name.as_str() == wanted || place::text(&relay.place) == wanted;
    let found: Vec<&Relay> = relays.iter().filter(fits).collect();
    let help = "see `autonomy relay list`";
    let relay = match found.as_slice() {
        [relay] => *relay,
        [] => {
            return Err(Failure::usage(format!("no relay has the name or address `{}`", printable(wanted)))
                .help(help));
        }
        _ => return Err(Failure::usage("several relays have this name: give the address").help(help)),
    };
    let relays = context.spinner.during("telling the pod", mailbox.remove_relay(relay)).await?;
    Ok(listed(&relays))
}

/// All relays, as a table and as JSON.
fn listed(relays: &[Relay]) -> Report {
    let none = "While your pod is offline, messages wait at their senders. Add a relay with `autonomy relay add PLACE`.";
    let next = if relays.is_empty() { none } else { "" };
    Report::new(&json!({ "relays": relays }), relay_table(relays)).hint(next)
}

/// A table of relays, or what to do where there is none.
fn relay_table(relays: &[Relay]) -> String {
    let row = |relay: &Relay| {
        vec![
            relay.name.to_string(),
            state(relay.state).to_owned(),
            if relay.connected { "yes" } else { "no" }.to_owned(),
            relay.queues.to_string(),
            place::text(&relay.place),
        ]
    };
    let rows: Vec<Vec<String>> = relays.iter().map(row).collect();
    if rows.is_empty() {
        return "no relays".to_owned();
    }
    table(&["name", "state", "connected", "queues", "place"], &rows)
}

/// Shows mail traffic and each relay, with the reason where one has trouble.
///
/// A relay is `unreachable for too long` when it was away while another one answered, and
/// `withholds messages` when it accepted frames and did not return them.
async fn status(context: &Context) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let status = context.spinner.during("asking the pod", mailbox.status()).await?;
    let relays = context.spinner.during("asking the pod", mailbox.relays()).await?;
    let mut text = format!("{}\n{}", flow(&status), relay_table(&relays));
    for relay in &relays {
        if let Some(detail) = &relay.detail {
            let _ = writeln!(text, "{}: {}", relay.name, printable(detail));
        }
    }
    Ok(Report::new(&json!({ "mail": status, "relays": relays }), text))
}

/// Mail traffic in numbers.
///
/// Refused frames are those for unknown queues, from strangers, malformed, or encrypted with
/// unknown keys.
fn flow(status: &MailStatus) -> String {
    let refused = status.refused.iter().filter(|(_, count)| **count > 0);
    pairs(
        [
            ("contacts", status.contacts.to_string()),
            ("asking", status.asking.to_string()),
            ("unread", status.unread.to_string()),
            ("on their way", status.queued.to_string()),
        ]
        .into_iter()
        .chain(refused.map(|(reason, count)| (refusal(*reason), count.to_string()))),
    )
}

/// What is counted under a reason, in an operator's words.
fn refusal(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::UnknownQueue => "frames for no queue of this pod",
        RefusalReason::Foreign => "frames that no contact sealed",
        RefusalReason::Malformed => "malformed frames",
        RefusalReason::Repeat => "frames seen before",
        RefusalReason::Unreadable => "frames whose keys are gone or not here yet",
        RefusalReason::ForgedReceipt => "receipts for what was never sent",
        RefusalReason::NoContact => "arrivals for a removed contact",
        RefusalReason::NoInvite => "arrivals for an ended invite",
        RefusalReason::NoGroup => "groups that could not be made",
        RefusalReason::NotSent => "messages that could not be sealed",
        RefusalReason::OutboxFull => "messages that found the outbox full",
        RefusalReason::NoRoom => "requests that found no room for a contact",
        RefusalReason::LostRow => "rows that are missing",
        RefusalReason::BadKeys => "key packages that cannot be used",
        RefusalReason::DeclinedPayload => "payloads that no session takes",
        RefusalReason::NoOwner => "arrivals before the pod had an owner",
        RefusalReason::Superseded => "outcomes that later events made void",
        RefusalReason::TooFar => "parts too far ahead",
        RefusalReason::Full => "parts or chunks for which there was no room",
        RefusalReason::Unoffered => "chunks of files that were not offered",
        RefusalReason::DamagedRow => "rows that cannot be read",
        RefusalReason::Blocked => "frames of contacts who are blocked",
    }
}

/// The state of a relay in words.
fn state(state: RelayState) -> &'static str {
    match state {
        RelayState::Active => "in use",
        RelayState::Spare => "spare",
        RelayState::Dead => "unreachable for too long",
        RelayState::Withholding => "withholds messages",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_shows_each_reason_that_occurred_and_no_other() {
        let refused = [(RefusalReason::Repeat, 4), (RefusalReason::LostRow, 1), (RefusalReason::Foreign, 0)];
        let status = MailStatus {
            name: None,
            contacts: 2,
            asking: 0,
            unread: 0,
            queued: 1,
            refused: refused.into_iter().collect(),
        };
        let text = flow(&status);
        assert!(text.contains("frames seen before     4"), "{text}");
        assert!(text.contains("rows that are missing  1"), "{text}");
        assert!(!text.contains("no contact sealed"), "{text}");
    }
}
