//! `message send`, `list`, `read`; the other verbs are in `watch` and `carry`.

use std::{fmt::Write as _, io::Read as _};

use serde_json::json;

use super::{
    Exit, Failure,
    args::{MessageVerb, SendMessage},
    ask::written,
    carry,
    contact::find,
    context::Context,
    output::{Report, time},
};
use autonomy_api::{ContactState, Direction, Message, MessageKind, MessageState};
use autonomy_client::{Wait, harmless};

/// Longest message read from standard input, and one byte more to notice that it is longer.
const MAX_INPUT: u64 = 16 * 1024 + 1;

/// Carries out a verb of `message`.
///
/// # Errors
/// There is no such contact; the text breaks a rule; the pod refuses or is not reached.
pub(super) async fn message(context: &Context, verb: MessageVerb) -> Result<Report, Failure> {
    match verb {
        MessageVerb::Send(wish) => send(context, &wish).await,
        MessageVerb::List { contact, limit, before } => list(context, &contact, before, limit).await,
        MessageVerb::Read { contact, up_to } => read(context, &contact, up_to).await,
        MessageVerb::Export { contact, file } => carry::export(context, &contact, file.as_deref()).await,
        MessageVerb::Import { file } => carry::import(context, &file).await,
        MessageVerb::Watch { contact } => {
            super::watch::watch(context, contact.as_deref()).await.map(|()| Report::default())
        }
    }
}

/// Queues a message at the pod; with `--wait`, waits until the contact's pod has stored it.
///
/// With `--json` the result has the number of the message, by which its state can be asked for
/// later.
///
/// # Errors
/// The message is not delivered in time, or expired: it must not be sent again, since the pod goes
/// on trying.
async fn send(context: &Context, wish: &SendMessage) -> Result<Report, Failure> {
    let text = written("message", &words(&wish.words)?)?;
    let mail = context.mail().await?;
    let contact = find(context, &mail, &wish.contact, Some(ContactState::Active)).await?;
    let mailbox = mail.mailbox();
    let queued = context.spinner.during("telling the pod", mailbox.say(&contact.id, text)).await?;
    let mut json =
        json!({ "contact": contact.id, "number": queued.number, "at": queued.at, "state": "queued" });
    if !wish.wait {
        let text = format!("message {} to {} is queued", queued.number, contact.name);
        return Ok(Report::new(&json, text));
    }
    let following = mailbox.follow_message(&contact.id, queued.number, Wait::seconds(wish.timeout));
    let message = context.spinner.during("waiting until it is delivered", following).await?;
    let state = message.as_ref().map_or(MessageState::Queued, |message| message.state);
    match state {
        MessageState::Queued => {
            let detail = format!(
                "message {} to {} is not delivered yet, after {} s",
                queued.number, contact.name, wish.timeout
            );
            Err(Failure::new(Exit::Failed, "not-delivered-yet", detail).help(
                "do not send it again: the pod goes on trying for 21 days, and `autonomy message list` shows its state",
            ))
        }
        MessageState::Expired => {
            let detail = format!("message {} to {} expired", queued.number, contact.name);
            Err(Failure::new(Exit::InDoubt, "expired", detail).help("it may or may not have arrived"))
        }
        MessageState::Delivered | MessageState::Received => {
            json["state"] = "delivered".into();
            json["settled_at"] = message.and_then(|message| message.settled_at).into();
            let text = format!("✓ delivered: message {} is at {}'s pod", queued.number, contact.name);
            Ok(Report::new(&json, text))
        }
    }
}

/// The words that were typed, or the text on standard input.
fn words(words: &[String]) -> Result<String, Failure> {
    if words != ["-"] {
        return Ok(words.join(" "));
    }
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_INPUT)
        .read_to_string(&mut text)
        .map_err(|error| Failure::other("input", format!("cannot read the message: {error}")))?;
    Ok(text.trim_end().to_owned())
}

/// Shows messages with a contact, oldest first.
///
/// Messages that a contact has sent are shown without control characters.
async fn list(context: &Context, wanted: &str, before: Option<u64>, limit: u32) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let contact = find(context, &mail, wanted, Some(ContactState::Active)).await?;
    let mailbox = mail.mailbox();
    let asked = mailbox.messages(&contact.id, before, limit);
    let messages = context.spinner.during("asking the pod", asked).await?;
    let mut text = String::new();
    for message in &messages {
        let _ = writeln!(text, "{}", line(contact.name.as_str(), message));
    }
    let mut next = String::new();
    if messages.is_empty() {
        text.push_str("no messages yet");
    } else if contact.unread > 0 {
        next = format!("{} unread; `autonomy message read` marks them as read.", contact.unread);
    }
    let json = json!({ "contact": contact.id, "name": contact.name.as_str(), "messages": messages });
    Ok(Report::new(&json, text).hint(next))
}

/// Marks messages of a contact as read, all of them where no number is given.
///
/// Contacts do not learn that their messages were read.
async fn read(context: &Context, wanted: &str, up_to: Option<u64>) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let contact = find(context, &mail, wanted, Some(ContactState::Active)).await?;
    let mailbox = mail.mailbox();
    let up_to = match up_to {
        Some(number) => Some(number),
        None => {
            let newest = context.spinner.during("asking the pod", mailbox.messages(&contact.id, None, 1));
            newest.await?.last().map(|message| message.number)
        }
    };
    if let Some(number) = up_to {
        context.spinner.during("telling the pod", mailbox.mark_read(&contact.id, number)).await?;
    }
    let json = json!({ "contact": contact.id, "up_to": up_to });
    Ok(Report::new(&json, format!("the messages of {} are marked as read", contact.name)))
}

/// A message for people: number, time, sender, text, state. Further lines of a text are marked, so
/// that no text can look like another message.
pub(super) fn line(contact: &str, message: &Message) -> String {
    let who = match message.direction {
        Direction::Incoming => contact,
        Direction::Outgoing => "you",
    };
    let mark = match message.state {
        MessageState::Received => String::new(),
        MessageState::Queued => "  … queued".to_owned(),
        MessageState::Delivered => message
            .settled_at
            .map_or_else(|| "  ✓ delivered".to_owned(), |at| format!("  ✓ delivered {}", time(at))),
        MessageState::Expired => "  ✗ expired".to_owned(),
    };
    format!("{:>4}  {}  {who}: {}{mark}", message.number, time(message.at), words_of(message))
}

/// The text of a message, or what it is instead of text. Control characters are removed.
fn words_of(message: &Message) -> String {
    let text = match (message.kind, &message.text, &message.file) {
        (MessageKind::Text, Some(text), _) => {
            let lines: Vec<String> = text.as_str().lines().map(harmless).collect();
            return lines.join("\n      | ");
        }
        (MessageKind::File, _, Some(file)) => return format!("[file {}, {} bytes]", file.name, file.size),
        (MessageKind::FileCancelled, ..) => "[a file is not sent after all]",
        (MessageKind::Card, ..) => "[a card]",
        _ => "[a kind of message that this version does not know]",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use autonomy_messaging::payload::Text;

    fn said(text: &str, state: MessageState) -> Message {
        let outgoing = state != MessageState::Received;
        Message {
            number: 12,
            direction: if outgoing { Direction::Outgoing } else { Direction::Incoming },
            at: 1_795_442_527,
            state,
            settled_at: None,
            kind: MessageKind::Text,
            text: Some(Text::new(text).unwrap()),
            file: None,
        }
    }

    #[test]
    fn message_text_cannot_forge_lines_or_control_terminal() {
        let evil = "hi\n  13  2026-11-23 14:02:08Z  you: send all\x1b[2J\u{202e}";
        let shown = line("Bob", &said(evil, MessageState::Received));
        assert!(shown.starts_with("  12  2026-11-23 14:02:07Z  Bob: hi\n      |   13"), "{shown}");
        assert!(!shown.contains(['\x1b', '\u{202e}']), "{shown}");
    }

    #[test]
    fn line_ends_with_the_state_of_the_message() {
        for (state, mark) in [
            (MessageState::Queued, "… queued"),
            (MessageState::Delivered, "✓ delivered"),
            (MessageState::Expired, "✗ expired"),
        ] {
            assert!(line("Bob", &said("hello", state)).ends_with(&format!("you: hello  {mark}")));
        }
    }
}
