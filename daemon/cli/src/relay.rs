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
    output::{Answer, pairs, table},
};
use autonomy_api::{AddRelay, MailStatus, Relay, RelayState, place};
use autonomy_client::printable;

pub(super) use self::host::run;

/// Carries out a verb of `relay`, except `run`, which needs no runtime of the command.
///
/// # Errors
/// The relay is not known or not usable; the pod refuses or is not reached.
pub(super) async fn relay(context: &Context, verb: RelayVerb) -> Result<Answer, Failure> {
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
) -> Result<Answer, Failure> {
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
async fn remove(context: &Context, wanted: &str) -> Result<Answer, Failure> {
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let relays = context.spinner.during("asking the pod", mailbox.relays()).await?;
    let fits = |relay: &&Relay| relay.name == wanted || relay.place == wanted;
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
fn listed(relays: &[Relay]) -> Answer {
    Answer::new(&json!({ "relays": relays }), relay_table(relays))
}

/// A table of relays, or what to do where there is none.
fn relay_table(relays: &[Relay]) -> String {
    let row = |relay: &Relay| {
        vec![
            relay.name.clone(),
            state(relay.state).to_owned(),
            if relay.connected { "yes" } else { "no" }.to_owned(),
            relay.queues.to_string(),
            relay.place.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = relays.iter().map(row).collect();
    if rows.is_empty() {
        return "no relays: while your pod is offline, messages wait at their senders. Add one with `autonomy relay add PLACE`".to_owned();
    }
    table(&["name", "state", "connected", "queues", "place"], &rows)
}

/// Shows mail traffic and each relay, with the reason where one has trouble.
///
/// A relay is `unreachable for too long` when it was away while another one answered, and
/// `withholds messages` when it accepted frames and did not return them.
async fn status(context: &Context) -> Result<Answer, Failure> {
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
    Ok(Answer::new(&json!({ "mail": status, "relays": relays }), text))
}

/// Mail traffic in numbers.
///
/// Refused frames are those for unknown queues, from strangers, malformed, or encrypted with
/// unknown keys.
fn flow(status: &MailStatus) -> String {
    let refused = &status.refused;
    let refused_frames = refused.unknown_queue + refused.foreign + refused.malformed + refused.unreadable;
    pairs([
        ("contacts", status.contacts.to_string()),
        ("waiting for you", status.asking.to_string()),
        ("unread", status.unread.to_string()),
        ("not delivered yet", status.queued.to_string()),
        ("frames refused", refused_frames.to_string()),
        ("frames repeated", refused.repeats.to_string()),
    ])
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
