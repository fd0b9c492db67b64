//! `contact …` without invites: contacts and what is known about them.
//!
//! A contact is named by the name its owner gave it or by the beginning of its id. What contacts
//! call themselves is shown and never used to find them.

use std::fmt::Display;

use autonomy_messaging::safety::{Comparison, SafetyNumber};
use serde_json::json;

use super::{
    Failure,
    args::ContactVerb,
    ask, carry,
    context::{Context, Mail},
    invite,
    output::{Report, pairs, table, time},
};
use autonomy_api::{Contact, ContactState, UpdateContact, place};
use autonomy_client::printable;

/// Fewest characters that count as the beginning of an id: 65,536 contacts can be distinguished, and
/// few names look like that.
pub(super) const MIN_ID_PREFIX: usize = 4;

/// Carries out a verb of `contact`.
///
/// # Errors
/// There is no such contact or invite; a check refused; the pod refuses or is not reached.
pub(super) async fn contact(context: &Context, verb: ContactVerb) -> Result<Report, Failure> {
    match verb {
        ContactVerb::Invite(wish) => invite::make(context, wish).await,
        ContactVerb::Invites => invite::list(context).await,
        ContactVerb::Cancel { invite } => invite::cancel(context, &invite).await,
        ContactVerb::Accept(wish) => invite::accept(context, wish).await,
        ContactVerb::Confirm { contact } => confirm(context, &contact).await,
        ContactVerb::List => list(context).await,
        ContactVerb::Show { contact } => show(context, &contact).await,
        ContactVerb::Rename { contact, name } => {
            let change =
                UpdateContact { name: Some(ask::written("name", &name)?), ..UpdateContact::default() };
            update(context, &contact, change, "is the new name").await
        }
        ContactVerb::Safety { contact } => safety(context, &contact).await,
        ContactVerb::Verify { contact, scanned, yes } => {
            verify(context, &contact, scanned.as_deref(), yes).await
        }
        ContactVerb::Unverify { contact } => {
            let change = UpdateContact { verified: Some(false), ..UpdateContact::default() };
            update(context, &contact, change, "is no longer marked as verified").await
        }
        ContactVerb::Block { contact } => {
            let change = UpdateContact { blocked: Some(true), ..UpdateContact::default() };
            update(context, &contact, change, "is blocked: what they send is dropped, and nobody tells them")
                .await
        }
        ContactVerb::Unblock { contact } => {
            let change = UpdateContact { blocked: Some(false), ..UpdateContact::default() };
            update(context, &contact, change, "is no longer blocked").await
        }
        ContactVerb::Export { contact, file } => carry::export_card(context, &contact, file.as_deref()).await,
        ContactVerb::Import { file } => carry::import_card(context, &file).await,
        ContactVerb::ExportInvite { invite, file } => {
            carry::export_invite(context, &invite, file.as_deref()).await
        }
        ContactVerb::Remove { contact, yes } => remove(context, &contact, yes).await,
    }
}

/// Confirms a person who used an invite. From then on messages flow, though nobody has compared
/// safety numbers yet: the output shows how.
///
/// Whoever used the invite may be somebody else who got its text; the safety number tells.
async fn confirm(context: &Context, wanted: &str) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let asking = find(context, &mail, wanted, Some(ContactState::Asking)).await?;
    let mailbox = mail.mailbox();
    let contact = context.spinner.during("telling the pod", mailbox.confirm(&asking.id)).await?;
    let digits = contact.safety_number.as_ref().map(ToString::to_string).unwrap_or_default();
    let next = format!(
        "To be sure that nobody stands between you, compare these digits with the ones they see:\n\n  {digits}\n\n\
         and then: `autonomy contact verify {}`",
        short(&contact.id),
    );
    Ok(Report::new(&contact, format!("{} is a contact now", contact.name)).hint(next))
}

/// Lists contacts and people who wait for a confirmation.
async fn list(context: &Context) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let contacts = context.spinner.during("asking the pod", mail.mailbox().contacts()).await?;
    let row = |contact: &Contact| {
        let count = |number: u32| if number == 0 { String::new() } else { number.to_string() };
        vec![
            contact.name.to_string(),
            state(contact).to_owned(),
            if contact.verified { "yes" } else { "no" }.to_owned(),
            count(contact.unread),
            count(contact.queued),
            contact.heard_at.map_or_else(|| "never".to_owned(), time),
            short(&contact.id),
        ]
    };
    let rows: Vec<Vec<String>> = contacts.iter().map(row).collect();
    let head = ["name", "state", "verified", "unread", "not delivered", "last heard", "id"];
    let text = match rows.is_empty() {
        true => "no contact yet".to_owned(),
        false => table(&head, &rows),
    };
    let next = "`autonomy contact invite` makes one, or `autonomy contact accept INVITE`.";
    let next = if rows.is_empty() { next } else { "" };
    Ok(Report::new(&json!({ "contacts": contacts }), text).hint(next))
}

/// Shows one contact in full.
async fn show(context: &Context, wanted: &str) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let found = find(context, &mail, wanted, None).await?;
    let contact = context.spinner.during("asking the pod", mail.mailbox().contact(&found.id)).await?;
    Ok(Report::new(&contact, described(&contact)))
}

/// A contact in words.
///
/// Empty values are left out.
fn described(contact: &Contact) -> String {
    let count = |number: u32| if number == 0 { String::new() } else { number.to_string() };
    let own = contact.card_name.as_ref().filter(|name| **name != contact.name);
    let compared = if contact.verified { "yes" } else { "no" };
    let mut text = pairs([
        ("name", contact.name.to_string()),
        ("name they use", own.map(ToString::to_string).unwrap_or_default()),
        ("state", state(contact).to_owned()),
        ("identity", contact.identity.to_string()),
        ("id", contact.id.to_string()),
        ("since", time(contact.created_at)),
        ("last heard", contact.heard_at.map_or_else(|| "never".to_owned(), time)),
        ("unread", count(contact.unread)),
        ("not delivered", count(contact.queued)),
        ("verified", compared.to_owned()),
        ("safety number", contact.safety_number.as_ref().map(ToString::to_string).unwrap_or_default()),
    ]);
    for place in &contact.places {
        text.push_str(&format!("receives at {}\n", place::text(place)));
    }
    text
}

/// Changes a contact and says what it now is.
async fn update(
    context: &Context,
    wanted: &str,
    change: UpdateContact,
    done: &str,
) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let found = find(context, &mail, wanted, Some(ContactState::Active)).await?;
    let mailbox = mail.mailbox();
    let contact = context.spinner.during("telling the pod", mailbox.update(&found.id, &change)).await?;
    Ok(Report::new(&contact, format!("{} {done}", contact.name)))
}

/// Shows the safety number of a contact as digits, words and QR code. With a profile it is computed
/// here from both root keys; the pod's answer is only compared with it.
async fn safety(context: &Context, wanted: &str) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let contact = find(context, &mail, wanted, Some(ContactState::Active)).await?;
    let safety = context.spinner.during("asking the pod", mail.mailbox().safety(&contact)).await?;
    let compared =
        if safety.verified { "You have compared them." } else { "You have not compared them yet." };
    let text = format!("{}\n\n{}\n", in_rows(safety.digits.as_str(), 4), in_rows(safety.words.as_str(), 6),);
    let next = format!(
        "{} must see the same digits and words; if not, somebody is between you.\n{compared}",
        contact.name
    );
    let qr = safety.qr.as_str().to_ascii_uppercase();
    Ok(Report::new(&safety, text).with_qr(qr).hint(next))
}

/// Words in indented rows of `width` words.
fn in_rows(text: &str, width: usize) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let rows = words.chunks(width).map(|row| format!("  {}", row.join(" ")));
    rows.collect::<Vec<_>>().join("\n")
}

/// Marks a contact as verified, after the person or this device has compared the safety numbers.
///
/// With `--scanned` this device compares; without it the person does.
///
/// # Errors
/// The numbers differ, the person says no, or there is nobody to ask.
async fn verify(
    context: &Context,
    wanted: &str,
    scanned: Option<&str>,
    yes: bool,
) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let contact = find(context, &mail, wanted, Some(ContactState::Active)).await?;
    let mailbox = mail.mailbox();
    let safety = context.spinner.during("asking the pod", mailbox.safety(&contact)).await?;
    match scanned {
        Some(text) => compare(&mail, &contact, &ask::text(text)?)?,
        None => {
            context.out.before_question(yes, &in_rows(safety.digits.as_str(), 4));
            ask::confirm(&format!("Does {} see the same digits?", contact.name), yes)?;
        }
    }
    let change = UpdateContact { verified: Some(true), ..UpdateContact::default() };
    let contact = context.spinner.during("telling the pod", mailbox.update(&contact.id, &change)).await?;
    Ok(Report::new(&contact, format!("{} is marked as verified", contact.name)))
}

/// Compares the text of the contact's QR code with the number that follows from both root keys.
///
/// # Errors
/// There is no profile; the text is not a safety number; or the numbers differ.
fn compare(mail: &Mail, contact: &Contact, scanned: &str) -> Result<(), Failure> {
    let own = mail.own.ok_or_else(|| {
        Failure::other("no-profile", "only a device can compare: it holds your identity")
            .help("run this where the device's profile is")
    })?;
    match SafetyNumber::between(&own, &contact.identity).compare(scanned).map_err(Failure::usage)? {
        Comparison::Same => Ok(()),
        Comparison::Different => {
            let detail = format!("this is not the safety number of you and {}", contact.name);
            Err(Failure::check("safety-number", detail).help(
                "somebody may be between you, or the code of another contact was scanned; nothing was marked",
            ))
        }
    }
}

/// Deletes a contact with all messages, or declines a person who asks.
async fn remove(context: &Context, wanted: &str, yes: bool) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let contact = find(context, &mail, wanted, None).await?;
    let question = format!("Delete {} and all messages?", contact.name);
    ask::confirm(&question, yes)?;
    context.spinner.during("telling the pod", mail.mailbox().remove(&contact.id)).await?;
    let json = json!({ "removed": contact.id, "name": contact.name.as_str() });
    Ok(Report::new(&json, format!("{} is deleted", contact.name)))
}

/// Asks for the contacts and returns the one that is meant.
///
/// # Errors
/// As [`choose`]; or the pod is not reached.
pub(super) async fn find(
    context: &Context,
    mail: &Mail,
    wanted: &str,
    state: Option<ContactState>,
) -> Result<Contact, Failure> {
    let contacts = context.spinner.during("asking the pod", mail.mailbox().contacts()).await?;
    choose(&contacts, wanted, state).cloned()
}

/// The contact that is meant, by name, id, or the beginning of the id. Among several, one in
/// `state` goes first: a person who asks to become a contact chooses their own name, and must not
/// get between two who are contacts already.
///
/// # Errors
/// There is none, or several that fit equally.
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
            Err(Failure::usage(format!("no contact has the name or id `{}`", printable(wanted))).help(list))
        }
        (several, _) => {
            let ids: Vec<String> = several.iter().map(|contact| short(&contact.id)).collect();
            let detail =
                format!("several contacts have the name `{}`: {}", printable(wanted), ids.join(", "));
            Err(Failure::usage(detail).help("give the id instead of the name"))
        }
    }
}

/// The first eight characters of an id: enough to name it.
pub(super) fn short(id: &impl Display) -> String {
    id.to_string().chars().take(8).collect()
}

/// The state of a contact in words.
fn state(contact: &Contact) -> &'static str {
    match contact.state {
        ContactState::Joining if contact.returns => "begins anew, waits for their confirmation",
        ContactState::Asking if contact.returns => "comes back with a new pod, waits for your confirmation",
        ContactState::Joining => "waits for their confirmation",
        ContactState::Asking => "waits for your confirmation",
        ContactState::Active => "contact",
        ContactState::Blocked => "blocked",
        ContactState::Known => "imported from a vCard",
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
            returns: false,
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
    fn choose_prefers_contact_over_stranger_of_same_name() {
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
