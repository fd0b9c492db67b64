//! `contact invite`, `invites`, `cancel`, `accept`: how two people become contacts.

use autonomy_messaging::invite::Invite as ParsedInvite;
use serde_json::json;

use super::{
    Exit, Failure,
    args::NewInvite,
    ask,
    contact::short,
    context::{Context, now},
    output::{Answer, table, time},
};
use autonomy_api::{AcceptInvite, ContactState, Invite, InviteState, place};
use autonomy_client::Wait;

/// Makes an invite, and waits until it can be used.
pub(super) async fn make(context: &Context, wish: NewInvite) -> Result<Answer, Failure> {
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let note = wish.note.as_deref().map(|note| ask::written("--note", note)).transpose()?;
    let body = autonomy_api::NewInvite { note, valid_for: Some(wish.valid_for) };
    let made = context.spinner.during("making an invite", mailbox.invite(&body)).await?;
    let invite = match wish.no_wait {
        true => made,
        false => {
            let following = mailbox.follow_invite(&made, Wait::seconds(wish.timeout));
            let followed =
                context.spinner.during("leaving it where it will be looked for", following).await?;
            usable(followed, wish.timeout)?
        }
    };
    let mut text = format!(
        "{}\n\nGive this to one person, by a way that nobody else reads; it can be used once, until {}.\n",
        invite.text.to_text(),
        time(invite.expires_at)
    );
    if invite.state == InviteState::Publishing {
        text.push_str("It cannot be used yet: `autonomy contact invites` shows when it is ready.\n");
    }
    text.push_str("When they have used it: `autonomy contact list`, then `autonomy contact confirm NAME`.");
    let qr = invite.text.to_text().to_ascii_uppercase();
    Ok(Answer::new(&invite, text).with_qr(qr))
}

fn usable(invite: Invite, seconds: u64) -> Result<Invite, Failure> {
    match invite.state {
        InviteState::Publishing => {
            let detail = format!(
                "invite {} is made, but its place has not taken it within {seconds} s, so nobody can use it yet",
                short(&invite.id)
            );
            Err(Failure::new(Exit::Failed, "invite-not-ready", detail)
                .help("the pod goes on trying: `autonomy contact invites` shows when it is ready"))
        }
        InviteState::Failed => {
            let detail = format!("the place at {} does not take the invite", place::text(&invite.place));
            Err(Failure::new(Exit::PodRefused, "invite-failed", detail)
                .help("look at `autonomy relay status`; another relay may do, or none"))
        }
        _ => Ok(invite),
    }
}

/// All invites.
pub(super) async fn list(context: &Context) -> Result<Answer, Failure> {
    let mail = context.mail().await?;
    let invites = context.spinner.during("asking the pod", mail.mailbox().invites()).await?;
    let row = |invite: &Invite| {
        let note = invite.note.as_ref().map(ToString::to_string).unwrap_or_default();
        let state = state(invite.state).to_owned();
        vec![short(&invite.id), state, time(invite.created_at), time(invite.expires_at), note]
    };
    let rows: Vec<Vec<String>> = invites.iter().map(row).collect();
    let mut text = match rows.is_empty() {
        true => "no invite yet: `autonomy contact invite`".to_owned(),
        false => table(&["id", "state", "made", "until", "note"], &rows),
    };
    for invite in invites.iter().filter(|invite| invite.state == InviteState::Ready) {
        text.push_str(&format!("\n{}  {}\n", short(&invite.id), invite.text.to_text()));
    }
    Ok(Answer::new(&json!({ "invites": invites }), text))
}

/// Takes an invite back.
pub(super) async fn cancel(context: &Context, wanted: &str) -> Result<Answer, Failure> {
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let invites = context.spinner.during("asking the pod", mailbox.invites()).await?;
    let invite = choose(&invites, wanted)?;
    context.spinner.during("telling the pod", mailbox.cancel_invite(&invite.id)).await?;
    let text = format!("invite {} cannot be used any more", short(&invite.id));
    Ok(Answer::new(&json!({ "cancelled": invite.id }), text))
}

/// The invite that is meant, by the beginning of its id.
pub(super) fn choose<'a>(invites: &'a [Invite], wanted: &str) -> Result<&'a Invite, Failure> {
    let found: Vec<&Invite> =
        invites.iter().filter(|invite| invite.id.to_string().starts_with(wanted)).collect();
    let help = "see `autonomy contact invites`";
    match found.as_slice() {
        [invite] if !wanted.is_empty() => Ok(invite),
        [] => Err(Failure::usage("there is no invite with that id").help(help)),
        _ => Err(Failure::usage("several invites have ids that begin so: give more of it").help(help)),
    }
}

/// Uses somebody's invite; waits for their yes where `within` says how long, in seconds.
pub(super) async fn accept(
    context: &Context,
    invite: &str,
    name: Option<String>,
    within: Option<u64>,
) -> Result<Answer, Failure> {
    let text = ask::text(invite)?;
    let parsed = ParsedInvite::from_text(&text).map_err(Failure::usage)?;
    parsed.check(now()).map_err(|error| Failure::check("invite-expired", error))?;
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let name = name.as_deref().map(|name| ask::written("--name", name)).transpose()?;
    let wish = AcceptInvite { invite: parsed, name };
    let mut contact = context.spinner.during("telling the pod", mailbox.accept(&wish)).await?;
    if let Some(seconds) = within {
        let following = mailbox.follow_contact(&contact, Wait::seconds(seconds));
        contact = context.spinner.during("waiting for their yes", following).await?;
        if contact.state == ContactState::Joining {
            let detail = format!("{} has not confirmed within {seconds} s", contact.name);
            return Err(Failure::new(Exit::Failed, "not-confirmed-yet", detail).help(
                "your pod goes on waiting, for 30 days: `autonomy contact list` shows when they have",
            ));
        }
    }
    let text = match contact.state {
        ContactState::Joining => format!(
            "your pod introduces you to {}, and waits for their yes\n`autonomy contact list` shows when they have \
             confirmed, `autonomy events --follow` tells it",
            contact.identity
        ),
        _ => format!("{} is a contact now", contact.name),
    };
    Ok(Answer::new(&contact, text))
}

fn state(state: InviteState) -> &'static str {
    match state {
        InviteState::Publishing => "not ready yet",
        InviteState::Ready => "ready",
        InviteState::Used => "used",
        InviteState::Expired => "expired",
        InviteState::Cancelled => "taken back",
        InviteState::Failed => "refused by its place",
    }
}
