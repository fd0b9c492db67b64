//! `relay …`: where messages wait while the pod is away.

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

/// Carries out a verb of `relay`, all but `run`.
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
        RelayVerb::Run => Err(Failure::usage("`relay run` takes no part here")),
    }
}

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

async fn remove(context: &Context, wanted: &str) -> Result<Answer, Failure> {
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let relays = context.spinner.during("asking the pod", mailbox.relays()).await?;
    let fits = |relay: &&Relay| relay.name.as_str() == wanted || place::text(&relay.place) == wanted;
    let found: Vec<&Relay> = relays.iter().filter(fits).collect();
    let help = "see `autonomy relay list`";
    let relay = match found.as_slice() {
        [relay] => *relay,
        [] => {
            return Err(
                Failure::usage(format!("there is no relay called `{}`", printable(wanted))).help(help)
            );
        }
        _ => return Err(Failure::usage("several relays are called so: give the place").help(help)),
    };
    let relays = context.spinner.during("telling the pod", mailbox.remove_relay(relay)).await?;
    Ok(listed(&relays))
}

fn listed(relays: &[Relay]) -> Answer {
    Answer::new(&json!({ "relays": relays }), relay_table(relays))
}

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
        return "no relay: messages wait with their senders while your pod is away. `autonomy relay add PLACE`".to_owned();
    }
    table(&["name", "state", "connected", "queues", "place"], &rows)
}

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

fn flow(status: &MailStatus) -> String {
    let refused = &status.refused;
    let led_nowhere = refused.unknown_queue + refused.foreign + refused.malformed + refused.unreadable;
    pairs([
        ("contacts", status.contacts.to_string()),
        ("asking", status.asking.to_string()),
        ("unread", status.unread.to_string()),
        ("on their way", status.queued.to_string()),
        ("frames that led nowhere", led_nowhere.to_string()),
        ("frames seen before", refused.repeats.to_string()),
    ])
}

fn state(state: RelayState) -> &'static str {
    match state {
        RelayState::Active => "in use",
        RelayState::Spare => "spare",
        RelayState::Dead => "away too long",
        RelayState::Withholding => "does not give out what it takes",
    }
}
