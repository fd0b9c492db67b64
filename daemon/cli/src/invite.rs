//! `contact invite`, `invites`, `cancel`, `accept`: how two people become contacts.
//!
//! An invite is one line of text that names a place, a one-time queue there and a key. Whoever has
//! the text may use it, so it goes to one person by a channel that nobody else reads.

use autonomy_messaging::invite::Invite as ParsedInvite;
use serde_json::json;

use super::{
    Exit, Failure,
    args::{AcceptedInvite, NewInvite},
    ask,
    contact::short,
    context::{Context, now},
    output::{Report, table, time},
};
use autonomy_api::{AcceptInvite, ContactState, Invite, InviteState, place};
use autonomy_client::Wait;

/// Creates an invite and waits until it can be used.
///
/// With `--no-wait` the invite is printed before its place has accepted it: whoever uses it too
/// early has to wait.
///
/// # Errors
/// The place refuses the invite or does not accept it in time; the pod goes on trying in the second
/// case.
pub(super) async fn make(context: &Context, wish: NewInvite) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let note = wish.note.as_deref().map(|note| ask::written("--note", note)).transpose()?;
    let body = autonomy_api::NewInvite { note, valid_for: Some(wish.valid_for) };
    let made = context.spinner.during("making an invite", mailbox.invite(&body)).await?;
    let invite = match wish.no_wait {
        true => made,
        false => {
            let following = mailbox.follow_invite(&made, Wait::seconds(wish.timeout));
            let followed = context.spinner.during("publishing the invite", following).await?;
            usable(followed, wish.timeout)?
        }
    };
    let mut next = format!(
        "Give this to one person through a channel that nobody else reads; it can be used once, until {}.\n",
        time(invite.expires_at)
    );
    if invite.state == InviteState::Publishing {
        next.push_str("It cannot be used yet: `autonomy contact invites` shows when it is ready.\n");
    }
    next.push_str("When they have used it: `autonomy contact list`, then `autonomy contact confirm NAME`.");
    let text = invite.text.to_text();
    let qr = text.to_ascii_uppercase();
    Ok(Report::new(&invite, text).with_qr(qr).hint(next))
}

/// The invite, if its place has accepted it.
fn usable(invite: Invite, seconds: u64) -> Result<Invite, Failure> {
    match invite.state {
        InviteState::Publishing => {
            let detail = format!(
                "invite {} was created, but its place has not accepted it within {seconds} s, so nobody can use it yet",
                short(&invite.id)
            );
            Err(Failure::new(Exit::Failed, "invite-not-ready", detail)
                .help("the pod goes on trying: `autonomy contact invites` shows when it is ready"))
        }
        InviteState::Failed => {
            let detail = format!("the place at {} refuses the invite", place::text(&invite.place));
            Err(Failure::new(Exit::PodRefused, "invite-failed", detail)
                .help("see `autonomy relay status`; use another relay, or none"))
        }
        _ => Ok(invite),
    }
}

/// Lists all invites, with the text of those that can be used.
///
/// # Errors
/// The pod is not reached.
pub(super) async fn list(context: &Context) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let invites = context.spinner.during("asking the pod", mail.mailbox().invites()).await?;
    let row = |invite: &Invite| {
        let note = invite.note.as_ref().map(ToString::to_string).unwrap_or_default();
        let state = state(invite.state).to_owned();
        vec![short(&invite.id), state, time(invite.created_at), time(invite.expires_at), note]
    };
    let rows: Vec<Vec<String>> = invites.iter().map(row).collect();
    let mut text = match rows.is_empty() {
        true => "no invites".to_owned(),
        false => table(&["id", "state", "made", "until", "note"], &rows),
    };
    for invite in invites.iter().filter(|invite| invite.state == InviteState::Ready) {
        text.push_str(&format!("\n{}  {}\n", short(&invite.id), invite.text.to_text()));
    }
    let next = if rows.is_empty() { "Create one with `autonomy contact invite`." } else { "" };
    Ok(Report::new(&json!({ "invites": invites }), text).hint(next))
}

/// Cancels an invite.
///
/// # Errors
/// There is no such invite; the pod refuses or is not reached.
pub(super) async fn cancel(context: &Context, wanted: &str) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let invites = context.spinner.during("asking the pod", mailbox.invites()).await?;
    let invite = choose(&invites, wanted)?;
    context.spinner.during("telling the pod", mailbox.cancel_invite(&invite.id)).await?;
    let text = format!("invite {} cannot be used any more", short(&invite.id));
    Ok(Report::new(&json!({ "cancelled": invite.id }), text))
}

/// The invite whose id begins with `wanted`.
///
/// # Errors
/// There is none, or several.
pub(super) fn choose<'a>(invites: &'a [Invite], wanted: &str) -> Result<&'a Invite, Failure> {
    let found: Vec<&Invite> =
        invites.iter().filter(|invite| invite.id.to_string().starts_with(wanted)).collect();
    let help = "see `autonomy contact invites`";
    match found.as_slice() {
        [invite] if !wanted.is_empty() => Ok(invite),
        [] => Err(Failure::usage("no invite has this id").help(help)),
        _ => {
            Err(Failure::usage("several invites have ids with this beginning: give more of the id")
                .help(help))
        }
    }
}

/// Accepts somebody's invite, and perhaps waits for their confirmation.
///
/// An expired invite is refused here, before the pod is asked.
///
/// # Errors
/// The text is not an invite or has expired; or there is no confirmation in time, in which case the
/// pod goes on waiting.
pub(super) async fn accept(context: &Context, wish: AcceptedInvite) -> Result<Report, Failure> {
    let AcceptedInvite { invite, name, again, wait, timeout } = wish;
    let text = ask::text(&invite)?;
    let parsed = ParsedInvite::from_text(&text).map_err(Failure::usage)?;
    parsed.check(now()).map_err(|error| Failure::check("invite-expired", error))?;
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let name = name.as_deref().map(|name| ask::written("--name", name)).transpose()?;
    let wish = AcceptInvite { invite: parsed, name, again };
    let mut contact = context.spinner.during("telling the pod", mailbox.accept(&wish)).await?;
    if let Some(seconds) = wait.then_some(timeout) {
        let following = mailbox.follow_contact(&contact, Wait::seconds(seconds));
        contact = context.spinner.during("waiting for their confirmation", following).await?;
        if contact.state == ContactState::Joining {
            let detail = format!("{} has not confirmed within {seconds} s", contact.name);
            return Err(Failure::new(Exit::Failed, "not-confirmed-yet", detail).help(
                "your pod goes on waiting, for 30 days: `autonomy contact list` shows when they have",
            ));
        }
    }
    let (text, next) = match contact.state {
        ContactState::Joining => (
            format!("your pod asks {} to confirm you", contact.identity),
            "`autonomy contact list` shows when they have confirmed, and `autonomy events --follow` reports it.",
        ),
        _ => (format!("{} is a contact now", contact.name), ""),
    };
    Ok(Report::new(&contact, text).hint(next))
}

/// The state of an invite in words.
fn state(state: InviteState) -> &'static str {
    match state {
        InviteState::Publishing => "not ready yet",
        InviteState::Ready => "ready",
        InviteState::Used => "used",
        InviteState::Expired => "expired",
        InviteState::Cancelled => "cancelled",
        InviteState::Failed => "refused by its place",
    }
}
