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
    Contact, Direction, File, Imported, Invite, Message, MessageKind, MessageState, Safety, SafetyDigits,
};

/// Most places of one contact, as many as a card has.
const MAX_PLACES: usize = 8;

fn broken(what: &'static str, field: &'static str, rule: impl Display) -> DeviceError {
    Distrust::Mail { what, field, rule: printable(&rule.to_string()) }.into()
}

/// The pod answers about what it was asked for.
pub(super) fn same<T: PartialEq + Display>(
    what: &'static str,
    asked: &T,
    told: &T,
) -> Result<(), DeviceError> {
    if asked == told {
        return Ok(());
    }
    Err(broken(what, "id", format!("is {told} where {asked} was asked for")))
}

/// An invite is the owner's own: handed over, another's would make a stranger of the pod's choice the contact.
pub(super) fn invite(own: Option<&RootPublic>, told: Invite) -> Result<Invite, DeviceError> {
    let broken = |field, rule: &str| broken("invite", field, rule);
    if own.is_some_and(|own| *own != told.text.root()) {
        return Err(broken("text", "invites to somebody else than the owner"));
    }
    if told.expires_at != told.text.expires() {
        return Err(broken("end", "is not the one in its text"));
    }
    if told.place != told.text.address().place {
        return Err(broken("place", "is not the one in its text"));
    }
    Ok(told)
}

/// A contact's id follows from the identity, and so does the safety number where one is told and `own` is known.
pub(super) fn contact(own: Option<&RootPublic>, told: Contact) -> Result<Contact, DeviceError> {
    let broken = |field, rule: &str| broken("contact", field, rule);
    if told.id != ContactId::of(&told.identity) {
        return Err(broken("id", "does not follow from the identity"));
    }
    if told.places.len() > MAX_PLACES {
        return Err(broken("places", &format!("are more than {MAX_PLACES}")));
    }
    if let (Some(own), Some(digits)) = (own, &told.safety_number)
        && *digits != SafetyDigits::from(&SafetyNumber::between(own, &told.identity))
    {
        return Err(broken("safety number", "does not follow from the identities"));
    }
    Ok(told)
}

/// The safety number as it follows from both identities; the pod's only where the owner's is not known here.
pub(super) fn safety(
    own: Option<&RootPublic>,
    contact: &Contact,
    told: Safety,
) -> Result<Safety, DeviceError> {
    let Some(own) = own else { return Ok(told) };
    let number = SafetyNumber::between(own, &contact.identity);
    let ours = Safety {
        digits: (&number).into(),
        words: (&number).into(),
        qr: (&number).into(),
        verified: told.verified,
    };
    if told != ours {
        return Err(broken("safety number", "text", "does not follow from the identities"));
    }
    Ok(ours)
}

/// At most so many, in order, before the number asked for, each of a kind with what belongs to it.
pub(super) fn messages(
    told: Vec<Message>,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Message>, DeviceError> {
    if told.len() > limit as usize {
        return Err(broken("conversation", "length", format!("is more than the {limit} asked for")));
    }
    let late = |message: &Message| before.is_some_and(|before| message.number >= before);
    let ordered = told.windows(2).all(|pair| pair[0].number < pair[1].number);
    if !ordered || told.last().is_some_and(late) {
        return Err(broken("conversation", "order", "is not that of its numbers"));
    }
    told.iter().try_for_each(message)?;
    Ok(told)
}

fn message(told: &Message) -> Result<(), DeviceError> {
    let broken = |field, rule: String| Err(broken("message", field, rule));
    if (told.direction == Direction::Incoming) != (told.state == MessageState::Received) {
        return broken("state", "does not go with its direction".into());
    }
    if told.text.is_some() != (told.kind == MessageKind::Text)
        || told.file.is_some() != (told.kind == MessageKind::File)
    {
        return broken("content", "does not go with its kind".into());
    }
    Ok(())
}

/// No more bytes are done than there are, and no more are there than any file has.
pub(super) fn file(told: File) -> Result<File, DeviceError> {
    if told.done > told.size || told.size > MAX_FILE {
        return Err(broken("file", "size", "is less than what is done of it, or more than any file has"));
    }
    Ok(told)
}

/// Something that another pod can take in; for whom it is, is sealed.
pub(super) fn parcel(bytes: &[u8]) -> Result<Parcel, DeviceError> {
    Parcel::parse(bytes).map_err(|error| broken("parcel", "bytes", error))
}

/// Each message of a parcel came to one end.
pub(super) fn imported(parcel: &Parcel, told: Imported) -> Result<Imported, DeviceError> {
    let counts = [told.opened, told.repeats, told.refused];
    let sum: u64 = counts.into_iter().map(u64::from).sum();
    let carried = parcel.entries().len();
    if sum != carried as u64 {
        return Err(broken("parcel", "count", format!("is {sum} where {carried} were carried")));
    }
    Ok(told)
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
