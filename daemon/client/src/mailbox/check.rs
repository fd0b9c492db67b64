//! What a pod tells of people and their words, held against what this device knows. That each field keeps its rule was
//! checked as the answer was read.
//!
//! Each check gives the answer back where it holds. Otherwise it gives `Distrust::Mail`: what the pod told of, which part of
//! it, and what is wrong with that part.

use std::fmt::Display;

use autonomy_messaging::{
    MAX_FILE, RootPublic, carrier::Parcel, messenger::ContactId, safety::SafetyNumber, vcard::VCard,
};

use crate::{DeviceError, Distrust, printable};
use autonomy_api::{
    BrokenRule, Contact, Direction, File, Imported, Invite, Message, MessageKind, MessageState, Safety,
    SafetyDigits,
};

/// Most places of one contact, as many as a card has.
const MAX_PLACES: usize = 8;

fn broken(what: &'static str, field: &'static str, rule: impl Display) -> DeviceError {
    Distrust::Mail { what, field, rule: printable(&rule.to_string()) }.into()
}

/// The same for what a session's request says of its answer.
pub(super) fn broken_rule(BrokenRule { what, field, rule }: BrokenRule) -> DeviceError {
    broken(what, field, rule)
}

/// The pod answers about what it was asked for.
pub(super) fn same<T: PartialEq + Display>(
    what: &'static str,
    asked: &T,
    reported: &T,
) -> Result<(), DeviceError> {
    if asked == reported {
        return Ok(());
    }
    Err(broken(what, "id", format!("is {reported} where {asked} was asked for")))
}

/// An invite is the owner's own: handed over, another's would make a stranger of the pod's choice the contact.
pub(super) fn invite(own: Option<&RootPublic>, reported: Invite) -> Result<Invite, DeviceError> {
    let broken = |field, rule: &str| broken("invite", field, rule);
    if own.is_some_and(|own| *own != reported.text.root()) {
        return Err(broken("text", "invites to somebody else than the owner"));
    }
    if reported.expires_at != reported.text.expires() {
        return Err(broken("end", "is not the one in its text"));
    }
    if reported.place != reported.text.address().place {
        return Err(broken("place", "is not the one in its text"));
    }
    Ok(reported)
}

/// A contact's id follows from the identity, and so does the safety number where one is given and `own` is known.
pub(super) fn contact(own: Option<&RootPublic>, reported: Contact) -> Result<Contact, DeviceError> {
    let broken = |field, rule: &str| broken("contact", field, rule);
    if reported.id != ContactId::of(&reported.identity) {
        return Err(broken("id", "does not follow from the identity"));
    }
    if reported.places.len() > MAX_PLACES {
        return Err(broken("places", &format!("are more than {MAX_PLACES}")));
    }
    if let (Some(own), Some(digits)) = (own, &reported.safety_number)
        && *digits != SafetyDigits::from(&SafetyNumber::between(own, &reported.identity))
    {
        return Err(broken("safety number", "does not follow from the identities"));
    }
    Ok(reported)
}

/// The safety number as it follows from both identities; the pod's only where the owner's is not known here.
pub(super) fn safety(
    own: Option<&RootPublic>,
    contact: &Contact,
    reported: Safety,
) -> Result<Safety, DeviceError> {
    let Some(own) = own else { return Ok(reported) };
    let number = SafetyNumber::between(own, &contact.identity);
    let ours = Safety {
        digits: (&number).into(),
        words: (&number).into(),
        qr: (&number).into(),
        verified: reported.verified,
    };
    if reported != ours {
        return Err(broken("safety number", "text", "does not follow from the identities"));
    }
    Ok(ours)
}

/// At most so many, in order, before the number asked for, each of a kind with what belongs to it.
pub(super) fn messages(
    reported: Vec<Message>,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Message>, DeviceError> {
    if reported.len() > limit as usize {
        return Err(broken("conversation", "length", format!("is more than the {limit} asked for")));
    }
    let late = |message: &Message| before.is_some_and(|before| message.number >= before);
    let ordered = reported.windows(2).all(|pair| pair[0].number < pair[1].number);
    if !ordered || reported.last().is_some_and(late) {
        return Err(broken("conversation", "order", "is not that of its numbers"));
    }
    reported.iter().try_for_each(message)?;
    Ok(reported)
}

fn message(reported: &Message) -> Result<(), DeviceError> {
    let broken = |field, rule: String| Err(broken("message", field, rule));
    if (reported.direction == Direction::Incoming) != (reported.state == MessageState::Received) {
        return broken("state", "does not go with its direction".into());
    }
    if reported.text.is_some() != (reported.kind == MessageKind::Text)
        || reported.file.is_some() != (reported.kind == MessageKind::File)
    {
        return broken("content", "does not go with its kind".into());
    }
    Ok(())
}

/// No more bytes are done than there are, and no more are there than any file has.
pub(super) fn file(reported: File) -> Result<File, DeviceError> {
    if reported.done > reported.size || reported.size > MAX_FILE {
        return Err(broken("file", "size", "is less than what is done of it, or more than any file has"));
    }
    Ok(reported)
}

/// Something that another pod can take in; for whom it is, is sealed.
pub(super) fn parcel(bytes: &[u8]) -> Result<Parcel, DeviceError> {
    Parcel::parse(bytes).map_err(|error| broken("parcel", "bytes", error))
}

/// Each message of a parcel came to one end.
pub(super) fn imported(parcel: &Parcel, reported: Imported) -> Result<Imported, DeviceError> {
    let counts = [reported.opened, reported.repeats, reported.refused];
    let sum: u64 = counts.into_iter().map(u64::from).sum();
    let carried = parcel.entries().len();
    if sum != carried as u64 {
        return Err(broken("parcel", "count", format!("is {sum} where {carried} were carried")));
    }
    Ok(reported)
}

/// The card of this contact and of nobody else.
pub(super) fn card(contact: &Contact, bytes: &[u8]) -> Result<VCard, DeviceError> {
    let text = str::from_utf8(bytes).map_err(|_| broken("card", "text", "is not UTF-8"))?;
    let card = VCard::from_text(text).map_err(|error| broken("card", "text", format!("is none: {error}")))?;
    if card.root != contact.identity {
        return Err(broken("card", "identity", "is another person's"));
    }
    Ok(card)
}
