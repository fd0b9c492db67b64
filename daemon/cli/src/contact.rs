//! `contact …` but for invites: who they are, and how it stands with them.

use std::fmt::Display;

use autonomy_messaging::safety::{Comparison, SafetyNumber};
use serde_json::json;

use super::{
    Failure,
    args::ContactVerb,
    ask, carry,
    context::{Context, Mail},
    invite,
    output::{Answer, pairs, table, time},
};
use autonomy_api::{Contact, ContactState, UpdateContact, place};
use autonomy_client::printable;

/// Fewest characters of an id that are taken for it: 65,536 contacts apart, and few names look like that.
const MIN_ID_PREFIX: usize = 4;

/// Carries out a verb of `contact`.
pub(super) async fn contact(context: &Context, verb: ContactVerb) -> Result<Answer, Failure> {
    match verb {
        ContactVerb::Invite(wish) => invite::make(context, wish).await,
        ContactVerb::Invites => invite::list(context).await,
        ContactVerb::Cancel { invite } => invite::cancel(context, &invite).await,
        ContactVerb::Accept { invite, name, wait, timeout } => {
            invite::accept(context, &invite, name, wait.then_some(timeout)).await
        }
        ContactVerb::Confirm { contact } => confirm(context, &contact).await,
        ContactVerb::List => list(context).await,
        ContactVerb::Show { contact } => show(context, &contact).await,
        ContactVerb::Rename { contact, name } => {
            let change =
                UpdateContact { name: Some(ask::written("name", &name)?), ..UpdateContact::default() };
            update(context, &contact, change, "is the name from now on").await
        }
        ContactVerb::Safety { contact } => safety(context, &contact).await,
        ContactVerb::Verify { contact, scanned, yes } => {
            verify(context, &contact, scanned.as_deref(), yes).await
        }
        ContactVerb::Unverify { contact } => {
            let change = UpdateContact { verified: Some(false), ..UpdateContact::default() };
            update(context, &contact, change, "is not marked as compared any more").await
        }
        ContactVerb::Block { contact } => {
            let change = UpdateContact { blocked: Some(true), ..UpdateContact::default() };
            update(context, &contact, change, "is blocked: nothing is heard from them").await
        }
        ContactVerb::Unblock { contact } => {
            let change = UpdateContact { blocked: Some(false), ..UpdateContact::default() };
            update(context, &contact, change, "is heard again").await
        }
        ContactVerb::Export { contact, file } => carry::export_card(context, &contact, file.as_deref()).await,
        ContactVerb::Import { file } => carry::import_card(context, &file).await,
        ContactVerb::ExportInvite { invite, file } => {
            carry::export_invite(context, &invite, file.as_deref()).await
        }
        ContactVerb::Remove { contact, yes } => remove(context, &contact, yes).await,
    }
}

async fn confirm(context: &Context, wanted: &str) -> Result<Answer, Failure> {
    let mail = context.mail().await?;
    let asking = find(context, &mail, wanted, Some(ContactState::Asking)).await?;
    let mailbox = mail.mailbox();
    let contact = context.spinner.during("telling the pod", mailbox.confirm(&asking.id)).await?;
    let digits = contact.safety_number.as_ref().map(ToString::to_string).unwrap_or_default();
    let text = format!(
        "{} is a contact now.\nTo be sure that nobody stands between you, compare these digits with theirs:\n\n  {}\n\n\
         and then: `autonomy contact verify {}`",
        contact.name,
        digits,
        short(&contact.id),
    );
    Ok(Answer::new(&contact, text))
}

async fn list(context: &Context) -> Result<Answer, Failure> {
    let mail = context.mail().await?;
    let contacts = context.spinner.during("asking the pod", mail.mailbox().contacts()).await?;
    let row = |contact: &Contact| {
        let count = |number: u32| if number == 0 { String::new() } else { number.to_string() };
        vec![
            contact.name.to_string(),
            state(contact.state).to_owned(),
            if contact.verified { "yes" } else { "no" }.to_owned(),
            count(contact.unread),
            count(contact.queued),
            contact.heard_at.map_or_else(|| "never".to_owned(), time),
            short(&contact.id),
        ]
    };
    let rows: Vec<Vec<String>> = contacts.iter().map(row).collect();
    let head = ["name", "state", "compared", "unread", "on their way", "last heard", "id"];
    let text = match rows.is_empty() {
        true => "no contact yet: `autonomy contact invite`, or `autonomy contact accept INVITE`".to_owned(),
        false => table(&head, &rows),
    };
    Ok(Answer::new(&json!({ "contacts": contacts }), text))
}

async fn show(context: &Context, wanted: &str) -> Result<Answer, Failure> {
    let mail = context.mail().await?;
    let found = find(context, &mail, wanted, None).await?;
    let contact = context.spinner.during("asking the pod", mail.mailbox().contact(&found.id)).await?;
    Ok(Answer::new(&contact, described(&contact)))
}

fn described(contact: &Contact) -> String {
    let count = |number: u32| if number == 0 { String::new() } else { number.to_string() };
    let own = contact.card_name.as_ref().filter(|name| **name != contact.name);
    let compared = if contact.verified { "yes" } else { "no" };
    let mut text = pairs([
        ("name", contact.name.to_string()),
        ("calls themselves", own.map(ToString::to_string).unwrap_or_default()),
        ("state", state(contact.state).to_owned()),
        ("identity", contact.identity.to_string()),
        ("id", contact.id.to_string()),
        ("since", time(contact.created_at)),
        ("last heard", contact.heard_at.map_or_else(|| "never".to_owned(), time)),
        ("unread", count(contact.unread)),
        ("on their way", count(contact.queued)),
        ("compared", compared.to_owned()),
        ("safety number", contact.safety_number.as_ref().map(ToString::to_string).unwrap_or_default()),
    ]);
    for place in &contact.places {
        text.push_str(&format!("receives at {}\n", place::text(place)));
    }
    text
}

async fn update(
    context: &Context,
    wanted: &str,
    change: UpdateContact,
    done: &str,
) -> Result<Answer, Failure> {
    let mail = context.mail().await?;
    let found = find(context, &mail, wanted, Some(ContactState::Active)).await?;
    let mailbox = mail.mailbox();
    let contact = context.spinner.during("telling the pod", mailbox.update(&found.id, &change)).await?;
    Ok(Answer::new(&contact, format!("{} {done}", contact.name)))
}

async fn safety(context: &Context, wanted: &str) -> Result<Answer, Failure> {
    let mail = context.mail().await?;
    let contact = find(context, &mail, wanted, Some(ContactState::Active)).await?;
    let safety = context.spinner.during("asking the pod", mail.mailbox().safety(&contact)).await?;
    let compared =
        if safety.verified { "You have compared them." } else { "You have not compared them yet." };
    let text = format!(
        "{}\n\n{}\n\n{} sees the same digits and words, or somebody stands between you.\n{compared}",
        in_rows(safety.digits.as_str(), 4),
        in_rows(safety.words.as_str(), 6),
        contact.name
    );
    let qr = safety.qr.as_str().to_ascii_uppercase();
    Ok(Answer::new(&safety, text).with_qr(qr))
}

/// Words in rows of so many, indented.
fn in_rows(text: &str, width: usize) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let rows = words.chunks(width).map(|row| format!("  {}", row.join(" ")));
    rows.collect::<Vec<_>>().join("\n")
}

async fn verify(
    context: &Context,
    wanted: &str,
    scanned: Option<&str>,
    yes: bool,
) -> Result<Answer, Failure> {
    let mail = context.mail().await?;
    let contact = find(context, &mail, wanted, Some(ContactState::Active)).await?;
    let mailbox = mail.mailbox();
    let safety = context.spinner.during("asking the pod", mailbox.safety(&contact)).await?;
    match scanned {
        Some(text) => compare(&mail, &contact, &ask::text(text)?)?,
        None => {
            context.out.note(&in_rows(safety.digits.as_str(), 4));
            ask::confirm(&format!("Does {} see the same digits?", contact.name), yes)?;
        }
    }
    let change = UpdateContact { verified: Some(true), ..UpdateContact::default() };
    let contact = context.spinner.during("telling the pod", mailbox.update(&contact.id, &change)).await?;
    Ok(Answer::new(&contact, format!("{} is marked as compared", contact.name)))
}

/// Compares what the other side shows with what follows from the identities.
fn compare(mail: &Mail, contact: &Contact, scanned: &str) -> Result<(), Failure> {
    let own = mail.own.ok_or_else(|| {
        Failure::other("no-profile", "only a device can compare: it knows who you are")
            .help("run this where the device's profile is")
    })?;
    match SafetyNumber::between(&own, &contact.identity).compare(scanned).map_err(Failure::usage)? {
        Comparison::Same => Ok(()),
        Comparison::Different => {
            let detail = format!("this is not the safety number of you and {}", contact.name);
            Err(Failure::check("safety-number", detail).help(
                "somebody stands between you, or another contact's code was scanned: nothing was marked",
            ))
        }
    }
}

async fn remove(context: &Context, wanted: &str, yes: bool) -> Result<Answer, Failure> {
    let mail = context.mail().await?;
    let contact = find(context, &mail, wanted, None).await?;
    let question = format!("Forget {} and all that was said?", contact.name);
    ask::confirm(&question, yes)?;
    context.spinner.during("telling the pod", mail.mailbox().remove(&contact.id)).await?;
    let json = json!({ "removed": contact.id, "name": contact.name.as_str() });
    Ok(Answer::new(&json, format!("{} is forgotten", contact.name)))
}

/// Asks for the contacts, and gives the one that is meant.
pub(super) async fn find(
    context: &Context,
    mail: &Mail,
    wanted: &str,
    state: Option<ContactState>,
) -> Result<Contact, Failure> {
    let contacts = context.spinner.during("asking the pod", mail.mailbox().contacts()).await?;
    choose(&contacts, wanted, state).cloned()
}

/// The contact that is meant, by name, id, or the beginning of the id. Where several are, one in `state` goes first:
/// somebody who asks may call themselves as they like, and must not come between two who are contacts.
pub(super) fn choose<'a>(
    contacts: &'a [Contact],
    wanted: &str,
    state: Option<ContactState>,
) -> Result<&'a Contact, Failure> {
    let fits = |contact: &&Contact| {
        contact.name.as_str() == wanted
            || wanted.len() >= MIN_ID_PREFIX && contact.id.to_string().starts_with(wanted)
    };
    let found: Vec<&Contact> = contacts.iter().filter(fits).collect();
    let preferred: Vec<&Contact> =
        found.iter().copied().filter(|contact| Some(contact.state) == state).collect();
    let list = "see `autonomy contact list`";
    match (found.as_slice(), preferred.as_slice()) {
        ([contact], _) | (_, [contact]) => Ok(contact),
        ([], _) => {
            Err(Failure::usage(format!("there is no contact called `{}`", printable(wanted))).help(list))
        }
        (several, _) => {
            let ids: Vec<String> = several.iter().map(|contact| short(&contact.id)).collect();
            let detail = format!("several contacts are called `{}`: {}", printable(wanted), ids.join(", "));
            Err(Failure::usage(detail).help("give the id in place of the name"))
        }
    }
}

/// Enough of an id to type it.
pub(super) fn short(id: &impl Display) -> String {
    id.to_string().chars().take(8).collect()
}

fn state(state: ContactState) -> &'static str {
    match state {
        ContactState::Joining => "waits for their yes",
        ContactState::Asking => "asks to be confirmed",
        ContactState::Active => "contact",
        ContactState::Blocked => "blocked",
        ContactState::Known => "known by a card",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autonomy_messaging::{AuthSeed, Name};

    fn person(id: &str, name: &str, state: ContactState) -> Contact {
        Contact {
            id: format!("{id:0<32}").parse().unwrap(),
            identity: AuthSeed::from_bytes(&[1; 32]).root_key().public(),
            name: Name::new(name).unwrap(),
            card_name: None,
            state,
            verified: false,
            safety_number: None,
            places: vec![],
            created_at: 0,
            heard_at: None,
            queued: 0,
            unread: 0,
            file_limit: 0,
        }
    }

    #[test]
    fn a_stranger_who_takes_a_name_does_not_come_between_contacts() {
        let contacts = [
            person("aaaa1111", "Bob", ContactState::Asking),
            person("aaaa2222", "Bob", ContactState::Active),
            person("bbbb3333", "Ann", ContactState::Active),
        ];
        let chosen = |wanted, state| choose(&contacts, wanted, state).map(|contact| short(&contact.id));
        assert_eq!(chosen("Bob", Some(ContactState::Active)).unwrap(), "aaaa2222");
        assert_eq!(chosen("Bob", Some(ContactState::Asking)).unwrap(), "aaaa1111");
        assert_eq!(
            (chosen("bbbb", None).unwrap(), chosen("aaaa1", None).unwrap()),
            ("bbbb3333".into(), "aaaa1111".into())
        );
        for (wanted, says) in
            [("Bob", "several"), ("aaaa", "several"), ("bbb", "no contact"), ("Eve", "no contact")]
        {
            assert!(chosen(wanted, None).unwrap_err().detail.contains(says), "{wanted}");
        }
    }
}
